"""`$expand`: what an expansion shows of its codes, and what it says of where they come from.

Spec: https://hl7.org/fhir/R4/valueset-operation-expand.html
"""

import pytest
from terms import (
    DEPRECATED,
    EXPANSION,
    PAINTS,
    PALETTE,
    PARTIAL,
    STANDING,
    TRADE,
    ask,
    code_system,
    value_set,
)

NEXT, GRADES = "http://a.example/next", "http://a.example/grades"
EVERYTHING = ["paint", "oil", "lead", "chalk", "ink"]


async def expanded(client, given, *brought):
    answer = await ask(client, "ValueSet/$expand", given, *brought)
    assert answer.status_code == 200, answer.text
    return answer.json()


def codes(found):
    rows, listed = list(found["expansion"].get("contains", [])), []
    while rows:
        row = rows.pop(0)
        listed.append(row["code"])
        rows = row.get("contains", []) + rows
    return listed


def with_code(found, code):
    rows = list(found["expansion"]["contains"])
    while rows[0]["code"] != code:
        row = rows.pop(0)
        rows = row.get("contains", []) + rows
    return rows[0]


def properties(row):
    """Return name → value of the properties that an entry shows by extensions."""
    shown = [one["extension"] for one in row.get("extension", []) if "extension" in one]
    return {
        code["valueCode"]: next(v for key, v in value.items() if key != "url")
        for code, value in shown
    }


def used(found):
    rows = found["expansion"]["parameter"]
    return {(row["name"], row["valueUri"]) for row in rows if "valueUri" in row}


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, EVERYTHING),
        ({"activeOnly": True}, ["paint", "oil", "chalk", "ink"]),
        ({"excludeNotForUI": True}, EVERYTHING[1:]),
        ({"exclude_system": PAINTS}, []),
        ({"exclude_system": f"{PAINTS}|2.0"}, []),
        ({"exclude_system": f"{PAINTS}|1.0"}, EVERYTHING),
        ({"filter": "OI"}, ["oil"]),
        ({"filter": "油"}, ["oil"]),
        ({"system_version": f"{PAINTS}|1.0"}, ["oil", "tar"]),
        ({"filter": "huile", "useSupplement": TRADE}, ["oil"]),
        ({"filter": "oil", "useSupplement": TRADE}, ["oil"]),
        ({"count": 2, "offset": 1}, ["oil", "lead"]),
        ({"count": 0}, []),
        ({"offset": 3}, ["chalk", "ink"]),
    ],
)
async def test_what_is_asked_for_is_shown(client, given, found):
    assert codes(await expanded(client, {"url": PALETTE, **given})) == found


@pytest.mark.parametrize(
    ("include", "more", "text", "found"),
    [
        ({"concept": [{"code": "ink"}, {"code": "tar"}]}, {}, "", ["ink"]),
        ({"concept": [{"code": "ink", "display": "Black"}, {"code": "oil"}]}, {}, "bla", ["ink"]),
        ({"filter": [("concept", "is-a", "paint")]}, {}, "oil", ["oil"]),
        ({"filter": [("concept", "descendent-leaf", "paint")]}, {}, "", EVERYTHING[1:4]),
        ({"filter": [("parent", "=", "paint")]}, {}, "", EVERYTHING[1:4]),
        ({"filter": [("child", "=", "oil")]}, {}, "", ["paint"]),
        ({"filter": [("child", "exists", "true")]}, {}, "", ["paint"]),
        ({"filter": [("child", "in", "oil,lead")]}, {}, "", ["paint"]),
        ({"filter": [("parent", "exists", "true")]}, {}, "", EVERYTHING[1:4]),
        ({"filter": [("concept", "generalizes", "oil")]}, {}, "", ["paint", "oil"]),
        ({"filter": [("concept", "generalizes", "tar")]}, {}, "", []),
        ({"filter": [("concept", "is-a", "tar")]}, {}, "", []),
        ({"filter": [("concept", "child-of", "paint")]}, {}, "chalk", ["chalk"]),
        ({"filter": [("definition", "regex", "Binds.*")]}, {}, "", ["oil"]),
        ({"filter": [("designation", "=", "油彩")]}, {}, "", ["oil"]),
        ({"filter": [("status", "in", "retired, deprecated")]}, {}, "", ["lead", "chalk"]),
        ({}, {"exclude": [{"filter": [("concept", "is-a", "paint")]}]}, "", ["ink"]),
        ({}, {"compose": {"inactive": False}}, "", ["paint", "oil", "chalk", "ink"]),
        ({"valueSet": [PALETTE, NEXT]}, {}, "", ["ink"]),
        ({"system": PAINTS, "valueSet": [NEXT]}, {}, "", ["ink"]),
        ({"valueSet": ["http://a.example/all-paints"]}, {}, "", EVERYTHING),
    ],
)
async def test_what_a_value_set_is_composed_of_is_listed(client, include, more, text, found):
    def written(row):
        names = ("property", "op", "value")
        rows = [dict(zip(names, one, strict=True)) for one in row.get("filter", ())]
        return row | ({"filter": rows} if rows else {})

    more = more | {"exclude": [written(row) for row in more.get("exclude", ())]}
    of = value_set(written(include), url="urn:some", **more)
    given = {"valueSet": of} | ({"filter": text} if text else {})
    following = value_set({"concept": [{"code": "ink"}]}, url=NEXT)

    assert codes(await expanded(client, given, following)) == found


async def test_an_entry_shows_names_and_properties(client):
    given = {"url": PALETTE, "includeDesignations": True, "property": "definition"}
    found = await expanded(client, given)
    oil, lead = with_code(found, "oil"), with_code(found, "lead")
    paint = with_code(found, "paint")

    assert (paint["abstract"], lead["inactive"]) == (True, True)
    assert oil["display"] == "Oil"
    assert [one["value"] for one in oil["designation"]] == ["油彩", "Oyle"]
    assert properties(oil) == {"order": 7, "definition": "Binds by drying"}
    assert properties(lead) == {"status": "retired"}
    assert [one["code"] for one in paint["contains"]] == ["oil", "lead", "chalk"]


async def test_properties_are_said_by_what_the_code_system_calls_them(client):
    found = await expanded(client, {"url": PALETTE, "property": "warm"})
    defined = {
        one["extension"][0]["valueCode"]: one["extension"][1]["valueUri"]
        for one in found["expansion"]["extension"]
    }

    assert properties(with_code(found, "oil")) == {"order": 7, "warm": True}
    assert defined["warm"] == "http://a.example/warm"
    assert defined["status"] == "http://hl7.org/fhir/concept-properties#status"


@pytest.mark.parametrize(
    ("language", "designation", "display", "shown"),
    [
        ("zh", "", "油彩", ["Oil", "Oyle"]),
        ("en", "", "Oil", ["油彩", "Oyle"]),
        ("fr, *;q=0", "", None, ["Oil", "油彩", "Oyle"]),
        ("en", "urn:ietf:bcp:47|zh", "Oil", ["油彩"]),
        ("en", "old", "Oil", ["Oyle"]),
    ],
)
async def test_designations_are_in_the_languages_asked_for(
    client, language, designation, display, shown
):
    given = {"url": PALETTE, "includeDesignations": True, "displayLanguage": language}
    given |= {"designation": designation} if designation else {}
    oil = with_code(await expanded(client, given), "oil")

    assert oil.get("display") == display
    assert [one["value"] for one in oil["designation"]] == shown


async def test_a_value_set_may_wish_for_a_language(client):
    wish = [{"url": "name", "valueCode": "displayLanguage"}, {"url": "value", "valueCode": "zh"}]
    of = value_set({}, compose={"extension": [{"url": EXPANSION, "extension": wish}]})

    assert with_code(await expanded(client, {"valueSet": of}), "oil")["display"] == "油彩"


async def test_a_supplement_adds_names_and_properties(client):
    given = {"url": PALETTE, "displayLanguage": "fr", "includeDesignations": True}
    given |= {"useSupplement": TRADE, "property": "price"}
    found = await expanded(client, given)
    oil = with_code(found, "oil")

    assert oil["display"] == "Huile"
    assert properties(oil)["price"] == "high"
    assert with_code(found, "ink")["display"] == "Ink"
    assert ("used-supplement", f"{TRADE}|1") in used(found)
    assert [one["code"] for one in with_code(found, "paint")["contains"]] == [
        "oil", "lead", "chalk",
    ]  # fmt: skip


@pytest.mark.parametrize("operator", ["is-a", "generalizes", "child-of", "="])
async def test_a_supplemented_system_keeps_its_hierarchy(client, operator):
    """The filters find the same with a supplement as without."""
    row = {"property": "concept", "op": operator, "value": "paint"}
    given = {"valueSet": value_set({"filter": [row]})}
    plain = await expanded(client, given)

    assert codes(plain)
    assert codes(await expanded(client, given | {"useSupplement": TRADE})) == codes(plain)


async def test_a_value_set_demands_a_supplement(client):
    demand = {"url": "http://hl7.org/fhir/StructureDefinition/valueset-supplement"}
    of = value_set({}, extension=[demand | {"valueCanonical": TRADE}])
    row = {"property": "price", "op": "=", "value": "high"}
    dear = value_set({"filter": [row]}, extension=of["extension"])

    found = await expanded(client, {"valueSet": dear})
    assert codes(found) == ["oil"]
    assert found["extension"] == of["extension"]


async def test_an_expansion_says_what_it_is_made_of(client):
    grades = code_system(GRADES, {"code": "fine"}, status="draft", version="4")
    following = value_set({"system": GRADES}, url=NEXT, version="2", experimental=True)
    of = value_set({}, {"system": PARTIAL}, {"valueSet": [NEXT]}, url="urn:some")
    given = {"valueSet": of, "default_valueset_version": f"{NEXT}|2", "includeDefinition": True}
    given["force_system_version"] = f"{PAINTS}|1.0"
    found = await expanded(client, given, grades, following)

    assert codes(found) == ["oil", "tar", "wax", "fine"]
    assert found["compose"] == of["compose"]
    assert used(found) == {
        ("force-system-version", f"{PAINTS}|1.0"),
        ("used-codesystem", f"{PAINTS}|1.0"),
        ("used-codesystem", PARTIAL),
        ("used-fragment", PARTIAL),
        ("used-codesystem", f"{GRADES}|4"),
        ("warning-draft", f"{GRADES}|4"),
        ("used-valueset", f"{NEXT}|2"),
        ("default-valueset-version", f"{NEXT}|2"),
        ("warning-experimental", f"{NEXT}|2"),
    }
    unclosed = "http://hl7.org/fhir/StructureDefinition/valueset-unclosed"
    assert {"url": unclosed, "valueBoolean": True} in found["expansion"]["extension"]


@pytest.mark.parametrize(
    ("match", "found"),
    [
        (None, [("1.0", "oil"), ("1.0", "tar"), ("2.0", "ink")]),
        (False, [("1.0", "oil"), ("1.0", "tar"), ("2.0", "ink")]),
        (True, [("2.0", "ink"), ("1.0", "oil"), ("1.0", "tar")]),
    ],
)
async def test_codes_of_two_versions_are_told_apart_or_merged(client, match, found):
    parts = [{"url": "name", "valueCode": "versionsMatch"}, {"url": "value", "valueBoolean": match}]
    extension = [] if match is None else [{"url": EXPANSION, "extension": parts}]
    newer = {"version": "2.0", "concept": [{"code": "ink"}]}
    of = value_set({"version": "1.0"}, newer, compose={"extension": extension})
    listed = await expanded(client, {"valueSet": of})

    rows = listed["expansion"]["contains"]
    assert [(row["version"], row["code"]) for row in rows] == found
    is_said = {"name": "versionsMatch", "valueBoolean": True} in listed["expansion"]["parameter"]
    assert is_said is (match is True)


async def test_an_exclude_of_one_version_spares_another(client):
    parts = [{"url": "name", "valueCode": "versionsMatch"}, {"url": "value", "valueBoolean": False}]
    both = [{"version": "1.0", "concept": [{"code": "oil"}]}, {"version": "2.0"}]
    taken = [{"version": "2.0", "concept": [{"code": "oil"}]}]
    apart = value_set(
        *both, exclude=taken, compose={"extension": [{"url": EXPANSION, "extension": parts}]}
    )
    merged = value_set(*both, exclude=taken)

    assert "oil" in codes(await expanded(client, {"valueSet": apart}))
    assert "oil" not in codes(await expanded(client, {"valueSet": merged}))


async def test_a_mark_of_the_value_set_is_shown(client):
    mark = {"url": DEPRECATED, "valueBoolean": True}
    label = {"url": "http://hl7.org/fhir/StructureDefinition/valueset-label", "valueString": "a)"}
    of = value_set({"concept": [{"code": "ink", "extension": [mark, label]}]})
    of["extension"] = [{"url": STANDING, "valueCode": "deprecated"}]
    found = await expanded(client, {"valueSet": of})

    assert mark in with_code(found, "ink")["extension"]
    assert properties(with_code(found, "ink")) == {"label": "a)"}
    assert ("warning-deprecated", PALETTE) in used(found)
    assert "extension" not in found


@pytest.mark.parametrize(
    ("include", "given", "status", "said"),
    [
        ({"version": "3.0"}, {}, 404, "Valid versions: 1.0 or 2.0"),
        ({"system": "http://a.example/none"}, {}, 404, "could not be found"),
        ({"valueSet": ["http://a.example/none"]}, {}, 404, "could not be found"),
        ({}, {"useSupplement": "http://a.example/none"}, 404, "Required supplement"),
        ({"version": "2.0"}, {"check_system_version": f"{PAINTS}|1.0"}, 422, "is not allowed"),
        ({"filter": [{"property": "concept", "op": "is-a"}]}, {}, 422, "has no value"),
        ({"filter": [{"property": "a", "op": "odd", "value": "b"}]}, {}, 422, "no operator"),
        ({"filter": [{"property": "a", "op": "is-a", "value": "b"}]}, {}, 422, "for concepts"),
        ({"filter": [{"property": "a", "op": "exists", "value": "b"}]}, {}, 422, "true or false"),
        ({"valueSet": ["urn:some"]}, {}, 422, "Cyclic"),
    ],
)
async def test_what_cannot_be_expanded_is_refused(client, include, given, status, said):
    given = {"valueSet": value_set(include, url="urn:some"), **given}
    answer = await ask(client, "ValueSet/$expand", given, value_set(include, url="urn:some"))

    assert answer.status_code == status
    assert said in answer.json()["issue"][0]["details"]["text"]
