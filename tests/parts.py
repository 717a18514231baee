"""The parts of a hub, built as `app.py` builds them, with a clock and ids that a test can say."""

import os
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from itertools import count
from random import SystemRandom

from fastapi.dependencies import models

from fhir_hub import fhirjson
from fhir_hub.identity.blocks import DERIVED
from fhir_hub.identity.rules import IDENTIFIER_RULES
from fhir_hub.r4.checks.run import Checks
from fhir_hub.r4.checks.site_rules import SiteRules
from fhir_hub.r4.definitions import Definitions, load_definitions
from fhir_hub.r4.terminology.engine import own_terminology
from fhir_hub.repository.indexing import Indexing, Others, nobody
from fhir_hub.repository.repository import Repository
from fhir_hub.repository.rules import Conduct, Rules
from fhir_hub.repository.stored_terminology import StoredTerminology
from fhir_hub.rest import routes
from fhir_hub.rest.http import Exchange, FhirApp
from fhir_hub.rest.service import Service
from fhir_hub.search.extract import Extractor
from fhir_hub.search.parameters import EVERY_TYPE, Parameters
from fhir_hub.settings import References
from fhir_hub.store.base import Store

randrange = SystemRandom().randrange  # else each worker tries the same
ZONE = timezone(timedelta(hours=8))
START = datetime(2024, 2, 29, 10, tzinfo=UTC)
PATIENCE_S = 120  # for what must come and does at once, but on a busy machine
MEASURE = "COVERAGE_PROCESS_CONFIG"  # what makes coverage follow into a process
measured: dict[str, str] = {}  # that, for the processes that are to be followed into


def free_ports(count: int = 1) -> list[int]:
    """Return ports that nobody has, below those that the system gives to who asks for any."""
    found: list[int] = []
    with ExitStack() as held:
        while len(found) < count:
            port = randrange(20_000, 32_000)
            with suppress(OSError):
                held.enter_context(socket.create_server(("127.0.0.1", port)))
                found.append(port)
    return found


@contextmanager
def no_descriptors() -> Iterator[None]:
    """Let this process open no more files."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


class SetClock:
    """A clock that stands until a test moves it."""

    def __init__(self) -> None:
        self.moment = START

    def __call__(self) -> datetime:
        return self.moment

    def tick(self, seconds: float = 1) -> None:
        self.moment += timedelta(seconds=seconds)


def forget_pages() -> None:
    """Let go of the hubs that have ended: FastAPI remembers their pages, and each is 30 MB."""
    for one in vars(models).values():
        if clear := getattr(one, "cache_clear", None):
            clear()


def exact(number: str) -> object:
    """Return the number as it is read from JSON, digit for digit."""
    return fhirjson.loads(number.encode())


def ids() -> Callable[[], str]:
    """Return a maker of the ids a1, a2, a3 …"""
    numbers: Iterator[int] = count(1)
    return lambda: f"a{next(numbers)}"


@cache
def definitions() -> Definitions:
    return load_definitions()


@cache
def parameters() -> Parameters:
    return Parameters(definitions())


@cache
def all_parameters() -> Parameters:
    """Return the search parameters of a hub that keeps the full text, which is built."""
    found = Parameters(definitions(), full_text=True)
    found.set_built({EVERY_TYPE: found.marks(EVERY_TYPE)}, {})
    return found


@cache
def checks() -> Checks:
    return Checks(definitions())


@cache
def extractor() -> Extractor:
    return Extractor(parameters(), ZONE, derived=DERIVED)


def repository(
    store: Store,
    clock: Callable[[], datetime],
    new_id: Callable[[], str],
    references: References = "off",
    conduct: Conduct | None = None,
) -> Repository:
    made = extractor()
    parts = (checks().require, made, clock, new_id, references)
    rules = Rules(*parts, conduct=conduct)
    return Repository(store, rules, made)


def indexed(
    store: Store,
    clock: Callable[[], datetime],
    new_id: Callable[[], str],
    *,
    full_text: bool = False,
    extraction: str = "",
    others: Others = nobody,
) -> tuple[Service, Indexing]:
    """Return a FHIR side that takes search parameters of the site's own, as one process has it."""
    own = Parameters(definitions(), full_text=full_text)
    extract = Extractor(own, ZONE)
    rules = Rules(checks().require, extract, clock, new_id, parameters=own)
    indexing = Indexing(store, own, extract, extraction=extraction, others=others)
    repository = Repository(store, rules, extract, indexing=indexing)
    return replace(service(repository), parameters=own), indexing


def service(repository: Repository) -> Service:
    stored = StoredTerminology(repository.store)
    return Service(
        repository=repository,
        definitions=definitions(),
        site_rules=SiteRules(definitions(), IDENTIFIER_RULES),
        checks=checks(),
        parameters=parameters(),
        terminology=own_terminology(stored.shelf, stamp=lambda: stored.stamp),
        stored_terminology=stored,
        zone=ZONE,
        dispatch=routes.dispatch,
        interactions=routes.INTERACTIONS,
        operations=routes.OPERATIONS,
        started=START,
        version="0",
    )


def fhir_app(service: Service, exchanges: list[Exchange]) -> FhirApp:
    return FhirApp(service, exchanges.append)
