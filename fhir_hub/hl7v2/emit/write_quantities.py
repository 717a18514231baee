"""Numbers, amounts, texts and files as NM, SN, CQ, MO, ST, FT, ED, and OBX-5 of any value.

Spec: HL7v2 chapter 2A, NM, SN, CQ, MO, ED, RPT; chapter 7, OBX
"""

from decimal import Decimal
from typing import Any, NamedTuple

from fhir_hub.hl7v2.datatypes import units
from fhir_hub.hl7v2.datatypes.coding_systems import UCUM
from fhir_hub.hl7v2.datatypes.numbers import read_compared
from fhir_hub.hl7v2.emit import write_codes, write_times
from fhir_hub.hl7v2.emit.outbound import Outbound
from fhir_hub.hl7v2.emit.written import Written, trimmed

_MEDIA = {"text": "TEXT", "image": "IM", "audio": "AU", "application": "AP", "video": "VIDEO"}
_CE = 6  # how many components CE has
Json = dict[str, Any]


class Observed(NamedTuple):
    """OBX-2, OBX-5 and OBX-6 of a value."""

    kind: str
    value: Written
    unit: Written | None = None


def number(value: Any, out: Outbound) -> Written | None:
    """Return NM, digit for digit."""
    if value is None or isinstance(value, bool):
        return None
    return [format(value, "f") if isinstance(value, Decimal) else str(value)]


def text(value: Any, out: Outbound) -> Written | None:
    """Return ST, TX or FT of a text."""
    return [str(value)] if value not in ("", None) else None


def annotation(value: Any, out: Outbound) -> Written | None:
    """Return the text of an Annotation."""
    return text(value.get("text"), out)


def boolean(value: Any, out: Outbound) -> Written | None:
    """Return Y or N."""
    return ["Y" if value else "N"] if isinstance(value, bool) else None


def unit(value: Json) -> Written:
    """Return the unit of a Quantity as OBX-6: as written, with the code where it differs."""
    shown, code = value.get("unit", ""), value.get("code", "")
    if value.get("system") not in (UCUM, None):
        return [code, shown, write_codes.name_of(value["system"], "")] if code else [shown]
    if not shown or not code or units.to_ucum(shown) == code:
        return [shown or code, "", "UCUM"] if code and not units.to_ucum(code) else [shown or code]
    return [shown, "", "", code, "", "UCUM"]


def quantity(value: Any, out: Outbound) -> Written | None:
    """Return CQ of a Quantity: the amount, with its comparator, and the unit."""
    amount = number(value.get("value"), out)
    if amount is None:
        return None
    first = f"{value.get('comparator', '')}{amount[0]}"
    return [first, [part if isinstance(part, str) else "" for part in unit(value)]]


def simple_quantity(value: Any, out: Outbound) -> Written | None:
    """Return CQ of a Quantity without comparator."""
    return None if "comparator" in value else quantity(value, out)


def days(value: Any, out: Outbound) -> Written | None:
    """Return NM of a Duration in days."""
    return number(value.get("value"), out) if value.get("code") == "d" else None


def money(value: Any, out: Outbound) -> Written | None:
    """Return MO."""
    amount = number(value.get("value"), out)
    return [*amount, value.get("currency", "")] if amount else None


def sn_quantity(value: Any, out: Outbound) -> Written | None:
    """Return SN of a Quantity."""
    amount = number(value.get("value"), out)
    return [value.get("comparator", ""), *amount] if amount else None


def sn_range(value: Any, out: Outbound) -> Written | None:
    """Return SN of a Range with both ends, NR of one with one."""
    low, high = (number(value.get(end, {}).get("value"), out) for end in ("low", "high"))
    if low and high:
        return ["", *low, "-", *high]
    return [*(low or [""]), *(high or [""])] if low or high else None


def _open(value: Json, out: Outbound) -> Written | None:
    """Return SN of a Range with one end: from there on, up to there."""
    end, comparator = ("low", ">=") if "low" in value else ("high", "<=")
    amount = number(value.get(end, {}).get("value"), out)
    return [comparator, *amount] if amount else None


def sn_ratio(value: Any, out: Outbound) -> Written | None:
    """Return SN of a Ratio."""
    above, below = (value.get(part, {}) for part in ("numerator", "denominator"))
    first, second = number(above.get("value"), out), number(below.get("value"), out)
    return [above.get("comparator", ""), *first, ":", *second] if first and second else None


def reference_range(value: Any, out: Outbound) -> Written | None:
    """Return the text of a referenceRange, else its bounds."""
    if value.get("text"):
        return [value["text"]]
    low, high = (number(value.get(end, {}).get("value"), out) for end in ("low", "high"))
    if low and high:
        return [f"{low[0]}-{high[0]}"]
    return [f">={low[0]}"] if low else [f"<={high[0]}"] if high else None


def attachment(value: Any, out: Outbound) -> Written | None:
    """Return ED of an Attachment with data, RP of one with a URL."""
    media, _, sub = value.get("contentType", "").partition("/")
    kind = _MEDIA.get(media, "AP")
    if "data" in value:
        return ["", kind, sub.upper(), "Base64", value["data"]]
    return [value["url"], "", kind, sub.upper()] if "url" in value else None


def timing(value: Any, out: Outbound) -> Written | None:
    """Return RPT of a Timing: its code, else the pattern that the table has for its repeat."""
    table = out.table("TimingRepeat")
    code = value.get("code", {})
    if found := write_codes.table_sources(code, table):
        return [found[0]]
    repeat = {name: one for name, one in value.get("repeat", {}).items() if "bounds" not in name}
    for key, coded in table.rows.items():
        if repeat and dict(coded.properties.get("repeat", {})) == repeat:
            return [table.spelled.get(key, key)]
    if not code.get("text"):
        out.issue("a timing has no pattern in HL7v2; it was left out")
    return [code["text"]] if code.get("text") else None


def observed(fhir_type: str, value: Any, out: Outbound) -> Observed | None:
    """Return OBX-2, 5 and 6 of an Observation's value, `None` for a type without a place."""
    is_new = out.version >= "2.6"
    if fhir_type == "Quantity":
        kind, writer = ("SN", sn_quantity) if "comparator" in value else ("NM", _amount)
        found = writer(value, out)
        return Observed(kind, found, unit(value)) if found else None
    if fhir_type == "String":
        return Observed(_kind_of_text(value), [value])
    if fhir_type == "Range":
        bound = value.get("low") or value.get("high", {})
        found = sn_range(value, out) if {"low", "high"} <= value.keys() else _open(value, out)
        return Observed("SN", found, unit(bound)) if found else None
    kinds = {
        "CodeableConcept": (_kind_of_code(value, out), write_codes.concept),
        "Ratio": ("SN", sn_ratio),
        "DateTime": ("DTM" if is_new else "TS", write_times.date),
        "Time": ("TM", write_times.time),
        "Period": ("DR", write_times.period),
        "Integer": ("NM", number),
        "Boolean": ("ST", boolean),
    }
    if fhir_type not in kinds:
        out.issue("a value's type has no place in OBX-5; it was left out")
        return None
    kind, writer = kinds[fhir_type]
    found = writer(value, out)
    return Observed(kind, found) if found else None


def _kind_of_code(value: Any, out: Outbound) -> str:
    """Return CE before 2.6, unless a code says more than that has room for (CWE is of 2.5)."""
    is_roomy = out.version >= "2.6"
    if out.version >= "2.5" and not is_roomy and isinstance(value, dict):
        is_roomy = len(trimmed(write_codes.concept(value, out) or [])) > _CE
    return "CWE" if is_roomy else "CE"


def _kind_of_text(text: str) -> str:
    """Return a type in which the text stays one: in ST `<0.5` is read as a number."""
    if "\n" in text:
        return "FT"
    return "TX" if read_compared(text) else "ST"


def _amount(value: Any, out: Outbound) -> Written | None:
    return number(value.get("value"), out)
