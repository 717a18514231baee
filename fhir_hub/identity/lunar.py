"""The Chinese calendar: the birth date that a grandmother tells is often the lunar one.

A registration desk writes down as a date of the common calendar what was said of the other. So
two records of one person differ by some weeks, and by nothing that looks like a typing error.
Both readings of a date are known here, from a table of the years 1900 to 2049: which month is
doubled, and which months have thirty days.

Spec: GB/T 33661-2017
"""

from datetime import date, timedelta
from functools import lru_cache

_FIRST_YEAR = 1900
_FIRST_DAY = date(1900, 1, 31)  # the first day of the first month of that year

# a year: 16 bits and more; above bit 13 the month that is doubled, then 13 months, 1: 30 days
_YEARS_TEXT = """
1096d 0095c 014ae 0aa4d 01a4c 01b2a 08d55 00ad4 0135a 0495d 0095c 0d49b 0149a 01a4a 0baa5
016a8 01ad4 052da 012b6 0e937 0092e 01496 0b64b 00d4a 00da8 095b5 0056c 012ae 0492f 0092e
0cc96 01a94 01d4a 0ada9 00b5a 0056c 0726e 0125c 0f92d 0192a 01a94 0db4a 016aa 00ad4 0955b
004ba 0125a 0592b 0152a 0f695 00d94 016aa 0aab5 009b4 014b6 06a57 00a56 1152a 01d2a 00d54
0d5aa 0156a 0096c 094ae 014ae 00a4c 07d26 01b2a 0eb55 00ad4 012da 0a95d 0095a 0149a 09a4d
01a4a 11aa5 016a8 016d4 0d2da 012b6 00936 09497 01496 1564b 00d4a 00da8 0d5b4 0156c 012ae
0a92f 0092e 00c96 06d4a 01d4a 10d65 00b58 0156c 0b26d 0125c 0192c 09a95 01a94 01b4a 04b55
00ad4 0f55b 004ba 0125a 0b92b 0152a 01694 096aa 015aa 12ab5 00974 014b6 0ca57 00a56 01526
08e95 00d54 015aa 049b5 0096c 0d4ae 0149c 01a4c 0bd26 01aa6 00b54 06d6a 012da 1695d 0095a
0149a 0da4b 01a4a 01aa4 0bb54 016b4 00ada 0495b 00936 0f497 01496 0154a 0b6a5 00da4 015b4
"""
_YEARS = tuple(int(year, 16) for year in _YEARS_TEXT.split())


def _lengths(year: int) -> list[tuple[int, int]]:
    """Return the months of a year: each its number and its days; a doubled one comes twice."""
    code = _YEARS[year - _FIRST_YEAR]
    doubled = code >> 13
    numbers = [n for n in range(1, 13) for _ in range(2 if n == doubled else 1)]
    return [(n, 29 + (code >> (12 - place) & 1)) for place, n in enumerate(numbers)]


def _new_years() -> tuple[date, ...]:
    days = [_FIRST_DAY]
    for year in range(_FIRST_YEAR, _FIRST_YEAR + len(_YEARS)):
        days.append(days[-1] + timedelta(sum(length for _, length in _lengths(year))))
    return tuple(days)


_NEW_YEARS = _new_years()


def others(text: str) -> tuple[str, ...]:
    """Return what a full date is in the other calendar, read either way, as written dates.

    The first: the common date whose lunar one this is; then the lunar date of this common one.
    Nothing of a date that is not full, or out of the table.

    >>> others("1953-03-01")
    ('1953-04-14', '1953-01-16')
    """
    return _others(text) if len(text) == len("1953-03-01") else ()


@lru_cache(maxsize=4096)
def _others(text: str) -> tuple[str, ...]:
    try:
        year, month, day = (int(part) for part in text.split("-"))
        solar = date(year, month, day)
    except ValueError:
        return ()
    found = (_to_common(year, month, day), _to_lunar(solar))
    return tuple(dict.fromkeys(one for one in found if one and one != text))


def _to_common(year: int, month: int, day: int) -> str:
    place = year - _FIRST_YEAR
    if not 0 <= place < len(_YEARS):
        return ""
    passed = 0
    for number, length in _lengths(year):
        if number == month and day <= length:
            return (_NEW_YEARS[place] + timedelta(passed + day - 1)).isoformat()
        passed += length
    return ""


def _to_lunar(solar: date) -> str:
    year = solar.year if solar >= _new_year(solar.year) else solar.year - 1
    place = year - _FIRST_YEAR
    if not 0 <= place < len(_YEARS):
        return ""
    left = (solar - _NEW_YEARS[place]).days
    for number, length in _lengths(year):
        if left < length:
            return f"{year:04}-{number:02}-{left + 1:02}"
        left -= length
    return ""


def _new_year(year: int) -> date:
    place = min(max(year - _FIRST_YEAR, 0), len(_YEARS))
    return _NEW_YEARS[place]
