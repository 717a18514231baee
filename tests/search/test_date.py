"""Date parameters: R4's table of prefixes, word for word.

Spec: https://hl7.org/fhir/R4/search.html#prefix
"""

import pytest

from fhir_hub.errors import InvalidParameter, UnknownParameter


def on(**effective):
    return {"resourceType": "Observation"} | effective


OBSERVATIONS = [
    on(effectiveDateTime="2024-03-10T08:00:00+08:00"),
    on(effectiveDateTime="2024-03-10"),
    on(effectiveDateTime="2024-03"),
    on(effectivePeriod={"start": "2024-03-09", "end": "2024-03-10"}),
    on(effectivePeriod={"start": "2024-03-10T12:00:00+08:00"}),
    on(effectivePeriod={"end": "2024-03-10"}),
    on(effectiveTiming={"event": ["2024-03-10T23:59:59.9+08:00", "2024-03-11"]}),
    on(effectiveInstant="2024-03-09T23:59:59.999+08:00"),
    on(),
]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        # the range of the search value fully contains the range of the target
        ("2024-03-10", "12"),
        ("eq2024-03-10", "12"),
        ("2024-03", "123478"),
        ("2024", "123478"),
        ("2024-03-10T08:00:00+08:00", "1"),
        ("2024-03-10T00:00:00Z", "1"),
        ("2024-03-10T08:00", "1"),
        ("2024-03-10T08:00:00.0", ""),
        # it does not
        ("ne2024-03-10", "345678"),
        ("ne2024", "56"),
        # the range above the search value overlaps with the target
        ("gt2024-03-10", "357"),
        ("gt2024-03-09", "1234567"),
        ("gt2024-03-10T08:00:00+08:00", "234567"),
        # the range below overlaps
        ("lt2024-03-10", "3468"),
        ("lt2024-03-09", "36"),
        # above overlaps, or the search value contains the target
        ("ge2024-03-10", "12357"),
        ("ge2024-04", "5"),
        ("le2024-03-10", "123468"),
        ("le2024-03-09", "368"),
        # the target starts after, ends before
        ("sa2024-03-09", "1257"),
        ("sa2024-03-10", ""),
        ("eb2024-03-10", "8"),
        ("eb2024-03-11", "12468"),
        # the ranges overlap, the search value's widened by itself on both sides
        ("ap2024-03-12", "357"),
        ("ap2024-03-10", "12345678"),
        ("ap2023", "12345678"),
        ("ap2022", "6"),
    ],
)
def test_prefixes_compare_ranges_by_the_letter(find, query, expected):
    assert "".join(find(OBSERVATIONS, f"Observation?date={query}")) == expected


def test_a_time_without_offset_is_read_in_the_zone(find):
    assert find(OBSERVATIONS, "Observation?date=2024-03-10T08:00:00") == ["1"]
    late = [on(effectiveDateTime="2024-03-09T16:00:00Z")]
    assert find(late, "Observation?date=2024-03-10") == ["1"]


def test_a_plus_that_arrives_as_a_blank_is_an_offset(find):
    assert find(OBSERVATIONS, "Observation?date=2024-03-10T08:00:00+08:00") == ["1"]
    assert find(OBSERVATIONS, "Observation?date=2024-03-10T08:00:00%2B08:00") == ["1"]


def test_last_updated_is_the_version_s_time(find):
    old = {"resourceType": "Patient", "meta": {"lastUpdated": "2024-01-01T00:00:00Z"}}
    new = {"resourceType": "Patient", "meta": {"lastUpdated": "2024-01-01T00:00:00.001Z"}}
    assert find([old, new], "Patient?_lastUpdated=gt2024-01-01T00:00:00.000Z") == ["2"]
    assert find([old, new], "Patient?_lastUpdated=le2024-01-01T00:00:00.000Z") == ["1"]
    assert find([old, new], "?_lastUpdated=2024-01-01T00:00:00Z") == ["1", "2"]


def test_several_dates(find):
    assert find(OBSERVATIONS, "Observation?date=ge2024-03-10&date=lt2024-03-11") == [*"12357"]
    assert find(OBSERVATIONS, "Observation?date=sa2024-03-09,eb2024-03-10") == [*"12578"]
    assert find(OBSERVATIONS, "Observation?date:missing=true") == ["9"]


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("date=yesterday", InvalidParameter),
        ("date=2024-13", InvalidParameter),
        ("date=ge", InvalidParameter),
        ("date=", InvalidParameter),
        ("date=2024,", InvalidParameter),
        ("date=xx2024", UnknownParameter),
        ("date:exact=2024", UnknownParameter),
        ("date:not=2024", UnknownParameter),
    ],
)
def test_what_is_no_date_is_refused(read, query, error):
    with pytest.raises(error, match=r"^date") as raised:
        read(f"Observation?{query}")
    assert "yesterday" not in str(raised.value)


@pytest.mark.parametrize("written", ["19530412", "ge19530412", "195304", "20250315101500+0800"])
def test_of_a_date_as_hl7v2_writes_it_the_hyphens_are_told(read, written):
    with pytest.raises(InvalidParameter, match="write YYYY-MM-DD with hyphens, not YYYYMMDD"):
        read(f"Observation?date={written}")


def test_odd_dates_are_passed_over(entries):
    odd = [on(effectiveDateTime=5), on(effectivePeriod="2024"), on(effectivePeriod={})]
    assert [entries(resource) for resource in odd] == [()] * 3
