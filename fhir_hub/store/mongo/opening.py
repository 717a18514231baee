"""From the address of a MongoDB to the store and the journal in its database.

The collections are made, and the server is asked whether it has transactions, before anything
is opened: who starts a hub on an address that cannot work is told so at once.
"""

from fhir_hub.store.base import Finish
from fhir_hub.store.journal import Journal
from fhir_hub.store.memory.journal import MemoryJournal
from fhir_hub.store.mongo.conditions import FEW
from fhir_hub.store.mongo.driver import Session, connect
from fhir_hub.store.mongo.schema import prepare, read_address
from fhir_hub.store.mongo.store import MongoStore


class _Finishes:
    """Ends the messages of a journal in memory when the write is durable."""

    def __init__(self, journal: MemoryJournal) -> None:
        self._journal = journal
        self._under_way: dict[int, Finish] = {}

    async def finish_in(self, session: Session, finish: Finish) -> None:
        """Check that the message can end."""
        self._journal.check(finish)
        self._under_way[finish.number] = finish

    def ended(self, number: int) -> None:
        """Record its end."""
        self._journal.apply(self._under_way.pop(number))


def open_mongo(url: str, few: int = FEW) -> tuple[MongoStore, Journal]:
    """Return the store and journal in the database at `url`, made if need be.

    Raises `CannotOpen` if it cannot be reached or used. `few` is for tests.
    """
    address, name, driver = read_address(url)
    prepare(address, name)
    connection = connect(address, name, driver)
    journal = MemoryJournal()
    return MongoStore(connection, _Finishes(journal), few), journal
