"""Dates become intervals of UTC microseconds.

Spec: https://hl7.org/fhir/R4/datatypes.html#dateTime
"""

from datetime import UTC, date, datetime, timedelta, timezone, tzinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_hub.clock import microseconds
from fhir_hub.errors import InvalidResource
from fhir_hub.r4.dates import date_interval, period_bounds, timing_bounds

CHINA = timezone(timedelta(hours=8))


class Summers(tzinfo):
    """China as it was: an hour more in the summers until 1991."""

    def utcoffset(self, moment: datetime | None) -> timedelta | None:
        if moment is None:
            return None
        return timedelta(hours=9 if moment.year < 1992 and 4 < moment.month < 9 else 8)


def utc(*parts: int) -> int:
    return microseconds(datetime(*parts, tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2024", utc(2023, 12, 31, 16), utc(2024, 12, 31, 16)),
        ("2023", utc(2022, 12, 31, 16), utc(2023, 12, 31, 16)),
        ("1900-02", utc(1900, 1, 31, 16), utc(1900, 2, 28, 16)),
        ("2000-02", utc(2000, 1, 31, 16), utc(2000, 2, 29, 16)),
        ("2024-04", utc(2024, 3, 31, 16), utc(2024, 4, 30, 16)),
        ("2024-12", utc(2024, 11, 30, 16), utc(2024, 12, 31, 16)),
        ("2024-02-29", utc(2024, 2, 28, 16), utc(2024, 2, 29, 16)),
        ("2024-02-29T10:00", utc(2024, 2, 29, 2), utc(2024, 2, 29, 2, 1)),
        ("2024-02-29T10:00Z", utc(2024, 2, 29, 10), utc(2024, 2, 29, 10, 1)),
        ("2024-02-29T10:00:00+08:00", utc(2024, 2, 29, 2), utc(2024, 2, 29, 2, 0, 1)),
        ("2024-02-29T10:00:00-03:30", utc(2024, 2, 29, 13, 30), utc(2024, 2, 29, 13, 30, 1)),
        (
            "2024-02-29T10:00:00.12Z",
            utc(2024, 2, 29, 10, 0, 0, 120000),
            utc(2024, 2, 29, 10, 0, 0, 130000),
        ),
        (
            "2024-02-29T10:00:00.1234567Z",
            utc(2024, 2, 29, 10, 0, 0, 123456),
            utc(2024, 2, 29, 10, 0, 0, 123457),
        ),
        ("2016-12-31T23:59:60Z", utc(2017, 1, 1), utc(2017, 1, 1, 0, 0, 1)),
        ("2017-01-01T07:59:60+08:00", utc(2017, 1, 1), utc(2017, 1, 1, 0, 0, 1)),
        ("2017-01-01T14:00:00+14:00", utc(2017, 1, 1), utc(2017, 1, 1, 0, 0, 1)),
        ("2016-12-31T11:30:00-12:30", utc(2017, 1, 1), utc(2017, 1, 1, 0, 0, 1)),
        ("0001", utc(1, 1, 1) - 8 * 3600 * 10**6, utc(2, 1, 1) - 8 * 3600 * 10**6),
    ],
)
def test_a_date_covers_what_it_does_not_say(text, start, end):
    assert date_interval(text, CHINA) == (start, end)


def test_the_last_year_ends():
    start, end = date_interval("9999", UTC)
    assert end - start == 365 * 86400 * 10**6
    assert date_interval("9999-12-31", Summers()).end > start


def test_a_zone_may_change_its_offset():
    summers = Summers()
    assert date_interval("1990-07-01", summers).start == utc(1990, 6, 30, 15)
    assert date_interval("1990-07-01T00:30", summers).start == utc(1990, 6, 30, 15, 30)
    assert date_interval("1992-07-01", summers).start == utc(1992, 6, 30, 16)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "today",
        "24",
        "2024-13",
        "2024-00",
        "2024-02-30",
        "2023-02-29",
        "0000",
        "2024-2-1",
        "2024-02-29T",
        "2024-02-29T10",
        "2024-02-29T24:00",
        "2024-02-29T10:60",
        "2024-02-29T10:00:61Z",
        "2024-02-29T10:00:00.Z",
        "2024-02-29T10:00:61+08:00",
        "2023-02-29T10:00:00+08:00",
        "0000-02-29T10:00:00+08:00",
        "2024:02:29T10:00:00+08:00",
        "2024-02-29T10-00-00+08:00",
        "2024-02-29T10:00:00+15:00",
        "2024-02-29T10:00:00+14:30",
        "2024-02-29T10:00:00+08:60",
        "2024-02-29T10:00:00 08:00",
        "2024-08-01T03244302+13:54",
        "2024T10:00",
        "２０２４",
        "2024\n",
        " 2024",
        "20240229",
    ],
)
def test_what_is_no_date_is_refused(text):
    with pytest.raises(InvalidResource):
        date_interval(text, CHINA)


@given(st.dates(), st.sampled_from((UTC, CHINA, timezone(timedelta(hours=-5, minutes=-30)))))
def test_a_day_begins_where_the_one_before_it_ends(day, zone):
    start, end = date_interval(day.isoformat(), zone)
    assert end - start == 86400 * 10**6
    if day < date.max:
        assert date_interval((day + timedelta(days=1)).isoformat(), zone).start == end


offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(timezones=offsets))
def test_a_moment_is_what_python_says(moment):
    start, end = date_interval(moment.isoformat(timespec="microseconds"), UTC)
    assert (start, end) == (microseconds(moment), microseconds(moment) + 1)


def test_a_period_includes_its_end_and_may_be_open():
    day = {"start": "2024-02-28", "end": "2024-02-29"}
    assert period_bounds(day, UTC) == (utc(2024, 2, 28), utc(2024, 3, 1))
    assert period_bounds({"start": "2024"}, UTC) == (utc(2024, 1, 1), None)
    assert period_bounds({"end": "2024"}, UTC) == (None, utc(2025, 1, 1))
    assert period_bounds({}, UTC) is None
    assert period_bounds({"start": None, "end": 3}, UTC) is None


@pytest.mark.parametrize(
    ("timing", "bounds"),
    [
        ({}, None),
        ({"repeat": {"frequency": 3}}, None),
        ({"repeat": {"boundsPeriod": {}}, "event": "odd"}, None),
        ({"event": ["2024-03-01", "2024-02-28"]}, (utc(2024, 2, 28), utc(2024, 3, 2))),
        ({"repeat": {"boundsPeriod": {"start": "2024"}}}, (utc(2024, 1, 1), None)),
        (
            {"event": ["2023"], "repeat": {"boundsPeriod": {"end": "2024"}}},
            (None, utc(2025, 1, 1)),
        ),
    ],
)
def test_of_a_timing_only_the_outer_limits_matter(timing, bounds):
    assert timing_bounds(timing, UTC) == bounds
