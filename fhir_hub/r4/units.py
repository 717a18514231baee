"""Units of UCUM, so that 9.8 g and 9800 mg are one quantity.

A code is read into a factor and a dimension; each dimension has one canonical unit that its
quantities are compared in. The factor is an exact fraction, so that 9800 mg is not
9.800000000000001 g. A code is read once and remembered.

What has no factor is not converted: arbitrary units but into themselves, logarithms, and a
unit that is an annotation alone (`{score}`), which says nothing that could be compared.

Spec: https://ucum.org/ucum and https://hl7.org/fhir/R4/search.html#quantity
"""

import re
from collections.abc import Callable
from decimal import Context, Decimal
from fractions import Fraction
from functools import cache, lru_cache
from math import isfinite
from typing import NamedTuple

from fhir_hub.r4.unit_atoms import ATOMS, BASES, METRIC_BASES, PLAIN, PREFIXES, TEMPERATURES

UCUM = "http://unitsofmeasure.org"

Dimension = tuple[tuple[str, int], ...]
_LONGEST = 100
_EXACT = Context(prec=5000)
# 10* has digits in its name; brackets may hold anything
_symbol = re.compile(r"10[*^]|(?:[A-Za-z%'_]|\[[^\[\]]+\])+").match
_exponent = re.compile(r"[+-]?[0-9]{1,2}(?![0-9])").match
_factor = re.compile(r"[0-9]{1,12}(?![0-9])").match
_annotation = re.compile(r"\{[^{}]*\}").match
_only_annotations = re.compile(r"(?:\{[^{}]*\}|[./])+").fullmatch


class Scale(NamedTuple):
    """How a number of a unit becomes one of its canonical unit: add, multiply, divide."""

    add: Decimal
    multiply: Decimal
    divide: int

    def canonical(self, number: Decimal) -> Decimal:
        """Return the number in the canonical unit."""
        if self.add:
            number += self.add
        number *= self.multiply
        return number if self.divide == 1 else number / self.divide

    def written(self, canonical: Decimal) -> Decimal:
        """Return the number of this unit that is `canonical` in the canonical one."""
        return canonical * self.divide / self.multiply - self.add


class Unit(NamedTuple):
    """A unit. `canonical` names the unit that it is converted to.

    `plain` are the units of the same dimension whose quantities are indexed as written only;
    `is_plain`: it is one of them.
    """

    scale: Scale
    canonical: str
    plain: tuple[tuple[str, Scale], ...]
    is_plain: bool

    def number(self, value: object) -> float | None:
        """Return a JSON number in the canonical unit; None for what is none, or out of range."""
        if not isinstance(value, Decimal):
            if type(value) is not int and type(value) is not float:
                return None
            value = Decimal(repr(value))
        found = float(self.scale.canonical(value))
        return found if isfinite(found) else None


def unit_of(code: str) -> Unit | None:
    """Return the unit that a UCUM code names, None for one that is not converted.

    >>> gram, pound = unit_of("g"), unit_of("[lb_av]")
    >>> gram.number(9800), pound.number(1), pound.canonical
    (9.8, 0.45359237, 'kg')
    >>> unit_of("[degF]").number(Decimal("98.6")), unit_of("{score}")
    (37.0, None)
    """
    return _unit_of(code) if len(code) <= _LONGEST else None


@lru_cache(8192)
def _unit_of(code: str) -> Unit | None:
    if temperature := TEMPERATURES.get(code):
        add, multiply, divide = temperature
        return Unit(_scale(Fraction(multiply, divide), add), "Cel", _temperatures(), code == "Cel")
    if not code or _only_annotations(code):
        return None
    try:
        measure = _Reading(code).read()
    except (ValueError, ZeroDivisionError):
        return None
    plain = _plain().get(measure.dimension, ())
    if not plain:
        name = ".".join(f"{base}{power}" for base, power in measure.dimension)
        return Unit(_scale(measure.factor), name, (), False)
    canonical = _Reading(plain[0]).read().factor
    scales = tuple((one, _scale(_Reading(one).read().factor / canonical)) for one in plain)
    return Unit(_scale(measure.factor / canonical), plain[0], scales, code in plain)


class _Measure(NamedTuple):
    """A product of powers of bases."""

    factor: Fraction
    dimension: Dimension

    def times(self, other: "_Measure", power: int) -> "_Measure":
        powers = dict(self.dimension)
        for base, one in other.dimension:
            powers[base] = powers.get(base, 0) + one * power
        kept = tuple(sorted((base, one) for base, one in powers.items() if one))
        return _Measure(self.factor * other.factor**power, kept)


_ONE = _Measure(Fraction(1), ())


class _Reading:
    """Reads a code from left to right; raises `ValueError` for what is none."""

    def __init__(self, code: str) -> None:
        self._code, self._place = code, 0

    def read(self) -> _Measure:
        measure = self._term()
        if self._place < len(self._code):
            raise ValueError("no unit")
        return measure

    def _term(self) -> _Measure:
        power = -1 if self._take("/") else 1
        measure = _ONE.times(self._component(), power)
        while True:
            if self._take("."):
                power = 1
            elif self._take("/"):
                power = -1
            else:
                return measure
            measure = measure.times(self._component(), power)

    def _component(self) -> _Measure:
        if self._take("("):
            measure = self._term()
            if not self._take(")"):
                raise ValueError("no unit")
            return measure
        if self._match(_annotation):
            return _ONE
        if (text := self._match(_symbol)) or not (digits := self._match(_factor)):
            measure = _atom(text)
            exponent = self._match(_exponent)
            measure = _ONE.times(measure, int(exponent or 1))
        else:
            measure = _Measure(Fraction(int(digits)), ())
        self._match(_annotation)
        return measure

    def _take(self, sign: str) -> bool:
        found = self._code.startswith(sign, self._place)
        self._place += found
        return found

    def _match(self, match: Callable[[str, int], re.Match[str] | None]) -> str:
        found = match(self._code, self._place)
        self._place = found.end() if found else self._place
        return found[0] if found else ""


def _atom(text: str) -> _Measure:
    found = _known(text)
    if found:
        return found[0]
    for length in (2, 1):
        power = PREFIXES.get(text[:length])
        rest = _known(text[length:]) if power is not None else None
        if rest and rest[1] and power is not None:
            return _Measure(rest[0].factor * Fraction(10) ** power, rest[0].dimension)
    raise ValueError("no unit")


def _known(code: str) -> tuple[_Measure, bool] | None:
    """Return an atom, and whether it takes prefixes."""
    return _known_atom(code) if code in BASES or code in _atoms() else None


@cache
def _known_atom(code: str) -> tuple[_Measure, bool]:
    if code in BASES:
        return _Measure(Fraction(1), ((code, 1),)), code in METRIC_BASES
    number, unit, is_metric = _atoms()[code]
    of = _Reading(unit).read() if unit != "1" else _ONE
    return _Measure(Fraction(Decimal(number)) * of.factor, of.dimension), is_metric


@cache
def _atoms() -> dict[str, tuple[str, str, bool]]:
    rows = {}
    for line in ATOMS.split("\n"):
        if line:
            code, number, unit = line.split(" ")
            is_metric = code.endswith("*") and code != "10*"
            rows[code.removesuffix("*") if is_metric else code] = number, unit, is_metric
    return rows


@cache
def _plain() -> dict[Dimension, tuple[str, ...]]:
    lines = [tuple(line.split(" ")) for line in PLAIN.split("\n") if line]
    return {_Reading(codes[0]).read().dimension: codes for codes in lines}


@cache
def _temperatures() -> tuple[tuple[str, Scale], ...]:
    return (("Cel", _scale(Fraction(1))),)


def _scale(factor: Fraction, add: str = "0") -> Scale:
    """Return a scale that only multiplies, where the factor has an end as a decimal."""
    rest, power = factor.denominator, 0
    while rest % 10 == 0:
        rest, power = rest // 10, power + 1
    for prime in (2, 5):
        while rest % prime == 0:
            rest, power = rest // prime, power + 1
    shifted = factor * 10**power
    multiply = Decimal(shifted.numerator).scaleb(-power, _EXACT)
    return Scale(Decimal(add), multiply, shifted.denominator)
