"""Messages 11 and 12 of the story: long and extended prescriptions, the Internet hospital.

The facts are those of `messages/expected.json`.
"""

from decimal import Decimal

import pytest
from conversion_parts import (
    BASE,
    by_code,
    codes,
    converted,
    every,
    identifiers,
    of_type,
    only,
    story,
    target,
    text_of,
)


@pytest.fixture(scope="module")
def long():
    return story("11")


@pytest.fixture(scope="module")
def internet():
    return story("12")


def drug(conversion, atc):
    (found,) = [
        one
        for one in of_type(conversion, "MedicationRequest")
        if codes(one["medicationCodeableConcept"]).get(atc) == "http://www.whocc.no/atc"
    ]
    return found


def test_11_both_are_active_orders_of_one_group_by_her_doctor(long):
    found = of_type(long, "MedicationRequest")
    assert len(found) == 2
    for one in found:
        assert (one["status"], one["intent"]) == ("active", "order")
        assert one["groupIdentifier"]["value"] == "CF20250310-0021"
        assert target(long, one["requester"])["name"][0]["text"] == "戴慧"
        assert target(long, one["subject"]) is only(long, "Patient")
        assert codes(one["courseOfTherapyType"])["continuous"]
    assert [one.match for one in every(long, "MedicationRequest")] == [
        ((f"{BASE}/sid/ZJJCHC", "CF20250310-0021-1"),),
        ((f"{BASE}/sid/ZJJCHC", "CF20250310-0021-2"),),
    ]


def test_11_the_long_prescription(long):
    metformin = drug(long, "A10BA02")
    (dosage,) = metformin["dosageInstruction"]
    assert dosage["doseAndRate"][0]["doseQuantity"]["value"] == Decimal("0.5")
    assert dosage["doseAndRate"][0]["doseQuantity"]["code"] == "g"
    assert "BID" in codes(dosage["timing"]["code"])
    assert dosage["timing"]["repeat"]["frequency"] == 2
    assert codes(dosage["route"])["PO"]
    assert dosage["text"] == "餐中服用"
    supply = metformin["dispenseRequest"]
    assert (supply["quantity"]["value"], supply["quantity"]["unit"]) == (112, "片")
    assert supply["expectedSupplyDuration"]["value"] == 56
    assert supply["expectedSupplyDuration"]["code"] == "d"
    assert supply["validityPeriod"] == {"start": "2025-03-10", "end": "2025-05-04"}
    assert "LONG" in str(metformin["category"])


def test_11_the_extended_prescription_goes_on_from_the_hospitals(long):
    atorvastatin = drug(long, "C10AA05")
    assert atorvastatin["priorPrescription"] == {
        "type": "MedicationRequest",
        "identifier": {"system": f"{BASE}/sid/SHTH01", "value": "CFT20250214-778"},
    }
    (dosage,) = atorvastatin["dosageInstruction"]
    assert dosage["doseAndRate"][0]["doseQuantity"]["value"] == 20
    assert "QHS" in codes(dosage["timing"]["code"])
    supply = atorvastatin["dispenseRequest"]
    assert supply["quantity"]["value"] == 28
    assert supply["expectedSupplyDuration"]["value"] == 28
    assert "EXT" in str(atorvastatin["category"])


def test_11_her_allergy(long):
    (allergy,) = every(long, "AllergyIntolerance")
    resource = allergy.resource
    assert codes(resource["code"])["J01CA"] == "http://www.whocc.no/atc"
    assert resource["reaction"] == [{"manifestation": [{"text": "皮疹"}], "severity": "moderate"}]
    assert resource["category"] == ["medication"]
    assert allergy.match
    again = converted(text_of("11").replace("ZJJ-CF-20250310-0021|", "ZJJ-CF-20250310-0099|"))
    assert every(again, "AllergyIntolerance")[0].match == allergy.match


def test_12_the_prescription(internet):
    one = drug(internet, "A10BK01")
    assert identifiers(one)["IHRX20250320-77-1"] == f"{BASE}/sid/SHTH01"
    (dosage,) = one["dosageInstruction"]
    assert dosage["doseAndRate"][0]["doseQuantity"]["value"] == 10
    assert "QD" in codes(dosage["timing"]["code"])
    assert codes(dosage["route"])["PO"]
    assert one["dispenseRequest"]["quantity"]["value"] == 28
    assert one["dispenseRequest"]["expectedSupplyDuration"]["value"] == 28
    assert {"community", "outpatient"} <= {
        code for category in one["category"] for code in codes(category)
    }
    assert target(internet, one["requester"])["name"][0]["text"] == "方晓岚"
    assert one["note"] == [{"text": "晨服"}]
    assert one["status"] == "active"


def test_12_the_pharmacist_is_its_verifier(internet):
    request = every(internet, "MedicationRequest")[0]
    (review,) = [one for one in of_type(internet, "Provenance") if "verifier" in str(one["agent"])]
    assert review["target"] == [{"reference": request.full_url}]
    pharmacist = target(internet, review["agent"][0]["who"])
    assert "P5007" in identifiers(pharmacist)
    assert pharmacist["name"][0]["text"] == "药师甲"


def test_12_without_a_pharmacist_it_is_a_draft():
    text = text_of("12").replace("P5007^药师甲", "")
    conversion = converted(text)
    assert only(conversion, "MedicationRequest")["status"] == "draft"
    assert len(of_type(conversion, "Provenance")) == 1


def test_12_the_visit_is_virtual_and_a_follow_up(internet):
    visit = only(internet, "Encounter")
    assert visit["class"]["code"] == "VR"
    assert visit["type"][0]["text"] == "复诊"
    assert "IHV20250320-0015" in identifiers(visit)


def test_12_it_is_to_be_delivered_to_her_home(internet):
    delivery = only(internet, "Task")
    assert (delivery["status"], delivery["intent"]) == ("requested", "order")
    assert "HOME" in codes(delivery["code"])
    inputs = {one["type"]["text"]: one for one in delivery["input"]}
    assert inputs["phone"]["valueContactPoint"]["value"] == "13000000099"
    assert "示范路200号302室" in inputs["ship-to address"]["valueAddress"]["text"]
    assert inputs["recipient"]["valueHumanName"]["text"] == "沈桂芳"
    assert target(internet, delivery["focus"]) is only(internet, "MedicationRequest")
    assert target(internet, delivery["for"]) is only(internet, "Patient")


def test_a_prescription_without_a_drug_is_not_made_and_the_report_says_so():
    text = "\r".join(line for line in text_of("12").split("\r") if not line.startswith("RXE"))
    conversion = converted(text)
    assert by_code(conversion) == {}
    assert of_type(conversion, "MedicationRequest") == []
    report = conversion.report
    assert any("MedicationRequest without medication" in one.text for one in report.issues())
    kept = next(one for one in report.fields() if one.path.startswith("ORC-4"))
    assert kept.state == "preserved"
    assert "was not made" in kept.reason
