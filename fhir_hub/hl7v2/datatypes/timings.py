"""RPT, TQ.2 and bare repeat patterns (`BID`, `Q6H`, 每日两次) as Timing.

The table TimingRepeat says what a pattern means; patterns with a number in them are read here, and
what RPT says beside its code: the period of RPT.5, the event of RPT.8 and how far from it.
What neither knows is kept as the timing's text.

Spec: https://hl7.org/fhir/R4/datatypes.html#Timing; HL7v2 table 0335
"""

import re
from types import MappingProxyType
from typing import Any

from fhir_hub.hl7v2.datatypes import codes, numbers, units
from fhir_hub.hl7v2.datatypes.context import Coded, Context, Table, table_key
from fhir_hub.hl7v2.datatypes.parts import compact, one_line, part
from fhir_hub.hl7v2.parsing.er7 import Value

TABLE = "TimingRepeat"
_EVERY = re.compile(r"Q(\d{1,3})([SMHDWL])", re.ASCII)
_TIMES_A_DAY = re.compile(r"(\d{1,2})(?:ID|X/D|XD|/D)", re.ASCII)
_BETWEEN = re.compile(r"Q(\d{1,3})-(\d{1,3})([SMHDWL])", re.ASCII)
_ON_DAYS = re.compile(r"Q(\d{0,2})J([1-7]{1,7})", re.ASCII)
_TIMES_A_WEEK = re.compile(r"(\d{1,2})X/?W(?:K|EEK)?", re.ASCII)
_AS_NEEDED = re.compile(
    r"^SOS$|^PRN[ ,、_/-]*|[ ,、_/-]*PRN$|[ ,、]*(?<!不)(?:必要时|需要时)[ ,、]*", re.ASCII
)
_LONGEST = 200  # what is searched takes longer with the square of its length
_AT_MEALS = re.compile(
    r"(.+?)[ ,、.·/-]*\(?(A\.?C|P\.?C|[饭餐][前后]|空腹)(?:服用?|口服)?\.?\)?", re.ASCII
)
_MEAL_TIMES = MappingProxyType({"AC": "AC", "PC": "PC", "前": "AC", "空腹": "AC", "后": "PC"})
_CHINESE_UNITS = MappingProxyType(
    {"分钟": "min", "小时": "h", "日": "d", "天": "d", "周": "wk", "星期": "wk", "月": "mo"}
)
_CHINESE_UNIT = "|".join(_CHINESE_UNITS)
_CHINESE = tuple(
    re.compile(pattern.replace("UNIT", f"(?P<unit>{_CHINESE_UNIT})"), re.ASCII)
    for pattern in (
        r"每?(?P<period>\d{0,2})个?UNIT(?P<frequency>\d{1,2})次",  # 每日3次, 1日3次, 每8小时1次
        r"每(?P<period>\d{0,2})个?UNIT(?P<frequency>)",  # 每8小时
        r"(?P<frequency>\d{1,2})次[/每](?P<period>\d{0,2})个?UNIT",  # 3次/日
    )
)
_NUMERALS = str.maketrans("一二两三四五六七八九", "1223456789")
_TENS = re.compile(r"(\d?)十(\d?)", re.ASCII)
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS = re.compile(r"(?:[01]\d|2[0-3])[0-5]\d(?:,(?:[01]\d|2[0-3])[0-5]\d)*", re.ASCII)
_LASTS = re.compile(r"([SMHDWLX])(\d{1,4})", re.ASCII)
_EVENTS = frozenset(
    {"HS", "WAKE", "C", "CM", "CD", "CV", "AC", "ACM", "ACD", "ACV", "PC", "PCM", "PCD", "PCV"}
)
_MEALS = frozenset({"C", "CM", "CD", "CV"})  # R4 tim-9: no offset from these
_LENGTHS = frozenset({"s", "min", "h", "d", "wk", "mo", "a"})
_MINUTES = {"s": 1 / 60, "min": 1, "h": 60, "d": 1440}
_UNITS = {"S": "s", "M": "min", "H": "h", "D": "d", "W": "wk", "L": "mo"}


def timing(value: Value, context: Context) -> dict[str, Any] | None:
    """Return the Timing of RPT, TQ.2 or a CWE by the table TimingRepeat."""
    return table_timing(value, context, context.table(TABLE))


def table_timing(value: Value, context: Context, table: Table) -> dict[str, Any] | None:
    """Return the Timing that a table has for a repeat pattern, with the hours beside it.

    `Q4H^0800,1200` (TQ.2) is `Q4H&0800,1200` as part of a field. R4 allows no time of day beside an
    event (tim-10): what stands there is then its text.
    """
    first = value.component(1)
    pattern = first if len(first.components) > 1 else value
    beside = part(pattern, 2)
    hours = beside.split(",") if _HOURS.fullmatch(beside) else []
    coded, repeat = _meant(pattern, table)
    if hours and "when" not in (repeat or {}):
        repeat = (repeat or {}) | {"timeOfDay": [f"{one[:2]}:{one[2:]}:00" for one in hours]}
        beside = ""
    text = one_line(beside) or one_line(part(pattern, 1))
    if repeat is None and text:
        context.issue("unmapped-code", f"table {table.name} does not know a repeat pattern")
    code = {"coding": [coded.coding()] if coded is not None and coded.system else [], "text": text}
    return compact({"repeat": (repeat or {}) | _said_beside(value), "code": compact(code)})


def _meant(pattern: Value, table: Table) -> tuple[Coded | None, dict[str, Any] | None]:
    """Return what a table has for a pattern, and how often it is; `None` if nobody knows.

    What is given as needed has how often beside the mark (`PRNBID`, `Q6H PRN`).
    """
    coded = codes.look_up(pattern, table)
    if coded is not None:
        return coded, _repeat(coded)
    for text in _said(pattern):
        often = _AS_NEEDED.sub("", text)
        if text and not often:
            return None, {}
        if often != text and table.knows(often) and (coded := table.get(often)) is not None:
            return None, _repeat(coded)
        if (found := _computed(often)) is not None:
            return None, found
        if (found := _at_meals(often, table)) is not None:
            return None, found
    return None, None


def _at_meals(text: str, table: Table) -> dict[str, Any] | None:
    """Return how often and at which side of a meal a pattern says (`TID AC`, `每日三次 饭后`)."""
    match = _AT_MEALS.fullmatch(text)
    if match is None:
        return None
    side = match[2].replace(".", "")
    coded = table.get(match[1]) if table.knows(match[1]) else None
    often = _repeat(coded) if coded is not None else _computed(match[1])
    if not often or {"when", "timeOfDay"} & often.keys():
        return None
    return often | {"when": [_MEAL_TIMES.get(side) or _MEAL_TIMES[side[1:]]]}


def _said(pattern: Value) -> list[str]:
    """Return the code of a pattern and its name, as they are compared; `""` for a longer text."""
    told = [part(pattern, at) for at in (1, 2)]
    return [table_key(one_line(text)) if len(text) <= _LONGEST else "" for text in told]


def is_as_needed(pattern: Value) -> bool:
    """Say whether a repeat pattern or its name says that something is to be done as needed."""
    first = pattern.component(1)
    told = first if len(first.components) > 1 else pattern
    return any(_AS_NEEDED.search(text) for text in _said(told))


def _said_beside(value: Value) -> dict[str, Any]:
    """Return what RPT.5 to RPT.10 say: the period, the event and the distance from it."""
    period, unit = numbers.read_decimal(part(value, 5)), _unit(value.component(6))
    event = part(value, 8).upper()
    found: dict[str, Any] = {}
    if period and period > 0 and unit in _LENGTHS:
        found = {"period": period, "periodUnit": unit}
    if event in _EVENTS:
        found["when"] = [event]
        if event not in _MEALS:
            found |= _offset(part(value, 9), _unit(value.component(10)))
    return found


def offset_of(value: Value) -> dict[str, Any]:
    """Return the distance of a CQ from an event, in minutes, as an element of `repeat`."""
    return _offset(part(value, 1), _unit(value.component(2)))


def length_of(value: Value) -> dict[str, Any]:
    """Return how long a CQ says that one time lasts, as elements of `repeat`."""
    number, unit = numbers.read_decimal(part(value, 1)), _unit(value.component(2))
    is_length = number and number > 0 and unit in _LENGTHS
    return {"duration": number, "durationUnit": unit} if is_length else {}


def bounds_of(text: str) -> dict[str, Any]:
    """Return how long TQ.3 says that it goes on (`D10`, `W2`), or how often in all (`X3`)."""
    match = _LASTS.fullmatch(text.strip().upper())
    number = int(match[2]) if match else 0
    if match is None or not number:
        return {}
    if match[1] == "X":
        return {"count": number}
    unit = _UNITS[match[1]]
    return {
        "boundsDuration": {
            "value": number,
            "unit": unit,
            "system": "http://unitsofmeasure.org",
            "code": unit,
        }
    }


def _offset(amount: str, unit: str) -> dict[str, Any]:
    number = numbers.read_decimal(amount)
    if not number or number < 0 or unit not in _MINUTES:
        return {}
    return {"offset": round(float(number) * _MINUTES[unit])}


def _unit(value: Value) -> str:
    return units.minutes_told(units.unit_of(value)).code if part(value, 1) else ""


def _repeat(coded: Coded) -> dict[str, Any]:
    return dict(coded.properties.get("repeat", {}))


def _computed(pattern: str) -> dict[str, Any] | None:
    if match := _EVERY.fullmatch(pattern):
        number = int(match[1])
        if number:
            return {"frequency": 1, "period": number, "periodUnit": _UNITS[match[2]]}
    if match := _BETWEEN.fullmatch(pattern):
        least, most = int(match[1]), int(match[2])
        if 0 < least < most:
            unit = _UNITS[match[3]]
            return {"frequency": 1, "period": least, "periodMax": most, "periodUnit": unit}
    if match := _ON_DAYS.fullmatch(pattern):
        days = [_DAYS[int(one) - 1] for one in dict.fromkeys(match[2])]
        weeks = int(match[1] or 1)
        if weeks:
            often = {"frequency": len(days), "period": weeks, "periodUnit": "wk"}
            return often | {"dayOfWeek": days}
    if match := _TIMES_A_WEEK.fullmatch(pattern):
        number = int(match[1])
        if number:
            return {"frequency": number, "period": 1, "periodUnit": "wk"}
    if match := _TIMES_A_DAY.fullmatch(pattern):
        number = int(match[1])
        if number:
            return {"frequency": number, "period": 1, "periodUnit": "d"}
    return None if pattern.isascii() else _in_chinese(pattern)


def _in_chinese(pattern: str) -> dict[str, Any] | None:
    """Return how often a pattern such as `每日3次`, `每八小时一次` or `2次/周` says.

    >>> _in_chinese("一天三次")
    {'frequency': 3, 'period': 1, 'periodUnit': 'd'}
    """
    digits = _TENS.sub(lambda ten: f"{ten[1] or 1}{ten[2] or 0}", pattern.translate(_NUMERALS))
    found = (one.fullmatch(digits) for one in _CHINESE)
    match = next((one for one in found if one), None)
    if match is None:
        return None
    frequency, period = int(match["frequency"] or 1), int(match["period"] or 1)
    unit = _CHINESE_UNITS[match["unit"]]
    is_some = frequency and period
    return {"frequency": frequency, "period": period, "periodUnit": unit} if is_some else None
