"""Which elements a part became, where that is not the plain way of one field to one element.

Spec: DESIGN 5 (nothing lost from a message)
"""

import pytest
from conversion_parts import converted, element, lines

from fhir_hub.hl7v2.storing.bundle import joined, to_bundle

MSH = "MSH|^~\\&|XIS|TEST01|HUB|QPRHP|20250315101500||{}|C1|P|2.4"
PID = "PID|1||T1^^^TEST01^PI||沈^桂芳||19530412|F"
PANELS = ["ORC|RE|P1^HIS|F1^LIS", "OBR|1|P1^HIS|F1^LIS|X^x^L", "OBR|2|P2^HIS|F1^LIS|Y^y^L"]
NOTES = ["TXA|1|CN|TX||||||||||D1", "OBX|1|TX|K^病程||早||||||F", "OBX|2|TX|J^查房||晚||||||F"]
VALUES = [
    "TXA|1|CN|TX||||||||||D1",
    "OBX|1|NM|A^aa^L||5|mg|||||F",
    "OBX|2|CE|B^bb^L||C^cc^L||||||F",
]
ROOM = ["SCH|P1|F1||||||||||^^^20250314093000", "RGS|1", "AIL|1|D|R1^^^TEST01|ROOM^诊室"]
DATA, TITLE = ("DocumentReference.content[0].attachment." + name for name in ("data", "title"))
DOSE = "MedicationRequest.dosageInstruction[0].doseAndRate[0].doseQuantity.value"
STATUS = [f"Condition.verificationStatus.coding[0].{name}" for name in ("system", "code")]
SAID = {
    "ORU^R01 ORC-3.1 at 2": (
        PANELS,
        ["ServiceRequest[0].identifier[1].value", "DiagnosticReport[0].identifier[0].value"],
    ),
    "ORU^R01 OBR-3.1 at 4": (
        PANELS,
        ["ServiceRequest[1].identifier[1].value", "DiagnosticReport[1].identifier[0].value"],
    ),
    "ORU^R01 OBR-4.5 at 2": (
        ["OBR|1||F1|A^同^L^B^同^LN"],
        ["DiagnosticReport.code.coding[1].display", "DiagnosticReport.code.text"],
    ),
    "MDM^T02 OBX-3.2 at 3": (NOTES, [TITLE]),
    "MDM^T02 OBX-5 at 3": (NOTES, [DATA]),
    "MDM^T02 OBX-5 at 4": (NOTES, [DATA]),
    "MDM^T02 OBX-3.2 at 4": (
        VALUES,
        [DATA, "Observation[1].code.coding[0].display", "Observation[1].code.text"],
    ),
    "SIU^S14 AIL-4.1 at 4": (ROOM, ["deletes Appointment.participant"]),
    "ADT^A03 MSH-9.2 at 0": (["PV1|1|I" + "|" * 17 + "V1"], ["Encounter.status"]),
    "ORL^O22 ORC-2 at 2": (
        ["ORC|OK|P1"],
        [
            f"changes {kind}.identifier[0].value"
            for kind in ("MedicationRequest", "NutritionOrder", "ServiceRequest", "SupplyRequest")
        ],
    ),
    "RDE^O11 RXE-3 at 3": (["ORC|NW|P1", "RXE||A^X|1|1|EA"], [DOSE]),
    "RDE^O11 RXE-4 at 3": (["ORC|NW|P1", "RXE||A^X|1|1|EA"], [DOSE]),
    "ADT^A08 DG1-6 at 2": (["DG1|1||A^a|||F"], STATUS),
}


def told(event, segments):
    conversion = converted(lines(MSH.format(event), PID, *segments))
    return conversion, {(one.path, one.segment): one for one in conversion.report.fields()}


@pytest.mark.parametrize("which", SAID)
def test_every_element_that_a_part_became_is_named(which):
    event, path, _, at = which.split(" ")
    segments, to = SAID[which]

    assert sorted(told(event, segments)[1][path, int(at)].to) == sorted(to)


def test_the_code_of_a_documents_part_is_kept_where_its_title_is_all_that_is_made_of_it():
    conversion, found = told("MDM^T02", NOTES)
    for path, at, kept in (("OBX-3.1", 3, "OBX|||K^病程"), ("OBX-3.2", 4, "OBX|||J^查房")):
        assert found[path, at].state == "preserved"
        assert element(conversion, found[path, at].to[0]) == kept


def test_what_a_resource_that_was_not_made_would_tell_is_kept_word_for_word():
    said = ["OBR|1||F1|X^x", "OBX|1|TX|||双肺清晰||||||F", "NTE|1||见片", "OBX|2|NM|K^k||5"]
    conversion, found = told("ORU^R01", said)
    kept = {("OBX-5", 3): "OBX||TX|||双肺清晰||||||F", ("NTE-3", 4): "NTE|||见片"}
    for key, text in kept.items():
        assert found[key].state == "preserved"
        assert found[key].reason == "Observation without code was not made"
        assert element(conversion, found[key].to[0]) == text
    assert found["OBR-4.1", 2].state == found["OBX-5", 5].state == "mapped"


PART_OF_CODING = ("system", "code", "display")
# Two segments of one thing are one entry of the Bundle: each path is of that entry.
TOGETHER = {
    "a relative who also pays": (
        "ADT^A08",
        [
            "NK1|1|沈^大强|SON^儿子||13800000001",
            "GT1|1||沈^大强||新建路2号|021-59720000||19540101|M||SON",
        ],
        {
            "NK1-2.2": ["RelatedPerson.name[0].text", "RelatedPerson.name[0].given[0]"],
            "GT1-3.2": ["RelatedPerson.name[0].text", "RelatedPerson.name[0].given[0]"],
            "GT1-5": ["RelatedPerson.address[0].text", "RelatedPerson.address[0].line[0]"],
            "GT1-6": [],
            "GT1-8": ["RelatedPerson.birthDate"],
            "GT1-9": ["RelatedPerson.gender"],
            "GT1-11": [
                f"RelatedPerson.relationship[0].coding[0].{name}" for name in PART_OF_CODING
            ],
        },
    ),
    "a problem told twice": (
        "PPR^PC1",
        ["PRB|AD|20250301|I10^高血压^I10|77"] * 2 + ["PRB|AD|20250301|E11^糖尿病^I10|78"],
        {
            "PRB-2": ["Condition[0].recordedDate", "Condition[1].recordedDate"],
            "PRB-4": ["Condition[0].identifier[0].value", "Condition[1].identifier[0].value"],
        },
    ),
}


@pytest.mark.parametrize("which", TOGETHER)
def test_a_part_of_what_is_told_twice_is_an_element_of_the_one_entry(which):
    event, segments, to = TOGETHER[which]
    conversion = converted(lines(MSH.format(event), PID, *segments))
    entries = to_bundle(conversion)["entry"]
    found: dict[str, list[str]] = {}
    for one in conversion.report.fields(joined):
        named = [path for path in one.to if path.startswith(("RelatedPerson", "Condition"))]
        found[one.path] = [*found.get(one.path, ()), *named]
        for path in named:
            kind, _, number = path.split(".")[0].rstrip("]").partition("[")
            made = [each for each in entries if each["resource"]["resourceType"] == kind]
            assert int(number or 0) < len(made), path
        if not found[one.path] and one.path in to:
            assert (one.state, one.reason) == ("dropped", "what tells it before has its own")

    assert {path: [*dict.fromkeys(found[path])] for path in to} == to


@pytest.mark.parametrize("by_table", [False, True], ids=["stored", "tables"])
@pytest.mark.parametrize("event", ["ORM^O01^ORM_O01", "OMG^O19^OMG_O19", "OML^O21^OML_O21"])
def test_a_number_that_two_segments_tell_is_that_of_the_order_for_both(event, by_table):
    order = ("ORC|NW|P1^CPOE|F1^LIS", "OBR|1|P1^OTHER|F1^LIS|X^Y^L")
    conversion = converted(lines(MSH.format(event), PID, *order), by_table=by_table)
    found = {one.path: one for one in conversion.report.fields()}
    for told, again in (("ORC-2.1", "OBR-2.1"), ("ORC-3.1", "OBR-3.1"), ("ORC-3.2", "OBR-3.2")):
        assert found[again].state == "mapped"
        assert found[again].to == found[told].to
    assert found["OBR-2.2"].state == "dropped"
