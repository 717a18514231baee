"""Local codes that came, one document for each code of a sender; all hubs count them up."""

from collections.abc import Sequence
from typing import Any

from pymongo import UpdateOne

from fhir_hub.errors import Unavailable
from fhir_hub.store.mongo.driver import Connection, Refused, Session
from fhir_hub.store.terminology.codes_seen import Seen, by_frequency

CODE_SEEN = "code_seen"


class MongoCodes:
    """The codes of a database."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Add counts, all or none. Raises `OSError` if they cannot be written now."""
        updates = [_update(Seen(*map(_writable, row))) for row in rows]

        async def work(session: Session) -> None:
            await self._connection[CODE_SEEN].bulk_write(updates, session=session)

        try:
            await self._connection.transaction(work)
        except (Unavailable, Refused) as error:
            raise OSError(f"local codes: {type(error).__name__}") from None

    async def all(self, sender: str = "") -> list[Seen]:
        """Return the codes of a sender, or of all, the most frequent first."""
        where = {"_id.sender": sender} if sender else {}
        found = await self._connection.find(CODE_SEEN, where)
        return by_frequency(map(_read, found))


def _read(one: dict[str, Any]) -> Seen:
    fields = dict.fromkeys([one.pop("field", ""), *one.pop("fields", ())])
    return Seen(**one.pop("_id"), field=" ".join(filter(None, fields)), **one)


def _update(one: Seen) -> UpdateOne:
    key = {"sender": one.sender, "system": one.system, "code": one.code}
    change = {
        "$inc": {"times": one.times},
        "$min": {"first": one.first},
        "$max": {"last": one.last},
        "$set": {"display": one.display},
        "$addToSet": {"fields": one.field},
    }
    return UpdateOne({"_id": key}, change, upsert=True)


def _writable(value: Any) -> Any:
    """Return a text without what BSON has no bytes for."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
