"""What is known of a resident over all institutions, and whether a test was done already.

Run it beside a hub that took the story (`make run`, then the messages of `examples/messages`):

    python examples/record.py http://127.0.0.1:8000/fhir 310229195304129989 4548-4 2025-03-24

It asks for her summary by her resident ID, prints each section with the institutions that its
entries come from, and asks whether the test of a LOINC code, ordered on a day (without one:
today), was done already.
"""

import json
import sys
import urllib.parse
import urllib.request
from typing import Any

RESIDENT_ID = "urn:oid:2.16.156.10011.1.3"
LOINC = "http://loinc.org"

Resource = dict[str, Any]


def main(fhir: str, number: str, code: str, day: str = "") -> None:
    """Print the summary of the resident with this number, and what reminds of the test."""
    query = urllib.parse.urlencode({"identifier": f"{RESIDENT_ID}|{number}"})
    summary = ask(f"{fhir}/Patient/$summary?{query}")
    composition, *resources = (entry["resource"] for entry in summary["entry"])
    print(f"{composition['title']}  {composition['date']}")
    for section in composition["section"]:
        print(f"\n{section['title']}")
        for entry in section.get("entry", ()):
            print(f"  {entry.get('display', 'no information')}")
    patient = next(one for one in resources if one["resourceType"] == "Patient")
    order = {
        "resourceType": "ServiceRequest",
        "status": "draft",
        "intent": "order",
        "code": {"coding": [{"system": LOINC, "code": code}]},
    } | ({"authoredOn": day} if day else {})
    answer = ask(f"{fhir}/Patient/{patient['id']}/$remind", order)
    print(f"\nReminders of {code}")
    for reminder in answer["parameter"]:
        for part in reminder.get("part", ()):
            if part["name"] == "text":
                print(f"  {part['valueString']}")
        if "valueString" in reminder:
            print(f"  {reminder['valueString']}")


def ask(address: str, body: Resource | None = None) -> Resource:
    """Return the answer to a GET, or to a POST of `body`."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/fhir+json"}
    request = urllib.request.Request(address, data, headers)
    with urllib.request.urlopen(request) as answer:
        found: Resource = json.loads(answer.read())
    return found


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    main(*sys.argv[1:])
