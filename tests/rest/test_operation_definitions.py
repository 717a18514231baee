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


def found_in(answer):
    return [entry["resource"]["id"] for entry in answer.json().get("entry", ())]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("code=reassign", ["Appointment-reassign"]),
        (f"url={HERE}CareTeam-renew", ["CareTeam-renew"]),
        ("url:below=http://hub.test/&instance=true&type=true&_sort=-name", None),
        ("name=appointmenth", ["Appointment-hold"]),
        ("title:contains=places of", ["Schedule-pool-report"]),
        ("_id=Resource-diff,Patient-unmerge&_sort=-_id", ["Resource-diff", "Patient-unmerge"]),
        ("code=reassign&system=true", []),
        ("code:not=reassign&base=http://nowhere.test", []),
        ("status=draft", []),
        ("_lastUpdated=lt2020", []),
    ],
)
async def test_they_are_found_as_stored_ones_are(client, asked, found):
    answer = await client.get(f"OperationDefinition?{asked}")
    posted = await client.post(
        "OperationDefinition/_search",
        content=asked,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )

    assert answer.status_code == posted.status_code == 200, answer.text
    assert found_in(answer) == found_in(posted)
    assert found_in(answer) == found if found is not None else len(found_in(answer)) > 1
    for entry in answer.json().get("entry", ()):
        read = await client.get(entry["fullUrl"])
        assert entry["resource"] == read.json()


async def test_pages_hold_ours_and_stored_ones_in_one_order(client):
    ours = (await client.get("OperationDefinition/CareTeam-renew")).json()
    names = ("Aardvark", "Patientmatch", "Zebra", "CareTeamTransfers")
    for name in names:
        stored = ours | {"id": name, "name": name, "url": f"urn:x:{name}", "code": "other"}
        assert (await client.put(f"OperationDefinition/{name}", json=stored)).status_code == 201
    await client.put("OperationDefinition/CareTeam-renew", json=ours | {"name": "Bear"})
    await client.delete("OperationDefinition/Zebra")

    for asked in ("", "_sort=name", "_sort=-name", "_sort=-_lastUpdated,code", "status=active"):
        whole = await client.get(f"OperationDefinition?{asked}&_count=100&_total=accurate")
        everyone = found_in(whole)
        assert len(everyone) == len(set(everyone)) == len(TOLD) + 3 == whole.json()["total"]
        for count in (1, 3, 5):
            address, seen = f"OperationDefinition?{asked}&_count={count}&_total=accurate", []
            while address:
                page = await client.get(address)
                assert page.json()["total"] == len(everyone)
                seen += found_in(page)
                links = {one["relation"]: one["url"] for one in page.json()["link"]}
                address = links.get("next")
            assert seen == everyone
    named = (await client.get("OperationDefinition?_sort=name&_count=100")).json()["entry"]
    told = [entry["resource"]["name"] for entry in named]

    assert told == sorted(told, key=str.lower)
    counted = (await client.get("OperationDefinition?_summary=count")).json()
    assert (counted["total"], "entry" in counted) == (len(TOLD) + 3, False)
    next_page = {one["relation"]: one["url"] for one in page.json()["link"]}["self"]
    other = await client.get(next_page.replace("status=active", "status=draft"))
    broken = await client.get("OperationDefinition?_cursor=x.y.z")
    assert (other.status_code, broken.status_code) == (400, 400)


async def test_the_one_version_has_its_address_and_its_history(client):
    address = "OperationDefinition/CareTeam-renew/_history"
    version = await client.get(f"{address}/1")
    listed = (await client.get(address)).json()

    assert (version.status_code, version.headers["ETag"]) == (200, 'W/"1"')
    assert (listed["total"], listed["entry"][0]["resource"]) == (1, version.json())
    assert (await client.get(f"{address}?_since=2099")).json()["total"] == 0
    assert (await client.get(f"{address}/2")).status_code == 404
