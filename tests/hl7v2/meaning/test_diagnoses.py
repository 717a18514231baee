"""The diagnoses of a visit, told by several messages in whatever order they come.

Spec: HL7v2 chapter 6, DG1-6 and DG1-21; chapter 2, 2.10.4; R4 encounter.diagnosis
"""

import itertools

import pytest
from meaning_parts import person, segment, visit

TERMS = "http://terminology.hl7.org/CodeSystem"
I10, E11, J20 = "I10^高血压^I10", "E11^糖尿病^I10", "J20^支气管炎^I10"


def told(event, *diagnoses, by="HIS|SHTH01"):
    """Return a message with these diagnoses, each a code and an action code."""
    segments = [
        segment("DG1", f1=str(number), f3=code, f6="W", f21=action)
        for number, (code, action) in enumerate(diagnoses, 1)
    ]
    return event, (person(), visit(), *segments), by


STORIES = {
    "added one by one": (
        [told("A08", (I10, "A")), told("A08", (E11, "A"))],
        ["E11", "I10"],
    ),
    "one is deleted, another one added": (
        [told("A08", (I10, "A"), (E11, "A")), told("A08", (I10, "D"), (J20, "A"))],
        ["E11", "J20"],
    ),
    "deleted, and added again": (
        [told("A08", (I10, "A"), (E11, "A")), told("A08", (I10, "D")), told("A08", (I10, "A"))],
        ["E11", "I10"],
    ),
    "at admission and at discharge": (
        [told("A01", (I10, "")), told("A03", (E11, ""))],
        ["E11", "I10"],
    ),
    "a list of all": ([told("A08", (I10, ""), (E11, "")), told("A08", (E11, ""))], ["E11"]),
}


@pytest.mark.parametrize(
    ("name", "order"),
    [
        pytest.param(name, order, id=f"{name}: {' '.join(map(str, order))}")
        for name, (story, _) in STORIES.items()
        for order in itertools.permutations(range(len(story)))
    ],
)
async def test_a_visit_has_the_diagnoses_that_hold(say, every, only, name, order):
    story, end = STORIES[name]
    for number in order:
        event, segments, by = story[number]
        await say(f"ADT^{event}", f"{8 + number:02}00", *segments, by=by)

    codes = {
        f"Condition/{one['id']}": one["code"]["coding"][0]["code"]
        for one in await every("Condition")
    }
    listed = (await only("Encounter"))["diagnosis"]
    assert sorted(codes[one["condition"]["reference"]] for one in listed) == end


HERS, IN_VISIT = {"reference": "Patient/p1"}, {"reference": "Encounter/e1"}
PATIENT = {
    "resourceType": "Patient",
    "id": "p1",
    "identifier": [{"system": "https://fhir-hub.example/sid/SHTH01/patient-id", "value": "T1"}],
}
VISIT = {
    "resourceType": "Encounter",
    "id": "e1",
    "identifier": [{"system": "https://fhir-hub.example/sid/SHTH01/vn", "value": "V1"}],
    "status": "in-progress",
    "class": {"code": "IMP"},
    "subject": HERS,
}
OTHER_VISIT = VISIT | {"id": "e2", "identifier": [VISIT["identifier"][0] | {"value": "V2"}]}
UNPLACED = {
    "resourceType": "Condition",
    "id": "k1",
    "code": {
        "coding": [{"system": "http://hl7.org/fhir/sid/icd-10", "code": "E11.9"}],
        "text": "2型糖尿病",
    },
    "subject": HERS,
}
WRITTEN = UNPLACED | {"encounter": IN_VISIT}
UNCODED = WRITTEN | {"code": {"text": "2型糖尿病"}}
NUMBERED = WRITTEN | {"identifier": [{"system": "http://example.org/dx", "value": "DX1"}]}
NAMING = VISIT | {"diagnosis": [{"condition": {"reference": "Condition/k1"}}]}


@pytest.fixture
def write(client):
    async def run(*resources):
        entries = [
            {
                "resource": one,
                "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"},
            }
            for one in resources
        ]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        answer = await client.post("/", json=bundle)
        assert answer.status_code == 200, answer.text

    return run


def diagnosed(code="E11.9^糖尿病肾病^I10", **more):
    return segment("DG1", **{"f1": "1", "f3": code, "f5": "20250301", "f6": "F"} | more)


@pytest.mark.parametrize(
    ("written", "its_visit", "told"),
    [
        (WRITTEN, VISIT, diagnosed()),
        (NUMBERED, VISIT, diagnosed()),
        (UNPLACED, NAMING, diagnosed()),
        (WRITTEN, VISIT, diagnosed(f20="k1^FHIRHUB")),
        (WRITTEN, VISIT, diagnosed("E11.2^糖尿病肾病^I10", f20="k1^FHIRHUB")),
        (NUMBERED, VISIT, diagnosed(f20="another^FHIRHUB")),
        (UNCODED, VISIT, diagnosed("E11.9^糖尿病^I10", f4="2型糖尿病")),
    ],
)
async def test_what_a_client_wrote_of_a_visit_is_what_a_message_tells_of_it(
    say, write, only, written, its_visit, told
):
    await write(PATIENT, written, its_visit)

    for at in ("1000", "1100"):
        await say("ADT^A08", at, person(), visit(), told)

    assert (await only("Encounter"))["id"] == "e1"
    found = await only("Condition")
    assert (found["id"], found["meta"]["versionId"]) == ("k1", "2")
    assert (found["onsetDateTime"], found["encounter"]) == ("2025-03-01", IN_VISIT)


@pytest.mark.parametrize(
    ("written", "number", "told"),
    [
        (WRITTEN, "V2", diagnosed()),
        (WRITTEN, "V1", diagnosed("E11.2^2型糖尿病^I10", f4="2型糖尿病")),
        (NUMBERED, "V1", diagnosed(f20="DX2^SHTH01")),
        (UNPLACED, "V1", diagnosed()),
    ],
)
async def test_what_is_of_another_visit_or_has_another_code_or_number_is_another(
    say, write, every, written, number, told
):
    await write(PATIENT, written, VISIT, OTHER_VISIT)

    await say("ADT^A08", "1000", person(), visit(f19=number), told)

    assert [len(await every(kind)) for kind in ("Encounter", "Condition")] == [2, 2]


async def test_two_of_one_code_in_a_visit_stay_two(say, write, every):
    await write(PATIENT, VISIT, WRITTEN, WRITTEN | {"id": "k2"})

    for at in ("1000", "1100"):
        await say("ADT^A08", at, person(), visit(), diagnosed(), diagnosed(f1="2"))

    found = await every("Condition")
    assert {one["id"]: one["meta"]["versionId"] for one in found} == {"k1": "2", "k2": "2"}


async def test_what_has_its_number_later_is_what_was_told_without(say, only):
    for at, number in (("1000", ""), ("1100", "D1^SHTH01"), ("1200", ""), ("1300", "D1^SHTH01")):
        await say("ADT^A08", at, person(), visit(), diagnosed(f20=number))

        assert "onsetDateTime" in await only("Condition")


async def test_what_another_institution_told_of_a_visit_stays_its_own(say, write, every):
    await write(PATIENT, VISIT)

    for by in ("HIS|SHTH01", "CHIS|ZJJCHC"):
        whose = visit(f19="V1^^^SHTH01")
        await say("ADT^A08", "1000", person(), whose, diagnosed(f20=""), by=by)

    assert [len(await every(kind)) for kind in ("Encounter", "Condition")] == [1, 2]


async def test_a_diagnosis_that_is_told_again_does_not_say_that_it_is_not_over(say, write, only):
    state = {"coding": [{"system": f"{TERMS}/condition-clinical", "code": "resolved"}]}
    await write(PATIENT, VISIT, WRITTEN | {"clinicalStatus": state, "abatementString": "出院前"})

    await say("ADT^A08", "1000", person(), visit(), diagnosed())

    found = await only("Condition")
    assert found["clinicalStatus"] == state
    assert (found["abatementString"], found["onsetDateTime"]) == ("出院前", "2025-03-01")


async def test_that_a_visit_has_no_diagnoses_any_more_ends_those_it_had(say, only):
    await say("ADT^A08", "1000", person(), visit(), diagnosed())
    await say("ADT^A08", "1100", person(), visit(), "DG1|1" + '|""' * 20)

    assert (await only("Condition"))["clinicalStatus"]["coding"][0]["code"] == "inactive"
    assert "diagnosis" not in await only("Encounter")
