"""DOMAIN 1.3, scenario S3b: long and extended prescriptions, told by messages and ordered by FHIR.

The resident is contracted (01); her cardiologist at the municipal hospital prescribed the statin
that the centre continues (11). Who may prescribe is a matter of signing in, which comes later.
"""

import pytest
from scenario_parts import EXAMPLES, SHEN, scenario_hub

BASE = "https://fhir-hub.example"
ATC = "http://www.whocc.no/atc"
STRANGER = (
    ("310229195304129989", "320525198602039996"),
    ("ZJJ00012345", "ZJJ00054321"),
    ("310118D00071234", "310118D00054321"),
    ("S900012345", "S900054321"),
    ("沈^桂芳", "王^敏"),
    ("Shen^Guifang", "Wang^Min"),
    ("19530412|F", "19860203|F"),
    ("13000000001", "13000000009"),
    ("MZ202503100012", "MZ202503100099"),
    ("CF20250310-0021", "CF20250310-0099"),
    ("ZJJ-CF-20250310-0021", "ZJJ-CF-20250310-0099"),
)


def prescriptions(*pairs):
    """Return message 11 with some of its texts replaced."""
    text = next((EXAMPLES / "messages").glob("11_*.hl7")).read_text("utf-8")
    for old, new in pairs:
        text = text.replace(old, new)
    return text.encode()


def prepare(hub):
    """Contract the resident, and let the hospital prescribe what the centre is to continue."""
    hub.tell("01")
    patient = hub.one(f"Patient?identifier={SHEN}")["id"]
    hospital = hub.one("Organization?identifier=SHTH01&active=true")["id"]
    visit = hub.post(
        "Encounter",
        {
            "resourceType": "Encounter",
            "status": "finished",
            "class": {
                "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode",
                "code": "AMB",
            },
            "subject": {"reference": f"Patient/{patient}"},
            "serviceProvider": {"reference": f"Organization/{hospital}"},
        },
    )
    hub.post(
        "MedicationRequest",
        {
            "resourceType": "MedicationRequest",
            "identifier": [{"system": f"{BASE}/sid/SHTH01", "value": "CFT20250214-778"}],
            "status": "completed",
            "intent": "order",
            "medicationCodeableConcept": {"coding": [{"system": ATC, "code": "C10AA05"}]},
            "subject": {"reference": f"Patient/{patient}"},
            "encounter": {"reference": f"Encounter/{visit['id']}"},
            "authoredOn": "2025-02-14",
        },
    )
    return patient


def by_drug(hub, patient):
    found = hub.found(f"MedicationRequest?patient={patient}&status=active")
    return {one["medicationCodeableConcept"]["coding"][0]["code"]: one for one in found}


def findings(hub, patient):
    issues = hub.found(f"DetectedIssue?patient={patient}")
    return sorted(one["code"]["coding"][0]["code"] for one in issues)


def days(request):
    return request["dispenseRequest"]["expectedSupplyDuration"]["value"]


@pytest.fixture(scope="module")
def patient(hub):
    patient = prepare(hub)
    hub.tell("11")
    return patient


@pytest.fixture(scope="module")
def guarded():
    """A hub whose interface refuses what breaks a rule: guard mode, a setting of the source."""
    with scenario_hub(sources={"hl7v2": {"business_rules": "enforce"}}) as hub:
        prepare(hub)
        yield hub


def test_s3b_two_prescriptions_of_56_and_28_days(hub, patient):
    active = by_drug(hub, patient)

    assert {code: days(one) for code, one in active.items()} == {"A10BA02": 56, "C10AA05": 28}
    prior = active["C10AA05"]["priorPrescription"]
    source = hub.one("MedicationRequest?identifier=CFT20250214-778")
    assert prior.get("reference", "").endswith(source["id"]) or (
        prior["identifier"]["value"] == "CFT20250214-778"
    )


def test_s3b_the_hospital_sees_both_and_only_the_long_one_lacks_its_assessment(hub, patient):
    assert len(hub.found(f"MedicationRequest?patient={patient}&status=active")) == 2
    assert findings(hub, patient) == ["assessment"]


def test_s3b_of_a_resident_without_a_contract_they_are_stored_and_flagged(hub):
    hub.tell(prescriptions(*STRANGER))

    stranger = hub.one("Patient?identifier=320525198602039996")["id"]
    assert len(by_drug(hub, stranger)) == 2
    assert findings(hub, stranger) == ["assessment", "contract", "contract", "source"]


def test_s3b_in_guard_mode_the_same_is_refused_and_nothing_is_stored(guarded):
    answer = guarded.send(prescriptions(*STRANGER))

    assert b"\rMSA|AE|" in answer
    assert " / 长处方、延伸处方需有有效签约".encode() in answer
    assert guarded.found("MedicationRequest?patient.identifier=320525198602039996") == []


def test_s3b_in_guard_mode_the_contracted_residents_are_taken(guarded):
    guarded.tell("11")

    assert len(guarded.found("MedicationRequest?status=active")) == 2


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (("||56^d|20250310|20250504", "||120^d|20250310|20250707"), "days"),
        (("C10AA05^阿托伐他汀钙片", "C10AA07^瑞舒伐他汀钙片"), "source"),
    ],
)
def test_s3b_120_days_and_a_drug_never_prescribed_upstairs_are_flagged(
    hub, patient, change, finding
):
    numbers = ("CF20250310-0021", f"CF20250310-{finding}")
    control = ("ZJJ-CF-20250310-0021", f"ZJJ-CF-{finding}")
    before = findings(hub, patient)
    assert finding not in before
    hub.tell(prescriptions(control, numbers, change))

    assert finding in findings(hub, patient)


@pytest.mark.usefixtures("patient")
def test_s3b_a_command_of_120_days_is_refused(hub):
    long = hub.one("MedicationRequest?identifier=CF20250310-0021-1")
    supply = {"value": 120, "unit": "d", "system": "http://unitsofmeasure.org", "code": "d"}
    changed = long | {
        "dispenseRequest": long["dispenseRequest"] | {"expectedSupplyDuration": supply}
    }

    refused = hub.put(f"MedicationRequest/{long['id']}", changed, 422)

    assert "最长 84 天" in refused["issue"][0]["details"]["text"]
