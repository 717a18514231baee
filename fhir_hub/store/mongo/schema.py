"""The collections and their indexes, made when a database is opened; each step can be repeated.

| collection | a document is | `_id` |
|---|---|---|
| `resource` | the current version of a resource, and what it says (`documents.py`) | `Patient/1` |
| `version` | one version of a resource | its sequence |
| `hub` | the order of commits (`order`), a note (`note:…`), this version (`schema`) | a name |

Every search is of live resources, and only these have a type `t`: an index that begins with it
holds no deletion. No index is unique but that of `_id`, so each collection can be sharded; what
is unique is so because commits come one after the other (`writer.py`).
"""

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from pymongo import ASCENDING, DESCENDING, IndexModel, MongoClient, ReadPreference
from pymongo.errors import CollectionInvalid, DuplicateKeyError, OperationFailure, PyMongoError
from pymongo.uri_parser import parse_uri

from fhir_hub.store.base import CannotOpen
from fhir_hub.store.mongo.codes_seen import CODE_SEEN
from fhir_hub.store.mongo.driver import DURABLE, DriverName
from fhir_hub.store.mongo.messages import JOURNAL_INDEXES, NUMBERS, PROCESS, RAW

SCHEMA = 2
RESOURCE, VERSION, HUB = "resource", "version", "hub"
ORDER = "order"  # the document that every commit of resources changes
SPREADS = "spreads"  # what intervals there are (`spreads.py`)
_PLAIN = (RAW, PROCESS, CODE_SEEN)  # without an index beside that of `_id`
_EXISTS = 48
_DATABASE = "fhir_hub"
_OPEN_MS = 10_000


def _index(*fields: str, **options: Any) -> IndexModel:
    keys = [(f.lstrip("-"), DESCENDING if f[0] == "-" else ASCENDING) for f in fields]
    return IndexModel(keys, **options)


INDEXES: dict[str, list[IndexModel]] = {
    RESOURCE: [
        _index("t", "n"),
        _index("t", "u", "n"),
        _index("t", "x", "n"),
        _index("t", "d.k", "d.l", "n"),
        _index("t", "d.k", "d.h", "n"),
        _index("f", sparse=True),
    ],
    VERSION: [_index("k", "v"), _index("t", "-_id"), _index("u")],
    HUB: [],
    **JOURNAL_INDEXES,
}


def read_address(url: str) -> tuple[str, str, DriverName]:
    """Return the address for the driver, the name of the database, and which driver it is for.

    `driver=pymongo` in the address asks for PyMongo's own client instead of `motor`. Raises
    `CannotOpen` if it is no address; its text does not hold the address, which may hold a password.
    """
    parts = urlsplit(url)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    driver = next((value for name, value in pairs if name.lower() == "driver"), "motor")
    rest = urlencode([pair for pair in pairs if pair[0].lower() != "driver"], safe=":,/")
    if driver not in ("motor", "pymongo"):
        raise CannotOpen(
            "driver= in the address of MongoDB is motor or pymongo"
            " / MongoDB 地址中的 driver 只能是 motor 或 pymongo"
        )
    bare = urlunsplit((parts.scheme, parts.netloc, parts.path or ("/" if rest else ""), rest, ""))
    try:
        name = parse_uri(bare)["database"] or _DATABASE
    except (PyMongoError, ValueError) as error:
        raise CannotOpen(
            f"the address of MongoDB is no good ({type(error).__name__}); write"
            " mongodb://HOST:PORT/DATABASE?replicaSet=NAME / MongoDB 地址无效"
        ) from None
    return bare, name, "pymongo" if driver == "pymongo" else "motor"


def prepare(url: str, name: str) -> None:
    """Make the collections and indexes that are missing. Raises `CannotOpen` where that fails."""
    options: dict[str, Any] = {"appname": "fhir-hub"}
    if "serverselectiontimeoutms" not in url.lower():
        options["serverSelectionTimeoutMS"] = _OPEN_MS
    try:
        with MongoClient[dict[str, Any]](url, **options) as client:
            _require_transactions(client.admin.command("hello"))
            database = client.get_database(
                name, read_preference=ReadPreference.PRIMARY, write_concern=DURABLE
            )
            found = database[HUB].find_one({"_id": "schema"})
            if found is not None and found["version"] > SCHEMA:
                raise CannotOpen(
                    "the database was made by a newer version of fhir-hub"
                    " / 数据库由更新版本的 fhir-hub 创建"
                )
            if found is None or found["version"] < SCHEMA:
                for collection, indexes in INDEXES.items():
                    if indexes:
                        database[collection].create_indexes(indexes)
                for collection in _PLAIN:  # a transaction over shards can make none
                    _create(database, collection)
                _make(database[HUB], {"_id": ORDER, "s": 0, "n": 0, "g": 0, "w": 0, "c": {}})
                _make(database[HUB], {"_id": NUMBERS, "n": 0, "t": 0})
                _make(database[HUB], {"_id": "schema", "version": SCHEMA})
                database[HUB].update_one({"_id": "schema"}, {"$max": {"version": SCHEMA}})
    except PyMongoError as error:
        raise CannotOpen(
            f"cannot open the database {name} of MongoDB ({type(error).__name__})"
            " / 无法打开 MongoDB 数据库"
        ) from None


def _create(database: Any, collection: str) -> None:
    """Make a collection, if there is none, nor meanwhile."""
    try:
        database.create_collection(collection)
    except CollectionInvalid:
        return
    except OperationFailure as error:
        if error.code != _EXISTS:
            raise


def _make(collection: Any, document: dict[str, Any]) -> None:
    """Insert a document, if no other process has done so meanwhile."""
    try:
        collection.insert_one(document)
    except DuplicateKeyError:
        return


def _require_transactions(hello: dict[str, Any]) -> None:
    if "setName" not in hello and hello.get("msg") != "isdbgrid":
        raise CannotOpen(
            "MongoDB runs as a single server without a replica set, so it has no transactions;"
            " start it with --replSet / MongoDB 须以副本集或分片集群方式运行"
        )
