"""The code of a health institution: nine characters of GB 11714, or the longer one of WS 218.

The nine are eight and a check character, often with a hyphen between. The longer writing has 22
or 23 characters and no check of its own.

Spec: GB 11714-1997; WS 218-2002; DOMAIN 3.2
"""

import re
import unicodedata

_SHORT = re.compile(r"[0-9A-Z]{8}-?[0-9X]")
_LONG = re.compile(r"[0-9A-Z-]{22,23}")
_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)


def check_character(first_8: str) -> str:
    """Return the check character of eight digits or capitals.

    >>> check_character("D2143569")
    'X'
    """
    total = sum(
        int(character, 36) * weight for character, weight in zip(first_8, _WEIGHTS, strict=True)
    )
    return "0123456789X0"[11 - total % 11]


def fault(text: str) -> str:
    """Return why `text` cannot be an institution code, `""` if it can.

    >>> fault("D2143569-X"), fault("D21435690")
    ('', 'the check character of the institution code is wrong')
    """
    code = unicodedata.normalize("NFKC", text).replace(" ", "").upper()
    if _SHORT.fullmatch(code):
        is_right = check_character(code[:8]) == code[-1]
        return "" if is_right else "the check character of the institution code is wrong"
    if _LONG.fullmatch(code):
        return ""
    return "an institution code has 9 characters (GB 11714), or 22 to 23 (WS 218)"
