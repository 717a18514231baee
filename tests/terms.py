"""Paints: a made-up code system in two versions, what belongs to it, and how a client asks of it.

All of it is brought along by each request (`tx-resource`), so nothing is stored.

Spec: https://hl7.org/fhir/R4/terminology-service.html
"""

PAINTS, PALETTE = "http://a.example/paints", "http://a.example/palette"
TRADE, PARTIAL = "http://a.example/trade", "http://a.example/partial"
STANDING = "http://hl7.org/fhir/StructureDefinition/structuredefinition-standards-status"
DEPRECATED = "http://hl7.org/fhir/StructureDefinition/valueset-deprecated"
ORDER = "http://hl7.org/fhir/StructureDefinition/codesystem-conceptOrder"
EXPANSION = "http://hl7.org/fhir/StructureDefinition/valueset-expansion-parameter"


def code_system(url, *concepts, **more):
    """Return a complete CodeSystem of these concepts."""
    kind = {"resourceType": "CodeSystem", "status": "active", "content": "complete"}
    return {**kind, "url": url, "concept": list(concepts), **more}


def value_set(*includes, url=PALETTE, exclude=(), compose=(), **more):
    """Return a ValueSet of these includes, each of the paints where it says no other."""
    rows = [row if "valueSet" in row else {"system": PAINTS, **row} for row in includes]
    taken = {"exclude": [{"system": PAINTS, **row} for row in exclude]} if exclude else {}
    composed = {"include": rows, **taken, **dict(compose)}
    kind = {"resourceType": "ValueSet", "status": "active", "url": url}
    return {**kind, "compose": composed, **more}


def with_status(code, status):
    """Return a concept with its status as a property."""
    return {"code": code, "property": [{"code": "status", "valueCode": status}]}


OIL = {
    "code": "oil",
    "display": "Oil",
    "definition": "Binds by drying",
    "designation": [
        {"language": "zh", "value": "油彩"},
        {
            "value": "Oyle",
            "use": {"code": "old"},
            "extension": [{"url": STANDING, "valueCode": "withdrawn"}],
        },
    ],
    "extension": [{"url": ORDER, "valueDecimal": 7}],
    "property": [{"code": "warm", "valueBoolean": True}],
}
SYSTEM = code_system(
    PAINTS,
    {
        "code": "paint",
        "property": [{"code": "notSelectable", "valueBoolean": True}],
        "concept": [OIL, with_status("lead", "retired"), with_status("chalk", "deprecated")],
    },
    {"code": "ink", "display": "Ink"},
    version="2.0",
    caseSensitive=False,
    language="en",
    valueSet="http://a.example/all-paints",
    property=[{"code": "warm", "uri": "http://a.example/warm", "type": "boolean"}],
)
OLDER = code_system(PAINTS, {"code": "oil", "display": "Oil"}, {"code": "tar"}, version="1.0")
NAMES = {
    **code_system(TRADE, {
        "code": "oil", "designation": [{"language": "fr", "value": "Huile"}],
        "property": [{"code": "price", "valueString": "high"}],
    }),
    "content": "supplement", "supplements": PAINTS, "version": "1",
}  # fmt: skip
FRAGMENT = code_system(PARTIAL, {"code": "wax", "display": "Wax"}, content="fragment")
BROUGHT = (SYSTEM, OLDER, NAMES, FRAGMENT, value_set({}))


def row(name, value):
    """Return a row of Parameters; the type is that of the value."""
    kinds = {bool: "valueBoolean", int: "valueInteger", str: "valueString"}
    if type(value) in kinds:
        return {"name": name, kinds[type(value)]: value}
    if isinstance(value, list):
        return {"name": name, "part": value}
    if "resourceType" in value:
        return {"name": name, "resource": value}
    kind = "valueCodeableConcept" if "coding" in value or "text" in value else "valueCoding"
    return {"name": name, kind: value}


async def ask(client, address, given, *brought):
    """Return the response to an operation of `given`, name → value, with all of the paints."""
    rows = [row(name.replace("_", "-"), value) for name, value in given.items()]
    rows += [row("tx-resource", one) for one in (*brought, *BROUGHT)]
    return await client.post(address, json={"resourceType": "Parameters", "parameter": rows})


async def answered(client, address, given, *brought):
    """Return what was answered, name → value, and the ids of the messages in the issues."""
    answer = await ask(client, address, given, *brought)
    assert answer.status_code == 200, answer.text
    said = {
        one["name"]: next(value for key, value in one.items() if key != "name")
        for one in answer.json()["parameter"]
    }
    issues = said.pop("issues", {"issue": []})["issue"]
    return said, [issue["extension"][0]["valueString"] for issue in issues]
