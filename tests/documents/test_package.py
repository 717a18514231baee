"""`ServiceRequest/[id]/$package`: what the institution that a resident is referred to may see.

The clock of these tests stands at 2024-02-29.

Spec: DOMAIN 2.5a, 2.8
"""

import pytest
from documents.document_parts import (
    ACT,
    BASE,
    CONFIDENTIALITY,
    UNKNOWN,
    coded,
    entries,
    reference,
    require_document,
    resources,
    section,
    words,
)

PACKAGE = "ServiceRequest/up/$package"
RESULTS, PROBLEMS, ALLERGIES, MEDICINES = "30954-2", "11450-4", "48765-2", "10160-0"
TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"
SHEN = reference("Patient/shen")
CLOSED = {"security": [{"system": CONFIDENTIALITY, "code": "R"}]}


@pytest.fixture
async def refer(record):
    """Write the referral `up` of the resident, from the centre to the hospital."""

    async def written(task=None, **more):
        role = {"practitioner": reference("Practitioner/dai")}
        await record.put(
            "PractitionerRole", "dai", **role, organization=reference("Organization/zjj")
        )
        direction = {
            "url": f"{BASE}/StructureDefinition/referral-direction",
            "valueCodeableConcept": coded("UP", f"{BASE}/CodeSystem/referral-direction"),
        }
        told = {
            "extension": [direction],
            "status": "active",
            "intent": "order",
            "category": [coded("referral", f"{BASE}/CodeSystem/service-request-category")],
            "priority": "urgent",
            "subject": SHEN,
            "requester": reference("PractitionerRole/dai"),
            "performer": [reference("Organization/sh")],
            "reasonCode": [{"text": "血糖控制不佳"}],
            "note": [{"text": "近3月空腹血糖偏高"}],
        }
        await record.put("ServiceRequest", "up", **told | more)
        if task is not None:
            about = {"focus": reference("ServiceRequest/up"), "for": SHEN, "intent": "order"}
            await record.put("Task", "task", **about, **task)

    return written


async def test_a_package_has_what_a_referral_must_bring(record, refer):
    sick = await record.condition("diabetes")
    allergy = {"clinicalStatus": coded("active", f"{TERMINOLOGY}/allergyintolerance-clinical")}
    await record.put("AllergyIntolerance", "pen", **allergy, patient=SHEN, code={"text": "青霉素"})
    drug = {"status": "active", "intent": "order", "subject": SHEN}
    await record.put(
        "MedicationRequest", "rx", **drug, medicationCodeableConcept={"text": "二甲双胍"}
    )
    await record.observation("a1c")
    covered = {"status": "active", "beneficiary": SHEN, "payor": [reference("Organization/zjj")]}
    await record.put("Coverage", "ins", **covered)
    agreed = {
        "status": "active",
        "scope": coded("patient-privacy", f"{TERMINOLOGY}/consentscope"),
        "category": [coded("59284-0")],
        "patient": SHEN,
        "policyRule": {"text": "1+1+1"},
    }
    await record.put("Consent", "yes", **agreed)
    await record.put("Binary", "scan", contentType="text/plain", data="5b+D")
    letter = {"attachment": {"contentType": "text/plain", "url": "Binary/scan", "title": "心电图"}}
    paper = {"status": "current", "subject": SHEN, "content": [letter]}
    await record.put("DocumentReference", "ecg", **paper)
    await record.put("CareTeam", "team", status="active", subject=SHEN, name="1+1+1")
    named = ["AllergyIntolerance/pen", "Observation/a1c", "Consent/yes", "DocumentReference/ecg"]
    await refer(
        {"status": "requested", "requester": reference("Organization/zjj")},
        reasonReference=[reference(sick)],
        insurance=[reference("Coverage/ins")],
        supportingInfo=[
            *map(reference, named),
            {"type": "Consent", "identifier": {"value": "CONSENT-1"}},
        ],
    )

    document = await record.ask(PACKAGE)
    posted = await record.client.post(PACKAGE)

    require_document(document)
    assert posted.status_code == 200
    assert entries(document, "42349-1") == ["ServiceRequest/up", "Task/task"]
    asked = words(document, "42349-1")
    assert "方向 / Direction: UP" in asked
    assert "紧急程度 / Priority: urgent" in asked
    assert "原因 / Reason: 血糖控制不佳" in asked
    assert "近3月空腹血糖偏高" in words(document, "10164-2")
    assert entries(document, PROBLEMS) == ["Condition/diabetes"]
    assert entries(document, ALLERGIES) == ["AllergyIntolerance/pen"]
    assert entries(document, MEDICINES) == ["MedicationRequest/rx"]
    assert entries(document, RESULTS) == ["Observation/a1c"]
    assert entries(document, "48768-6") == ["Coverage/ins"]
    assert entries(document, "59284-0") == ["Consent/yes"]
    assert "CONSENT-1" in words(document, "59284-0")
    assert entries(document, "77599-9") == ["DocumentReference/ecg"]
    assert entries(document, "85847-2") == ["CareTeam/team"]
    assert set(resources(document, "Binary")) == {"scan"}
    assert set(resources(document, "Practitioner")) == {"dai"}
    composition = document["entry"][0]["resource"]
    assert composition["type"]["coding"][0]["code"] == "57133-1"
    assert composition["author"] == [reference("http://hub.test/fhir/PractitionerRole/dai")]
    assert composition["custodian"] == reference("http://hub.test/fhir/Organization/zjj")
    assert composition["confidentiality"] == "N"


async def test_where_nothing_is_known_the_package_says_so(record, refer):
    await refer()

    document = await record.ask(PACKAGE)

    require_document(document)
    (allergy,) = resources(document, "AllergyIntolerance").values()
    assert allergy["code"]["coding"] == [{"system": UNKNOWN, "code": "no-allergy-info"}]


async def test_results_of_24_months_are_open_and_older_ones_only_if_they_are_in_the_package(
    record, refer
):
    await record.observation("new", effectiveDateTime="2022-03-05")
    await record.observation("old", effectiveDateTime="2022-02-01")
    await record.observation("older", effectiveDateTime="2019-02-01")
    await refer(supportingInfo=[reference("Observation/older")])

    document = await record.ask(PACKAGE)

    require_document(document)
    assert set(resources(document, "Observation")) == {"new", "older"}


@pytest.mark.parametrize(
    "label", [("R", CONFIDENTIALITY), ("V", CONFIDENTIALITY), ("PSY", ACT), ("STD", ACT)]
)
async def test_what_is_restricted_is_in_the_package_only_if_it_was_put_there(record, refer, label):
    code, system = label
    closed = {"security": [{"system": system, "code": code}]}
    await record.observation("named", meta=closed, code=coded("75622-1"))
    await record.observation("not-named", meta=closed, code=coded("11111-1"))
    await record.condition("psychosis", "F20.9", meta=closed)
    await refer(supportingInfo=[reference("Observation/named")])

    document = await record.ask(PACKAGE)

    require_document(document)
    assert set(resources(document, "Observation")) == {"named"}
    assert "F20.9" not in str(document)
    assert document["entry"][0]["resource"]["confidentiality"] == "R"


async def test_a_report_that_is_named_brings_its_results(record, refer):
    await record.observation("hiv", meta=CLOSED)
    await record.put(
        "DiagnosticReport",
        "panel",
        status="final",
        code=coded("24323-8"),
        subject=SHEN,
        effectiveDateTime="2024-02-20",
        result=[reference("Observation/hiv")],
    )
    await refer(supportingInfo=[reference("DiagnosticReport/panel")])

    document = await record.ask(PACKAGE)

    assert set(resources(document, "Observation")) == {"hiv"}


async def test_a_package_tells_nothing_of_another_person_or_another_referral(record, refer):
    await record.put("Patient", "other", name=[{"text": "别人"}])
    await record.observation("theirs", subject=reference("Patient/other"))
    await record.observation("hers", derivedFrom=[reference("Observation/theirs")])
    elsewhere = {"status": "active", "intent": "order", "subject": SHEN}
    category = [coded("referral", f"{BASE}/CodeSystem/service-request-category")]
    await record.put("ServiceRequest", "elsewhere", **elsewhere, category=category)
    await refer(
        supportingInfo=[reference("Observation/theirs")],
        basedOn=[reference("ServiceRequest/elsewhere")],
    )

    document = await record.ask(PACKAGE)

    require_document(document)
    assert set(resources(document, "Patient")) == {"shen"}
    assert set(resources(document, "Observation")) == {"hers"}
    assert set(resources(document, "ServiceRequest")) == {"up"}


@pytest.mark.parametrize(
    ("ended", "is_open"), [("2024-02-01T00:00:00Z", True), ("2024-01-20T00:00:00Z", False)]
)
async def test_thirty_days_after_its_end_a_referral_opens_its_own_package_alone(
    record, refer, ended, is_open
):
    await record.observation("named")
    await record.observation("besides", code=coded("2823-3"))
    task = {"status": "completed", "lastModified": ended}
    await refer(task, supportingInfo=[reference("Observation/named")])

    document = await record.ask(PACKAGE)

    require_document(document)
    assert ("besides" in resources(document, "Observation")) is is_open
    assert "named" in resources(document, "Observation")


async def test_a_deleted_reference_is_told_as_not_included(record, refer):
    gone = await record.observation("gone")
    await record.observation("a1c", hasMember=[reference(gone)])
    await record.client.delete(gone)
    await refer(encounter=reference("Encounter/never"))

    document = await record.ask(PACKAGE)

    require_document(document)
    order = resources(document, "ServiceRequest")["up"]
    assert order["encounter"] == {"display": "未包含在本文档中 / not included in this document"}


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("ServiceRequest/nobody/$package", 404),
        ("ServiceRequest/up/$package?recipient=x", 400),
        ("Patient/shen/$package", 404),
        ("ServiceRequest/lab/$package", 422),
    ],
)
async def test_a_package_refuses(record, refer, address, status):
    await refer()
    await record.put("ServiceRequest", "lab", status="active", intent="order", subject=SHEN)

    await record.ask(address, status)


@pytest.mark.parametrize(
    ("category", "status", "answered"),
    [
        (None, None, 422),
        (coded("3457005", "http://snomed.info/sct"), None, 200),
        (None, "http://hl7.org/fhir/us/bser/CodeSystem/TaskBusinessStatusCS", 200),
    ],
)
async def test_a_referral_is_known_by_its_category_or_its_task(
    record, refer, category, status, answered
):
    business = {"businessStatus": coded("2.0", status)} if status else {}
    await refer({"status": "requested", **business}, category=[category or coded("lab")])

    await record.ask(PACKAGE, answered)


async def test_what_a_reference_leaves_empty_goes_with_it_and_the_hub_stands_for_who_is_not_there(
    record, refer
):
    hidden = await record.observation("hiv", meta=CLOSED)
    await record.condition("diabetes", evidence=[{"detail": [reference(hidden)]}])
    await refer(requester=reference("Practitioner/never"))

    document = await record.ask(PACKAGE)

    require_document(document)
    assert "evidence" not in resources(document, "Condition")["diabetes"]
    assert document["entry"][0]["resource"]["author"] == [{"display": "fhir-hub"}]


async def test_each_section_has_its_title_in_both_languages(record, refer):
    await refer()

    document = await record.ask(PACKAGE)

    titles = [one["title"] for one in document["entry"][0]["resource"]["section"]]
    assert titles[0] == "转诊 / Referral"
    assert all(" / " in title for title in titles)
    assert section(document, ALLERGIES)["text"]["status"] == "generated"
