"""Phone numbers as people write them, to digits that a search can compare.

A mainland mobile is eleven digits whatever stands before it (`+86`, `0086`, `0`); a landline
keeps its area code. What cannot be read as a number is kept as it was written.

Spec: DOMAIN 3.6
"""

import re
import unicodedata
from typing import NamedTuple

_SEPARATORS = re.compile(r"[/;,、；，|\n]|或")
_EXTENSION = re.compile(r"(?:转|分机号?|ext\.?|x|#)[:：]?\s*(\d{1,6})$", re.IGNORECASE)
_WITH_DASHES = re.compile(r"0\d{2,3}-\d{7,8}(-)\d{1,6}")
_NOT_DIGITS = re.compile(r"[^0-9]")
_MOBILE = re.compile(r"1[3-9]\d{9}")
_MAINLAND = ("0", "400", "800")  # ten digits otherwise are another country's
_LABEL = re.compile(
    r"(?:(?:(?:联系|固定|家庭|单位|办公|移动)?电话|手机)(?:号码?)?|座机|固话|宅电|tel|mobile)[:.\s]*(?=[+(\d])",
    re.IGNORECASE,
)
_PHONE_LIKE = re.compile(r"[-+() \d.]{5,}")


class Phone(NamedTuple):
    """A number: its digits (or what was written), and whether it is a mainland mobile."""

    value: str
    is_mobile: bool = False


def split_phones(text: str) -> list[str]:
    """Return the numbers that stand in one field, in order.

    >>> split_phones("13000000001/021-59720000、")
    ['13000000001', '021-59720000']
    """
    parts = [part.strip() for part in _SEPARATORS.split(unicodedata.normalize("NFKC", text))]
    return [part for part in parts if part]


def normalise(text: str, country: str = "") -> Phone | None:
    """Return the number that `text` writes, `None` if there is nothing in it.

    >>> normalise("+86 130-0000-0001")
    Phone(value='13000000001', is_mobile=True)
    >>> normalise("(021) 5972 0000").value
    '02159720000'
    >>> normalise("手机：13000000001").value
    '13000000001'
    """
    text = unicodedata.normalize("NFKC", text).strip()
    if label := _LABEL.match(text):
        text = text[label.end() :]
    if not text:
        return None
    if dashes := _WITH_DASHES.fullmatch(text):  # 0755-26500000-801
        text = f"{text[: dashes.start(1)]}转{text[dashes.end(1) :]}"
    extension = _EXTENSION.search(text)
    main = text[: extension.start()].strip() if extension else text
    if not _PHONE_LIKE.fullmatch(main):
        return Phone(text)
    digits = _NOT_DIGITS.sub("", main)
    if digits.startswith("0086"):
        digits = digits[4:]
    elif digits.startswith("86") and (main.startswith("+") or _MOBILE.fullmatch(digits[2:])):
        digits = digits[2:]
    elif main.startswith("+"):  # another country's: the plus is part of the number
        return Phone(text)
    if _MOBILE.fullmatch(digits.removeprefix("0")):
        return Phone(digits.removeprefix("0"), is_mobile=True)
    if _foreign(country) or (len(digits) == 10 and not digits.startswith(_MAINLAND)):
        return Phone(text)
    return Phone(f"{digits}-{extension[1]}" if extension else digits) if digits else Phone(text)


def _foreign(country: str) -> bool:
    return bool(country) and country.lstrip("+0") not in ("86", "")
