"""Fixtures that every room's tests may use: a clock, ids, a hub's FHIR side over each store."""

import asyncio
import os
import shutil
import sys
import threading
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from pathlib import Path

import httpx
import mongo_server
import parts
import pytest
from coverage.config import CoverageConfig
from hypothesis import HealthCheck, settings

from fhir_hub.collector import calm_collector, collect_rarely
from fhir_hub.repository.repository import Repository
from fhir_hub.rest.http import Exchange
from fhir_hub.store.base import Store
from fhir_hub.store.open import Backend, open_backend

# whether an example holds does not depend on how fast the machine is
settings.register_profile("hub", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("hub")

collect_rarely()  # to collect the tests makes a million objects that stay

# of tests/rest, what depends most on the store; `make test-mongo` runs all of it
ON_MONGO = ("test_bundle", "test_conditional_delete", "test_explain")

# in whose claims the store has no part but to keep what it is given and find it again, which
# tests/store and the comparisons with brute force there claim of each kind; so are these of
# SQLite's alone: what messages mean (tests/hl7v2/meaning), and of tests/rest
STORE_HAS_NO_PART = (
    *("test_capabilities", "test_capabilities_tried", "test_http", "test_media"),
    *("test_operation_definitions", "test_patch", "test_terminology_expanded"),
    *("test_terminology_judged", "test_terminology_translated"),
)


def untraced(item: pytest.Item) -> Generator[None, object, object]:
    """Trace nothing in a test that is marked `no_cover`, nor in what it is given.

    In a worker of pytest-xdist pytest-cov measures twice, and pauses one of the two.
    """
    if item.get_closest_marker("no_cover") is None:
        return (yield)
    traces = sys.gettrace(), threading.gettrace()
    sys.settrace(None)
    threading.settrace(None)
    try:
        return (yield)
    finally:
        sys.settrace(traces[0])
        threading.settrace(traces[1])


pytest_runtest_setup = pytest.hookimpl(untraced, wrapper=True, trylast=True)
pytest_runtest_call = pytest.hookimpl(untraced, wrapper=True, trylast=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the dearest, the hubs of processes: at the end a worker would wait for another."""
    items.sort(key=lambda item: item.path.parent.name not in ("whole", "faults"))


def pytest_collection_finish() -> None:
    """Spare the garbage collector the tests that were collected, and their modules."""
    calm_collector()


@pytest.fixture(scope="session", autouse=True)
def measure_workers_only() -> None:
    """Let coverage follow into no process but those of `workers/`: it makes them slow.

    Those are forks of the hub. To begin anew in a fork of the tests' own process costs seconds.
    """
    if (text := os.environ.pop(parts.MEASURE, None)) is not None:
        config = CoverageConfig.deserialize(text)
        config.patch += ["fork", "_exit"]
        parts.measured[parts.MEASURE] = config.serialize()


@pytest.fixture
def clock() -> parts.SetClock:
    return parts.SetClock()


@pytest.fixture
async def waited(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let seconds pass for the loop: what waits so long is over, however quick the machine is."""
    loop = asyncio.get_running_loop()
    plain, passed = loop.time, [0.0]
    monkeypatch.setattr(loop, "time", lambda: plain() + passed[0])

    def wait(seconds: float) -> None:
        passed[0] += seconds

    return wait


@pytest.fixture(scope="session")
def mongodb() -> Iterator[str]:
    """The address of a MongoDB, one for all tests; started when the first asks for it."""
    with mongo_server.running() as address:
        yield address


@pytest.fixture(scope="session")
def mongo_database(mongodb: str) -> Iterator[str]:
    """The address of a database on it."""
    with mongo_server.fresh(mongodb) as url:
        yield url


@pytest.fixture
def mongo_url(mongo_database: str) -> Iterator[str]:
    """The address of an empty database."""
    with mongo_server.emptied(mongo_database) as url:
        yield url


@pytest.fixture(scope="session")
def made_on_mongo(mongodb: str) -> Iterator[mongo_server.Made]:
    with mongo_server.made(mongodb) as made:
        yield made


@pytest.fixture
def mongo_store(made_on_mongo: mongo_server.Made) -> Iterator[str]:
    """The address of a database that a hub has made and not used."""
    yield made_on_mongo.url
    made_on_mongo.renew()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what asks for a store on each kind; `FHIR_HUB_TEST_STORES=mongo,pymongo` says on which.

    `pymongo` is MongoDB through PyMongo's own asyncio client.
    """
    if "store_kind" in metafunc.fixturenames:
        path = metafunc.definition.path
        kinds = ["memory", "sqlite"]
        if path.parent.name == "store":
            kinds += ["forwarded", "mongo"]
        elif path.stem in ON_MONGO:
            kinds += ["mongo"]
        elif path.parent.name == "meaning" or path.stem in STORE_HAS_NO_PART:
            kinds = ["sqlite"]
        asked = os.environ.get("FHIR_HUB_TEST_STORES")
        metafunc.parametrize("store_kind", asked.split(",") if asked else kinds)


@pytest.fixture(scope="session")
def empty_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of SQLite with its tables, to copy: to make them costs more than most tests."""
    path = tmp_path_factory.mktemp("empty") / "hub.db"

    async def make() -> None:
        await open_backend(f"sqlite:{path}").close()

    asyncio.run(make())
    return path


@pytest.fixture
def store_url(store_kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """The address of an empty store of a kind."""
    if store_kind in ("mongo", "pymongo"):
        url = str(request.getfixturevalue("mongo_store"))
        return url if store_kind == "mongo" else f"{url}{'&' if '?' in url else '?'}driver=pymongo"
    if store_kind == "memory":
        return "memory:"
    path = tmp_path / "folder" / "hub.db"
    path.parent.mkdir()
    shutil.copyfile(request.getfixturevalue("empty_file"), path)
    return f"sqlite:{path}"


@pytest.fixture
async def backend(store_url: str) -> AsyncIterator[Backend]:
    """A store and a journal; every test that asks for it runs on each kind."""
    opened = open_backend(store_url)
    yield opened
    await opened.close()


@pytest.fixture
def store(backend: Backend) -> Store:
    return backend.store


@pytest.fixture
def repository(store: Store, clock: parts.SetClock) -> Repository:
    return parts.repository(store, clock, parts.ids())


@pytest.fixture
def exchanges() -> list[Exchange]:
    return []


@pytest.fixture
async def client(
    repository: Repository, exchanges: list[Exchange]
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the FHIR side; addresses are relative to the base."""
    app = parts.fhir_app(parts.service(repository), exchanges)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://hub.test/fhir/") as client:
        yield client
