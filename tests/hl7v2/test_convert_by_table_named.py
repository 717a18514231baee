"""What the standard's tables say of specimens, of who is named besides, and of codes, in full.

Spec: https://build.fhir.org/ig/HL7/v2-to-fhir (SPS, SPM, OBX, PID[Provenance-Patient], ORC, CWE)
"""

import pytest
from conversion_parts import (
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


def test_a_specimens_source_is_more_than_its_kind():
    source = "BLD^EDTA&Potassium&HL70371^by hand^LA&Left Arm&HL70163^^COOL&Cool&HL70493"
    conversion = by_table("ORU^R01^ORU_R01", segment("OBR", f1="1", f4="X^Y", f15=source))
    found = only(conversion, "Specimen")
    assert found["type"]["coding"][0]["code"] == "BLD"
    (container,) = found["container"]
    assert container["additiveCodeableConcept"]["coding"][0]["code"] == "EDTA"
    assert found["collection"]["bodySite"]["coding"][0]["code"] == "LA"
    assert found["condition"][0]["coding"][0]["code"] == "COOL"
    assert [one["text"] for one in found["note"]] == ["by hand"]


def test_a_code_where_a_specimens_source_belongs_is_its_kind_alone():
    obr = segment("OBR", f1="1", f4="X^Y", f15="119297000^Blood specimen^SCT")
    found = only(by_table("ORU^R01^ORU_R01", obr), "Specimen")
    assert found["type"]["coding"][0]["code"] == "119297000"
    assert not {"note", "condition", "container"} & set(found)


@pytest.mark.parametrize("stored", [False, True])
def test_what_is_observed_of_the_specimen_is_no_result_of_the_report(stored):
    message = lines(
        TABLE_MSH.format("ORU^R01^ORU_R01"),
        PID,
        "OBX|1|ST|A^a||of the patient||||||F",
        "OBR|1|P1|F1|X^Y",
        "OBX|1|ST|B^b||a result||||||F",
        "SPM|1|S1||BLD",
        "OBX|1|ST|C^c||of the specimen||||||F",
    )
    conversion = converted(message, by_table=not stored)
    told = {one["code"]["coding"][0]["code"]: one for one in of_type(conversion, "Observation")}
    assert list(told) == ["A", "B", "C"]
    assert len(of_type(conversion, "Observation")) == 3
    results = [target(conversion, one) for one in only(conversion, "DiagnosticReport")["result"]]
    assert results == [told["B"]]
    assert "specimen" in told["B"]
    assert not {"specimen", "basedOn"} & {*told["A"], *told["C"]}
    assert target(conversion, told["C"]["focus"][0])["resourceType"] == "Specimen"


def test_a_report_and_a_value_of_which_nobody_says_what_they_are():
    conversion = by_table("ORU^R01^ORU_R01", "OBR|1|P1|F1", "OBX|1|ST|||x||||||F", "OBX|2")
    report, value = only(conversion, "DiagnosticReport"), only(conversion, "Observation")
    assert report["code"] == value["code"]
    assert report["code"]["extension"][0]["valueCode"] == "unknown"
    assert converted_codes(conversion) == []


def converted_codes(conversion):
    return [one["code"]["coding"] for one in of_type(conversion, "Observation") if "coding" in one]


def test_who_changed_the_patient_last_is_told_by_a_provenance():
    pid = segment("PID", f1="1", f3="T1", f5="沈^桂芳", f33="20250101", f34="SITE^1.2.3^ISO")
    conversion = converted(
        lines(TABLE_MSH.format("ADT^A01^ADT_A01"), pid, "PV1|1|I"), by_table=True
    )
    told = [
        one
        for one in of_type(conversion, "Provenance")
        if one.get("occurredDateTime") == "2025-01-01"
    ]
    assert values(target(conversion, told[0]["agent"][0]["who"])) == ["SITE", "1.2.3"]
    assert target(conversion, told[0]["target"][0]) is only(conversion, "Patient")
    assert errors(conversion) == []


@pytest.mark.parametrize(
    ("kind", "rest"),
    [
        ("ORU^R01^ORU_R01", ["OBR|1|P1|F1|X^Y"]),
        ("OMP^O09^OMP_O09", ["ORC|NW|P1", "RXO|A^B"]),
        ("RAS^O17^RAS_O17", ["ORC|NW|P1", "RXA|0|1|20250315||A^B|1"]),
    ],
)
def test_a_note_after_the_patient_and_who_wrote_it_stay_with_her(kind, rest):
    conversion = by_table(kind, "NTE|1|L|慢性肾病||N1^顾^秀兰", *rest)
    patient = only(conversion, "Patient")
    (note,) = (one["valueAnnotation"] for one in patient["extension"] if "note" in one["url"])
    assert note["text"] == "慢性肾病"
    assert values(target(conversion, note["authorReference"])) == ["N1"]


def test_a_mapped_code_stands_before_all_that_the_sender_wrote():
    pid = f"{PID}||||||||A^Separated^HL70002^B^Unmarried^HL70002"
    conversion = converted(
        lines(TABLE_MSH.format("ADT^A01^ADT_A01"), pid, "PV1|1|I"), by_table=True
    )
    codings = only(conversion, "Patient")["maritalStatus"]["coding"]
    assert [one["code"] for one in codings] == ["L", "A", "U", "B"]


def test_the_orderer_of_the_request_acts_for_an_institution_that_names_none():
    obr = segment("OBR", f1="1", f4="X^Y", f16="D2^王^二")
    conversion = by_table("OML^O21^OML_O21", segment("ORC", f1="NW", f2="P1", f21="甲院"), obr)
    found = only(conversion, "ServiceRequest")
    role = target(conversion, found["requester"])
    assert values(target(conversion, role["practitioner"])) == ["D2"]
    assert target(conversion, role["organization"])["name"] == "甲院"


@pytest.mark.parametrize(
    ("authority", "system"),
    [
        ("LIS&1.2.3&ISO", "LIS"),
        ("LAB A&1.2.3&ISO", "urn:oid:1.2.3"),
        ("&1.2.3&ISO", "urn:oid:1.2.3"),
        ("NPI&2.16.840.1.113883.4.6&ISO", "urn:oid:2.16.840.1.113883.4.6"),
    ],
)
def test_the_system_of_a_persons_number_is_called_as_the_message_calls_it(authority, system):
    obr = segment("OBR", f1="1", f4="X^Y", f16=f"D2^王^二^^^^^^{authority}")
    conversion = by_table("OML^O21^OML_O21", "ORC|NW|P1", obr)
    person = target(conversion, only(conversion, "ServiceRequest")["requester"])
    (number,) = person["identifier"]
    assert number["system"] == system


def test_who_assigned_a_number_that_is_not_there_is_told_all_the_same():
    orc = segment("ORC", f1="NW", f2="P1", f12="D1^李^明", f21="^^^^^HIS&1.2.3&L^^SITE&3.3&ISO")
    conversion = by_table("OML^O21^OML_O21", orc, "OBR|1|||X^Y")
    role = target(conversion, only(conversion, "ServiceRequest")["requester"])
    (number,) = target(conversion, role["organization"])["identifier"]
    assert "value" not in number
    assert values(target(conversion, number["assigner"])) == ["HIS", "1.2.3"]


def test_a_duplicate_patients_number_and_a_places_assigner_are_kept():
    pd1 = segment("PD1", f10="T9^^^TEST01^PI")
    visit = segment("PV1", f1="1", f2="I", f3="^101^^^^^^^^R7^HIS&1.2&L")
    lone = segment("PV1", f1="1", f2="I", f3="^101^^^^^^^^R7&HIS&1.2&ISO")
    for told, assigned in ((visit, ["HIS", "1.2"]), (lone, ["HIS", "1.2"])):
        conversion = by_table("ADT^A01^ADT_A01", pd1, told)
        (held,) = only(conversion, "Patient")["extension"]
        assert held["valueIdentifier"]["value"] == "T9"
        (room,) = of_type(conversion, "Location")
        assert values(target(conversion, room["identifier"][-1]["assigner"])) == assigned


@pytest.mark.parametrize(
    ("sent", "offset"), [("20250315101500", "+08:00"), ("20250315101500-0500", "-05:00")]
)
def test_times_without_a_zone_are_in_that_of_the_message(sent, offset):
    header = TABLE_MSH.format("ORU^R01^ORU_R01").replace("20250315101500", sent)
    obr = segment("OBR", f1="1", f4="X^Y", f7="20250315080000", f22="20250315090000+0900")
    report = only(converted(lines(header, PID, obr)), "DiagnosticReport")
    assert report["effectiveDateTime"] == f"2025-03-15T08:00:00{offset}"
    assert report["issued"] == "2025-03-15T09:00:00+09:00"


@pytest.mark.parametrize("kind", ["ORU^R01^ORU_R01", "OML^O21^OML_O21", "OUL^R22^OUL_R22"])
def test_a_note_is_of_the_specimen_or_of_what_was_seen_of_it_where_it_stands_behind_it(kind):
    order = ("ORC|NW|P1|F1", "OBR|1|P1|F1|X^Y", "NTE|1||of the order", "OBX|1|NM|A^a||5")
    spm = segment("SPM", f1="1", f2="S1&A", f4="BLD")
    behind = ("NTE|1||of the specimen", "OBX|1|NM|VOL^v||3", "NTE|1||of the volume")
    conversion = by_table(kind, *order, spm, *behind)
    told = [
        (one.resource["resourceType"], [note["text"] for note in one.resource["note"]])
        for one in conversion.resources
        if "note" in one.resource
    ]
    assert sorted(told) == [
        ("Observation", ["of the volume"]),
        ("ServiceRequest", ["of the order"]),
        ("Specimen", ["of the specimen"]),
    ]


@pytest.mark.parametrize("kind", ["ORU^R01^ORU_R01", "OML^O21^OML_O21"])
def test_who_collected_may_stand_in_a_segment_of_her_own(kind):
    told = []
    for number in ("1", "2"):
        prt = segment("PRT", f1=number, f2="AD", f4="SC^Collector^HL70443", f5=f"N{number}^顾^秀")
        obr = segment("OBR", f1=number, f2=f"P{number}", f4=f"X{number}^Y", f7="20250315")
        told += [f"ORC|RE|P{number}", obr, prt, "OBX|1|NM|A^a||5"]
    conversion = by_table(kind, *told)
    roles = [
        target(conversion, one["collection"]["collector"])
        for one in of_type(conversion, "Specimen")
    ]
    people = [target(conversion, one["practitioner"]) for one in roles]
    assert [values(one) for one in people] == [["N1"], ["N2"]]


@pytest.mark.parametrize(("kind", "raw"), [("ST", "5"), ("ST", "<0.5"), ("TX", "5")])
def test_a_number_that_is_called_a_text_is_one(kind, raw):
    obx = segment("OBX", f1="1", f2=kind, f3="A^a", f5=raw, f6="mg/L")
    found = only(by_table("ORU^R01^ORU_R01", "OBR|1|P1||X^Y", obx), "Observation")
    assert found["valueString"] == raw


def test_both_parts_of_a_ratio_have_the_unit():
    obx = segment("OBX", f1="1", f2="SN", f3="A^a", f5="^1^:^128", f6="mg")
    found = only(by_table("ORU^R01^ORU_R01", "OBR|1|P1||X^Y", obx), "Observation")["valueRatio"]
    assert {part: (one["value"], one["unit"]) for part, one in found.items()} == {
        "numerator": (1, "mg"),
        "denominator": (128, "mg"),
    }
