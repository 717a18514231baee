"""Dates and times in every shape that senders write, as FHIR's.

Spec: https://hl7.org/fhir/R4/datatypes.html#dateTime; DOMAIN 3.6
"""

from datetime import UTC
from zoneinfo import ZoneInfo

import datatype_parts as parts
import pytest

from fhir_hub.hl7v2.datatypes import times


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("2025", "2025"),
        ("202503", "2025-03"),
        ("20250314", "2025-03-14"),
        ("2025031408", "2025-03-14T08:00:00+08:00"),
        ("202503140810", "2025-03-14T08:10:00+08:00"),
        ("20250314081012", "2025-03-14T08:10:12+08:00"),
        ("20250314081012.120", "2025-03-14T08:10:12.120+08:00"),
        ("20250314081012-0500", "2025-03-14T08:10:12-05:00"),
        ("20250314081012-05", "2025-03-14T08:10:12-05:00"),
        ("2025-03-14T08:10:12.5+08", "2025-03-14T08:10:12.5+08:00"),
        ("20250314081012+9900", "2025-03-14T08:10:12+08:00"),
        ("20250314 081012", "2025-03-14T08:10:12+08:00"),
        ("2025-03-14 08:10:00", "2025-03-14T08:10:00+08:00"),
        ("2025-03-14T08:10:00Z", "2025-03-14T08:10:00Z"),
        ("2025-03-14T08:10:00.5+08:00", "2025-03-14T08:10:00.5+08:00"),
        ("2025/3/4", "2025-03-04"),
        ("2025/3/4 8:05", "2025-03-04T08:05:00+08:00"),
        ("2025.03.04", "2025-03-04"),
        ("2025年3月4日", "2025-03-04"),
        ("2025年3月", "2025-03"),
        ("2025年", "2025"),
        ("2025年3月4日8时5分6秒", "2025-03-04T08:05:06+08:00"),
        ("２０２５０３１４", "2025-03-14"),
        ("20250314240000", "2025-03-15T00:00:00+08:00"),
        ("20250314235960", "2025-03-14T23:59:59+08:00"),
        ("1977-01-01", "1977-01-01"),
        ("20240229", "2024-02-29"),
    ],
)
def test_a_time_keeps_its_precision_and_is_read_in_the_zone(raw, expected):
    assert parts.made("dateTime", raw) == expected
    assert parts.made("date", raw) == expected.partition("T")[0]


@pytest.mark.parametrize(
    ("raw", "issue"),
    [
        ("00000000", "placeholder-date"),
        ("19000101", "placeholder-date"),
        ("99991231235959", "placeholder-date"),
        ("1900-01-01 00:00:00", "placeholder-date"),
        ("20250231", "unreadable-date"),
        ("20251301", "unreadable-date"),
        ("530412", "unreadable-date"),
        ("2025031408-10", "unreadable-date"),
        ("20250314256000", "unreadable-date"),
        ("99991231240000", "placeholder-date"),
        ("2025023024", "unreadable-date"),
        ("昨天", "unreadable-date"),
        ("2025-03-14 08:10 pm", "unreadable-date"),
    ],
)
@pytest.mark.parametrize("name", ["date", "dateTime", "instant"])
def test_no_date_and_a_placeholder_are_left_out_with_an_issue(name, raw, issue):
    assert parts.made(name, raw) is None
    assert parts.issues_of(name, raw) == [issue]


def test_a_point_in_time_needs_a_time_of_day():
    assert parts.made("instant", "202503140930") == "2025-03-14T09:30:00+08:00"
    assert parts.made("instant", "20250314") is None
    assert parts.issues_of("instant", "20250314") == ["date-without-time"]


def test_a_zone_with_summer_time_is_honoured():
    new_york = parts.context(zone=ZoneInfo("America/New_York"))
    assert times.date_time(parts.value("20250114081000"), new_york) == "2025-01-14T08:10:00-05:00"
    assert times.date_time(parts.value("20250714081000"), new_york) == "2025-07-14T08:10:00-04:00"
    utc = parts.context(zone=UTC)
    assert times.date_time(parts.value("20250714081000"), utc) == "2025-07-14T08:10:00+00:00"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [("0810", "08:10:00"), ("081005.5", "08:10:05.5"), ("08:10:05", "08:10:05"), ("2460", None),
     ("x", None), ("0810+0800", "08:10:00")],
)  # fmt: skip
def test_a_time_of_day_is_read(raw, expected):
    assert parts.made("time", raw) == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("20250310^20250504", {"start": "2025-03-10", "end": "2025-05-04"}),
        ("20250310", {"start": "2025-03-10"}),
        ("^20250504", {"end": "2025-05-04"}),
        ("20250310^2025", {"start": "2025-03-10", "end": "2025"}),
        ("202503100930^202503100930", {"start": "2025-03-10T09:30:00+08:00",
                                       "end": "2025-03-10T09:30:00+08:00"}),
    ],
)  # fmt: skip
def test_a_period_has_the_ends_that_are_there(raw, expected):
    assert parts.made("Period", raw) == expected


@pytest.mark.parametrize(
    "raw",
    [
        *("20250504^20250310", "202503101000^202503100900", "2025^2024", "202503^202502"),
        "20250314153000.5^20250314153000",
        "202503142300-0500^202503142000+0800",
    ],
)
def test_a_period_that_ends_before_it_starts_loses_its_end(raw):
    assert list(parts.made("Period", raw)) == ["start"]
    assert parts.issues_of("Period", raw) == ["period-reversed"]


def test_one_date_may_be_one_end_of_a_period():
    assert parts.made("PeriodStart", "20250310") == {"start": "2025-03-10"}
    assert parts.made("PeriodEnd", "20250310") == {"end": "2025-03-10"}
