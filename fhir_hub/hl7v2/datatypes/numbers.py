"""Numbers as senders write them: digit for digit, with commas, powers of ten, comparators.

Spec: HL7v2 chapter 2A, NM
"""

import re
from decimal import Decimal

from fhir_hub.hl7v2.datatypes import units
from fhir_hub.hl7v2.datatypes.parts import half_width

_NUMBER = re.compile(r"[+-]?(?:\d{1,30}(?:\.\d{0,20})?|\.\d{1,20})(?:[eE][+-]?\d{1,2})?", re.ASCII)
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?", re.ASCII)
_EITHER = re.compile(r"[+-]?\d{1,3},\d{3}", re.ASCII)
_DECIMAL_COMMA = re.compile(r"[+-]?(?:\d{1,20}|\d{1,3}(?:\.\d{3})+),\d{1,20}", re.ASCII)
_TEN_TO = re.compile(
    r"(?:([+-]?\d{1,10}(?:\.\d{0,10})?)\s*[x×*]\s*)?10\^([+-]?\d{1,2})", re.ASCII | re.IGNORECASE
)
WRITTEN = r"[+-]?\d{1,20}(?:[.,]\d{1,12})*"  # what may be one, in a pattern of more
_COMPARED = re.compile(r"(<=|>=|<|>|=)?\s*(\S+)")
COMPARATORS = str.maketrans({"≤": "<=", "≦": "<=", "≥": ">=", "≧": ">=", "〈": "<", "〉": ">"})
_LONGEST = 60


def read_decimal(text: str) -> Decimal | None:
    """Return the number that a text writes, digit for digit, `None` if it is none.

    A comma parts thousands where decimals cannot be meant, and decimals where thousands cannot:
    what `1,234` says, nobody knows.

    >>> read_decimal("9.80"), read_decimal("1,234.5"), read_decimal("13,5"), read_decimal("1,234")
    (Decimal('9.80'), Decimal('1234.5'), Decimal('13.5'), None)
    """
    if len(text) > _LONGEST:
        return None
    if "10" in text and (match := _TEN_TO.fullmatch(units.raised(text).strip())):
        return Decimal(match[1] or 1).scaleb(int(match[2]))
    text = half_width(text).strip()
    if parts_thousands(text):
        text = text if _EITHER.fullmatch(text) else text.replace(",", "")
    elif _DECIMAL_COMMA.fullmatch(text):
        text = text.replace(".", "").replace(",", ".")
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def read_compared(text: str) -> tuple[str, Decimal] | None:
    """Return comparator (`""` for none) and number of a text such as `<0.5` or `≥ 60`."""
    text = units.raised(text) if "10" in text else text
    match = _COMPARED.fullmatch(half_width(text.translate(COMPARATORS)).strip())
    number = read_decimal(match[2]) if match else None
    return (match[1] or "", number) if match and number is not None else None


def parts_thousands(text: str) -> bool:
    """Say whether commas in a text may part the thousands of a number: `1,200`, `1,234.5`."""
    return bool(_THOUSANDS.fullmatch(text))
