"""Messages 08 to 10 of the story: a laboratory, a health station, a test in another province.

The facts are those of `messages/expected.json`.
"""

from decimal import Decimal

import pytest
from conversion_parts import (
    BASE,
    LOINC,
    by_code,
    codes,
    converted,
    every,
    identifiers,
    of_type,
    only,
    story,
    target,
    text_of,
)

UCUM = "http://unitsofmeasure.org"


@pytest.fixture(scope="module")
def laboratory():
    return story("08")


@pytest.fixture(scope="module")
def station():
    return story("09")


@pytest.fixture(scope="module")
def virus():
    return story("10")


def flag(observation):
    return observation["interpretation"][0]["coding"][0]["code"]


def quantity(observation):
    value = observation["valueQuantity"]
    return value["value"], value["code"]


def test_08_the_report(laboratory):
    (report,) = every(laboratory, "DiagnosticReport")
    resource = report.resource
    assert set(identifiers(resource)) == {"L20250314-3321", "JY20250314-0088"}
    assert report.match == ((f"{BASE}/sid/LIS", "L20250314-3321"),)
    assert resource["status"] == "final"
    assert {"CH", "LAB"} <= set(codes(resource["category"][0]))
    assert resource["effectiveDateTime"] == "2025-03-14T08:10:00+08:00"
    assert resource["issued"] == "2025-03-14T10:28:00+08:00"
    results = [target(laboratory, one) for one in resource["result"]]
    assert results == of_type(laboratory, "Observation")
    assert len(results) == 8


def test_08_every_result_is_final_hers_and_of_the_laboratory(laboratory):
    patient = only(laboratory, "Patient")
    for one in of_type(laboratory, "Observation"):
        assert one["status"] == "final"
        assert codes(one["category"][0])["laboratory"]
        assert target(laboratory, one["subject"]) is patient
        assert one["effectiveDateTime"] == "2025-03-14T08:10:00+08:00"
        assert "SHTH01" in identifiers(target(laboratory, one["performer"][0]))


@pytest.mark.parametrize(
    ("code", "value", "unit", "interpretation"),
    [
        ("14771-0", "9.8", "mmol/L", "H"),
        ("4548-4", "8.6", "%", "H"),
        ("14682-9", "71", "umol/L", "N"),
        ("2823-3", "6.4", "mmol/L", "HH"),
        ("9318-7", "300", "mg/g", "H"),
        ("6690-2", "6.8", "10*9/L", "N"),
    ],
)
def test_08_values(laboratory, code, value, unit, interpretation):
    observation = by_code(laboratory)[code]
    assert codes(observation["code"])[code] == LOINC
    assert quantity(observation) == (Decimal(value), unit)
    assert flag(observation) == interpretation


def test_08_the_senders_own_codes_stay_beside_loinc(laboratory):
    assert codes(by_code(laboratory)["4548-4"]["code"]) == {
        "4548-4": LOINC,
        "HBA1C": f"{BASE}/CodeSystem/SHTH01/local",
    }


def test_08_ranges_comparators_texts_and_notes(laboratory):
    found = by_code(laboratory)
    glucose = found["14771-0"]["referenceRange"][0]
    assert (glucose["low"]["value"], glucose["high"]["value"]) == (Decimal("3.9"), Decimal("6.1"))
    assert found["2823-3"]["note"] == [{"text": "危急值：09:05 电话通知 方医师，已复述确认"}]
    ratio = found["9318-7"]
    assert ratio["valueQuantity"]["comparator"] == ">"
    assert ratio["referenceRange"][0]["high"]["value"] == 30
    protein = found["UPRO"]
    assert protein["valueString"] == "2+"
    assert protein["referenceRange"][0]["text"] == "阴性"
    assert flag(protein) == "A"
    assert found["6690-2"]["valueQuantity"]["unit"] == "10^9/L"
    assert found["LABNOTE"]["valueString"] == "标本轻度溶血\n建议复查血钾"


def test_08_the_specimen_and_who_ordered_and_read_it(laboratory):
    report = only(laboratory, "DiagnosticReport")
    specimen = target(laboratory, report["specimen"][0])
    assert specimen["type"]["text"] == "静脉血"
    assert specimen["receivedTime"] == "2025-03-14T08:20:00+08:00"
    order = target(laboratory, report["basedOn"][0])
    assert target(laboratory, order["requester"])["name"][0]["text"] == "方晓岚"
    reader = target(laboratory, report["resultsInterpreter"][0])
    assert reader["name"][0]["text"] == "金检验师"
    assert "T30001" in identifiers(reader)


def test_08_the_order_and_the_visit_are_left_as_they_are_where_known(laboratory):
    (order,) = every(laboratory, "ServiceRequest")
    (visit,) = every(laboratory, "Encounter")
    assert (order.mode, visit.mode) == ("create", "create")
    assert order.match == ((f"{BASE}/sid/SHTH01", "JY20250314-0088"),)


def test_08_a_corrected_result_is_the_same_observation(laboratory):
    text = (
        text_of("08")
        .replace("|9.8|", "|9.9|")
        .replace("H|||F|||20250314081000\rOBX|2", "H|||C|||20250314081000\rOBX|2")
    )
    again = converted(text.replace("LIS20250314-000781", "LIS20250314-000999"))
    first, corrected = (
        next(one for one in every(conversion, "Observation") if "14771-0" in str(one.resource))
        for conversion in (laboratory, again)
    )
    assert corrected.resource["status"] == "corrected"
    assert corrected.match == first.match
    assert corrected.full_url != first.full_url


def test_09_five_vital_signs_of_the_known_resident(station):
    (patient,) = every(station, "Patient")
    assert patient.match == (("urn:oid:2.16.156.10011.1.3", "310229195304129989"),)
    found = of_type(station, "Observation")
    assert len(found) == 5
    assert all(codes(one["category"][0])["vital-signs"] for one in found)


@pytest.mark.parametrize(
    ("code", "value", "unit"),
    [
        ("8867-4", "76", "/min"),
        ("14743-9", "11.6", "mmol/L"),
        ("29463-7", "63.5", "kg"),
        ("59408-5", "97", "%"),
    ],
)
def test_09_values_by_loinc(station, code, value, unit):
    observation = by_code(station)[code]
    assert codes(observation["code"])[code] == LOINC
    assert quantity(observation) == (Decimal(value), unit)


def test_09_a_pressure_in_one_text_is_two_components(station):
    pressure = by_code(station)["85354-9"]
    assert {next(iter(codes(one["code"]))): quantity(one) for one in pressure["component"]} == {
        "8480-6": (Decimal(148), "mm[Hg]"),
        "8462-4": (Decimal(92), "mm[Hg]"),
    }
    assert "valueString" not in pressure
    assert codes(pressure["code"])["BP"] == f"{BASE}/CodeSystem/ZJJCHC/local"


def test_09_all_come_from_one_device(station):
    (device,) = every(station, "Device")
    assert identifiers(device.resource) == {"KIOSK-ZJJ-02": f"{BASE}/sid/ZJJCHC/device"}
    assert {one["device"]["reference"] for one in of_type(station, "Observation")} == {
        device.full_url
    }


def test_09_a_replay_under_another_control_id_finds_every_result(station):
    again = converted(text_of("09").replace("IOT0310084500-17", "IOT0310084500-18"))
    for resource_type in ("Observation", "DiagnosticReport"):
        first = [one.match for one in every(station, resource_type)]
        assert [one.match for one in every(again, resource_type)] == first
        assert all(first)


def test_10_a_new_patient_of_another_province(virus):
    patient = only(virus, "Patient")
    assert identifiers(patient)["320525198602039996"] == "urn:oid:2.16.156.10011.1.3"
    assert (patient["name"][0]["family"], patient["name"][0]["given"]) == ("王", ["䶮"])
    (home,) = patient["address"]
    assert home["district"] == "吴江区"
    assert home["extension"][0]["valueCoding"]["code"] == "320509"


def test_10_the_report_and_its_three_results(virus):
    report = only(virus, "DiagnosticReport")
    assert "NAT250316-771" in identifiers(report)
    assert report["status"] == "final"
    assert report["issued"] == "2025-03-16T15:28:00+08:00"
    found = by_code(virus)
    for code in ("94559-2", "94533-7", "94500-6"):
        value = found[code]["valueCodeableConcept"]
        assert codes(value) == {
            "260415000": "http://snomed.info/sct",
            "NEG": f"{BASE}/CodeSystem/WJPH01/local",
        }
        assert flag(found[code]) == "N"
    assert found["94559-2"]["method"]["text"] == "实时荧光PCR"


def test_10_the_swab(virus):
    specimen = only(virus, "Specimen")
    assert specimen["type"]["text"] == "鼻咽拭子"
    assert specimen["collection"]["collectedDateTime"] == "2025-03-16T09:35:00+08:00"
    assert specimen["receivedTime"] == "2025-03-16T11:10:00+08:00"
    assert all(target(virus, one["specimen"]) is specimen for one in of_type(virus, "Observation"))
