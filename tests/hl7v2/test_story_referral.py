"""Messages 13 to 15 of the story: referred, accepted, rejected.

The facts are those of `messages/expected.json`.
"""

import re
from itertools import product
from pathlib import Path

import pytest
from conversion_parts import (
    BASE,
    codes,
    converted,
    errors,
    every,
    identifiers,
    of_type,
    only,
    story,
    target,
    text_of,
)

from fhir_hub.hl7v2.maps.map_files import built_in_folder, read_files

BSER = "http://hl7.org/fhir/us/bser/CodeSystem/TaskBusinessStatusCS"


@pytest.fixture(scope="module")
def referred():
    return story("13")


def test_13_the_order(referred):
    order = only(referred, "ServiceRequest")
    assert identifiers(order) == {"ZZ20250310-0001": f"{BASE}/sid/ZJJCHC"}
    assert (order["status"], order["intent"], order["priority"]) == ("active", "order", "asap")
    assert "referral" in codes(order["category"][0])
    assert "SO" in codes(order["code"])
    assert target(referred, order["subject"]) is only(referred, "Patient")
    assert target(referred, order["requester"])["name"][0]["text"] == "戴慧"
    assert "D10023" in identifiers(target(referred, order["requester"]))
    assert "SHTH01" in identifiers(target(referred, order["performer"][0]))
    assert order["performerType"]["text"] == "内分泌科"
    assert order["authoredOn"] == "2025-03-10T09:40:00+08:00"
    assert order["occurrencePeriod"]["end"] == "2025-04-09T23:59:59+08:00"


def test_13_why_and_with_what_it_goes(referred):
    order = only(referred, "ServiceRequest")
    assert "POORCTL" in codes(order["reasonCode"][0])
    reasons = [target(referred, one) for one in order["reasonReference"]]
    assert [codes(one["code"]) for one in reasons] == [
        {
            "E11.900": f"{BASE}/CodeSystem/icd-10-cn",
            "E11.9": "http://hl7.org/fhir/sid/icd-10",
        },
        {
            "I10.x00x002": f"{BASE}/CodeSystem/icd-10-cn",
            "I10": "http://hl7.org/fhir/sid/icd-10",
        },
    ]
    assert target(referred, order["insurance"][0]) is only(referred, "Coverage")
    info = order["supportingInfo"]
    assert {target(referred, one)["resourceType"] for one in info if "reference" in one} == {
        "Observation",
        "AllergyIntolerance",
    }
    assert {one["identifier"]["value"] for one in info if "identifier" in one} == {
        "QY-310118-2025-000123",
        "CONSENT-20250310-001",
    }
    direction = next(e for e in order["extension"] if e["url"].endswith("/referral-direction"))
    assert "UP" in codes(direction["valueCodeableConcept"])


def test_13_an_unescaped_tilde_in_its_note_stays(referred):
    assert "8~10mmol/L" in only(referred, "ServiceRequest")["note"][0]["text"]


def test_13_the_task(referred):
    task = only(referred, "Task")
    assert task["status"] == "requested"
    assert codes(task["businessStatus"]) == {"2.0": BSER}
    assert codes(task["code"]) == {"fulfill": "http://hl7.org/fhir/CodeSystem/task-code"}
    assert target(referred, task["focus"]) is only(referred, "ServiceRequest")
    assert target(referred, task["for"]) is only(referred, "Patient")
    assert "ZJJCHC" in identifiers(target(referred, task["requester"]))
    assert "SHTH01" in identifiers(target(referred, task["owner"]))
    assert task["restriction"]["period"]["end"] == "2025-04-09T23:59:59+08:00"


BY_HUB = ("|CHIS|ZJJCHC|ZZPT|SHTH01|", "|FHIRHUB|QPRHP|FHIRHUB|QPRHP|")
ASKED = "NFM^^^SHTH01^^^^^市级医院（示例）内分泌科"


@pytest.mark.parametrize(
    ("changes", "asking", "asked"),
    [
        pytest.param([], "ZJJCHC", "SHTH01", id="as PRD says, not MSH"),
        pytest.param([(ASKED, "NFM^^^市级医院")], "ZJJCHC", "QPRHP", id="a name is no code"),
        pytest.param([(ASKED, "NFM^^^CITY HOSPITAL")], "ZJJCHC", "QPRHP", id="words are no code"),
        pytest.param([("PRD|RT^", "PRD|RP^")], "ZJJCHC", "QPRHP", id="nobody is asked by PRD"),
        pytest.param(
            [(f"{ASKED}|||03.04^SHTH01^L", f"{ASKED}|||03.04^SHTH01^L|||市院^L^SHTH02")],
            "ZJJCHC",
            "SHTH02",
            id="of the institution (XON) before of the place",
        ),
        pytest.param([("PRD|RP^", "PRD|PP^")], "QPRHP", "SHTH01", id="nobody asks by PRD"),
        pytest.param(
            [("PID|1|", "PRD|RT|眼科||YK^^^QPDCH\rPID|1|")],
            "ZJJCHC",
            "SHTH01",
            id="the first asked",
        ),
    ],
)
def test_13_who_asks_whom_stands_in_prd_though_a_hub_is_between(changes, asking, asked):
    text = text_of("13")
    for old, new in (BY_HUB, *changes):
        assert old in text
        text = text.replace(old, new)
    conversion = converted(text)
    task = only(conversion, "Task")

    assert asking in identifiers(target(conversion, task["requester"]))
    assert asked in identifiers(target(conversion, task["owner"]))
    assert errors(conversion) == []


def test_13_copies_of_results_and_visits_change_nothing_that_is_known(referred):
    for resource_type in ("Observation", "Coverage", "Encounter"):
        assert [one.mode for one in every(referred, resource_type)] == ["create"]


def test_14_accepted():
    conversion = story("14")
    (task,) = every(conversion, "Task")
    assert task.match == ((f"{BASE}/sid/ZJJCHC", "ZZ20250310-0001"),)
    resource = task.resource
    assert resource["status"] == "accepted"
    assert codes(resource["businessStatus"]) == {"3.0": BSER}
    assert "TZZ20250310-0456" in identifiers(resource)
    assert resource["lastModified"] == "2025-03-10T10:54:30+08:00"
    owner = target(conversion, resource["owner"])
    assert owner["name"][0]["text"] == "顾文清"
    assert identifiers(owner) == {"T20456": f"{BASE}/sid/SHTH01/practitioner"}
    assert resource["note"][0]["text"].startswith("已接收")
    assert resource["focus"]["identifier"]["value"] == "ZZ20250310-0001"
    assert of_type(conversion, "ServiceRequest") == []


def test_15_rejected_with_the_reason():
    conversion = story("15")
    task = only(conversion, "Task")
    assert task["status"] == "rejected"
    assert codes(task["businessStatus"]) == {"4.0": BSER}
    assert task["statusReason"]["text"] == "不符合转诊指征，建议社区随访4周"
    assert "SHTH01" in identifiers(target(conversion, task["owner"]))


def test_a_referral_without_a_disposition_is_for_what_its_type_says():
    text = text_of("13").replace("|SO^专科会诊^HL70282|", "||")
    conversion = converted(text)
    order = only(conversion, "ServiceRequest")
    assert "MED" in codes(order["code"])
    assert "orderDetail" not in order
    assert errors(conversion) == []


PAGE = (Path(__file__).parents[2] / "docs" / "referral.md").read_text("utf-8")
PARTS = PAGE.partition("## REF and RRI")[2].partition("\n## ")[0]


def elements(message):
    """Return the elements of a referral by the fields of which a message's map makes them."""
    files = read_files([built_in_folder()])
    found: dict[str, list[str]] = {}
    for entry in files.messages[message]["resource"]:
        kind = entry.get("type") or entry["to"]
        if entry.get("mode") == "table" or kind not in ("ServiceRequest", "Task"):
            continue
        made = files.segments.get(entry.get("map", ""), {})
        for row in (*made.get("field", ()), *entry.get("field", ())):
            sources = row.get("from", [])
            for source in [sources] if isinstance(sources, str) else sources:
                element = re.sub(r"\[\w+\]", "", f"{kind}.{row['to']}")
                if element not in (known := found.setdefault(source, [])):
                    known.append(element)
    return found


def test_the_page_has_what_each_field_becomes():
    messages = [elements("REF_I12"), elements("RRI_I12")]
    named = {one for message in messages for one in message if not one.startswith("CTD")}
    rows = re.findall(r"^\| ([A-Z0-9]+-[0-9.]+) \| (.*) \| (.*) \|$", PARTS, re.MULTILINE)

    assert {field for field, *_ in rows} == named
    for field, *said in rows:
        told = [re.findall("`(.+?)`", text) for text in said]
        assert told == [message.get(field, []) for message in messages], field


STATES = re.findall(
    r"^\| (REF|RRI) ([I0-9, ]+) \| (.*) \| `(.*)` \| `(.*)` \|$", PARTS, re.MULTILINE
)


@pytest.mark.parametrize(
    ("message", "events", "said", "status", "code"), STATES, ids=[" ".join(o[:3]) for o in STATES]
)
def test_the_page_has_what_each_answer_does(message, events, said, status, code):
    named = re.findall("`(.+?)`", said) + (["", "Q"] if "any" in said else [])
    for event, answer in product(events.split(", "), named):
        text = text_of({"REF": "13", "RRI": "14"}[message])
        text = text.replace(f"{message}^I12", f"{message}^{event}")
        task = only(converted(re.sub(r"RF1\|[^|]*", f"RF1|{answer}", text)), "Task")
        assert (task["status"], code in codes(task["businessStatus"])) == (status, True)


def test_the_page_has_each_kind_of_answer():
    assert {(one[0], event) for one in STATES for event in one[1].split(", ")} == {
        *product(["REF"], ["I12", "I13", "I14"]),
        *product(["RRI"], ["I12", "I13", "I14", "I15"]),
    }


@pytest.mark.parametrize(
    ("processed", "created"), [("20250311", "2025-03-11"), ("1", "2025-03-10")]
)
def test_what_the_payer_authorised_is_kept_though_nobody_can_read_when(processed, created):
    authorised = f"AUT|YB310||上海市医保局|20250310|20250409|AUTH-77^YB||||{processed}\rPRD|RP^"
    conversion = converted(text_of("13").replace("PRD|RP^", authorised, 1))

    assert only(conversion, "ClaimResponse")["created"][:10] == created
