"""Every profile has examples: what keeps it is valid, what breaks it is refused for its reason.

`examples/invalid/<profile>/expected.json` says of each file the element and the issue code that
must be named, and what it breaks.
"""

import re

import pytest
from profiles.cn_parts import EXAMPLES, PROFILES, examples, profiles, read, walk

from fhir_hub.identity import resident_id, systems

NAMES = [each["id"] for each in profiles()]
KINDS = {"valid": 3, "invalid": 5}
SEQUENCES = ("996", "997", "998", "999")  # of no living person: DOMAIN 4.1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NAMES)
def test_every_profile_has_examples_that_claim_it(name, kind):
    found = [path for path in examples(kind) if path.parent.name == name]

    assert len(found) >= KINDS[kind]
    assert all(read(path)["meta"]["profile"] == [PROFILES + name] for path in found)


def test_every_folder_of_examples_is_of_a_profile_and_every_reason_of_a_file():
    for kind in KINDS:
        assert {path.name for path in (EXAMPLES / kind).iterdir()} == set(NAMES)
    for path in (EXAMPLES / "invalid").iterdir():
        files = {each.name for each in path.iterdir()} - {"expected.json"}
        assert set(read(path / "expected.json")) == files


@pytest.mark.parametrize("path", examples("valid"), ids=lambda path: path.stem)
def test_a_valid_example_gives_no_error(path, check):
    assert [issue for issue in check(read(path)) if issue.severity == "error"] == []


@pytest.mark.parametrize(
    "path", examples("invalid"), ids=lambda path: f"{path.parent.name}/{path.stem}"
)
def test_an_invalid_example_is_refused_for_the_reason_it_was_made_for_and_no_other(path, check):
    reason = read(path.parent / "expected.json")[path.name]
    expected = {(one["code"], one["expression"]) for one in [reason, *reason.get("also", [])]}

    errors = [issue for issue in check(read(path)) if issue.severity == "error"]

    assert {(issue.code, issue.expression) for issue in errors} == expected


def test_the_rules_of_a_profile_are_told_in_both_languages(check):
    (issue,) = check(read(EXAMPLES / "invalid/cn-slot/ends-before-it-starts.json"))

    assert issue.diagnostics == "end after the start (cn-slt-1)"
    assert issue.chinese == "结束时间应晚于开始时间 (cn-slt-1)"


def prescription(days: int, **more):
    path = EXAMPLES / "valid/cn-long-prescription/cn-long-prescription-four-weeks.json"
    resource = read(path)
    resource["dispenseRequest"]["expectedSupplyDuration"]["value"] = days
    return resource | more


@pytest.mark.parametrize(
    ("resource", "keys"),
    [
        (prescription(28), []),
        (prescription(56), ["cn-rxl-1"]),
        (prescription(84, note=[{"text": "评估后开具"}]), []),
        (prescription(120), ["cn-rxl-1", "cn-rxl-2"]),
    ],
)
def test_limits_that_are_known_from_memory_are_warnings(resource, keys, check):
    issues = check(resource)

    assert {issue.severity for issue in issues} <= {"warning"}
    assert (
        sorted(re.findall(r"\((cn-\w+-\d)\)", " ".join(one.diagnostics for one in issues))) == keys
    )


def test_the_people_of_the_examples_are_nobody():
    for path in [*examples("valid"), *examples("invalid")]:
        resource = read(path)
        for each in walk(resource):
            if each.get("system") in systems.aliases(systems.RESIDENT_ID):
                assert each["value"][14:17] in SEQUENCES, path
                is_right = resident_id.is_valid(each["value"])
                assert is_right or "check" in path.stem or each.get("use") == "temp", path
            if each.get("system") == "phone":
                assert re.fullmatch(r"130000000\d\d|0\d{2,3}-[68]\d000000", each["value"]), path
