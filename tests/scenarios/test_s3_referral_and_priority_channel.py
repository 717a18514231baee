"""DOMAIN 1.3, scenario S3: a referral up by the priority channel, and back down.

The centre speaks HL7v2, the hospital HL7v2 and FHIR. Who may do which step comes with sign-in:
until then every client may do every step.
"""

import itertools

import pytest
from endpoint_parts import Endpoint, subscription
from scenario_parts import LOINC, SHEN, scenario_hub

NUMBER = "ZZ20250310-0001"
PROFILE = "https://fhir-hub.example/StructureDefinition/cn-referral-task"
DIRECTION = "https://fhir-hub.example/StructureDefinition/referral-direction"
DIRECTIONS = "https://fhir-hub.example/CodeSystem/referral-direction"
SID = "https://fhir-hub.example/sid"


@pytest.fixture(scope="module")
def endpoint():
    """The centre's endpoint, which is out of order when the first notification comes."""
    made = Endpoint()
    made.answers += [503, 503]
    yield made
    made.close()


@pytest.fixture(scope="module")
def hub(endpoint):
    allowed = {"subscriptions_allow": [endpoint.address], "subscriptions_pause_s": 0.01}
    with scenario_hub(**allowed) as running:
        yield running


@pytest.fixture(scope="module")
def up(hub, endpoint):
    """Tell the story up to the visit and return the states of the referral as they were seen."""
    centre = hub.one(f"Organization?identifier={SID}/organization|ZJJCHC")["id"]
    criteria = f"Task?requester=Organization/{centre}"
    address = f"{endpoint.address}/referrals"
    hub.post("Subscription", subscription(criteria, address, payload="application/fhir+json"))
    hub.tell("01", "09", "13")
    submitted = told(hub)
    hospital = hub.one(f"Organization?identifier={SID}/organization|SHTH01")["id"]
    shown = hub.found(f"Task?owner=Organization/{hospital}&status=requested,received")
    delivered = told(hub)
    hub.tell("14", "04", "05", "02", "08")
    return {"hospital": hospital, "submitted": submitted, "shown": shown, "delivered": delivered}


def task_of(hub):
    return hub.one(f"Task?identifier={NUMBER}")


def told(hub):
    task = task_of(hub)
    return task["status"], task["businessStatus"]["coding"][0]["code"]


@pytest.fixture(scope="module")
def down(hub, up):
    """The hospital writes the outcome and refers back down; the centre takes it and closes it."""
    first = task_of(hub)
    outcome = hub.post(
        "DocumentReference",
        {
            "resourceType": "DocumentReference",
            "status": "current",
            "type": {"coding": [{"system": LOINC, "code": "11488-4"}]},
            "subject": first["for"],
            "content": [{"attachment": {"contentType": "text/plain", "title": "转诊结果"}}],
            "context": {"related": [first["focus"]]},
        },
    )
    output = {
        "type": {"text": "outcome"},
        "valueReference": {"reference": f"DocumentReference/{outcome['id']}"},
    }
    hub.put(
        f"Task/{first['id']}",
        first | {"status": "completed", "output": [*first["output"], output]},
        headers={"If-Match": f'W/"{first["meta"]["versionId"]}"'},
    )
    return refer_down(hub, first, up["hospital"])


def refer_down(hub, first, hospital):
    order = hub.get(first["focus"]["reference"])
    kept = ("category", "priority", "subject", "reasonReference", "supportingInfo")
    down_code = {"coding": [{"system": DIRECTIONS, "code": "DOWN"}]}
    made = hub.post(
        "ServiceRequest",
        {name: order[name] for name in kept if name in order}
        | {
            "resourceType": "ServiceRequest",
            "extension": [{"url": DIRECTION, "valueCodeableConcept": down_code}],
            "status": "draft",
            "intent": "order",
            "basedOn": [{"reference": f"ServiceRequest/{order['id']}"}],
            "requester": first["owner"],
            "performer": [first["requester"]],
            "occurrenceDateTime": "2025-03-28",
            "note": [{"text": "血糖平稳，转回社区：两周后复查空腹血糖"}],
        },
    )
    return hub.post(
        "Task",
        {
            "resourceType": "Task",
            "meta": {"profile": [PROFILE]},
            "identifier": [{"system": f"{SID}/SHTH01", "value": "XZ20250314-0001"}],
            "partOf": [{"reference": f"Task/{first['id']}"}],
            "status": "requested",
            "intent": "order",
            "code": first["code"],
            "focus": {"reference": f"ServiceRequest/{made['id']}"},
            "for": first["for"],
            "requester": {"reference": f"Organization/{hospital}"},
            "owner": first["requester"],
        },
    )


def test_s3_the_work_list_shows_the_referral_with_what_it_brings_and_so_delivers_it(hub, up):
    assert up["submitted"] == ("requested", "2.0")
    (shown,) = up["shown"]
    order = hub.get(shown["focus"]["reference"])
    kinds = {
        one["reference"].split("/")[0] for one in order["supportingInfo"] if "reference" in one
    }
    assert kinds == {"Observation", "AllergyIntolerance"}
    assert up["delivered"] == ("received", "2.0")


def test_s3_the_booking_is_of_the_community_pool_and_has_the_new_doctor(hub, up):
    booked = hub.one("Appointment?identifier=AP889001")
    assert (booked["status"], booked["start"]) == ("booked", "2025-03-14T09:30:00+08:00")
    doctor = hub.one("Practitioner?identifier=T20501")["id"]
    assert f"Practitioner/{doctor}" in str(booked["participant"])
    slot = hub.get(booked["slot"][0]["reference"])
    pools = [one for one in slot["extension"] if one["url"].endswith("/slot-pool")]
    assert pools[0]["valueCodeableConcept"]["coding"][0]["code"] == "COMMUNITY"


def test_s3_the_centre_sees_the_results_of_the_visit(hub, up):
    assert hub.one(f"Observation?patient.identifier={SHEN}&code={LOINC}|4548-4")
    visit = hub.one("Encounter?identifier=M20250314005521")
    assert visit["basedOn"] == [task_of(hub)["focus"]]


def test_s3_the_history_has_every_step_with_its_moment_and_who_did_it(hub, down):
    task = task_of(hub)
    versions = hub.history(f"Task/{task['id']}")
    states = [one["businessStatus"]["coding"][0]["code"] for one in versions]
    assert states == ["2.0", "2.0", "3.0", "5.1.1", "cn-arrived", "5.1.4", "7.0"]
    assert [one["status"] for one in versions[:2]] == ["requested", "received"]
    moments = [one["meta"]["lastUpdated"] for one in versions]
    assert moments == sorted(set(moments))
    trail = hub.found(f"AuditEvent?entity=Task/{task['id']}&_sort=date")
    steps = [one["subtype"][0]["code"] for one in trail]
    assert steps == ["submit", "deliver", "accept", "book", "arrive", "visit", "outcome"]
    of_version = {one["entity"][0]["what"]["reference"]: one for one in trail}
    for one in versions:
        entry = of_version[f"Task/{task['id']}/_history/{one['meta']['versionId']}"]
        assert entry["agent"][0]["who"]
        assert entry["recorded"][:19] == one["meta"]["lastUpdated"][:19]


def test_s3_the_requester_is_told_of_each_step(hub, down):
    task = task_of(hub)
    notices = hub.found("Communication?category=notification&_sort=sent")
    mine = [
        one for one in notices if one["about"][0]["reference"].startswith(f"Task/{task['id']}/")
    ]
    to_centre = [one for one in mine if task["requester"] in one["recipient"]]
    told_of = [one["topic"]["coding"][0]["code"] for one in to_centre]
    assert told_of == ["deliver", "accept", "book", "arrive", "visit", "outcome"]


def test_s3_the_requesters_endpoint_hears_of_each_step_though_it_failed_at_first(
    hub, down, endpoint
):
    versions = hub.history(f"Task/{task_of(hub)['id']}")

    came = [endpoint.next()]
    while came[-1].resource != versions[-1]:
        came.append(endpoint.next())

    told = [one.resource for one in came]
    assert told[:3] == [versions[0]] * 3  # two failed
    # a notification goes again where its answer was not seen
    assert [one for one, _ in itertools.groupby(told)] == versions
    assert {(one.method, one.path) for one in came} == {
        ("PUT", f"/referrals/Task/{versions[0]['id']}")
    }


def test_s3_the_order_is_completed_and_the_referral_comes_back_down_with_a_plan(hub, down):
    first = task_of(hub)
    assert hub.get(first["focus"]["reference"])["status"] == "completed"
    centre = first["requester"]["reference"]
    (shown,) = hub.found(f"Task?owner={centre}&status=requested,received")
    assert shown["id"] == down["id"]
    order = hub.get(shown["focus"]["reference"])
    assert "两周后复查" in order["note"][0]["text"]

    for state in ("accepted", "completed"):
        plan = {"type": {"text": "follow-up"}, "valueString": "两周后复查空腹血糖：已完成"}
        current = hub.get(f"Task/{down['id']}")
        hub.put(f"Task/{down['id']}", current | {"status": state, "output": [plan]})

    assert hub.get(f"Task/{down['id']}")["businessStatus"]["coding"][0]["code"] == "7.0"
    assert hub.get(shown["focus"]["reference"])["status"] == "completed"
