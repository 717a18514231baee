"""What a partner gets of what is deleted, unlinked, or becomes a visit of another class.

Spec: HL7v2 chapters 3 (A06, A07, A23, A29, A37), 7 (OBX-11), 10 (S17), 11 (I14)
"""

import emit_parts
import pytest
from deliver_parts import partner
from deliver_parts import patient as numbered
from hl7v2.deliver.test_deliver_events import (
    BOOKED,
    CENTRE,
    HOSPITAL,
    PATIENT,
    REQUEST,
    TASK,
    partners,
    together,
)

from fhir_hub.hl7v2.deliver.outbox import dead_messages, try_again

__all__ = ["partners"]
SUBJECT = {"subject": {"reference": "Patient/p1"}}
CODE = {"code": {"coding": [{"system": "http://loinc.org", "code": "4548-4"}]}}


def seen(kind, status="in-progress"):
    act = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": kind}
    return {"resourceType": "Encounter", "id": "e1", "status": status, "class": act, **SUBJECT}


@pytest.fixture
def put(client, clock):
    """Write one after the other, each a commit of its own."""

    async def run(*resources):
        for one in resources:
            answer = await client.put(f"{one['resourceType']}/{one['id']}", json=one)
            assert answer.status_code in (200, 201), answer.text
            clock.tick()

    return run


@pytest.fixture
def delete(client, clock):
    async def run(*addresses):
        for address in addresses:
            answer = await client.delete(address)
            assert answer.status_code in (200, 204), answer.text
            clock.tick()

    return run


@pytest.fixture
def post(client, clock):
    async def run(bundle):
        answer = await client.post("", json=bundle)
        assert answer.status_code == 200, answer.text
        clock.tick()

    return run


def told(raw, resource_type):
    """Return what the hub itself reads in a message."""
    found = emit_parts.read(raw.encode()).resources
    return [one.resource for one in found if one.resource["resourceType"] == resource_type]


async def test_a_booking_and_a_visit_that_are_deleted_were_entered_in_error(put, delete, partners):
    centre, _ = partners
    await put(PATIENT, BOOKED, seen("AMB"))

    await delete("Appointment/a1", "Encounter/e1")
    messages = await centre.messages(4)

    assert centre.events == ["SIU^S12", "ADT^A04", "SIU^S17", "ADT^A23"]
    assert [one["status"] for one in told(messages[2], "Appointment")] == ["entered-in-error"]
    assert [one["status"] for one in told(messages[3], "Encounter")] == ["entered-in-error"]


async def test_a_result_that_is_deleted_is_to_be_deleted(post, put, delete, partners):
    centre, _ = partners
    found = {"resourceType": "Observation", "status": "final", "valueString": "1"} | SUBJECT | CODE
    results = [found | {"id": f"o{n}", "identifier": [{"value": f"N{n}"}]} for n in (1, 2)]
    named = [{"reference": f"Observation/{one['id']}"} for one in results]
    report = {"resourceType": "DiagnosticReport", "id": "d1", "status": "final", "result": named}
    await put(PATIENT)
    await post(together(*results, report | SUBJECT | CODE))
    await put(found | {"id": "o3", "identifier": [{"value": "N3"}]})

    await delete("Observation/o3")
    gone = ["DiagnosticReport/d1", "Observation/o1", "Observation/o2"]
    entries = [{"request": {"method": "DELETE", "url": address}} for address in gone]
    await post({"resourceType": "Bundle", "type": "transaction", "entry": entries})
    messages = await centre.messages(4)

    alone, all_of = (
        [line.split("|")[11] for line in one.split("\r") if line.startswith("OBX")]
        for one in messages[2:]
    )
    assert (alone, all_of) == (["D"], ["D", "D"])
    assert {one["status"] for one in told(messages[3], "Observation")} == {"entered-in-error"}


async def test_a_referral_that_is_deleted_is_taken_back_with_who_was_asked(
    post, put, delete, partners
):
    centre, hospital = partners
    await put(CENTRE, HOSPITAL, PATIENT)
    await post(together(REQUEST, TASK))
    await hospital.messages(1)

    await delete("Task/t1", "ServiceRequest/s1")
    await hospital.messages(2)

    assert (hospital.events, centre.events) == (["REF^I12", "REF^I14"], [])


async def test_a_visit_of_another_class_is_a_change_of_its_class(put, partners):
    centre, _ = partners
    await put(PATIENT)

    await put(seen("AMB"), seen("IMP"), seen("ACUTE"), seen("EMER"), seen("AMB", "finished"))
    messages = await centre.messages(5)

    assert centre.events == ["ADT^A04", "ADT^A06", "ADT^A08", "ADT^A07", "ADT^A03"]
    kinds = [told(one, "Encounter")[0]["class"]["code"] for one in messages]
    assert kinds == ["AMB", "IMP", "IMP", "EMER", "AMB"]
    assert {told(one, "Encounter")[0]["status"] for one in messages[:4]} == {"in-progress"}


async def test_a_person_who_is_deleted_or_not_in_use_is_deleted_with_the_partner(
    put, delete, delivering, peer
):
    async with delivering(his=partner(peer)):
        await put(numbered(1), numbered(2), numbered(3), numbered(4) | {"active": False})
        await delete("Patient/p1")
        await put(
            numbered(2) | {"active": False}, numbered(2) | {"active": False, "gender": "male"}
        )
        await put(numbered(2) | {"active": True})
        messages = await peer.messages(6)

    assert peer.events == [*["ADT^A31"] * 3, *["ADT^A29"] * 2, "ADT^A31"]
    assert [told(one, "Patient")[0]["active"] for one in messages] == [True] * 3 + [False] * 2 + [
        True
    ]


async def test_a_merge_that_is_undone_is_told_once_of_both(post, put, delivering, peer):
    survivor, prior = numbered(1), numbered(2)
    joined = {"link": [{"type": "replaces", "other": {"reference": "Patient/p2"}}]}
    replaced = {"link": [{"type": "replaced-by", "other": {"reference": "Patient/p1"}}]}
    async with delivering(his=partner(peer)):
        await put(survivor, prior)
        await post(together(prior | replaced | {"active": False}, survivor | joined))
        await post(together(prior, survivor))
        await put(prior | {"gender": "male"})
        messages = await peer.messages(5)

    assert peer.events == ["ADT^A31", "ADT^A31", "ADT^A40", "ADT^A37", "ADT^A31"]
    assert [line[:12] for line in messages[3].split("\r") if line.startswith("PID")] == [
        "PID|1||T2^^^",
        "PID|2||T1^^^",
    ]


async def test_all_merges_that_are_undone_at_once_are_told_each_of_its_two(
    post, put, delivering, peer, store
):
    survivor, priors = numbered(1), [numbered(2), numbered(3), numbered(4)]
    others = [{"reference": f"Patient/p{number}"} for number in (9, 2, 3, 4)]  # p9 never was
    joined = {"link": [{"type": "replaces", "other": one} for one in others]}
    replaced = {"link": [{"type": "replaced-by", "other": {"reference": "Patient/p1"}}]}
    async with delivering(his=partner(peer)):
        await post(together(*(one | replaced | {"active": False} for one in priors)))
        await post(together(survivor | joined))
        peer.answers = ["AA", "AA", "AR"]
        await post(together(survivor, *priors))
        await put(priors[0] | {"gender": "male"})
        await peer.messages(5)
        (dead,) = await dead_messages(store)
        await try_again(store, dead)
        messages = await peer.messages(6)

    assert peer.events == ["ADT^A40", *["ADT^A37"] * 3, "ADT^A31", "ADT^A37"]
    told_of = [[line[7:9] for line in one.split("\r") if line[:3] == "PID"] for one in messages]
    assert told_of[1:4] == [["T2", "T1"], ["T3", "T1"], ["T4", "T1"]]
    assert told_of[5] == ["T3", "T1"]


async def test_of_a_deletion_the_condition_is_asked_of_what_was_deleted(
    put, delete, delivering, peer
):
    async with delivering(his=partner(peer, sends={"Patient": "gender=male"})):
        await put(numbered(1) | {"gender": "male"}, numbered(2) | {"gender": "female"})
        await delete("Patient/p2", "Patient/p1")
        await peer.messages(2)

    assert peer.events == ["ADT^A31", "ADT^A29"]


async def test_the_condition_is_asked_of_the_version_that_is_told(put, delivering, peer, waited):
    peer.answers = ["silent"]
    async with delivering(his=partner(peer, sends={"Patient": "gender=male"})):
        await put(numbered(1) | {"gender": "male"}, numbered(2) | {"gender": "male"})
        await put(numbered(2) | {"gender": "female"}, numbered(3) | {"gender": "male"})
        await peer.messages(1)
        waited(61)
        messages = await peer.messages(3)

    assert [one.split("PID|1||")[1][:2] for one in messages] == ["T1", "T2", "T3"]
