"""What only some versions of HL7v2 have: datatypes and places of old ones, segments of 2.9.

Spec: HL7v2.1 to 2.9.1, chapters 2 to 7 and 17
"""

from decimal import Decimal

import pytest
from conversion_parts import PID, converted, element, errors, lines, of_type, only

MSH = "MSH|^~\\&|HIS|TEST01|HUB|QPRHP|20250315101500||{}|C1|P|{}"
EXTENSIONS = "http://hl7.org/fhir/StructureDefinition"
LATE = [
    "GSP|1|S||76691-5^Gender identity^LN|446151000124109^Male^SCT|20200101^20240630|自述",
    "GSP|2|S||76691-5^Gender identity^LN|33791000087105^Nonbinary^SCT|20240701",
    "GSP|3|S||90778-2^Pronouns^LN|LA29520-6^they^LN",
    "GSP|4|D|G4|90778-2^Pronouns^LN|LA29518-0^he^LN",
    "GSR|1|S||M^Male^HL70001||ID^身份证^L|CHN^China^ISO3166|20200101",
    "GSC|1|S||female-typical^f^L|20240701",
    "OH1|1|A|Employed^在职^L|20200101||20250110|E1^TEST01",
    "OH2|1|A||2310^医师^L|85^卫生^L||2010|||8||某院|||手术|噪声|J1^TEST01",
    "OH2|2|D||2311^护士^L|85^卫生^L||2005|2009|||||||||J2^TEST01",
    "OH3|1|A|2310^医师^L|85^卫生^L|15|2010",
]
OF_KIN = [
    "NK1|1|沈^华|FTH",
    "GSP|1|S||90778-2^Pronouns^LN|LA29518-0^he^LN",
    "OH2|1|A||7000^司机^L|49^运输^L",
]


@pytest.mark.parametrize("by_table", [False, True], ids=["stored", "tables"])
@pytest.mark.parametrize("event", ["ADT^A08^ADT_A01", "ORU^R01^ORU_R01", "SIU^S12^SIU_S12"])
def test_gender_and_work_are_told_of_the_patient_alone(event, by_table):
    text = lines(MSH.format(event, "2.9.1"), PID, *LATE, *OF_KIN, "OBR|1||F1|A^a^L")
    conversion = converted(text, by_table=by_table)
    assert errors(conversion) == []
    held = [
        (
            one["url"].removeprefix(f"{EXTENSIONS}/"),
            {part["url"]: part for part in one["extension"]},
        )
        for one in only(conversion, "Patient")["extension"]
        if one["url"].startswith(f"{EXTENSIONS}/") and "extension" in one
    ]
    assert [kind for kind, _ in held] == [
        *("individual-genderIdentity", "individual-genderIdentity", "individual-pronouns"),
        *("individual-recordedSexOrGender", "patient-sexParameterForClinicalUse"),
    ]
    said = [parts["value"]["valueCodeableConcept"]["coding"][0]["code"] for _, parts in held]
    codes = ["446151000124109", "33791000087105", "LA29520-6", "M", "female-typical"]
    assert said == codes
    assert held[0][1]["period"]["valuePeriod"] == {"start": "2020-01-01", "end": "2024-06-30"}
    assert held[0][1]["comment"]["valueString"] == "自述"
    assert held[3][1]["sourceDocument"]["valueCodeableConcept"]["text"] == "身份证"

    work = [one for one in of_type(conversion, "Observation") if "category" in one]
    told = [(one["code"]["coding"][0]["code"], one["status"]) for one in work]
    assert told == [
        *(("74165-2", "final"), ("11341-5", "final"), ("11341-5", "entered-in-error")),
        ("21843-8", "final"),
    ]
    job, usual = work[1], work[3]
    assert job["effectivePeriod"] == {"start": "2010"}
    parts = {one["code"]["coding"][0]["code"]: one for one in job["component"]}
    assert parts["86188-0"]["valueCodeableConcept"]["text"] == "卫生"
    assert parts["87512-0"]["valueQuantity"] == {"value": Decimal("8"), "unit": "h/d"}
    assert (parts["63761-1"]["valueString"], parts["87729-0"]["valueString"]) == ("手术", "噪声")
    assert usual["component"][1]["valueQuantity"]["value"] == Decimal("15")

    kept = [one for one in conversion.report.fields() if one.segment > len(LATE) + 2]
    of_kin = {one.state for one in kept if one.path.startswith(("GSP", "OH2"))}
    assert of_kin == {"preserved"}


def test_each_reaction_of_an_allergy_is_one():
    allergy = "IAM|1|DA^x^HL70127|PEN^青霉素^L|SV|皮疹|A|A1^TEST01"
    reactions = ["IAR|AN^过敏性休克^L|SV||肾上腺素", "IAR|HI^荨麻疹^L|MI"]
    text = lines(MSH.format("ADT^A60^ADT_A60", "2.9"), "EVN||20250315", PID, allergy, *reactions)
    found = only(converted(text), "AllergyIntolerance")["reaction"]
    shown = [(one["manifestation"][0]["text"], one["severity"]) for one in found]
    assert shown == [("皮疹", "severe"), ("过敏性休克", "severe"), ("荨麻疹", "mild")]
    assert found[1]["note"] == [{"text": "肾上腺素"}]


def test_a_device_has_what_its_label_says():
    device = "DEV|A|D9^TEST01|PACE^起搏器^L||某厂|甲|M7|C7|00643^^2.51.1.1^ISO|L1|S1|20240101|2030"
    text = lines(MSH.format("ORU^R01^ORU_R01", "2.9"), PID, "OBR|1||F1|A^a^L", device)
    conversion = converted(text)
    assert errors(conversion) == []
    found = only(conversion, "Device")
    names = ("manufacturer", "modelNumber", "partNumber", "lotNumber", "serialNumber")
    assert [found[name] for name in names] == ["某厂", "M7", "C7", "L1", "S1"]
    assert (found["manufactureDate"], found["expirationDate"]) == ("2024-01-01", "2030")
    assert found["udiCarrier"] == [{"deviceIdentifier": "00643"}]
    told = {one.path: one.to for one in conversion.report.fields()}
    assert element(conversion, told["DEV-6"][0]) == "甲"


OLD = "PID|1|E1|112^4^M11|A1|EVERYMAN^ADAM^^III^DR^MD||19610615|M|||1 MAIN ST^^TOWN^NC^27401|GUIL"
VISIT = "PV1|1|I|W^3^1|E|||||||||||||||987" + "|" * 17 + "01|HOME^19930320"
INSURED = "IN1|1|P1^Plan One|BC1|BLUE||||G1||E9|ACME||||HMO|" + "|" * 20 + "POL1"


@pytest.mark.parametrize(
    ("event", "segment", "path", "to"),
    [
        ("ADT^A03", VISIT, "PV1-37.1", {"Encounter.hospitalization.destination.display": "HOME"}),
        ("ADT^A03", VISIT, "PV1-3.3", {"Location.identifier[0].value": "W-3-1"}),
        ("ADT^A01", OLD, "PID-12", {"Patient.address[0].district": "GUIL"}),
        ("ADT^A01", INSURED, "IN1-2.1", {"Coverage.class[0].value": "P1"}),
        ("ADT^A01", INSURED, "IN1-2.2", {"Coverage.class[0].name": "Plan One"}),
        (
            "ADT^A01",
            "NK1|1|JONES^BARBARA",
            "NK1-2.2",
            {"RelatedPerson.name[0].given[0]": "BARBARA"},
        ),
        (
            "ORU",
            "OBX|1|CN|D^d^L||77^LI^SI^J^JR^DR^MD||||||F",
            "OBX-5.1",
            {"Observation.valueString": "DR SI J LI JR MD (77)"},
        ),
        (
            "ORU",
            "OBX|1|PN|N^n^L||JONES^BARBARA^K^SR^MRS||||||F",
            "OBX-5.5",
            {"Observation.valueString": "MRS BARBARA K JONES SR"},
        ),
    ],
)
def test_an_old_field_is_where_the_report_says(event, segment, path, to):
    pid = [] if segment == OLD else [OLD]
    order = ["OBR|1||F1|A^a^L"] if event == "ORU" else []
    conversion = converted(lines(MSH.format(event, "2.2"), *pid, *order, segment))
    assert errors(conversion) == []
    told = {one.path: one for one in conversion.report.fields() if one.segment}
    assert to.items() <= {where: element(conversion, where) for where in told[path].to}.items()
    assert not any(where.endswith("meta.tag[0].code") for where in told[path].to)


def test_a_supply_is_ordered_once_and_the_number_of_an_employer_is_kept():
    order = ["ORC|NW|P1^CPOE", "RQD|1|||G3^纱布^L|5|盒"]
    conversion = converted(lines(MSH.format("ORM^O01", "2.2"), OLD, INSURED, *order))
    assert only(conversion, "SupplyRequest")["quantity"]["value"] == Decimal("5")
    assert of_type(conversion, "ServiceRequest") == []
    (kept,) = [one.to for one in conversion.report.fields() if one.path == "IN1-10"]
    assert "E9" in element(conversion, kept[0])


FILLED = "|".join(["OBX", "1", "NM", "B^b^L", "", "7", *[""] * 5, "F", *[""] * 11])
ALONE = "ORC|NW|P9^CPOE||||||||"
ORDERED = "ORC|NW|P1^CPOE|F1^LAB|G1^CPOE||||P0&CPOE^F0&LAB"


@pytest.mark.parametrize(
    ("event", "segments", "path", "text"),
    [
        ("ORU^R01", [f"{FILLED}|某检验所||D9^主任"], "OBX-25.1", "D9^主任"),
        ("ORU^R01", [f"{FILLED}||^^某市"], "OBX-24.3", "^^某市"),
        ("ORM^O01", [ORDERED, "OBR|1|||A^a^L"], "ORC-8.2.1", "P0&CPOE^F0&LAB"),
        (
            "OML^O21",
            [ORDERED, f"OBR|1|||A^a^L{'|' * 25}P0&CPOE^F0&LAB"],
            "ORC-8.2.1",
            "P0&CPOE^F0&LAB",
        ),
        ("OML^O21", [f"{ALONE[:-2]}P0&CPOE", f"OBR|1|||A^a^L{'|' * 25}P0^F0"], "OBR-29.2", "P0^F0"),
        ("ORM^O01", [ORDERED, "RXO|M1^药^L|1||g"], "ORC-8.2.1", "P0&CPOE^F0&LAB"),
        ("RDE^O11", [ORDERED, "RXE|^QD|M1^药^L|1||g||||||||||RX9"], "RXE-15", "RX9"),
        ("ORM^O01", [ORDERED, "OBR|1|||A^a^L", f"{ALONE}E1^录入"], "ORC-10.1", "E1^录入"),
        (
            "RDE^O11",
            [f"{ORDERED}||||D1^李", f"RXE|^QD|M1^药^L|1||g{'|' * 8}DEA7"],
            "RXE-13",
            "DEA7",
        ),
        ("MDM^T02", ["TXA|1|CN|TX|||||||||D1||P1^A|F1^B"], "TXA-15.1", "F1^B"),
    ],
)
def test_what_gives_way_to_another_field_is_kept_word_for_word(event, segments, path, text):
    order = [] if event != "ORU^R01" else ["OBR|1||F1|A^a^L"]
    conversion = converted(lines(MSH.format(event, "2.4"), PID, *order, *segments))
    (kept,) = [one for one in conversion.report.fields() if one.path == path]
    assert kept.state == "preserved"
    assert element(conversion, kept.to[0]).endswith(f"|{text}")


@pytest.mark.parametrize(("value", "status"), [("7", "unknown"), ("", "registered")])
def test_what_only_describes_an_order_is_registered_where_it_has_no_value(value, status):
    told = f"OBX|1|NM|B^b^L||{value}||||||O"
    conversion = converted(lines(MSH.format("ORU^R01", "2.5"), PID, "OBR|1||F1|A^a^L", told))
    assert only(conversion, "Observation")["status"] == status
