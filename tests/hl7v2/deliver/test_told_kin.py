"""A relative, an allergy, a cover or a contract that changes alone: her partners are told of it."""

import pytest
from deliver_parts import partner
from hl7v2.deliver.test_deliver_events import BOOKED, PATIENT
from hl7v2.deliver.test_told_beside import CONTRACT, COVER, KIN, PAYOR, WARD, lines
from hl7v2.deliver.test_turns import VISIT, WANTED, WITH_VISITS, write

from fhir_hub.hl7v2.deliver.outbox import dead_messages, try_again
from fhir_hub.hl7v2.emit.validity import faults

HER = {"patient": {"reference": "Patient/p1"}}
STATE = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical"
ACTIVE, OVER = (
    {"clinicalStatus": {"coding": [{"system": STATE, "code": code}]}}
    for code in ("active", "resolved")
)
KIND = {"resourceType": "AllergyIntolerance", **HER, **ACTIVE}
ALLERGY = KIND | {"id": "y1", "code": {"text": "青霉素类"}}
OTHER = KIND | {"id": "y2", "code": {"text": "花生"}}


@pytest.mark.parametrize(
    ("changed", "segment"),
    [(ALLERGY, "AL1"), (COVER, "IN1"), (KIN, "NK1"), (CONTRACT, "ZQY")],
)
async def test_what_is_told_with_a_person_is_told_when_it_changes_alone(
    client, delivering, peer, clock, changed, segment
):
    async with delivering(his=partner(peer, sends=WANTED)):
        await write(client, PATIENT, PAYOR)
        clock.tick()
        await write(client, changed, BOOKED)
        _, *told = await peer.messages(3)

    assert sorted(peer.events) == ["ADT^A31", "ADT^A31", "SIU^S12"]
    (person,) = (one for one in told if "ADT^A31" in one)
    assert len(lines(person, segment)) == 1
    assert "Z1" in lines(person, "PID")[0]


async def test_what_ended_or_was_deleted_is_missing_in_the_next_message(
    client, delivering, peer, clock
):
    async with delivering(his=partner(peer, sends=WANTED)):
        await write(client, PATIENT, ALLERGY, OTHER)
        await peer.messages(1)
        clock.tick()
        await write(client, ALLERGY | OVER)
        await peer.messages(2)
        clock.tick()
        assert (await client.delete("AllergyIntolerance/y2")).status_code in (200, 204)
        told = await peer.messages(3)

    assert peer.events == ["ADT^A31"] * 3
    assert [len(lines(one, "AL1")) for one in told] == [2, 1, 1]
    assert lines(told[-1], "AL1") == ['AL1|1|""|""|""|""|""']


@pytest.mark.parametrize(
    ("resource", "over", "segment"),
    [
        (ALLERGY, OVER, "AL1"),
        (COVER, {"status": "cancelled"}, "IN1"),
        (KIN, {"active": False}, "NK1"),
    ],
)
@pytest.mark.parametrize("is_deleted", [False, True])
async def test_that_the_last_of_a_kind_is_over_is_said(
    client, delivering, peer, clock, resource, over, segment, is_deleted
):
    async with delivering(his=partner(peer, sends=WANTED)):
        await write(client, PATIENT, PAYOR, resource)
        await peer.messages(1)
        clock.tick()
        if is_deleted:
            answer = await client.delete(f"{resource['resourceType']}/{resource['id']}")
            assert answer.status_code in (200, 204)
        else:
            await write(client, resource | over)
        before, after = await peer.messages(2)

    (was,), (none,) = lines(before, segment), lines(after, segment)
    assert was.split("|")[3] != '""'
    assert set(none.split("|")[2:]) == {'""'}
    assert faults(after) == []


async def test_several_changes_of_one_step_are_told_once(client, delivering, peer, clock):
    async with delivering(his=partner(peer, sends=WITH_VISITS)):
        await write(client, PATIENT)
        clock.tick()
        await write(client, ALLERGY, OTHER, COVER, PAYOR)
        await peer.messages(2)
        clock.tick()
        await write(client, VISIT, ALLERGY | {"onsetDateTime": "2020"})
        clock.tick()
        await write(client, BOOKED)
        _, both, visit, _ = await peer.messages(4)

    assert peer.events == ["ADT^A31", "ADT^A31", "ADT^A04", "SIU^S12"]
    assert [len(lines(both, name)) for name in ("AL1", "IN1")] == [2, 1]
    assert "2020" in "".join(lines(visit, "AL1"))


@pytest.mark.parametrize("is_told_of_persons", [True, False])
async def test_that_there_are_none_is_said_again_only_to_who_is_not_told_of_persons(
    client, delivering, peer, clock, is_told_of_persons
):
    wanted = {"Encounter": ""} | (WITH_VISITS if is_told_of_persons else {})
    async with delivering(his=partner(peer, sends=wanted)):
        for step in (
            [PATIENT, ALLERGY, VISIT],
            [ALLERGY | OVER],
            [VISIT | {"priority": {"text": "urgent"}}],
        ):
            await write(client, *step)
            clock.tick()
        told = await peer.messages(3 if is_told_of_persons else 2)

    none = 'AL1|1|""|""|""|""|""'
    assert lines(told[0], "AL1") != []
    assert [lines(one, "AL1") for one in told[1:]] == (
        [[none], []] if is_told_of_persons else [[none]]
    )


async def test_several_that_are_deleted_in_one_step_are_told_once(client, delivering, peer, clock):
    async with delivering(his=partner(peer, sends=WANTED)):
        await write(client, PATIENT, ALLERGY, OTHER)
        await peer.messages(1)
        clock.tick()
        gone = [
            {"request": {"method": "DELETE", "url": f"AllergyIntolerance/{n}"}}
            for n in ("y1", "y2")
        ]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": gone}
        assert (await client.post("", json=bundle)).status_code == 200
        clock.tick()
        await write(client, PATIENT | {"birthDate": "1953-04-12"})
        told = await peer.messages(3)

    assert [lines(one, "AL1") for one in told[1:]] == [['AL1|1|""|""|""|""|""'], []]


async def test_what_changes_with_a_visit_whose_message_has_no_room_for_it_is_told_beside(
    client, delivering, peer, clock
):
    over = {"status": "finished", "period": {"end": "2025-03-14T09:45:00+08:00"}}
    async with delivering(his=partner(peer, sends=WITH_VISITS)):
        await write(client, PATIENT, PAYOR, VISIT)
        clock.tick()
        await write(client, PATIENT | {"gender": "female"}, VISIT | over, ALLERGY, COVER)
        clock.tick()
        await write(client, BOOKED)
        _, ended, person, _ = await peer.messages(4)

    assert peer.events == ["ADT^A04", "ADT^A03", "ADT^A31", "SIU^S12"]
    assert [len(lines(one, "AL1")) for one in (ended, person)] == [0, 1]
    assert [len(lines(one, "IN1")) for one in (ended, person)] == [0, 1]


async def test_what_says_nothing_new_or_is_of_nobody_whom_he_knows_is_not_told(
    client, delivering, peer, clock
):
    wanted = WANTED | {"Patient": "gender=female"}
    man = PATIENT | {"id": "p2", "gender": "male"}
    his = {"patient": {"reference": "Patient/p2"}}
    tagged = ALLERGY | {"meta": {"tag": [{"system": "https://x.example", "code": "seen"}]}}
    async with delivering(his=partner(peer, sends=wanted)):
        await write(client, PATIENT | {"gender": "female"}, ALLERGY, man)
        clock.tick()
        await write(client, tagged, WARD, OTHER | his)
        clock.tick()
        await write(client, man | {"active": False}, BOOKED)
        await peer.messages(2)

    assert peer.events == ["ADT^A31", "SIU^S12"]


async def test_what_was_refused_is_made_anew_as_it_is_now(client, delivering, peer, clock, store):
    peer.answers = ["AA", "AR"]
    async with delivering(his=partner(peer, sends=WANTED)):
        await write(client, PATIENT)
        clock.tick()
        await write(client, ALLERGY)
        clock.tick()
        await write(client, BOOKED)
        await peer.messages(3)
        (dead,) = await dead_messages(store)
        await try_again(store, dead)
        *_, anew = await peer.messages(4)

    assert peer.events == ["ADT^A31", "ADT^A31", "SIU^S12", "ADT^A31"]
    assert len(lines(anew, "AL1")) == 1
