"""What the tables of a database must agree on, each rule as the query that finds who breaks it.

A rule may say how a row that breaks it is set right: by a statement that looks again, so that
it does no harm where somebody has written meanwhile. What cannot be set right (a version that
is not there) is what backups are for.
"""

from typing import NamedTuple

from fhir_hub.store.sqlite.beside import OF_PEOPLE, SAID, SPAN, TOKENS, VERSION
from fhir_hub.store.sqlite.points import IS_POINT

_LIVE = "SELECT 1 FROM resource r WHERE r.rid = {0} AND r.shape <> 0"
_LAST = "SELECT {0} FROM version v WHERE v.rid = r.rid ORDER BY v.version_id DESC LIMIT 1"
# of a composite only the first part is walked
_WALKED = (
    "NOT EXISTS (SELECT 1 FROM parameter p WHERE p.id = {0}.parameter"
    " AND p.name GLOB '*.[1-9]*' AND p.name NOT GLOB '*.*[^0-9]*')"
)


class Rule(NamedTuple):
    """What must be so, in English and Chinese; `find` returns rows of who breaks it.

    `shows` says what the first column is: `rid` (a resource), `sequence`, `number` (a message) or
    `table` (nobody's). `mend` takes the columns of a row.
    """

    name: str
    told: str
    chinese: str
    shows: str
    find: str
    mend: str = ""


def _walk(table: str, column: str, kind: str) -> tuple[Rule, Rule]:
    """Return the rules that the walked copies of entries are those that entries ask for.

    `kind` is what is so of their entries `e`, under the parameters `p`.
    """
    keys = ("parameter", column) if "NOT NULL" in kind else ("parameter", column, "system")
    columns = ", ".join(keys)
    same = " AND ".join(f"w.{key} = e.{key}" for key in keys)
    entry = f"entry e CROSS JOIN parameter p ON p.id = e.parameter WHERE {kind}"
    asks = f"SELECT 1 FROM {entry} AND e.rid = w.rid AND {same}"
    bound = [f"{key} = ?{n}" for n, key in enumerate(("rid", *keys), 1)]
    values = ", ".join(f"?{n}" for n in range(1, len(bound) + 1))
    return (
        Rule(
            f"{table}-missing",
            f"an entry is not in the index {table}: searches do not find it",
            "索引缺行",
            "rid",
            f"SELECT DISTINCT e.rid, {', '.join(f'e.{key}' for key in keys)} FROM {entry}"
            f" AND {_WALKED.format('e')} AND NOT EXISTS"
            f" (SELECT 1 FROM {table} w WHERE w.rid = e.rid AND {same})",
            f"INSERT OR IGNORE INTO {table} (rid, {columns}) SELECT {values} WHERE EXISTS"
            f" (SELECT 1 FROM {entry} AND {' AND '.join(f'e.{one}' for one in bound)})",
        ),
        Rule(
            f"{table}-surplus",
            f"the index {table} has a row that no entry asks for: searches find too much",
            "索引多余行",
            "rid",
            f"SELECT rid, {columns} FROM {table} w WHERE NOT EXISTS ({asks})"
            f" OR NOT {_WALKED.format('w')}",
            f"DELETE FROM {table} AS w WHERE {' AND '.join(f'w.{one}' for one in bound)}"
            f" AND (NOT EXISTS ({asks}) OR NOT {_WALKED.format('w')})",
        ),
    )


VERSIONS = (
    Rule(
        "sequence-gap",
        "the commit sequence has a gap before it",
        "提交序号不连续",
        "sequence",
        "SELECT v.sequence FROM version v WHERE v.sequence <> 1"
        " AND NOT EXISTS (SELECT 1 FROM version w WHERE w.sequence = v.sequence - 1)",
    ),
    Rule(
        "newest",
        "the latest time up to this sequence is not what the versions say",
        "最新时间标记有误",
        "sequence",
        "SELECT sequence, now FROM (SELECT sequence, newest, max(last_updated) OVER"
        " (ORDER BY sequence ROWS UNBOUNDED PRECEDING) AS now FROM version) WHERE newest <> now",
        "UPDATE version SET newest = ?2 WHERE sequence = ?1",
    ),
    Rule(
        "version-chain",
        "a version comes without the one before it, or before that one",
        "版本链不完整",
        "rid",
        "SELECT v.rid, v.version_id FROM version v WHERE v.version_id < 1 OR (v.version_id > 1"
        " AND NOT EXISTS (SELECT 1 FROM version w WHERE w.rid = v.rid"
        " AND w.version_id = v.version_id - 1 AND w.sequence < v.sequence))",
    ),
    Rule(
        "version-of-nobody",
        "a version belongs to no resource, or to one of another type",
        "版本没有对应的资源",
        "sequence",
        "SELECT v.sequence FROM version v LEFT JOIN resource r ON r.rid = v.rid"
        " WHERE r.type IS NOT v.type",
    ),
    Rule(
        "no-version",
        "a resource has no version",
        "资源没有版本",
        "rid",
        "SELECT r.rid FROM resource r"
        " WHERE NOT EXISTS (SELECT 1 FROM version v WHERE v.rid = r.rid)",
    ),
    Rule(
        "not-the-last-version",
        "the current row of a resource is not its last version",
        "当前行与最新版本不一致",
        "rid",
        "SELECT r.rid FROM resource r CROSS JOIN version v ON v.rid = r.rid AND v.version_id ="
        " (SELECT max(w.version_id) FROM version w WHERE w.rid = r.rid)"
        " WHERE (r.version_id, r.sequence, r.last_updated, r.shape = 0)"
        " IS NOT (v.version_id, v.sequence, v.last_updated, v.method = 'DELETE')",
        "UPDATE resource AS r SET"
        f" version_id = ({_LAST.format('version_id')}), sequence = ({_LAST.format('sequence')}),"
        f" last_updated = ({_LAST.format('last_updated')}),"
        f" shape = CASE WHEN ({_LAST.format('method')}) = 'DELETE' THEN 0 WHEN shape <> 0 THEN"
        " shape ELSE coalesce((SELECT max(id) FROM shape s WHERE s.type = r.type), 0) END"
        " WHERE rid = ?1",
    ),
)
ENTRIES = (
    Rule(
        "entries-of-nobody",
        "there are entries of a resource that is deleted or not there",
        "已删除的资源仍有索引项",
        "rid",
        f"SELECT DISTINCT rid FROM entry e WHERE NOT EXISTS ({_LIVE.format('e.rid')})",
        f"DELETE FROM entry WHERE rid = ?1 AND NOT EXISTS ({_LIVE.format('?1')})",
    ),
    *_walk("by_code", "code", "e.low IS NULL AND p.kind <> 'text'"),
    Rule(
        "by_code-says",
        "beside a reference to a patient stands what its resource does not say: searches are wrong",
        "患者引用旁的编码、日期或版本不一致",
        "rid",
        f"SELECT rid, parameter, code, system FROM by_code WHERE {OF_PEOPLE} AND (tokens IS NOT"
        f" {TOKENS.format('by_code')} OR (low, high) IS NOT {SPAN.format('by_code')}"
        f" OR (sequence, logical_id) IS NOT {VERSION.format('by_code')})",
        f"UPDATE by_code SET {SAID}"
        " WHERE rid = ?1 AND parameter = ?2 AND code = ?3 AND system = ?4",
    ),
    *_walk("by_point", "low", f"e.low IS NOT NULL AND {IS_POINT}"),
    *_walk("by_low", "low", f"e.low IS NOT NULL AND NOT {IS_POINT}"),
    *_walk("by_high", "high", f"e.low IS NOT NULL AND NOT {IS_POINT}"),
    Rule(
        "width",
        "an interval is wider than its parameter says: searches miss it",
        "区间宽度标记过小",
        "table",
        "SELECT e.parameter, max(e.high - e.low) AS width FROM entry e WHERE e.low IS NOT NULL"
        " GROUP BY e.parameter HAVING width > (SELECT p.width FROM parameter p"
        " WHERE p.id = e.parameter)",
        "UPDATE parameter SET width = max(width, ?2) WHERE id = ?1",
    ),
    Rule(
        "many",
        "a parameter has several values in one resource, and says that none has",
        "多值标记有误",
        "table",
        "SELECT DISTINCT e.parameter FROM entry e CROSS JOIN parameter p ON p.id = e.parameter"
        " CROSS JOIN entry f ON f.rid = e.rid AND f.parameter = e.parameter AND f.place > e.place"
        " WHERE p.many = 0 AND (e.low IS NOT NULL OR (e.code = f.code AND e.system <> f.system))",
        "UPDATE parameter SET many = 1 WHERE id = ?1",
    ),
)
SHAPES = (
    Rule(
        "shape-unknown",
        "a resource has a shape that is not there, or another type's",
        "资源的索引形状不存在",
        "rid",
        "SELECT r.rid FROM resource r LEFT JOIN shape s ON s.id = r.shape"
        " WHERE r.shape <> 0 AND s.type IS NOT r.type",
    ),
    Rule(
        "shape-parameters",
        "the parameters of a shape stand otherwise in its list",
        "索引形状的参数列表不一致",
        "table",
        "SELECT s.id, j.value FROM shape s, json_each('[' || s.parameters || ']') j WHERE NOT"
        " EXISTS (SELECT 1 FROM shape_parameter x WHERE x.shape = s.id AND x.parameter = j.value)",
        "INSERT OR IGNORE INTO shape_parameter (shape, parameter) VALUES (?1, ?2)",
    ),
    Rule(
        "shape-surplus",
        "a shape's list has a parameter that the shape has not",
        "索引形状的参数列表多余",
        "table",
        "SELECT x.shape, x.parameter FROM shape_parameter x WHERE NOT EXISTS (SELECT 1 FROM"
        " shape s, json_each('[' || s.parameters || ']') j"
        " WHERE s.id = x.shape AND j.value = x.parameter)",
        "DELETE FROM shape_parameter WHERE shape = ?1 AND parameter = ?2",
    ),
    Rule(
        "shape-count",
        "the number of resources of a shape is wrong: totals are",
        "资源计数有误",
        "table",
        "SELECT s.id FROM shape s WHERE s.resources <>"
        " (SELECT count(*) FROM resource r WHERE r.shape = s.id AND r.shape <> 0)",
        "UPDATE shape SET resources = (SELECT count(*) FROM resource r WHERE r.shape = ?1"
        " AND r.shape <> 0) WHERE id = ?1",
    ),
)
JOURNAL = (
    Rule(
        "message-without-bytes",
        "a message is still to be done and its bytes are not there",
        "待处理消息缺少原文",
        "number",
        "SELECT m.number FROM message m LEFT JOIN message_raw w USING (number)"
        " WHERE m.state = 'received' AND m.size > 0 AND w.number IS NULL",
    ),
    Rule(
        "message-size",
        "the bytes of a message are not as many as came",
        "消息原文长度不符",
        "number",
        "SELECT number FROM message JOIN message_raw USING (number) WHERE length(raw) <> size",
    ),
    Rule(
        "bytes-of-nobody",
        "bytes of a message that is not in the journal",
        "原文没有对应的消息",
        "number",
        "SELECT number FROM message_raw w"
        " WHERE NOT EXISTS (SELECT 1 FROM message m WHERE m.number = w.number)",
    ),
    Rule(
        "answer-of-nobody",
        "an answer is owed for a message that is not in the journal",
        "待回应答没有对应的消息",
        "number",
        "SELECT number FROM owed_answer o"
        " WHERE NOT EXISTS (SELECT 1 FROM message m WHERE m.number = o.number)",
        "DELETE FROM owed_answer WHERE number = ?1",
    ),
    Rule(
        "message-state",
        "a message is in a state that does not exist, or is done and has no acknowledgment",
        "消息状态有误",
        "number",
        "SELECT number FROM message WHERE state NOT IN ('received', 'done', 'answered', 'failed',"
        " 'dead', 'quarantined', 'ignored', 'replaced') OR (state = 'done' AND ack = x'')",
    ),
    Rule(
        "done-twice",
        "the same message is done twice",
        "同一消息处理了两次",
        "number",
        "SELECT max(number) FROM message WHERE state = 'done' AND key <> '' AND direction = 'in'"
        " GROUP BY key, digest HAVING count(*) > 1",
    ),
    Rule(
        "link-to-nothing",
        "a message is about a resource that was never stored",
        "消息指向不存在的资源",
        "number",
        "SELECT DISTINCT m.number FROM message m, json_each(m.links) l WHERE m.state = 'done'"
        " AND NOT EXISTS (SELECT 1 FROM type t CROSS JOIN resource r ON r.type = t.id"
        " AND r.logical_id = l.value ->> 1 WHERE t.name = l.value ->> 0)",
    ),
    Rule(
        "replaced-by-nothing",
        "a message is replaced by one that is not in the journal",
        "替代消息不存在",
        "number",
        "SELECT m.number FROM message m WHERE m.state = 'replaced'"
        " AND NOT EXISTS (SELECT 1 FROM message n WHERE n.number = m.replaced_by)",
    ),
)
RULES = (*VERSIONS, *ENTRIES, *SHAPES, *JOURNAL)
BEFORE_ENTRIES = (*VERSIONS, ENTRIES[0])  # what a pass over the contents builds on
AFTER_ENTRIES = (*ENTRIES[1:], *SHAPES, *JOURNAL)
