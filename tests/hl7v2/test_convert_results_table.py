"""Results as the standard's tables have them: whose part, which order, arrays, notes.

Spec: v2-to-FHIR IG, segments OBR, OBX, SPM; HL7v2 chapters 2 (MA, NA) and 7 (ORU_R30)
"""

import pytest
from conversion_parts import BASE, by_table, of_type, only, segment, target

ISOLATE = (
    "ORC|RE|P1^HIS|F1^LIS",
    "OBR|1|P1^HIS|F1^LIS|600-7^Bacteria^LN|||20250315",
    "OBX|1|ST|A^a||x||||||F",
)


@pytest.mark.parametrize("field", ["f29", "f54"])
@pytest.mark.parametrize("parent", ["P1&HIS^F1&LIS", "^F1&LIS", "P1&HIS"])
def test_an_order_that_follows_one_of_the_message_refers_to_it(field, parent):
    child = segment("OBR", f1="2", f2="P2^HIS", f3="F2^LIS", f4="50545-3^MIC^LN", **{field: parent})
    conversion = by_table("ORU^R01^ORU_R01", *ISOLATE, "ORC|RE|P2^HIS|F2^LIS", child)
    first, second = of_type(conversion, "ServiceRequest")
    (based,) = second["basedOn"]
    assert target(conversion, based) is first
    assert "basedOn" not in first


def test_an_order_that_follows_another_message_s_is_based_on_one_of_its_number():
    child = segment("OBR", f1="2", f2="P2^HIS", f3="F2^LIS", f4="X^x", f29="P9&HIS^F9&LIS")
    conversion = by_table("ORU^R01^ORU_R01", *ISOLATE, "ORC|RE|P2^HIS|F2^LIS", child)
    _, second, parent = of_type(conversion, "ServiceRequest")
    assert target(conversion, second["basedOn"][0]) is parent
    assert [one["value"] for one in parent["identifier"]] == ["P9", "F9"]


def test_the_code_of_the_parent_s_service_is_no_number_of_it():
    child = segment("OBR", f1="1", f2="P2", f3="F2", f4="X^x", f50="87040^Blood culture^C4")
    conversion = by_table("ORU^R01^ORU_R01", child)
    assert "basedOn" not in only(conversion, "ServiceRequest")


@pytest.mark.parametrize(
    ("kind", "written", "dimensions", "data"),
    [
        ("NA", "1^2^-3.50", 1, "1 2 -3.50"),
        ("NA", "1^2^3~4^^6", 2, "1 4 2 E 3 6"),
        ("MA", "0^1~2^3", 2, "0 1 2 3"),
    ],
)
def test_an_array_of_numbers_is_sampled_data(kind, written, dimensions, data):
    obx = segment("OBX", f1="1", f2=kind, f3="WAV^w", f5=written, f6="mV", f11="F")
    result = only(by_table("ORU^R01^ORU_R01", "OBR|1|P1|F1|X^x", obx), "Observation")
    samples = result["valueSampledData"]
    assert (samples["dimensions"], samples["data"]) == (dimensions, data)
    assert (samples["origin"]["value"], samples["origin"]["code"]) == (0, "mV")
    assert "component" not in result


def test_an_array_of_anything_else_is_a_text():
    obx = segment("OBX", f1="1", f2="NA", f3="WAV^w", f5="1^two^3", f11="F")
    result = only(by_table("ORU^R01^ORU_R01", "OBR|1|P1|F1|X^x", obx), "Observation")
    assert result["valueString"] == "1^two^3"


def test_what_is_observed_of_the_patient_is_no_result_of_the_report():
    conversion = by_table(
        "ORU^R30^ORU_R30",
        segment("OBX", f1="1", f2="NM", f3="29463-7^Weight^LN", f5="70", f6="kg", f11="F"),
        "ORC|NW||F1",
        "OBR|1||F1|2339-0^Glucose^LN|||20250315",
        segment("OBX", f1="1", f2="NM", f3="2339-0^Glucose^LN", f5="6", f6="mmol/L", f11="F"),
    )
    weight, glucose = of_type(conversion, "Observation")
    (result,) = only(conversion, "DiagnosticReport")["result"]
    assert target(conversion, result) is glucose
    assert weight["valueQuantity"]["value"] == 70
    assert "basedOn" not in weight


def test_a_note_of_a_report_has_who_wrote_it_and_when():
    note = segment("NTE", f1="1", f3="Repeat", f5="E1^Enter^Ed", f6="20250316")
    conversion = by_table("ORU^R01^ORU_R01", "OBR|1|P1|F1|X^x", note, "OBX|1|ST|A^a||x||||||F")
    (extension,) = only(conversion, "DiagnosticReport")["extension"]
    annotation = extension["valueAnnotation"]
    assert (annotation["text"], annotation["time"]) == ("Repeat", "2025-03-16")
    assert target(conversion, annotation["authorReference"])["identifier"][0]["value"] == "E1"


@pytest.mark.parametrize(
    ("authority", "system"), [("", f"{BASE}/sid/TEST01"), ("^^^&1.2.3&ISO", "urn:oid:1.2.3")]
)
def test_a_specimen_s_number_is_none_of_a_patient(authority, system):
    spm = segment("SPM", f1="1", f4="BLD", f30=f"A1{authority}", f31=f"O1{authority}")
    specimen = only(by_table("OUL^R22^OUL_R22", spm), "Specimen")
    (other,) = specimen["identifier"]
    accession = specimen["accessionIdentifier"]
    assert (accession["value"], accession["system"]) == ("A1", system)
    assert (other["value"], other["system"]) == ("O1", system)
