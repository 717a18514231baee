"""The operators of FHIRPath: equality, order, arithmetic, and what moments make of them.

Spec: http://hl7.org/fhirpath/N1/#operations
"""

from decimal import Decimal
from typing import Any

import parts
import pytest

from fhir_hub.r4.expressions.evaluate import Expressions, Wrong
from fhir_hub.r4.expressions.values import system
from fhir_hub.r4.expressions.written import text_of

EXPRESSIONS = Expressions(parts.definitions())
CODED = {"coding": [{"code": "a"}, {"code": "b"}], "text": "A b"}
AGE = {"low": {"value": Decimal("9E+999999")}, "high": {"value": 3}}
OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"id": "1", **CODED},
    "method": {"id": "2", "coding": CODED["coding"][::-1], "text": "a  B"},
    "bodySite": {"coding": [{"code": "a"}, {"code": "c"}], "text": "A b"},
    "valueQuantity": {"value": 2, "unit": "mg"},
    "effectiveDateTime": "2024-02-29",
    "referenceRange": [
        {"low": {"value": Decimal("1.0"), "code": "g"}, "high": {"unit": "mg"}, "age": AGE},
        {"low": {"value": Decimal("1.0"), "code": "g"}},
    ],
}


def found(expression: str) -> list[Any]:
    items = EXPRESSIONS.values(EXPRESSIONS.compile(expression), OBSERVATION)
    return [text_of(system(item)) for item in items]


def answer(expression: str) -> str | None:
    """Return what an expression of one answer or none says."""
    return (found(expression) or [None])[0]


YES, NO, OPEN = "true", "false", None


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("1 = 1.0", YES),
        ("1 != 2", YES),
        ("{} != 2", OPEN),
        ("1 = true", NO),
        ("'1' = 1", NO),
        ("(1 | 2) = (1 | 2)", YES),
        ("(1 | 2) = (2 | 1)", NO),
        ("(1 | 2) = 1", NO),
        ("(@2024 | 1) = (@2024-02 | 1)", OPEN),
        ("code = code", YES),
        ("code = method", NO),
        ("referenceRange[0].low = referenceRange[1].low", YES),
        ("code = 'a'", NO),
        ("value = 2 'mg'", YES),
        ("value = 0.002 'g'", YES),
        ("value = 2", OPEN),
        ("2 '1' = 2", YES),
        ("value = 'mg'", OPEN),
        ("value.value is decimal and value.value = 2.0", YES),
        ("referenceRange[0].high = referenceRange[0].high", YES),
        ("effective = @2024-02-29", YES),
        ("effective = '2024-02-29'", YES),
        ("@2024-02-29 = @T10", NO),
        ("@2024T = @2024", YES),
        ("1 year = 12 months", YES),
        ("1 year = 1 'a'", OPEN),
        ("1 'min' = 60 seconds", YES),
        # equivalence
        ("'a  B' ~ 'A b'", YES),
        ("'a' !~ 'b'", YES),
        ("1.04 ~ 1.0", YES),
        ("1.06 ~ 1.0", NO),
        ("1 ~ 1.4", YES),
        ("true ~ 1.0", NO),
        ("'1' ~ 1.0", NO),
        ("{} ~ 1", NO),
        ("(1 | 2) ~ (2 | 1)", YES),
        ("(1 | 2) ~ (2 | 3)", NO),
        ("@2024 ~ @2024-02", NO),
        ("@2024-02 ~ @2024-02", YES),
        ("1 'kg' ~ 1000 'g'", YES),
        ("1 'kg' ~ 1 's'", NO),
        ("code ~ method", YES),
        ("code ~ bodySite", NO),
        ("code ~ code.coding[0]", NO),
        ("code ~ value", NO),
        ("123456789012345678901234567890.5 ~ 123456789012345678901234567890.5", YES),
        # membership
        ("1 in (1 | 2)", YES),
        ("{} in (1 | 2)", OPEN),
        ("(1 | 2) contains 3", NO),
        ("code.coding[0] in bodySite.coding", YES),
        # order
        ("'a' < 'b'", YES),
        ("1 >= 1.0", YES),
        ("{} < 1", OPEN),
        ("1 'g' < 1 'kg'", YES),
        ("1 'kg' <= 1 's'", OPEN),
        ("effective > @2024-02-28", YES),
        ("effective >= '2024-02-29'", YES),
        ("@T10:30 < @T10:31", YES),
        ("@T10 < @T10:31", OPEN),
        ("@2024-02-29T10:00:00Z > @2024-02-29T11:00:00", OPEN),
        ("@2024-02-29T10:00:00Z > @2024-02-26T11:00:00", YES),
        ("@2024-02-26T10:00:00Z > @2024-02-29T11:00:00", NO),
        ("@2024-02-29T10:00:00Z > @2023", OPEN),
        ("@2024-02-29T10:00:00Z > @2020", YES),
        ("@2024-02-29T10:00:00Z > @2030", NO),
        ("@2024-02-29T20:00:00-05:30 = @2024-03-01T01:30:00Z", YES),
        ("@2024-02-29T10+08:00 = @2024-02-29T02Z", YES),
        ("@0001-01-01T00:00:00+01:00 < @0001-01-01T00:00:00Z", NO),
        # logic
        ("false or false", NO),
        ("{} or false", OPEN),
        ("true and true", YES),
        ("true and {}", OPEN),
        ("true xor false", YES),
        ("true xor {}", OPEN),
        ("true implies false", NO),
        ("true implies {}", OPEN),
        ("{} implies true", YES),
        ("true and 'a'", YES),
    ],
)
def test_yes_no_or_open(expression: str, expected: str | None) -> None:
    assert answer(expression) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("'a' + 'b'", "ab"),
        ("'a' + {}", None),
        ("'a' & {} & 'b'", "ab"),
        ("+1 - 3", "-2"),
        ("-{}", None),
        ("-(2 'mg')", "-2 'mg'"),
        ("+(2 'mg')", "2 'mg'"),
        ("2 * 1.5", "3.0"),
        ("5 / 2", "2.5"),
        ("7 div 0", None),
        ("(-7) div 2", "-3"),
        ("(-7) mod 2", "-1"),
        ("5.5 mod 2", "1.5"),
        ("5 mod 0", None),
        ("3 'g' - 1 'g'", "2 'g'"),
        ("3 'g' - 1000 'mg'", "2.000 'g'"),
        ("3 'g' + 1 's'", None),
        ("3 'g' * 2", "6 'g'"),
        ("2 * 3 'g'", "6 'g'"),
        ("3 'm' * 2 'm'", "6 'm2'"),
        ("3 'm' * 2 'g'", "6 'm.g'"),
        ("6 'kg' / 2 'g'", "3000 '1'"),
        ("6 'g' / 2 'L'", "3 'g/L'"),
        ("6 'g' / 0 'L'", None),
        ("6 / 0 'L'", None),
        ("referenceRange.age.low.value * 10", None),
        ("referenceRange.age.low.value mod 7", None),
        ("(referenceRange.age.high.value / 2) * referenceRange.age.high.value", "4.5"),
        # moments and durations
        ("@2024-03-31 - 1 month", "2024-02-29"),
        ("@2024-02-29 + 1 year", "2025-02-28"),
        ("@2024 + 25 months", "2026"),
        ("@2024 + 400 days", "2025"),
        ("@2024-01 + 40 days", "2024-02"),
        ("@2024-01-30 + 1 week", "2024-02-06"),
        ("@2024-01-30 + 47 hours", "2024-01-31"),
        ("@2024-01-30 + 1.9 days", "2024-01-31"),
        ("@2024-01-30T10:00:00.000+08:00 + 1.5 seconds", "2024-01-30T10:00:01.500+08:00"),
        ("@2024-01-30T10:00:00-05:30 - 1 's'", "2024-01-30T09:59:59-05:30"),
        ("@2024-01-30T10:00:00.5 - 600 milliseconds", "2024-01-30T09:59:59.9"),
        ("@2024-01-30T10 + 90 minutes", "2024-01-30T11"),
        ("@2024-01-30T10:00 + 2 'wk'", "2024-02-13T10:00"),
        ("@T01:00 - 2 hours", "23:00"),
        ("@T01:00 + 1 month", None),
        ("@9999 + 1 year", None),
        ("@9999-12-31 + 1 day", None),
    ],
)
def test_arithmetic(expression: str, expected: str | None) -> None:
    assert answer(expression) == expected


@pytest.mark.parametrize(
    "expression",
    [
        "(1 | 2) in (1 | 2)",
        "1 + 'a'",
        "'a' * 2",
        "'a' div 2",
        "1 & 'a'",
        "@T10 < @2024",
        "effective < 'soon'",
        "1 < 'a'",
        "@2024-02-29 + 1 'mo'",
        "@2024-02-29 + 1 'kg'",
        "code < code",
    ],
)
def test_what_an_operator_cannot_take_is_told(expression: str) -> None:
    with pytest.raises(Wrong):
        found(expression)


@pytest.mark.parametrize("moment", ["@0000", "@2024-00", "@2023-02-29", "@2024-01-01T24:00", "@T"])
def test_a_moment_that_is_none_is_refused(moment: str) -> None:
    assert found(f"'{moment[1:]}'.convertsToDateTime()") == ["false"]
