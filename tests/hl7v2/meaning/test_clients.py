"""What a client of the API wrote of a person and a message tells: it stays one.

Spec: docs/outbound.md
"""

import pytest
from meaning_parts import person, segment

SYSTEM = "https://fhir-hub.example/sid/SHTH01/patient-id"
HERS = {"reference": "Patient/p1"}
PATIENT = {
    "resourceType": "Patient",
    "id": "p1",
    "identifier": [{"system": SYSTEM, "value": "T1"}],
    "name": [{"text": "沈桂芳"}],
}
ALLERGY = {"resourceType": "AllergyIntolerance", "id": "y1", "patient": HERS}
STATE = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical"
ALLERGY |= {"clinicalStatus": {"coding": [{"system": STATE, "code": "active"}]}}
ALLERGY |= {"code": {"coding": [{"system": "http://www.whocc.no/atc", "code": "J01CA"}]}}
KIN = {"resourceType": "RelatedPerson", "id": "n1", "patient": HERS, "name": [{"text": "沈晓明"}]}
COVER = {
    "resourceType": "Coverage",
    "id": "c1",
    "status": "active",
    "subscriberId": "S1",
    "beneficiary": HERS,
    "payor": [{"display": "医保"}],
}
AL1 = segment("AL1", f1="1", f2="DA", f3="J01CA^青霉素^ATC", f5="休克")
NK1 = segment("NK1", f1="1", f2="沈^晓明", f3="CHD")
IN1 = segment("IN1", f1="1", f2="310", f3="310000^^^NHSA", f13="20261231", f36="S1")


@pytest.mark.parametrize(
    ("written", "told", "element"),
    [
        (ALLERGY, AL1, "reaction"),
        (KIN, NK1, "relationship"),
        (COVER, IN1, "period"),
    ],
)
async def test_what_a_client_wrote_is_what_a_message_tells(
    say, client, only, written, told, element
):
    for one in (PATIENT, written):
        answer = await client.put(f"{one['resourceType']}/{one['id']}", json=one)
        assert answer.status_code == 201, answer.text

    for at in ("1000", "1100"):
        await say("ADT^A31", at, person(), told)

    found = await only(written["resourceType"])
    assert (found["id"], found["meta"]["versionId"]) == (written["id"], "2")
    assert element in found


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (COVER | {"type": {"text": "商业保险"}}, IN1),
        (KIN | {"relationship": [{"text": "父亲"}]}, NK1),
        (ALLERGY | {"code": ALLERGY["code"] | {"text": "芒果"}}, AL1),
    ],
)
async def test_what_has_a_name_in_common_and_is_another_is_not_overwritten(
    say, client, every, written, told
):
    for one in (PATIENT, written):
        await client.put(f"{one['resourceType']}/{one['id']}", json=one)

    await say("ADT^A31", "1000", person(), told)

    assert len(await every(written["resourceType"])) == 2


async def test_what_another_sender_told_and_what_is_another_is_not_it(say, client, every):
    for one in (PATIENT, ALLERGY):
        await client.put(f"{one['resourceType']}/{one['id']}", json=one)

    await say("ADT^A31", "1000", person(), AL1.replace("J01CA", "J01CB"))
    await say("ADT^A31", "1100", person(), AL1)
    await say("ADT^A31", "1200", person(), AL1, by="CHIS|ZJJCHC")

    assert len(await every("AllergyIntolerance")) == 3
