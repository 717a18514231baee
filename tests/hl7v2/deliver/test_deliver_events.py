"""Which messages the partners get when a FHIR client changes a referral, a booking, a result."""

from contextlib import AsyncExitStack

import pytest
from deliver_parts import Peer, deliveries, partner

from fhir_hub.telemetry import Metrics

SID = "https://fhir-hub.example/sid"
REFERRAL = "https://fhir-hub.example/CodeSystem/service-request-category"
PATIENT = {
    "resourceType": "Patient",
    "id": "p1",
    "identifier": [{"system": f"{SID}/ZJJCHC/patient-id", "value": "Z1"}],
    "name": [{"family": "沈", "given": ["桂芳"]}],
}
CENTRE, HOSPITAL = (
    {
        "resourceType": "Organization",
        "id": code.lower(),
        "identifier": [{"system": f"{SID}/organization", "value": code}],
        "name": code,
    }
    for code in ("ZJJCHC", "SHTH01")
)
REQUEST = {
    "resourceType": "ServiceRequest",
    "id": "s1",
    "identifier": [{"system": f"{SID}/ZJJCHC", "value": "ZZ1"}],
    "status": "active",
    "intent": "order",
    "category": [{"coding": [{"system": REFERRAL, "code": "referral"}]}],
    "subject": {"reference": "Patient/p1"},
    "reasonCode": [{"text": "血糖控制不佳"}],
}
TASK = {
    "resourceType": "Task",
    "id": "t1",
    "identifier": REQUEST["identifier"],
    "status": "requested",
    "intent": "order",
    "focus": {"reference": "ServiceRequest/s1"},
    "for": {"reference": "Patient/p1"},
    "requester": {"reference": "Organization/zjjchc"},
    "owner": {"reference": "Organization/shth01"},
}
BOOKED = {
    "resourceType": "Appointment",
    "id": "a1",
    "identifier": [{"system": f"{SID}/SHTH01", "value": "AP1"}],
    "status": "booked",
    "start": "2025-03-14T09:30:00+08:00",
    "end": "2025-03-14T09:45:00+08:00",
    "participant": [{"actor": {"reference": "Patient/p1"}, "status": "accepted"}],
}


@pytest.fixture
async def partners(store):
    """Two partners who are told: the centre and the hospital."""
    async with AsyncExitStack() as stack:
        peers = {}
        wanted = dict.fromkeys(("Task", "ServiceRequest", "Appointment"), "")
        wanted |= dict.fromkeys(("DiagnosticReport", "Observation", "Encounter"), "")
        settings = {}
        for name, code in (("centre", "ZJJCHC"), ("hospital", "SHTH01")):
            peers[name] = Peer()
            await peers[name].start()
            stack.push_async_callback(peers[name].stop)
            settings[name] = partner(peers[name], facility=code, sends=wanted)
        made = deliveries(store, Metrics("0"), **settings)
        made.lead()
        stack.push_async_callback(made.close, 0.1)
        await made.opened()
        yield peers["centre"], peers["hospital"]


@pytest.fixture
def put(client):
    async def run(*resources, **changes):
        for one in resources:
            one = one | changes
            answer = await client.put(f"{one['resourceType']}/{one['id']}", json=one)
            assert answer.status_code in (200, 201), answer.text

    return run


def together(*resources):
    entries = [
        {"resource": one, "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"}}
        for one in resources
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


async def test_a_referral_is_told_to_who_is_asked_and_its_answer_to_who_asks(client, put, partners):
    centre, hospital = partners
    await put(CENTRE, HOSPITAL, PATIENT)

    answer = await client.post("", json=together(REQUEST, TASK))
    assert answer.status_code == 200, answer.text
    await hospital.messages(1)
    await put(REQUEST, priority="urgent")
    await hospital.messages(2)
    await put(TASK, status="accepted")
    await centre.messages(1)
    await put(TASK, status="rejected", statusReason={"text": "无指征"})
    answered = await centre.messages(2)
    await put(REQUEST, status="revoked")
    await put(TASK, status="cancelled")
    await hospital.messages(3)

    assert hospital.events == ["REF^I12", "REF^I13", "REF^I14"]
    assert centre.events == ["RRI^I12", "RRI^I13"]
    assert [one.split("\rRF1|")[1][0] for one in answered] == ["A", "R"]
    assert "MSH|^~\\&|FHIRHUB|SHTH01||ZJJCHC|" in answered[0]


def told_by(control_id, sent, *targets):
    """The Provenance of a message of the centre."""
    who = {"system": "https://fhir-hub.example/sid/ZJJCHC/application", "value": "CHIS"}
    number = {"system": "https://fhir-hub.example/sid/ZJJCHC/message", "value": control_id}
    return {
        "resourceType": "Provenance",
        "id": control_id,
        "recorded": sent,
        "agent": [{"who": {"type": "Device", "identifier": who}}],
        "entity": [{"role": "source", "what": {"identifier": number}}],
        "target": [{"reference": f"{one['resourceType']}/{one['id']}"} for one in targets],
    }


async def test_an_answer_names_the_last_message_that_asked(put, partners, clock):
    centre, _ = partners
    await put(CENTRE, HOSPITAL, PATIENT, REQUEST, TASK)
    await put(told_by("REF-1", "2025-03-12T09:00:00+08:00", REQUEST, TASK))
    clock.tick()
    await put(told_by("REF-2", "2025-03-12T09:00:00+08:00", REQUEST, TASK))
    await put(told_by("REF-0", "2025-03-11T09:00:00+08:00", REQUEST, TASK))
    await put(told_by("SIU-3", "2025-03-13T09:00:00+08:00", TASK))
    clock.tick()

    await put(TASK, status="accepted")
    (answer,) = await centre.messages(1)

    assert answer.split("\r")[1] == "MSA|AA|REF-2"
    assert answer.split("\r")[2].startswith("RF1|A|")


BSER = "http://hl7.org/fhir/us/bser/CodeSystem/TaskBusinessStatusCS"
OWN = "https://fhir-hub.example/CodeSystem/referral-business-status"


def step(status, code, **more):
    system = OWN if code.startswith("cn-") else BSER
    business = {"coding": [{"system": system, "code": code}]}
    return {"status": status, "businessStatus": business, **more}


async def test_each_step_is_told_to_the_side_that_did_not_do_it(put, partners):
    centre, hospital = partners
    await put(CENTRE, HOSPITAL, PATIENT, REQUEST)
    why = {"statusReason": {"text": "请补充"}}

    await put(TASK, **step("requested", "2.0"))
    await put(TASK, **step("received", "2.0"))
    await put(TASK, **step("received", "cn-info-requested", **why))
    await put(TASK, **step("received", "2.0"))
    await put(TASK, **step("accepted", "3.0"))
    await put(TASK, **step("in-progress", "5.1.1"))
    await put(TASK, **step("in-progress", "5.2", **why))
    await put(TASK, **step("cancelled", "6.0", **why))
    answers = await centre.messages(4)
    await hospital.messages(3)

    assert hospital.events == ["REF^I12", "REF^I13", "REF^I14"]
    assert centre.events == ["RRI^I13", "RRI^I12", "RRI^I13", "RRI^I14"]
    assert [one.split("\rRF1|")[1][0] for one in answers] == ["P", "A", "A", "R"]
    assert "请补充" in answers[0].split("\rNTE|")[1]


async def test_a_referral_that_passes_on_is_taken_back_and_asked_anew(put, partners):
    centre, hospital = partners
    await put(CENTRE, HOSPITAL, PATIENT, REQUEST)
    elsewhere = {"owner": TASK["requester"], "requester": {"reference": "Patient/p1"}}

    await put(TASK, **step("requested", "2.0"))
    await put(TASK, **step("requested", "2.0"), **elsewhere)
    await hospital.messages(2)
    await centre.messages(1)

    assert hospital.events == ["REF^I12", "REF^I14"]
    assert centre.events == ["REF^I12"]


async def test_a_booking_is_told_by_what_changed(put, partners):
    centre, _ = partners
    await put(PATIENT)

    await put(BOOKED)
    await put(BOOKED, comment="请空腹")
    moved = BOOKED | {"start": "2025-03-15T09:30:00+08:00", "end": "2025-03-15T09:45:00+08:00"}
    await put(moved)
    await put(moved, status="noshow")
    await put(moved, status="cancelled")
    await centre.messages(5)

    assert centre.events == ["SIU^S12", "SIU^S14", "SIU^S13", "SIU^S26", "SIU^S15"]


async def test_results_go_with_their_report_and_a_visit_with_its_patient(client, put, partners):
    centre, _ = partners
    await put(PATIENT)
    code = {"coding": [{"system": "http://loinc.org", "code": "4548-4"}], "text": "HbA1c"}
    found = {"resourceType": "Observation", "id": "o1", "status": "final", "code": code}
    found |= {"subject": {"reference": "Patient/p1"}, "valueString": "8.6 %"}
    report = {"resourceType": "DiagnosticReport", "id": "d1", "status": "final", "code": code}
    report |= {
        "subject": {"reference": "Patient/p1"},
        "result": [{"reference": "Observation/o1"}],
        "identifier": [{"system": f"{SID}/LIS", "value": "L1"}],
    }
    act = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}
    visit = {"resourceType": "Encounter", "id": "e1", "status": "in-progress", "class": act}

    answer = await client.post("", json=together(found, report))
    assert answer.status_code == 200, answer.text
    await centre.messages(1)
    await put(found, status="corrected", valueString="8.7 %")
    await centre.messages(2)
    await put(visit, subject={"reference": "Patient/p1"})
    await centre.messages(3)
    await put(visit, subject={"reference": "Patient/p1"}, status="finished")
    told = await centre.messages(4)

    assert centre.events == ["ORU^R01", "ORU^R01", "ADT^A04", "ADT^A03"]
    assert "|8.7 %|" in told[1]
    assert "\rPV1|1|O" in told[2]


async def test_what_has_no_number_has_its_id_in_the_hub(put, partners, clock):
    centre, _ = partners
    subject = {"subject": {"reference": "Patient/p9"}}
    here = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}
    actor = [{"actor": {"reference": "Patient/p9"}, "status": "accepted"}]
    numberless = {name: value for name, value in BOOKED.items() if name != "identifier"}
    visit = {"resourceType": "Encounter", "id": "e9", "status": "finished", "class": here}
    found = {"resourceType": "Observation", "id": "o9", "status": "final", "valueString": "阴性"}

    await put({"resourceType": "Patient", "id": "p9", "name": [{"text": "钱一"}]})
    await put(numberless | {"participant": actor})
    clock.tick()
    await put(visit | subject, found | subject | {"code": {"text": "尿蛋白"}})
    booked, seen, result = await centre.messages(3)

    assert "\rSCH||a1^FHIRHUB|" in booked
    assert "|e9^^^FHIRHUB^VN" in seen.split("\rPV1|")[1].partition("\r")[0]
    assert "\rOBR|1||o9^FHIRHUB|" in result
    for one in (booked, seen, result):
        assert "\rPID|1||p9^^^FHIRHUB^PI|" in one


async def test_a_panel_is_told_once_with_its_members_and_again_when_one_changes(
    client, put, partners
):
    centre, _ = partners
    code = {"code": {"coding": [{"system": "http://loinc.org", "code": "4548-4"}]}}
    subject = {"subject": {"reference": "Patient/p1"}, "status": "final", **code}
    first, second = (
        {"resourceType": "Observation", "id": f"m{n}", "valueString": f"v{n}", **subject}
        for n in range(2)
    )
    members = [{"reference": f"Observation/m{n}"} for n in range(2)]
    panel = {"resourceType": "Observation", "id": "o1", "hasMember": members, **subject}
    result = {"result": [{"reference": "Observation/o1"}], **subject}
    await put(PATIENT)

    await client.post("", json=together(first, second, panel))
    await centre.messages(1)
    await put(second, valueString="v2")
    await centre.messages(2)
    await put({"resourceType": "DiagnosticReport", "id": "d1", **result})
    await centre.messages(3)
    await put(first, valueString="v3")
    told = await centre.messages(4)

    assert centre.events == ["ORU^R01"] * 4
    values = [[line.split("|")[5] for line in one.split("\r") if line[:3] == "OBX"] for one in told]
    assert values == [["", "v0", "v1"], ["", "v0", "v2"], ["", "v0", "v2"], ["", "v3", "v2"]]
    assert ["|o1^FHIRHUB|" in one for one in told] == [True, True, False, False]


async def test_results_of_one_report_that_change_together_are_told_once(
    client, put, partners, clock
):
    centre, _ = partners
    code = {"coding": [{"system": "http://loinc.org", "code": "4548-4"}]}
    subject = {"subject": {"reference": "Patient/p1"}, "code": code}
    found = [
        {"resourceType": "Observation", "id": f"o{n}", "status": "final", **subject}
        for n in range(3)
    ]
    results = [{"reference": f"Observation/o{n}"} for n in range(3)]
    report = {"resourceType": "DiagnosticReport", "id": "d1", "status": "final", **subject}
    await put(PATIENT)
    await client.post("", json=together(*found, report | {"result": results}))
    await centre.messages(1)

    corrected = [one | {"status": "corrected", "valueString": "1"} for one in found]
    await client.post("", json=together(*corrected))
    clock.tick()
    await put(BOOKED)
    await centre.messages(3)

    assert centre.events == ["ORU^R01", "ORU^R01", "SIU^S12"]
