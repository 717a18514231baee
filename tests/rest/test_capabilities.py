"""The CapabilityStatement is true: what it says works, what works it says.

Spec: https://hl7.org/fhir/R4/capabilitystatement.html
"""

import parts
import pytest

from fhir_hub.rest.routes import ROUTES


async def test_the_statement_names_all_types_and_is_itself_valid(client):
    statement = (await client.get("metadata")).json()

    assert statement["fhirVersion"] == "4.0.1"
    assert statement["implementation"]["url"] == "http://hub.test/fhir"
    (rest,) = statement["rest"]
    assert len(rest["resource"]) == 146
    assert parts.checks().check(statement) == []


async def test_the_statement_says_every_interaction_of_the_route_table(client):
    (rest,) = (await client.get("metadata")).json()["rest"]
    (patient,) = (row for row in rest["resource"] if row["type"] == "Patient")
    said = {row["code"] for row in patient["interaction"] + rest["interaction"]}

    operations = {
        f"${operation['name']}"
        for row in [*rest["resource"], rest]
        for operation in row["operation"]
    }
    conditional = {"conditional-update", "conditional-patch", "conditional-delete"}
    silent = {"capabilities", "search-compartment", *conditional}
    routed = {route.interaction for route in ROUTES}
    assert said | operations == routed - silent | {"batch"}
    assert patient["conditionalUpdate"] is True
    assert "http://hl7.org/fhir/CompartmentDefinition/patient" in rest["compartment"]


async def test_every_search_parameter_that_it_names_is_accepted(client):
    (rest,) = (await client.get("metadata")).json()["rest"]
    values = {"date": "2024", "number": "1", "quantity": "1", "reference": "a"}
    for row in rest["resource"]:
        if row["type"] not in ("Patient", "Observation", "Appointment", "MedicationRequest"):
            continue
        for parameter in row["searchParam"]:
            if parameter["type"] in ("composite", "special"):
                continue
            known = parts.parameters().of(row["type"])[parameter["name"]]
            is_boolean = {path.type for path in known.paths} == {"boolean"}
            value = "true" if is_boolean else values.get(parameter["type"], "x")
            value = min(known.codes) if known.codes else value
            answer = await client.get(f"{row['type']}?{parameter['name']}={value}")
            assert answer.status_code == 200, (row["type"], parameter)


@pytest.mark.parametrize("mode", ["full", "terminology"])
async def test_parts_of_the_statement_can_be_asked_for(client, mode):
    summary = (await client.get(f"metadata?mode={mode}&_summary=true")).json()
    elements = (await client.get(f"metadata?mode={mode}&_elements=software")).json()

    whole = (await client.get(f"metadata?mode={mode}")).json()
    assert summary["resourceType"] == elements["resourceType"] == whole["resourceType"]
    assert elements["software"] == whole["software"]
    assert "rest" not in elements
    assert elements["meta"]["tag"][0]["code"] == "SUBSETTED"
    assert "documentation" not in str(summary.get("rest", ""))


async def test_its_tag_says_whether_it_is_still_the_same(client):
    first = await client.get("metadata")
    tag = first.headers["ETag"]
    again = await client.get("metadata", headers={"If-None-Match": f'"x", {tag}'})
    part = await client.get("metadata?_elements=status", headers={"If-None-Match": tag})

    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
    assert (part.status_code, part.headers["ETag"] != tag) == (200, True)
