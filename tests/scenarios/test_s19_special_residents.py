"""DOMAIN 1.3, scenario S19: residents whose care must not pause, and who coordinates it.

Step 6 (a coordinator sees name, phone, need and time, but no diagnosis or result) comes with
sign-in and roles: until then every client sees everything.
"""

import base64
from collections import Counter
from datetime import date, datetime, timedelta
from itertools import pairwise

import pytest
from scenario_parts import scenario_hub

BASE = "https://fhir-hub.example"
PROGRAMMES = f"{BASE}/CodeSystem/special-programme"
TASKS = f"{BASE}/CodeSystem/coordination-task"
SESSION = [{"coding": [{"system": "urn:services", "code": "HD"}]}]
CLOSED, TAKES = "QPDCH", ("SHTH01", "JSPH01")
BY_DAY = {0: (date(2025, 3, 29), (1, 3, 5), date(2025, 4, 8))}  # Saturday, then Tue Thu Sat, Tue
BY_DAY[1] = (date(2025, 3, 31), (2, 4), date(2025, 4, 7))  # Monday, then Wed Fri, Monday
CHRONIC = {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10", "code": "E11.9"}]}
LU = "310229194811059976"


def days_of(number):
    before, closed, after = BY_DAY[number % 2]
    return [before, *(date(2025, 4, day) for day in closed), after]


def put(resource):
    return {
        "resource": resource,
        "request": {"method": "PUT", "url": f"{resource['resourceType']}/{resource['id']}"},
    }


def transaction(hub, resources):
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": list(map(put, resources))}
    return hub.post("", bundle, 200)


def service(code, organization):
    made = {
        "resourceType": "HealthcareService",
        "id": f"hd-{code}",
        "active": True,
        "providedBy": {"reference": f"Organization/{organization}"},
    }
    schedule = {
        "resourceType": "Schedule",
        "id": f"hd-{code}",
        "actor": [{"reference": f"HealthcareService/hd-{code}"}],
    }
    return [made, schedule]


def slot(code, day, capacity):
    return {
        "resourceType": "Slot",
        "id": f"{code}-{day}",
        "extension": [
            {"url": f"{BASE}/StructureDefinition/slot-capacity", "valueUnsignedInt": capacity}
        ],
        "serviceType": SESSION,
        "schedule": {"reference": f"Schedule/hd-{code}"},
        "status": "free" if capacity else "busy",
        "start": f"{day}T07:30:00+08:00",
        "end": f"{day}T11:30:00+08:00",
    }


def patient(number):
    return {"resourceType": "Patient", "id": f"hd{number}", "name": [{"text": f"血透{number}"}]}


def episode(number, organization):
    return {
        "resourceType": "EpisodeOfCare",
        "id": f"hd{number}",
        "status": "active",
        "type": [{"coding": [{"system": PROGRAMMES, "code": "HD"}]}],
        "patient": {"reference": f"Patient/hd{number}"},
        "managingOrganization": {"reference": f"Organization/{organization}"},
    }


def session(number, day):
    return {
        "resourceType": "Appointment",
        "id": f"hd{number}-{day}",
        "status": "booked",
        "serviceType": SESSION,
        "slot": [{"reference": f"Slot/{CLOSED}-{day}"}],
        "start": f"{day}T07:30:00+08:00",
        "end": f"{day}T11:30:00+08:00",
        "participant": [
            {"actor": {"reference": f"Patient/hd{number}"}, "status": "accepted"},
            {"actor": {"reference": f"HealthcareService/hd-{CLOSED}"}, "status": "accepted"},
        ],
    }


@pytest.fixture(scope="module")
def hub():
    with scenario_hub() as running:
        yield running


@pytest.fixture(scope="module")
def centres(hub):
    query = f"Organization?identifier={BASE}/sid/organization|"
    return {code: hub.one(query + code)["id"] for code in (CLOSED, *TAKES, "ZJJCHC")}


@pytest.fixture(scope="module")
def registered(hub, centres):
    """40 residents of one dialysis centre, three sessions a week, by one Bundle."""
    hub.clock.set("2025-03-28T10:00+08:00")
    days = sorted({day for number in (0, 1) for day in days_of(number)})
    group = {
        "resourceType": "Group",
        "id": "dialysis",
        "type": "person",
        "actual": True,
        "code": {"coding": [{"system": PROGRAMMES, "code": "HD"}]},
        "managingEntity": {"reference": f"Organization/{centres[CLOSED]}"},
        "member": [{"entity": {"reference": f"Patient/hd{n}"}} for n in range(40)],
    }
    resources = [*service(CLOSED, centres[CLOSED]), *(slot(CLOSED, day, 20) for day in days)]
    for number in range(40):
        resources += [patient(number), episode(number, centres[CLOSED])]
        resources += [session(number, day) for day in days_of(number)]
    for code in TAKES:
        resources += service(code, centres[code])
        for day in range(1, 6):
            # on Thursday one of the two has two places less
            room = 8 if (code, day) == (TAKES[0], 3) else 10
            resources.append(slot(code, date(2025, 4, day), room))
    transaction(hub, [*resources, group])
    return hub


@pytest.fixture(scope="module")
def moved(registered, centres):
    """The centre is closed from the 1st to the 5th of April, and what became of its sessions."""
    hub = registered
    closed = hub.get(f"HealthcareService/hd-{CLOSED}")
    away = {"description": "停诊检修", "during": {"start": "2025-04-01", "end": "2025-04-05"}}
    hub.put(f"HealthcareService/hd-{CLOSED}", closed | {"notAvailable": [away]})
    query = f"from=Organization/{centres[CLOSED]}&start=2025-04-01&end=2025-04-05"
    query += "".join(f"&to=Organization/{centres[code]}" for code in TAKES)
    return hub.post(f"Appointment/$reassign?{query}", {"resourceType": "Parameters"}, 200)


def rows(answer, name):
    return [
        {part["name"]: next(v for k, v in part.items() if k != "name") for part in row["part"]}
        for row in answer["parameter"]
        if row["name"] == name
    ]


def test_s19_40_residents_are_registered_with_their_programme(registered):
    assert registered.get("EpisodeOfCare?type=HD&status=active&_summary=count")["total"] == 40
    assert len(registered.get("Group/dialysis")["member"]) == 40
    assert registered.get("Appointment?status=booked&_summary=count")["total"] == 180


def test_s19_sessions_move_to_two_other_centres_as_far_as_there_is_room(moved, registered):
    assert (len(rows(moved, "moved")), len(rows(moved, "unplaced"))) == (98, 2)
    taken = Counter(row["slot"]["reference"] for row in rows(moved, "moved"))
    assert {place.split("/")[1][:6] for place in taken} == set(TAKES)
    assert taken[f"Slot/{TAKES[0]}-2025-04-03"] == 8
    assert max(taken.values()) == 10
    for address, count in taken.items():
        left = registered.get(address)
        assert left["extension"][0]["valueUnsignedInt"] in (0, 10 - count)
    closed = registered.found(
        "Slot?schedule=Schedule/hd-QPDCH&start=ge2025-04-01&start=le2025-04-05"
    )
    assert {one["status"] for one in closed} == {"busy-unavailable"}


def test_s19_no_resident_waits_longer_than_72_hours_but_those_who_are_listed(moved, registered):
    listed = {row["patient"]["reference"] for row in rows(moved, "unplaced")}
    times = {}
    for one in registered.found("Appointment?status=booked"):
        who = one["participant"][0]["actor"]["reference"]
        times.setdefault(who, []).append(datetime.fromisoformat(one["start"]))
    assert len(times) == 40
    for who, starts in times.items():
        starts.sort()
        gaps = [later - earlier for earlier, later in pairwise(starts)]
        assert (max(gaps) > timedelta(hours=72)) == (who in listed), who


def test_s19_who_has_no_place_is_somebodys_task(moved, registered, centres):
    for row in rows(moved, "unplaced"):
        task = registered.get(row["task"]["reference"])
        assert task["code"]["coding"][0]["code"] == "unplaced-session"
        assert task["owner"]["reference"] == f"Organization/{centres[CLOSED]}"
        assert registered.get(row["appointment"]["reference"])["status"] == "proposed"
        assert row["reason"]


def test_s19_each_resident_has_a_pass_with_the_exact_times(moved, registered):
    passes = rows(moved, "pass")
    assert len({row["patient"]["reference"] for row in passes}) == 40
    document = registered.get(passes[0]["document"]["reference"])
    patient_id = passes[0]["patient"]["reference"].split("/")[1]
    booked = registered.found(f"Appointment?patient={patient_id}&status=booked&date=ge2025-04-01")
    expected = sorted(one["start"] for one in booked if one["start"] < "2025-04-06")
    text = base64.b64decode(document["content"][0]["attachment"]["data"]).decode()
    assert [line.split(" – ")[0] for line in text.splitlines()[1:]] == expected
    assert document["context"]["period"]["start"] == expected[0]
    assert registered.one(f"DocumentReference?patient={patient_id}&type={TASKS}|pass")


def test_s19_a_reassignment_says_what_it_needs(hub, centres):
    here = f"Organization/{centres[CLOSED]}"
    for query in ("", f"from={here}&start=2025-04-01&end=2025-04-05", f"from={here}&to={here}"):
        hub.post(f"Appointment/$reassign?{query}", {"resourceType": "Parameters"}, 400)


@pytest.fixture(scope="module")
def escalations():
    """A hub on which 陆建国 has dialysis and a contract, and did not come (07)."""
    with scenario_hub() as hub:
        hub.tell("01")
        signed = hub.one("CareTeam?status=active")
        lu = hub.post(
            "Patient",
            {
                "resourceType": "Patient",
                "identifier": [{"system": "urn:oid:2.16.156.10011.1.3", "value": LU}],
                "name": [{"text": "陆建国"}],
                "birthDate": "1948-11-05",
                "gender": "male",
            },
        )["id"]
        kept = {k: v for k, v in signed.items() if k not in ("id", "meta", "identifier")}
        hub.post("CareTeam", kept | {"subject": {"reference": f"Patient/{lu}"}})
        hub.tell("07")
        yield hub, lu


def test_s19_a_missed_session_is_a_task_of_the_contracted_centre(escalations):
    hub, lu = escalations
    task = hub.one(f"Task?patient=Patient/{lu}&code=missed-session")
    assert (task["status"], task["priority"]) == ("requested", "stat")
    centre = hub.one(f"Organization?identifier={BASE}/sid/organization|ZJJCHC")["id"]
    assert task["owner"]["reference"] == f"Organization/{centre}"
    missed = hub.get(task["focus"]["reference"])
    assert "HD20250312-09" in str(missed["identifier"])
    told = datetime.fromisoformat(task["authoredOn"])
    until = datetime.fromisoformat(task["restriction"]["period"]["end"])
    assert until - told == timedelta(minutes=30)


def test_s19_a_session_without_news_is_one_too_by_the_clock(escalations):
    hub, lu = escalations
    programme = episode(0, hub.found("Organization")[0]["id"])
    programme = programme | {"id": "lu", "patient": {"reference": f"Patient/{lu}"}}
    hub.put("EpisodeOfCare/lu", programme, 201)
    booked = {
        "resourceType": "Appointment",
        "status": "booked",
        "start": "2025-03-14T07:30:00+08:00",
        "end": "2025-03-14T11:30:00+08:00",
        "participant": [{"actor": {"reference": f"Patient/{lu}"}, "status": "accepted"}],
    }
    address = f"Appointment/{hub.post('Appointment', booked)['id']}"

    hub.pass_time("2025-03-14T07:55+08:00")
    assert hub.found(f"Task?focus={address}") == []
    hub.pass_time("2025-03-14T08:01+08:00")
    hub.pass_time("2025-03-14T08:02+08:00")

    assert hub.one(f"Task?focus={address}")["code"]["coding"][0]["code"] == "missed-session"


def drug(name, atc, kind, centre, **more):
    url = f"{BASE}/StructureDefinition/prescription-type"
    code = {"system": f"{BASE}/CodeSystem/prescription-kind", "code": kind}
    return {
        "resourceType": "MedicationRequest",
        "id": name,
        "extension": [{"url": url, "valueCodeableConcept": {"coding": [code]}}] if kind else [],
        "status": "active",
        "intent": "order",
        "subject": {"reference": "Patient/fetched"},
        "requester": {"reference": f"Organization/{centre}"},
        "medicationCodeableConcept": {
            "coding": [{"system": "http://www.whocc.no/atc", "code": atc}],
            "text": name,
        },
    } | more


def test_s19_the_nightly_list_is_by_hospital_and_says_what_is_screened_out(hub, centres):
    hub.clock.set("2025-04-02T20:00+08:00")
    one, two, home = centres[TAKES[0]], centres[TAKES[1]], centres["ZJJCHC"]
    records = [
        {"resourceType": "Patient", "id": "fetched"},
        {
            "resourceType": "Condition",
            "id": "fetched",
            "subject": {"reference": "Patient/fetched"},
            "code": CHRONIC,
        },
        drug("metformin", "A10BA02", "long", one),
        drug("atorvastatin", "C10AA05", "", two),
        drug("morphine", "N02AA01", "", two),
        drug("aspirin", "B01AC06", "", one, status="stopped"),
        drug("amlodipine", "C08CA01", "", one),
    ]
    for one_drug in records[2:]:
        if not one_drug["extension"]:
            del one_drug["extension"]
    wanted = [
        {
            "resourceType": "Task",
            "id": f"fetch-{name}",
            "status": "requested",
            "intent": "order",
            "code": {"coding": [{"system": TASKS, "code": "proxy-dispensing"}]},
            "focus": {"reference": f"MedicationRequest/{name}"},
            "for": {"reference": "Patient/fetched"},
            "authoredOn": "2025-04-02T18:00:00+08:00",
            "owner": {"reference": f"Organization/{home}"},
        }
        for name in ("metformin", "atorvastatin", "morphine", "aspirin", "amlodipine")
    ]
    wanted[4] |= {"status": "rejected", "statusReason": {"text": "剂量待核实"}}
    transaction(hub, [*records, *wanted])

    asked = f"Task/$dispensing-list?owner=Organization/{home}&date=2025-04-02"
    lists = [one["resource"] for one in hub.get(asked)["entry"]]

    shown = {
        one.get("source", {}).get("reference", "out"): {
            entry["item"]["display"]: (
                [code["code"] for code in entry["flag"]["coding"]],
                entry["flag"].get("text", ""),
            )
            for entry in one["entry"]
        }
        for one in lists
    }
    assert shown[f"Organization/{one}"] == {"metformin": (["long"], "")}
    assert shown[f"Organization/{two}"] == {"atorvastatin": (["normal"], "")}
    out = shown["out"]
    assert out["morphine"][0] == ["normal", "controlled"]
    assert "麻精药品不得代配" in out["morphine"][1]
    assert "stopped" in out["aspirin"][1]
    assert out["amlodipine"][1] == "剂量待核实"
    assert hub.get(asked.replace("04-02", "04-03")) == {
        "resourceType": "Bundle",
        "type": "collection",
    }
