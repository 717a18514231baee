"""From the address of a MongoDB to the store and the journal in its database.

The collections are made, and the server is asked whether it has transactions, before anything
is opened: who starts a hub on an address that cannot work is told so at once.
"""

from fhir_hub.store.mongo.codes_seen import MongoCodes
from fhir_hub.store.mongo.conditions import FEW
from fhir_hub.store.mongo.crew import MongoCrew
from fhir_hub.store.mongo.driver import connect
from fhir_hub.store.mongo.journal import MongoJournal
from fhir_hub.store.mongo.schema import prepare, read_address
from fhir_hub.store.mongo.store import MongoStore


def open_mongo(url: str, few: int = FEW) -> tuple[MongoStore, MongoJournal, MongoCrew, MongoCodes]:
    """Return the store, the journal, the crew and the local codes of the database at `url`.

    It is made if need be. Raises `CannotOpen` if it cannot be reached or used. `few` is for tests.
    """
    address, name, driver = read_address(url)
    prepare(address, name)
    connection = connect(address, name, driver)
    crew = MongoCrew(connection)
    journal = MongoJournal(connection, crew)
    return MongoStore(connection, journal, few), journal, crew, MongoCodes(connection)
