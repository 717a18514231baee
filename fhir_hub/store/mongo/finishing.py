"""The end of a message, in the transaction that writes what it made."""

from fhir_hub.store.base import Conflict, Finish
from fhir_hub.store.mongo.driver import Connection, Session, told
from fhir_hub.store.mongo.messages import MESSAGE, UNDER_WAY, end


async def finish_in(connection: Connection, session: Session, finish: Finish) -> None:
    """Write the end of a message in the transaction of `session`.

    Raises `Conflict` if there is no such message or it has ended already.
    """
    where: dict[str, object] = {"_id": finish.number}
    if not finish.is_again:
        where["state"] = {"$ne": "done"} if finish.is_aside else "received"
    with told():
        done = await connection[MESSAGE].update_one(where, end(finish), session=session)
        if not done.matched_count:
            raise Conflict("the message has ended already, or is unknown")
        await connection[UNDER_WAY].delete_one({"_id": finish.number}, session=session)
