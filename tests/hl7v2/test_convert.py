"""Conversion of whatever senders send: unknown events, missing parts, order, nulls, the Bundle.

Spec: https://build.fhir.org/ig/HL7/v2-to-fhir/mapping_guidelines.html
"""

from datetime import UTC
from decimal import Decimal

import pytest
from conversion_parts import (
    LOINC,
    by_code,
    codes,
    converted,
    errors,
    every,
    identifiers,
    lines,
    of_type,
    only,
    target,
    text_of,
)

from fhir_hub.errors import InvalidMessage, ack_for
from fhir_hub.hl7v2.parsing import er7

MSH = "MSH|^~\\&|HIS|SHTH01|HUB|QPRHP|20250315101500||{}|C1|P|2.4"
PID = "PID|1||T1^^^SHTH01^PI||沈^桂芳||19530412|F"


# events without a map, messages without their parts


def test_an_event_without_a_map_of_its_own_gives_what_its_segments_say():
    text = lines(MSH.format("RPA^I08"), "EVN||20250315", PID, "PV1|1|I|W1^01^02||||||||||||||||V1")
    conversion = converted(text)
    assert conversion.report.structure == "*"
    assert "T1" in identifiers(only(conversion, "Patient"))
    assert "V1" in identifiers(only(conversion, "Encounter"))


def test_an_unknown_event_with_known_segments_is_converted():
    text = lines(
        MSH.format("ZZZ^Z01"),
        PID,
        "ORC|RE|P1",
        "OBR|1|P1||X^Y|||20250315",
        "OBX|1|NM|2823-3^K^LN||4.1|mmol/L|||||F",
        "NTE|1||ok",
    )
    conversion = converted(text)
    assert codes(only(conversion, "Observation")["code"])["2823-3"] == LOINC
    assert errors(conversion) == []


@pytest.mark.parametrize(
    ("text", "ack_code", "error_code", "location"),
    [
        pytest.param(lines(MSH.format("QQQ^Q99")), "AR", "200", "MSH-9", id="type"),
        pytest.param(lines(MSH.format("ADT^A99")), "AR", "201", "MSH-9", id="event"),
        pytest.param(lines(MSH.format("")), "AR", "101", "MSH-9", id="none"),
        pytest.param(
            lines(MSH.format("ADT^A04^ADT_A01"), "PV1|1|O"), "AE", "100", "PID", id="patient"
        ),
        pytest.param(lines(MSH.format("ADT^A40^ADT_A39"), PID), "AE", "100", "MRG", id="prior"),
        pytest.param(lines(MSH.format("ADT^A43"), PID), "AE", "100", "MRG", id="moved"),
    ],
)
def test_a_message_that_no_map_can_make_anything_of_is_refused(
    text, ack_code, error_code, location
):
    with pytest.raises(InvalidMessage) as caught:
        converted(text)
    ack = ack_for(caught.value)
    assert (ack.ack_code, ack.error_code, ack.location) == (ack_code, error_code, location)


def test_results_without_a_patient_are_results_without_a_subject():
    text = lines(MSH.format("ORU^R01"), "OBR|1|||X^Y", "OBX|1|NM|K^K||4.1|mmol/L|||||F")
    observation = only(converted(text), "Observation")
    assert "subject" not in observation
    assert observation["valueQuantity"]["value"] == Decimal("4.1")


def test_what_r4_demands_and_the_message_lacks_is_left_out_with_a_reason():
    text = lines(MSH.format("ADT^A08^ADT_A01"), PID, "AL1|1|DA|J01CA^x||疹", "NK1|1")
    without = converted(text.replace(PID, "PID|1"))
    assert of_type(without, "AllergyIntolerance")  # its patient is there, if nameless
    empty = converted(lines(MSH.format("ORU^R01"), PID, "OBR|1|||X^Y", "OBX|1|NM|||4.1"))
    assert of_type(empty, "Observation") == []
    assert "result" not in only(empty, "DiagnosticReport")
    (issue,) = empty.report.issues()
    assert (issue.code, issue.text) == ("incomplete", "Observation without code was not made")
    assert errors(empty) == []


def test_a_period_that_ends_before_it_starts_has_no_end():
    visit = "PV1|1|O|||||||||||||||||V1" + "|" * 25 + "20250314081000|20250313"
    conversion = converted(lines(MSH.format("ADT^A08^ADT_A01"), PID, visit))
    assert only(conversion, "Encounter")["period"] == {"start": "2025-03-14T08:10:00+08:00"}
    assert errors(conversion) == []
    assert conversion.report.issues()[0].code == "incomplete"
    exact = visit.replace("|20250313", "|20250314070000")
    conversion = converted(lines(MSH.format("ADT^A08^ADT_A01"), PID, exact))
    assert "end" not in only(conversion, "Encounter")["period"]


# null, repetition, order


def test_a_null_deletes_and_an_empty_field_leaves():
    text = lines(MSH.format("ADT^A08^ADT_A01"), 'PID|1||T1^^^SHTH01^PI||沈^桂芳||""|F|||""||""')
    (patient,) = every(converted(text), "Patient")
    assert set(patient.nulls) == {"birthDate", "address", "telecom"}
    assert "maritalStatus" not in patient.nulls


def test_a_null_beside_a_value_for_the_same_element_deletes_nothing():
    pid = 'PID|1||T1^^^SHTH01^PI||沈^桂芳||19530412|F|||||""|^WPN^PH^^^021^59240000'
    (patient,) = every(converted(lines(MSH.format("ADT^A08^ADT_A01"), pid)), "Patient")
    assert patient.nulls == ()
    assert len(patient.resource["telecom"]) == 1


def test_repeated_doctors_are_participants_each():
    visit = "PV1|1|O|||||D1^甲~D2^乙|D3^丙|||||||||||V1"
    conversion = converted(lines(MSH.format("ADT^A08^ADT_A01"), PID, visit))
    participants = only(conversion, "Encounter")["participant"]
    found = [
        (next(iter(identifiers(target(conversion, one["individual"])))), one["type"][0])
        for one in participants
    ]
    assert [number for number, _ in found] == ["D1", "D2", "D3"]
    assert [kind["coding"][0]["code"] for _, kind in found] == ["ATND", "ATND", "REF"]


def test_a_doctor_named_twice_is_one_practitioner_with_all_that_is_known():
    visit = "PV1|1|O|||||D1|D1^戴^慧|||||||||||V1"
    conversion = converted(lines(MSH.format("ADT^A08^ADT_A01"), PID, visit))
    assert only(conversion, "Practitioner")["name"][0]["text"] == "戴慧"


def test_a_doctor_without_a_number_is_named_and_makes_no_resource():
    visit = "PV1|1|O|||||^戴慧||||||||||||V1"
    conversion = converted(lines(MSH.format("ADT^A08^ADT_A01"), PID, visit))
    assert of_type(conversion, "Practitioner") == []
    (participant,) = only(conversion, "Encounter")["participant"]
    assert participant["individual"] == {"display": "戴慧"}


def test_two_results_of_one_code_in_one_order_stay_two():
    text = lines(
        MSH.format("ORU^R01"),
        PID,
        "OBR|1||F1|X^Y",
        "OBX|1|TX|NOTE^n||first||||||F",
        "OBX|2|TX|NOTE^n||second||||||F",
        "OBX|3|TX|NOTE^n|2|third||||||F",
    )
    found = every(converted(text), "Observation")
    assert len({one.match for one in found}) == 3
    assert found[2].match[0][1] == "F1/NOTE/2"


def test_segments_out_of_place_lose_nothing():
    visit = "PV1|1|O|||||||||||||||||V1"
    ordered = lines(MSH.format("ORU^R01"), PID, visit, "OBR|1||F1|X^Y", "OBX|1|NM|K||1||||||F")
    late = lines(MSH.format("ORU^R01"), PID, "OBR|1||F1|X^Y", "OBX|1|NM|K||1||||||F", visit)
    for text in (ordered, late):
        conversion = converted(text)
        visit_url = every(conversion, "Encounter")[0].full_url
        report = only(conversion, "DiagnosticReport")
        assert len(report["result"]) == 1
        assert report["encounter"] == {"reference": visit_url}


def test_each_report_has_its_own_results():
    text = lines(
        MSH.format("ORU^R01"),
        PID,
        "ORC|RE|P1|F1",
        "OBR|1|P1|F1|A^a",
        "NTE|1||of the report",
        "OBX|1|NM|K||1||||||F",
        "NTE|1||of the result~and more",
        "ORC|RE|P2|F2",
        "OBR|2|P2|F2|B^b",
        "OBX|1|NM|L||2||||||F",
        "OBX|2|NM|M||3||||||F",
    )
    conversion = converted(text)
    first, second = of_type(conversion, "DiagnosticReport")
    results = [
        [next(iter(codes(target(conversion, one)["code"]))) for one in report["result"]]
        for report in (first, second)
    ]
    assert results == [["K"], ["L", "M"]]
    assert by_code(conversion)["K"]["note"] == [{"text": "of the result~and more"}]
    assert "of the report" in str(first["extension"])
    assert "note" not in by_code(conversion)["L"]


def test_the_hubs_zone_is_that_of_times_without_one():
    visit = "PV1|1|O|||||||||||||||||V1" + "|" * 25 + "20250314081000"
    text = lines(MSH.format("ADT^A08^ADT_A01"), PID, visit).replace("SHTH01", "OTHER")
    conversion = converted(text, zone=UTC)
    assert only(conversion, "Encounter")["period"]["start"] == "2025-03-14T08:10:00+00:00"


def test_without_a_time_of_its_own_a_message_is_recorded_when_it_came():
    text = lines(MSH.format("ADT^A08^ADT_A01").replace("20250315101500", ""), PID)
    known = converted(text, received="2025-03-15T10:15:01Z")
    assert only(known, "Provenance")["recorded"] == "2025-03-15T10:15:01Z"
    unknown = converted(text)
    assert of_type(unknown, "Provenance") == []
    assert "Provenance without recorded" in unknown.report.issues()[0].text
    dated = converted(text.replace("QPRHP||", "QPRHP|20250315|"))
    assert only(dated, "Provenance")["recorded"] == "2025-03-15T00:00:00+08:00"


@pytest.mark.no_cover  # many rounds of what other tests cover
def test_nothing_a_sender_writes_is_a_fault_of_ours():
    text = text_of("08")
    for position in range(0, len(text), 11):
        for mark in ("|", "^", "~", '""', "\\X0\\"):
            broken = f"{text[:position]}{mark}{text[position:]}"
            try:
                er7.parse(broken)
            except InvalidMessage:
                continue
            try:
                conversion = converted(broken)
            except InvalidMessage:
                continue
            assert conversion.resources
        if position > 1000:
            break
