"""`$translate` by maps that a request brings, and what the server says of its terminology.

Spec: https://hl7.org/fhir/R4/conceptmap-operation-translate.html
"""

import pytest
from terms import PAINTS, answered, ask, row

MAP, OTHER, TARGET = "urn:example:map", "urn:example:other", "http://a.example/tints"
SUITS = [
    {"name": "element", "valueUri": "http://a.example/dryness"},
    row("concept", {"coding": [{"code": "dry"}]}),
]
WRONG = {"name": "concept", "valueCodeableConcept": {"coding": ["dry"]}}


def concept_map(*elements, url=MAP, unmapped=None, **more):
    """Return a ConceptMap from paints to tints, of elements (code, targets)."""
    group = {"source": PAINTS, "sourceVersion": "2.0", "target": TARGET, "targetVersion": "7"}
    group["element"] = [{"code": code, "target": list(targets)} for code, *targets in elements]
    group |= {"unmapped": unmapped} if unmapped else {}
    kind = {"resourceType": "ConceptMap", "status": "active", "url": url, "version": "1"}
    return {**kind, "group": [group], **more}


def to(code, equivalence="equivalent", **more):
    return {"code": code, "equivalence": equivalence, **more}


async def translated(client, given, *brought):
    """Return the result, and equivalence and code of each match."""
    answer = await ask(client, "ConceptMap/$translate", given, *brought)
    assert answer.status_code == 200, answer.text
    result, *rows = answer.json()["parameter"]
    found = []
    for match in (one["part"] for one in rows if one["name"] == "match"):
        parts = {one["name"]: one for one in match}
        coding = parts.get("concept", {}).get("valueCoding", {})
        found.append((parts["equivalence"]["valueCode"], coding.get("code")))
    return result["valueBoolean"], found


PLAIN = concept_map(
    ("oil", to("gloss", "wider"), to("shine", "subsumes")),
    ("ink", to("", "unmatched")),
    ("tar", to("dull", dependsOn=[{"property": "http://a.example/dryness", "value": "dry"}])),
    sourceUri="urn:a|1",
    targetCanonical="urn:b",
)


@pytest.mark.parametrize(
    ("given", "is_found", "found"),
    [
        ({"code": "oil"}, True, [("wider", "gloss"), ("subsumes", "shine")]),
        ({"code": "ink"}, False, [("unmatched", None)]),
        ({"code": "wax"}, False, []),
        ({"code": "oil", "version": "2.0"}, True, [("wider", "gloss"), ("subsumes", "shine")]),
        ({"code": "oil", "version": "1.0"}, False, []),
        ({"code": "oil", "source": "urn:a", "target": "urn:b"}, True,
         [("wider", "gloss"), ("subsumes", "shine")]),
        ({"code": "oil", "source": "urn:c"}, False, []),
        ({"code": "oil", "target": "urn:c"}, False, []),
        ({"code": "oil", "targetsystem": "urn:c"}, False, []),
        ({"code": "gloss", "system": TARGET, "reverse": True}, True, [("narrower", "oil")]),
        ({"code": "gloss", "system": TARGET, "reverse": True, "source": "urn:b"}, True,
         [("narrower", "oil")]),
        ({"code": "gloss", "system": TARGET, "reverse": True, "source": "urn:a"}, False, []),
        ({"code": "shine", "system": TARGET, "reverse": True}, True, [("specializes", "oil")]),
        ({"code": "gloss", "system": TARGET, "reverse": True, "targetsystem": "urn:c"}, False, []),
        ({"code": "gloss", "system": PAINTS, "reverse": True}, False, []),
        ({"code": "tar"}, False, []),
        ({"code": "tar", "dependency": SUITS}, True, [("equivalent", "dull")]),
    ],
)  # fmt: skip
async def test_a_map_is_read(client, given, is_found, found):
    given = {"conceptMap": PLAIN, "system": PAINTS, **given}

    assert await translated(client, given) == (is_found, found)


@pytest.mark.parametrize(
    ("unmapped", "found"),
    [
        ({"mode": "provided"}, [("equal", "wax")]),
        ({"mode": "fixed", "code": "plain", "display": "Plain"}, [("inexact", "plain")]),
        ({"mode": "other-map", "url": f"{OTHER}|1"}, [("equal", "soft")]),
        ({"mode": "other-map", "url": "urn:example:none"}, []),
        ({"mode": "other-map", "url": MAP}, []),
        (None, []),
    ],
)
async def test_a_code_that_a_map_does_not_list(client, unmapped, found):
    one = concept_map(("oil", to("gloss")), unmapped=unmapped)
    other = concept_map(("wax", to("soft", "equal")), url=OTHER)
    given = {"url": MAP, "system": PAINTS, "code": "wax"}

    assert await translated(client, given, one, other) == (bool(found), found)


async def test_codings_are_translated_each(client):
    codings = [{"system": PAINTS, "code": code} for code in ("oil", "tar", "wax")]
    given = {"conceptMap": PLAIN, "codeableConcept": {"coding": codings}}
    alone = {"conceptMap": PLAIN, "coding": codings[0]}
    oil = [("wider", "gloss"), ("subsumes", "shine")]

    assert await translated(client, alone) == (True, oil)
    both = given | {"dependency": SUITS}
    assert await translated(client, both) == (True, [*oil, ("equivalent", "dull")])


async def test_a_match_shows_products_and_its_map(client):
    product = {"property": "http://a.example/side", "system": "urn:sides", "value": "left"}
    one = concept_map(("oil", to("gloss", display="Gloss", product=[product])))
    said, _ = await answered(
        client, "ConceptMap/$translate", {"url": f"{MAP}|1", "system": PAINTS, "code": "oil"}, one
    )

    assert said["match"] == [
        {"name": "equivalence", "valueCode": "equivalent"},
        {
            "name": "concept",
            "valueCoding": {"system": TARGET, "version": "7", "code": "gloss", "display": "Gloss"},
        },
        {
            "name": "product",
            "part": [
                {"name": "element", "valueUri": "http://a.example/side"},
                {"name": "concept", "valueCoding": {"system": "urn:sides", "code": "left"}},
            ],
        },
        {"name": "source", "valueUri": f"{MAP}|1"},
    ]


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"url": MAP, "conceptMapVersion": "9", "system": PAINTS, "code": "oil"}, 404),
        ({"url": MAP, "codeableConcept": {"text": "oil"}}, 400),
        ({"url": MAP, "system": PAINTS, "code": "oil", "coding": {"code": "oil"}}, 400),
        ({"url": MAP, "system": PAINTS, "code": "oil", "dependency": "x"}, 400),
        ({"url": MAP, "system": PAINTS, "code": "oil", "dependency": SUITS[1:]}, 400),
        ({"url": MAP, "system": PAINTS, "code": "oil", "dependency": ["x"]}, 400),
        (
            {"url": MAP, "system": PAINTS, "code": "oil", "dependency": [SUITS[0], WRONG]},
            400,
        ),
    ],
)
async def test_what_cannot_be_translated_is_refused(client, given, status):
    answer = await ask(client, "ConceptMap/$translate", given, PLAIN)

    assert answer.status_code == status


async def test_a_supplement_is_told_by_lookup(client):
    given = {"system": PAINTS, "code": "oil", "useSupplement": "http://a.example/trade"}
    answer = await ask(client, "CodeSystem/$lookup", given)
    rows = answer.json()["parameter"]
    named = [one["part"] for one in rows if one["name"] == "designation"]
    sources = {
        parts[-2 if parts[-1]["name"] == "source" else -1]["valueString"]: parts[-1]["name"]
        for parts in named
    }

    assert sources["Huile"] == "source"
    assert sources["油彩"] == "value"
    assert {"name": "used-supplement", "valueCanonical": "http://a.example/trade|1"} in rows


async def test_the_server_tells_its_code_systems(client):
    for version in ("1.9", "1.10"):
        resource = {"resourceType": "CodeSystem", "id": f"v{version}", "url": PAINTS}
        resource |= {"status": "active", "content": "complete", "version": version}
        answer = await client.put(f"CodeSystem/v{version}", json=resource)
        assert answer.status_code == 201, answer.text
    answer = await client.get("metadata", params={"mode": "terminology"})
    said = answer.json()
    systems = {one["uri"]: one for one in said["codeSystem"]}

    assert answer.status_code == 200
    assert said["resourceType"] == "TerminologyCapabilities"
    assert systems[PAINTS]["version"] == [{"code": "1.9"}, {"code": "1.10", "isDefault": True}]
    assert "version" not in systems["http://unitsofmeasure.org"]
    assert "http://hl7.org/fhir/administrative-gender" in systems
    assert {"filter", "count", "displayLanguage"} <= {
        one["name"] for one in said["expansion"]["parameter"]
    }
    assert said["translation"] == {"needsMap": False}
