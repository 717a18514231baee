"""Every profile has examples: what keeps it is valid, what breaks it is refused for its reason.

`examples/invalid/<profile>/expected.json` says of each file the element and the issue code that
must be named, and what it breaks.
"""

import re

import pytest
from parts import definitions
from profiles.cn_parts import EXAMPLES, PROFILES, examples, package, profiles, read, walk

from fhir_hub.identity import resident_id, systems
from fhir_hub.identity.rules import IDENTIFIER_RULES
from fhir_hub.r4.checks.run import Checks
from fhir_hub.r4.checks.site_rules import SiteRules

NAMES = [each["id"] for each in profiles()]
KINDS = {"valid": 3, "invalid": 5}
SEQUENCES = ("996", "997", "998", "999")  # of no living person: DOMAIN 4.1


@pytest.fixture(scope="module")
def check():
    """Return what names every issue of a resource."""
    checks = Checks(definitions())
    rules = SiteRules(definitions(), IDENTIFIER_RULES, package().schemas)
    return lambda resource: [*checks.check(resource), *rules.check(resource)]


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
