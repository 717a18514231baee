"""The story of one resident, told by her institutions' messages, as REST clients then find it.

Each message is sent twice; the second time nothing may change. The facts are those of
`tests/hl7v2/messages/expected.json`, asked for with the searches that it names.
"""

from pathlib import Path

import pytest
from whole.running import RunningHub, message

MESSAGES = Path(__file__).parents[2] / "examples" / "messages"
ORDER = ["01", "09", "11", "13", "14", "04", "05", "07", "02", "08", "03", "06", "10", "12"]
RESIDENT = "urn:oid:2.16.156.10011.1.3|310229195304129989"


def deliver(hub: RunningHub, number: str) -> None:
    (path,) = MESSAGES.glob(f"{number}_*.hl7")
    with hub.mllp() as mllp:
        first = mllp.send(message(path))
        second = mllp.send(message(path))
    assert b"\rMSA|AA|" in first, (number, first.decode("utf-8", "replace"))
    assert second == first


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """A hub that took the story."""
    store = f"sqlite:{tmp_path_factory.mktemp('story') / 'hub.sqlite'}"
    with RunningHub(store) as hub:
        for number in ORDER:
            deliver(hub, number)
        yield hub


@pytest.fixture(scope="module")
def client(hub):
    with hub.client() as client:
        yield client


def found(client, query: str) -> list[dict]:
    answer = client.get(query)
    assert answer.status_code == 200, answer.text
    return [
        entry["resource"]
        for entry in answer.json().get("entry", [])
        if entry["search"]["mode"] == "match"
    ]


def one(client, query: str) -> dict:
    resources = found(client, query)
    assert len(resources) == 1, (query, [r["id"] for r in resources])
    return resources[0]


@pytest.fixture(scope="module")
def resident(client):
    return one(client, f"Patient?identifier={RESIDENT}")


@pytest.mark.parametrize(
    "query",
    [
        f"identifier={RESIDENT}",
        "identifier=urn:oid:2.16.840.1.113883.2.23.1.19.1|310229195304129989",
        "identifier=T0088123",
        "identifier=ZJJ00012345",
        "name=沈桂芳",
        "family=沈&given=桂芳",
        "name=shen",
        "phone=13000000001",
        "phone=13000000099",
    ],
)
def test_the_resident_is_one_patient_however_she_is_asked_for(client, resident, query):
    assert one(client, f"Patient?{query}&active=true")["id"] == resident["id"]


def test_her_record_holds_what_each_institution_said(resident):
    identifiers = {one["value"] for one in resident["identifier"]}
    assert identifiers >= {
        "310229195304129989",
        "310118D00071234",
        "S900012345",
        "ZJJ00012345",
        "T0088123",
    }
    assert resident["gender"] == "female"
    assert resident["birthDate"] == "1953-04-12"
    han = next(name for name in resident["name"] if name["text"] == "沈桂芳")
    assert (han["family"], han["given"], han["use"]) == ("沈", ["桂芳"], "official")
    assert "Shen" in {name.get("family") for name in resident["name"]}
    home = next(one for one in resident["address"] if not one.get("period", {}).get("end"))
    assert "示范路200号302室" in str(home)
    assert resident["contact"][0]["name"]["text"] == "沈晓明"
    assert resident["generalPractitioner"]
    assert resident["managingOrganization"]


def test_her_visits_are_encounters(client, resident):
    visits = found(client, f"Encounter?patient={resident['id']}")
    values = {i["value"]: v for v in visits for i in v["identifier"]}
    assert values["MZ202503100012"]["class"]["code"] == "AMB"
    assert values["MZ202503100012"]["period"]["start"] == "2025-03-10T08:30:10+08:00"
    assert values["M20250314005521"]["period"]["start"] == "2025-03-14T08:10:00+08:00"
    assert values["IHV20250320-0015"]["class"]["code"] == "VR"


def test_her_contract_and_cover(client, resident):
    team = one(client, "CareTeam?identifier=QY-310118-2025-000123")
    assert team["status"] == "active"
    assert team["period"] == {"start": "2025-03-01", "end": "2026-02-28"}
    assert len(team["participant"]) == 4
    cover = one(client, f"Coverage?beneficiary={resident['id']}")
    assert cover["subscriberId"] == "S900012345"


def test_her_laboratory_results(client, resident):
    patient = resident["id"]
    sugar = one(client, f"Observation?patient={patient}&code=http://loinc.org|4548-4")
    assert (sugar["valueQuantity"]["value"], sugar["valueQuantity"]["unit"]) == (8.6, "%")
    assert one(client, "Observation?code-value-quantity=http://loinc.org|4548-4$gt8")
    laboratory = found(
        client,
        f"Observation?patient.identifier={RESIDENT}&category=laboratory&_sort=-date&_count=50",
    )
    assert len(laboratory) == 8
    codes = {c["code"]: o for o in laboratory for c in o["code"]["coding"]}
    assert codes["14682-9"]["valueQuantity"]["code"] == "umol/L"
    assert codes["2823-3"]["interpretation"][0]["coding"][0]["code"] == "HH"
    assert "危急值" in codes["2823-3"]["note"][0]["text"]
    assert codes["9318-7"]["valueQuantity"]["comparator"] == ">"
    assert codes["9318-7"]["referenceRange"][0]["high"]["value"] == 30
    assert codes["UPRO"]["valueString"] == "2+"
    assert codes["6690-2"]["valueQuantity"]["code"] == "10*9/L"
    assert codes["LABNOTE"]["valueString"] == "标本轻度溶血\n建议复查血钾"
    report = one(
        client, "DiagnosticReport?identifier=L20250314-3321&_include=DiagnosticReport:result"
    )
    assert len(report["result"]) == 8
    assert report["issued"] == "2025-03-14T10:28:00+08:00"


def test_potassium_is_found_by_its_value(client):
    query = "Observation?value-quantity=gt6|http://unitsofmeasure.org|mmol/L&code=2823-3"
    assert one(client, query)["valueQuantity"]["value"] == 6.4


def test_her_vital_signs_from_the_kiosk(client, resident):
    query = f"Observation?category=vital-signs&patient={resident['id']}&_count=50"
    vitals = found(client, f"{query}&device:missing=false")
    assert len(vitals) == 5
    assert len(found(client, f"{query}&device:missing=true")) == 1  # the copy in the referral
    pressure = one(
        client, "Observation?component-code-value-quantity=http://loinc.org|8480-6$ge140"
    )
    values = {
        c["code"]["coding"][0]["code"]: c["valueQuantity"]["value"] for c in pressure["component"]
    }
    assert values == {"8480-6": 148, "8462-4": 92}
    assert all(one["device"]["reference"] == vitals[0]["device"]["reference"] for one in vitals)
    assert (
        len(
            found(
                client,
                "Observation?code=http://loinc.org|85354-9,http://loinc.org|14743-9&date=ge2025-03-10",
            )
        )
        == 2
    )


def test_her_appointment_has_the_new_doctor(client, resident):
    appointment = one(client, f"Appointment?patient={resident['id']}&date=2025-03-14")
    assert appointment["status"] == "booked"
    assert appointment["start"] == "2025-03-14T09:30:00+08:00"
    assert appointment["end"] == "2025-03-14T09:45:00+08:00"
    assert appointment["minutesDuration"] == 15
    assert int(appointment["meta"]["versionId"]) == 2
    assert {i["value"] for i in appointment["identifier"]} == {"YY-ZJJ-20250310-001", "AP889001"}
    actors = {p["actor"]["reference"].split("/")[0] for p in appointment["participant"]}
    assert actors == {"Patient", "Practitioner", "Location"}
    assert len(appointment["participant"]) == 3
    (doctor,) = found(client, "Practitioner?identifier=T20501")
    assert f"Practitioner/{doctor['id']}" in str(appointment["participant"])
    assert "请携带身份证" in str(appointment)
    before = client.get(f"Appointment/{appointment['id']}/_history/1").json()
    assert before["participant"] != appointment["participant"]


def test_other_appointments(client):
    cancelled = one(client, "Appointment?identifier=AP889017")
    assert cancelled["status"] == "cancelled"
    assert "PATREQ" in str(cancelled["cancelationReason"])
    ouyang = one(client, "Patient?family=欧阳&given=志明")
    assert ouyang["birthDate"] == "1957-09-30"
    assert one(client, "Appointment?identifier=HD20250312-09")["status"] == "noshow"


def test_her_prescriptions(client, resident):
    active = found(client, f"MedicationRequest?patient={resident['id']}&status=active")
    assert len(active) == 3
    metformin = one(client, "MedicationRequest?code=http://www.whocc.no/atc|A10BA02")
    assert metformin["dispenseRequest"]["quantity"]["value"] == 112
    assert metformin["dispenseRequest"]["expectedSupplyDuration"]["value"] == 56
    assert metformin["dispenseRequest"]["validityPeriod"]["start"].startswith("2025-03-10")
    assert metformin["groupIdentifier"]["value"] == "CF20250310-0021"
    assert metformin["dosageInstruction"][0]["text"] == "餐中服用"
    atorvastatin = one(client, "MedicationRequest?code=http://www.whocc.no/atc|C10AA05")
    assert "CFT20250214-778" in str(atorvastatin)
    dapagliflozin = one(client, "MedicationRequest?code=http://www.whocc.no/atc|A10BK01")
    assert "晨服" in str(dapagliflozin)
    allergy = one(client, f"AllergyIntolerance?patient={resident['id']}")
    assert allergy["code"]["coding"][0]["code"] == "J01CA"


def test_the_traveller_from_wujiang(client):
    query = (
        "Observation?patient.identifier=urn:oid:2.16.156.10011.1.3|320525198602039996"
        "&code=http://loinc.org|94500-6&_sort=-date&_count=1"
    )
    result = one(client, query)
    codes = {c["code"] for c in result["valueCodeableConcept"]["coding"]}
    assert codes == {"260415000", "NEG"}
    assert one(client, "Patient?name=王䶮")["name"][0]["given"] == ["䶮"]
    assert len(found(client, "Patient?address-city=苏州市")) == 1


def test_the_merged_number_leads_to_the_survivor(client, resident):
    merged = [
        one for one in found(client, "Patient?identifier=T0099001") if one["id"] != resident["id"]
    ]
    assert len(merged) == 1
    assert merged[0]["active"] is False
    assert merged[0]["link"][0]["type"] == "replaced-by"
    assert merged[0]["link"][0]["other"]["reference"] == f"Patient/{resident['id']}"
    assert found(client, "Patient?active=true&identifier=T0099001") == []


def test_every_message_left_its_provenance(client):
    for control_id in ("ZJJ20250310083015001", "LIS20250314-000781"):
        assert any(control_id in str(one) for one in found(client, "Provenance?_count=200")), (
            control_id
        )


def test_the_referral_moves_with_what_happens(client):
    """DOMAIN 1.3 S3, as far as messages tell it: submitted, accepted, booked, arrived, seen."""
    task = one(client, "Task?identifier=ZZ20250310-0001")
    versions = client.get(f"Task/{task['id']}/_history").json()["entry"]
    told = [
        (each["resource"]["status"], each["resource"]["businessStatus"]["coding"][0]["code"])
        for each in reversed(versions)
    ]

    assert told == [
        ("requested", "2.0"),
        ("accepted", "3.0"),
        ("in-progress", "5.1.1"),
        ("in-progress", "cn-arrived"),
        ("in-progress", "5.1.4"),
    ]
    outputs = [row["valueReference"]["reference"].split("/")[0] for row in task["output"]]
    assert outputs == ["Appointment", "Encounter", "DiagnosticReport"]
    trail = found(client, f"AuditEvent?entity=Task/{task['id']}")
    assert [row["subtype"][0]["code"] for row in trail] == [
        "submit",
        "accept",
        "book",
        "arrive",
        "visit",
    ]
    notices = found(client, "Communication?category=notification")
    assert len(notices) == 5


def test_nothing_of_a_resident_is_in_the_log_or_the_metrics(hub, client):
    refused = client.get("Patient?nmae=沈桂芳&phone=13800001111")
    wrong = {"resourceType": "Patient", "name": [{"text": "沈桂芳"}], "birthDate": "1953-04-99"}
    with hub.mllp() as mllp:
        broken = mllp.send(b"MSH|^~\\&|HIS|SHTH01\rPID|1||310229195304129989\r")
    assert (refused.status_code, client.post("Patient", json=wrong).status_code) == (400, 400)
    assert b"|AE|" in broken or b"|AR|" in broken

    metrics = client.get(f"{hub.fhir.removesuffix('/fhir')}/metrics").text
    said = hub.logged() + metrics
    assert '"event": "ready"' in said
    assert "fhir_hub_mllp_messages" in said
    facts = ("沈桂芳", "shenguifang", "310229195304129989", "1953-04", "13800001111", "王䶮")
    assert [fact for fact in facts if fact in said] == []


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_a_hub_that_took_the_story_needs_less_than_200_mb(hub):
    status = Path(f"/proc/{hub.ready['pid']}/status").read_text()
    assert int(status.split("VmRSS:")[1].split()[0]) < 200 * 1024
