"""What the checks refuse: a broken sample for each rule, told at its element.

Spec: https://hl7.org/fhir/R4/validation.html
"""

import re
from typing import Any

import parts
import pytest
from r4.broken_elements import ELEMENTS
from r4.broken_invariants import INVARIANTS
from r4.broken_rules import RULES
from r4.broken_shortcuts import SHORTCUTS
from r4.broken_values import VALUES
from r4.samples import extended, patient

from fhir_hub.errors import InvalidResource

CHECKS = parts.checks()
BROKEN = ELEMENTS + VALUES + INVARIANTS + RULES + SHORTCUTS


@pytest.mark.parametrize(("resource", "code", "expression"), BROKEN)
def test_a_broken_resource_is_refused_at_its_element(
    resource: Any, code: str, expression: str
) -> None:
    found = [(issue.code, issue.expression) for issue in CHECKS.check(resource)]

    assert (code, expression) in found


def test_all_problems_are_told_at_once() -> None:
    broken = patient(gender="x", birthDate="x", name=[{"text": "ok"}, {"text": 1}], nme=1)

    assert {issue.expression for issue in CHECKS.check(broken)} == {
        "Patient.gender",
        "Patient.birthDate",
        "Patient.name[1].text",
        "Patient.nme",
    }


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(patient(name=[{"text": 1}] * 100_000), id="array"),
        pytest.param(patient(**{f"x{i}": 1 for i in range(10_000)}), id="object"),
        pytest.param(
            patient(birthDate="x", _birthDate=1, **{f"_x{i}": 1 for i in range(10_000)}), id="pairs"
        ),
        pytest.param(patient(name=[{"_given": [1] * 10_000}]), id="paired array"),
    ],
)
def test_a_flood_of_problems_is_cut_off_at_100(broken: Any) -> None:
    assert 1 <= len(CHECKS.check(broken)) <= 100


def test_what_is_nested_3000_deep_is_refused() -> None:
    extension: dict[str, Any] = {"url": "x:y", "valueString": "x"}
    for _ in range(3000):
        extension = {"url": "x:y", "extension": [extension]}

    assert [issue.code for issue in CHECKS.check(extended(extension))] == ["structure"]


@pytest.mark.parametrize(
    ("resource", "told", "chinese"),
    [
        (
            patient(nmae=[]),
            "leave nmae out: Patient has no such element; did you mean name?",
            "请去掉 nmae：Patient 没有该元素；是否应为 name？",
        ),
        (
            patient(name=[{"famly": "x"}]),
            "leave famly out: HumanName has no such element; did you mean family?",
            "请去掉 famly：HumanName 没有该元素；是否应为 family？",
        ),
        (
            patient(shoe=1),
            "leave shoe out: Patient has no such element",
            "请去掉 shoe：Patient 没有该元素",
        ),
    ],
)
def test_of_an_element_that_is_not_there_the_nearest_is_named(
    resource: Any, told: str, chinese: str
) -> None:
    (issue,) = CHECKS.check(resource)

    assert (issue.diagnostics, issue.chinese) == (told, chinese)


def test_require_raises_the_errors() -> None:
    with pytest.raises(InvalidResource) as refused:
        CHECKS.require(patient(gender="x", birthDate="x"))

    assert [issue.expression for issue in refused.value.issues] == [
        "Patient.gender",
        "Patient.birthDate",
    ]


@pytest.mark.parametrize(("resource", "code", "expression"), BROKEN)
def test_no_message_shows_a_value(resource: Any, code: str, expression: str) -> None:
    secret = "Zhang-San-1"

    def marked(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: v if k == "resourceType" else marked(v) for k, v in value.items()}
        if isinstance(value, list):
            return [marked(item) for item in value[:3]]
        return secret if isinstance(value, str) else value

    text = repr(CHECKS.check(marked(resource)))

    assert secret not in text


@pytest.mark.parametrize(("resource", "code", "expression"), BROKEN)
def test_every_message_is_told_in_chinese_too(resource: Any, code: str, expression: str) -> None:
    for issue in CHECKS.check(resource):
        assert re.search("[\u4e00-\u9fff]", issue.chinese), issue
        assert not re.search("[\u4e00-\u9fff]", issue.diagnostics)
        assert "{a}" not in issue.chinese
