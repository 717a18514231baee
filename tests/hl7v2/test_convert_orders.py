"""Orders, cover and results in the shapes that the story does not have.

Spec: HL7v2 chapters 4A, 6 and 7
"""

from decimal import Decimal

import pytest
from conversion_parts import (
    BASE,
    LOINC,
    by_code,
    codes,
    converted,
    errors,
    identifiers,
    lines,
    of_type,
    only,
    target,
)

MSH = "MSH|^~\\&|XIS|TEST01|HUB|QPRHP|20250315101500||{}|C1|P|2.5"
PID = "PID|1||T1^^^TEST01^PI~S1^^^&2.16.156.10011.1.15&ISO^SB||沈^桂芳||19530412|F"


def order(*segments):
    conversion = converted(lines(MSH.format("OMP^O09^OMP_O09"), PID, *segments))
    assert errors(conversion) == []
    return only(conversion, "MedicationRequest"), conversion


def result(obx, *more):
    segments = ("OBR|1||F1|X^Y|||20250315", obx, *more)
    conversion = converted(lines(MSH.format("ORU^R01^ORU_R01"), PID, *segments))
    assert errors(conversion) == []
    return only(conversion, "Observation"), conversion


def test_a_dose_between_two_amounts_is_a_range():
    found, _ = order("ORC|NW|P1", "RXO|A^甲|1|2|mg")
    dose = found["dosageInstruction"][0]["doseAndRate"][0]["doseRange"]
    assert (dose["low"]["value"], dose["high"]["value"], dose["low"]["unit"]) == (1, 2, "mg")


def test_an_amount_that_is_none_is_left_out_with_an_issue():
    found, conversion = order("ORC|NW|P1", "RXO|A^甲|some||mg|||||||<3|片")
    assert "dosageInstruction" not in found
    assert "dispenseRequest" not in found
    assert [one.code for one in conversion.report.issues()] == ["unreadable-number"] * 2


@pytest.mark.parametrize(
    ("parent", "value", "authority"),
    [("P0^HIS", "P0", "HIS"), ("P0&HIS^F0&LIS", "P0", "HIS"), ("&^F0&LIS", "F0", "LIS")],
)
def test_the_order_before_by_placer_or_filler(parent, value, authority):
    found, _ = order(f"ORC|NW|P1||||||{parent}", "RXO|A^甲|1||mg")
    identifier = found["priorPrescription"]["identifier"]
    assert (identifier["value"], identifier["system"]) == (value, f"{BASE}/sid/{authority}")


def test_an_order_is_stopped_by_its_control_code():
    found, _ = order("ORC|DC|P1", "RXO|A^甲|1||mg")
    assert found["status"] == "stopped"


def test_notes_of_an_order_and_of_its_observations_are_kept_apart():
    found, conversion = order(
        "ORC|NW|P1",
        "RXO|A^甲|1||mg|||^慢用",
        "NTE|1||of the order",
        "OBX|1|NM|29463-7^w^LN||60|kg|||||F",
        "NTE|1||of the weight",
    )
    assert found["note"] == [{"text": "of the order"}]
    assert only(conversion, "Observation")["note"] == [{"text": "of the weight"}]
    assert found["dosageInstruction"][0]["additionalInstruction"][0]["text"] == "慢用"


def cover(in1):
    conversion = converted(lines(MSH.format("ADT^A08^ADT_A01"), PID, in1))
    assert errors(conversion) == []
    return only(conversion, "Coverage"), conversion


def test_a_policy_is_the_insurers_unless_it_is_national():
    found, conversion = cover("IN1|1|P^Plan|I1^^^INS|Insurer Ltd" + "|" * 32 + "N77")
    assert identifiers(found) == {"N77": f"{BASE}/sid/INS/policy"}
    payer = target(conversion, found["payor"][0])
    assert (payer["name"], identifiers(payer)) == ("Insurer Ltd", {"I1": f"{BASE}/sid/INS"})
    held, _ = cover("IN1|1|P^Plan|I1^^^INS|Insurer Ltd" + "|" * 32 + "S1")
    assert identifiers(held) == {"S1": "urn:oid:2.16.156.10011.1.15"}


def test_cover_without_a_number_is_known_by_its_plan():
    first, _ = cover("IN1|1|P^Plan|I1|Insurer Ltd" + "|" * 32 + "000000")
    again, _ = cover("IN1|2|P^Other words|I1|Insurer Ltd")
    other, _ = cover("IN1|1|Q^Plan|I1|Insurer Ltd")
    assert "identifier" not in first
    assert again["meta"]["tag"] != other["meta"]["tag"]


def test_who_pays_where_nobody_is_named_is_the_patient():
    found, conversion = cover("IN1|1|P^Plan")
    assert target(conversion, found["payor"][0]) is only(conversion, "Patient")
    named, _ = cover("IN1|1|P^Plan||Insurer Ltd")
    assert named["payor"] == [{"display": "Insurer Ltd"}]


def test_a_pressure_is_known_by_its_unit_without_a_code():
    found, _ = result("OBX|1|ST|XYBP^xy||120/80|mmHg|||||F")
    assert set(codes(found["code"])) == {"85354-9", "XYBP"}
    assert [one["valueQuantity"]["value"] for one in found["component"]] == [120, 80]


@pytest.mark.parametrize("obx", ["OBX|1|ST|R^r||120/80||||||F", "OBX|1|ST|R^r||n/a|mmHg|||||F"])
def test_a_slash_alone_makes_no_pressure(obx):
    found, _ = result(obx)
    assert "component" not in found
    assert "valueString" in found


def test_a_vital_sign_is_one_by_its_code():
    found, _ = result("OBX|1|NM|8867-4^HR^LN||76|/min|||||F")
    assert "vital-signs" in codes(found["category"][0])
    assert "category" not in result("OBX|1|NM|Q^q||76||||||F")[0]


def test_a_file_is_kept_in_an_extension():
    found, _ = result("OBX|1|ED|DOC^报告||^application^pdf^Base64^JVBERi0=||||||F")
    (extension,) = found["extension"]
    assert extension["valueAttachment"] == {"contentType": "application/pdf", "data": "JVBERi0="}
    empty, _ = result('OBX|1|ED|DOC^报告||""||||||F')
    assert "extension" not in empty


def test_results_without_order_numbers_are_known_by_patient_code_and_time():
    first, second = (
        only(
            converted(
                lines(
                    MSH.format("ORU^R01").replace("C1", control_id),
                    PID,
                    "OBR|1|||X|||20250315",
                    f"OBX|1|NM|K||4||||||F|||{time}",
                )
            ),
            "Observation",
        )["meta"]["tag"]
        for control_id, time in (("C1", "202503150800"), ("C2", "202503150800"))
    )
    assert first == second


def test_two_unknown_patients_facts_never_meet():
    text = lines(MSH.format("ADT^A08^ADT_A01"), "PID|1||||无名", "AL1|1|DA|J01CA^x")
    one = only(converted(text), "AllergyIntolerance")["meta"]["tag"]
    other = only(converted(text.replace("C1", "C2")), "AllergyIntolerance")["meta"]["tag"]
    assert one != other


def test_a_local_code_that_is_loinc_already_gains_nothing():
    text = lines(
        MSH.format("ORU^R01").replace("XIS", "IOTGW"),
        PID,
        "OBR|1||F1|X",
        "OBX|1|NM|8867-4^HR^LN^HR^心率^L||76||||||F",
    )
    found = by_code(converted(text))["8867-4"]
    assert [one["code"] for one in found["code"]["coding"]] == ["8867-4", "HR"]
    assert found["code"]["coding"][0]["system"] == LOINC


@pytest.mark.parametrize("number", ["7", "7.50", "1234567890.123"])
def test_a_number_keeps_its_digits(number):
    found, _ = result(f"OBX|1|NM|K||{number}||||||F")
    assert str(found["valueQuantity"]["value"]) == number
    assert isinstance(found["valueQuantity"]["value"], Decimal)


def test_nothing_in_a_field_is_no_result():
    found, _ = result("OBX|1|NM|K||||||||X")
    assert not [name for name in found if name.startswith("value")]
    assert of_type(converted(lines(MSH.format("ORU^R01"), PID, "OBR|1||F1|X", "OBX|1")), "X") == []


@pytest.mark.parametrize(
    ("control", "written"),
    [("NW", "2025-03-14"), ("", "2025-03-14"), ("RE", None), ("CA", None), ("XO", None)],
)
def test_the_time_of_what_is_done_to_an_order_is_when_it_was_written_of_a_new_one_alone(
    control, written
):
    orc = f"ORC|{control}|P1|F1||||||20250314"
    made = converted(lines(MSH.format("ORM^O01"), PID, orc, "OBR|1|P1|F1|X^Y"))
    assert only(made, "ServiceRequest").get("authoredOn") == written


@pytest.mark.parametrize(
    ("event", "before"),
    [
        ("ORM^O01", "PV1|1|I"),
        ("PPR^PC1^PPR_PC1", "PRB|AD|20250315|K^k|PR1"),
        ("REF^I12^REF_I12", "RF1|||||R1"),
    ],
)
def test_a_fillers_number_that_is_in_the_keys_of_results_alone_is_kept(event, before):
    order = ["ORC|NW|P1|F1", "OBR|1|P1|F2|X^Y", "OBX|1|NM|K^k||5|mg|||||F"]
    made = converted(lines(MSH.format(event), PID, before, *order))
    extensions = only(made, "Provenance")["extension"]
    assert "OBR|||F2" in [one.get("valueString") for one in extensions]
