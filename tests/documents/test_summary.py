"""`Patient/[id]/$summary`: the International Patient Summary of what two institutions told.

The clock of these tests stands at 2024-02-29.

Spec: https://hl7.org/fhir/uv/ips/
"""

import httpx
import pytest
from documents.document_parts import (
    ACT,
    BASE,
    CONFIDENTIALITY,
    UNKNOWN,
    coded,
    entries,
    reference,
    require_document,
    resources,
    section,
    words,
)

RESULTS, PROBLEMS, ALLERGIES, MEDICINES = "30954-2", "11450-4", "48765-2", "10160-0"
SUMMARY = "Patient/shen/$summary"


async def test_a_summary_of_nothing_says_that_nothing_is_known(record):
    document = await record.ask(SUMMARY)

    require_document(document)
    composition = document["entry"][0]["resource"]
    assert composition["type"]["coding"][0]["code"] == "60591-5"
    assert composition["subject"]["reference"] == "http://hub.test/fhir/Patient/shen"
    stated = {
        one["resourceType"]: (one.get("code") or one.get("medicationCodeableConcept"))["coding"][0]
        for name in ("MedicationStatement", "AllergyIntolerance", "Condition")
        for one in resources(document, name).values()
    }
    assert stated == {
        "MedicationStatement": {"system": UNKNOWN, "code": "no-medication-info"},
        "AllergyIntolerance": {"system": UNKNOWN, "code": "no-allergy-info"},
        "Condition": {"system": UNKNOWN, "code": "no-problem-info"},
    }
    assert [one["code"]["coding"][0]["code"] for one in composition["section"]] == [
        MEDICINES,
        ALLERGIES,
        PROBLEMS,
    ]
    assert "没有过敏信息 / No information about allergies" in words(document, ALLERGIES)


async def test_each_section_holds_what_belongs_to_it(record):
    shen = reference("Patient/shen")
    vital = coded("vital-signs", "http://terminology.hl7.org/CodeSystem/observation-category")
    social = coded("social-history", "http://terminology.hl7.org/CodeSystem/observation-category")
    await record.observation("a1c")
    await record.observation("pulse", code=coded("8867-4"), category=[vital])
    await record.observation("smoker", code=coded("72166-2"), category=[social])
    await record.observation("pregnant", code=coded("82810-3"))
    await record.observation("wrong", code=coded("2823-3"), status="entered-in-error")
    await record.condition("diabetes")
    resolved = coded("resolved", "http://terminology.hl7.org/CodeSystem/condition-clinical")
    await record.condition("pneumonia", "J18.9", clinicalStatus=resolved)
    drug = {"status": "active", "intent": "order", "subject": shen}
    atc = "http://www.whocc.no/atc"
    await record.put("Medication", "met", code=coded("A10BA02", atc, "二甲双胍"))
    await record.put(
        "MedicationRequest", "rx", **drug, medicationReference=reference("Medication/met")
    )
    days = {"value": 28, "system": "http://unitsofmeasure.org", "code": "d"}
    old = {"authoredOn": "2022-01-01", "dispenseRequest": {"expectedSupplyDuration": days}}
    await record.put(
        "MedicationRequest", "old", **drug, **old, medicationCodeableConcept={"text": "旧药"}
    )
    shot = {"status": "completed", "vaccineCode": {"text": "流感疫苗"}, "patient": shen}
    await record.put("Immunization", "flu", **shot, occurrenceDateTime="2023-10-01")
    await record.put("Procedure", "pci", status="completed", subject=shen, code={"text": "支架"})
    await record.put(
        "Device", "pacemaker", deviceName=[{"name": "P", "type": "user-friendly-name"}]
    )
    used = {"status": "active", "subject": shen, "device": reference("Device/pacemaker")}
    await record.put("DeviceUseStatement", "worn", **used)
    await record.put("Flag", "fall", status="active", code={"text": "跌倒风险"}, subject=shen)
    plan = {"status": "active", "intent": "plan", "subject": shen, "title": "随访"}
    await record.put("CarePlan", "plan", **plan)
    await record.put("CareTeam", "team", status="active", subject=shen, period={"end": "2024-12"})
    await record.put(
        "CareTeam", "over", status="active", subject=shen, period={"end": "2023-12-31"}
    )

    document = await record.ask(SUMMARY)

    require_document(document)
    found = {
        one["code"]["coding"][0]["code"]: entries(document, one["code"]["coding"][0]["code"])
        for one in document["entry"][0]["resource"]["section"]
    }
    assert found.pop(ALLERGIES)[0].startswith("urn:uuid:")
    assert found == {
        MEDICINES: ["MedicationRequest/rx"],
        PROBLEMS: ["Condition/diabetes"],
        "11369-6": ["Immunization/flu"],
        RESULTS: ["Observation/a1c"],
        "47519-4": ["Procedure/pci"],
        "46264-8": ["DeviceUseStatement/worn"],
        "8716-3": ["Observation/pulse"],
        "11348-0": ["Condition/pneumonia"],
        "29762-2": ["Observation/smoker"],
        "10162-6": ["Observation/pregnant"],
        "18776-5": ["CarePlan/plan"],
        "104605-1": ["Flag/fall"],
        "85847-2": ["CareTeam/team"],
    }
    assert {"met"} == set(resources(document, "Medication"))
    assert "二甲双胍" in words(document, MEDICINES)


async def test_each_entry_tells_its_institution_by_who_performed_or_told_it(record):
    await record.observation("a1c")
    await record.told(await record.condition("diabetes"), "zjj", "p1")

    document = await record.ask(SUMMARY)

    require_document(document)
    assert "市级医院 SH" in words(document, RESULTS)
    assert "8.6 %" in words(document, RESULTS)
    assert section(document, PROBLEMS)["entry"][0]["display"] == "2型糖尿病 · 朱家角 ZJJ"
    (provenance,) = resources(document, "Provenance").values()
    assert provenance["target"] == [reference("Condition/diabetes")]
    assert set(resources(document, "Organization")) == {"sh", "zjj"}


async def test_the_same_fact_of_two_institutions_is_told_once_and_names_both(record):
    both = {
        "coding": [
            {"system": f"{BASE}/CodeSystem/icd-10-cn", "code": "E11.900"},
            {"system": "http://hl7.org/fhir/sid/icd-10", "code": "E11.9"},
        ]
    }
    await record.told(await record.condition("here"), "zjj", "p1")
    await record.told(await record.condition("there"), "sh", "p2")
    await record.condition("both", code=both)
    await record.observation("first")
    await record.observation("copy", effectiveDateTime="2024-02-20T00:00:00Z")
    await record.observation("later", effectiveDateTime="2024-02-21T00:00:00Z")
    await record.observation("other", valueQuantity={"value": 8.7, "unit": "%"})

    document = await record.ask(SUMMARY)

    require_document(document)
    assert len(entries(document, PROBLEMS)) == 1
    assert "朱家角 ZJJ" in words(document, PROBLEMS)
    assert "市级医院 SH" in words(document, PROBLEMS)
    assert len(entries(document, RESULTS)) == 3


def _shen():
    return reference("Patient/shen")


async def test_codes_that_contradict_each_other_are_two_facts(record):
    for number in ("I10.x00x002", "I10.x00x003"):
        both = {
            "coding": [
                {"system": f"{BASE}/CodeSystem/icd-10-cn", "code": number},
                {"system": "http://hl7.org/fhir/sid/icd-10", "code": "I10"},
            ]
        }
        await record.condition(number.replace(".", "-"), code=both)

    assert len(entries(await record.ask(SUMMARY), PROBLEMS)) == 2


async def test_of_each_kind_of_result_the_newest_three_of_24_months_stand_there(record):
    for month in range(1, 6):
        await record.observation(f"m{month}", effectiveDateTime=f"2023-0{month}-10")
    await record.observation("old", code=coded("2823-3"), effectiveDateTime="2021-01-01")

    document = await record.ask(SUMMARY)

    assert entries(document, RESULTS) == [f"Observation/m{month}" for month in (5, 4, 3)]


async def test_what_is_restricted_is_left_out_and_leaves_no_trace(record):
    closed = {"security": [{"system": CONFIDENTIALITY, "code": "R"}]}
    await record.condition("psychosis", "F20.9", meta=closed)
    labelled = {"security": [{"system": ACT, "code": "HIV"}]}
    hidden = await record.observation("hiv", code=coded("75622-1"), meta=labelled)
    shown = await record.observation("a1c", derivedFrom=[reference("Observation/hiv")])
    await record.put(
        "DiagnosticReport",
        "panel",
        status="final",
        code=coded("24323-8"),
        subject=_shen(),
        effectiveDateTime="2024-02-20",
        result=[reference(hidden), reference(shown)],
    )

    document = await record.ask(SUMMARY)

    require_document(document)
    text = str(document)
    assert "F20.9" not in text
    assert "75622-1" not in text
    assert "Observation/hiv" not in text
    assert resources(document, "DiagnosticReport")["panel"]["result"] == [reference(shown)]
    assert "derivedFrom" not in resources(document, "Observation")["a1c"]


async def test_a_merged_patients_record_is_her_survivors(record):
    survivor = {"other": reference("Patient/shen"), "type": "replaced-by"}
    await record.put("Patient", "twice", active=False, link=[survivor])
    await record.observation("hers", subject=reference("Patient/twice"))

    by_survivor = await record.ask(SUMMARY)
    by_merged = await record.ask("Patient/twice/$summary")

    for document in (by_survivor, by_merged):
        require_document(document)
        assert entries(document, RESULTS) == ["Observation/hers"]
        assert set(resources(document, "Patient")) == {"shen"}
        assert resources(document, "Observation")["hers"]["subject"] == _shen()


async def test_a_summary_by_identifier(record):
    number = {"system": "urn:oid:2.16.156.10011.1.3", "value": "310229195304129989"}
    await record.put("Patient", "shen", identifier=[number])
    ask = {"params": {"identifier": f"{number['system']}|{number['value']}"}}
    body = {
        "resourceType": "Parameters",
        "parameter": [{"name": "identifier", "valueString": ask["params"]["identifier"]}],
    }

    document = await record.ask("Patient/$summary", **ask)
    posted = await record.client.post("Patient/$summary", json=body)

    assert set(resources(document, "Patient")) == {"shen"}
    assert set(resources(posted.json(), "Patient")) == {"shen"}
    await record.ask("Patient/$summary?identifier=nobody", 404)
    await record.put("Patient", "twin", identifier=[number])
    await record.ask("Patient/$summary", 412, **ask)


async def test_moments_at_the_ends_of_time_and_endless_supplies_are_no_fault(record):
    told = {"status": "active", "intent": "order", "subject": _shen(), "authoredOn": "0001-01-01"}
    drug = {"medicationCodeableConcept": {"text": "药"}}
    never = {"timing": {"repeat": {"boundsPeriod": {"start": "2020", "end": "9999-12-31"}}}}
    days = {"value": 1000000000, "system": "http://unitsofmeasure.org", "code": "d"}
    await record.put("MedicationRequest", "r1", **told, **drug, dosageInstruction=[never])
    endless = {"dispenseRequest": {"expectedSupplyDuration": days}}
    await record.put("MedicationRequest", "r2", **told, **drug, **endless)
    await record.observation("last", effectiveDateTime="9999-12-31T23:59:59-12:00")
    order = {"status": "active", "intent": "order", "subject": _shen(), "code": coded("4548-4")}
    await record.put("ServiceRequest", "o", **order, authoredOn="9999-12-31T23:59:59-12:00")

    document = await record.ask(SUMMARY)

    require_document(document)
    assert len(entries(document, MEDICINES)) == 2
    for address in ("ServiceRequest/o", "MedicationRequest/r1", "MedicationRequest/r2"):
        await record.ask(f"{address}/$remind")


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("Patient/nobody/$summary", 404),
        ("Patient/$summary", 400),
        ("Observation/x/$summary", 404),
        ("Patient/shen/$summary?graph=x", 400),
        ("Patient/shen/$summary?identifier=x", 400),
        ("Patient/shen/$summary?profile=http://elsewhere.example/Bundle", 400),
        (
            "Patient/shen/$summary?profile=http://hl7.org/fhir/uv/ips/StructureDefinition/Bundle-uv-ips",
            200,
        ),
    ],
)
async def test_a_summary_refuses(record, address, status):
    await record.ask(address, status)


async def test_any_text_of_a_record_is_safe_in_the_narrative(record):
    nasty = "<script>alert('&')</script>😀 ]]> \r\n x"
    await record.condition("nasty", code={"text": nasty})
    await record.observation("text", code={"text": 'a<b&"c"'})

    document = await record.ask(SUMMARY)

    require_document(document)
    assert "<script>" not in section(document, PROBLEMS)["text"]["div"]
    assert "<script>alert('&')</script>" in words(document, PROBLEMS)
    assert 'a<b&"c"' in words(document, RESULTS)


async def test_the_capability_statement_lists_the_operations_on_documents(client):
    rest = (await client.get("metadata")).json()["rest"][0]
    listed = {
        (one["type"], operation["name"]): operation["definition"]
        for one in rest["resource"]
        for operation in one.get("operation", ())
    }

    assert listed["Patient", "summary"] == "http://hl7.org/fhir/uv/ips/OperationDefinition/summary"
    assert ("ServiceRequest", "package") in listed
    for resource_type in ("Patient", "ServiceRequest", "MedicationRequest"):
        assert (resource_type, "remind") in listed


async def test_a_summary_reads_as_xml_too(client: httpx.AsyncClient, record):
    answer = await client.get(SUMMARY, headers={"Accept": "application/fhir+xml"})

    assert answer.status_code == 200
    assert answer.text.endswith("</Bundle>")
