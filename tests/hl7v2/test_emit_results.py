"""Results of more than one value, written and read again: pressures, components, panels.

Spec: HL7v2 chapter 7, OBX; https://hl7.org/fhir/R4/observation.html#obsgrouping
"""

import emit_parts
import pytest
from hl7v2.test_emit_states import PATIENT, REPORT, given, read, segments
from hl7v2.test_emit_states import RESULT as FOUND

from fhir_hub.hl7v2.emit.emit import VERSIONS, Receiver
from fhir_hub.hl7v2.emit.validity import faults

LOINC = "http://loinc.org"
SID = "https://fhir-hub.example/sid"
TYPES = "http://terminology.hl7.org/CodeSystem/v2-0203"
SUBJECT = {"subject": {"reference": "Patient/p1"}}
RESULT = {"resourceType": "Observation", "status": "final", **SUBJECT}
MM_HG = {"unit": "mmHg", "system": "http://unitsofmeasure.org", "code": "mm[Hg]"}


def coded(code, text=""):
    return {
        "code": {"coding": [{"system": LOINC, "code": code}]} | ({"text": text} if text else {})
    }


def amount(value, unit="g/L"):
    return {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit}


def pressure(systolic, diastolic):
    """Return a blood pressure with the reference ranges of its parts."""
    parts = [("8480-6", 148, systolic), ("8462-4", 92, diastolic)]
    components = []
    for code, value, bounds in parts:
        told = {end: MM_HG | {"value": one} for end, one in bounds.items()}
        held = {"referenceRange": [told]} if told else {}
        components.append(coded(code) | {"valueQuantity": MM_HG | {"value": value}} | held)
    return RESULT | {"id": "o1", **coded("85354-9"), "component": components}


def bounds_of(component):
    return [
        {end: one[end]["value"] for end in ("low", "high") if end in one}
        for one in component.get("referenceRange", ())
    ]


@pytest.mark.parametrize(
    ("systolic", "diastolic", "text"),
    [
        ({"low": 90, "high": 139}, {"low": 60, "high": 89}, "90/60-139/89"),
        ({"high": 139}, {"high": 89}, "<=139/89"),
        ({"low": 90}, {"low": 60}, ">=90/60"),
        ({}, {}, ""),
    ],
)
def test_the_ranges_of_both_pressures_come_back(systolic, diastolic, text):
    emitted = emit_parts.written(given(PATIENT, REPORT, pressure(systolic, diastolic)))

    (again,) = read(emitted, "Observation")
    wanted = [[one] if one else [] for one in (systolic, diastolic)]
    assert [bounds_of(one) for one in again["component"]] == wanted
    assert segments(emitted, "OBX")[0][7:8] == ([text] if text else [""])
    assert emitted.left_out == emitted.issues == ()


@pytest.mark.parametrize("given_range", ["<140/90", "≤139/89 mmHg", "90/60～139/89"])
def test_ranges_of_pressures_as_they_are_written_come_back(given_range):
    lines = [
        "MSH|^~\\&|LIS|SHTH01|HUB|H|20250314103000||ORU^R01^ORU_R01|G1|P|2.5|||||CHN|UNICODE UTF-8",
        "PID|1||T1^^^SHTH01^PI||沈^桂芳",
        "OBR|1||F1|VS^体征^L",
        f"OBX|1|ST|85354-9^血压^LN||148/92|mmHg|{given_range}|||||F",
    ]
    before = emit_parts.read("\r".join(lines).encode())

    after = emit_parts.read(emit_parts.written(before, "ORU^R01").raw)

    resources = (one.resource for one in before.resources)
    (found,) = [one for one in resources if one["resourceType"] == "Observation"]
    assert all(bounds_of(one) for one in found["component"])
    assert emit_parts.facts(before) ^ emit_parts.facts(after) == set()


def test_a_range_of_a_pressure_that_says_no_bounds_of_both_is_kept_as_its_text():
    lines = [
        "MSH|^~\\&|LIS|SHTH01|HUB|H|20250314103000||ORU^R01^ORU_R01|G1|P|2.5",
        "PID|1||T1^^^SHTH01^PI||A^B",
        "OBR|1||F1|G1^V^L",
        "OBX|1|ST|85354-9^BP^LN||148/92|mmHg|90-140|||||F",
        "OBX|2|NM|C1^c^L||1.5~2.5|g/L|1-2|||||F",
    ]
    before = emit_parts.read("\r".join(lines).encode())

    emitted = emit_parts.written(before, "ORU^R01")

    first, second = read(emitted, "Observation")
    assert first["referenceRange"] == [{"text": "90-140"}]
    assert [bounds_of(one) for one in second["component"]] == [[{"low": 1, "high": 2}]] * 2
    assert [str(one["valueQuantity"]["value"]) for one in second["component"]] == ["1.5", "2.5"]
    assert emit_parts.facts(before) ^ emit_parts.facts(emit_parts.read(emitted.raw)) == set()
    assert emitted.left_out == ()


@pytest.mark.parametrize("version", VERSIONS)
def test_each_other_component_is_a_result_of_its_own(version):
    system = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
    high = {"coding": [{"system": system, "code": "H"}]}
    parts = [
        coded("9999-1", "左眼") | {"valueQuantity": amount(5), "interpretation": [high]}
        | {"referenceRange": [{"low": amount(1), "high": amount(4)}]},
        coded("9999-2", "右眼") | {"valueString": "浑浊"},
        coded("9999-2", "右眼") | {"valueString": "充血"},
    ]  # fmt: skip
    panel = RESULT | {"id": "o1", **coded("9999-0", "眼"), "component": parts}
    panel |= {"effectiveDateTime": "2025-03-14T08:10:00+08:00", "status": "corrected"}
    emitted = emit_parts.written(given(PATIENT, REPORT, panel), "", Receiver(version=version))

    assert faults(emitted.text) == []
    assert emitted.left_out == ()
    whole, left, *right = read(emitted, "Observation")
    assert "valueQuantity" not in whole
    assert (left["code"]["text"], left["valueQuantity"]["value"]) == ("左眼", 5)
    assert left["interpretation"][0]["coding"][0]["code"] == "H"
    assert bounds_of(left) == [{"low": 1, "high": 4}]
    assert [one["valueString"] for one in right] == ["浑浊", "充血"]
    assert {one["status"] for one in (whole, left, *right)} == {"corrected"}
    assert {one["effectiveDateTime"] for one in (left, *right)} == {"2025-03-14T08:10:00+08:00"}
    numbers = {one[4] for one in segments(emitted, "OBX")}
    assert len(numbers) == 4


@pytest.mark.parametrize("is_alone", [False, True])
def test_the_members_of_a_panel_are_told_with_it_each_once(is_alone):
    def member(number, *others):
        more = {"hasMember": [{"reference": f"Observation/m{one}"} for one in others]}
        value = {"valueQuantity": amount(number)} if not others else {}
        one = RESULT | {"id": f"m{number}", **coded(f"8888-{number}"), **value}
        return one | more if others else one

    panel, inner = member(0, 1, 2, 3), member(3, 4, 1, 0)
    listed = [{"reference": f"Observation/m{number}"} for number in (0, 2)]
    report = [] if is_alone else [REPORT | {"result": listed}]
    resources = given(PATIENT, *report, panel, inner, member(1), member(2), member(4))

    emitted = emit_parts.written(resources, "ORU^R01", main=panel if is_alone else report[0])

    assert faults(emitted.text) == []
    told = [one[3].split("^")[0] for one in segments(emitted, "OBX")]
    assert sorted(told) == [f"8888-{number}" for number in range(5)]
    assert {one["code"]["coding"][0]["code"] for one in read(emitted, "Observation")} == set(told)


def test_a_referral_brings_components_and_members_too():
    request = {
        "resourceType": "ServiceRequest", "id": "s1", "status": "active", "intent": "order",
        "category": [{"coding": [{"system": "http://snomed.info/sct", "code": "3457005"}]}],
        "performer": [{"type": "Practitioner", "display": "王芳"}],
        "supportingInfo": [{"reference": "Observation/o1"}], **SUBJECT,
    }  # fmt: skip
    parts = [coded("9999-1") | {"valueString": "a"}, coded("9999-2") | {"valueString": "b"}]
    panel = RESULT | {"id": "o1", **coded("9999-0"), "component": parts}
    panel |= {"hasMember": [{"reference": "Observation/o2"}]}
    other = RESULT | {"id": "o2", **coded("9999-3"), "valueString": "c"}

    emitted = emit_parts.written(given(PATIENT, request, panel, other), "REF^I12")

    assert faults(emitted.text) == []
    found = {one.get("valueString") for one in read(emitted, "Observation")}
    assert found == {None, "a", "b", "c"}


def test_a_specimen_keeps_the_number_of_who_ordered_and_of_who_has_it():
    numbers = [
        {
            "type": {"coding": [{"system": TYPES, "code": kind}]},
            "system": f"{SID}/{kind}",
            "value": value,
        }
        for kind, value in (("FGN", "S1"), ("PGN", "S2"))
    ]
    specimen = {"resourceType": "Specimen", "id": "x1", "identifier": numbers, **SUBJECT}
    report = REPORT | {"specimen": [{"reference": "Specimen/x1"}]}

    emitted = emit_parts.written(
        given(PATIENT, report, specimen, RESULT | coded("4548-4") | {"id": "o1"}),
        receiver=Receiver(version="2.5.1"),
    )

    (spm,) = segments(emitted, "SPM")
    assert spm[2] == "S2&PGN^S1&FGN"
    (again,) = read(emitted, "Specimen")
    assert sorted(one["value"] for one in again["identifier"]) == ["S1", "S2"]


@pytest.mark.parametrize("version", ["2.3", "2.4", "2.5.1", "2.8.2"])
def test_what_a_report_concludes_is_told_and_read_again(version):
    code = {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10", "code": "E11.9"}]}
    concluded = REPORT | {"conclusion": "血糖升高\n建议复查", "conclusionCode": [code]}
    receiver = Receiver(version=version)

    emitted = emit_parts.written(given(PATIENT, FOUND, concluded), receiver=receiver)
    again = emit_parts.written(emit_parts.read(emitted.raw), "ORU^R01", receiver)

    assert "DiagnosticReport.conclusion" not in emitted.left_out
    for one in (emitted, again):
        (report,) = read(one, "DiagnosticReport")
        assert report["conclusion"].startswith("血糖升高\n建议复查")
        assert [told["coding"][0]["code"] for told in report["conclusionCode"]] == ["E11.9"]
        assert [told[3][:10] for told in segments(one, "OBX")] == [
            "4548-4^^LN",
            *["4548-4&IMP"] * 2,
        ]
        assert faults(one.text) == []
