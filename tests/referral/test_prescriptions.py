"""Prescriptions of each kind: what is refused, what is flagged. Today is 2024-02-29.

DOMAIN 1.3 S3b, 2.7.
"""

from typing import ClassVar

import pytest
from referral.referral_records import BASE, CONDITION, FRAME, PATIENT, concept, joined, stored
from referral.test_contracts import contract

from fhir_hub.referral.conduct import OwnRules
from fhir_hub.referral.prescriptions import FINDINGS
from fhir_hub.settings.care import PrescriptionSettings

ATC = "http://www.whocc.no/atc"
CONTRACT = contract("c", start="2024-01-01", end="2024-12-31")
VISIT = {
    "resourceType": "Encounter",
    "id": "upstairs",
    "status": "finished",
    "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
    "serviceProvider": {"reference": "Organization/SHTH01"},
}


def prescription(kind="LONG", days=28, drug="A10BA02", name="new", **more):
    return {
        "resourceType": "MedicationRequest",
        "id": name,
        "extension": [
            {
                "url": f"{BASE}/StructureDefinition/prescription-type",
                "valueCodeableConcept": concept(f"{BASE}/CodeSystem/prescription-kind", kind),
            }
        ],
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": concept(ATC, drug),
        "subject": {"reference": "Patient/shen"},
        "authoredOn": "2024-02-29",
        "dispenseRequest": {
            "expectedSupplyDuration": {
                "value": days,
                "unit": "d",
                "system": "http://unitsofmeasure.org",
                "code": "d",
            },
            "validityPeriod": {"start": "2024-02-29"},
        },
    } | more


def source(**more):
    of = {"encounter": {"reference": "Encounter/upstairs"}, "authoredOn": "2024-01-15"}
    return prescription("NORMAL", 7, "C10AA05", "source", status="completed") | of | more


@pytest.fixture(autouse=True)
async def frame(freely):
    await stored(freely, *FRAME, VISIT)


async def flags(client):
    found = (await client.get("DetectedIssue?_count=100")).json().get("entry", [])
    return sorted(one["resource"]["code"]["coding"][0]["code"] for one in found)


@pytest.mark.parametrize(
    ("kind", "days", "status"),
    [
        ("NORMAL", 7, 201),
        ("NORMAL", 8, 422),
        ("EMERGENCY", 3, 201),
        ("EMERGENCY", 4, 422),
        ("LONG", 84, 201),
        ("LONG", 120, 422),
    ],
)
async def test_each_kind_has_its_days(client, freely, kind, days, status):
    await stored(freely, CONTRACT)

    answer = await client.put("MedicationRequest/new", json=prescription(kind, days))

    assert answer.status_code == status
    if status == 422:
        issue = answer.json()["issue"][0]
        assert issue["expression"] == ["MedicationRequest.dispenseRequest.expectedSupplyDuration"]
        assert f"现为 {days} 天" in issue["details"]["text"]


async def test_a_long_one_needs_a_contract_or_a_chronic_diagnosis(client, freely):
    await freely.put("Condition/diabetes", json=CONDITION | {"code": {"text": "咳嗽"}})
    assert (await client.put("MedicationRequest/new", json=prescription())).status_code == 422

    await freely.put("Condition/diabetes", json=CONDITION)
    assert (await client.put("MedicationRequest/new", json=prescription())).status_code == 201


async def test_more_than_28_days_without_an_assessment_is_flagged_once(client, freely):
    await stored(freely, CONTRACT)

    await client.put("MedicationRequest/new", json=prescription(days=56))
    await client.put("MedicationRequest/new", json=prescription(days=56, priority="routine"))

    assert await flags(client) == ["assessment"]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, 201),
        ({"status": "stopped"}, 422),
        ({"authoredOn": "2023-08-01"}, 422),
        ({"medicationCodeableConcept": concept(ATC, "A10BA02")}, 422),
        ({"dosageInstruction": [{"doseAndRate": [{"doseQuantity": {"value": 40}}]}]}, 422),
    ],
)
@pytest.mark.parametrize("named", [True, False])
async def test_an_extended_one_continues_a_hospitals(client, freely, change, status, named):
    await stored(freely, CONTRACT, source(**change))
    prior = {"priorPrescription": {"reference": "MedicationRequest/source"}} if named else {}
    dosage = [{"doseAndRate": [{"doseQuantity": {"value": 20}}]}]

    wanted = prescription("EXT", 28, "C10AA05", dosageInstruction=dosage, **prior)
    answer = await client.put("MedicationRequest/new", json=wanted)

    assert answer.status_code == status


async def test_an_extended_one_of_no_hospital_of_the_contract_is_refused(client, freely):
    elsewhere = VISIT | {"serviceProvider": {"reference": "Organization/JSPH01"}}
    await stored(freely, CONTRACT, elsewhere, source())

    answer = await client.put("MedicationRequest/new", json=prescription("EXT", 28, "C10AA05"))

    assert answer.status_code == 422
    assert "of no hospital of the contract" in answer.text


async def test_a_controlled_drug_is_never_long(client, freely):
    await stored(freely, CONTRACT)

    answer = await client.put("MedicationRequest/new", json=prescription(drug="N02AA01"))

    assert answer.status_code == 422


@pytest.mark.parametrize(("quantity", "flagged"), [(56, []), (112, ["quantity"])])
async def test_the_quantity_is_worked_out(client, freely, quantity, flagged):
    await stored(freely, CONTRACT)
    gram = {"unit": "g", "system": "http://unitsofmeasure.org", "code": "g"}
    wanted = prescription(
        dosageInstruction=[
            {
                "timing": {"repeat": {"frequency": 2, "period": 1, "periodUnit": "d"}},
                "doseAndRate": [{"doseQuantity": {"value": 0.5} | gram}],
            }
        ]
    )
    wanted["dispenseRequest"]["quantity"] = {"value": quantity, "unit": "片"}
    strength = f"{BASE}/StructureDefinition/requested-strength"
    wanted["extension"].append({"url": strength, "valueQuantity": {"value": 0.5} | gram})

    assert (await client.put("MedicationRequest/new", json=wanted)).status_code == 201
    assert await flags(client) == flagged


@pytest.mark.parametrize(
    ("end", "flagged"),
    [
        ("2024-03-20", ["early-refill"]),
        ("2024-03-05", ["duplicate-ingredient"]),
        ("2024-02-20", []),
    ],
)
async def test_what_is_left_of_the_same_ingredient_is_told(client, freely, end, flagged):
    other = prescription(name="other")
    other["dispenseRequest"]["validityPeriod"] = {"start": "2024-02-01", "end": end}
    await stored(freely, CONTRACT, other)

    assert (await client.put("MedicationRequest/new", json=prescription())).status_code == 201
    assert await flags(client) == flagged


@pytest.mark.parametrize(("drug", "flagged"), [("J01CA04", ["allergy"]), ("J01FA10", [])])
async def test_an_allergy_to_the_group_is_told(client, freely, drug, flagged):
    allergy = {
        "resourceType": "AllergyIntolerance",
        "id": "penicillin",
        "clinicalStatus": concept(
            "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "active"
        ),
        "patient": {"reference": "Patient/shen"},
        "code": concept(ATC, "J01CA"),
    }
    await stored(freely, allergy)

    answer = await client.put("MedicationRequest/new", json=prescription("NORMAL", 7, drug))

    assert answer.status_code == 201
    assert await flags(client) == flagged
    if flagged:
        (found,) = (await client.get(f"DetectedIssue?code={FINDINGS}|allergy")).json()["entry"]
        told = [one["reference"] for one in found["resource"]["implicated"]]
        assert told == ["MedicationRequest/new", "AllergyIntolerance/penicillin"]


async def test_a_childs_names_its_guardian(client, freely):
    child = {"resourceType": "Patient", "id": "shen", "birthDate": "2019-03-01"}
    await freely.put("Patient/shen", json=child)

    await client.put("MedicationRequest/new", json=prescription("NORMAL", 7))

    assert await flags(client) == ["guardian"]


async def test_one_that_says_no_kind_is_nobodys_business(client):
    plain = prescription(days=300)
    del plain["extension"]

    assert (await client.put("MedicationRequest/new", json=plain)).status_code == 201
    assert await flags(client) == []


class TestByHospital:
    """Limits that a hospital changed."""

    @pytest.fixture
    def own(self):
        return OwnRules(
            prescriptions={
                "SHTH01": PrescriptionSettings(hospital="SHTH01", normal_days=10),
                "all": PrescriptionSettings(without_kind=True),
            }
        )

    @pytest.mark.parametrize(
        ("hospital", "days", "status"),
        [("SHTH01", 10, 201), ("SHTH01", 11, 422), ("QPDCH", 8, 422)],
    )
    async def test_its_visits_obey_them(self, client, freely, hospital, days, status):
        await stored(freely, VISIT | {"serviceProvider": {"reference": f"Organization/{hospital}"}})
        wanted = prescription("NORMAL", days, encounter={"reference": "Encounter/upstairs"})

        assert (await client.put("MedicationRequest/new", json=wanted)).status_code == status

    async def test_one_without_a_kind_can_be_looked_at_too(self, client, freely):
        await stored(freely, prescription(name="other", days=300))
        plain = prescription(days=300)
        del plain["extension"]

        assert (await client.put("MedicationRequest/new", json=plain)).status_code == 201
        assert await flags(client) == ["duplicate-ingredient"]


class TestInternetHospital:
    """A visit of the class VR: a pharmacist reviews before the prescription holds."""

    ONLINE: ClassVar = VISIT | {"id": "online", "class": VISIT["class"] | {"code": "VR"}}
    OF_IT: ClassVar = {"encounter": {"reference": "Encounter/online"}}

    @pytest.fixture(autouse=True)
    async def visit(self, freely):
        await stored(freely, self.ONLINE)

    def review(self, code="verifier"):
        kind = concept("http://terminology.hl7.org/CodeSystem/provenance-participant-type", code)
        return {
            "resourceType": "Provenance",
            "id": "review",
            "target": [{"reference": "MedicationRequest/new"}],
            "recorded": "2024-02-29T18:00:00+08:00",
            "agent": [{"type": kind, "who": {"display": "药师甲"}}],
        }

    async def test_it_is_a_draft_until_then(self, client, freely):
        wanted = prescription("NORMAL", 7, **self.OF_IT)
        answer = await client.put("MedicationRequest/new", json=wanted)
        assert answer.status_code == 422
        assert "药师审核" in answer.json()["issue"][0]["details"]["text"]

        draft = await client.put("MedicationRequest/new", json=wanted | {"status": "draft"})
        await freely.put("Provenance/review", json=self.review("author"))
        early = await client.put("MedicationRequest/new", json=wanted)
        await freely.put("Provenance/review", json=self.review())
        late = await client.put("MedicationRequest/new", json=wanted)

        assert [one.status_code for one in (draft, early, late)] == [201, 422, 200]

    async def test_both_in_one_bundle_are_fine(self, client):
        await stored(client, prescription("NORMAL", 7, **self.OF_IT), self.review())

        assert (await client.get("MedicationRequest/new")).json()["status"] == "active"

    async def test_a_controlled_drug_is_refused_there(self, client):
        wanted = prescription("NORMAL", 7, "N02AA01", **self.OF_IT)
        entries = [
            {
                "resource": one,
                "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"},
            }
            for one in (wanted, self.review())
        ]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}

        answer = await client.post("", json=bundle)

        assert answer.status_code == 422
        assert "controlled" in answer.text


async def test_more_than_28_days_of_an_extended_one_are_flagged_without_an_assessment(
    client, freely
):
    await stored(freely, CONTRACT, source())

    wanted = prescription("EXT", 56, "C10AA05")
    assert (await client.put("MedicationRequest/new", json=wanted)).status_code == 201
    assert await flags(client) == ["assessment"]


async def test_a_prescription_keeps_no_records_from_being_merged_or_parted(client, freely):
    """It was written before: what is against the rules now is for people to see."""
    await stored(freely, PATIENT | {"id": "twin"}, prescription("NORMAL", 8))
    for operation, whose in (("$merge", "twin"), ("$unmerge", "shen")):
        await joined(client, operation)
        request = (await client.get("MedicationRequest/new")).json()
        assert request["subject"]["reference"] == f"Patient/{whose}"
        assert await flags(client) == ["days"]
    other = request | {"subject": {"reference": "Patient/twin"}}
    assert (await client.put("MedicationRequest/new", json=other)).status_code == 422
