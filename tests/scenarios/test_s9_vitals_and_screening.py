"""DOMAIN 1.3, scenario S9: readings of devices, and what they bring the family doctor.

The resident of the story is contracted (01); the kiosk of the health station sends 09.
"""

from concurrent.futures import ThreadPoolExecutor

import mongo_server
import pytest
from scenario_parts import EXAMPLES, LOINC, SHEN, MllpClient

DOCTOR = "owner:Practitioner.name=戴慧"
ABNORMAL = f"Task?{DOCTOR}&code=screening&status=requested"
DEVICES, MESSAGES = 10, 5


def changed(*pairs):
    """Return message 09 with some of its texts replaced."""
    text = next((EXAMPLES / "messages").glob("09_*.hl7")).read_text("utf-8")
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return text.encode()


@pytest.fixture(scope="module")
def told(hub):
    hub.tell("01")
    hub.clock.set("2025-03-10T08:45+08:00")
    hub.tell("09")
    return hub


def test_s9_five_readings_of_one_device(told):
    readings = told.found(f"Observation?category=vital-signs&patient.identifier={SHEN}")
    devices = {one["device"]["reference"] for one in readings}

    assert len(readings) == 5
    assert len(devices) == 1
    assert "KIOSK-ZJJ-02" in str(told.get(devices.pop())["identifier"])


def test_s9_blood_pressure_is_split_and_found_by_its_components(told):
    (pressure,) = told.found(f"Observation?component-code-value-quantity={LOINC}|8480-6$ge140")
    values = {
        one["code"]["coding"][0]["code"]: one["valueQuantity"]["value"]
        for one in pressure["component"]
    }

    assert values == {"8480-6": 148, "8462-4": 92}
    assert told.found(f"Observation?component-code-value-quantity={LOINC}|8480-6$ge150") == []


def test_s9_the_family_doctor_has_one_task_with_both_findings(told):
    task = told.one(ABNORMAL)

    findings = {one["type"]["coding"][0]["code"] for one in task["input"]}
    assert findings == {"blood-pressure", "glucose"}
    assert task["for"]["reference"] == f"Patient/{told.one(f'Patient?identifier={SHEN}')['id']}"
    assert "血压达到或超过 140/90 mmHg" in task["description"]


def test_s9_the_same_again_brings_nothing_new(told):
    told.tell("09", changed(("IOT0310084500-17", "IOT0310084500-18")))

    assert len(told.found(f"Observation?patient.identifier={SHEN}&category=vital-signs")) == 5
    assert len(told.found("Task?code=screening")) == 1
    assert told.one(ABNORMAL)["meta"]["versionId"] == "1"


def test_s9_what_cannot_be_true_is_kept_and_alarms_nobody(told):
    other = ("310229195304129989", "320525198602039996"), ("沈桂芳", "王䶮")
    told.tell(changed(*other, ("148/92", "1480/92"), ("|11.6|", "|5.6|"), ("00-17", "00-19")))

    wrong = told.one("Observation?status=entered-in-error")
    assert wrong["component"][0]["valueQuantity"]["value"] == 1480
    assert wrong["meta"]["tag"][-1]["code"] == "implausible"
    assert "数值超出可信范围" in wrong["note"][0]["text"]
    patient = wrong["subject"]["reference"]
    assert told.found(f"Task?patient={patient}") == []
    assert told.found(f"Flag?patient={patient}") == []
    assert told.found(f"Communication?recipient={patient}") == []


def test_s9_a_reading_that_is_sent_again_as_it_was_meant_alarms(told):
    other = ("310229195304129989", "320525198602039996"), ("沈桂芳", "王䶮")
    told.tell(changed(*other, ("148/92", "148/92"), ("|11.6|", "|5.6|"), ("00-17", "00-20")))

    pressure = told.one(f"Observation?patient.identifier=320525198602039996&code={LOINC}|85354-9")
    assert pressure["status"] == "final"
    flag = told.one("Flag?patient.identifier=320525198602039996")  # who has no family doctor
    assert flag["code"]["coding"][0]["code"] == "blood-pressure"


def readings_of(number, minute):
    """Return a message of one device about its own resident: four times five readings."""
    header, person, *groups = changed(
        ("310229195304129989", resident_id(number)),
        ("沈桂芳", f"居民{number}"),
        ("KIOSK-ZJJ-02", f"KIOSK-{number}"),
        ("IOT0310084500-17", f"{number}-{minute}"),
        ("148/92", f"{110 + number}/{60 + minute}"),
        ("|11.6|", "|5.6|"),
    ).split(b"\n")
    body = b"\n".join(groups).rstrip()
    times = (f"2025031110{minute}{quarter}".encode() for quarter in range(4))
    return b"\n".join([header, person, *(body.replace(b"202503100844", one) for one in times)])


def resident_id(number):
    """Return a resident ID with a check digit that is right."""
    first = f"31022919530412{900 + number}"
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    remainder = sum(int(digit) * weight for digit, weight in zip(first, weights, strict=True)) % 11
    return first + "10X98765432"[remainder]


@pytest.mark.no_cover
@pytest.mark.skipif(mongo_server.IS_SLOW, reason="the stand-in of MongoDB writes 100 a second")
def test_s9_a_thousand_readings_in_a_minute_from_ten_devices_are_all_there_once(told):
    def device(number):
        client = MllpClient(told.addresses.mllp)
        acks = []
        for minute in range(MESSAGES):
            message = readings_of(number, minute).replace(b"\n", b"\r")
            acks.append(client.send(message))
            if minute == 3 and number < 2:
                acks.append(client.send(message))
                acks.append(client.send(message.replace(b"|P|2.3.1", b"x|P|2.3.1")))
        client.close()
        return acks

    with ThreadPoolExecutor(DEVICES) as pool:
        acks = [ack for found in pool.map(device, range(DEVICES)) for ack in found]

    assert all(b"MSA|AA|" in ack for ack in acks)
    assert told.get("Observation?date=2025-03-11&_summary=count")["total"] == 1000
    assert len(told.found(ABNORMAL)) == 1
