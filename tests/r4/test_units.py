"""Units of UCUM: what they are worth in others.

Spec: https://ucum.org/ucum
"""

from decimal import Decimal
from fractions import Fraction

import parts
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_hub.r4.unit_atoms import ATOMS, BASES, PLAIN, TEMPERATURES
from fhir_hub.r4.units import unit_of


@pytest.mark.parametrize(
    ("one", "other", "factor"),
    [
        ("g", "mg", "1000"),
        ("g/dL", "mg/L", "10000"),
        ("g/L", "g.L-1", "1"),
        ("g/L", "kg/m3", "1"),
        ("mmol/L", "umol/mL", "1"),
        ("10*9/L", "10*3/uL", "1"),
        ("10*9/L", "/nL", "1"),
        ("10^12/L", "10*6/uL", "1"),
        ("10*6/uL", "10*6{RBC}/uL", "1"),
        ("mm[Hg]", "Pa", "133.322"),
        ("[in_i]", "cm", "2.54"),
        ("[lb_av]", "g", "453.59237"),
        ("[stone_av]", "[lb_av]", "14"),
        ("[foz_us]", "mL", "29.5735295625"),
        ("h", "min", "60"),
        ("a", "d", "365.25"),
        ("/min", "/h", "60"),
        ("mL/min/{1.73_m2}", "mL/min", "1"),
        ("U/L", "nmol/s/L", Fraction(50, 3)),
        ("kcal", "J", "4184"),
        ("ug/kg/min", "ug/(kg.min)", "1"),
        ("ug/kg/h", "ug/kg/min", Fraction(1, 60)),
        ("%", "mmol/mol", "10"),
        ("[IU]/L", "m[iU]/mL", "1"),
        ("mg{creatinine}/g", "mg/g", "1"),
        ("4.[pi].rad2", "sph", "1"),
        ("10.mg", "cg", "1"),
    ],
)
def test_units_of_one_dimension_are_worth_each_other(one, other, factor):
    first, second = unit_of(one), unit_of(other)
    assert first.canonical == second.canonical
    worth = [
        Fraction(unit.scale.multiply) / Fraction(unit.scale.divide) for unit in (first, second)
    ]
    assert worth[0] / worth[1] == Fraction(factor)


@pytest.mark.parametrize(
    ("one", "other"),
    [("g/L", "mmol/L"), ("meq/L", "mmol/L"), ("[iU]/L", "U/L"), ("g", "g/L"), ("Cel", "Cel/h")],
)
def test_units_of_two_dimensions_are_not(one, other):
    second = unit_of(other)
    assert second is None or unit_of(one).canonical != second.canonical


@pytest.mark.parametrize(
    ("code", "written", "celsius"),
    [
        ("[degF]", "98.6", 37.0),
        ("[degF]", "-40", -40.0),
        ("K", "310.15", 37.0),
        ("Cel", "36.65", 36.65),
        ("[degRe]", "29.6", 37.0),
        ("[degR]", "491.67", 0.0),
    ],
)
def test_temperatures_have_their_own_zero(code, written, celsius):
    unit = unit_of(code)
    assert unit.canonical == "Cel"
    assert unit.number(Decimal(written)) == celsius
    assert unit.scale.written(Decimal(repr(celsius))) == Decimal(written)


@pytest.mark.parametrize(
    "code",
    ["", "{score}", "{a}/{b}", "mcg", "TAB", "ml/hr", "mmHg", "g/", "(g", "g)", "g//L", "10*", "k",
     "m2m", "kmin", "m[", "{", "g{a", "1.", "g" * 101, "m100", "9999999999999", "毫克"],
)  # fmt: skip
def test_what_is_no_unit_is_not_converted(code):
    assert code == "10*" or unit_of(code) is None


@given(st.text("mgL/.(){}[]*10-^%kdau'U2", max_size=30))
def test_no_code_is_a_fault(code):
    unit = unit_of(code)
    if unit:
        unit.number(Decimal("1.5"))


def test_numbers_are_converted_digit_for_digit():
    milligram = unit_of("mg/dL")
    assert milligram.number(98) == 0.98
    assert milligram.number(parts.exact("9.8e1")) == 0.98
    assert milligram.number(Decimal("5.40")) == 0.054
    assert milligram.number(0.1) == 0.001
    assert milligram.number("1") is None
    assert milligram.number(True) is None
    assert unit_of("Ym99").number(Decimal("1e99")) is None


def test_every_unit_of_the_table_can_be_read():
    atoms = [line.split(" ")[0] for line in ATOMS.split("\n") if line]
    codes = [*(a if a == "10*" else a.removesuffix("*") for a in atoms), *BASES, *TEMPERATURES]
    assert [code for code in codes if unit_of(code) is None] == []
    for line in PLAIN.strip().split("\n"):
        units = [unit_of(code) for code in line.split(" ")]
        assert {unit.canonical for unit in units} == {line.split(" ")[0]}
        assert all(unit.is_plain for unit in units)
