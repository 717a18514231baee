"""Orders, documents, vaccines, medicines given, charges and problems: the facts of 16 to 23.

Spec: v2-to-FHIR IG; HL7v2 chapters 4, 4A, 6, 7, 9 and 12
"""

import base64
from decimal import Decimal

import pytest
from conversion_parts import (
    BASE,
    by_code,
    codes,
    converted,
    errors,
    every,
    identifiers,
    of_type,
    only,
    story,
    target,
    text_of,
)


@pytest.mark.parametrize("number", range(16, 24))
def test_each_is_valid_and_about_one_patient(number):
    conversion = story(str(number))

    assert errors(conversion) == []
    assert conversion.report.structure != "*"
    only(conversion, "Patient")
    assert not [one.code for one in conversion.report.issues()]


def test_16_an_order_with_its_reason_specimen_and_answer():
    order = only(story("16"), "ServiceRequest")

    assert (order["status"], order["intent"], order["priority"]) == ("active", "order", "routine")
    assert "4548-4" in codes(order["code"])
    assert identifiers(order)["JY20250321-0011"] == f"{BASE}/sid/SHTH01"
    assert order["requisition"]["value"] == "GR20250321-5"
    assert "E11.900" in codes(order["reasonCode"][0])
    assert order["note"][0]["text"] == "空腹不少于8小时"
    assert order["occurrenceTiming"]["repeat"]["boundsPeriod"]["start"].startswith("2025-03-21T09")
    assert target(story("16"), order["requester"])["name"][0]["text"] == "方晓岚"
    linked = [order[name][0] for name in ("specimen", "reasonReference", "supportingInfo")]
    kinds = [target(story("16"), one)["resourceType"] for one in linked]
    assert kinds == ["Specimen", "Condition", "Observation"]


def test_an_order_cancelled_is_the_same_order():
    again = converted(text_of("16").replace("ORC|NW", "ORC|OC"))

    (order,) = every(again, "ServiceRequest")
    assert order.resource["status"] == "revoked"
    assert order.match == every(story("16"), "ServiceRequest")[0].match


def test_a_timing_that_ends_before_it_starts_has_no_end():
    text = text_of("16").replace("20250321090000||R", "20250321090000|20250320|R")
    conversion = converted(text)

    bounds = only(conversion, "ServiceRequest")["occurrenceTiming"]["repeat"]["boundsPeriod"]
    assert bounds == {"start": "2025-03-21T09:00:00+08:00"}
    assert errors(conversion) == []


def test_results_that_repeat_are_components_of_one():
    text = text_of("17").replace("||7.9|%", "||7.9~8.1|%")
    result = by_code(converted(text))["4548-4"]

    assert [one["valueQuantity"]["value"] for one in result["component"]] == [
        Decimal("7.9"),
        Decimal("8.1"),
    ]
    assert "valueQuantity" not in result
    assert errors(converted(text)) == []


def test_an_orc_is_of_its_own_order_alone():
    second = "OBR|2||L2^LIS|2823-3^钾^LN|||20250321||||||||||||||||||F\r"
    text = text_of("08").rstrip("\r") + f"\r{second}"
    reports = {
        one["code"]["coding"][0]["code"]: one
        for one in of_type(converted(text), "DiagnosticReport")
    }

    assert set(identifiers(reports["2823-3"])) == {"L2"}


def test_17_an_analyser_tells_of_a_specimen_and_its_results():
    conversion = story("17")
    result = by_code(conversion)["4548-4"]

    assert result["valueQuantity"]["value"] == Decimal("7.9")
    assert result["note"][0]["text"] == "与上次结果相比下降"
    assert target(conversion, result["specimen"])["receivedTime"].startswith("2025-03-21T08:30")
    assert target(conversion, only(conversion, "DiagnosticReport")["result"][0]) is result


def test_18_a_document_has_its_lines_author_and_visit():
    document = only(story("18"), "DocumentReference")

    assert document["masterIdentifier"]["value"] == "DOC20250328-1"
    assert (document["status"], document["docStatus"]) == ("current", "final")
    assert "DS" in codes(document["type"])
    (content,) = document["content"]
    lines = base64.b64decode(content["attachment"]["data"]).decode().split("\n")
    assert lines == ["入院诊断：2型糖尿病。", "出院医嘱：二甲双胍片，每日两次，随访三个月。"]
    assert target(story("18"), document["author"][0])["name"][0]["text"] == "方晓岚"
    assert target(story("18"), document["context"]["encounter"][0])["resourceType"] == "Encounter"


def test_19_a_vaccine_its_batch_and_who_gave_it():
    dose = only(story("19"), "Immunization")

    assert "150" in codes(dose["vaccineCode"])
    assert dose["occurrenceDateTime"] == "2025-10-15T09:25:00+08:00"
    assert (dose["lotNumber"], dose["expirationDate"]) == ("LOT2025A07", "2026-06-30")
    assert dose["doseQuantity"]["value"] == Decimal("0.5")
    assert (dose["status"], dose["primarySource"]) == ("completed", True)
    assert [one["function"]["coding"][0]["code"] for one in dose["performer"]] == ["AP", "OP"]
    assert "PHC70" in codes(dose["fundingSource"])
    assert "31044-1" in by_code(story("19"))


def test_a_dose_refused_was_not_given():
    refused = converted(text_of("19").replace("|CP|A", "|RE|A").replace("|0.5|", "|999|"))

    dose = only(refused, "Immunization")
    assert dose["status"] == "not-done"
    assert "doseQuantity" not in dose


def test_20_what_was_dispensed_on_which_prescription():
    conversion = story("20")
    given = only(conversion, "MedicationDispense")

    assert given["quantity"]["value"] == 60
    assert "A10BA02" in codes(given["medicationCodeableConcept"])
    assert given["whenHandedOver"] == "2025-03-21T11:25:00+08:00"
    order = target(conversion, given["authorizingPrescription"][0])
    assert "CF20250321-0031" in identifiers(order)


def test_21_what_was_given_how_and_by_whom():
    conversion = story("21")
    given = only(conversion, "MedicationAdministration")

    assert given["effectivePeriod"]["end"] == "2025-03-23T08:01:00+08:00"
    assert given["dosage"]["dose"]["value"] == 10
    assert "A10AE04" in codes(given["medicationCodeableConcept"])
    assert target(conversion, given["performer"][0]["actor"])["name"][0]["text"] == "吴敏"
    assert target(conversion, given["request"])["resourceType"] == "MedicationRequest"


def test_22_charges_and_their_account():
    conversion = story("22")
    first, second = of_type(conversion, "ChargeItem")

    assert first["priceOverride"] == {"value": Decimal("80.00"), "currency": "CNY"}
    assert second["quantity"]["value"] == 60
    assert target(conversion, first["account"][0])["identifier"][0]["value"] == "ZH20250321-88"
    assert "38.9901" in codes(only(conversion, "Procedure")["code"])


def test_23_a_problem_its_goal_and_pathway():
    conversion = story("23")
    problem, goal = only(conversion, "Condition"), only(conversion, "Goal")

    assert codes(problem["category"][0]) == {
        "problem-list-item": "http://terminology.hl7.org/CodeSystem/condition-category"
    }
    assert problem["onsetDateTime"] == "2018-06-01"
    assert problem["note"][0]["text"] == "家庭医生签约管理"
    assert goal["target"][0]["dueDate"] == "2025-07-10"
    assert target(conversion, goal["addresses"][0]) is problem
    assert only(conversion, "CarePlan")["title"] == "糖尿病长处方路径"
