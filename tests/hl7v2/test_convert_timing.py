"""When things are to be done: TQ1 of orders, the times of bookings; and who does them.

Spec: https://build.fhir.org/ig/HL7/v2-to-fhir (TQ1[ServiceRequest], RPT[Timing], SCH, AIP); R4
datatypes.html#Timing, invariants tim-1 to tim-10
"""

import pytest
from conversion_parts import (
    TABLE_MSH,
    by_table,
    converted,
    errors,
    lines,
    of_type,
    only,
    segment,
    target,
)

MSH = "MSH|^~\\&|XIS|TEST01|HUB|QPRHP|20250315101500||{}|C1|P|2.8"
PID = "PID|1||T1^^^TEST01^PI||沈^桂芳||19530412|F"


def made(kind, *segments, by_table=True):
    told = segments if PID in segments else (PID, *segments)
    conversion = converted(lines(MSH.format(kind), *told), by_table=by_table)
    assert errors(conversion) == []
    return conversion


def repeat(tq1, requested=""):
    order = ("ORC|NW|P1", f"TQ1|1||{tq1}", f"OBR|1|P1||X^Y||{requested}")
    found = only(made("OML^O21^OML_O21", *order, by_table=False), "ServiceRequest")
    assert "occurrenceDateTime" not in found
    return found["occurrenceTiming"].get("repeat", {})


@pytest.mark.parametrize(
    ("tq1", "said"),
    [
        ("Once^^^^1^d&Day^^AC^1^hr&Hour", {"period": 1, "periodUnit": "d", "when": ["AC"]}),
        ("BID", {"frequency": 2}),
        ("X^^^^^^^C^5^min", {"when": ["C"]}),
        ("X|080000~2030", {"timeOfDay": ["08:00:00", "20:30:00"]}),
        ("X^^^^^^^PC|0800|30^min", {"when": ["PC"], "offset": 30}),
        ("X|||3^d", {"boundsDuration": {"value": 3, "unit": "d", "code": "d"}}),
        ("X|||3^d|20250316", {"boundsPeriod": {"start": "2025-03-16"}}),
        ("X||||||||||15^min|4", {"duration": 15, "durationUnit": "min", "count": 4}),
        ("X||||||||||15^kg|4", {"count": 4}),
    ],
)
def test_a_repeat_is_all_that_tq1_says_and_r4_allows(tq1, said):
    found = repeat(tq1)
    for name, value in said.items():
        held = found[name]
        held = {key: held[key] for key in value} if isinstance(value, dict) else held
        assert held == value
    assert ("offset" in found) == ("Hour" in tq1 or "30^min" in tq1)
    assert ("timeOfDay" in found) == ("080000" in tq1)


def test_an_offset_is_in_minutes():
    assert repeat("Once^^^^1^d^^AC^2^h")["offset"] == 120


def test_a_pattern_says_more_than_the_time_that_it_replaced():
    assert repeat("QD", "20250317080000")["periodUnit"] == "d"
    plain = only(made("OML^O21^OML_O21", "ORC|NW|P1", "OBR|1|P1||X^Y||20250317"), "ServiceRequest")
    assert (plain["occurrenceDateTime"], "occurrenceTiming" in plain) == ("2025-03-17", False)


@pytest.mark.parametrize("by_table", [True, False])
def test_all_hours_and_instructions_of_a_dose_are_of_one_dose(by_table):
    rxe = "RXE||M1^药^L|10||mg||1^饭后^L~2^睡前^L"
    order = ("ORC|NW|P1", rxe, "TQ1|1||BID|0800~2000", "RXR|PO")
    conversion = made("RDE^O11^RDE_O11", *order, by_table=by_table)
    (dose,) = only(conversion, "MedicationRequest")["dosageInstruction"]
    assert dose["timing"]["repeat"]["timeOfDay"] == ["08:00:00", "20:00:00"]
    assert [one["text"] for one in dose["additionalInstruction"]] == ["饭后", "睡前"]


def test_how_long_an_order_lasts_says_more_than_when_it_is_scheduled():
    obr = segment("OBR", f1="1", f2="P1", f4="X^Y", f36="20250401")
    order = only(made("OML^O21^OML_O21", "ORC|NW|P1", "TQ1|1|||||10^d", obr), "ServiceRequest")
    assert order["occurrenceTiming"]["repeat"]["boundsDuration"]["value"] == 10


def test_who_orders_in_the_name_of_an_institution_may_stand_in_obr():
    order = ("ORC|NW|P1" + "|" * 19 + "甲院", "OBR|1|P1||X^Y" + "|" * 12 + "D7^李^明")
    conversion = made("OML^O21^OML_O21", *order)
    role = target(conversion, only(conversion, "ServiceRequest")["requester"])
    assert target(conversion, role["practitioner"])["identifier"][0]["value"] == "D7"
    assert target(conversion, role["organization"])["name"] == "甲院"


SCH = "SCH|1|2||||新增|{}|{}|2|h|^^^20250301080000^20250301090000||||||||||||||Booked"


def booked(*segments, reason="CHECKUP", kind="Normal", event="S12", by_table=True):
    scheduled = SCH.format(reason, kind)
    timing = [one for one in segments if one.startswith("TQ1")]
    others = [one for one in segments if one not in timing]
    return made(f"SIU^{event}^SIU_S12", scheduled, *timing, PID, *others, by_table=by_table)


def test_tq1_says_when_a_booking_is_and_how_urgent():
    timing = "TQ1|||||||20250320080000|20250320100000|A"
    found = only(booked(timing, by_table=False), "Appointment")
    assert (found["start"], found["end"]) == (
        "2025-03-20T08:00:00+08:00",
        "2025-03-20T10:00:00+08:00",
    )
    assert (found["minutesDuration"], found["priority"]) == (120, 2)


@pytest.mark.parametrize(
    ("reason", "kind", "said"),
    [("CHECKUP", "Normal", "CHECKUP"), ("CHECKUP", "PRI", "PRI"), ("腹痛", "Normal", "Normal")],
)
def test_the_kind_of_a_booking_is_of_the_table_that_r4_names(reason, kind, said):
    found = only(booked(reason=reason, kind=kind), "Appointment")
    assert found["appointmentType"]["coding"][0]["code"] == said


def test_a_person_is_booked_for_a_time_and_does_the_service():
    conversion = booked(
        "RGS|1",
        "AIS|1||58410-2^血常规^LN",
        "AIG|1||EQ1^血球仪",
        "AIP|1||400^王^三|||20250301080000|||50|min",
        "RGS|2",
        "AIP|1||500^李^四",
    )
    ordered = only(conversion, "ServiceRequest")
    found = [target(conversion, one)["identifier"][0]["value"] for one in ordered["performer"]]
    assert found == ["EQ1", "400"]
    booking = only(conversion, "Appointment")
    assert target(conversion, booking["basedOn"][0]) is ordered
    (period,) = [one["period"] for one in booking["participant"] if "period" in one]
    assert period == {"start": "2025-03-01T08:00:00+08:00", "end": "2025-03-01T08:50:00+08:00"}


def test_nobody_takes_part_by_a_time_alone():
    conversion = booked("RGS|1", "AIG|1|" + "|" * 6 + "20250301080000")
    (patient,) = only(conversion, "Appointment")["participant"]
    assert target(conversion, patient["actor"]) is only(conversion, "Patient")


@pytest.mark.parametrize(("event", "status"), [("S15", "revoked"), ("S17", "entered-in-error")])
def test_what_was_booked_goes_with_the_booking(event, status):
    conversion = booked("RGS|1", "AIS|1||58410-2^血常规^LN", event=event)
    assert only(conversion, "ServiceRequest")["status"] == status


def test_a_referral_says_its_kind_who_may_do_it_and_why():
    referral = "RF1|P|R|MED^Medical^HL70281|||N1|||20250301|O^医嘱||||脊柱骨折"
    referral += "||||" + "|乙院|D9^张^三||||查转移"
    conversion = made("REF^I12^REF_I12", referral, "PRD|RP|李^明|||||D8|||甲院")
    found = only(conversion, "ServiceRequest")
    kinds = [one["coding"][0]["code"] for one in found["category"]]
    assert kinds == ["referral", "MED"]
    assert found["authoredOn"] == "2025-03-01"
    assert [one.get("text") for one in found["reasonCode"]] == ["医嘱", "脊柱骨折"]
    assert found["note"][0]["text"] == "查转移"
    done_by = [target(conversion, one) for one in found["performer"]]
    assert [one["resourceType"] for one in done_by] == ["Organization", "Practitioner"]
    role = target(conversion, found["requester"])
    assert target(conversion, role["organization"])["name"] == "甲院"
    kept = made("REF^I12^REF_I12", referral, by_table=False)
    assert len(only(kept, "ServiceRequest")["category"]) == 1


def test_a_provider_is_told_with_all_that_is_said_of_her_by_the_tables():
    """PRD-3, 5, 7 to 11 and 13; the hub keeps them beside the person whom it stores."""
    prd = (
        "PRD|RT|李^明|示范路1号^^青浦^^201700|^^^JY|^WPN^PH^^^^^^^^^59240001||D8^SL^^20301231"
        "|20200101|20291231|甲院|示范路2号^^上海||^WPN^PH^^^^^^^^^59240002"
    )
    for event, element in (("REF^I12^REF_I12", "performer"), ("RRI^I12^RRI_I12", "owner")):
        conversion = made(event, "RF1|P|R||||N1", prd)
        holder = only(conversion, "ServiceRequest" if element == "performer" else "Task")
        found = holder[element]
        role = target(conversion, found[-1] if isinstance(found, list) else found)
        assert role["code"] == [
            {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0286", "code": "RT"}]}
        ]
        assert role["period"] == {"start": "2020-01-01", "end": "2029-12-31"}
        person = target(conversion, role["practitioner"])
        number = person["identifier"][0]
        assert number["type"]["coding"][0]["code"] == "SL"
        assert number["period"] == {"end": "2030-12-31"}
        assert person["address"][0]["line"] == ["示范路1号"]
        assert person["telecom"][0]["value"] == "59240001"
        institution = target(conversion, role["organization"])
        assert (institution["name"], institution["telecom"][0]["value"]) == ("甲院", "59240002")
        assert target(conversion, role["location"][0])["identifier"][0]["value"] == "JY"
    kept = str(only(made("REF^I12^REF_I12", "RF1|P|R||||N1", prd, by_table=False), "Provenance"))
    assert "示范路1号" in kept
    assert "59240002" in kept


def test_a_document_tells_what_it_documents_and_where_it_is_filed():
    txa = "TXA|1|DS||20250301080000||20250302||||||U1||||file.pdf|AU|||||||放射报告|标题"
    found = only(made("OUL^R22^OUL_R22", "SPM|1|S1||BLD", "OBR|1|P1||X", txa), "DocumentReference")
    assert found["context"]["period"]["start"] == "2025-03-01T08:00:00+08:00"
    assert found["category"][0]["text"] == "放射报告"
    assert found["content"][0]["attachment"]["title"] == "标题"


def test_each_of_two_languages_is_coded():
    message = PID.replace("|F", "|F" + "|" * 7 + "ara^^HL70296^eng^English^HL70296")
    found = only(converted(lines(MSH.format("ADT^A08^ADT_A01"), message)), "Patient")
    codings = found["communication"][0]["language"]["coding"]
    assert [one["code"] for one in codings] == ["ar", "en"]


def test_a_charge_of_an_order_is_not_known_to_be_billable():
    charge = "FT1|1|77||20250315||CG|71045^胸片"
    order = made("OML^O21^OML_O21", "ORC|NW|P1", "OBR|1|P1||X^Y", charge)
    statuses = [only(one, "ChargeItem")["status"] for one in (order, made("DFT^P03", charge))]
    assert statuses == ["unknown", "billable"]


def test_a_document_message_names_the_specimen_of_its_order():
    order = ("ORC|RE|P1", "OBR|1|P1||X^Y|||20250301", "TXA|1|DS|TX", "OBX|1|TX|A^B||文")
    (found,) = of_type(made("MDM^T02^MDM_T02", *order), "Specimen")
    assert found["collection"]["collectedDateTime"] == "2025-03-01"


TQ = "1^Q8H^D10^20250314080000^20250324^R^^after meals^^^^3"


@pytest.mark.parametrize(
    ("orc", "obr"), [({"f7": TQ}, {}), ({}, {"f27": TQ}), ({"f7": "^^^^^S"}, {"f27": TQ})]
)
def test_the_timing_of_older_messages_is_read_too(orc, obr):
    message = by_table(
        "ORM^O01^ORM_O01",
        segment("ORC", f1="NW", f2="P1", **orc),
        segment("OBR", f1="1", f2="P1", f4="X^Y", **obr),
    )
    order = only(message, "ServiceRequest")
    repeat = order["occurrenceTiming"]["repeat"]
    assert (repeat["frequency"], repeat["period"], repeat["periodUnit"]) == (1, 8, "h")
    assert repeat["boundsPeriod"]["start"][:10] == "2025-03-14"
    assert repeat["count"] == 3
    assert order["priority"] == "routine"
    assert order["quantityQuantity"]["value"] == 1
    assert [one["text"] for one in order["note"]] == ["after meals"]


@pytest.mark.parametrize(("orc", "obr"), [({"f7": TQ}, {}), ({}, {"f27": TQ})])
def test_when_an_order_is_requested_for_is_told_once(orc, obr):
    conversion = by_table(
        "ORM^O01^ORM_O01",
        segment("ORC", f1="NW", f2="P1", **orc),
        segment("OBR", f1="1", f2="P1", f4="X^Y", f6="20250314", **obr),
    )
    order = only(conversion, "ServiceRequest")
    assert [name for name in order if name.startswith("occurrence")] == ["occurrenceTiming"]
    assert order["occurrenceTiming"]["repeat"]["boundsPeriod"]["start"][:10] == "2025-03-14"
    assert order["priority"] == "routine"


@pytest.mark.parametrize(
    ("told", "occurrence"),
    [
        ("1^^^^^R", "2025-03-16T08:00:00+08:00"),
        ("^Q6H", {"start": "2025-03-16T08:00:00+08:00"}),
        (
            "^Q6H^D10",
            {"start": "2025-03-16T08:00:00+08:00", "end": "2025-03-26T08:00:00+08:00"},
        ),
        ("^Q6H^X4^20250317", {"start": "2025-03-17"}),
    ],
)
def test_how_often_is_said_from_the_moment_on_that_is_requested(told, occurrence):
    for orc, obr in (({"f7": told}, {}), ({}, {"f27": told})):
        conversion = by_table(
            "ORM^O01^ORM_O01",
            segment("ORC", f1="NW", f2="P1", **orc),
            segment("OBR", f1="1", f2="P1", f4="X^Y", f6="20250316080000", **obr),
        )
        order = only(conversion, "ServiceRequest")
        timing = order.get("occurrenceTiming", {}).get("repeat", {})
        assert order.get("occurrenceDateTime") or timing["boundsPeriod"] == occurrence
        assert order.get("occurrenceDateTime", occurrence) == occurrence
        assert timing.get("period", 6) == 6
        assert timing.get("count") == (4 if "X4" in told else None)


@pytest.mark.parametrize(
    ("pattern", "hours", "text"),
    [
        ("Q24H&0600", ["06:00:00"], "Q24H"),
        ("BID&0800,2000", ["08:00:00", "20:00:00"], "BID"),
        ("BID&noon", None, "noon"),
        ("AC&0800", None, "0800"),
    ],
)
def test_the_hours_of_an_older_pattern_are_times_of_day(pattern, hours, text):
    rxe = segment("RXE", f1=f"^{pattern}", f2="M^药")
    order = only(by_table("RDE^O11^RDE_O11", "ORC|NW|P1", rxe), "MedicationRequest")
    timing = order["dosageInstruction"][0]["timing"]
    assert timing["repeat"].get("timeOfDay") == hours
    assert timing["code"]["text"] == text


def test_what_a_pharmacys_timing_leaves_out_the_orders_says():
    orc = segment("ORC", f1="NW", f2="P1", f7="10^BID^D4^^^R")
    rxe = segment("RXE", f1="^^^20250314080000", f2="M^药")
    order = only(by_table("RDE^O11^RDE_O11", orc, rxe), "MedicationRequest")
    repeat = order["dosageInstruction"][0]["timing"]["repeat"]
    assert (repeat["frequency"], repeat["period"], repeat["periodUnit"]) == (2, 1, "d")
    assert repeat["boundsPeriod"]["end"] == "2025-03-18T08:00:00+08:00"


def test_what_a_pharmacy_made_of_an_order_comes_before_what_was_asked_for():
    rxo = segment("RXO", f1="OLD^片^L", f2="1", f4="g", f11="7", f13="2")
    rxe = segment("RXE", f2="NEW^胶囊^L", f3="500", f5="mg", f10="14")
    conversion = by_table("RDE^O11^RDE_O11", "ORC|NW|P1", rxo, rxe)
    order = only(conversion, "MedicationRequest")
    assert order["medicationCodeableConcept"]["coding"][0]["code"] == "NEW"
    (ordered,) = (one["valueCodeableConcept"] for one in order["extension"])
    assert ordered["coding"][0]["code"] == "OLD"
    assert order["dosageInstruction"][0]["doseAndRate"][0]["doseQuantity"]["unit"] == "mg"
    supply = order["dispenseRequest"]
    assert (supply["quantity"]["value"], supply["numberOfRepeatsAllowed"]) == (14, 2)
    assert errors(conversion) == []


@pytest.mark.parametrize("control", ["OP", "PY"])
def test_an_order_for_dispensing_outside_is_active(control):
    rxo = segment("RXO", f1="M^药")
    order = only(by_table("OMP^O09^OMP_O09", f"ORC|{control}|P1", rxo), "MedicationRequest")
    assert order["status"] == "active"


@pytest.mark.parametrize(
    ("lasts", "repeat"),
    [
        ("D10", {"boundsDuration": {"value": 10, "unit": "d", "code": "d"}}),
        ("X3", {"count": 3}),
        ("INDEF", None),
        ("W0", None),
    ],
)
def test_how_long_an_older_order_goes_on(lasts, repeat):
    obr = segment("OBR", f1="1", f2="P1", f4="X^Y", f27=f"^^{lasts}")
    order = only(by_table("ORM^O01^ORM_O01", "ORC|NW|P1", obr), "ServiceRequest")
    found = order.get("occurrenceTiming", {}).get("repeat")
    if found and "boundsDuration" in found:
        del found["boundsDuration"]["system"]
    assert found == repeat


@pytest.mark.parametrize("where", ["ORC", "RXE"])
def test_a_prescriptions_older_timing_is_read_from_either_segment(where):
    orc = segment("ORC", f1="NW", f2="P1", **({"f7": TQ} if where == "ORC" else {}))
    rxe = segment("RXE", f2="M^药", **({"f1": TQ} if where == "RXE" else {}))
    order = only(by_table("RDE^O11^RDE_O11", orc, rxe), "MedicationRequest")
    (dosage,) = order["dosageInstruction"]
    assert dosage["timing"]["repeat"]["period"] == 8
    assert dosage["text"] == "after meals"
    assert order["priority"] == "routine"
    assert order["dispenseRequest"]["validityPeriod"]["end"][:10] == "2025-03-24"


def test_a_county_is_the_district_of_the_only_address():
    pid = segment("PID", f1="1", f3="T1", f5="Doe^J", f11="1 Road^^Town^CA", f12="Kern")
    message = lines(TABLE_MSH.format("ADT^A01^ADT_A01"), pid, "PV1|1|I")
    (address,) = only(converted(message), "Patient")["address"]
    assert address["district"] == "Kern"


def test_a_county_of_no_one_address_is_kept_as_it_stands():
    pid = segment(
        "PID", f1="1", f3="T1", f5="Doe^J", f11="1 Road^^Town~2 Lane", f12="Kern", f38="x"
    )
    message = lines(TABLE_MSH.format("ADT^A01^ADT_A01"), pid, "PV1|1|I")
    conversion = converted(message)
    assert not any("district" in one for one in only(conversion, "Patient")["address"])
    kept = [extension["valueString"] for extension in only(conversion, "Provenance")["extension"]]
    assert kept == [segment("PID", f12="Kern", f38="x")]
    states = {one.path: one.state for one in conversion.report.fields()}
    assert (states["PID-12"], states["PID-38"]) == ("preserved", "preserved")


def test_a_service_that_lasts_beyond_the_calendar_has_no_end():
    for begun in ("20250310", "20250310083000"):
        for length in ("9" * 20, "9" * 400):
            assert "end" not in repeat(f"TQ1|1||BID|||{length}^d|{begun}").get("boundsPeriod", {})
