"""What messages carry that hospitals send and no sample of ours had, and that it stays valid R4.

Spec: HL7v2 chapters 3, 4A, 7, 9 to 12; R4 observation.html (obs-6), task.html (inv-1)
"""

import pytest
from conversion_parts import (
    PID,
    TABLE_MSH,
    by_table,
    codes,
    converted,
    errors,
    lines,
    of_type,
    only,
    segment,
    target,
    values,
)


def amount(quantity):
    return (str(quantity["value"]), quantity["code"])


@pytest.mark.parametrize(("value", "is_absent"), [("未见异常", False), ("", True)])
def test_a_result_that_was_not_asked_for_has_a_value_or_a_reason(value, is_absent):
    obx = segment("OBX", f1="1", f2="ST", f3="X^x", f5=value, f11="N")
    found = only(by_table("ORU^R01^ORU_R01", "OBR|1|P1|F1|A^a", obx), "Observation")
    assert ("dataAbsentReason" in found, "valueString" in found) == (is_absent, not is_absent)


@pytest.mark.parametrize(
    ("processed", "written", "changed"),
    [
        ("20250310", "20250310", "2025-03-10"),
        ("20250309", "20250310", "2025-03-15T10:15:00+08:00"),
        ("20250309", "20250401", "2025-04-01"),
        ("", "20250315120000", "2025-03-15T12:00:00+08:00"),
    ],
)
def test_a_referral_is_not_changed_before_it_takes_effect(processed, written, changed):
    rf1 = segment("RF1", f1="P", f6="RF1", f7=written, f9=processed)
    message = lines(TABLE_MSH.format("REF^I12^REF_I12"), rf1, "PRD|RP|^戴", PID)
    conversion = converted(message, by_table=True)
    assert errors(conversion) == []
    assert only(conversion, "Task")["lastModified"] == changed


@pytest.mark.parametrize("kind", ["OUL^R21^OUL_R21", "OUL^R22^OUL_R22"])
def test_a_note_behind_a_result_is_its_own(kind):
    message = (
        ["SPM|1|S1||SER", "SAC|||C1"] if "R22" in kind else [],
        ["OBR|1|P1|F1|X^Y", "ORC|RE|P1|F1", "OBX|1|NM|A^a^LN||5||||||F", "NTE|1||复查"],
    )
    found = only(by_table(kind, *message[0], *message[1]), "Observation")
    assert [one["text"] for one in found["note"]] == ["复查"]


def test_an_allergy_has_the_note_behind_it():
    iam = segment("IAM", f1="1", f2="DA", f3="7980^青霉素", f6="A", f7="AL1")
    found = only(by_table("ADT^A60^ADT_A60", iam, "NTE|1|L|家属自述"), "AllergyIntolerance")
    assert [one["text"] for one in found["note"]] == ["家属自述"]


def test_a_patient_is_booked_for_her_diagnosis():
    message = lines(
        TABLE_MSH.format("SIU^S12^SIU_S12"),
        "SCH|A1|F1|||||||30|min|^^^20250401090000",
        PID,
        "DG1|1||M54.5^腰痛^I10|||W",
        "RGS|1",
        "AIP|1|A|D1^李",
    )
    for shows_all in (True, False):
        conversion = converted(message, by_table=shows_all)
        assert errors(conversion) == []
        (reason,) = only(conversion, "Appointment")["reasonReference"]
        assert "M54.5" in codes(target(conversion, reason)["code"])


def encoded(**fields):
    known = {"f2": "C09AA02^依那普利^ATC", "f3": "10", "f5": "mg"}
    message = "ORC|NW|R1", segment("RXE", **(known | fields)), "RXC|B|NS^生理盐水|100|mL"
    conversion = by_table("RDE^O11^RDE_O11", *message)
    return only(conversion, "MedicationRequest")


def test_a_pharmacys_order_says_how_fast_how_much_a_day_and_why():
    found = encoded(f19="20^mg", f21="避光", f23="100", f24="mL/h", f27="I10^高血压^I10")
    (dose,) = found["dosageInstruction"]
    assert amount(dose["doseAndRate"][0]["rateQuantity"]) == ("100", "mL/h")
    most = dose["maxDosePerPeriod"]
    assert (amount(most["numerator"]), amount(most["denominator"])) == (("20", "mg"), ("1", "d"))
    assert "I10" in codes(found["reasonCode"][0])
    assert [one["text"] for one in found["note"]] == ["避光"]


def test_a_pharmacys_order_says_of_what_it_is_mixed_and_how_strong():
    found = encoded(f25="5", f26="mg", f33="10", f34="mL")
    urls = [one["url"].rpartition("/")[2] for one in found["extension"]]
    assert urls.count("medication-component") == 1
    (strength,) = [one["valueRatio"] for one in found["extension"] if "valueRatio" in one]
    assert amount(strength["denominator"]) == ("10", "mL")


def test_an_order_says_how_fast_how_much_a_day_and_why():
    rxo = segment(
        "RXO", f1="A^a", f2="1", f4="g", f20="A49^感染^I10", f21="50", f22="mL/h", f23="4^g"
    )
    found = only(by_table("OMP^O09^OMP_O09", "ORC|NW|R1", rxo), "MedicationRequest")
    (dose,) = found["dosageInstruction"]
    assert amount(dose["doseAndRate"][0]["rateQuantity"]) == ("50", "mL/h")
    assert amount(dose["maxDosePerPeriod"]["numerator"]) == ("4", "g")
    assert "A49" in codes(found["reasonCode"][0])


@pytest.mark.parametrize(("status", "was"), [("G", True), ("N", False), ("", None)])
def test_what_was_dispensed_says_whether_instead_of_another_and_where_it_goes(status, was):
    rxd = segment("RXD", f1="1", f2="A^a", f3="20250311", f4="28", f7="RX1", f11=status, f13="W^1")
    conversion = by_table("RDS^O13^RDS_O13", "ORC|RE|R1", "RXO|A^a", rxd)
    found = only(conversion, "MedicationDispense")
    assert found.get("substitution", {}).get("wasSubstituted") is was
    assert values(target(conversion, found["destination"])) == ["1"]


def test_a_medicine_was_given_somewhere_with_something():
    rxa = segment("RXA", f1="0", f2="1", f3="20250310", f5="A^a", f6="1", f7="g", f11="W^1^2")
    conversion = by_table("RAS^O17^RAS_O17", "ORC|RE|R1", "RXO|A^a", rxa, "RXR|IV||PUMP7^输液泵")
    found = only(conversion, "MedicationAdministration")
    (place,) = [one["valueReference"] for one in found["extension"]]
    assert values(target(conversion, place)) == ["2"]
    assert target(conversion, found["device"][0])["deviceName"][0]["name"] == "输液泵"


@pytest.mark.parametrize(
    ("dose", "told"), [("5", "value"), ("999", "extension"), ("", "extension")]
)
def test_a_route_is_told_though_nobody_recorded_the_dose(dose, told):
    rxa = segment("RXA", f1="0", f2="1", f3="20250310", f5="A^a", f6=dose, f20="CP")
    conversion = by_table("RAS^O17^RAS_O17", "ORC|RE|R1", "RXO|A^a", rxa, "RXR|IM")
    dosage = only(conversion, "MedicationAdministration")["dosage"]
    assert "IM" in codes(dosage["route"])
    assert told in dosage["dose"]


@pytest.mark.parametrize(
    ("told", "status"), [("ACTIVE", "active"), ("已愈", "resolved"), ("?", "active")]
)
def test_a_problem_is_where_it_is_in_its_life(told, status):
    prb = segment("PRB", f1="AD", f2="20250310", f3="E11.9^x^I10", f4="PB1", f14=told, f22="慢性")
    found = only(by_table("PPR^PC1^PPR_PC1", prb), "Condition")
    assert status in codes(found["clinicalStatus"])
    assert [one["text"] for one in found["note"]] == ["慢性"]


def test_a_document_answers_the_order_that_it_names_and_says_who_changed_it():
    txa = segment(
        "TXA", f1="1", f2="DS", f3="TX", f8="20250318110000", f9="D1^王", f12="DOC1", f14="P9^HIS"
    )
    conversion = by_table("MDM^T02^MDM_T02", txa, "OBX|1|TX|A^a||text||||||F")
    document = only(conversion, "DocumentReference")
    assert [one["identifier"]["value"] for one in document["context"]["related"]] == ["P9"]
    (edited,) = [one for one in of_type(conversion, "Provenance") if "occurredDateTime" in one]
    assert target(conversion, edited["target"][0]) == document
    assert values(target(conversion, edited["agent"][0]["who"])) == ["D1"]


def taking_part(**fields):
    prt = segment("PRT", f1="N1", f2="AD", f4="PO^performer", **fields)
    conversion = by_table("ORU^R01^ORU_R01", "OBR|1|P1|F1|A^a", prt)
    (performer,) = only(conversion, "DiagnosticReport")["performer"]
    return target(conversion, performer), conversion


def test_who_takes_part_is_reached_best_and_known_as_she_says():
    ways = "^PRN^PH^^^021^1111~^WPN^PH^^^021^2222"
    found, _ = taking_part(f5="D1^李", f15=ways, f23="O", f24="123456^SL^上海^20300101")
    preferred = [
        one["value"]
        for one in found["telecom"]
        if any(extension.get("valueBoolean") for extension in one["extension"])
    ]
    assert preferred == ["0212222"]
    _, licence = found["identifier"]
    assert (licence["value"], licence["period"]) == ("123456", {"end": "2030-01-01"})
    assert licence["type"]["coding"][0]["code"] == "SL"


@pytest.mark.parametrize(
    ("fields", "element"),
    [
        ({"f5": "D1^李", "f8": "甲院^^^^^^^^^77"}, "practitioner"),
        ({"f8": "甲院^^^^^^^^^77"}, "organization"),
        ({"f9": "W^1^2"}, "location"),
    ],
)
def test_an_address_is_that_of_whoever_takes_part(fields, element):
    found, conversion = taking_part(f14="路1^^上海", f7="H^Hospital", **fields)
    reference = found[element][0] if element == "location" else found[element]
    address = target(conversion, reference)["address"]
    assert (address if element == "location" else address[0])["city"] == "上海"
    organization = target(conversion, found["organization"])
    assert organization["type"][0]["coding"][0]["code"] == "H"


def test_who_takes_part_in_what_nothing_is_made_of_is_kept_word_for_word():
    prt = "PRT|1|AD||AD^Admitting|D7^王"
    message = lines(
        TABLE_MSH.format("OUL^R22^OUL_R22"), PID, prt, "SPM|1|S1||SER", "OBR|1|P1|F1|X^Y"
    )
    fields = {one.path: one.state for one in converted(message).report.fields()}
    assert {fields["PRT-4.1"], fields["PRT-5.1"]} == {"preserved"}


def test_each_order_of_a_document_keeps_what_no_observation_has():
    orders = [f"OBR|{at}|P{at}||X^Y||||||||||||||||||||RAD|F" for at in (1, 2)]
    txa = "TXA|1|DS|TX|||||||||DOC1"
    conversion = by_table("MDM^T02^MDM_T02", *orders, txa, "OBX|1|NM|A^a||5||||||F")
    kept = [one for one in conversion.report.fields() if one.path in ("OBR-24", "OBR-25")]
    assert {one.state for one in kept} <= {"mapped", "preserved"}
    assert len(kept) == 4


def test_a_header_that_names_no_sender_loses_nothing():
    header = "MSH|^~\\&||TEST01|||20250315101500|secret|ORU^R01^ORU_R01|C1|P|2.5"
    conversion = converted(lines(header, PID, "OBR|1|P1|F1|X^Y"), by_table=True)
    assert of_type(conversion, "MessageHeader") == []
    fields = {one.path: one.state for one in conversion.report.fields()}
    assert (fields["MSH-8"], fields["MSH-11"]) == ("preserved", "preserved")


@pytest.mark.parametrize("stored", [True, False])
def test_a_bed_state_that_no_place_shows_is_kept(stored):
    pv1 = segment("PV1", f2="I", f3="W^^^H", f19="V1", f40="K")
    message = lines(TABLE_MSH.format("ADT^A01^ADT_A01"), PID, pv1)
    conversion = converted(message, by_table=not stored)
    assert {one.path: one.state for one in conversion.report.fields()}["PV1-40"] == "preserved"


@pytest.mark.parametrize(
    "segments",
    [
        pytest.param(["OBR|1|P1|F1|A^a", 'OBX|1|NM|B^b||5||""||||F'], id="a range taken back"),
        pytest.param([segment("OBR", f1="1", f2="P1", f4='""', f46="X^x", f47="Y^y")], id="prr-1"),
        pytest.param(
            [segment("OBR", f1="1", f2="P1", f4="^^LN", f46="X^x")], id="prr-1, a system alone"
        ),
    ],
)
def test_what_is_taken_back_leaves_nothing_invalid(segments):
    conversion = by_table("ORU^R01^ORU_R01", "ORC|RE|P1|F1", *segments)  # which checks it
    for one in of_type(conversion, "Observation"):
        assert "referenceRange" not in one
    for one in of_type(conversion, "ServiceRequest"):
        assert "orderDetail" not in one


@pytest.mark.parametrize("is_by_table", [True, False])
def test_an_address_of_mail_in_the_place_of_a_number_is_kept(is_by_table):
    patient = segment("PID", f3="1^^^B^MR", f5="沈^桂芳", f13="021-59720001~x@y.example")
    message = lines(TABLE_MSH.format("ADT^A08^ADT_A01"), patient)
    telecom = only(converted(message, by_table=is_by_table), "Patient")["telecom"]
    assert [(one["system"], one["value"], one["use"]) for one in telecom] == [
        ("phone", "02159720001", "home"),
        ("email", "x@y.example", "home"),
    ]
