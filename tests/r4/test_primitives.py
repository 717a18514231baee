"""The formats of primitive types, against Python's own calendar and codecs.

Spec: https://hl7.org/fhir/R4/datatypes.html#primitive
"""

import base64
from datetime import UTC, date, datetime, time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_hub.r4.checks.issues import NO_SCOPE
from fhir_hub.r4.checks.moments import is_after
from fhir_hub.r4.checks.primitives import PRIMITIVES, is_date, is_date_time, is_instant

MOMENTS = st.datetimes(timezones=st.just(UTC)).map(lambda moment: moment.replace(microsecond=0))


@given(st.dates())
def test_every_day_of_the_calendar_is_a_date_and_a_date_time(day: date) -> None:
    text = day.isoformat()

    assert all(is_date(part) and is_date_time(part) for part in (text, text[:7], text[:4]))


@given(st.integers(0, 9999), st.integers(0, 99), st.integers(0, 99))
def test_a_date_is_of_the_calendar(year: int, month: int, day: int) -> None:
    try:
        date(year, month, day)
        exists = True
    except ValueError:
        exists = False

    assert is_date(f"{year:04}-{month:02}-{day:02}") == exists


@given(st.datetimes(timezones=st.just(UTC)))
def test_every_moment_with_a_zone_is_an_instant(moment: datetime) -> None:
    text = moment.isoformat(timespec="microseconds")

    assert is_instant(text)
    assert is_instant(text.replace("+00:00", "Z"))
    assert not is_instant(text.replace("+00:00", ""))


@given(st.text(max_size=40))
def test_any_text_gets_an_answer(text: str) -> None:
    for check in PRIMITIVES.values():
        assert isinstance(list(check(text, NO_SCOPE)), list)


@given(st.binary(min_size=1))
def test_base64_of_anything_is_base64(content: bytes) -> None:
    assert not PRIMITIVES["base64Binary"](base64.b64encode(content).decode(), NO_SCOPE)
    assert not PRIMITIVES["base64Binary"](base64.encodebytes(content).decode(), NO_SCOPE)


@given(st.times())
def test_every_time_of_the_day_is_a_time(moment: time) -> None:
    assert not PRIMITIVES["time"](moment.isoformat("microseconds"), NO_SCOPE)


@given(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.lists(st.text())))
def test_no_string_type_takes_what_is_no_string(value: Any) -> None:
    for name, check in PRIMITIVES.items():
        if name not in ("boolean", "decimal", "integer", "positiveInt", "unsignedInt"):
            assert check(value, NO_SCOPE), name


@given(st.integers(-(2**33), 2**33))
def test_whole_numbers_have_their_ranges(value: int) -> None:
    def takes(name: str) -> bool:
        return not PRIMITIVES[name](value, NO_SCOPE)

    assert takes("integer") == (-(2**31) <= value < 2**31)
    assert takes("unsignedInt") == (0 <= value < 2**31)
    assert takes("positiveInt") == (0 < value < 2**31)


@given(MOMENTS, MOMENTS)
def test_moments_are_compared_as_moments(first: datetime, last: datetime) -> None:
    assert is_after(first.isoformat(), last.isoformat()) == (first > last)


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("2024", "2024-02-29"),
        ("2024-02-29T23:00:00-08:00", "2024-02"),
        ("2024-02-29", "2024-02-28T23:00:00-08:00"),
        ("2024-02-29T23:59:60Z", "2024-02-28T23:59:60Z"),
        ({"id": "only an extension"}, "2024"),
    ],
)
def test_what_is_not_certain_is_not_after(first: Any, last: Any) -> None:
    assert not is_after(first, last)
