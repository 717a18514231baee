"""The formats of R4's primitive types, with real calendars: 2023-02-29 is not a date.

One function a type. Each begins with the quickest test that most values pass.

Spec: https://hl7.org/fhir/R4/datatypes.html#primitive
"""

import binascii
import re
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from fhir_hub.errors import Issue
from fhir_hub.r4.checks.issues import NONE, Check, Issues, Scope, wrong_kind
from fhir_hub.r4.references import is_id

_MAX_STRING = 1024 * 1024
_MAX_MOMENT = 64  # more digits of a second than any clock has
_MAX_INTEGER = 2**31 - 1

_TIME = r"([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?"
_ZONE = r"(Z|[+-]((0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
_is_moment = re.compile(rf"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}T{_TIME}{_ZONE}").fullmatch
_is_time_form = re.compile(_TIME).fullmatch
# Patterns that repeat a group remember every round: on 10 MB of text that is a gigabyte.
_CONTROL = r"[\x00-\x08\x0b\x0c\x0e-\x1f]"
_is_control = re.compile(_CONTROL).search
_ill_spaced = re.compile(rf"\A[ \t\r\n]|[ \t\r\n]{{2}}|[ \t\r\n]\Z|{_CONTROL}").search
_is_oid = re.compile(r"urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*)){1,100}").fullmatch
_is_uuid = re.compile(
    r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
).fullmatch
_blank = re.compile(r"[\x00-\x20]").search


def _has_no_blank(text: str) -> bool:
    """Return whether a text surely has no blank or control character: quicker than a pattern."""
    return " " not in text and text.isprintable()


def _string(value: Any, scope: Scope) -> Issues:
    if type(value) is not str:
        return wrong_kind("a string", value)
    if not value or value.isspace():
        return [Issue("invalid", "give a text, or leave the element out: it must not be empty")]
    if len(value) > _MAX_STRING:
        return [Issue("too-long", "shorten the text: a string holds at most 1,048,576 characters")]
    if not value.isprintable() and _is_control(value):  # the first says no of line ends too
        return [Issue("value", "take out the control characters: of these only tab, CR and LF")]
    return NONE


def _uri(value: Any, scope: Scope) -> Issues:
    if type(value) is not str:
        return wrong_kind("a string", value)
    if not value:
        return [Issue("invalid", "give a URI, or leave the element out: it must not be empty")]
    if len(value) > _MAX_STRING:  # a limit of ours; R4 sets none for a URI
        return [Issue("too-long", "shorten the URI: it holds at most 1,048,576 characters")]
    if not _has_no_blank(value) and _blank(value):
        return [Issue("value", "take blanks and control characters out: a URI has none")]
    return NONE


def formatted(is_valid: Callable[[str], object], advice: str) -> Check:
    """Return the check of a type whose values are strings that `is_valid` accepts."""

    def check(value: Any, scope: Scope) -> Issues:
        if type(value) is not str:
            return wrong_kind("a string", value)
        return NONE if is_valid(value) else [Issue("value", advice)]

    return check


def is_date(text: str) -> bool:
    """Return whether `text` is a FHIR date: a year, a month or a day of the calendar.

    >>> is_date("2024-02-29"), is_date("2023-02-29"), is_date("2024-2")
    (True, False, False)
    """
    length = len(text)
    if length == 4:
        text += "-01-01"
    elif length == 7:
        text += "-01"
    elif length != 10:
        return False
    if text[4] != "-" or text[7] != "-":
        return False  # fromisoformat knows 2024-W09-4 too
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def is_instant(text: str) -> bool:
    """Return whether `text` is a FHIR instant: a moment with seconds and zone.

    >>> is_instant("2024-02-29T10:00:00+08:00"), is_instant("2024-02-29T10:00+08:00")
    (True, False)
    """
    return 20 <= len(text) <= _MAX_MOMENT and _is_moment(text) is not None and is_date(text[:10])


def is_date_time(text: str) -> bool:
    """Return whether `text` is a FHIR dateTime: a date, or a moment with seconds and zone."""
    return is_date(text) if len(text) <= 10 else is_instant(text)


def _is_time(text: str) -> bool:
    return len(text) <= _MAX_MOMENT and _is_time_form(text) is not None


def is_code(text: str) -> bool:
    """Return whether `text` is a FHIR code: not empty, single blanks inside at most."""
    if not 0 < len(text) <= _MAX_STRING:
        return False
    return _has_no_blank(text) or not _ill_spaced(text)


def _is_base64(text: str) -> bool:
    # Line breaks are allowed; binascii is strict about the rest and much quicker than a pattern.
    content = "".join(text.split()) if _blank(text) else text
    try:
        return bool(binascii.a2b_base64(content, strict_mode=True))
    except ValueError:
        return False


def _boolean(value: Any, scope: Scope) -> Issues:
    return NONE if value is True or value is False else wrong_kind("true or false", value)


def _decimal(value: Any, scope: Scope) -> Issues:
    if type(value) is int or isinstance(value, Decimal):
        return NONE
    return wrong_kind("a decimal number", value)


def element_id(value: Any, scope: Scope) -> Issues:
    """Return the issues of `Element.id`: a string without blanks."""
    issues = _string(value, scope)
    if not issues and _blank(value):
        return [Issue("value", "take the blanks out: the id of an element has none")]
    return issues


def _integer(low: int, advice: str) -> Check:
    def check(value: Any, scope: Scope) -> Issues:
        if type(value) is not int:
            if isinstance(value, Decimal | float):
                return [Issue("value", f"{advice}, without a fraction or an exponent")]
            return wrong_kind("a whole number", value)
        return NONE if low <= value <= _MAX_INTEGER else [Issue("value", advice)]

    return check


PRIMITIVES: Mapping[str, Check] = {
    "base64Binary": formatted(_is_base64, "give base64: A-Z a-z 0-9 + /, padded with ="),
    "boolean": _boolean,
    "canonical": _uri,
    "code": formatted(is_code, "give a code: not empty, no blanks around it, single ones in it"),
    "date": formatted(is_date, "give a date that exists: YYYY, YYYY-MM or YYYY-MM-DD"),
    "dateTime": formatted(
        is_date_time,
        "give a date that exists (YYYY, YYYY-MM, YYYY-MM-DD), or with a time"
        " YYYY-MM-DDThh:mm:ss and a zone (Z or +08:00)",
    ),
    "decimal": _decimal,
    "id": formatted(is_id, "give an id: 1 to 64 of A-Z a-z 0-9 - ."),
    "instant": formatted(
        is_instant, "give a moment that exists: YYYY-MM-DDThh:mm:ss and a zone (Z or +08:00)"
    ),
    "integer": _integer(-_MAX_INTEGER - 1, "give a whole number of 32 bits"),
    "markdown": _string,
    "oid": formatted(_is_oid, "give an OID: urn:oid:1.2.3"),
    "positiveInt": _integer(1, "give a whole number from 1 to 2147483647"),
    "string": _string,
    "time": formatted(_is_time, "give a time: hh:mm:ss, without a zone"),
    "unsignedInt": _integer(0, "give a whole number from 0 to 2147483647"),
    "uri": _uri,
    "url": _uri,
    "uuid": formatted(_is_uuid, "give a UUID: urn:uuid: and lower-case hexadecimal digits"),
}
