"""From the address of a MongoDB to the store and the journal in its database.

The collections are made, and the server is asked whether it has transactions, before anything
is opened: who starts a hub on an address that cannot work is told so at once.
"""

from typing import NamedTuple

from fhir_hub.store.mongo.codes_seen import MongoCodes
from fhir_hub.store.mongo.conditions import FEW
from fhir_hub.store.mongo.crew import MongoCrew
from fhir_hub.store.mongo.driver import connect
from fhir_hub.store.mongo.journal import MongoJournal
from fhir_hub.store.mongo.schema import prepare, read_address
from fhir_hub.store.mongo.store import MongoStore
from fhir_hub.store.mongo.streams import MongoNews


class Opened(NamedTuple):
    """The parts of an open database."""

    store: MongoStore
    journal: MongoJournal
    crew: MongoCrew
    codes: MongoCodes
    news: MongoNews

    async def close(self) -> None:
        """Close them, and say that this process is no more at work."""
        await self.news.close()
        await self.journal.close()
        await self.crew.leave()
        await self.store.close()


def open_mongo(url: str, few: int = FEW) -> Opened:
    """Return the parts of the database at `url`.

    It is made if need be. Raises `CannotOpen` if it cannot be reached or used. `few` is for tests.
    """
    address, name, driver = read_address(url)
    prepare(address, name)
    connection = connect(address, name, driver)
    crew = MongoCrew(connection)
    journal = MongoJournal(connection, crew)
    store, codes = MongoStore(connection, journal, few), MongoCodes(connection)
    return Opened(store, journal, crew, codes, MongoNews(connection))
