"""`fhir-hub outbox` as a person uses it who looks after the partners."""

import asyncio

import pytest

from fhir_hub.hl7v2.deliver.outbox import Dead, Outbox, Pending, Progress
from fhir_hub.store.open import open_backend

DEAD = Dead("E1-7", "REF^I12", "Task/t1", 2, 7, "AR", "200", "2025-03-15T02:30:00Z")
PENDING = Pending("E1-9", "SIU^S12", "Appointment/a1", 1, 9, b"MSH|")


@pytest.fixture
def store(tmp_path):
    address = f"sqlite:{tmp_path / 'hub.sqlite'}"

    async def make():
        async with open_backend(address) as backend:
            outbox = Outbox(backend.store, "hospital", lambda: "E1")
            await outbox.save(Progress("E1", 8, 0, PENDING), DEAD)

    asyncio.run(make())
    return address


def again(store):
    async def found():
        async with open_backend(store) as backend:
            return await Outbox(backend.store, "hospital", lambda: "E1").again()

    return asyncio.run(found())


def test_list_shows_how_far_each_partner_is_and_what_is_dead(run, store):
    ended = run("outbox", "list", "--store", store)

    assert ended.code == 0
    assert ended.out.splitlines() == [
        "hospital  told up to 8 of 0  under way: SIU^S12 E1-9",
        "hospital  E1-7  AR 200  REF^I12  Task/t1/_history/2",
        "1 dead message",
    ]


@pytest.mark.parametrize("which", [["E1-7"], ["--all"]])
def test_retry_has_dead_messages_sent_anew(run, store, which):
    ended = run("outbox", "retry", "hospital", *which, "--store", store)

    assert (ended.code, ended.out) == (0, "1 message to be sent again\n")
    assert again(store) == DEAD


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["hospital"], 2, "--all"),
        (["hospital", "E1-7", "--all"], 2, "--all"),
        (["hospital", "E1-8"], 1, "no dead message E1-8"),
        (["hospitol", "E1-7"], 1, "no partner hospitol; there are: hospital"),
        (["hospitol", "--all"], 1, "no partner hospitol; there are: hospital"),
    ],
)
def test_retry_says_what_it_cannot_do(run, store, words, code, said):
    ended = run("outbox", "retry", *words, "--store", store)

    assert ended.code == code
    assert said in ended.err
    assert again(store) is None


def test_a_store_that_is_not_there_is_said(run, tmp_path):
    ended = run("outbox", "list", "--store", f"sqlite:{tmp_path / 'none.sqlite'}")

    assert (ended.code, "no such database" in ended.err) == (1, True)
