"""DT, DTM, TS, TM and DR as FHIR dates and times.

Senders write a date in many shapes (`20250314`, `2025-03-14 08:10:00`, `2025年3月14日`); each is
taken apart into the same numbers once, and every FHIR type is written from those. Precision is
kept; a time of day gets seconds because FHIR wants them, and an offset from the zone.

Spec: https://hl7.org/fhir/R4/datatypes.html#dateTime; HL7v2 chapter 2A, DTM; DOMAIN 3.6
"""

import re
from datetime import datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

from fhir_hub.hl7v2.datatypes.context import Context
from fhir_hub.hl7v2.datatypes.parts import compact, half_width, part
from fhir_hub.hl7v2.parsing.er7 import Value

_COMPACT = re.compile(
    r"(\d{4})(?:(\d\d)(?:(\d\d)(?:[\sT]?(\d\d)(?::?(\d\d)(?::?(\d\d)(\.\d{1,9})?)?)?)?)?)?"
    r"\s*([+-]\d\d(?(6)(?::?\d\d)?|:?\d\d)|Z)?",  # behind a second `+08` will do
    re.ASCII,
)
_WRITTEN = re.compile(
    r"(\d{4})[-/.年](?:(\d{1,2})(?:[-/.月](?:(\d{1,2})日?"
    r"(?:[T\s]*(\d{1,2})(?:[:时点](?:(\d{1,2})(?:[:分](?:(\d{1,2})(\.\d{1,9})?秒?)?)?)?)?"
    r"\s*([+-]\d\d(?(6)(?::?\d\d)?|:?\d\d)|Z)?)?)?)?)?",
    re.ASCII,
)
_TIME = re.compile(r"(\d\d):?(\d\d)(?::?(\d\d)(\.\d{1,9})?)?(?:[+-]\d{4})?", re.ASCII)
_ZONED = re.compile(r"\d{4}(?:\.\d+)?([+-]\d{4})\s*$", re.ASCII)
_LAST_YEAR = 2199  # what is later and has six digits is YYMMDD, not YYYYMM
_SENTINELS = {(1900, 1, 1), (9999, 12, 31), (1753, 1, 1), (1, 1, 1)}


class Moment(NamedTuple):
    """A date or time as far as it was written; 0 and -1 mean not written."""

    year: int
    month: int = 0
    day: int = 0
    hour: int = -1
    minute: int = 0
    second: int = 0
    fraction: str = ""
    offset: str = ""

    @property
    def has_time(self) -> bool:
        """Say whether a time of day was written."""
        return self.hour >= 0


def read_moment(text: str, context: Context) -> Moment | None:
    """Return what `text` says, `None` with an issue if it says no date or a placeholder."""
    if not text:
        return None
    if len(text) in (8, 14) and text.isascii() and text.isdigit():
        return _known(_of_digits(text), context)
    text = half_width(text)
    match = _COMPACT.fullmatch(text)
    if match is None and (match := _WRITTEN.fullmatch(text)):
        context.normalised("written-date", "a date or time is not written as HL7 has it")
    if match is None:
        context.issue("unreadable-date", "a date or time cannot be read; it was left out")
        return None
    year, month, day, hour, minute, second, fraction, offset = match.groups()
    moment = Moment(
        int(year),
        int(month or 0),
        int(day or 0),
        int(hour) if hour else -1,
        int(minute or 0),
        int(second or 0),
        fraction or "",
        _offset(offset or ""),
    )
    return _known(moment, context)


def _of_digits(text: str) -> Moment:
    """Return the moment of eight or fourteen digits, as most dates and times are written."""
    year, month, day = int(text[:4]), int(text[4:6]), int(text[6:8])
    if len(text) == 8:
        return Moment(year, month, day)
    return Moment(year, month, day, int(text[8:10]), int(text[10:12]), int(text[12:]))


def is_placeholder(text: str) -> bool:
    """Say whether a text is a date that only fills its field, as `0000-00-00` and `99991231`."""
    match = _WRITTEN.fullmatch(text) or _COMPACT.fullmatch(text)
    if match is None:
        return False
    year, month, day = (int(match[at] or 0) for at in (1, 2, 3))
    return year == 0 or (year, month, day) in _SENTINELS


def to_the_second(text: str, zone: tzinfo) -> str:
    """Return the dateTime of fourteen digits, `""` where there is more to say of a text."""
    return _written(text, zone) if len(text) == 14 and text.isascii() and text.isdigit() else ""


@lru_cache(maxsize=1024)
def _written(text: str, zone: tzinfo) -> str:
    moment = _of_digits(text)
    if moment[:3] in _SENTINELS:
        return ""
    try:
        return datetime(*moment[:6], tzinfo=zone).isoformat()[:25]
    except ValueError:
        return ""


def _known(moment: Moment, context: Context) -> Moment | None:
    if moment.year == 0 or moment[:3] in _SENTINELS:
        context.issue("placeholder-date", "a date is a placeholder; it was left out")
        return None
    if moment.year > _LAST_YEAR and moment.month and not moment.day:
        context.issue("unreadable-date", "a date of six digits has no century; it was left out")
        return None
    return _valid(moment, context)


def _valid(moment: Moment, context: Context) -> Moment | None:
    if moment.hour == 24 and moment.minute == 0 and moment.second == 0:
        moment = moment._replace(hour=0)
        moment = _next_day(moment)
    if moment.second == 60:
        moment = moment._replace(second=59)
    try:
        datetime(
            moment.year,
            moment.month or 1,
            moment.day or 1,
            max(moment.hour, 0),
            moment.minute,
            moment.second,
        )
    except ValueError:
        context.issue("unreadable-date", "a date or time is not in the calendar; it was left out")
        return None
    return moment


def _next_day(moment: Moment) -> Moment:
    try:
        following = datetime(moment.year, moment.month, moment.day) + timedelta(days=1)
    except (ValueError, OverflowError):
        return moment
    return moment._replace(year=following.year, month=following.month, day=following.day)


def _offset(text: str) -> str:
    if not text or text == "Z":
        return text
    sign, digits = text[0], text[1:].replace(":", "")
    hours, minutes = int(digits[:2]), int(digits[2:] or 0)
    # R4 knows offsets to 14:00; what lies beyond is noise, and the sender's zone holds
    return f"{sign}{hours:02}:{minutes:02}" if hours * 60 + minutes <= 840 and minutes < 60 else ""


def zone_of(text: str) -> tzinfo | None:
    """Return the zone that the time of a message names: that of all its times without one.

    >>> zone_of("20250314081000-0500"), zone_of("20250314081000")
    (datetime.timezone(datetime.timedelta(days=-1, seconds=68400)), None)

    Spec: HL7v2 chapter 2, MSH-7
    """
    found = None if text.isdigit() else _ZONED.search(text)
    offset = _offset(found[1]) if found else ""
    if not offset:
        return None
    minutes = int(offset[1:3]) * 60 + int(offset[4:])
    return timezone(timedelta(minutes=-minutes if offset[0] == "-" else minutes))


def write_date(moment: Moment) -> str:
    """Return the FHIR date, as precise as the moment is."""
    if not moment.month:
        return f"{moment.year:04}"
    if not moment.day:
        return f"{moment.year:04}-{moment.month:02}"
    return f"{moment.year:04}-{moment.month:02}-{moment.day:02}"


def write_datetime(moment: Moment, zone: tzinfo) -> str:
    """Return the FHIR dateTime, as precise as the moment is; in `zone` where it has no offset."""
    if not moment.has_time:
        return write_date(moment)
    clock = f"{moment.hour:02}:{moment.minute:02}:{moment.second:02}{moment.fraction}"
    return f"{write_date(moment)}T{clock}{moment.offset or _zone_offset(moment, zone)}"


def _zone_offset(moment: Moment, zone: tzinfo) -> str:
    return datetime(*moment[:6], tzinfo=zone).isoformat()[19:25]


def after(begun: str, minutes: Decimal) -> str | None:
    """Return the dateTime so many minutes after another, None if there is none in the calendar.

    After a day it is a day.
    """
    try:
        moment = datetime.fromisoformat(begun) + timedelta(minutes=float(minutes))
    except (OverflowError, ValueError):
        return None
    return moment.isoformat() if "T" in begun else moment.date().isoformat()


def date(value: Value, context: Context) -> str | None:
    """Return the FHIR date of DT, DTM or TS."""
    text = part(value)
    if known := _of_day(text):
        return known
    moment = read_moment(text, context)
    return write_date(moment) if moment else None


def _of_day(text: str) -> str:
    """Return the date of eight digits, `""` where there is more to say of a text."""
    if len(text) != 8 or not (text.isascii() and text.isdigit()):
        return ""
    day = (int(text[:4]), int(text[4:6]), int(text[6:]))
    try:
        return "" if day in _SENTINELS else datetime(*day).date().isoformat()
    except ValueError:
        return ""


def date_time(value: Value, context: Context) -> str | None:
    """Return the FHIR dateTime of DT, DTM, TS, or of the start of DR."""
    text = part(value)
    if known := to_the_second(text, context.zone):
        return known
    moment = read_moment(text, context)
    return write_datetime(moment, context.zone) if moment else None


def instant(value: Value, context: Context) -> str | None:
    """Return the FHIR instant of DTM or TS; `None` with an issue if it has no time of day."""
    text = part(value)
    if known := to_the_second(text, context.zone):
        return known
    moment = read_moment(text, context)
    if moment is None:
        return None
    if not moment.has_time:
        context.issue("date-without-time", "a point in time has no time of day; it was left out")
        return None
    return write_datetime(moment, context.zone)


def time(value: Value, context: Context) -> str | None:
    """Return the FHIR time of TM."""
    text = half_width(part(value))
    if not text:
        return None
    match = _TIME.fullmatch(text)
    if match is None or int(match[1]) > 23 or int(match[2]) > 59 or int(match[3] or 0) > 59:
        context.issue("unreadable-date", "a time of day cannot be read; it was left out")
        return None
    return f"{match[1]}:{match[2]}:{match[3] or '00'}{match[4] or ''}"


def period(value: Value, context: Context) -> dict[str, Any] | None:
    """Return the Period of DR."""
    return period_of(value.component(1), value.component(2), context)


def period_of(start: Value, end: Value, context: Context) -> dict[str, Any] | None:
    """Return the Period of two dates or times, whichever there are.

    An end before its start is left out with an issue: R4 has no such period (per-1).
    """
    first, last = read_moment(part(start), context), read_moment(part(end), context)
    if first and last and _before(last, first, context.zone):
        context.issue("period-reversed", "a period ends before it starts; its end was left out")
        last = None
    return compact(
        {
            "start": write_datetime(first, context.zone) if first else "",
            "end": write_datetime(last, context.zone) if last else "",
        }
    )


def _before(one: Moment, other: Moment, zone: tzinfo) -> bool:
    if one.has_time and other.has_time:
        first, second = (write_datetime(moment, zone) for moment in (one, other))
        return datetime.fromisoformat(first) < datetime.fromisoformat(second)
    length = 3 if one.day and other.day else (2 if one.month and other.month else 1)
    return one[:length] < other[:length]


def period_start(value: Value, context: Context) -> dict[str, Any] | None:
    """Return a Period that starts then and has no end."""
    start = date_time(value, context)
    return {"start": start} if start else None


def period_end(value: Value, context: Context) -> dict[str, Any] | None:
    """Return a Period of which only the end is known."""
    end = date_time(value, context)
    return {"end": end} if end else None
