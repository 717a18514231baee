"""A received message as documents: what it is and became, and beside it its bytes.

| collection | a document is | `_id` |
|---|---|---|
| `message` | a message without its bytes | its number |
| `message_raw` | its bytes, 12 MB of them in each document | its number; then 5.001, 5.002 … |
| `under_way` | a message received and not finished: turn, words, who holds it | its number |
| `process` | a process that is at work, and how often its heart has beaten | a name of its own |

A listing reads short documents, the end of a message writes one, and old bytes go without what
tells that the message came before. The numbers come from the document `journal` of `hub`, which
every message that is kept changes: so two that come at once are one after the other.
"""

from collections.abc import Iterable
from typing import Any

from pymongo import ASCENDING, DESCENDING, IndexModel

from fhir_hub.store.base import Finish, Key
from fhir_hub.store.journal import FINAL, Entered, Received, Selection
from fhir_hub.store.mongo.driver import Connection, Document, Session

MESSAGE, RAW, UNDER_WAY, PROCESS = "message", "message_raw", "under_way", "process"
NUMBERS = "journal"  # the document of `hub`: the last number, the last turn
NOBODY = ""  # holds a message that who leads is to take over
WITH_BYTES = {"is_kept": True}
_PIECE_BYTES = 12 << 20

JOURNAL_INDEXES: dict[str, list[IndexModel]] = {
    MESSAGE: [
        IndexModel([("key", ASCENDING), ("digest", ASCENDING)]),
        IndexModel([("state", ASCENDING), ("_id", DESCENDING)]),
        # those with bytes: of ten million old ones without, the look for which to empty reads none
        IndexModel([("state", ASCENDING), ("_id", ASCENDING)], partialFilterExpression=WITH_BYTES),
        IndexModel([("received", ASCENDING)]),
        IndexModel([("owes", ASCENDING)], sparse=True),
    ],
    UNDER_WAY: [
        IndexModel([("words", ASCENDING), ("turn", ASCENDING)]),
        IndexModel([("holder", ASCENDING)]),
    ],
}
_OF_MESSAGE = (
    "channel", "key", "digest", "received", "message_type", "application", "facility",
    "control_id", "direction", "replaces",
)  # fmt: skip
_OF_ENTERED = (
    "state", "ack", "error", "finished", "attempts", "maps", "replaced_by", "size_bytes",
)  # fmt: skip


def document(entered: Entered, *, owes: bool) -> Document:
    """Return a message as a document, without its bytes."""
    message = entered.message
    made: Document = {"_id": entered.number}
    made |= {name: getattr(message, name) for name in _OF_MESSAGE}
    made |= {name: getattr(entered, name) for name in _OF_ENTERED}
    made["links"] = _links(entered.links)
    made["is_kept"] = bool(message.raw)
    types = (message.message_type, *message.message_type.split("^")[:2])
    made["types"] = list(dict.fromkeys(types))
    if owes:
        made["owes"] = True
    return made


def entered(found: Document, raw: bytes = b"") -> Entered:
    """Return the message that a document is."""
    message = Received(raw=raw, **{name: found[name] for name in _OF_MESSAGE})
    links = tuple(Key(*link.split("/", 1)) for link in found["links"])
    told = {name: found[name] for name in _OF_ENTERED}
    return Entered(found["_id"], message, links=links, **told)


def counts(found: Document) -> bool:
    """Return whether a message that says the same as this one is a duplicate of it."""
    is_final = found["state"] == "dead" and found["error"].startswith(FINAL)
    return is_final or found["state"] in ("received", "done")


def pieces(number: int, raw: bytes) -> list[Document]:
    """Return the documents of a message's bytes, none if it has none."""
    starts = range(0, len(raw), _PIECE_BYTES)
    return [
        {
            "_id": number + place / 1000 if place else number,
            "raw": raw[start : start + _PIECE_BYTES],
        }
        for place, start in enumerate(starts)
    ]


def left_over(entered: Entered, turn: int) -> Document:
    """Return the document of `under_way` of a message that nobody holds."""
    words = list(dict.fromkeys(entered.message.turns))
    return {"_id": entered.number, "turn": turn, "words": words, "holder": NOBODY}


async def with_bytes(
    connection: Connection, found: list[Document], session: Session = None
) -> list[Entered]:
    """Return the messages of documents, with their bytes."""
    numbers = [one["_id"] for one in found if one["is_kept"]]
    large = [one["_id"] for one in found if one["size_bytes"] > _PIECE_BYTES]
    where: Document = {"_id": {"$in": numbers}}
    if large:
        ranges = [{"_id": {"$gt": number, "$lt": number + 1}} for number in large]
        where = {"$or": [where, *ranges]}
    raws: dict[int, bytes] = {}
    if numbers:
        order = [("_id", ASCENDING)]
        for piece in await connection.find(RAW, where, sort=order, session=session):
            number = int(piece["_id"])
            raws[number] = raws.get(number, b"") + piece["raw"]
    return [entered(one, raws.get(one["_id"], b"")) for one in found]


async def remove_bytes(connection: Connection, numbers: list[int], session: Session) -> None:
    """Remove the bytes of messages."""
    large = {"_id": {"$in": numbers}, "size_bytes": {"$gt": _PIECE_BYTES}}
    found = await connection.find(MESSAGE, large, fields=["_id"], session=session)
    ranges = [{"_id": {"$gt": one["_id"], "$lt": one["_id"] + 1}} for one in found]
    where = {"$or": [{"_id": {"$in": numbers}}, *ranges]}
    await connection[RAW].delete_many(where, session=session)


def condition(selection: Selection) -> Document:
    """Return the filter of a selection."""
    where: list[Document] = []
    if selection.states:
        where.append({"state": {"$in": list(selection.states)}})
    if selection.numbers:
        where.append({"_id": {"$in": list(selection.numbers)}})
    if sender := selection.sender:
        where.append({"$or": [{"application": sender}, {"facility": sender}]})
    if selection.facility:
        where.append({"facility": selection.facility})
    if selection.control_id:
        where.append({"control_id": selection.control_id})
    if selection.channel:
        where.append({"channel": selection.channel})
    if selection.message_type:
        where.append({"types": selection.message_type})
    if selection.since:
        where.append({"received": {"$gte": selection.since}})
    if selection.until:
        where.append({"received": {"$lt": selection.until}})
    if selection.link is not None:
        where += [{"links": link} for link in _links([selection.link])]
    return {"$and": where} if where else {}


def end(finish: Finish) -> Document:
    """Return the update that is the end of a message."""
    return {
        "$set": {
            "state": finish.state,
            "ack": finish.ack,
            "error": finish.error,
            "links": _links(finish.links),
            "finished": finish.finished,
            "maps": finish.maps,
        },
        "$inc": {"attempts": finish.attempts},
    }


def _links(keys: Iterable[Key]) -> list[Any]:
    return [f"{key.resource_type}/{key.logical_id}" for key in keys]
