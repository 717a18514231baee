"""Find what disagrees in the journal of messages, a batch in one snapshot."""

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import NamedTuple, get_args

from fhir_hub.store.base import State
from fhir_hub.store.findings import Finding
from fhir_hub.store.mongo.agreement import COUNTER, Rule
from fhir_hub.store.mongo.driver import Connection, Document, Session
from fhir_hub.store.mongo.messages import MESSAGE, NUMBERS, RAW, UNDER_WAY
from fhir_hub.store.mongo.schema import HUB, RESOURCE

NO_BYTES = Rule(
    "message-without-bytes",
    "a message is still to be done and its bytes are not there",
    "待处理消息缺少原文",
)
SIZE = Rule("message-size", "the bytes of a message are not as many as came", "消息原文长度不符")
BYTES_OF_NOBODY = Rule(
    "bytes-of-nobody", "bytes of a message that is not in the journal", "原文没有对应的消息"
)
STATE = Rule(
    "message-state",
    "a message is in a state that does not exist, or is done and has no acknowledgment",
    "消息状态有误",
)
TWICE = Rule("done-twice", "the same message is done twice", "同一消息处理了两次")
LINK = Rule(
    "link-to-nothing",
    "a message is about a resource that was never stored",
    "消息指向不存在的资源",
)
REPLACED = Rule(
    "replaced-by-nothing",
    "a message is replaced by one that is not in the journal",
    "替代消息不存在",
)
NOT_UNDER_WAY = Rule(
    "not-under-way",
    "a message is to be done and nobody knows that it is under way",
    "待处理消息未登记",
    can_be_mended=True,
)
TURN_OF_NOBODY = Rule(
    "turn-of-nobody",
    "a message is under way that is not in the journal: others wait for it",
    "处理中登记没有对应的消息",
    can_be_mended=True,
)
_BATCH = 500
_OF_MESSAGE = ("state", "ack", "size_bytes", "is_kept", "links", "replaced_by")


async def journal_findings(connection: Connection) -> AsyncIterator[Finding]:
    """Yield all that disagrees."""
    last = 0
    while True:
        async with connection.session(is_snapshot=True) as session:
            batch = await _messages(connection, last, session)
            end = batch[-1]["_id"] if len(batch) == _BATCH else 0
            known = await _known(connection, batch, last, end, session)
        for one in batch:
            for rule in _broken(one, known):
                yield rule.broken(f"message {one['_id']}")
        numbers = {one["_id"] for one in batch}
        for number in sorted(known.sizes.keys() - numbers):
            yield BYTES_OF_NOBODY.broken(f"message {number}")
        for number in sorted(known.under_way - numbers):
            yield TURN_OF_NOBODY.broken(f"message {number}")
        if not end:
            break
        last = end
    async for number in _twice(connection):
        yield TWICE.broken(f"message {number}")
    numbers_document = await connection.find_one(HUB, {"_id": NUMBERS})
    if numbers_document is not None and batch and numbers_document["n"] < batch[-1]["_id"]:
        yield COUNTER.broken("messages")


async def _twice(connection: Connection) -> AsyncIterator[int]:
    """Yield the last number of each message that is done more than once; equals come together."""
    done = {"state": "done", "key": {"$ne": ""}, "direction": "in"}
    before: tuple[str, str] | None = None
    last, times = 0, 0
    async for one in connection.stream(
        MESSAGE, done, fields=["key", "digest"], sort=[("key", 1), ("digest", 1)]
    ):
        if (one["key"], one["digest"]) != before:
            if times > 1:
                yield last
            before, last, times = (one["key"], one["digest"]), 0, 0
        last, times = max(last, one["_id"]), times + 1
    if times > 1:
        yield last


class _Known(NamedTuple):
    """What is there of that which messages name: bytes by number, resources, messages."""

    sizes: dict[int, int]
    under_way: set[int]
    resources: set[str]
    messages: set[int]


async def _messages(connection: Connection, last: int, session: Session) -> list[Document]:
    return await connection.find(
        MESSAGE,
        {"_id": {"$gt": last}},
        fields=_OF_MESSAGE,
        sort=[("_id", 1)],
        limit=_BATCH,
        session=session,
    )


async def _known(
    connection: Connection, batch: Iterable[Document], last: int, end: int, session: Session
) -> _Known:
    # the bytes of a large message are pieces: 5, 5.001, 5.002
    within = {"$gte": last + 1, **({"$lt": end + 1} if end else {})}
    raws = await connection.aggregate(
        RAW,
        [{"$match": {"_id": within}}, {"$project": {"size": {"$binarySize": "$raw"}}}],
        session=session,
    )
    sizes: dict[int, int] = {}
    for raw in raws:
        number = int(raw["_id"])
        sizes[number] = sizes.get(number, 0) + raw["size"]
    turns = await connection.find(UNDER_WAY, {"_id": within}, fields=["_id"], session=session)
    links = {link for one in batch if one["state"] == "done" for link in one["links"]}
    resources = await connection.find(
        RESOURCE, {"_id": {"$in": sorted(links)}}, fields=["_id"], session=session
    )
    successors = {one["replaced_by"] for one in batch if one["state"] == "replaced"}
    messages = await connection.find(
        MESSAGE, {"_id": {"$in": sorted(successors)}}, fields=["_id"], session=session
    )
    return _Known(sizes, _ids(turns), {one["_id"] for one in resources}, _ids(messages))


def _ids(found: Iterable[Document]) -> set[int]:
    return {int(one["_id"]) for one in found}


def _broken(message: Document, known: _Known) -> Iterator[Rule]:
    number, state = message["_id"], message["state"]
    size, is_open = known.sizes.get(number, 0), state == "received"
    if is_open and message["size_bytes"] and not size:
        yield NO_BYTES
    elif size not in ((message["size_bytes"],) if message["is_kept"] else (0,)):
        yield SIZE
    if state not in get_args(State) or (state == "done" and not message["ack"]):
        yield STATE
    if state == "done" and not known.resources.issuperset(message["links"]):
        yield LINK
    if state == "replaced" and message["replaced_by"] not in known.messages:
        yield REPLACED
    if is_open and number not in known.under_way:
        yield NOT_UNDER_WAY
