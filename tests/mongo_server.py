"""A MongoDB to test on: SecantusDB, a server of the wire protocol from PyPI, in its own process.

`FHIR_HUB_TEST_MONGODB` names a real one instead (`mongodb://127.0.0.1:27017/?replicaSet=rs0`);
each run gets a database of its own there too, which is dropped at the end. Run as a program this
starts SecantusDB on a free port, says its address, and ends when its input does (so that none is
left behind by tests that were killed).

It has transactions with their snapshots, change streams (also filtered by what an update changed)
and `killSessions`, and fails where it is told to (`failCommand`). What SecantusDB 0.7.0b3 lacks,
and so what these tests say nothing about unless they run on a real one: more than one member
(elections, write concern over a majority that is not one, replica lag, stale reads), snapshots
outside a transaction (it tells a time, and reads what is there now: so a search of several
statements, and a batch of `fhir-hub check`, while others write), sharding (the two-phase commit of
transactions, chunks, zones), text, hashed and wildcard indexes, compression on the wire, disk that
is given back (`compact`, `freeStorageSize`), an order from the index of several equal prefixes
(`explain` shows a sort where MongoDB merges), the walk of an index by a regular expression or by
`$elemMatch` (a regular expression beside another field of a compound index finds nothing there,
unless it stands in an `$and`, as all of ours do: then every document is read), the error of an
operation whose session was killed while it ran, and speed: 60 to 120 inserts a second.
"""

import atexit
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

from pymongo import MongoClient

HUB = "hub"
# whether tests of what no store has a part in run on the stand-in
IS_SLOW = (
    os.environ.get("FHIR_HUB_TEST_STORES") == "mongo" and "FHIR_HUB_TEST_MONGODB" not in os.environ
)
# what lasts when a process ends: on which such store tests run that have no need of each kind
KINDS = os.environ.get("FHIR_HUB_TEST_STORES", "sqlite").split(",")


@contextmanager
def running() -> Iterator[str]:
    """Yield the address of a MongoDB, without a database."""
    given = os.environ.get("FHIR_HUB_TEST_MONGODB")
    if given:
        yield given
        return
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, folder]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
            assert server.stdout is not None
            yield server.stdout.readline().decode().strip()
            server.kill()  # its files go with the folder


@contextmanager
def fresh(address: str) -> Iterator[str]:
    """Yield the address of an empty database, which is dropped at the end."""
    parts = urlsplit(address)
    name = f"test_{uuid4().hex[:12]}"
    try:
        yield urlunsplit((parts.scheme, parts.netloc, f"/{name}", parts.query, ""))
    finally:
        with MongoClient(address) as client:
            client.drop_database(name)


@contextmanager
def thrown_away() -> Iterator[str]:
    """Yield the address of a database on a server of its own, which ends without being asked to.

    For what dies in the middle of a transaction: until MongoDB gives that one up, after a minute,
    the database could not be dropped.
    """
    if "FHIR_HUB_TEST_MONGODB" in os.environ:
        with running() as address, fresh(address) as url:
            yield url
        return
    with running() as address:
        parts = urlsplit(address)
        yield urlunsplit((parts.scheme, parts.netloc, "/hub", parts.query, ""))


@contextmanager
def emptied(url: str) -> Iterator[str]:
    """Yield the address of a database that is empty again at the end, its indexes kept.

    To make the indexes costs more than most tests.
    """
    try:
        yield url
    finally:
        with MongoClient(url) as client:
            database = client.get_default_database()
            for name in database.list_collection_names():
                database[name].delete_many({})


class Made(NamedTuple):
    """A database as a hub has made it, and what stands in its collection `hub` then."""

    url: str
    database: Any
    hub: list[dict[str, Any]]

    def renew(self) -> None:
        """Make it again what it was; an index that a test has removed does not come back."""
        for name in self.database.list_collection_names():
            self.database[name].delete_many({})
        self.database[HUB].insert_many(self.hub)


@contextmanager
def made(address: str) -> Iterator[Made]:
    """Yield a database that is dropped at the end. To open it is a seventh of to make one."""
    from fhir_hub.store.mongo.schema import prepare, read_address

    with fresh(address) as url, MongoClient(url) as client:
        prepare(*read_address(url)[:2])
        database = client.get_default_database()
        yield Made(url, database, [*database[HUB].find()])


@contextmanager
def store_asked_for() -> Iterator[str]:
    """Yield the address of an empty store: in memory, or on MongoDB if the tests run on that.

    For the many tests of what no store has a part in; `FHIR_HUB_TEST_STORES=mongo` shows so.
    """
    if os.environ.get("FHIR_HUB_TEST_STORES") != "mongo":
        yield "memory:"
        return
    with fresh(_one_for_all()) as url:
        yield url


@cache
def _one_for_all() -> str:
    """Return the address of a MongoDB that ends with this process."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(running())


def _serve(folder: str) -> None:
    from secantus import SecantusDBServer

    with SecantusDBServer(storage_path=folder) as server:
        sys.stdout.write(f"{server.uri}\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    _serve(sys.argv[1])
