"""A measurement that one text writes with its unit, a verdict or as two ends.

Devices and entry forms write `36.5℃`, `78次/分` or `0.01(阴性)` into OBX-5, and `3-5` for what is
counted in a field of view. The number is the value; a unit of OBX-6 that says another is not
overruled, and what may mean two things (`3分`, `2度`, `2010年`) stays a text.

Spec: DOMAIN 4 (OBX-2 wrong)
"""

import re
from decimal import Decimal
from typing import NamedTuple

from fhir_hub.hl7v2.datatypes import units
from fhir_hub.hl7v2.datatypes.context import Table
from fhir_hub.hl7v2.datatypes.numbers import WRITTEN, read_compared, read_decimal
from fhir_hub.hl7v2.datatypes.parts import half_width
from fhir_hub.hl7v2.datatypes.units import Unit

FLAGS = "ObservationInterpretation"
_WITH_UNIT = re.compile(rf"((?:<=?|>=?|≤|≥)?\s*{WRITTEN})\s*([^\s\d.,()].{{0,30}})", re.ASCII)
_POWER_AND_UNIT = re.compile(r"(\S{1,40}\d)\s+(\S{1,30})", re.ASCII)
_WITH_VERDICT = re.compile(r"([^()]{1,30}?)\s*\(\s*([^()]{1,8}?)\s*\)")
_ENDS = re.compile(rf"({WRITTEN})\s*(?:-{{1,2}}|~|～|—|–)\s*({WRITTEN})", re.ASCII)
_NOT_OF_NUMBER = re.compile(r"[^\s<>=≤≥＜＞+\-.,\d]")
_BEGINNINGS = "<>≤≥＜＞+-"
_OF_SO_MANY = re.compile(r"/\s*(?:\d.*|[A-KM-Z])", re.ASCII)  # points (`7/10`), a grade (`3/V`)
# what counts things, and what may be a date, an angle, a grade or points of a score
_NO_UNITS = frozenset("分时日月年度次级期型步") | {"in", "IN", "In"}


class Measured(NamedTuple):
    """A number with its comparator (`""`: none) and unit."""

    comparator: str
    number: Decimal
    unit: Unit


def with_unit(text: str, unit: Unit) -> Measured | None:
    """Return the number of a text such as `36.5℃`, if `unit` is none or the same.

    >>> with_unit("78次/分", Unit()).unit.code
    '/min'
    """
    plain = half_width(units.raised(text)).strip()
    match = _POWER_AND_UNIT.fullmatch(plain) if "10^" in plain else _WITH_UNIT.fullmatch(plain)
    found = read_compared(match[1]) if match else None
    if match is None or found is None:
        return None
    beside = match[2].strip()
    if unit.text:
        is_same = half_width(unit.text) == beside or (
            unit.code and unit.code == units.to_ucum(beside)
        )
        return Measured(*found, unit) if is_same else None
    code = units.code_told(beside)
    if not code or code.startswith("{") or beside in _NO_UNITS or _OF_SO_MANY.fullmatch(beside):
        return None
    if len(beside) == 1 and beside.isascii() and beside != "%":
        return None  # `2A` and `3c` are grades
    written = _NOT_OF_NUMBER.search(text) if "10^" not in plain else None
    return Measured(*found, Unit(text[written.start() :].strip() if written else beside, code))


def may_be(text: str) -> bool:
    """Say whether a text begins as a number does: most do not, and need not be read again."""
    return text[:1].isdigit() or (bool(text) and text[0] in _BEGINNINGS)


def with_verdict(text: str, table: Table) -> tuple[str, str] | None:
    """Return number and verdict of a text such as `0.01(阴性)`, `None` if the table has none such.

    `table` says which words are one (ObservationInterpretation).
    """
    if ")" not in text and "）" not in text:
        return None
    match = _WITH_VERDICT.fullmatch(half_width(text).strip())
    if match is None or not table.knows(match[2]) or read_compared(match[1]) is None:
        return None
    return match[1], match[2]


def ends(text: str) -> tuple[Decimal, Decimal] | None:
    """Return both ends of a text such as `3-5`, the lower first, `None` for another.

    >>> ends("3-5")
    (Decimal('3'), Decimal('5'))
    """
    match = _ENDS.fullmatch(half_width(text).strip())
    low, high = (read_decimal(match[1]), read_decimal(match[2])) if match else (None, None)
    return (low, high) if low is not None and high is not None and 0 <= low < high else None
