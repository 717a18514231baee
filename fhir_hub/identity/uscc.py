"""The unified social credit code of institutions.

Eighteen characters of an alphabet without I, O, S, V, Z; the last one checks the others.

Spec: GB 32100-2015; DOMAIN 3.2
"""

import unicodedata

_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_VALUES = {character: value for value, character in enumerate(_ALPHABET)}


def check_character(first_17: str) -> str | None:
    """Return the check character of 17 characters, `None` if one is not of the alphabet.

    >>> check_character("12310118DEM000014")
    '9'
    """
    total = 0
    for position, character in enumerate(first_17):
        value = _VALUES.get(character)
        if value is None:
            return None
        total += value * pow(3, position, 31)
    return _ALPHABET[(31 - total % 31) % 31]


def normalise(text: str) -> str:
    """Return the code in half-width capitals without blanks."""
    return unicodedata.normalize("NFKC", text).replace(" ", "").upper()


def is_valid(text: str) -> bool:
    """Say whether `text` is a code whose check character is right."""
    code = normalise(text)
    return len(code) == 18 and check_character(code[:17]) == code[17]
