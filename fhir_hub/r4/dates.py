"""FHIR dates as half-open UTC intervals, so that a search compares two numbers.

`2024` and `2024-02-29T10:00:00.120Z` are both dates to FHIR; they differ in how much
time they cover. Each becomes the interval that it covers, once: when it is indexed, or
when a query is parsed. After that no code looks at precision again.

Spec: https://hl7.org/fhir/R4/search.html#date
"""

import re
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any, NamedTuple

from fhir_hub.errors import InvalidResource

_match = re.compile(
    r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2})"
    r"(?:T([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]+))?)?(Z|[+-][0-9]{2}:[0-9]{2})?)?)?)?"
).fullmatch
# what systems write: to the second, with an offset of less than 14 hours
_is_usual = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[+-](?:0[0-9]|1[0-3]):[0-5][0-9]"
).fullmatch
_is_run_together = re.compile(r"[0-9]{6,}(?:[.+-].*)?").fullmatch  # as HL7v2 has it
_SHORT = 40
_SECOND = 1_000_000
_DAY = 86_400 * _SECOND
_EPOCH = date(1970, 1, 1).toordinal()
_LAST = date.max.toordinal()
_MICROSECOND = timedelta(microseconds=1)
_ORIGIN = datetime(1970, 1, 1, tzinfo=UTC)


class Interval(NamedTuple):
    """`start` is in the interval, `end` is not. Both: microseconds since 1970, UTC."""

    start: int
    end: int


class Bounds(NamedTuple):
    """An interval that may be open: None is without bound. Microseconds since 1970, UTC."""

    low: int | None
    high: int | None


def date_interval(text: str, zone: tzinfo) -> Interval:
    """Return the interval that the FHIR date, dateTime or instant `text` covers.

    A date or time without an offset is read in `zone`. What is finer than a microsecond
    is cut off; a leap second is the first second of the next minute. Raises
    `InvalidResource` if `text` is not a date ("2024-13", "today").

    >>> from datetime import UTC
    >>> start, end = date_interval("2024-02-29", UTC)
    >>> end - start
    86400000000

    Spec: https://hl7.org/fhir/R4/datatypes.html#dateTime
    """
    return (_interval if len(text) < _SHORT else _interval.__wrapped__)(text, zone)


# what is measured together, and what is asked for all day, says the same time
@lru_cache(maxsize=2048)
def _interval(text: str, zone: tzinfo) -> Interval:
    if _is_usual(text):
        try:
            start = (datetime.fromisoformat(text) - _ORIGIN) // _MICROSECOND
            return Interval(start, start + _SECOND)
        except ValueError:  # a leap second, and what there is not, are told apart below
            pass
    match = _match(text)
    if match is None:
        if _is_run_together(text):
            raise InvalidResource("not a date: write YYYY-MM-DD with hyphens, not YYYYMMDD")
        raise InvalidResource("not a date: write YYYY, YYYY-MM, YYYY-MM-DD or a time behind it")
    year, month, day, hour, minute, second, fraction, offset = match.groups()
    try:
        ordinal = date(int(year), int(month or 1), int(day or 1)).toordinal()
        if hour is None:
            days = 1 if day else _days(int(year), int(month) if month else 0)
            return Interval(_utc(ordinal, 0, zone), _utc(ordinal + days, 0, zone))
        time, width = _time(int(hour), int(minute), second, fraction)
    except ValueError:
        raise InvalidResource("not a date: the calendar or the clock has no such moment") from None
    if offset is None:
        start = _utc(ordinal, time, zone)
    else:
        start = (ordinal - _EPOCH) * _DAY + time - _offset(offset)
    return Interval(start, start + width)


def period_bounds(period: dict[str, Any], zone: tzinfo) -> Bounds | None:
    """Return what a Period covers, None if it has neither start nor end; `end` is included.

    Spec: https://hl7.org/fhir/R4/datatypes.html#Period
    """
    start, end = period.get("start"), period.get("end")
    if not isinstance(start, str) and not isinstance(end, str):
        return None
    low = date_interval(start, zone).start if isinstance(start, str) else None
    high = date_interval(end, zone).end if isinstance(end, str) else None
    return Bounds(low, high)


def timing_bounds(timing: dict[str, Any], zone: tzinfo) -> Bounds | None:
    """Return the outer limits of a Timing: from its events and its bounds; None if it has none.

    Spec: https://hl7.org/fhir/R4/search.html#date
    """
    events = timing.get("event")
    found: list[Bounds | None] = [
        Bounds(*date_interval(event, zone))
        for event in (events if isinstance(events, list) else ())
        if isinstance(event, str)
    ]
    repeat = timing.get("repeat")
    period = repeat.get("boundsPeriod") if isinstance(repeat, dict) else None
    if isinstance(period, dict):
        found.append(period_bounds(period, zone))
    known = [bounds for bounds in found if bounds]
    if not known:
        return None
    lows = [bounds.low for bounds in known if bounds.low is not None]
    highs = [bounds.high for bounds in known if bounds.high is not None]
    return Bounds(
        min(lows) if len(lows) == len(known) else None,
        max(highs) if len(highs) == len(known) else None,
    )


def _days(year: int, month: int) -> int:
    """Return the days of a month, or of the year for month 0."""
    is_leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if not month:
        return 365 + is_leap
    return 28 + is_leap if month == 2 else 30 + (month + (month > 7)) % 2


def _time(hour: int, minute: int, second: str | None, fraction: str | None) -> tuple[int, int]:
    """Return microseconds since midnight and how many the text covers."""
    seconds = int(second or 0)
    # R4 datatypes.html#dateTime: 24:00 is not allowed; a second may be 60
    if hour > 23 or minute > 59 or seconds > 60:
        raise ValueError
    start = (hour * 3600 + minute * 60 + seconds) * _SECOND
    if second is None:
        return start, 60 * _SECOND
    if fraction is None:
        return start, _SECOND
    return start + int(fraction[:6].ljust(6, "0")), int(10 ** (6 - min(len(fraction), 6)))


def _offset(text: str) -> int:
    if text == "Z":
        return 0
    hours, minutes = int(text[1:3]), int(text[4:6])
    if hours > 14 or minutes > 59 or (hours == 14 and minutes):
        raise InvalidResource("not a date: an offset is between -14:00 and +14:00")
    size = (hours * 3600 + minutes * 60) * _SECOND
    return -size if text[0] == "-" else size


def _utc(ordinal: int, time: int, zone: tzinfo) -> int:
    """Return the moment of a day's local time, in microseconds since 1970, UTC."""
    offset = zone.utcoffset(None)
    if offset is None:  # a zone whose offset depends on the day
        local = datetime.fromordinal(min(ordinal, _LAST)) + timedelta(microseconds=time % _DAY)
        offset = zone.utcoffset(local) or timedelta()
    return (ordinal - _EPOCH) * _DAY + time - offset // _MICROSECOND
