"""`fhir-hub outbox` as a person uses it who looks after the partners."""

import asyncio
from dataclasses import replace

import mongo_server
import parts
import pytest

from fhir_hub.hl7v2.deliver.outbox import Dead, Outbox, Pending, Progress
from fhir_hub.hl7v2.deliver.silence import Silences
from fhir_hub.store.open import open_backend

DEAD = Dead("E1-7", "REF^I12", "Task/t1", 2, 7, "AR", "200", "2025-03-15T02:30:00Z")
PENDING = Pending("E1-9", "SIU^S12", "Appointment/a1", 1, 9, b"MSH|")


@pytest.fixture(params=mongo_server.KINDS)
def store(request, tmp_path):
    address = f"sqlite:{tmp_path / 'hub.sqlite'}"
    if request.param == "mongo":
        address = request.getfixturevalue("mongo_url")

    async def make():
        async with open_backend(address) as backend:
            outbox = Outbox(backend.store, "hospital", lambda: "E1")
            await outbox.save(Progress("E1", 8, 0, PENDING), DEAD)

    asyncio.run(make())
    return address


async def noted(address, dead):
    async with open_backend(address) as backend:
        outbox = Outbox(backend.store, "hospital", lambda: "E1")
        await outbox.save(await outbox.open(), dead)


def orders(store):
    async def found():
        async with open_backend(store) as backend:
            return await Outbox(backend.store, "hospital", lambda: "E1").orders()

    return asyncio.run(found())


def test_list_shows_how_far_each_partner_is_and_what_is_dead(run, store):
    ended = run("outbox", "list", "--store", store)

    assert ended.code == 0
    assert ended.out.splitlines() == [
        "hospital  told up to 8 of 0  under way: SIU^S12 E1-9",
        "hospital  E1-7  AR 200  REF^I12  Task/t1/_history/2  2025-03-15T02:30:00Z",
        "1 dead message",
    ]


def test_why_the_message_under_way_was_refused_is_said(run, store):
    async def refuse():
        async with open_backend(store) as backend:
            outbox = Outbox(backend.store, "hospital", lambda: "E1")
            told = replace(PENDING, attempts=2, refusal="AE 207 PID-3")
            await outbox.save(replace(await outbox.open(), pending=told), DEAD)

    asyncio.run(refuse())

    listed = run("outbox", "list", "--store", store).out.splitlines()

    assert listed[0].endswith("under way: SIU^S12 E1-9 (refused 2 times: AE 207 PID-3)")


def test_who_does_not_answer_is_said_with_since_when_why_and_when_he_is_tried_next(run, store):
    async def fail():
        clock = parts.SetClock()
        async with open_backend(store) as backend:
            for wait_s in (1, 300):
                his = Silences(backend.store, "hospital", clock)  # the second after a restart
                await his.go_on("no connection", wait_s, is_left_alone=wait_s > 1)
                clock.tick(60)
            return his.seconds

    assert asyncio.run(fail()) == 120
    ended = run("outbox", "--store", store)

    assert ended.code == 0
    silence = (
        "SILENT 无应答 since 2024-02-29T10:00:00Z (no connection, 2 attempts), "
        "left alone until 2024-02-29T10:06:00Z"
    )
    assert ended.out.splitlines()[0] == (
        f"hospital  told up to 8 of 0  {silence}  under way: SIU^S12 E1-9"
    )
    assert run("outbox", "list", "--store", store).out == ended.out


def test_a_store_named_before_the_command_is_not_passed_over(run, store):
    ended = run("outbox", "--store", store, "list")

    assert (ended.code, "behind the command" in ended.err) == (2, True)


@pytest.mark.parametrize("which", [["E1-7"], ["--all"]])
def test_retry_has_dead_messages_sent_anew(run, store, which):
    ended = run("outbox", "retry", "hospital", *which, "--store", store)

    assert (ended.code, ended.out) == (0, "1 message to be sent again\n")
    assert orders(store).again == DEAD


def test_dead_messages_are_listed_and_sent_anew_in_the_order_of_what_they_tell(run, store):
    later = replace(DEAD, control_id="E1-13", event="RRI^I12", sequence=13)
    asyncio.run(noted(store, later))

    ended = run("outbox", "list", "--store", store)
    assert [line.split()[1] for line in ended.out.splitlines()[1:-1]] == ["E1-7", "E1-13"]
    run("outbox", "retry", "hospital", "--all", "--store", store)
    assert orders(store).again == DEAD


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["hospital"], 2, "--all"),
        (["hospital", "E1-7", "--all"], 2, "--all"),
        (["hospital", "E1-8"], 1, "no dead message E1-8"),
        (["nobody", "E1-7"], 1, "no partner nobody; there are: hospital"),
        (["hospitol", "--all"], 1, "no partner hospitol; did you mean hospital?"),
    ],
)
def test_retry_says_what_it_cannot_do(run, store, words, code, said):
    ended = run("outbox", "retry", *words, "--store", store)

    assert ended.code == code
    assert said in ended.err
    assert orders(store).again is None


def test_a_store_that_is_not_there_is_said(run, tmp_path):
    ended = run("outbox", "list", "--store", f"sqlite:{tmp_path / 'none.sqlite'}")

    assert (ended.code, "no such database" in ended.err) == (1, True)


def test_what_an_operator_says_of_a_partner_is_noted_for_the_hub(run, store):
    for words in (["skip", "hospital", "E1-9"], ["pause", "hospital"]):
        assert run("outbox", *words, "--store", store).code == 0
    noted = orders(store)
    listed = run("outbox", "list", "--store", store).out.splitlines()

    assert (noted.skipped, noted.is_paused) == ({"E1-9"}, True)
    assert listed[0] == "hospital  told up to 8 of 0  paused  under way: SIU^S12 E1-9"
    assert run("outbox", "resume", "hospital", "--store", store).code == 0
    assert not orders(store).is_paused


def test_dead_messages_are_dropped_and_a_partner_who_is_gone_is_forgotten(run, store):
    dropped = run("outbox", "drop", "hospital", "E1-7", "--store", store)
    assert (dropped.code, dropped.out) == (0, "1 dead message dropped\n")
    assert run("outbox", "list", "--store", store).out.splitlines()[-1] == "0 dead messages"

    assert run("outbox", "forget", "hospital", "--store", store).code == 0
    assert run("outbox", "list", "--store", store).out.splitlines() == ["0 dead messages"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["skip", "hospital", "E1-7"], "E1-7 is not under way; under way: E1-9"),
        (["pause", "hospitol"], "no partner hospitol"),
        (["forget", "hospitol"], "no partner hospitol"),
        (["drop", "hospital", "E1-9"], "no dead message E1-9"),
    ],
)
def test_what_cannot_be_done_is_said(run, store, words, said):
    ended = run("outbox", *words, "--store", store)

    assert (ended.code, said in ended.err) == (1, True)


def test_nothing_is_under_way_to_a_partner_who_was_never_told(run, store, tmp_path):
    config = tmp_path / "hub.toml"
    config.write_text(
        '[partners.clinic]\naddress = "mllp://127.0.0.1:2575"\nsends = {Patient = ""}\n'
    )
    ended = run("outbox", "skip", "clinic", "E1-9", "--store", store, "--config", str(config))

    assert (ended.code, "under way: nothing" in ended.err) == (1, True), ended.err
