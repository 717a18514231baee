"""The rows of the standard's tables that few senders fill: offsets, labels, financial class, beds.

Spec: https://build.fhir.org/ig/HL7/v2-to-fhir (AIP, AIS, MSH, ORC, OBX, PV1, PV2, IN3, RXA, TQ1)
"""

import pytest
from conversion_parts import (
    BASE,
    PID,
    TABLE_MSH,
    by_table,
    converted,
    errors,
    lines,
    of_type,
    only,
    segment,
    target,
    values,
)

MSH = TABLE_MSH
PLANNED = "2025-03-16T10:00:00+08:00"
V2 = "http://terminology.hl7.org/CodeSystem/v2-"
BOOKING = segment(
    "SCH", f1="A1", f2="F1", f9="30", f10="min", f11="^^^20250315101500^20250315104500"
)


def coded(coding):
    return (coding["system"], coding["code"])


@pytest.mark.parametrize(
    ("offset", "unit", "begins"),
    [("15", "min", "10:30:00"), ("-1", "h", "09:15:00"), ("0", "", "10:15:00")],
)
def test_a_resource_without_a_start_is_booked_from_the_bookings_own(offset, unit, begins):
    aip = segment("AIP", f1="1", f2="A", f3="D1^李", f7=offset, f8=unit)
    found = only(by_table("SIU^S12^SIU_S12", BOOKING, "AIS|1|A|X^Y", aip), "Appointment")
    periods = [one["period"] for one in found["participant"] if "period" in one]
    assert periods == [{"start": f"2025-03-15T{begins}+08:00"}]


def test_what_is_booked_lasts_as_its_segment_says():
    ais = segment("AIS", f1="1", f2="A", f3="X^Y", f5="15", f6="min", f7="20", f8="min")
    found = only(by_table("SIU^S12^SIU_S12", BOOKING, ais), "ServiceRequest")
    assert found["occurrencePeriod"] == {
        "start": "2025-03-15T10:30:00+08:00",
        "end": "2025-03-15T10:50:00+08:00",
    }


@pytest.mark.parametrize(
    ("of_services", "status"),
    [
        (["Pending"], "pending"),
        (["Pending", "Pending"], "pending"),
        (["Pending", "Deleted"], "booked"),
    ],
)
def test_a_booking_is_in_the_state_of_its_services_if_they_are_in_one(of_services, status):
    services = [segment("AIS", f1="1", f2="A", f3="X^Y", f10=one) for one in of_services]
    found = only(by_table("SIU^S12^SIU_S12", BOOKING, *services, "AIP|1|A|D1"), "Appointment")
    assert found["status"] == status


def test_a_booking_follows_the_fillers_order_where_the_placer_names_none():
    booking = segment("SCH", f1="A1", f11="^^^20250315101500^20250315104500", f27="FO1^LIS")
    found = only(by_table("SIU^S12^SIU_S12", booking, "AIP|1|A|D1"), "Appointment")
    assert [one["identifier"]["value"] for one in found["basedOn"]] == ["FO1"]


def test_the_header_says_how_the_message_is_to_be_treated():
    first = "MSH|^~\\&|XIS|TEST01|||20250315101500|secret|ORU^R01^ORU_R01|C1|T^A|2.9"
    header = first + "|||||||ENG|||||||R|DELAU"
    conversion = converted(lines(header, PID, segment("OBR", f1="1", f4="X^Y")), by_table=True)
    assert errors(conversion) == []
    found = only(conversion, "MessageHeader")
    assert [one["code"] for one in found["meta"]["security"]] == ["secret", "R", "DELAU"]
    assert list(map(coded, found["meta"]["tag"])) == [(V2 + "0103", "T"), (V2 + "0207", "A")]
    assert found["language"] == "en"


@pytest.mark.parametrize("marks", ["^~\\&", "*!%$"])
def test_where_a_message_comes_from_does_not_depend_on_its_delimiters(marks):
    header = "MSH|^~\\&|XIS^2.16.TBD^ISO|TEST01|||20250315101500||ORU^R01^ORU_R01|C1|P|2.9"
    text = lines(header, PID, segment("OBR", f1="1", f4="X^Y"))
    conversion = converted(text.translate(str.maketrans("^~\\&", marks)), by_table=True)
    endpoint = only(conversion, "MessageHeader")["source"]["endpoint"]
    assert endpoint == "XIS%5E2.16.TBD%5EISO"


@pytest.mark.parametrize(
    ("code", "label"),
    [
        ("R", ("http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "R")),
        ("AID", ("http://terminology.hl7.org/CodeSystem/v3-ActCode", "HIV")),
        ("VIP", (V2 + "0177", "VIP")),
    ],
)
def test_who_may_see_an_order_is_a_label_of_it_and_of_its_report(code, label):
    orc = segment("ORC", f1="RE", f2="P1", f3="F1", f28=code)
    conversion = by_table("ORU^R01^ORU_R01", orc, "OBR|1|P1|F1|X^Y")
    for kind in ("ServiceRequest", "DiagnosticReport"):
        assert list(map(coded, only(conversion, kind)["meta"]["security"])) == [label]


def test_an_order_says_for_whom_and_on_what_it_was_entered_and_its_fillers_group():
    orc = segment("ORC", f1="NW", f2="P1", f4="G1", f17="O1^门诊部", f18="W7^诊室电脑", f38="FG1")
    conversion = by_table("OML^O21^OML_O21", orc, "OBR|1|P1||X^Y")
    order = only(conversion, "ServiceRequest")
    named = {
        one["url"].rpartition("/")[2]: target(conversion, one["valueReference"])
        for one in order["extension"]
    }
    assert named["order-entering-organization"]["name"] == "门诊部"
    device = named["order-entering-device"]
    assert (values(device), device["deviceName"][0]["name"]) == (["W7"], "诊室电脑")
    group = [
        (one["type"]["coding"][0]["code"], one["value"])
        for one in order["identifier"]
        if one["type"]["coding"][0]["code"] in ("PGN", "FGN")
    ]
    assert group == [("PGN", "G1"), ("FGN", "FG1")]


def test_a_result_says_for_whom_its_range_is_and_of_what_kind_it_is():
    obx = segment(
        "OBX", f1="1", f2="NM", f3="718-7^Hb^LN", f5="5", f10="A~S", f11="F", f29="RSLT", f30="X1"
    )
    found = only(by_table("ORU^R01^ORU_R01", segment("OBR", f1="1", f4="X^Y"), obx), "Observation")
    told = [
        (one["url"].rpartition("/")[2], one["valueCodeableConcept"]["coding"][0]["code"])
        for one in found["extension"]
    ]
    assert told == [
        ("observation-type", "RSLT"),
        ("observation-nature-of-abnormal-test", "A"),
        ("observation-nature-of-abnormal-test", "S"),
        ("observation-structure-type", "X1"),
    ]


@pytest.mark.parametrize(
    ("where", "shown"), [("W^1^2^H", True), ("W^1^^H", True), ("W^^^H", False)]
)
def test_a_bed_or_a_room_is_in_the_state_that_the_visit_tells(where, shown):
    pv1 = segment("PV1", f2="I", f3=where, f19="V1", f40="K")
    conversion = by_table("ADT^A01^ADT_A01", pv1)
    visit = only(conversion, "Encounter")
    place = target(conversion, visit["location"][0]["location"])
    assert ("operationalStatus" in place) is shown
    if shown:
        assert coded(place["operationalStatus"]) == (V2 + "0116", "K")


def test_what_is_written_of_a_visit_is_its_narrative():
    pv2 = segment("PV2", f12="胸痛 <3天\\.br\\伴咳嗽")
    found = only(by_table("ADT^A01^ADT_A01", segment("PV1", f2="I", f19="V1"), pv2), "Encounter")
    div = '<div xmlns="http://www.w3.org/1999/xhtml"><p>胸痛 &lt;3天<br/>伴咳嗽</p></div>'
    assert found["text"] == {"status": "additional", "div": div}


@pytest.mark.parametrize(
    ("told", "name", "since"),
    [
        ("自费", "自费", None),
        ("自费^20250301", "自费", "2025-03-01"),
        ("自费^全自费", "全自费", None),
    ],
)
def test_the_financial_class_of_a_visit_is_a_cover_whose_payor_nobody_names(told, name, since):
    pv1 = segment("PV1", f2="I", f19="V1", f20=told)
    found = only(by_table("ADT^A01^ADT_A01", pv1), "Coverage")
    assert found["type"].get("text") == name
    assert found.get("period", {}).get("start") == since
    assert found["type"]["coding"][0]["code"] == "pay"
    assert found["payor"][0]["extension"][0]["valueCode"] == "unknown"


def test_the_payers_case_manager_is_of_a_care_team():
    conversion = by_table(
        "ADT^A01^ADT_A01", "IN1|1|310|B|C", segment("IN3", f1="1", f21="M1^王^五")
    )
    (member,) = only(conversion, "CareTeam")["participant"]
    assert member["role"][0]["coding"][0]["code"] == "768832004"
    assert values(target(conversion, member["member"])) == ["M1"]


def test_a_vaccine_was_given_at_an_address():
    rxa = segment(
        "RXA", f1="0", f2="1", f3="20250310", f5="141^x^CVX", f6="1", f27="W^^^H", f28="路1^^上海"
    )
    conversion = by_table("VXU^V04^VXU_V04", segment("ORC", f1="RE", f3="F1"), rxa)
    place = target(conversion, only(conversion, "Immunization")["location"])
    assert (values(place), place["address"]["city"]) == (["W"], "上海")


def test_a_strength_in_a_volume_is_a_ratio():
    rxo = segment("RXO", f1="A^B", f2="1", f4="ml", f18="5", f19="mg", f25="10", f26="ml")
    found = only(by_table("OMP^O09^OMP_O09", "ORC|NW|P1", rxo), "MedicationRequest")
    (strength,) = [one["valueRatio"] for one in found["extension"] if "valueRatio" in one]
    assert [str(strength[one]["value"]) for one in ("numerator", "denominator")] == ["5", "10"]


def test_a_prescription_says_how_long_one_dose_takes_and_when_all_is_over():
    tq1 = segment("TQ1", f1="1", f3="BID", f6="7^d", f7="20250310", f13="10^min")
    found = only(
        by_table("OMP^O09^OMP_O09", "ORC|NW|P1", tq1, segment("RXO", f1="A^B")), "MedicationRequest"
    )
    repeat = found["dosageInstruction"][0]["timing"]["repeat"]
    assert (str(repeat["duration"]), repeat["durationUnit"]) == ("10", "min")
    assert repeat["boundsPeriod"] == {"start": "2025-03-10", "end": "2025-03-17"}


def test_a_distance_is_told_from_an_event_alone():
    def repeat(pattern):
        tq1 = segment("TQ1", f1="1", f3=pattern, f5="30^min")
        conversion = by_table("OMP^O09^OMP_O09", "ORC|NW|P1", tq1, segment("RXO", f1="A^B"))
        return only(conversion, "MedicationRequest")["dosageInstruction"][0]["timing"]["repeat"]

    assert repeat("AC")["offset"] == 30
    assert "offset" not in repeat("BID")


@pytest.mark.parametrize(("told", "code"), [("空腹", "F"), ("NF", "NF"), ("多饮多尿", None)])
def test_whether_a_patient_fasted_is_of_the_specimen(told, code):
    obr = segment("OBR", f1="1", f2="P1", f4="X^Y", f13=told, f15="BLD")
    conversion = by_table("OML^O21^OML_O21", "ORC|NW|P1", obr)
    (found,) = [one for one in of_type(conversion, "Specimen") if "type" in one]
    status = found.get("collection", {}).get("fastingStatusCodeableConcept")
    assert (status["coding"][0]["code"] if status else None) == code


def test_each_note_of_a_booking_has_its_author():
    note = segment("NTE", f1="1", f3="空腹", f4="PI", f5="E1^录", f6="20250301", f9="X1^y")
    message = by_table("SIU^S12^SIU_S12", BOOKING, note, "AIP|1|A|D1")
    found = only(message, "Appointment")
    (told,) = [one["valueAnnotation"] for one in found["extension"] if "valueAnnotation" in one]
    assert (told["text"], told["time"]) == ("空腹", "2025-03-01")
    assert values(target(message, told["authorReference"])) == ["E1"]
    kinds = [one["valueCodeableConcept"]["coding"][0]["code"] for one in told["extension"]]
    assert kinds == ["PI", "X1"]


@pytest.mark.parametrize(("told", "labels"), [("Y", ["R"]), ("N", [])])
def test_a_protected_visit_is_restricted(told, labels):
    pv2 = segment("PV2", f22=told)
    visit = only(by_table("ADT^A01^ADT_A01", segment("PV1", f2="I", f19="V1"), pv2), "Encounter")
    assert [one["code"] for one in visit.get("meta", {}).get("security", ())] == labels


def test_codes_of_hl7_tables_are_named_as_such_and_a_hospitals_own_are_not():
    pv1 = segment("PV1", f2="I", f19="V1", f15="A2~B6~X9")
    visit = only(by_table("ADT^A01^ADT_A01", pv1, segment("PV2", f38="A")), "Encounter")
    arranged = visit["hospitalization"]["specialArrangement"]
    assert [one["coding"][0]["code"] for one in arranged] == ["wheel", "B6", "X9"]
    assert coded(arranged[1]["coding"][0]) == (V2 + "0009", "B6")
    assert arranged[2]["coding"][0]["system"].startswith(BASE)
    (arrival,) = [one["valueCoding"] for one in visit["extension"]]
    assert coded(arrival) == (V2 + "0430", "A")


def test_the_header_says_which_software_sent_it():
    header = only(by_table("ADT^A01^ADT_A01", "SFT|厂商|2.1|HIS"), "MessageHeader")
    assert (header["source"]["version"], header["source"]["software"]) == ("2.1", "HIS")


def test_a_label_is_stored_with_the_order_and_says_nothing_of_other_orders():
    message = lines(
        TABLE_MSH.format("OML^O21^OML_O21"),
        PID,
        segment("ORC", f1="NW", f2="P1", f28="R"),
        "OBR|1|P1||X^Y",
        "ORC|NW|P2",
        "OBR|2|P2||X^Y",
    )
    conversion = converted(message)
    assert errors(conversion) == []
    first, second = of_type(conversion, "ServiceRequest")
    assert first["meta"]["security"][0]["code"] == "R"
    assert "meta" not in second
    assert first["identifier"][0]["system"].startswith(BASE)


def test_a_doctors_number_has_its_check_digit_and_her_name_the_time_that_it_holds():
    doctor = "D1^Li^^^^^^^HIS^L^3^M10^^^^^20200101&20210101"
    visit = by_table("ADT^A01^ADT_A01", segment("PV1", f2="I", f7=doctor, f19="V1"))
    (found,) = of_type(visit, "Practitioner")
    told = [one.get("valueString") for one in found["identifier"][0]["extension"]]
    assert told[-2:] == ["3", "M10"]
    assert found["name"][0]["period"] == {"start": "2020-01-01", "end": "2021-01-01"}


@pytest.mark.parametrize(
    ("address", "systems"), [("", []), ("10.1.1.9^10.1.1.9^DNS", [["XIS", "1.2.3"]])]
)
def test_the_system_that_sent_a_message_is_a_device_where_its_address_is_told(address, systems):
    header = TABLE_MSH.format("ADT^A08^ADT_A01").replace("|XIS|", "|XIS^1.2.3^ISO|")
    software = segment("SFT", f1="Neusoft", f2="2.1", f3="HIS")
    conversion = converted(lines(f"{header}{'|' * 12}{address}", software, PID), by_table=True)
    assert errors(conversion) == []
    (source, _) = of_type(conversion, "Provenance")
    named = [one["what"] for one in source["entity"] if "reference" in one["what"]]
    devices = [target(conversion, one) for one in named]
    assert [values(one) for one in devices if "identifier" in one] == systems
    assert [one["manufacturer"] for one in devices if "manufacturer" in one] == ["Neusoft"]


@pytest.mark.parametrize(
    ("unit", "named", "code"),
    [
        ("mL^milliliter^UCUM", "milliliter", "mL"),
        ("mL", "mL", "mL"),
        ("10^9/L", "10^9/L", "10*9/L"),
        ("1^mL^OURS", "mL", "mL"),
        ("9^dose^OURS", "dose", None),
        ("10*9/L^x10^9/L^UCUM", "x10^9/L", "10*9/L"),
    ],
)
def test_a_unit_is_called_what_the_message_calls_it(unit, named, code):
    rxa = segment("RXA", f1="0", f2="1", f3="20250315", f5="03^MMR^CVX", f6="0.5", f7=unit)
    given = only(by_table("VXU^V04^VXU_V04", "ORC|RE||F1", rxa), "Immunization")["doseQuantity"]
    seen = by_table("ORU^R01^ORU_R01", "OBR|1|P1|F1|X^Y", f"OBX|1|NM|K^k||0.5|{unit}|||||F")
    for found in (given, only(seen, "Observation")["valueQuantity"]):
        assert (found["unit"], found.get("code")) == (named, code)


def test_a_unit_within_a_quantity_has_its_name_too():
    specimen = segment("SPM", f1="1", f4="BLD", f12="10^mL&milliliter&UCUM")
    order = ("ORC|NW|P1", "OBR|1|P1||X^Y", specimen)
    (_, found) = of_type(by_table("OML^O21^OML_O21", *order), "Specimen")
    assert found["collection"]["quantity"]["unit"] == "milliliter"


@pytest.mark.parametrize(
    ("event", "pv2", "said"),
    [
        ("A05", {}, {"extension-Encounter.plannedStartDate": PLANNED}),
        ("A14", {"f8": "20250401"}, {"extension-Encounter.plannedStartDate": "2025-04-01"}),
        ("A16", {}, {"extension-Encounter.plannedEndDate": PLANNED}),
        ("A21", {}, {"expected-return": PLANNED}),
        ("A21", {"f47": "20250401"}, {"expected-return": "2025-04-01"}),
        ("A08", {}, {}),
    ],
)
def test_a_visit_is_planned_as_its_event_says_where_pv2_does_not(event, pv2, said):
    evn, pv1 = f"EVN|{event}|20250314|20250316100000", segment("PV1", f2="I", f42="W2^1^3")
    more = [segment("PV2", **pv2)] if pv2 else []
    kind = f"ADT^{event}"
    conversion = converted(lines(MSH.format(kind), evn, PID, pv1, *more), by_table=True)
    extensions = only(conversion, "Encounter").get("extension", ())
    assert {one["url"].rpartition("/")[2]: one["valueDateTime"] for one in extensions} == said


@pytest.mark.parametrize(
    ("at", "status"),
    [("20250401", "preparation"), ("20250315", "completed"), ("202503150900", "completed"),
     ("202503151200", "preparation"), ("", "unknown")],
)  # fmt: skip
def test_what_is_to_be_done_later_is_not_done(at, status):
    found = only(by_table("ADT^A05", "PV1|1|P", f"PR1|1||27130^X^CPT||{at}"), "Procedure")
    assert found["status"] == status
