"""Values where R4 allows some codes alone, or where a text is wanted and a value came.

Spec: https://hl7.org/fhir/R4/terminologies.html#required; HL7v2 chapters 9 (TXA), 12 (PRB)
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
)

from fhir_hub.hl7v2.parsing import structure
from fhir_hub.hl7v2.parsing.path import parse_path


@pytest.mark.parametrize("stored", [False, True])
def test_what_is_measured_beside_a_document_is_no_file_of_it(stored):
    message = lines(
        TABLE_MSH.format("MDM^T02^MDM_T02"),
        "EVN|T02|20250315",
        PID,
        "PV1|1|I",
        "TXA|1|HP|TX|20250315||||||||D1|||||AU",
        "OBX|1|TX|A^Report||the text||||||F",
        "OBX|2|NM|8302-2^Height^LN||170|cm|||||F",
        "OBX|3|CWE|B^Smoker||Y^Yes^L||||||F",
    )
    conversion = converted(message, by_table=not stored)
    (content,) = only(conversion, "DocumentReference")["content"]
    assert content["attachment"]["title"] == "Report"
    height, smoker = of_type(conversion, "Observation")
    assert (height["valueQuantity"]["value"], height["valueQuantity"]["code"]) == (170, "cm")
    assert smoker["valueCodeableConcept"]["text"] == "Yes"


@pytest.mark.parametrize(("said", "status"), [("C", "confirmed"), ("perhaps", None)])
def test_how_sure_a_problem_is_has_no_code_but_those_of_r4(said, status):
    prb = segment("PRB", f1="AD", f2="20250315", f3="K^k", f4="P1", f13=said)
    problem = only(by_table("PPR^PC1^PPR_PC1", "PV1|1|I", prb), "Condition")
    found = problem.get("verificationStatus", {}).get("coding", [{}])
    assert found[0].get("code") == status


def test_an_allergys_unknown_state_is_left_out():
    message = lines(
        TABLE_MSH.format("ADT^A60^ADT_A60"),
        "EVN|A60|20250315",
        PID,
        "IAM|1|DA|K^k||||A1||||||||||perhaps",
    )
    conversion = converted(message)
    allergy = only(conversion, "AllergyIntolerance")
    assert "verificationStatus" not in allergy or allergy["verificationStatus"]["coding"]
    assert errors(conversion) == []


@pytest.mark.parametrize(("name", "number"), [("TQ1", 14), ("QRD", 0)])
def test_a_version_has_the_fields_that_it_has_not_withdrawn(name, number):
    assert len(structure.fields(name, "2.7")) == number
    assert structure.problem(parse_path(f"{name}-2")) == ""


@pytest.mark.parametrize(
    ("path", "version", "datatype"),
    [("PID-29", "2.8.2", "DTM"), ("PID-28", "2.8.2", "WD"), ("SCH-16", "2.7", "XCN")],
)
def test_a_field_behind_one_that_a_version_left_out_has_its_own_datatype(path, version, datatype):
    segment, _, number = path.partition("-")
    assert structure.fields(segment, version)[int(number) - 1].datatype == datatype
