"""Messages 04 to 07 of the story: booked in the priority channel, changed, cancelled, missed.

The facts are those of `messages/expected.json`.
"""

import pytest
from conversion_parts import BASE, codes, every, identifiers, of_type, only, story, target


@pytest.fixture(scope="module")
def booked():
    return story("04")


@pytest.fixture(scope="module")
def changed():
    return story("05")


@pytest.fixture(scope="module")
def cancelled():
    return story("06")


@pytest.fixture(scope="module")
def missed():
    return story("07")


def actors(conversion, items):
    found = [target(conversion, one["actor"]) for one in items]
    return {one["resourceType"]: next(iter(identifiers(one))) for one in found}


def test_04_the_appointment_has_both_numbers_and_is_found_by_them(booked):
    (appointment,) = every(booked, "Appointment")
    numbers = {"YY-ZJJ-20250310-001", "AP889001"}
    assert set(identifiers(appointment.resource)) == numbers
    assert {value for _, value in appointment.match} == numbers


def test_04_what_is_booked_and_when(booked):
    appointment = only(booked, "Appointment")
    assert appointment["status"] == "booked"
    assert appointment["start"] == "2025-03-14T09:30:00+08:00"
    assert appointment["end"] == "2025-03-14T09:45:00+08:00"
    assert appointment["minutesDuration"] == 15
    assert appointment["serviceType"][0]["text"] == "内分泌专科门诊"
    assert "PRI" in codes(appointment["appointmentType"])
    assert appointment["comment"] == "请携带身份证或医保电子凭证，空腹，提前30分钟报到"


def test_04_it_is_based_on_the_referral_by_its_number(booked):
    (order,) = only(booked, "Appointment")["basedOn"]
    assert order == {
        "type": "ServiceRequest",
        "identifier": {"system": f"{BASE}/sid/ZJJCHC", "value": "ZZ20250310-0001"},
    }
    assert of_type(booked, "ServiceRequest") == []


def test_04_who_takes_part(booked):
    participants = only(booked, "Appointment")["participant"]
    assert actors(booked, participants) == {
        "Patient": "T0088123",
        "Practitioner": "T20456",
        "Location": "NFM05",
    }
    assert all(one["status"] == "accepted" for one in participants)
    doctor = next(one for one in of_type(booked, "Practitioner") if "T20456" in identifiers(one))
    assert doctor["name"][0]["text"] == "顾文清"


def test_04_its_slot_is_busy_and_of_the_community_pool(booked):
    slot = only(booked, "Slot")
    assert identifiers(slot) == {"SLOT-SHTH01-NFM-20250314AM-07": f"{BASE}/sid/slot"}
    assert slot["status"] == "busy"
    pool = next(one for one in slot["extension"] if one["url"].endswith("/slot-pool"))
    assert "COMMUNITY" in codes(pool["valueCodeableConcept"])
    assert target(booked, only(booked, "Appointment")["slot"][0]) is slot
    schedule = target(booked, slot["schedule"])
    assert {target(booked, one)["resourceType"] for one in schedule["actor"]} == {
        "Practitioner",
        "Location",
    }


def test_05_another_doctor_and_room_and_the_former_taken_out(changed):
    (appointment,) = every(changed, "Appointment")
    resource = appointment.resource
    assert actors(changed, resource["participant"]) == {
        "Patient": "T0088123",
        "Practitioner": "T20501",
        "Location": "NFM07",
    }
    assert actors(changed, appointment.removes["participant"]) == {
        "Practitioner": "T20456",
        "Location": "NFM05",
    }
    assert resource["status"] == "booked"
    assert resource["start"] == "2025-03-14T09:30:00+08:00"
    assert "comment" not in resource


def test_06_cancelled_with_its_reason(cancelled):
    appointment = only(cancelled, "Appointment")
    assert "AP889017" in identifiers(appointment)
    assert appointment["status"] == "cancelled"
    assert "PATREQ" in codes(appointment["cancelationReason"])
    assert appointment["serviceType"][0]["text"] == "心血管内科门诊"


def test_06_a_family_name_of_two_characters(cancelled):
    (name,) = only(cancelled, "Patient")["name"]
    assert (name["family"], name["given"]) == ("欧阳", ["志明"])


def test_07_a_missed_dialysis(missed):
    appointment = only(missed, "Appointment")
    assert "HD20250312-09" in identifiers(appointment)
    assert appointment["status"] == "noshow"
    assert "HD" in codes(appointment["serviceType"][0])
    assert "NOSHOW" in str(appointment["extension"])
    assert appointment["minutesDuration"] == 240
