"""DOMAIN 1.3, scenario S1: booking a nucleic acid test, and its result.

Steps 4 and 5 need a citizen who is signed in (only his own result, an AuditEvent, 403 for
another); signing in comes later, so what is asked here is what his policy will let through.
"""

from concurrent.futures import ThreadPoolExecutor

import pytest
from scenario_parts import EXAMPLES, LOINC

BASE = "https://fhir-hub.example"
WANG = "urn:oid:2.16.156.10011.1.3|320525198602039996"
LATEST = f"Observation?patient.identifier={WANG}&code={LOINC}|94500-6&_sort=-date&_count=1"
CAPACITY = f"{BASE}/StructureDefinition/slot-capacity"


def message(number, *pairs):
    text = next((EXAMPLES / "messages").glob(f"{number}_*.hl7")).read_text("utf-8")
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new)
    return text.encode()


@pytest.fixture(scope="module")
def point(hub):
    """A sampling point with one time that takes three; return the Slot's address."""
    service = hub.post(
        "HealthcareService", {"resourceType": "HealthcareService", "name": "核酸采样点"}
    )
    schedule = hub.post(
        "Schedule",
        {
            "resourceType": "Schedule",
            "actor": [{"reference": f"HealthcareService/{service['id']}"}],
        },
    )
    slot = hub.post(
        "Slot",
        {
            "resourceType": "Slot",
            "extension": [{"url": CAPACITY, "valueUnsignedInt": 3}],
            "schedule": {"reference": f"Schedule/{schedule['id']}"},
            "status": "free",
            "start": "2025-03-16T09:30:00+08:00",
            "end": "2025-03-16T10:00:00+08:00",
        },
    )
    found = hub.found(
        f"Slot?schedule.actor=HealthcareService/{service['id']}&start=ge2025-03-16&status=free"
    )
    assert [one["id"] for one in found] == [slot["id"]]
    return f"Slot/{slot['id']}"


def booking(slot, name, status="booked"):
    return {
        "resourceType": "Appointment",
        "status": status,
        "start": "2025-03-16T09:30:00+08:00",
        "end": "2025-03-16T10:00:00+08:00",
        "slot": [{"reference": slot}],
        "participant": [{"actor": {"display": name}, "status": "accepted"}],
    }


def places(hub, slot):
    (capacity,) = [
        one["valueUnsignedInt"] for one in hub.get(slot)["extension"] if one["url"] == CAPACITY
    ]
    return capacity


@pytest.fixture(scope="module")
def booked(hub, point):
    """Four book at once, each by a connection of his own; return their answers."""
    with ThreadPoolExecutor(4) as pool:
        return list(
            pool.map(
                lambda name: hub.client.post("Appointment/$book", json=booking(point, name)),
                "甲乙丙丁",
            )
        )


def test_s1_step_1_of_four_at_once_three_get_a_place(hub, point, booked):
    assert sorted(one.status_code for one in booked) == [201, 201, 201, 409]
    (refused,) = [one.json() for one in booked if one.status_code == 409]
    assert refused["resourceType"] == "OperationOutcome"
    assert places(hub, point) == 0


def test_s1_step_2_who_cancels_gives_his_place_back(hub, point, booked):
    made = next(one for one in booked if one.status_code == 201).json()["entry"][0]["resource"]

    hub.put(
        f"Appointment/{made['id']}", hub.get(f"Appointment/{made['id']}") | {"status": "cancelled"}
    )

    assert places(hub, point) == 1


def test_s1_step_2a_a_payment_is_noted(hub, booked):
    made = next(one for one in booked if one.status_code == 201).json()["entry"][0]["resource"]
    notice = hub.post(
        "PaymentNotice",
        {
            "resourceType": "PaymentNotice",
            "status": "active",
            "request": {"reference": f"Appointment/{made['id']}"},
            "created": "2025-03-15",
            "payment": {"display": "健康云"},
            "recipient": {"display": "采样点"},
            "amount": {"value": 16, "currency": "CNY"},
        },
    )

    assert hub.one(f"PaymentNotice?request=Appointment/{made['id']}")["id"] == notice["id"]


@pytest.fixture(scope="module")
def reported(hub):
    """The laboratory in Wujiang reports, in GB18030 (the wire twin of message 10)."""
    hub.clock.set("2025-03-16T15:30+08:00")
    (wire,) = (EXAMPLES / "messages" / "wire").glob("10_*.hl7")
    hub.tell(wire.read_bytes())
    return hub


def test_s1_step_3_the_patient_and_three_observations_are_there(reported):
    patient = reported.one(f"Patient?identifier={WANG}")

    assert patient["name"][0]["text"] == "王䶮"
    assert len(reported.found(f"Observation?patient={patient['id']}")) == 3


def test_s1_step_4_the_latest_result_is_not_detected(reported):
    latest = reported.one(LATEST)
    report = reported.one(f"DiagnosticReport?result=Observation/{latest['id']}")

    assert latest["valueCodeableConcept"]["coding"][0]["code"] == "260415000"
    assert latest["effectiveDateTime"] == "2025-03-16T09:35:00+08:00"
    assert report["issued"] == "2025-03-16T15:28:00+08:00"
    assert reported.found("Task?code=public-health-notification") == []


def test_s1_step_6_the_same_message_again_makes_nothing_twice(reported):
    reported.tell("10")  # the same in UTF-8: another message of the same content
    (wire,) = (EXAMPLES / "messages" / "wire").glob("10_*.hl7")
    reported.tell(wire.read_bytes())

    assert len(reported.found(f"Observation?patient.identifier={WANG}")) == 3
    assert len(reported.found(f"Patient?identifier={WANG}")) == 1


def test_s1_step_7_a_detected_result_is_public_healths_alone(reported):
    detected = (
        ("260415000^未检出^SCT^NEG^阴性^L", "260373001^检出^SCT^POS^阳性^L"),
        ("NAT250316-771", "NAT250317-772"),
        ("HS20250316-0099", "HS20250317-0100"),
        ("WJLIS20250316-4410", "WJLIS20250317-4411"),
        ("202503160935", "202503170935"),
    )
    reported.tell(message("10", *detected), message("10", *detected))

    latest = reported.one(LATEST)
    assert latest["valueCodeableConcept"]["coding"][0]["code"] == "260373001"
    task = reported.one("Task?code=public-health-notification")
    assert task["focus"]["reference"] == f"Observation/{latest['id']}"
    assert task["performerType"][0]["coding"][0]["code"] == "cdc"
    assert [one["code"] for one in task["meta"]["security"]] == ["R"]
    assert reported.found("Task?_security=R&code=public-health-notification&status=requested")


def test_s1_a_place_that_the_hospital_gives_back_by_siu_goes_to_who_waits(hub):
    hub.clock.set("2025-03-10T11:00+08:00")
    hub.tell("01", "04")
    slot = hub.one("Slot?identifier=SLOT-SHTH01-NFM-20250314AM-07")
    assert slot["status"] == "busy"
    waits = hub.post("Appointment", _waiting(hub, slot))
    hub.pass_time("2025-03-13T10:00+08:00")  # returned to the public, were it free
    assert hub.get(f"Appointment/{waits['id']}")["status"] == "waitlist"

    cancel = (
        ("SIU^S12", "SIU^S15"),
        ("SHTH01-S12-889001", "SHTH01-S15-889001"),
        ("20250310110012", "20250313100012"),
        ("Booked^已预约", "Cancelled^已取消"),
    )
    hub.tell(message("04", *cancel))

    got = hub.get(f"Appointment/{waits['id']}")
    assert (got["status"], got["start"]) == ("booked", "2025-03-14T09:30:00+08:00")
    assert hub.get(f"Slot/{slot['id']}")["status"] == "busy"
    told = hub.one("Communication?recipient=Patient/waiting")
    assert told["topic"]["coding"][0]["code"] == "place-found"


def _waiting(hub, slot):
    hub.put("Patient/waiting", {"resourceType": "Patient", "id": "waiting"}, 201)
    made = booking(f"Slot/{slot['id']}", "", "waitlist")
    made["participant"] = [{"actor": {"reference": "Patient/waiting"}, "status": "accepted"}]
    return made
