"""The resident identity number of GB 11643: what it says and whether it can be right.

Six digits of a division, eight of the birth date, three of a sequence (odd: male) and a check
character. A number keeps the division of its issue, so a retired one is no fault; a province
that never was is. The old 15 digits become 18, and the old writing is kept.

Spec: GB 11643-1999; ISO 7064 MOD 11-2; DOMAIN 3.1
"""

import unicodedata
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

_SHORT = 100  # what is longer is not kept, so that what is kept is small
_CHECK = "10X98765432"
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_DIGITS = frozenset("0123456789")
_DROPPED = str.maketrans("", "", " \t\u00a0\u3000-")

# 71, 81, 82, 83: Taiwan, Hong Kong, Macao and the residence permits.
_RANGES = ((11, 15), (21, 23), (31, 37), (41, 46), (50, 54), (61, 65), (71, 71), (81, 83))
_PROVINCES = frozenset(str(code) for low, high in _RANGES for code in range(low, high + 1))


@dataclass(frozen=True, slots=True)
class ResidentId:
    """A number that was looked at. `reasons` says why it cannot be right; none: it can.

    `value` is what to store: 18 characters where it can be brought to that. `former` is the
    15-digit writing. `birth_date` and `gender` (as FHIR says them) are `""` where not valid.
    """

    value: str
    former: str = ""
    birth_date: str = ""
    gender: str = ""
    reasons: tuple[str, ...] = ()

    @property
    def is_valid(self) -> bool:
        """Say whether the number can be a person's: the only kind that may match patients."""
        return not self.reasons

    @property
    def division(self) -> str:
        """Return the six digits of the division (GB/T 2260) in which it was issued."""
        return self.value[:6]


def check_character(first_17: str) -> str:
    """Return the check character of 17 digits.

    >>> check_character("31022919530412998")
    '9'

    Spec: GB 11643-1999, 4.5
    """
    weighted = zip(first_17, _WEIGHTS, strict=True)
    return _CHECK[sum(int(digit) * weight for digit, weight in weighted) % 11]


def normalise(text: str) -> str:
    """Return the number without blanks and dashes, half width, a lower-case x as X."""
    return unicodedata.normalize("NFKC", text).translate(_DROPPED).upper()


def looks_like(text: str) -> bool:
    """Say whether `text` has a number's shape: 17 digits and a digit or X."""
    number = normalise(text)
    return len(number) == 18 and _DIGITS.issuperset(number[:17]) and number[17] in "0123456789X"


def examine(text: str, today: date | None = None) -> ResidentId:
    """Return what `text` says as a resident ID, with the reasons why it cannot be one.

    Reasons: `length`, `characters`, `filler`, `province`, `birth-date`, `check-character`.
    With `today`, a birth date after it is a reason too.

    >>> examine("31022919530412998９").birth_date
    '1953-04-12'
    >>> examine("310229195304129988").reasons
    ('check-character',)
    """
    return (_examined if len(text) < _SHORT else _examined.__wrapped__)(text, today)


@lru_cache(maxsize=4096)
def _examined(text: str, today: date | None) -> ResidentId:
    number = normalise(text)
    if len(number) not in (15, 18):
        return ResidentId(number, reasons=("length",))
    if not _DIGITS.issuperset(number[:17]) or number[-1] not in "0123456789X":
        return ResidentId(number, reasons=("characters",))
    if len(number) == 15:
        whole = number[:6] + "19" + number[6:]
        return _verdict(whole + check_character(whole), number, today)
    return _verdict(number, "", today)


def is_valid(text: str) -> bool:
    """Say whether `text` is a number that can be a person's."""
    return examine(text).is_valid


def contradictions(number: ResidentId, birth_date: str, gender: str) -> tuple[str, ...]:
    """Return which of birth date and gender, as a resource has them, a valid number denies.

    A shorter birth date agrees as far as it goes; an unknown or other gender denies nothing.

    >>> contradictions(examine("310229195304129989"), "1953-05", "female")
    ('birthDate',)
    """
    if not number.is_valid:
        return ()
    found = []
    if birth_date and not number.birth_date.startswith(birth_date):
        found.append("birthDate")
    if gender in ("male", "female") and gender != number.gender:
        found.append("gender")
    return tuple(found)


def masked(text: str) -> str:
    """Return the number as screens show it: the first six and the last four characters."""
    return f"{text[:6]}{'*' * (len(text) - 10)}{text[-4:]}" if len(text) > 10 else "*" * len(text)


def _verdict(number: str, former: str, today: date | None) -> ResidentId:
    reasons = []
    if len(set(number[:17])) <= 2 or number[:6] in ("000000", "111111", "123456"):
        reasons.append("filler")
    province = number[1:3] if number[0] == "9" else number[:2]  # 9…: foreigners' residence card
    if province not in _PROVINCES:
        reasons.append("province")
    birth = _birth_date(number[6:14])
    if birth is None or (today is not None and birth > today):
        reasons.append("birth-date")
    if check_character(number[:17]) != number[17]:
        reasons.append("check-character")
    if reasons or birth is None:
        return ResidentId(number, former, reasons=tuple(reasons))
    gender = "male" if int(number[16]) % 2 else "female"
    return ResidentId(number, former, birth.isoformat(), gender)


def _birth_date(digits: str) -> date | None:
    try:
        birth = date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return None
    return birth if birth.year >= 1850 else None
