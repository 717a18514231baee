"""What is observed of a specimen is about it, whatever order stands beside it.

Spec: HL7v2 chapters 4 and 7, SPECIMEN_OBSERVATION and CONTAINER_OBSERVATION; R4 Observation.focus
"""

import pytest
from conversion_parts import by_code, converted, errors, lines, of_type, only, target

PID = "PID|1||T1^^^CLINIC^MR||Shen^Guifang||19530412|F"
VOLUME = "OBX|1|NM|VOL^Volume||5|mL|||||F"
RESULT = "OBX|1|NM|HB^Hb||131|g/L|||||F"


def made(kind, *segments):
    conversion = converted(
        lines(f"MSH|^~\\&|A|CLINIC|||20250315||{kind}|C1|P|2.5.1", PID, *segments)
    )
    assert errors(conversion) == []
    return conversion


def about(conversion, code):
    """Return the types of specimens that the observation of a code is about."""
    found = [target(conversion, one) for one in by_code(conversion)[code].get("focus", ())]
    return [one["type"]["coding"][0]["code"] for one in found]


@pytest.mark.parametrize(
    ("kind", "segments"),
    [
        ("OML^O21^OML_O21", ("ORC|NW|P1", "OBR|1|P1||X^Y", RESULT, "SPM|1|S1||BLD", VOLUME)),
        ("OML^O33^OML_O33", ("SPM|1|S1||BLD", VOLUME, "ORC|NW|P1", "OBR|1|P1||X^Y", RESULT)),
        (
            "OML^O35^OML_O35",
            ("SPM|1|S1||BLD", VOLUME, "SAC|||C1", "ORC|NW|P1", "OBR|1|P1||X^Y", RESULT),
        ),
    ],
)
def test_what_an_order_needs_is_not_what_its_specimen_is_like(kind, segments):
    conversion = made(kind, *segments)
    (answer,) = only(conversion, "ServiceRequest")["supportingInfo"]
    assert target(conversion, answer)["code"]["text"] == "Hb"
    assert (about(conversion, "VOL"), about(conversion, "HB")) == (["BLD"], [])


@pytest.mark.parametrize(
    ("kind", "segments"),
    [
        ("OUL^R22^OUL_R22", ("SPM|1|S1||BLD", VOLUME, "OBR|1|P1|F1|X^Y", RESULT)),
        ("OUL^R23^OUL_R23", ("SPM|1|S1||BLD", VOLUME, "SAC|||C1", "OBR|1|P1|F1|X^Y", RESULT)),
        ("OUL^R24^OUL_R24", ("OBR|1|P1|F1|X^Y", "SPM|1|S1||BLD", VOLUME, "SAC|||C1", RESULT)),
        ("ORU^R01^ORU_R01", ("OBR|1|P1|F1|X^Y", RESULT, "SPM|1|S1||BLD", VOLUME)),
    ],
)
def test_a_report_has_what_was_measured_in_its_specimen_and_not_the_specimen(kind, segments):
    conversion = made(kind, *segments)
    (result,) = only(conversion, "DiagnosticReport")["result"]
    found = target(conversion, result)
    assert found["code"]["text"] == "Hb"
    assert target(conversion, found["specimen"]) == only(conversion, "Specimen")
    volume = by_code(conversion)["VOL"]
    assert about(conversion, "VOL") == ["BLD"]
    assert not {"basedOn", "specimen"} & volume.keys()


def test_results_behind_their_specimens_are_results_of_the_report():
    first = ("SPM|1|S1||BLD", RESULT, "NTE|1||hemolytic", "OBX|2|NM|K^K||4|mmol/L|||||F")
    second = ("SPM|2|S2||UR", "OBX|3|NM|PRO^Protein||1|g/L|||||F")
    conversion = made("ORU^R01^ORU_R01", "ORC|RE", "OBR|1|P1|F1|X^Y", *first, *second)
    results = [target(conversion, one) for one in only(conversion, "DiagnosticReport")["result"]]
    specimens = [target(conversion, one["specimen"])["type"]["coding"][0] for one in results]
    assert [one["code"]["text"] for one in results] == ["Hb", "K", "Protein"]
    assert [one["code"] for one in specimens] == ["BLD", "BLD", "UR"]
    assert all("basedOn" in one and "focus" not in one for one in results)
    assert [one["text"] for one in results[0]["note"]] == ["hemolytic"]


def test_each_specimen_has_what_was_observed_of_it():
    second = ("SPM|2|S2||UR", "OBX|1|ST|LOOK^Look||cloudy||||||F", "OBR|2|P2|F2|U^V")
    conversion = made("OUL^R22^OUL_R22", "SPM|1|S1||BLD", VOLUME, "OBR|1|P1|F1|X^Y", *second)
    assert (about(conversion, "VOL"), about(conversion, "LOOK")) == (["BLD"], ["UR"])


def test_what_is_observed_of_a_container_has_its_notes():
    order = ("ORC|NW|P1", "OBR|1|P1||X^Y", "SPM|1|S1||BLD", "SAC|||C1", VOLUME, "NTE|1||half full")
    conversion = made("OML^O21^OML_O21", *order)
    assert about(conversion, "VOL") == ["BLD"]
    assert by_code(conversion)["VOL"]["note"] == [{"text": "half full"}]
    assert "note" not in only(conversion, "Specimen")


def test_what_is_observed_of_the_patient_is_of_no_order():
    own = "OBX|1|NM|29463-7^Weight^LN||61|kg|||||F"
    conversion = made("OUL^R22^OUL_R22", own, "SPM|1|S1||BLD", "OBR|1|P1|F1|X^Y", RESULT)
    weight = by_code(conversion)["29463-7"]
    assert not {"basedOn", "specimen", "focus"} & weight.keys()
    assert len(only(conversion, "DiagnosticReport")["result"]) == 1
    assert len(of_type(conversion, "Observation")) == 2


@pytest.mark.parametrize(
    ("fate", "status", "reasons"),
    [
        ("|QS~RH^Hemolysis^HL70490", "unsatisfactory", ["QS", "RH"]),
        ("|溶血", "unsatisfactory", ["RH"]),
        ("Y|RC", "available", ["RC"]),  # SPM-20, as the guide's table has it
        ("N|RC", "unavailable", ["RC"]),
        ("N", "unavailable", []),
    ],
)
def test_a_specimen_that_is_rejected_says_so_and_why(fate, status, reasons):
    spm = "SPM|1|S1||BLD" + "|" * 16 + fate
    specimen = only(made("ORU^R01", "OBR|1|P1|F1|X^Y", RESULT, spm), "Specimen")
    assert specimen["status"] == status
    said = [one["valueCodeableConcept"]["coding"][0] for one in specimen.get("extension", ())]
    assert [one["code"] for one in said] == reasons
    assert {one["system"].rpartition("/")[2] for one in said} <= {"v2-0490"}
