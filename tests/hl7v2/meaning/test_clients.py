"""What a client of the API wrote of a person and a message tells: it stays one.

Spec: docs/outbound.md
"""

import pytest
from meaning_parts import merged, person, segment, visit

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


async def test_who_is_linked_to_somebody_by_a_number_alone_can_be_told_of(say, client, only):
    elsewhere = {"identifier": {"system": "urn:oid:1.2.3", "value": "9"}}
    linked = PATIENT | {"link": [{"other": elsewhere, "type": "seealso"}]}
    await client.put("Patient/p1", json=linked)

    for at, state in (("0900", "P"), ("1000", "F")):
        report = segment("OBR", f3="F1", f4="GLU^Glucose", f25=state)
        await say("ORU^R01", at, person(), report)

    assert (await only("Patient"))["link"] == linked["link"]
    assert (await only("DiagnosticReport"))["status"] == "final"


async def test_who_was_replaced_elsewhere_can_be_merged_here_and_parted(say, client, every, only):
    elsewhere = {"other": {"identifier": {"value": "9"}}, "type": "replaced-by"}
    await client.put("Patient/p1", json=PATIENT | {"link": [elsewhere]})
    await say("ADT^A04", "0900", person("T2"))
    pair = (merged("T1"), segment("PID", f3="T1^^^SHTH01^PI"))
    links, is_hers = [], []
    for event, at, last in (("A40", "1000", pair[0]), ("A37", "1200", pair[1])):
        await say(f"ADT^{event}", at, person("T2"), last)
        links.append([len(one.get("link", ())) for one in await every("Patient")])
        await say("ADT^A08", f"{at[:2]}30", person("T1"), visit())
        is_hers.append((await only("Encounter"))["subject"] == HERS)

    assert (links, is_hers) == ([[2, 1], [1, 0]], [False, True])
    assert [one["active"] for one in await every("Patient")] == [True, True]


async def test_what_another_sender_told_and_what_is_another_is_not_it(say, client, every):
    for one in (PATIENT, ALLERGY):
        await client.put(f"{one['resourceType']}/{one['id']}", json=one)

    await say("ADT^A31", "1000", person(), AL1.replace("J01CA", "J01CB"))
    await say("ADT^A31", "1100", person(), AL1)
    await say("ADT^A31", "1200", person(), AL1, by="CHIS|ZJJCHC")

    assert len(await every("AllergyIntolerance")) == 3


async def test_a_relative_who_is_related_in_other_words_is_one(say, every):
    for at, kinds in (("1000", ["^女儿"]), ("1100", ["CHD"]), ("1200", ["CHD", "EMC"])):
        told = [segment("NK1", f1="1", f2="沈^晓明", f3=kind) for kind in kinds]
        await say("ADT^A31", at, person(), *told)

        assert len(await every("RelatedPerson")) == len(kinds)


OBSERVATION = {
    "resourceType": "Observation",
    "id": "r1",
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "4548-4"}]},
    "subject": HERS,
}
REPORT = {
    "resourceType": "DiagnosticReport",
    "id": "d1",
    "status": "final",
    "code": {"text": "糖尿病"},
    "subject": HERS,
    "result": [{"reference": "Observation/r1"}],
}
BOOKED = {
    "resourceType": "Appointment",
    "id": "a1",
    "status": "booked",
    "start": "2025-03-14T09:30:00+08:00",
    "end": "2025-03-14T09:45:00+08:00",
    "participant": [{"actor": HERS, "status": "accepted"}],
}


def corrected(number):
    order = segment("OBR", f1="1", f3=number, f4="DM^糖尿病^L", f25="C")
    return order, segment("OBX", f1="1", f2="NM", f3="4548-4^x^LN", f5="8.7", f11="C")


@pytest.mark.parametrize(
    ("event", "told", "written", "element"),
    [
        ("ORU^R01", corrected("r1^FHIRHUB"), [OBSERVATION], "valueQuantity"),
        ("ORU^R01", corrected("d1^FHIRHUB"), [OBSERVATION, REPORT], "valueQuantity"),
        ("SIU^S15", ["SCH||a1^FHIRHUB||||R^病休"], [BOOKED], "cancelationReason"),
    ],
)
async def test_what_was_told_by_its_id_in_the_hub_is_found_by_it(
    say, client, only, event, told, written, element
):
    nameless = {name: value for name, value in PATIENT.items() if name != "identifier"}
    for one in (nameless, *written):
        answer = await client.put(f"{one['resourceType']}/{one['id']}", json=one)
        assert answer.status_code == 201, answer.text

    her = person("p1", authority="FHIRHUB")
    pid, *rest = told if event == "SIU^S15" else (her, *told)
    for at in ("1000", "1100"):
        await say(event, at, *((pid, her) if event == "SIU^S15" else (pid, *rest)))

    first = written[0]
    found = await only(first["resourceType"])
    assert (found["id"], found["meta"]["versionId"]) == (first["id"], "2")
    assert element in found
    assert (await only("Patient"))["id"] == "p1"


@pytest.mark.parametrize(
    "her", [person("p1", authority="FHIRHUB", f5="王^大明", f7="19900101"), person("T9")]
)
async def test_an_id_in_the_hub_is_not_anothers(say, client, every, her):
    for one in (PATIENT | {"birthDate": "1953-04-12"}, OBSERVATION):
        await client.put(f"{one['resourceType']}/{one['id']}", json=one)

    await say("ORU^R01", "1000", her, *corrected("r1^FHIRHUB"))

    assert [len(await every(kind)) for kind in ("Patient", "Observation")] == [2, 2]


async def test_an_address_that_is_told_in_one_text_is_the_one_in_pieces(say, client, only):
    home = {"use": "home", "line": ["示范路1号"], "city": "上海市", "district": "青浦区"}
    await client.put("Patient/p1", json=PATIENT | {"address": [home]})

    await say("ADT^A31", "1000", person(f11="示范路1号^^上海市^^^^H^^青浦区"))

    (address,) = (await only("Patient"))["address"]
    assert "end" not in address.get("period", {})
