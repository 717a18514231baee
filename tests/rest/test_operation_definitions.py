"""Each operation's definition can be read where the CapabilityStatement says, and says what is.

Spec: https://hl7.org/fhir/R4/operationdefinition.html
"""

import re

import pytest

from fhir_hub.rest.operation_definitions import TOLD
from fhir_hub.rest.routes import OPERATIONS, ROUTES

# those that R4, R5 ($merge) and the International Patient Summary define
OF_HL7 = {
    f"http://hl7.org/fhir/OperationDefinition/{name}"
    for name in (
        *(f"{name}-everything" for name in ("Encounter", "Patient")),
        *(f"Observation-{name}" for name in ("lastn", "stats")),
        *(f"Patient-{name}" for name in ("match", "merge")),
        *(f"CodeSystem-{name}" for name in ("lookup", "subsumes", "validate-code")),
        *(f"ValueSet-{name}" for name in ("expand", "validate-code")),
        "ConceptMap-translate",
        *(f"Resource-{name}" for name in ("meta", "meta-add", "meta-delete", "validate")),
    )
} | {"http://hl7.org/fhir/uv/ips/OperationDefinition/summary"}
HERE = "http://hub.test/fhir/OperationDefinition/"


@pytest.fixture
async def said(client):
    """Return the operations that the CapabilityStatement names: definition → (type, name)s."""
    (rest,) = (await client.get("metadata")).json()["rest"]
    found = {}
    for row in [rest, *rest["resource"]]:
        for one in row.get("operation", ()):
            found.setdefault(one["definition"], []).append((row.get("type"), one["name"]))
    return found


async def test_what_hl7_does_not_define_is_defined_here(client, said):
    assert {url for url in said if not url.startswith(HERE)} == OF_HL7
    assert len(said) - len(OF_HL7) == len(TOLD) == 14
    for url in said.keys() - OF_HL7:
        answer = await client.get(url)
        told = answer.json()
        types = {name for name, _ in said[url]}

        assert (answer.status_code, answer.headers["ETag"], told["url"]) == (200, 'W/"1"', url)
        assert {told["code"]} == {name for _, name in said[url]}
        assert types == set(told["resource"]) or told["resource"] == ["Resource"]
        as_xml = await client.get(url, headers={"Accept": "application/fhir+xml"})
        assert as_xml.status_code == 200
        checked = await client.post("OperationDefinition/$validate", json=told)
        severities = {issue["severity"] for issue in checked.json()["issue"]}
        assert severities <= {"information"}, (url, checked.text)


@pytest.mark.parametrize("name", TOLD)
async def test_a_definition_names_the_levels_and_the_inputs_that_are_taken(client, name):
    (operation,) = (one for one in OPERATIONS if one.name == name)
    told = (await client.get(operation.definition)).json()
    rows = [row for row in ROUTES if row.interaction == name]
    shapes = {row.shape for row in rows}

    assert told["system"] is (name in shapes)
    assert told["type"] is (f"T/{name}" in shapes)
    assert told["instance"] is (f"T/I/{name}" in shapes)
    assert told["affectsState"] is any(row.affects_state for row in rows)
    ins = [one["name"] for one in told.get("parameter", ()) if one["use"] == "in"]
    row = min(rows, key=lambda row: (row.method != "POST", len(row.shape)))
    steps = {"T": operation.resource_types[0] if operation.resource_types else "Patient", "I": "x"}
    address = "/".join(steps.get(step, step) for step in row.shape.split("/"))
    answer = await client.request(row.method, address, params={"colour": "red"})
    (issue,) = answer.json()["issue"]
    taken = re.fullmatch(r".* takes (.*), not 'colour'", issue["diagnostics"])

    assert answer.status_code == 400
    assert taken is not None, issue["diagnostics"]
    assert taken[1].split(", ") == (ins or ["no parameters"])


async def test_a_stored_definition_of_that_id_is_shown_instead(client):
    address = "OperationDefinition/CareTeam-renew"
    ours = (await client.get(address)).json()
    cut = await client.get(f"{address}?_elements=code")
    known = await client.get(address, headers={"If-None-Match": 'W/"1"'})
    stored = await client.put(address, json=ours | {"title": "Mine"})
    shown = (await client.get(address)).json()
    deleted = await client.delete(address)
    gone = await client.get(address)

    assert cut.json()["code"] == "renew"
    assert "parameter" not in cut.json()
    assert (known.status_code, stored.status_code, shown["title"]) == (304, 201, "Mine")
    assert (deleted.status_code, gone.status_code) == (204, 410)
