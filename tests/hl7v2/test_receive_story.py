"""The story and the quirks through the real maps: over a socket, twice, and at once.

Spec: DOMAIN 4.1; DESIGN 5
"""

import asyncio
from functools import partial
from pathlib import Path

import parts
import pytest
from conversion_parts import mappings

from fhir_hub import fhirjson
from fhir_hub.hl7v2.channels.channel import Channel
from fhir_hub.hl7v2.conversion.convert import convert
from fhir_hub.hl7v2.journal.patience import Patience
from fhir_hub.hl7v2.receive import Receiver
from fhir_hub.hl7v2.wire.batches import parts_of
from fhir_hub.hl7v2.wire.listener import Listener, everyone
from fhir_hub.hl7v2.wire.sender import read_answer, send
from fhir_hub.search.plan import EVERYTHING, Query

MESSAGES = Path(__file__).parent / "messages"
ORDER = ["01", "09", "11", "04", "05", "07", "02", "08", "03", "06", "10", "12"]
BROKEN = sorted([*MESSAGES.glob("quirks/*.hl7"), *MESSAGES.glob("wire/*.hl7")])


class Log:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, event: str, **fields: object) -> None:
        self.lines.append(f"{event} {fields}")


@pytest.fixture
def log():
    return Log()


@pytest.fixture
def receiver(backend, repository, clock, log):
    return Receiver(
        repository,
        backend.journal,
        lambda message, received, zone: convert(message, mappings(), received=received),
        parameters=parts.parameters(),
        channel=Channel("mllp-1", parts.ZONE),
        clock=clock,
        new_id=repository.new_id,
        settings_of=mappings().settings,
        patience=Patience(120),  # the stand-in for MongoDB is slow
        log=log,
    )


@pytest.fixture
async def deliver(receiver):
    """Send the messages of some bytes over one connection; return the results."""
    async with Listener(everyone(receiver.take)) as listener:
        await listener.start()

        async def run(raw):
            messages, here = [one.raw for one in parts_of(raw)], ("127.0.0.1", listener.port)
            return [one async for one in send(messages, *here, timeout_s=120)]  # as the receiver

        yield run


@pytest.fixture
def all_of(store):
    async def run(resource_type):
        page = await store.search(Query((resource_type,), EVERYTHING, count=1000))
        return [fhirjson.loads(stored.content) for stored in page.matches]

    return run


def story(number: str) -> bytes:
    (path,) = MESSAGES.glob(f"{number}_*.hl7")
    return path.read_bytes()


async def test_each_message_of_the_story_has_one_effect_however_often_it_comes(
    deliver, store, all_of, log
):
    for number in ORDER:
        first = await deliver(story(number))
        assert [r.ack_code for r in first] == ["AA"], (number, first)
        before = (await store.status()).sequence
        assert await deliver(story(number)) == first
        assert (await store.status()).sequence == before
    assert log.lines == []
    active = [one for one in await all_of("Patient") if one["active"]]
    names = [one["name"][0]["text"] for one in active]
    assert sorted(set(names)) == sorted(names)
    assert "沈桂芳" in names


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.name)
async def test_a_message_as_real_senders_break_it_is_taken(deliver, path):
    results = await deliver(path.read_bytes())

    assert results
    assert [r.ack_code for r in results] == ["AA"] * len(results), results


async def test_the_same_facts_again_under_another_control_id_change_only_the_trail(
    deliver, store, all_of
):
    await deliver(story("08"))
    before = {
        (one["resourceType"], one["id"], one["meta"]["versionId"])
        for name in parts.definitions().resource_types
        if name != "Provenance"
        for one in await all_of(name)
    }
    await deliver(story("08").replace(b"LIS20250314-000781", b"again"))
    after = {
        (one["resourceType"], one["id"], one["meta"]["versionId"])
        for name in parts.definitions().resource_types
        if name != "Provenance"
        for one in await all_of(name)
    }
    assert after == before


@pytest.mark.no_cover  # many rounds of what other tests cover
async def test_fifty_connections_about_an_unknown_patient_make_one(deliver, all_of):
    raw = story("08")
    results = await asyncio.gather(
        *(
            deliver(
                raw.replace(b"LIS20250314-000781", b"K%d" % n).replace(
                    b"L20250314-3321", b"F%d" % n
                )
            )
            for n in range(50)
        )
    )

    assert {one.ack_code for (one,) in results} == {"AA"}
    assert len(await all_of("Patient")) == 1
    assert len(await all_of("DiagnosticReport")) == 50


async def test_a_merge_leads_results_and_later_messages_to_the_survivor(deliver, all_of):
    await deliver(story("01"))
    await deliver(story("02"))
    old = story("08").replace(b"T0088123", b"T0099001")
    old = old.replace(b"~310229195304129989^^^&2.16.156.10011.1.3&ISO^NNCHN", b"")
    await deliver(old)
    assert len(await all_of("Patient")) == 2

    await deliver(story("03"))
    await deliver(old.replace(b"LIS20250314-000781", b"later").replace(b"3321", b"3322"))

    survivor, prior = await all_of("Patient")
    assert (survivor["active"], prior["active"]) == (True, False)
    assert [link["type"] for link in survivor["link"]] == ["replaces"]
    assert [link["type"] for link in prior["link"]] == ["replaced-by"]
    subjects = {one["subject"]["reference"] for one in await all_of("Observation")}
    assert subjects == {f"Patient/{survivor['id']}"}


async def test_what_a_crash_interrupted_is_replayed_with_its_own_time(
    backend, receiver, repository, clock
):
    class Crash(BaseException):
        pass

    def crash(message, received, zone):
        raise Crash

    crashing = partial(
        Receiver,
        repository,
        backend.journal,
        parameters=parts.parameters(),
        channel=Channel("mllp-1", parts.ZONE),
        clock=clock,
        new_id=repository.new_id,
    )
    with pytest.raises(Crash):
        await crashing(crash).receive(story("01"))
    await backend.store.write(())  # what was kept before is durable with this

    assert await receiver.replay() == 1
    (entered,) = await backend.journal.recent()
    assert (entered.state, read_answer(entered.ack).ack_code) == ("done", "AA")
    assert await receiver.receive(story("01")) == entered.ack
