"""`kill -9` between any two steps: after the next start each message is applied exactly once.

docs/journal.md lists the steps. Every way that a message can take is gone with a hub that is killed
after one of its steps, then after the next, all on one store; what comes of each is what came of
the way that was gone undisturbed. `FHIR_HUB_TEST_KILLS` above 3 kills at every step of every way
and each time that it is reached, also a hub of several processes, and one on MongoDB.
"""

import inspect
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import mongo_server
import pytest
from faults.journeys import JOURNEYS, SERVING, SEVERAL, Journey
from faults.outcome import shapes, states
from faults.steps import PLACES
from faults.world import World

from fhir_hub.hl7v2.wire.sender import control_id
from fhir_hub.store.base import Store
from fhir_hub.store.journal import Journal

pytestmark = pytest.mark.no_cover
IS_LONG = int(os.environ.get("FHIR_HUB_TEST_KILLS", "3")) > 3
# what only reads; `adopt` is of `fhir-hub copy`, while nothing is received
READS = {"read", "vread", "read_many", "notes", "generation", "referrers", "search", "explain"}
READS |= {"search_all", "history", "status", "find", "recent", "select", "tally"}
READS |= {"owing", "elsewhere"}
OTHERS = {"close", "adopt", "shrink", "reindex"}  # `reindex` sets the notes of the outbox
DOCS = Path(__file__).parents[2] / "docs" / "journal.md"


class Death(NamedTuple):
    """Where a hub died, if it did (`step` is empty: it was not to), and in whose way."""

    journey: str
    step: str
    turn: int
    tag: str
    has_died: bool


class Walk:
    """All ways, gone one after the other; then what came of them."""

    def __init__(self, world: World, journeys: dict[str, Journey]) -> None:
        self.world, self.deaths = world, list[Death]()
        self._tags = (f"U{number:04d}U" for number in range(1, 10_000))
        self._turns = 4 if IS_LONG and world.is_on_sqlite else 1
        seen = set[str]()
        for name, journey in journeys.items():
            self._go(name, journey)
            for step in journey.steps:
                if IS_LONG or step not in seen:
                    seen.add(step)
                    self._die(name, journey, step)
        self._hear_again()
        self.shapes, self.states = shapes(world), states(world)

    def _go(self, name: str, journey: Journey, step: str = "", turn: int = 1) -> bool:
        world, tag = self.world, next(self._tags)
        world.up()
        if step and journey.begins_with:
            world.arm(journey.begins_with)
            world.then(step, turn)
        elif step:
            world.arm(step, turn, with_hub=world.workers > 1 and step in SERVING and turn == 2)
        journey.go(world, tag)
        if step and turn == 1:
            world.until(lambda: not world.is_armed, f"the death at {step} ({name})")
        has_died = world.disarm() and bool(step)
        if world.workers > 1 and has_died:
            world.restart()  # a process that took the place of another does not die
        self.deaths.append(Death(name, step, turn, tag, has_died))
        return has_died

    def _die(self, name: str, journey: Journey, step: str) -> None:
        for turn in range(1, self._turns + 1):
            if not self._go(name, journey, step, turn):
                return

    def _hear_again(self) -> None:
        """Send all that was taken once more: it is answered as before."""
        messages = [*self.world.answered]
        for start in range(0, len(messages), 16):
            self.world.deliver(*messages[start : start + 16])


KINDS = [("sqlite", 1), ("sqlite", 2), ("mongo", 1)] if IS_LONG else [("sqlite", 1)]


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: f"{kind[0]}-{kind[1]}")
def walked(request, tmp_path_factory) -> Iterator[Walk]:
    kind, workers = request.param
    folder = tmp_path_factory.mktemp("steps")

    def walk(address: str) -> Iterator[Walk]:
        world = World(folder, address, workers)
        try:
            yield Walk(world, JOURNEYS if workers == 1 else SEVERAL)
        finally:
            world.close()

    if kind == "sqlite":
        yield from walk(f"sqlite:{folder / 'hub.sqlite'}")
        return
    with mongo_server.thrown_away() as address:
        yield from walk(address)


def undisturbed(walked: Walk) -> dict[str, str]:
    """Return by journey the tag of the way on which no hub died."""
    return {one.journey: one.tag for one in walked.deaths if not one.step}


def test_the_steps_of_the_docs_are_those_of_the_ways():
    listed = re.findall(r"^\| `([^`]+)` \|", DOCS.read_text().partition("## Every step")[2], re.M)
    walked = {step for journey in (*JOURNEYS.values(), *SEVERAL.values()) for step in journey.steps}

    assert listed == [*PLACES]
    assert walked == {*PLACES}


@pytest.mark.parametrize("protocol", [Store, Journal])
def test_what_a_store_or_journal_writes_is_a_step(protocol):
    calls = {name for name, call in vars(protocol).items() if inspect.iscoroutinefunction(call)}
    steps = {place.call.rpartition(".")[2] for places in PLACES.values() for place in places}

    assert calls - READS - OTHERS - steps == set()


def test_a_hub_died_after_every_step(walked):
    lived = [one for one in walked.deaths if one.step and one.turn == 1 and not one.has_died]
    assert lived == []
    assert (
        sum(one.has_died for one in walked.deaths) >= len({one.step for one in walked.deaths}) - 1
    )


def test_each_message_is_applied_exactly_once_wherever_the_hub_died(walked):
    tags = undisturbed(walked)
    for one in walked.deaths:
        assert walked.shapes[one.tag] == walked.shapes[tags[one.journey]], one
        of_all, done = walked.states[one.tag], walked.states[tags[one.journey]]["done"]
        assert (of_all["done"], of_all["received"], of_all["dead"]) == (done, 0, 0), one
        assert walked.shapes[one.tag]["Provenance", 1] == done, one


def test_what_came_of_a_way_is_in_its_first_version(walked):
    tags = undisturbed(walked)
    results = walked.shapes[tags["results"]]

    assert results["Patient", 1] == 2
    assert results["Observation", 1] == results["DiagnosticReport", 1] == 3
    assert {version for _, version in results} == {1}


def test_partners_hear_of_each_change_in_order_under_the_same_control_id(walked):
    for partner in (walked.world.partner, walked.world.later):
        told = dict.fromkeys(raw for raw in partner.heard if b"\rMSA" not in raw)
        tags = [tag for tag in walked.shapes if any(tag.encode() in raw for raw in told)]

        assert len(told) == len({control_id(raw) for raw in told}) == len(tags)
        assert sorted(tags) == [re.search(r"U\d{4}U", raw.decode())[0] for raw in told]


def test_an_end_that_is_told_again_is_the_same_message(walked):
    told = set(walked.world.elsewhere.heard)
    assert len({control_id(raw) for raw in told}) == len(told)
