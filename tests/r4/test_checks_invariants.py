"""Invariants: those done by shortcuts say what FHIRPath says, and all others are interpreted.

Spec: the "Constraints" of each page of https://hl7.org/fhir/R4/resourcelist.html
"""

import re
from typing import Any

import parts
import pytest
from r4.broken_invariants import INVARIANTS as BROKEN
from r4.broken_rules import RULES
from r4.broken_shortcuts import SHORTCUTS
from r4.test_checks_valid import VALID

from fhir_hub.r4.checks.interpreted import Interpreted
from fhir_hub.r4.checks.invariants import INVARIANTS
from fhir_hub.r4.checks.structure import Structures
from fhir_hub.r4.expressions.evaluate import Expressions

EXPRESSIONS = Expressions(parts.definitions())
QUICK = Structures(parts.definitions(), EXPRESSIONS)
SLOW = Structures(parts.definitions(), EXPRESSIONS, {})
_KEYS = re.compile(r"\(([a-z]{2,4}-\d+)\)$|^keep the rule ([a-z]{2,4}-\d+):")


def broken_keys(structures: Structures, resource: Any) -> set[str]:
    issues = structures.resource(resource)
    found = (_KEYS.search(issue.diagnostics) for issue in issues)
    return {match[1] or match[2] for match in found if match} - {"ele-1", "dom-2", "dom-3"}


@pytest.mark.parametrize("resource", [each for each, *_ in BROKEN + RULES + SHORTCUTS] + VALID)
def test_a_shortcut_says_what_fhirpath_says(resource: Any) -> None:
    assert broken_keys(QUICK, resource) == broken_keys(SLOW, resource)


def test_every_shortcut_is_met_by_a_broken_sample() -> None:
    met = {
        key for resource, *_ in BROKEN + RULES + SHORTCUTS for key in broken_keys(QUICK, resource)
    }
    keys = {key for rules in INVARIANTS.values() for each in rules for key in each.keys}

    # no element has these types in JSON without the shape saying it first
    assert keys - met == {"sqty-1", "mqty-1"}


def test_every_invariant_is_checked() -> None:
    definitions = parts.definitions()
    interpreted = Interpreted(EXPRESSIONS, INVARIANTS)
    done = {key for rules in INVARIANTS.values() for each in rules for key in each.keys}
    left = set()
    for name in definitions.types:
        structure = definitions.structure(name)
        assert structure is not None
        for element in structure.elements.values():
            keys = {each.key for each in interpreted.left(element)}
            left |= {each.key for each in element.invariants} - keys - done
    # by the shape of elements, references, contained resources, narratives; best practice
    by_shape = {"ele-1", "ref-1", "txt-1", "txt-2", "dom-2", "dom-3", "dom-4", "dom-5"}
    assert left - by_shape == {"dom-6", "con-3"}
