"""What a partner is told beside a change: what belongs to the patient, with who answers for it."""

import pytest
from deliver_parts import partner
from hl7v2.deliver.test_deliver_events import BOOKED, CENTRE, HOSPITAL, PATIENT, TASK
from hl7v2.deliver.test_deliver_events import REQUEST as REFERRAL
from hl7v2.deliver.test_turns import RESULT, SUBJECT, VISIT, WITH_VISITS, write

from fhir_hub.hl7v2.emit.validity import faults

SID = "https://fhir-hub.example/sid"
PAYOR = {
    "resourceType": "Organization",
    "id": "nhsa",
    "identifier": [{"system": f"{SID}/NHSA", "value": "310000"}],
    "name": "上海市医疗保障（示例）",
}
COVER = {
    "resourceType": "Coverage",
    "id": "c1",
    "status": "active",
    "subscriberId": "S900012345",
    "beneficiary": {"reference": "Patient/p1"},
    "payor": [{"reference": "Organization/nhsa"}],
}
CATEGORY = {
    "system": "https://fhir-hub.example/CodeSystem/careteam-category",
    "code": "one-plus-one-plus-one",
}
DOCTOR = {
    "resourceType": "Practitioner",
    "id": "dai",
    "identifier": [{"system": f"{SID}/QPDCH/practitioner", "value": "D1"}],
    "name": [{"text": "戴慧"}],
}


def member(tier, address):
    system = "https://fhir-hub.example/CodeSystem/tier"
    role = [{"coding": [{"system": system, "code": tier}]}]
    return {"role": role, "member": {"reference": address}}


CONTRACT = {
    "resourceType": "CareTeam",
    "id": "k1",
    "identifier": [{"system": f"{SID}/contract", "value": "QY-1"}],
    "status": "inactive",
    "category": [{"coding": [CATEGORY]}],
    "period": {"start": "2025-03-01", "end": "2026-02-28"},
    "participant": [
        member("community", "Organization/zjjchc"),
        member("family-doctor", "Practitioner/dai"),
    ],
    **SUBJECT,
}
WARD = {
    "resourceType": "CareTeam",
    "id": "k2",
    "identifier": [{"system": f"{SID}/contract", "value": "WARD-1"}],
    "status": "active",
    **SUBJECT,
}
REFUTED = {
    "system": "http://terminology.hl7.org/CodeSystem/condition-ver-status",
    "code": "refuted",
}
DAUGHTER = {"name": {"text": "沈晓明"}, "telecom": [{"system": "phone", "value": "13000000002"}]}
KIN = {
    "resourceType": "RelatedPerson",
    "id": "n1",
    "patient": {"reference": "Patient/p1"},
    "name": [{"text": "沈晓明"}],
    "relationship": [{"text": "子女"}],
}


def lines(message, name):
    return [line for line in message.split("\r") if line.startswith(f"{name}|")]


async def test_an_adt_names_who_pays_and_the_contract(client, delivering, peer, clock):
    async with delivering(his=partner(peer, sends=WITH_VISITS)):
        await write(client, PATIENT, PAYOR, CENTRE, DOCTOR, COVER, CONTRACT, WARD)
        clock.tick()
        await write(client, VISIT)
        told = await peer.messages(2)

    assert peer.events == ["ADT^A31", "ADT^A04"]
    assert [lines(one, "ZQY")[0].split("|")[9] for one in told] == ["D1^戴慧^^^^^^^QPDCH"] * 2
    for one in told:
        (cover,), (contract,) = lines(one, "IN1"), lines(one, "ZQY")
        assert cover.split("|")[3:5] == ["310000^^^NHSA", "上海市医疗保障（示例）"]
        assert contract.split("|")[2] == "QY-1"
        assert "ZJJCHC" in contract.split("|")[6]


async def test_a_result_does_not_tell_anew_whom_to_call_and_a_referral_tells_who_that_is(
    client, delivering, peer, clock
):
    wanted = {"Observation": "", "Task": ""}
    called = PATIENT | {"contact": [DAUGHTER]}
    async with delivering(his=partner(peer, sends=wanted, facility="SHTH01")):
        await write(client, CENTRE, HOSPITAL, called, KIN, RESULT)
        clock.tick()
        await write(client, REFERRAL, TASK)
        result, referral = await peer.messages(2)

    assert lines(result, "NK1") == []
    (relative,) = lines(referral, "NK1")
    assert relative.split("|")[2:4] == ["沈晓明", "^子女"]


async def test_a_visit_has_its_own_diagnoses_not_those_of_the_referral_that_it_came_by(
    client, delivering, peer
):
    reason, found = (
        {"resourceType": "Condition", "id": code, "code": {"text": code}, **SUBJECT}
        for code in ("reason", "found")
    )
    in_it = found | {"encounter": {"reference": "Encounter/e1"}}
    named = in_it | {"id": "named", "code": {"text": "named"}}
    wrong = in_it | {"id": "wrong", "verificationStatus": {"coding": [REFUTED]}}
    referral = REFERRAL | {"reasonReference": [{"reference": "Condition/reason"}]}
    visit = VISIT | {
        "basedOn": [{"reference": "ServiceRequest/s1"}],
        "diagnosis": [{"condition": {"reference": "Condition/found"}}],
    }
    async with delivering(his=partner(peer, sends={"Encounter": ""})):
        await write(client, PATIENT, reason, found, named, wrong, referral, visit)
        (told,) = await peer.messages(1)

    assert sorted(one.split("|")[4] for one in lines(told, "DG1")) == ["found", "named"]


OF_VISIT = {"encounter": {"reference": "Encounter/e1"}, **SUBJECT}
FOUND = {"resourceType": "Condition", "id": "found", "code": {"text": "2型糖尿病"}, **OF_VISIT}


@pytest.mark.parametrize(
    ("status", "event"),
    [("in-progress", "ADT^A08"), ("planned", "ADT^A05"), ("cancelled", "")],
)
async def test_a_diagnosis_that_changes_alone_is_told_with_its_visit_once(
    client, delivering, peer, clock, status, event
):
    other = FOUND | {"id": "other", "code": {"text": "高血压"}}
    async with delivering(his=partner(peer, sends={"Encounter": "", "Appointment": ""})):
        await write(client, PATIENT, VISIT | {"status": status}, FOUND)
        await peer.messages(1)
        clock.tick()
        await write(client, FOUND, other)
        clock.tick()
        await write(client, FOUND | {"meta": {"tag": [{"code": "new"}]}})  # which says nothing new
        clock.tick()
        await write(client, BOOKED)
        told = await peer.messages(3 if event else 2)

    assert peer.events[1:] == [*filter(None, [event]), "SIU^S12"]
    if event:
        assert sorted(one.split("|")[4] for one in lines(told[1], "DG1")) == ["2型糖尿病", "高血压"]


STATES = "http://terminology.hl7.org/CodeSystem"
WRONG = {"verificationStatus": {"coding": [REFUTED]}}
UNLISTED = {
    "clinicalStatus": {"coding": [{"system": f"{STATES}/condition-clinical", "code": "inactive"}]}
}
OTHER = FOUND | {"id": "other", "code": {"text": "高血压"}}
NONE = '""'


@pytest.mark.parametrize(
    ("version", "written", "change", "expected"),
    [
        ("2.5.1", [FOUND, OTHER], WRONG, [("高血压", ""), ("2型糖尿病", "D")]),
        ("2.5.1", [FOUND, OTHER], {}, [("高血压", ""), ("2型糖尿病", "D")]),
        ("2.5.1", [FOUND, OTHER], UNLISTED, [("高血压", "")]),
        ("2.5.1", [FOUND], WRONG, [("2型糖尿病", "D")]),
        ("2.5.1", [FOUND], {}, [("2型糖尿病", "D")]),
        ("2.5.1", [FOUND], UNLISTED, [(NONE, NONE)]),
        ("2.4", [FOUND, OTHER], WRONG, [("高血压", "")]),
        ("2.4", [FOUND], WRONG, [(NONE, "")]),
        ("2.4", [FOUND], {}, [(NONE, "")]),
    ],
)
async def test_that_a_diagnosis_is_so_no_more_is_told_once(
    client, delivering, peer, clock, version, written, change, expected
):
    wanted = {"Encounter": ""}
    async with delivering(his=partner(peer, sends=wanted, version=version)):
        await write(client, PATIENT, VISIT, *written)
        await peer.messages(1)
        clock.tick()
        if change:
            await write(client, FOUND | change)
        else:
            assert (await client.delete("Condition/found")).status_code in (200, 204)
        await peer.messages(2)
        clock.tick()
        await write(client, VISIT | {"priority": {"text": "急"}})
        _, told, later = await peer.messages(3)

    assert peer.events == ["ADT^A04", "ADT^A08", "ADT^A08"]
    said = [(one + "|" * 20).split("|") for one in lines(told, "DG1")]
    assert [(one[4], one[21]) for one in said] == expected
    assert {one[20] for one in said if one[21] == "D"} <= {"found^FHIRHUB"}
    assert faults(told) == []
    assert [one.split("|")[4] for one in lines(later, "DG1")] == [
        one["code"]["text"] for one in written if one is not FOUND
    ]


async def test_what_a_referral_contains_has_no_number_of_its_own(client, delivering, peer):
    known = {"resourceType": "Condition", "id": "known", "code": {"text": "高血压"}, **SUBJECT}
    within = known | {"id": "within", "code": {"text": "2型糖尿病"}}
    reasons = [{"reference": "#within"}, {"reference": "Condition/known"}]
    referral = REFERRAL | {"contained": [within], "reasonReference": reasons}
    his = partner(peer, sends={"Task": ""}, facility="SHTH01", version="2.5.1")
    async with delivering(his=his):
        await write(client, CENTRE, HOSPITAL, PATIENT, known, referral, TASK)
        (told,) = await peer.messages(1)

    said = [(one + "|" * 20).split("|") for one in lines(told, "DG1")]
    assert [(one[4], one[20]) for one in said] == [
        ("2型糖尿病", ""),
        ("高血压", "known^FHIRHUB"),
    ]
