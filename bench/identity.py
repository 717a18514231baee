"""`make bench-identity`: how often the hub recognises a person, and how often it is wrong.

A made town of 100,000 people (`people.py`) is registered by one institution's desk; another desk
then registers people whom the hub knows, and people whom it does not: newcomers, and the twins,
brothers and namesakes of known ones. Each desk makes its own mistakes (`mistakes.py`). Each second
record is asked of the engine that `$match` and HL7v2 messages ask, over a database file as a hub
has it. A decision is *automatic* if there is exactly one certain match.

    python -m bench.identity
    python -m bench.identity --people 5000 --asked 1000
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NamedTuple

from bench.hub import machine
from bench.mistakes import Desk
from bench.people import Person, Town
from bench.table import keep
from fhir_hub import fhirjson
from fhir_hub.identity import doubles
from fhir_hub.identity.blocks import DERIVED
from fhir_hub.identity.systems import ALIASES, RESIDENT_ID
from fhir_hub.r4.definitions import load_definitions
from fhir_hub.search.extract import Extractor
from fhir_hub.search.parameters import Parameters
from fhir_hub.store.base import Change, Store
from fhir_hub.store.open import open_backend

ZONE = timezone(timedelta(hours=8))
_BATCH = 2000


class Asked(NamedTuple):
    """A second record, and the logical id of the person's first (empty: there is none)."""

    record: dict[str, Any]
    truth: str
    is_twin: bool
    has_number: bool


@dataclass
class Outcome:
    """What was decided: counts of automatic decisions, and of pairs shown to people."""

    known: int = 0
    strangers: int = 0
    right: int = 0
    wrong: int = 0
    listed: int = 0
    pairs: int = 0
    true_pairs: int = 0
    twins: int = 0
    twins_wrong: int = 0
    unnumbered: int = 0
    unnumbered_right: int = 0
    unnumbered_listed: int = 0
    cpu_s: float = 0.0
    worst_ms: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)

    @property
    def asked(self) -> int:
        return self.known + self.strangers


def town(
    people: int, asked: int, seed: int, twins: float = 0.008
) -> tuple[list[dict[str, Any]], list[Asked]]:
    """Return the first records of `people`, and the second ones of some and of strangers."""
    maker = Town(seed, twins)
    everybody = list(maker.people(people + people // 5))
    dice = random.Random(seed + 1)
    # one in six is not known yet; of a household some may be known and some not
    strangers = set(dice.sample(range(len(everybody)), len(everybody) - people))
    households: dict[int, list[Person]] = {}
    for person in everybody:
        households.setdefault(person.household, []).append(person)
    first, second = Desk(maker, seed + 2, "SHTH01"), Desk(maker, seed + 3, "ZJJCHC")

    def relative(person: Person) -> Person | None:
        others = [one for one in households[person.household] if one is not person]
        return dice.choice(others) if others else None

    records, truths = [], {}
    for place, person in enumerate(everybody):
        if place not in strangers:
            truths[place] = f"p{len(records)}"
            records.append(first.record(person, relative(person)) | {"id": truths[place]})
    chosen = dice.sample(range(len(everybody)), min(asked, len(everybody)))
    chosen += [n for n, one in enumerate(everybody) if one.is_twin][: asked // 10]
    questions = []
    for place in dict.fromkeys(chosen):
        person = everybody[place]
        record = second.record(person, relative(person))
        truth = truths.get(place, "")
        both = truth and _is_numbered(record) and _is_numbered(records[int(truth[1:])])
        questions.append(Asked(record, truth, person.is_twin, bool(both)))
    return records, questions


def _is_numbered(record: dict[str, Any]) -> bool:
    """Say whether a record has a resident ID that can be right."""
    numbers = record["identifier"]
    return any(one["system"] == RESIDENT_ID and one["use"] == "official" for one in numbers)


async def store_all(store: Store, records: list[dict[str, Any]]) -> None:
    """Store the first records as a hub would, in batches."""
    extractor = Extractor(Parameters(load_definitions()), ZONE, aliases=ALIASES, derived=DERIVED)
    for changes in _batches(extractor, records):
        await store.write(changes)


def _batches(extractor: Extractor, records: list[dict[str, Any]]) -> Iterator[list[Change]]:
    for start in range(0, len(records), _BATCH):
        yield [
            Change(
                "Patient",
                one["id"],
                1,
                1,
                "POST",
                fhirjson.dumps(one),
                extractor.entries(one, targets=()),
            )
            for one in records[start : start + _BATCH]
        ]


async def ask(store: Store, questions: list[Asked]) -> Outcome:
    """Return what the engine decides of each second record."""
    outcome, source = Outcome(), doubles.OfStore(store)
    for one in questions:
        started = time.process_time()
        found = await doubles.find(one.record, source)
        spent = time.process_time() - started
        outcome.cpu_s += spent
        outcome.worst_ms = max(outcome.worst_ms, spent * 1000)
        _count(outcome, one, found)
    return outcome


def _count(outcome: Outcome, one: Asked, found: list[doubles.Double]) -> None:
    certain = [each for each in found if each.score.grade == "certain"]
    automatic = certain[0].stored.logical_id if len(certain) == 1 else ""
    listed = [each.stored.logical_id for each in found]
    is_right = bool(automatic) and automatic == one.truth
    outcome.known += bool(one.truth)
    outcome.strangers += not one.truth
    outcome.right += is_right
    outcome.wrong += bool(automatic) and not is_right
    outcome.listed += one.truth in listed
    outcome.pairs += len(listed)
    outcome.true_pairs += one.truth in listed
    if one.is_twin:
        outcome.twins += 1
        outcome.twins_wrong += bool(automatic) and not is_right
    if one.truth and not one.has_number:
        outcome.unnumbered += 1
        outcome.unnumbered_right += is_right
        outcome.unnumbered_listed += one.truth in listed
    if automatic and not is_right:
        outcome.faults[_why(certain[0])] += 1
    elif one.truth and one.truth not in listed:
        outcome.faults["missed"] += 1


def _why(double: doubles.Double) -> str:
    return ", ".join(f"{part.field} {part.level}" for part in double.score.parts)


def _share(part: int, whole: int) -> str:
    return f"{part / whole * 100:.3f} % ({part:,} of {whole:,})" if whole else "none"


def table(outcome: Outcome, people: int, cpu_ms: float) -> str:
    """Return the figures beside what was asked for."""
    decided = outcome.right + outcome.wrong
    rows = (
        ("precision, automatic (certain)", "≥ 99.9 %", _share(outcome.right, decided)),
        ("recall, automatic (certain)", "", _share(outcome.right, outcome.known)),
        ("recall, certain or on the review list", "≥ 97 %", _share(outcome.listed, outcome.known)),
        ("precision of all pairs shown", "", _share(outcome.true_pairs, outcome.pairs)),
        (
            "recall, automatic, without a valid resident ID on both sides",
            "",
            _share(outcome.unnumbered_right, outcome.unnumbered),
        ),
        (
            "recall, certain or listed, without one on both sides",
            "",
            _share(outcome.unnumbered_listed, outcome.unnumbered),
        ),
        ("twins asked for, merged wrongly", "0", f"{outcome.twins_wrong} of {outcome.twins:,}"),
        ("CPU a match, mean", "≤ 5 ms", f"{cpu_ms:.2f} ms"),
        ("CPU a match, worst", "", f"{outcome.worst_ms:.2f} ms"),
    )
    head = f"| {people:,} people, {outcome.asked:,} records asked for | target | reached |\n"
    return head + "|---|---|---|\n" + "".join(f"| {' | '.join(row)} |\n" for row in rows)


async def measure(people: int, asked: int, seed: int, folder: Path) -> tuple[Outcome, str]:
    """Return the outcome over a database file in `folder`, and its table."""
    records, questions = town(people, asked, seed)
    backend = open_backend(f"sqlite:{folder / 'people.sqlite'}")
    try:
        await store_all(backend.store, records)
        outcome = await ask(backend.store, questions)
    finally:
        await backend.close()
    cpu_ms = outcome.cpu_s * 1000 / max(1, outcome.asked)
    return outcome, table(outcome, len(records), cpu_ms)


def main() -> int:
    """Measure, print the table, and keep it."""
    parser = argparse.ArgumentParser(prog="bench.identity", description=__doc__)
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--asked", type=int, default=30_000)
    parser.add_argument("--seed", type=int, default=20_261_125)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outcome, text = asyncio.run(
            measure(options.people, options.asked, options.seed, Path(folder))
        )
    said = f"`python -m bench.identity {' '.join(sys.argv[1:])}`".replace(" `", "`")
    faults = "".join(f"- {count} × {why}\n" for why, count in outcome.faults.most_common(20))
    page = f"# {datetime.now(UTC):%Y-%m-%d %H:%M}Z, who is who\n\n{said}, {machine()}\n\n{text}\n"
    page += f"Automatic and wrong, by what agreed; and missed altogether:\n\n{faults}"
    print(page)
    keep("identity", page)
    return 0 if outcome.right >= 0.999 * (outcome.right + outcome.wrong) else 1


if __name__ == "__main__":
    sys.exit(main())
