"""`$validate-code`: what is said of each kind of wrong code, by the ids that validators know.

Spec: https://hl7.org/fhir/R4/valueset-operation-validate-code.html
"""

import pytest
from terms import (
    DEPRECATED,
    NAMES,
    PAINTS,
    PALETTE,
    PARTIAL,
    STANDING,
    TRADE,
    answered,
    ask,
    code_system,
    value_set,
)

NOT_IN = "None_of_the_provided_codes_are_in_the_value_set_one"
NO_VERSION = "UNKNOWN_CODESYSTEM_VERSION"
DISPLAY = "Display_Name_for__should_be_one_of__instead_of"
NO_NAME = "NO_VALID_DISPLAY_FOUND_NONE_FOR_LANG_"
GRADES = "http://a.example/grades"
MARKED = value_set(
    {"concept": [{"code": "oil", "extension": [{"url": DEPRECATED, "valueBoolean": True}]}]}
)


def coding(code="oil", system=PAINTS, **more):
    return {"system": system, "code": code, **more}


@pytest.mark.parametrize(
    ("code", "more", "is_valid", "ids"),
    [
        ("oil", {}, True, []),
        ("OIL", {}, True, ["CODE_CASE_DIFFERENCE"]),
        ("tar", {}, False, ["Unknown_Code_in_Version", NOT_IN]),
        ("tar", {"valueset_membership_only": True}, False, [NOT_IN]),
        ("lead", {}, True, ["INACTIVE_CONCEPT_FOUND"]),
        (
            "lead",
            {"activeOnly": True},
            False,
            ["STATUS_CODE_WARNING_CODE", NOT_IN, "INACTIVE_CONCEPT_FOUND"],
        ),
        ("chalk", {}, True, ["DEPRECATED_CONCEPT_FOUND"]),
        ("paint", {}, True, []),
        ("paint", {"abstract": False}, False, ["ABSTRACT_CODE_NOT_ALLOWED", NOT_IN]),
        ("oil", {"display": "油彩"}, True, []),
        ("oil", {"display": "Oyle"}, True, ["INACTIVE_DISPLAY_FOUND"]),
        ("oil", {"display": "Tar"}, False, [DISPLAY]),
        ("oil", {"display": "Tar", "lenient_display_validation": True}, True, [DISPLAY]),
        ("oil", {"display": " Oil "}, False, [DISPLAY.replace("Name_", "Name_WS_")]),
        ("oil", {"display": "Oil", "displayLanguage": "fr"}, True, [f"{NO_NAME}OK"]),
        ("oil", {"display": "Tar", "displayLanguage": "fr"}, False, [f"{NO_NAME}ERR"]),
        ("chalk", {"display": "Whatever"}, True, ["DEPRECATED_CONCEPT_FOUND"]),
        (
            "oil",
            {"display": "Huile", "displayLanguage": "fr", "useSupplement": TRADE},
            True,
            [],
        ),
    ],
)
async def test_a_code_is_judged(client, code, more, is_valid, ids):
    given = {"url": PALETTE, "system": PAINTS, "code": code, **more}

    said, found = await answered(client, "ValueSet/$validate-code", given)
    assert (said["result"], found) == (is_valid, ids)


async def test_the_answer_tells_what_the_code_is(client):
    given = {"url": PALETTE, "system": PAINTS}
    retired, _ = await answered(client, "ValueSet/$validate-code", given | {"code": "LEAD"})
    oil, _ = await answered(
        client, "ValueSet/$validate-code", given | {"code": "oil", "displayLanguage": "zh"}
    )

    assert retired["normalized-code"] == "lead"
    assert (retired["inactive"], retired["status"]) == (True, "retired")
    assert (oil["version"], oil["display"]) == ("2.0", "油彩")
    assert "inactive" not in oil


@pytest.mark.parametrize(
    ("given", "is_valid", "ids", "about"),
    [
        (
            {"code": "oil"},
            False,
            ["Coding_has_no_system__cannot_validate", NOT_IN],
            {},
        ),
        (
            coding(system="paints"),
            False,
            ["Terminology_TX_System_Relative", "UNKNOWN_CODESYSTEM", NOT_IN],
            {"x-unknown-system": "paints"},
        ),
        (coding(system=PALETTE), False, ["Terminology_TX_System_ValueSet2", NOT_IN], {}),
        (
            coding(system="http://a.example/none"),
            False,
            ["UNKNOWN_CODESYSTEM", NOT_IN],
            {"x-unknown-system": "http://a.example/none"},
        ),
        (
            coding(system=TRADE),
            False,
            ["CODESYSTEM_CS_NO_SUPPLEMENT", NOT_IN],
            {"x-caused-by-unknown-system": TRADE},
        ),
        (coding(version="1.0"), True, [], {"version": "1.0"}),
        (coding("ink", version="1.0"), False, ["Unknown_Code_in_Version", NOT_IN], {}),
        (
            coding(version="9"),
            False,
            [NO_VERSION, "VALUESET_VALUE_MISMATCH_DEFAULT"],
            {"x-caused-by-unknown-system": f"{PAINTS}|9", "version": "2.0"},
        ),
    ],
)
async def test_the_system_of_a_coding_is_judged(client, given, is_valid, ids, about):
    asked = {"url": PALETTE, "coding": given}

    said, found = await answered(client, "ValueSet/$validate-code", asked)
    assert (said["result"], found) == (is_valid, ids)
    assert about.items() <= said.items()


@pytest.mark.parametrize(
    ("include", "given", "more", "is_valid", "ids"),
    [
        ({"version": "2.0"}, "1.0", {}, False, ["VALUESET_VALUE_MISMATCH"]),
        ({"version": "2.0"}, "2.0", {}, True, []),
        ({"version": "2.x"}, "2.0", {}, True, []),
        ({"version": "1.x"}, "", {}, True, []),
        ({"version": "3.0"}, "", {}, False, [NO_VERSION]),
        ({"version": "3.0"}, "2.0", {}, False, ["VALUESET_VALUE_MISMATCH", NO_VERSION]),
        (
            {},
            "2.0",
            {"force_system_version": f"{PAINTS}|1.0"},
            False,
            ["VALUESET_VALUE_MISMATCH_CHANGED"],
        ),
        (
            {"version": "2.0"},
            "",
            {"check_system_version": f"{PAINTS}|1.0"},
            False,
            ["VALUESET_VERSION_CHECK"],
        ),
        ({}, "", {"system_version": f"{PAINTS}|1.0"}, True, []),
    ],
)
async def test_the_version_of_a_coding_is_judged(client, include, given, more, is_valid, ids):
    one = coding(version=given) if given else coding()
    asked = {"valueSet": value_set(include), "coding": one, **more}

    said, found = await answered(client, "ValueSet/$validate-code", asked)
    assert (said["result"], found) == (is_valid, ids)


@pytest.mark.parametrize(
    ("of", "given", "is_valid", "ids"),
    [
        (MARKED, coding(), True, ["CONCEPT_DEPRECATED_IN_VALUESET"]),
        (value_set({"system": PARTIAL}), coding("wax", PARTIAL), True, []),
        (
            value_set({"system": PARTIAL}),
            coding("gum", PARTIAL),
            True,
            ["UNKNOWN_CODE_IN_FRAGMENT"],
        ),
        (value_set({"system": "http://a.example/none"}), coding("x", "http://a.example/none"),
         False, ["UNKNOWN_CODESYSTEM"]),
        (value_set({}, experimental=True), coding(), True, ["MSG_EXPERIMENTAL"]),
        (
            value_set({}, extension=[{"url": STANDING, "valueCode": "withdrawn"}]),
            coding(),
            True,
            ["MSG_WITHDRAWN"],
        ),
        (
            value_set({}, compose={"inactive": False}),
            coding("lead"),
            False,
            ["STATUS_CODE_WARNING_CODE", NOT_IN, "INACTIVE_CONCEPT_FOUND"],
        ),
        (
            value_set({"valueSet": ["http://a.example/none"]}),
            coding(),
            False,
            ["Unable_to_resolve_value_Set_"],
        ),
        (
            value_set({"valueSet": ["#in"]}, contained=[value_set({}, url="urn:in", id="in")]),
            coding(),
            True,
            [],
        ),
        (value_set({"concept": [{"code": "Oil"}]}), coding(), True, []),
        (value_set({}, exclude=[{"concept": [{"code": "ink"}]}]), coding("ink"), False, [NOT_IN]),
    ],
)  # fmt: skip
async def test_what_a_value_set_says_of_a_code(client, of, given, is_valid, ids):
    said, found = await answered(
        client, "ValueSet/$validate-code", {"valueSet": of, "coding": given}
    )

    assert (said["result"], found) == (is_valid, ids)


async def test_an_expansion_without_a_compose_is_the_value_set(client):
    rows = [
        {"abstract": True, "contains": [coding(version="1.0"), coding("tar", version="1.0")]},
    ]
    of = {"resourceType": "ValueSet", "url": PALETTE, "expansion": {"contains": rows}}

    for code, is_valid in (("tar", True), ("ink", False)):
        given = {"valueSet": of, "system": PAINTS, "code": code, "systemVersion": "1.0"}
        said, _ = await answered(client, "ValueSet/$validate-code", given)
        assert said["result"] is is_valid


async def test_a_concept_without_a_good_coding_says_so_first(client):
    concept = {"coding": [coding("tar"), coding("x", "http://a.example/none")]}
    said, ids = await answered(
        client, "ValueSet/$validate-code", {"url": PALETTE, "codeableConcept": concept}
    )
    unknown = value_set({"valueSet": ["http://a.example/none"]})
    lost, lost_ids = await answered(
        client, "ValueSet/$validate-code", {"valueSet": unknown, "codeableConcept": concept}
    )

    assert said["result"] is False
    assert ids[0] == "TX_GENERAL_CC_ERROR_MESSAGE"
    assert said["codeableConcept"] == concept
    assert "code" not in said
    assert (lost["result"], lost_ids) == (False, ["Unable_to_resolve_value_Set_"])


@pytest.mark.parametrize(
    ("code", "result", "system", "last"),
    [
        ("ink", True, PAINTS, None),
        ("tar", False, None, "UNABLE_TO_INFER_CODESYSTEM"),
        (
            "oil",
            False,
            None,
            "Unable_to_resolve_system__value_set_has_multiple_matches",
        ),
    ],
)
async def test_a_system_is_inferred_where_only_one_will_do(client, code, result, system, last):
    grades = code_system(GRADES, {"code": "oil"})
    of = value_set({}, {"system": GRADES})
    given = {"valueSet": of, "code": code, "inferSystem": True}

    said, ids = await answered(client, "ValueSet/$validate-code", given, grades)
    assert (said["result"], said.get("system")) == (result, system)
    assert (ids[-1] if ids else None) == last


@pytest.mark.parametrize(
    ("given", "is_valid", "ids"),
    [
        ({"url": PAINTS, "code": "oil"}, True, []),
        ({"url": PAINTS, "version": "1.0", "code": "ink"}, False, ["Unknown_Code_in_Version"]),
        ({"url": PARTIAL, "code": "gum"}, True, ["UNKNOWN_CODE_IN_FRAGMENT"]),
        ({"url": TRADE, "code": "oil"}, False, ["CODESYSTEM_CS_NO_SUPPLEMENT"]),
        ({"url": "http://a.example/none", "code": "x"}, False, ["UNKNOWN_CODESYSTEM"]),
        (
            {"codeSystem": code_system(GRADES, {"code": "a"}, status="draft"), "code": "a"},
            True,
            ["MSG_DRAFT"],
        ),
        ({"coding": coding("tar")}, False, ["Unknown_Code_in_Version"]),
        ({"coding": coding("tar", version="1.0")}, True, []),
    ],
)
async def test_a_code_system_judges_its_codes(client, given, is_valid, ids):
    said, found = await answered(client, "CodeSystem/$validate-code", given)

    assert (said["result"], found) == (is_valid, ids)


async def test_a_stored_code_system_judges_its_codes(client):
    stored = code_system(GRADES, {"code": "a"}, id="grades")
    await client.put("CodeSystem/grades", json=stored)

    for code, is_valid in (("a", True), ("b", False)):
        said, _ = await answered(client, "CodeSystem/grades/$validate-code", {"code": code})
        assert said["result"] is is_valid


@pytest.mark.parametrize(
    ("address", "given", "status"),
    [
        ("ValueSet/$validate-code", {"system": PAINTS, "code": "oil"}, 400),
        ("ValueSet/$validate-code", {"valueSet": NAMES, "system": PAINTS, "code": "oil"}, 400),
        ("ValueSet/$validate-code", {"url": PALETTE, "codeableConcept": {"text": "x"}}, 400),
        ("ValueSet/$validate-code", {"url": PALETTE, "coding": "oil"}, 400),
        ("CodeSystem/$validate-code", {"code": "oil"}, 400),
        ("CodeSystem/$validate-code", {"url": PAINTS, "code": "oil", "system-version": 2}, 400),
        ("CodeSystem/$validate-code", {"url": PAINTS, "code": "oil", "tx-resource": "x"}, 400),
        (
            "ValueSet/$validate-code",
            {"url": PALETTE, "coding": coding(), "useSupplement": "http://a.example/none"},
            404,
        ),
    ],
)
async def test_what_cannot_be_judged_is_refused(client, address, given, status):
    answer = await ask(client, address, given)

    assert (answer.status_code, answer.json()["resourceType"]) == (status, "OperationOutcome")
