"""A referral from a community centre to a municipal hospital and back, and its timeline.

Run it beside a hub that has the demonstration's institutions (`make run`):

    .venv/bin/python examples/referral.py http://127.0.0.1:8000/fhir mllp://127.0.0.1:2575

The centre registers the resident and refers her (REF^I12); the hospital accepts (RRI^I12), books
(SIU^S12), changes the doctor (SIU^S14), sees her (ADT^A08) and reports (ORU^R01): all messages.
Then the hospital's FHIR client writes the outcome and refers her back down; the centre takes her.
"""

import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

MESSAGES = Path(__file__).parent / "messages"
STORY = ("01", "09", "13", "14", "04", "05", "02", "08")
BASE = "https://fhir-hub.example"

Resource = dict[str, Any]


def main(fhir: str, mllp: str) -> None:
    """Tell the story to a hub and print what it made of it."""
    files = [str(path) for number in STORY for path in MESSAGES.glob(f"{number}_*.hl7")]
    subprocess.run([sys.executable, "-m", "fhir_hub", "send", *files, "--to", mllp], check=True)
    up = first(fhir, "Task?identifier=ZZ20250310-0001")
    complete(fhir, up)
    down = refer_down(fhir, up)
    close(fhir, down)
    for title, task in (("up", up), ("down", down)):
        print(f"\n{title}-referral Task/{task['id']}")
        timeline(fhir, task["id"])


def complete(fhir: str, task: Resource) -> None:
    """Write the outcome, and complete the referral with it."""
    document = ask(
        fhir,
        "POST",
        "DocumentReference",
        {
            "resourceType": "DocumentReference",
            "status": "current",
            "type": {"coding": [{"system": "http://loinc.org", "code": "11488-4"}]},
            "subject": task["for"],
            "content": [{"attachment": {"contentType": "text/plain", "title": "转诊结果"}}],
            "context": {"related": [task["focus"]]},
        },
    )
    current = ask(fhir, "GET", f"Task/{task['id']}")
    output = {
        "type": {"text": "outcome"},
        "valueReference": {"reference": f"DocumentReference/{document['id']}"},
    }
    current |= {"status": "completed", "output": [*current.get("output", []), output]}
    ask(fhir, "PUT", f"Task/{task['id']}", current)


def refer_down(fhir: str, up: Resource) -> Resource:
    """Refer the resident back to her centre: a new order and a new Task, part of the first."""
    order = ask(fhir, "GET", up["focus"]["reference"])
    hospital = ask(fhir, "GET", f"Task/{up['id']}")["restriction"]["recipient"][0]
    kept = ("category", "priority", "subject", "reasonReference", "supportingInfo")
    direction = {
        "url": f"{BASE}/StructureDefinition/referral-direction",
        "valueCodeableConcept": {
            "coding": [{"system": f"{BASE}/CodeSystem/referral-direction", "code": "DOWN"}]
        },
    }
    wanted = {name: order[name] for name in kept if name in order} | {
        "resourceType": "ServiceRequest",
        "extension": [direction],
        "status": "draft",
        "intent": "order",
        "basedOn": [{"reference": f"ServiceRequest/{order['id']}"}],
        "requester": ask(fhir, "GET", f"Task/{up['id']}")["owner"],
        "performer": [up["requester"]],
        "occurrenceDateTime": "2025-03-28",
        "note": [{"text": "血糖平稳，转回社区随访：两周后复查空腹血糖"}],
    }
    made = ask(fhir, "POST", "ServiceRequest", wanted)
    return ask(
        fhir,
        "POST",
        "Task",
        {
            "resourceType": "Task",
            "meta": {"profile": [f"{BASE}/StructureDefinition/cn-referral-task"]},
            "identifier": [{"system": f"{BASE}/sid/SHTH01", "value": f"XZ-{made['id']}"}],
            "partOf": [{"reference": f"Task/{up['id']}"}],
            "status": "requested",
            "intent": "order",
            "code": {
                "coding": [
                    {"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "fulfill"}
                ]
            },
            "focus": {"reference": f"ServiceRequest/{made['id']}"},
            "for": up["for"],
            "requester": hospital,
            "owner": up["requester"],
        },
    )


def close(fhir: str, task: Resource) -> None:
    """Let the centre accept the resident and, after the follow-up, close the referral."""
    for status in ("accepted", "completed"):
        current = ask(fhir, "GET", f"Task/{task['id']}")
        plan = {"type": {"text": "follow-up"}, "valueString": "两周后复查空腹血糖：已完成"}
        output = {"output": [plan]} if status == "completed" else {}
        ask(fhir, "PUT", f"Task/{task['id']}", current | {"status": status} | output)


def timeline(fhir: str, task_id: str) -> None:
    """Print every version of the Task, and who did the step."""
    trail = ask(fhir, "GET", f"AuditEvent?entity=Task/{task_id}&_count=50").get("entry", [])
    steps = {
        row["resource"]["entity"][0]["what"]["reference"]: row["resource"]["subtype"][0]["code"]
        for row in trail
    }
    versions = ask(fhir, "GET", f"Task/{task_id}/_history?_count=50")["entry"]
    for entry in reversed(versions):
        task = entry["resource"]
        version = task["meta"]["versionId"]
        step = steps.get(f"Task/{task_id}/_history/{version}", "(content)")
        state = task["businessStatus"]
        code = state["coding"][0]["code"]
        print(f"{version}  {step:<12} {task['status']:<12} {code:<10} {state.get('text', '')}")


def first(fhir: str, query: str) -> Resource:
    """Return the one resource that a search finds."""
    resource: Resource = ask(fhir, "GET", query)["entry"][0]["resource"]
    return resource


def ask(fhir: str, method: str, path: str, body: Resource | None = None) -> Resource:
    """Return what the hub answers."""
    content = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/fhir+json"}
    request = urllib.request.Request(f"{fhir}/{path}", content, headers, method=method)
    with urllib.request.urlopen(request) as response:
        resource: Resource = json.load(response)
    return resource


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
