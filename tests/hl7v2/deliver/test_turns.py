"""In which order a partner gets what was written in one step: who it is about comes first."""

import itertools
import json

import pytest
from deliver_parts import Peer, partner, put
from hl7v2.deliver.test_deliver_events import BOOKED, PATIENT, together

from fhir_hub.hl7v2.deliver.outbox import Outbox, progresses
from fhir_hub.store.notes import set_notes

SUBJECT = {"subject": {"reference": "Patient/p1"}}
RESULT = {
    "resourceType": "Observation",
    "id": "r1",
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "4548-4"}]},
    "valueQuantity": {"value": 8.6, "unit": "%"},
    **SUBJECT,
}
VISIT = {
    "resourceType": "Encounter",
    "id": "e1",
    "status": "in-progress",
    "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
    **SUBJECT,
}
OF_NOBODY = {"actor": {"display": "CT 室"}, "status": "accepted"}
WANTED = dict.fromkeys(("Patient", "Appointment", "Observation"), "")
WITH_VISITS = WANTED | {"Encounter": ""}


async def write(client, *resources):
    answer = await client.post("", json=together(*resources))
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("written", list(itertools.permutations((PATIENT, BOOKED, RESULT), 3)))
async def test_a_person_is_told_before_her_booking_and_her_result(
    client, delivering, peer, written
):
    async with delivering(his=partner(peer, sends=WANTED)):
        await write(client, *written)
        await peer.messages(3)

    assert peer.events == ["ADT^A31", "SIU^S12", "ORU^R01"]


async def test_the_visit_that_tells_of_a_person_comes_before_her_booking(client, delivering, peer):
    async with delivering(his=partner(peer, sends=WITH_VISITS)):
        await write(client, RESULT, BOOKED, VISIT, PATIENT)
        await peer.messages(3)

    assert peer.events == ["ADT^A04", "SIU^S12", "ORU^R01"]


async def test_who_is_deleted_is_told_so_when_all_of_hers_is(client, delivering, peer, clock):
    entries = [
        {"request": {"method": "DELETE", "url": f"{one['resourceType']}/{one['id']}"}}
        for one in (PATIENT, VISIT, BOOKED, RESULT)
    ]
    async with delivering(his=partner(peer, sends=WITH_VISITS)):
        await write(client, PATIENT, VISIT, BOOKED, RESULT)
        await peer.messages(3)
        clock.tick()
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        answer = await client.post("", json=bundle)
        assert answer.status_code == 200, answer.text
        await peer.messages(7)

    assert peer.events[3:] == ["ORU^R01", "SIU^S17", "ADT^A23", "ADT^A29"]


async def test_who_is_not_in_use_any_more_is_told_so_last(client, delivering, peer, clock):
    async with delivering(his=partner(peer, sends=WANTED)):
        await put(client, PATIENT)
        clock.tick()
        await write(client, PATIENT | {"active": False}, BOOKED)
        await peer.messages(3)

    assert peer.events == ["ADT^A31", "SIU^S12", "ADT^A29"]


async def test_a_merge_is_told_though_a_visit_moves_with_it(client, delivering, peer, clock):
    other = PATIENT | {"id": "p2", "identifier": [PATIENT["identifier"][0] | {"value": "Z2"}]}
    survivor, merged = (
        one | {"link": [{"other": {"reference": address}, "type": kind}]}
        for one, address, kind in (
            (other, "Patient/p1", "replaces"),
            (PATIENT | {"active": False}, "Patient/p2", "replaced-by"),
        )
    )
    moved = VISIT | {"subject": {"reference": "Patient/p2"}}
    async with delivering(his=partner(peer, sends=WITH_VISITS)):
        await write(client, PATIENT, other, VISIT)
        await peer.messages(2)
        clock.tick()
        await write(client, moved, survivor, merged)
        await peer.messages(4)
        clock.tick()
        await write(client, VISIT, PATIENT, other)
        await peer.messages(6)

    assert peer.events == ["ADT^A31", "ADT^A04", "ADT^A40", "ADT^A08", "ADT^A37", "ADT^A08"]


async def test_one_commit_is_told_after_the_one_before_whatever_it_is_of(
    client, delivering, peer, clock
):
    async with delivering(his=partner(peer, sends=WANTED)):
        await write(client, BOOKED | {"participant": [OF_NOBODY]})
        clock.tick()
        await write(client, RESULT, PATIENT)
        await peer.messages(3)

    assert peer.events == ["SIU^S12", "ADT^A31", "ORU^R01"]


@pytest.mark.parametrize("taken", [0, 1, 2])
async def test_after_an_end_within_a_commit_the_rest_goes_in_its_turn_and_nothing_twice(
    client, delivering, store, taken
):
    first, second = Peer(), Peer()
    first.answers = ["AA"] * taken + ["silent"]
    await first.start()
    async with delivering(his=partner(first, sends=WANTED)):
        await write(client, RESULT, BOOKED, PATIENT)
        await first.messages(taken + 1)
    await first.stop()

    await second.start()
    async with delivering(his=partner(second, sends=WANTED)):
        await second.messages(3 - taken)
    await second.stop()

    turns = ["ADT^A31", "SIU^S12", "ORU^R01"]
    assert (first.events, second.events) == (turns[: taken + 1], turns[taken:])
    assert second.received[0] == first.received[-1]


async def test_a_commit_that_an_older_hub_began_is_told_to_its_end_as_it_was_written(
    client, delivering, peer, store
):
    peer.answers = ["silent"]
    written = RESULT, BOOKED, PATIENT
    async with delivering(his=partner(peer, sends=WANTED)):
        await write(client, *written)
        await peer.messages(1)
    noted = json.loads((await store.notes())["outbound/his"])
    del noted["in_turn"]
    older = noted | {"done": noted["sequence"] + 1, "pending": None}  # the result was told
    await set_notes(store, {"outbound/his": json.dumps(older)})
    peer.received.clear()

    async with delivering(his=partner(peer, sends=WANTED)):
        await peer.messages(2)
        assert peer.events == ["SIU^S12", "ADT^A31"]
        await put(client, PATIENT | {"gender": "female"})
        await peer.messages(3)
    assert not (await progresses(store))["his"].is_as_written
    assert not (await Outbox(store, "his", lambda: "").open()).is_as_written
