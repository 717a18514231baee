"""What the digits of a number imply.

Spec: https://hl7.org/fhir/R4/search.html#number
"""

from decimal import Decimal

import parts
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_hub.errors import InvalidResource
from fhir_hub.r4.quantities import asked_number, number


@pytest.mark.parametrize(
    ("text", "exact", "low", "high"),
    [
        ("100", 100, 99.5, 100.5),
        ("100.00", 100, 99.995, 100.005),
        ("1e2", 100, 95, 105),
        ("5.4", 5.4, 5.35, 5.45),
        ("-5.4", -5.4, -5.45, -5.35),
        ("+0", 0, -0.5, 0.5),
        ("5.40e-3", 0.0054, 0.0053995, 0.0054005),
    ],
)
def test_a_number_asks_for_what_rounds_to_it(text, exact, low, high):
    assert asked_number(text) == (exact, low, high)


@pytest.mark.parametrize(
    "text",
    ["", "x", "1.", ".5", "1,5", "NaN", "inf", "1e400", "1e9999", "٣", "1 ", "9" * 41, "--1"],
)
def test_what_is_no_decimal_is_refused(text):
    with pytest.raises(InvalidResource):
        asked_number(text)


@given(st.decimals(-(10**12), 10**12, allow_nan=False, places=3))
def test_a_number_lies_in_its_interval(value):
    exact, low, high = asked_number(f"{value:f}")
    assert low <= exact <= high
    assert low < high


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, 1.0),
        (Decimal("5.40"), 5.4),
        (1.5, 1.5),
        (True, None),
        ("1", None),
        (None, None),
        (10**400, None),
        (Decimal("1e400"), None),
        (parts.exact("1e3"), 1000.0),
    ],
)
def test_only_a_number_is_a_number(value, expected):
    assert number(value) == expected
