"""Appointments of SIU messages: when they are, and what the event makes of them.

Spec: https://hl7.org/fhir/R4/appointment.html; HL7v2 chapter 10
"""

import pytest
from conversion_parts import (
    converted,
    errors,
    lines,
    only,
    segment,
)

MSH = "MSH|^~\\&|HIS|SHTH01|HUB|QPRHP|20250315101500||{}|C1|P|2.4"
PID = "PID|1||T1^^^SHTH01^PI||沈^桂芳||19530412|F"


# appointments


def appointment(sch, event="S12", *rest):
    text = lines(MSH.format(f"SIU^{event}^SIU_S12"), f"SCH|P1|F1{sch}", PID, *rest)
    conversion = converted(text)
    assert errors(conversion) == []
    return only(conversion, "Appointment"), conversion


def test_an_appointments_time_may_stand_with_its_service():
    found, _ = appointment("", "S12", "RGS|1", "AIS|1|A|X^Y|20250314093000|||20|min")
    assert found["start"] == "2025-03-14T09:30:00+08:00"
    assert found["end"] == "2025-03-14T09:50:00+08:00"


def test_an_appointments_end_may_follow_from_its_duration():
    found, _ = appointment("|||||||30|min|^^^20250314093000")
    assert found["end"] == "2025-03-14T10:00:00+08:00"
    found, _ = appointment("|||||||2|h|^^^20250314093000")
    assert found["end"] == "2025-03-14T11:30:00+08:00"
    found, _ = appointment("|||||||||^^M45^20250314093000")
    assert found["end"] == "2025-03-14T10:15:00+08:00"
    found, conversion = appointment("|||||||||^^X^20250314093000")
    assert found["end"] == found["start"]
    assert "no-end" in [one.code for one in conversion.report.issues()]


@pytest.mark.parametrize(
    ("amount", "unit", "minutes", "end"),
    [
        ("30^MIN", "", 30, "10:00"),
        ("1^h", "", 60, "10:30"),
        ("45^分钟", "", 45, "10:15"),
        ("2^h", "min", 2, "09:32"),
        ("30", "", None, "10:00"),
    ],
)
def test_the_unit_of_a_length_may_stand_behind_it(amount, unit, minutes, end):
    found, _ = appointment(f"|||||||{amount}|{unit}|^^^20250314093000")
    assert found.get("minutesDuration") == minutes
    service = f"AIS|1|A|X^Y|20250314093000|||{amount}|{unit}"
    again, _ = appointment("", "S12", "RGS|1", service)
    assert found["end"] == again["end"] == f"2025-03-14T{end}:00+08:00"


def test_an_appointment_without_a_time_is_proposed():
    found, conversion = appointment("")
    assert found["status"] == "proposed"
    assert "no-start" in [one.code for one in conversion.report.issues()]
    found, _ = appointment("", "S15")
    assert found["status"] == "cancelled"


@pytest.mark.parametrize(
    ("event", "status"),
    [("S12", "booked"), ("S15", "cancelled"), ("S17", "entered-in-error"), ("S26", "noshow")],
)
def test_an_appointments_status_is_what_the_event_does(event, status):
    found, _ = appointment("|||||||30|min|^^^20250314093000", event)
    assert found["status"] == status


@pytest.mark.parametrize("length", ["9" * 20, "9" * 400, "1e400"])
def test_a_length_beyond_the_calendar_is_no_end(length):
    found, conversion = appointment(f"|||||||{length}|min|^^^20250314093000")
    assert found["end"] == found["start"]
    assert "no-end" in [one.code for one in conversion.report.issues()]

    service = f"AIS|1|A|X^Y|20250314093000|||{length}|min"
    person = f"AIP|1|A|D1^X|||20250314093000|||{length}|min"
    found, _ = appointment("", "S12", "RGS|1", service, person)
    assert found["end"] == found["start"]
    assert [one["period"] for one in found["participant"] if "period" in one] == [
        {"start": "2025-03-14T09:30:00+08:00"}
    ]


@pytest.mark.parametrize(
    ("again", "end"),
    [("Q1W", "2025-03-14T10:00"), ("", "2025-04-25T10:00"), ("ONCE", "2025-04-25T10:00")],
)
def test_the_end_of_a_series_is_not_that_of_its_first_booking(again, end):
    found, _ = appointment(f"|||||||30|min|^{again}^^20250314093000^20250425100000")
    assert found["end"] == f"{end}:00+08:00"
    weekly = f"TQ1|1||{again}||||20250314093000|20250425100000"
    text = lines(MSH.format("SIU^S12^SIU_S12"), "SCH|P1|F1|||||||30|min", weekly, PID)
    assert only(converted(text), "Appointment")["end"] == f"{end}:00+08:00"


@pytest.mark.parametrize(
    ("event", "where", "begun", "status"),
    [
        ("S12", "O", "", "planned"),
        ("S13", "O", "", "planned"),
        ("S15", "O", "", "cancelled"),
        ("S26", "O", "", "cancelled"),
        ("S14", "O", "20250314093000", "in-progress"),
        ("S12", "I", "", "in-progress"),  # of who is in the house an examination is booked
        ("S15", "住院", "", "in-progress"),
    ],
)
def test_the_visit_that_a_booking_names_is_yet_to_come(event, where, begun, status):
    pv1 = segment("PV1", f2=where, f19="V1", f44=begun)
    _, conversion = appointment("|||||||30|min|^^^20250314093000", event, pv1)
    assert only(conversion, "Encounter")["status"] == status
