"""DOMAIN 1.3, scenario S4: results of other hospitals with their source, and reminders.

Steps that a signed-in person takes are taken by whoever asks, as there is no sign-in yet; they
are marked `signed in:`. The step about an institution without any basis waits for it.
"""

import subprocess
import sys
from decimal import Decimal

import pytest
from scenario_parts import EXAMPLES, LOINC, SHEN

A1C = f"{LOINC}|4548-4"
HISTORY = f"Observation?patient.identifier={SHEN}&code={A1C}&_sort=date"
LOCAL = "https://fhir-hub.example/CodeSystem/QPDCH/local"


@pytest.fixture(scope="module")
def told(hub):
    """The centre registered the resident (01); the hospital's laboratory reported (08)."""
    hub.tell("01", "08")
    return hub


def laboratory(facility: str, time: str, control_id: str, report: str, test: str) -> bytes:
    """Return a laboratory's report of one test: OBX-3 to OBX-14."""
    patient = "310229195304129989^^^&2.16.156.10011.1.3&ISO^NNCHN"
    rows = [
        f"MSH|^~\\&|LIS|{facility}|FHIRHUB|QPRHP|{time}||ORU^R01^ORU_R01|{control_id}|P|2.4"
        "|||AL|NE|CHN|UNICODE UTF-8|zh",
        f"PID|1||{patient}||沈^桂芳^^^^^L^I||19530412|F",
        f"OBR|1||{report}^LIS|CHEM^生化^L|||20250314081000|||||||20250314082000|||||||||CH|F",
        f"OBX|1|NM|{test}",
    ]
    return "\r".join([*rows, ""]).encode()


CORRECTED = "4548-4^糖化血红蛋白^LN^HBA1C^糖化血红蛋白^L||8.4|%|4.0-6.0|H|||C|||20250314081000"
OF_THE_DISTRICT = "QP-GHB^糖化血红蛋白A1c^L||7.9|%|4.0-6.0|H|||F|||20250601080000"


@pytest.fixture(scope="module")
def corrected(told):
    """The laboratory corrected its result; return what that was before."""
    before = told.one(f"Observation?patient.identifier={SHEN}&code={A1C}")
    again = ("20250315090000", "LIS20250315-000001", "L20250314-3321")
    told.tell(laboratory("SHTH01", *again, CORRECTED))
    return before


@pytest.fixture(scope="module")
def of_two(told, corrected):
    """The district's hospital reported too, by a code of its own that a ConceptMap knows."""
    target = {"code": "4548-4", "display": "HbA1c", "equivalence": "equivalent"}
    element = [{"code": "QP-GHB", "target": [target]}]
    group = [{"source": LOCAL, "target": LOINC, "element": element}]
    told.post("ConceptMap", {"resourceType": "ConceptMap", "status": "active", "group": group})
    new = ("20250601100000", "QPLIS20250601-1", "QP-L1")
    told.tell(laboratory("QPDCH", *new, OF_THE_DISTRICT))
    return told


def test_s4_1_the_family_doctor_sees_the_result_of_another_hospital_with_its_source(told):
    sugar = told.one(f"Observation?patient.identifier={SHEN}&code={A1C}")  # signed in: ZJJCHC

    quantity = sugar["valueQuantity"]
    assert (Decimal(str(quantity["value"])), quantity["unit"]) == (Decimal("8.6"), "%")
    (performer,) = sugar["performer"]
    hospital = told.get(performer["reference"])
    assert hospital["identifier"][0]["value"] == "SHTH01"
    assert sugar["meta"]["source"].startswith("https://fhir-hub.example/sid/SHTH01/application")
    source = told.one(f"Provenance?target=Observation/{sugar['id']}")
    assert source["agent"][0]["who"]["display"] == "LIS@SHTH01"
    assert source["agent"][0]["onBehalfOf"] == performer
    assert source["entity"][0]["what"]["identifier"]["value"] == "LIS20250314-000781"
    found = told.found(f"DiagnosticReport?result=Observation/{sugar['id']}")
    assert found[0]["performer"] == [performer]
    assert found[0]["meta"]["source"] == sugar["meta"]["source"]
    assert told.found(f"Observation?_source={sugar['meta']['source']}&code={A1C}")


def test_s4_2_the_summary_across_institutions_names_the_hospital(told):
    patient = told.one(f"Patient?identifier={SHEN}&active=true")
    document = told.get(f"Patient/{patient['id']}/$summary")  # signed in: ZJJCHC

    sections = document["entry"][0]["resource"]["section"]
    results = next(one for one in sections if one["code"]["coding"][0]["code"] == "30954-2")
    assert "糖化血红蛋白 · 市级医院（示例） SHTH01" in {one["display"] for one in results["entry"]}


def test_s4_3_a_new_order_ten_days_later_is_reminded_of_what_was_done(told):
    patient = told.one(f"Patient?identifier={SHEN}&active=true")
    order = {
        "resourceType": "ServiceRequest",
        "status": "draft",
        "intent": "order",
        "code": {"coding": [{"system": LOINC, "code": "4548-4"}]},
        "authoredOn": "2025-03-24T09:00:00+08:00",
    }
    address = f"Patient/{patient['id']}/$remind"
    answer = told.post(address, order, 200)  # signed in: the doctor at ZJJCHC who orders
    later = told.post(address, order | {"authoredOn": "2025-06-14T09:00:00+08:00"}, 200)

    result, reminder = answer["parameter"]
    assert result["valueBoolean"] is True
    texts = [one["valueString"] for one in reminder["part"] if one["name"] == "text"]
    assert texts[0].startswith("already done 2025-03-14 at SHTH01")
    assert texts[1].startswith("2025-03-14 已在市级医院（示例） SHTH01做过")
    assert later["parameter"][0]["valueBoolean"] is False


def test_s4_4_a_corrected_result_is_the_same_observation_and_keeps_its_history(told, corrected):
    after = told.one(f"Observation?patient.identifier={SHEN}&code={A1C}")

    assert after["id"] == corrected["id"]
    assert after["status"] == "corrected"
    assert after["meta"]["versionId"] == "2"
    versions = told.history(f"Observation/{after['id']}")
    assert [(one["status"], str(one["valueQuantity"]["value"])) for one in versions] == [
        ("final", "8.6"),
        ("corrected", "8.4"),
    ]
    assert len(told.found(f"Provenance?target=Observation/{after['id']}")) == 2


def test_s4_5_a_trend_by_one_code_over_institutions_with_codes_of_their_own(of_two):
    trend = of_two.found(HISTORY)

    assert [str(one["valueQuantity"]["value"]) for one in trend] == ["8.4", "7.9"]
    places = [of_two.get(one["performer"][0]["reference"])["identifier"][0] for one in trend]
    assert [one["value"] for one in places] == ["SHTH01", "QPDCH"]
    assert {one["code"] for one in trend[1]["code"]["coding"]} == {"QP-GHB", "4548-4"}


def test_s4_6_the_example_prints_the_record_and_the_reminder(of_two):
    script = EXAMPLES / "record.py"
    number = SHEN.partition("|")[2]
    of_two.clock.set("2025-06-10T09:00+08:00")
    command = [sys.executable, str(script), of_two.addresses.fhir, number, "4548-4"]
    ran = subprocess.run(command, capture_output=True, encoding="utf-8")

    assert ran.returncode == 0, ran.stderr
    assert "糖化血红蛋白 · 市级医院（示例） SHTH01" in ran.stdout
    assert "already done 2025-06-01 at QPDCH" in ran.stdout
    spring = subprocess.run([*command, "2025-03-24"], capture_output=True, encoding="utf-8")
    assert "already done 2025-03-14 at SHTH01" in spring.stdout, spring.stderr
