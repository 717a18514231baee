"""OBX-5 as Observation.value[x]: by the type that OBX-2 names, corrected by what is written.

Senders call `<0.5` and `148/92` NM, and write numbers as ST. A number with a unit is a quantity,
whatever it is called (by the standard's tables ST is a text); what is called a number and is none
is a text, with an issue.

Spec: https://hl7.org/fhir/R4/observation-definitions.html#Observation.value_x_; DOMAIN 4
"""

import re
from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any

from fhir_hub.hl7v2.datatypes import (
    codes,
    measured,
    numbers,
    people,
    quantities,
    ranges,
    texts,
    times,
    units,
)
from fhir_hub.hl7v2.datatypes.context import Context
from fhir_hub.hl7v2.datatypes.parts import half_width, one_line, part, whole
from fhir_hub.hl7v2.datatypes.quantities import Typed
from fhir_hub.hl7v2.datatypes.units import Unit
from fhir_hub.hl7v2.parsing.er7 import Value

SYSTOLIC, DIASTOLIC = "8480-6", "8462-4"
_LOINC = "http://loinc.org"
_ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
_MM_HG = Unit("mmHg", "mm[Hg]")
_PRESSURE = re.compile(
    r"(\d{2,4})\s*/\s*(\d{2,4})\s*(?:mm\s?Hg|毫米汞柱)?", re.ASCII | re.IGNORECASE
)
# ends of `0~3/HP`; a number behind which a list or a date goes on is none
_ENDS_SO = re.compile(r"(?<![\d.:/-])\d{1,6}(?:\.\d+)?$", re.ASCII).search
_BEGINS_SO = re.compile(r"\d{1,6}(?:\.\d+)?(?![\d.、)）:：年月-])", re.ASCII).match
_BARE = re.compile(r"\d{1,6}(?:\.\d+)?", re.ASCII).fullmatch
_CODED = {"CWE", "CE", "CNE", "CF", "IS"}
_DATES = {"DT", "DTM", "TS"}
_TEXTS = {"TX", "FT"}
_PEOPLE = {"XCN", "CNN", "CN", "PPN"}
_MONEY = {"MO", "CP"}
_OF_PARTS = {"AD", "CK", "CP", "CX", "EI", "HD", "MA", "MO", "NA", "PL", "RI", "XAD", "XON", "XTN"}
_ARRAYS = {"NA", "MA"}
_UNKNOWN = {"extension": [{"url": _ABSENT, "valueCode": "unknown"}]}
_CURRENCIES = "urn:iso:std:iso:4217"
Json = dict[str, Any]


def observed_value(
    data_type: str, values: Sequence[Value], unit_field: Value | None, context: Context
) -> Typed | None:
    """Return the value of OBX-5's repetitions, `None` if there is none that a value[x] can hold.

    Several texts are lines of one, but for `8~10`, a range whose sign was not escaped; of several
    values of another type the first is taken, with an issue. The result's `fhir_type` is the
    suffix of `value` (`Quantity`).
    """
    filled = [value for value in values if value and whole(value)]
    if not filled:
        return None
    data_type = data_type.upper()
    unit = units.unit_of(unit_field)
    if data_type in _ARRAYS and (samples := _samples(data_type, filled, unit, context)):
        return Typed("SampledData", samples)
    if len(filled) > 1 and (data_type in ("TX", "FT", "ST", "") or data_type not in _KNOWN):
        filled = _with_ranges(values)
        if len(filled) > 1:
            return Typed("String", "\n".join(whole(value) for value in filled))
    if len(filled) > 1:
        context.issue("repeated-value", "an observation has several values; the first was taken")
    return _value(data_type, filled[0], unit, context)


def _with_ranges(values: Sequence[Value]) -> list[Value]:
    """Return the texts, with neighbours that end and begin with numbers that go up joined again.

    `1~2~3` are three: a number between two others ends no range and begins none.
    """
    encoding = values[0].encoding
    if encoding.repetition != "~" or encoding.as_parsed:
        return [value for value in values if whole(value)]
    texts = [whole(value) for value in values]
    goes_on = [_is_range(*both) for both in pairwise(texts)]
    between = [False, *(a and b for a, b in pairwise(goes_on)), False]
    is_listed = [one and bool(_BARE(text)) for one, text in zip(between, texts, strict=True)]
    found = [[values[0].raw]]
    for at, value in enumerate(values[1:]):
        if goes_on[at] and not (is_listed[at] or is_listed[at + 1]):
            found[-1].append(value.raw)
        else:
            found.append([value.raw])
    joined = (Value("~".join(raws), encoding) for raws in found)
    return [value for value in joined if whole(value)]


def _is_range(before: str, behind: str) -> bool:
    """Say whether one text ends with a number, and the next begins with a greater one."""
    low, high = _ENDS_SO(before), _BEGINS_SO(behind)
    return bool(low and high and Decimal(low[0]) < Decimal(high[0]))


def _value(data_type: str, value: Value, unit: Unit, context: Context) -> Typed | None:
    if data_type in _CODED:
        return _typed("CodeableConcept", codes.codeable_concept(value, context))
    if data_type == "SN":
        found = quantities.structured_numeric(value, unit, context)
        return Typed("String", found.value) if found and found.fhir_type == "string" else found
    if data_type == "NR" and (ends := _ends(value, unit, context)):
        return Typed("Range", ends)
    if data_type == "VR" and (last := part(value, 2)):
        return Typed("String", f"{part(value, 1)}-{last}")
    if data_type in _DATES:
        moment = _typed("DateTime", times.date_time(value, context))
        return moment or (None if times.is_placeholder(part(value)) else _as_text(value))
    if data_type == "TM":
        return _typed("Time", times.time(value, context)) or _as_text(value)
    if data_type == "DR":
        return _typed("Period", times.period(value, context))
    if data_type == "CQ" and (found_quantity := quantities.quantity(value, context)):
        return Typed("Quantity", found_quantity)
    if data_type in _MONEY and (amount := _money(value, context)):
        return Typed("Quantity", amount)
    if data_type in _OF_PARTS:
        return _typed("String", texts.usual(value))
    if data_type in _TEXTS or (data_type == "ST" and context.by_table):
        return _as_text(value)
    if data_type in _PEOPLE or data_type in ("XPN", "PN"):
        return _typed("String", _person(value, context, data_type in _PEOPLE)) or _as_text(value)
    return _number_or_text(data_type, value, unit, context)


def _person(value: Value, context: Context, is_numbered: bool) -> str:
    """Return how somebody is called, with prefix, suffix and degree, and her number if any."""
    name = people.person_name(value, context) if is_numbered else people.human_name(value, context)
    first = name[0] if isinstance(name, list) else name
    if not first or "text" not in first:
        return ""
    number, degree = (part(value, 1), part(value, 7)) if is_numbered else ("", "")
    said = [*first.get("prefix", ()), first["text"], *first.get("suffix", ()), degree]
    text = " ".join(dict.fromkeys(one for one in said if one))
    return f"{text} ({number})" if number and number not in text else text


def _samples(data_type: str, values: Sequence[Value], unit: Unit, context: Context) -> Json | None:
    """Return the SampledData of an array of numbers, `None` if it holds anything else.

    Of NA each repetition is a channel, of MA a moment with a number of each channel; R4 goes from
    moment to moment. Where nothing stands there is `E`. How long a moment lasts is in no OBX-5.
    """
    rows = [[one_line(part(one, at + 1)) for at in range(len(one.components))] for one in values]
    width = max(map(len, rows))
    rows = [row + [""] * (width - len(row)) for row in rows]
    moments = rows if data_type == "MA" else list(zip(*rows, strict=True))
    data = [number for row in moments for number in row]
    if not any(data) or any(one and numbers.read_decimal(one) is None for one in data):
        return None
    return {
        "origin": quantities.of_number(Decimal(0), unit, context),
        "_period": _UNKNOWN,
        "dimensions": len(moments[0]),
        "data": " ".join(one or "E" for one in data),
    }


def _money(value: Value, context: Context) -> Json | None:
    """Return an amount of money as R4's MoneyQuantity; a Money is no value[x]."""
    money = quantities.money(value, context)
    if not money or {"value", "currency"} - {*money}:
        return None
    currency = money["currency"]
    return {"value": money["value"], "unit": currency, "system": _CURRENCIES, "code": currency}


def _ends(value: Value, unit: Unit, context: Context) -> Json | None:
    """Return the Range of NR, whose components are its ends; none of ends that are no numbers."""
    read = [numbers.read_decimal(part(value, at)) for at in (1, 2)]
    if any(part(value, at) and number is None for at, number in zip((1, 2), read, strict=True)):
        return None
    ends = zip(("low", "high"), read, strict=True)
    found = {end: quantities.of_number(one, unit, context) for end, one in ends if one is not None}
    return found or None


def _number_or_text(data_type: str, value: Value, unit: Unit, context: Context) -> Typed | None:
    text = whole(value)
    if len(text) < 60 and not context.by_table and (told := _measured(text, unit, context)):
        if data_type == "NM":
            context.normalised("retyped-value", "an observation called a number is more than one")
        return told
    found = numbers.read_compared(text) if len(text) < 60 else None
    if found and data_type == "NM" and found[0]:
        context.normalised("retyped-value", "an observation called a number is a comparison")
    if found and (data_type in ("NM", "") or unit.text or found[0]):
        return Typed("Quantity", quantities.of_number(found[1], unit, context, found[0]))
    if data_type == "NM":
        context.issue("retyped-value", "an observation called a number is none; kept as a text")
    return _as_text(value)


def _measured(text: str, unit: Unit, context: Context) -> Typed | None:
    """Return the value of a text that holds more than a number, `None` of one that does not."""
    if not measured.may_be(text):
        return None
    if verdict := measured.with_verdict(text, context.table(measured.FLAGS)):
        return _typed("Quantity", quantities.read_quantity(verdict[0], unit, context))
    if found := measured.with_unit(text, unit):
        number = quantities.of_number(found.number, found.unit, context, found.comparator)
        return Typed("Quantity", number)
    if unit.text and (both := measured.ends(text)):
        low, high = (quantities.of_number(one, unit, context) for one in both)
        return Typed("Range", {"low": low, "high": high})
    return None


def _as_text(value: Value) -> Typed | None:
    return _typed("String", whole(value))


def _typed(fhir_type: str, found: Any) -> Typed | None:
    return Typed(fhir_type, found) if found else None


_KNOWN = _CODED | _DATES | {"NM", "NR", "SN", "TM", "DR", "CQ", "XPN", "PN", "ED", "RP"} | _PEOPLE


def read_pressure(text: str, *, is_named: bool = False) -> tuple[Decimal, Decimal] | None:
    """Return systolic and diastolic pressure of a text such as `148/92`, else `None`.

    With `is_named` its code says that it is one: then it may also be one that cannot be true.

    >>> read_pressure("148/92")
    (Decimal('148'), Decimal('92'))
    """
    match = _PRESSURE.fullmatch(half_width(text).strip())
    if not match:
        return None
    systolic, diastolic = Decimal(match[1]), Decimal(match[2])
    is_likely = is_named or 40 <= systolic <= 350
    return (systolic, diastolic) if is_likely and diastolic < systolic else None


def has_pressure_unit(text: str) -> bool:
    """Say whether a text says behind two pressures that they are millimetres of mercury."""
    match = _PRESSURE.fullmatch(half_width(text).strip())
    return match is not None and not match[0][-1].isdigit()


def pressure_components(
    value: Value,
    unit_field: Value | None,
    range_field: Value | None,
    context: Context,
    *,
    is_named: bool = False,
) -> list[Json] | None:
    """Return the two Observation.component of a blood pressure in one text, `None` for others."""
    pressures = read_pressure(whole(value), is_named=is_named)
    if not pressures:
        return None
    unit = units.unit_of(unit_field)
    unit = unit if unit.text else _MM_HG
    if unit.code not in ("mm[Hg]", "kPa"):
        return None
    both = ranges.pressure_ranges(whole(range_field) if range_field else "", unit, context)
    named = ((SYSTOLIC, "Systolic blood pressure"), (DIASTOLIC, "Diastolic blood pressure"))
    return [
        {
            "code": {"coding": [{"system": _LOINC, "code": code, "display": display}]},
            "valueQuantity": quantities.of_number(number, unit, context),
        }
        | ({"referenceRange": bounds} if bounds else {})
        for (code, display), number, bounds in zip(named, pressures, both, strict=True)
    ]


def attachment(value: Value, context: Context) -> Json | None:
    """Return the Attachment of an ED or RP in OBX-5; R4 values cannot hold one."""
    return texts.attachment(value, context) if part(value, 1) or part(value, 5) else None
