"""What `make bench` measures: each work with its clients, its requests and its target.

Targets are those of the issue that asked for this hub; the budgets are the hub's processor time
for one of them, in microseconds of a quiet core.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from bench import data
from bench.load import http
from bench.records import home_id, patient_id, result_id
from bench.searches import EVERYTHING, SEARCHES


@dataclass(frozen=True)
class Target:
    """At least so many a second (resources, where `each` is above 1), at most so many ms."""

    per_second: int = 0
    p50_ms: float = 0
    p99_ms: float = 0

    def __str__(self) -> str:
        parts = [f"≥ {self.per_second:,}/s"] if self.per_second else []
        parts += [f"p50 < {self.p50_ms:g} ms"] if self.p50_ms else []
        parts += [f"p99 < {self.p99_ms:g} ms"] if self.p99_ms else []
        return ", ".join(parts)

    def is_met(self, per_second: float, p50_ms: float, p99_ms: float) -> bool:
        return (
            per_second >= self.per_second
            and p50_ms < (self.p50_ms or 1e9)
            and p99_ms < (self.p99_ms or 1e9)
        )


@dataclass(frozen=True)
class Work:
    """One kind of request. `each` is how many resources one writes; `budget_us` for one of them."""

    name: str
    clients: int
    make: Callable[[int], bytes]
    target: Target = Target()
    with_workers: Target | None = None
    each: int = 1
    budget_us: int = 0
    is_mllp: bool = False

    def for_workers(self, workers: int) -> "Work":
        """Return the work with the target of so many processes."""
        if workers > 1 and self.with_workers:
            return replace(self, target=self.with_workers)
        return self


def works(people: int, large: str) -> Iterator[Work]:
    """Yield the works over a database of so many people; `large` is a Patient of 2 KB."""

    def someone(n: int) -> str:
        return f"Patient/{patient_id(1 + n * 7919 % people)}"

    def create(n: int) -> bytes:
        body = data.observation(10_000_000 + n, someone(n))
        return http("POST", "/fhir/Observation", data.dumps(body))

    def search(n: int) -> bytes:
        return http("GET", SEARCHES[0].path(n, people))

    def transaction(n: int) -> bytes:
        return http("POST", "/fhir", data.dumps(data.transaction(1_000_000 + n)))

    read = http("GET", f"/fhir/Patient/{large}")
    yield Work(
        "read 2 KB", 32, lambda n: read, Target(8000, p99_ms=20), Target(10_000), budget_us=100
    )
    yield Work("create Observation", 32, create, Target(2500), Target(2500), budget_us=400)
    yield Work(
        "mixed create/read/update/delete 10/60/25/5",
        32,
        Mixed(people).request,
        Target(3500),
        Target(4500),
    )
    yield Work(
        "transaction of 100", 8, transaction, Target(4000), Target(4000), each=100, budget_us=200
    )
    yield Work(
        "search patient + code + date, 20 found",
        32,
        search,
        Target(3000),
        Target(4000),
        budget_us=250,
    )
    # the issue names 32 clients for reads and creates only: at 3,000/s they wait 10.7 ms each
    yield Work("the same, 16 clients", 16, search, Target(p50_ms=8))
    yield Work("the same, alone", 1, search, Target(p50_ms=1))
    for one in (*SEARCHES[1:], EVERYTHING):
        yield Work(one.name, 1, _asking(one.path, people), Target(p50_ms=one.p50_ms))
    yield Work("ORU of 10 OBX over MLLP", 16, data.oru, Target(250, p99_ms=250), is_mllp=True)


def _asking(path: Callable[[int, int], str], people: int) -> Callable[[int], bytes]:
    return lambda n: http("GET", path(n, people))


class Mixed:
    """Creates, reads, updates and deletes in R4's own words, 10 to 60 to 25 to 5.

    What is deleted is never asked for again: reads are of results, updates of what was measured at
    home early, deletes of what was measured there late, each once.
    """

    def __init__(self, people: int) -> None:
        self.people = people
        self._random = random.Random(1)
        self._deleted = 0

    def request(self, n: int) -> bytes:
        dice, person = self._random.random(), 1 + self._random.randrange(self.people)
        if dice < 0.10:
            body = data.observation(20_000_000 + n, f"Patient/{patient_id(person)}")
            return http("POST", "/fhir/Observation", data.dumps(body))
        if dice < 0.70:
            return http("GET", f"/fhir/Observation/{result_id(person, n % 4, n % 12)}")
        if dice < 0.95 or self._deleted >= 15 * self.people:
            own = home_id(person, n % 15)
            body = data.observation(30_000_000 + n, f"Patient/{patient_id(person)}") | {"id": own}
            return http("PUT", f"/fhir/Observation/{own}", data.dumps(body))
        self._deleted += 1
        person, place = 1 + self._deleted % self.people, 16 + self._deleted // self.people
        return http("DELETE", f"/fhir/Observation/{home_id(person, place)}")
