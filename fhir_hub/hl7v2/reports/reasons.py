"""Why a part of a message is no element: what the hub uses it for, or why nothing was made of it.

Spec: DESIGN 5 (nothing lost from a message)
"""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from fhir_hub.hl7v2.maps.plans import runs
from fhir_hub.hl7v2.maps.reads import NUMBERED, ROUTING, is_counted
from fhir_hub.hl7v2.parsing.er7 import Segment
from fhir_hub.hl7v2.reports.leaves import Leaf

if TYPE_CHECKING:
    from fhir_hub.hl7v2.maps.programs import Program

CONDITION = "a condition of the map"
SEQUENCE = "a number in sequence only"
NO_MAP = "no map for this segment"
NOWHERE = "nothing in this message that it could belong to"
ENCODED = "what the pharmacy made of the order (RXE) has its own"
NOT_READ = "no row reads this field"
NO_EFFECT = "it changes nothing in what is made"
WHOLE = "too many parts to tell one by one"
LONG = "more parts in all than a report tries"
JOINED = "what tells it before has its own"
KEY = "only in the key by which it is found again"
IGNORED = '`""` of this sender deletes nothing'
NO_VALUE = "no value for it, or another field was taken"
CHINESE: Mapping[str, str] = MappingProxyType(
    {
        "delimiters": "分隔符",
        "the receiver": "接收方",
        "the sender": "发送方",
        "the map": "选择映射",
        "the order of messages": "消息顺序",
        "the acknowledgment": "应答",
        "the character set": "字符集",
        "the language of texts": "文本语言",
        CONDITION: "映射条件",
        SEQUENCE: "仅为序号",
        NO_MAP: "该段没有映射",
        NOWHERE: "消息中没有它所属的对象",
        ENCODED: "以药房处理后的医嘱 (RXE) 为准",
        NOT_READ: "没有映射行读取该字段",
        NO_EFFECT: "对结果没有影响",
        WHOLE: "部分过多, 未逐一说明",
        LONG: "总数过多, 报告未逐一尝试",
        JOINED: "前面的段已说明同一事物",
        KEY: "仅用于再次查找的键",
        IGNORED: '该发送方的 `""` 不表示删除',
        NO_VALUE: "无法取值, 或已采用其他字段",
        "left out as incomplete": "因不完整而略去",
    }
)


class Reasons:
    """The reasons of one message's map; `ran` are the segments for which an entry ran.

    `overruled` are those that an RXE has anew.
    With `by_table` the entries that only the standard's tables in full need count too.
    """

    def __init__(
        self,
        program: "Program",
        ran: Collection[int],
        overruled: Collection[int],
        *,
        by_table: bool,
    ) -> None:
        self._program, self._ran = program, ran
        self._overruled = overruled
        held = (one for entries in program.entries.values() for one in entries)
        entries = [one for one in held if runs(one.mode, by_table)]
        rows = (one.row for each in entries for one in (*each.rows, *each.late, *each.last))
        self._read = {(path.segment, path.field) for row in rows for path in row.sources}
        self._steering = {(path.segment, path.field) for e in entries for path in e.steered_by}

    def use(self, segment: Segment, leaf: Leaf, is_read: bool) -> str:
        """Return what the hub itself uses a part for, `""` if for nothing."""
        routed = ROUTING.get(segment.name, {}).get(leaf.field, "")
        steers = not is_read and (segment.name, leaf.field) in self._steering
        return routed or (CONDITION if steers else "")

    def why(self, segment: Segment, leaf: Leaf, is_read: bool) -> str:
        """Return why nothing was made of a part; `is_read`: of others of its field there was."""
        if segment.index in self._overruled:
            return ENCODED
        has_readers = (segment.name, leaf.field) in self._read
        if segment.name not in self._program.entries and not has_readers:
            return NO_MAP
        if leaf.field == 1 and segment.name in NUMBERED and is_counted(segment):
            return SEQUENCE
        if is_read:
            return NO_EFFECT
        if segment.index not in self._ran and segment.name in self._program.entries:
            return NOWHERE
        return NO_VALUE if has_readers else NOT_READ
