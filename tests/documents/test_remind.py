"""`$remind`: what was done already, elsewhere too, before it is ordered again.

The clock of these tests stands at 2024-02-29.

Spec: WS/T 790.18
"""

from dataclasses import replace

import httpx
import parts
import pytest
from documents.document_parts import BASE, CONFIDENTIALITY, LOINC, Record, coded, reference

SHEN = reference("Patient/shen")
HERE, THERE = f"{BASE}/CodeSystem/ZJJ/local", f"{BASE}/CodeSystem/SH/local"
ATC = "http://www.whocc.no/atc"


def order(code="4548-4", system=LOINC, **more):
    told = {"status": "draft", "intent": "order", "subject": SHEN, "code": coded(code, system)}
    return {"resourceType": "ServiceRequest", **told, **more}


def drug(code="A10BA02", **more):
    told = {"status": "draft", "intent": "order", "subject": SHEN}
    concept = {"medicationCodeableConcept": coded(code, ATC, "二甲双胍")}
    return {"resourceType": "MedicationRequest", **told, **concept, **more}


async def reminders(client, body, address="ServiceRequest/$remind", status=200):
    """Return the parts of each reminder, by name (of two `text`: the English one)."""
    answer = await client.post(address, json=body)
    assert answer.status_code == status, answer.text
    if status != 200:
        return answer.json()["issue"]
    parts.checks().require(parts.fhirjson.loads(answer.content))
    rows = answer.json()["parameter"]
    found = [one["part"] for one in rows if one["name"] == "reminder"]
    assert rows[0] == {"name": "result", "valueBoolean": bool(found)}
    return [{one["name"]: one for one in reversed(row)} for row in found]


async def texts(client, body, address="ServiceRequest/$remind"):
    return [one["text"]["valueString"] for one in await reminders(client, body, address)]


async def test_a_test_done_elsewhere_within_its_window_is_told_with_when_where_and_why(record):
    await record.observation("a1c")

    (told,) = await reminders(record.client, order())

    assert told["text"]["valueString"] == "already done 2024-02-20 at SH: 糖化血红蛋白; 8.6 %"
    assert told["done"]["valueDateTime"] == "2024-02-20T08:00:00+08:00"
    assert told["institution"]["valueReference"] == {
        "reference": "Organization/sh",
        "display": "市级医院 SH",
    }
    assert told["of"]["valueReference"] == reference("Observation/a1c")
    assert told["rule"]["valueString"] == f"{LOINC}|4548-4"
    assert told["window"]["valueDuration"]["value"] == 84
    assert told["until"]["valueDate"] == "2024-05-14"
    issue = told["issue"]["resource"]
    parts.checks().require(issue)
    assert issue["code"]["coding"][0]["code"] == "duplicate-test"
    assert issue["implicated"] == [reference("Observation/a1c")]
    assert "2024-02-20 已在市级医院 SH做过" in issue["detail"]


@pytest.mark.parametrize(
    ("authored", "count"),
    [
        ("2024-02-19", 0),  # before it was done
        ("2024-02-20", 1),
        ("2024-05-14", 1),
        ("2024-05-15T09:00:00+08:00", 0),  # 84 days are over
    ],
)
async def test_the_window_ends(record, authored, count):
    await record.observation("a1c")

    assert len(await reminders(record.client, order(authoredOn=authored))) == count


async def test_what_has_no_window_of_its_own_has_that_of_its_kind(record):
    await record.observation("other", code=coded("X1", HERE), effectiveDateTime="2024-02-10")
    scan = coded("imaging", "urn:any")

    (test,) = await reminders(record.client, order("X1", HERE, authoredOn="2024-02-20"))
    (exam,) = await reminders(
        record.client, order("X1", HERE, authoredOn="2024-03-09", category=[scan])
    )

    assert (test["rule"]["valueString"], test["window"]["valueDuration"]["value"]) == ("test", 14)
    assert (exam["rule"]["valueString"], exam["window"]["valueDuration"]["value"]) == ("exam", 30)
    assert exam["issue"]["resource"]["code"]["coding"][0]["code"] == "duplicate-exam"


async def test_a_site_sets_its_own_windows(store, clock, record):
    own = {f"{LOINC}|4548-4": 5, "test": 400}
    service = parts.service(parts.repository(store, clock, parts.ids()))
    app = parts.fhir_app(replace(service, reminders=own), [])
    transport = httpx.ASGITransport(app=app)
    await record.observation("a1c")
    await record.observation("k", code=coded("X1", HERE), effectiveDateTime="2023-03-01")
    async with httpx.AsyncClient(transport=transport, base_url="http://hub.test/fhir/") as client:
        assert await reminders(client, order()) == []
        (told,) = await reminders(client, order("X1", HERE))

    assert told["window"]["valueDuration"]["value"] == 400


async def test_codes_of_two_institutions_are_equal_by_their_concept_maps(record):
    def group(source, code):
        target = {"code": "4548-4", "equivalence": "equivalent"}
        return {"source": source, "target": LOINC, "element": [{"code": code, "target": [target]}]}

    maps = [group(HERE, "XHDB"), group(THERE, "HbA1c")]
    await record.observation("theirs", code=coded("HbA1c", THERE, "糖化"))
    assert await reminders(record.client, order("XHDB", HERE)) == []

    await record.put("ConceptMap", "labs", status="active", group=maps)

    (told,) = await reminders(record.client, order("XHDB", HERE))
    assert told["of"]["valueReference"] == reference("Observation/theirs")
    assert told["rule"]["valueString"] == f"{LOINC}|4548-4"


async def test_a_report_with_its_results_is_told_once_and_an_open_order_as_ordered(record):
    await record.observation("a1c")
    await record.put(
        "DiagnosticReport",
        "r",
        status="final",
        code=coded("4548-4"),
        subject=SHEN,
        effectiveDateTime="2024-02-20T08:00:00+08:00",
        performer=[reference("Organization/sh")],
        result=[reference("Observation/a1c")],
    )
    for logical_id, authored in (("open", "2024-02-28T01:00:00Z"), ("forgotten", "2021-01-01")):
        kept = order("4548-4", status="active", authoredOn=authored)
        elements = {name: value for name, value in kept.items() if name != "resourceType"}
        await record.put("ServiceRequest", logical_id, **elements)

    first, second = await reminders(record.client, order())

    assert first["text"]["valueString"].startswith("already ordered 2024-02-28")
    assert first["issue"]["resource"]["severity"] == "low"
    assert second["of"]["valueReference"] == reference("DiagnosticReport/r")


async def test_a_critical_result_says_that_a_repeat_may_be_needed(record):
    system = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
    await record.observation("k", code=coded("2823-3"), interpretation=[coded("HH", system)])

    (told,) = await reminders(record.client, order("2823-3", authoredOn="2024-02-21"))

    assert told["text"]["valueString"].endswith("it was critical, a repeat may be needed")
    assert told["issue"]["resource"]["severity"] == "low"


async def test_what_is_wrong_restricted_undated_or_for_this_very_order_reminds_of_nothing(record):
    closed = {"security": [{"system": CONFIDENTIALITY, "code": "R"}]}
    await record.put("Patient", "other", name=[{"text": "别人"}])
    await record.observation("wrong", status="entered-in-error")
    await record.observation("closed", meta=closed)
    await record.observation("theirs", subject=reference("Patient/other"))
    kept = order(status="active", authoredOn="2024-02-28")
    elements = {name: value for name, value in kept.items() if name != "resourceType"}
    await record.put("ServiceRequest", "own", **elements)
    await record.observation("done", basedOn=[reference("ServiceRequest/own")])

    answer = await record.client.get("ServiceRequest/own/$remind")

    assert answer.json()["parameter"][0]["valueBoolean"] is False


async def test_a_drug_whose_supply_still_lasts_is_told_whoever_prescribed_it(record):
    days = {"value": 56, "unit": "d", "system": "http://unitsofmeasure.org", "code": "d"}
    await record.put("Medication", "met", code=coded("A10BA02", ATC, "盐酸二甲双胍片"))
    told = {"status": "active", "intent": "order", "subject": SHEN, "authoredOn": "2024-02-01"}
    address = await record.put(
        "MedicationRequest",
        "rx",
        **told,
        medicationReference=reference("Medication/met"),
        requester=reference("Organization/zjj"),
        dispenseRequest={"expectedSupplyDuration": days},
    )
    remind = "MedicationRequest/$remind"

    (found,) = await reminders(record.client, drug(), remind)
    near_the_end = await reminders(record.client, drug(authoredOn="2024-03-25"), remind)
    another = await reminders(record.client, drug("C10AA05"), remind)

    assert found["text"]["valueString"].startswith("already prescribed 2024-02-01 at ZJJ")
    assert found["until"]["valueDate"] == "2024-03-28"
    assert found["of"]["valueReference"] == reference(address)
    issue = found["issue"]["resource"]
    codes = {one["code"] for one in issue["code"]["coding"]}
    assert codes == {"duplicate-drug", "DUPTHPY"}
    assert near_the_end == []
    assert another == []


async def test_several_orders_of_a_patient_and_one_by_its_merged_record(record):
    survivor = {"other": SHEN, "type": "replaced-by"}
    await record.put("Patient", "twice", active=False, link=[survivor])
    await record.observation("a1c")
    bare = {name: value for name, value in order().items() if name != "subject"}
    many = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "order", "resource": bare},
            {"name": "order", "resource": order("2823-3")},
        ],
    }

    by_patient = await reminders(record.client, many, "Patient/shen/$remind")
    by_merged = await reminders(record.client, bare, "Patient/twice/$remind")

    assert len(by_patient) == len(by_merged) == 1


@pytest.mark.parametrize(
    ("address", "body", "status"),
    [
        ("Patient/shen/$remind", {"resourceType": "Parameters"}, 400),
        ("Patient/shen/$remind", {"resourceType": "Patient"}, 400),
        ("Patient/nobody/$remind", order(subject=reference("Patient/nobody")), 404),
        ("Patient/other/$remind", order(), 400),
        ("ServiceRequest/$remind", order(status="nonsense"), 400),
        ("ServiceRequest/$remind", order(subject=reference("Group/g")), 400),
        ("ServiceRequest/nobody/$remind", None, 404),
        ("Observation/$remind", order(), 404),
    ],
)
async def test_remind_refuses(record, address, body, status):
    await record.put("Patient", "other", name=[{"text": "别人"}])
    answer = await record.client.post(address, json=body)

    assert answer.status_code == status, answer.text
    assert answer.json()["resourceType"] == "OperationOutcome"


async def test_nothing_to_remind_of_says_so(record: Record):
    answer = await record.client.post("ServiceRequest/$remind", json=order())

    rows = {one["name"]: one for one in answer.json()["parameter"]}
    assert rows["result"]["valueBoolean"] is False
    assert "期限内没有重复项目" in rows["message"]["valueString"]
