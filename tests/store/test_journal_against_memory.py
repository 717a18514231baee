"""Whatever is done to a journal, the database's says what the one in memory says.

And what time removes is really gone from the disk.
"""

import asyncio
import os
import shutil
import tempfile
from pathlib import Path

import mongo_server
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from fhir_hub.store.base import Conflict, Finish, Key
from fhir_hub.store.journal import Received, Selection
from fhir_hub.store.memory.store import open_memory
from fhir_hub.store.open import open_backend

pytestmark = pytest.mark.no_cover  # many rounds of what other tests cover

NUMBERS = st.integers(0, 9)
STATES = st.sampled_from(["done", "failed", "dead", "ignored", "quarantined"])


class Journals(RuleBasedStateMachine):
    """The same calls to both; each must return, or refuse, the same."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self._loop = asyncio.new_event_loop()
        _, self.memory = open_memory()
        self._backend = self._run(self._open())
        self.other = self._backend.journal
        self._moment = 0

    async def _open(self):
        return open_backend(f"sqlite:{Path(self._folder.name) / 'hub.db'}")

    def _run(self, work):
        return self._loop.run_until_complete(work)

    def both(self, name, *values, **options):
        told = []
        for journal in (self.memory, self.other):
            try:
                told.append(self._run(getattr(journal, name)(*values, **options)))
            except Conflict:
                told.append("refused")
        assert told[0] == told[1], (name, values, options)

    @rule(
        key=st.sampled_from(["", "k1", "k2"]),
        digest=st.sampled_from("ab"),
        replaces=st.one_of(st.just(0), st.just(0), NUMBERS),
        turns=st.lists(st.sampled_from("xyz"), max_size=2),
    )
    def keep(self, key, digest, replaces, turns):
        self._moment += 1
        self.both(
            "keep",
            Received(
                "mllp",
                key,
                digest,
                self._moment,
                digest.encode(),
                "ORU^R01",
                "LIS",
                key,
                replaces=replaces,
                turns=tuple(turns),
            ),
        )

    @rule(number=NUMBERS, state=STATES, is_again=st.booleans())
    def finish(self, number, state, is_again):
        links = (Key("Patient", str(number)),)
        finish = Finish(number, state, b"ACK", state, links, 1, 1, "v1", is_again)
        self.both("finish", finish)

    @rule(number=NUMBERS, turns=st.lists(st.sampled_from("xyz"), max_size=2), again=st.booleans())
    def reopen(self, number, turns, again):
        self.both("reopen", number, tuple(turns), again=again)

    @rule(state=STATES, before=st.integers(0, 12), forget=st.integers(0, 12))
    def prune(self, state, before, forget):
        self.both("prune", {state: before}, forget, most=2)

    @rule(
        states=st.sets(STATES, max_size=2),
        since=st.integers(0, 5),
        beyond=NUMBERS,
        oldest=st.booleans(),
        link=st.one_of(st.none(), st.builds(lambda n: Key("Patient", str(n)), NUMBERS)),
    )
    def select(self, states, since, beyond, oldest, link):
        selection = Selection(tuple(sorted(states)), since=since, link=link)
        self.both("select", selection, count=3, beyond=beyond, is_oldest_first=oldest)

    @rule()
    def crash(self):
        """What a crash at this moment would leave, opened anew, says the same too."""
        with tempfile.TemporaryDirectory() as folder:
            for path in Path(self._folder.name).glob("hub.db*"):
                shutil.copy(path, folder)
            if not (Path(folder) / "hub.db").exists():
                return  # it is not on files

            async def look():
                async with open_backend(f"sqlite:{folder}/hub.db") as left:
                    journal = left.journal
                    return await journal.recent(), await journal.pending(), await journal.owed()

            async def expected():
                journal = self.memory
                return await journal.recent(), await journal.pending(), await journal.owed()

            assert self._run(look()) == self._run(expected())

    @invariant()
    def all_is_the_same(self):
        self.both("recent", count=100)
        self.both("pending")

    def teardown(self) -> None:
        self._run(self._backend.close())
        self._loop.close()
        self._folder.cleanup()


TestJournals = Journals.TestCase
SECONDS = int(os.environ.get("FHIR_HUB_FAULTS_S", "0"))  # of `make test-faults`
TestJournals.settings = settings(max_examples=25 + 10 * SECONDS, stateful_step_count=25)

MONGO_EXAMPLES = 25 if "mongo" in os.environ.get("FHIR_HUB_TEST_STORES", "") else 2
MONGO_EXAMPLES += 2 * SECONDS


def test_that_of_mongodb_says_so_too(mongodb):
    class OnMongo(Journals):
        """The same calls to one in memory and one on MongoDB."""

        async def _open(self):
            self._database = mongo_server.fresh(mongodb)
            return open_backend(self._database.__enter__())

        def teardown(self) -> None:
            super().teardown()
            self._database.__exit__(None, None, None)

    limits = settings(max_examples=MONGO_EXAMPLES, stateful_step_count=25)
    run_state_machine_as_test(OnMongo, settings=limits)


async def test_the_file_does_not_grow_while_old_messages_go(tmp_path):
    path, kept = tmp_path / "hub.db", 200
    sizes = []
    async with open_backend(f"sqlite:{path}") as backend:
        for round_number in range(4):
            start = round_number * kept
            raw = b"x" * 20_000
            await asyncio.gather(
                *(
                    backend.journal.keep(Received("mllp", f"k{n}", f"d{n}", n, raw))
                    for n in range(start, start + kept)
                )
            )
            for n in range(start, start + kept):
                await backend.journal.finish(Finish(n + 1, "done", b"ACK"))
            sizes.append((await backend.store.status()).size_bytes)
            while any(await backend.journal.prune({"done": start + kept}, 0)):
                pass
    assert sizes[0] > kept * 20_000
    assert sizes[3] < sizes[0] * 1.1
