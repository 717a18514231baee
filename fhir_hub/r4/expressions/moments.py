"""FHIRPath's Date, DateTime and Time: as precise as they are written, compared as far as it goes.

`@2024-02` and `@2024-02-29` are neither equal nor different, so an answer is true, false or
unknown (None). Moments with an offset are compared at UTC; one with and one without cannot be.

Spec: http://hl7.org/fhirpath/N1/#comparison and #datetime-arithmetic
"""

import re
from calendar import monthrange
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

_match = re.compile(
    r"(?:([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?)?"
    r"(?:(T)(?:([0-9]{2})(?::([0-9]{2})(?::([0-9]{2}(?:\.[0-9]{1,20})?))?)?)?"
    r"(Z|[+-][0-9]{2}:[0-9]{2})?)?"
).fullmatch
_UNITS = ("year", "month", "day", "hour", "minute", "second")
_SECONDS = {
    "week": Decimal(604800),
    "day": Decimal(86400),
    "hour": Decimal(3600),
    "minute": Decimal(60),
    "second": Decimal(1),
    "millisecond": Decimal("0.001"),
}
_LONGEST = 64

Part = int | Decimal


class Moment(NamedTuple):
    """`kind` is Date, DateTime or Time; `parts` are year to second, or hour to second of a Time.

    `offset` is in minutes from UTC, None without one; `text` is as written, for `toString`.
    """

    kind: str
    parts: tuple[Part, ...]
    offset: int | None
    text: str


def read_moment(text: str, kind: str = "") -> Moment | None:
    """Return the moment that `text` writes (`2024-02`, `T10:00`, `2024T`), None if it is none.

    `kind` says what a FHIR type makes of it: a dateTime may have no time.
    """
    match = _match(text) if len(text) <= _LONGEST else None
    if match is None and kind == "Time":
        match = _match("T" + text) if len(text) <= _LONGEST else None
    if match is None or not (match[1] or match[5]):
        return None
    found = kind or ("Time" if not match[1] else "DateTime" if match[4] else "Date")
    if found == "Time" and match[1]:
        return None
    fields = match.group(1, 2, 3, 5, 6) if found != "Time" else match.group(5, 6)
    parts: list[Part] = [int(part) for part in fields if part is not None]
    if match[7]:
        parts.append(Decimal(match[7]))
    offset = _minutes(match[8]) if match[8] else None
    if not _exists(found, parts) or (offset is not None and found != "DateTime"):
        return None
    return Moment(found, tuple(parts), offset, text)


def _exists(kind: str, parts: list[Part]) -> bool:
    day, time = ([], parts) if kind == "Time" else (parts[:3], parts[3:])
    if day and not day[0]:
        return False
    if len(day) > 1 and not 1 <= day[1] <= 12:
        return False
    if len(day) > 2 and not 1 <= day[2] <= monthrange(int(day[0]), int(day[1]))[1]:
        return False
    return all(part < most for part, most in zip(time, (24, 60, 61), strict=False))


def _minutes(offset: str) -> int:
    if offset == "Z":
        return 0
    minutes = int(offset[1:3]) * 60 + int(offset[4:6])
    return -minutes if offset[0] == "-" else minutes


def same(left: Moment, right: Moment) -> bool | None:
    """Return whether two moments are the same; None if their precision leaves that open."""
    if (left.kind == "Time") != (right.kind == "Time"):
        return False
    order = compare(left, right)
    return None if order is None else order == 0


def compare(left: Moment, right: Moment) -> int | None:
    """Return -1, 0 or 1; None if precision, or an offset that only one has, leaves it open."""
    if left.offset is not None and right.offset is not None:
        left, right = _at_utc(left), _at_utc(right)
    elif (left.offset is None) != (right.offset is None):
        return _apart(left, right)
    for one, other in zip(left.parts, right.parts, strict=False):
        if one != other:
            return -1 if one < other else 1
    return 0 if len(left.parts) == len(right.parts) else None


def _apart(left: Moment, right: Moment) -> int | None:
    """Return the order of a moment with an offset and one without: certain beyond a day."""
    if len(left.parts) < 3 or len(right.parts) < 3:
        years = int(left.parts[0]) - int(right.parts[0])
        return None if abs(years) < 2 else (-1 if years < 0 else 1)
    days = _day(left) - _day(right)
    return None if abs(days.days) < 2 else (-1 if days.days < 0 else 1)


def _day(moment: Moment) -> datetime:
    year, month, day = (int(part) for part in moment.parts[:3])
    return datetime(year, month, day)


def _at_utc(moment: Moment) -> Moment:
    if not moment.offset or len(moment.parts) < 4:
        return moment
    whole = [int(part) for part in moment.parts]
    try:
        moved = datetime(*(*whole[:5], *(0,) * (5 - len(whole)))) - timedelta(minutes=moment.offset)  # type: ignore[arg-type]  # five numbers
    except (OverflowError, ValueError):
        return moment
    fields: tuple[Part, ...] = (moved.year, moved.month, moved.day, moved.hour, moved.minute)
    return moment._replace(parts=(*fields, *moment.parts[5:])[: len(moment.parts)], offset=0)


def add(moment: Moment, amount: Decimal, unit: str) -> Moment | None:
    """Return `moment` and `amount` of a calendar unit (`year` … `millisecond`); None beyond 9999.

    A day that the month has not becomes its last; what is finer than the moment is left out.
    """
    if moment.kind != "Time" and unit in ("year", "month"):
        return _add_months(moment, int(amount) * (12 if unit == "year" else 1))
    seconds = _SECONDS.get(unit)
    if seconds is None:
        return None
    if unit not in ("second", "millisecond"):
        amount = Decimal(int(amount))  # only seconds have a fraction
    first = 3 if moment.kind == "Time" else 0
    precision = _UNITS[first + len(moment.parts) - 1]
    total = amount * seconds
    if precision in ("year", "month"):
        per = 365 if precision == "year" else 30
        months = int(total / 86400 / per) * (12 if precision == "year" else 1)
        return _add_months(moment, months)
    return _add_seconds(moment, total, _SECONDS[precision])


def _add_months(moment: Moment, months: int) -> Moment | None:
    year, month = int(moment.parts[0]), int(moment.parts[1]) if len(moment.parts) > 1 else 1
    count = year * 12 + month - 1 + months
    year, month = divmod(count, 12)
    if not 1 <= year <= 9999:
        return None
    parts: list[Part] = [year, month + 1, *moment.parts[2:]][: len(moment.parts)]
    if len(parts) > 2:
        parts[2] = min(int(parts[2]), monthrange(year, month + 1)[1])
    return written(moment, tuple(parts))


def _add_seconds(moment: Moment, seconds: Decimal, precision: Decimal) -> Moment | None:
    if precision > 1:
        seconds = Decimal(int(seconds / precision)) * precision
    # a time goes round the clock, so its day is any that has days on both sides
    parts: list[Part] = [2000, 1, 1, *moment.parts] if moment.kind == "Time" else [*moment.parts]
    length = len(parts)
    parts += [0] * (6 - length)
    digits = -int(Decimal(parts[5]).as_tuple().exponent)
    # what is finer than the moment says is cut off
    total = (Decimal(parts[5]) + seconds).quantize(Decimal(1).scaleb(-digits), "ROUND_FLOOR")
    whole, fraction = divmod(total, 1)
    if fraction < 0:
        whole, fraction = whole - 1, fraction + 1
    try:
        start = datetime(*(int(part) for part in parts[:5]))  # type: ignore[arg-type]  # five numbers
        moved = start + timedelta(seconds=int(whole))
    except (OverflowError, ValueError):
        return None
    found: list[Part] = [moved.year, moved.month, moved.day, moved.hour, moved.minute]
    found.append(moved.second + fraction)
    return written(moment, tuple(found[3 if moment.kind == "Time" else 0 : length]))


def written(moment: Moment, parts: tuple[Part, ...]) -> Moment:
    """Return a moment of the kind and offset of `moment`, with other parts and their text."""
    day = parts if moment.kind != "Time" else ()
    time = parts[3:] if moment.kind != "Time" else parts
    text = "-".join(_digits(part, 4 if not at else 2) for at, part in enumerate(day[:3]))
    if moment.kind == "Time":
        text += ":".join(_digits(part, 2) for part in time)
    elif moment.kind == "DateTime" and time:
        text += "T" + ":".join(_digits(part, 2) for part in time) + _zone(moment.offset)
    return Moment(moment.kind, parts, moment.offset, text)


def _digits(part: Part, width: int) -> str:
    whole, dot, fraction = str(part).partition(".")
    return whole.zfill(width) + dot + fraction


def _zone(offset: int | None) -> str:
    if offset is None:
        return ""
    if not offset:
        return "Z"
    hours, minutes = divmod(abs(offset), 60)
    return f"{'-' if offset < 0 else '+'}{hours:02}:{minutes:02}"
