"""FHIRPath's functions of texts.

A text grows by `replace` and `join` only, and only so far.

Spec: http://hl7.org/fhirpath/N1/#string-manipulation
"""

import base64
import html
import json
import re
from collections.abc import Mapping
from typing import Any

from fhir_hub.r4.expressions.patterns import NoPattern, pattern
from fhir_hub.r4.expressions.scope import Function
from fhir_hub.r4.expressions.values import Items, Wrong, is_number, one
from fhir_hub.r4.expressions.written import text_of
from fhir_hub.r4.fhirpath_text import unescaped

_LONGEST = 1_000_000


def _pattern(text: str) -> Any:
    try:
        return pattern(text)
    except NoPattern as error:
        raise Wrong(str(error)) from None


def _text(items: Items) -> str | None:
    value = one(items)
    if value is None or isinstance(value, str):
        return value
    text = text_of(value)
    if text is None:
        raise Wrong("a text is needed here")
    return text


def _whole(items: Items) -> int | None:
    value = one(items)
    if value is None or type(value) is int:
        return value
    raise Wrong("a whole number is needed here")


def of_texts(act: Any) -> Function:
    """Return the function of texts that is empty as soon as one of them is."""

    def apply(items: Items, *arguments: Items) -> Items:
        texts = [_text(each) for each in (items, *arguments)]
        if None in texts:
            return []
        found = act(*texts)
        return [] if found is None else found if type(found) is list else [found]

    return apply


def _substring(items: Items, start: Items, length: Items | None = None) -> Items:
    text, first = _text(items), _whole(start)
    if text is None or first is None or not 0 <= first < len(text):
        return []
    count = _whole(length) if length else None
    return [text[first:] if count is None else text[first : first + max(count, 0)]]


def _replaced(text: str, wanted: str, by: str) -> str:
    template = re.sub(r"\$(\d)", r"\\\1", by.replace("\\", "\\\\"))
    if not wanted:
        return text
    try:
        return str(_pattern(wanted).sub(template, text))
    except (IndexError, ValueError):
        raise Wrong("the replacement names a group that is not there") from None


def _replace(text: str, part: str, by: str) -> str:
    if len(text) + (text.count(part) + 1) * len(by) > _LONGEST:
        raise Wrong("the text becomes too long")
    return text.replace(part, by)


def _joined(items: Items, by: Items = ()) -> Items:  # type: ignore[assignment]  # nothing
    separator = _text(by) or ""
    texts = [_text([item]) for item in items]
    return [separator.join(text for text in texts if text is not None)] if items else []


def _encoded(text: str, coding: str) -> str | None:
    raw = text.encode()
    if coding == "hex":
        return raw.hex()
    if coding == "base64":
        return base64.b64encode(raw).decode()
    return base64.urlsafe_b64encode(raw).decode() if coding == "urlbase64" else None


def _decoded(text: str, coding: str) -> str | None:
    try:
        if coding == "hex":
            return bytes.fromhex(text).decode()
        if coding == "base64":
            return base64.b64decode(text, validate=True).decode()
        return base64.urlsafe_b64decode(text).decode() if coding == "urlbase64" else None
    except ValueError:
        return None


def _escaped(text: str, target: str) -> str | None:
    if target == "html":
        return html.escape(text)
    return json.dumps(text, ensure_ascii=False)[1:-1] if target == "json" else None


def _unescaped(text: str, target: str) -> str | None:
    if target == "html":
        return html.unescape(text)
    return unescaped(text) if target == "json" else None


def _matches(text: str, wanted: str) -> bool:
    return _pattern(wanted).search(text) is not None


def _length(items: Items) -> Items:
    value = one(items)
    if value is None:
        return []
    if is_number(value) or isinstance(value, bool):
        raise Wrong("a text is needed here")
    text = _text(items)
    return [len(text or "")]


TEXTS: Mapping[str, Function] = {
    "contains": of_texts(lambda text, part: part in text),
    "startsWith": of_texts(str.startswith),
    "endsWith": of_texts(str.endswith),
    "indexOf": of_texts(str.find),
    "lastIndexOf": of_texts(str.rfind),
    "upper": of_texts(str.upper),
    "lower": of_texts(str.lower),
    "trim": of_texts(str.strip),
    "toChars": of_texts(list),
    "matches": of_texts(_matches),
    "matchesFull": of_texts(lambda text, wanted: bool(_pattern(wanted).fullmatch(text))),
    "replaceMatches": of_texts(_replaced),
    "replace": of_texts(_replace),
    "split": of_texts(lambda text, by: text.split(by) if by else list(text)),
    "encode": of_texts(_encoded),
    "decode": of_texts(_decoded),
    "escape": of_texts(_escaped),
    "unescape": of_texts(_unescaped),
    "substring": _substring,
    "length": _length,
    "join": _joined,
}
