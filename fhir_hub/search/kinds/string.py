"""String: the start of a text, whatever its case, accents and width.

Spec: https://hl7.org/fhir/R4/search.html#string
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

from fhir_hub.errors import InvalidResource
from fhir_hub.search.context import Context
from fhir_hub.search.entry import Entry, entry_of
from fhir_hub.search.kinds.modifier import Meaning, Modifier
from fhir_hub.search.kinds.pinyin import spellings
from fhir_hub.search.kinds.values import unescape
from fhir_hub.search.plan import Test, Text

_NAME_PARTS = ("text", "family", "given", "prefix", "suffix")
_ADDRESS_PARTS = ("text", "line", "city", "district", "state", "postalCode", "country")
_NAMES = ("name", "family", "given")  # the parameters whose values may be typed in pinyin
HAN = "\u2e80-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_is_han = re.compile(f"[{HAN}]").search
# 沈 桂芳 is 沈桂芳; the dot of 古丽娜尔·艾山 is written in many ways
_BLANK_BY_HAN = re.compile(f"(?<=[{HAN}]) | (?=[{HAN}])")
_SHORT = 100
_DOTS = str.maketrans(dict.fromkeys("•‧∙・･", "·"))

Add = Callable[[Any, int, list[Entry]], None]


def normalise(text: str) -> str:
    """Return `text` as it is compared: width folded, no accents, no case, blanks squeezed.

    >>> normalise("  Müller  Ｇmbh "), normalise("沈 桂芳")
    ('muller gmbh', '沈桂芳')
    """
    return (_normalised if len(text) < _SHORT else _normalised.__wrapped__)(text)


# names of tests, units and streets come again and again
@lru_cache(maxsize=8192)
def _normalised(text: str) -> str:
    if text.isascii():
        return " ".join(text.lower().split())
    # letters and Han alone have no marks to strip; most names end here
    if not (text.isalnum() and unicodedata.is_normalized("NFKD", text)):
        text = unicodedata.normalize("NFKD", text)
        text = "".join(mark for mark in text if not unicodedata.combining(mark))
        text = unicodedata.normalize("NFC", text)
    text = " ".join(text.casefold().translate(_DOTS).split())
    return _BLANK_BY_HAN.sub("", text)


def _plain(value: Any) -> Iterable[str]:
    return (value,) if type(value) is str else ()


def _name(value: Any) -> Iterable[str]:
    if type(value) is not dict:
        return ()
    texts = _parts(value, _NAME_PARTS)
    if type(value.get("text")) is not str:
        texts.append(_whole_name(value))
    return texts


def _address(value: Any) -> Iterable[str]:
    return _parts(value, _ADDRESS_PARTS) if type(value) is dict else ()


def _parts(value: dict[str, Any], names: Iterable[str]) -> list[str]:
    texts: list[str] = []
    for name in names:
        part = value.get(name)
        if type(part) is str:
            texts.append(part)
        elif type(part) is list:
            texts += [item for item in part if type(item) is str]
    return texts


def _whole_name(name: dict[str, Any]) -> str:
    """Return a name without text as one writes it: 沈桂芳, or Gui Fang Shen."""
    family, given = _parts(name, ("family",)), _parts(name, ("given",))
    if _is_han("".join(family)):
        return "".join(family + given)
    return " ".join(given + family)


TYPES: Mapping[str, Callable[[Any], Iterable[str]]] = {
    "string": _plain,
    "markdown": _plain,
    "HumanName": _name,
    "Address": _address,
}


def adder(parameter: str, fhir_type: str, _: Context) -> Add:
    """Return what adds the entries of one value of the type; of names their pinyin too."""
    texts_of = TYPES[fhir_type]
    is_name = parameter in _NAMES

    def add(value: Any, group: int, out: list[Entry]) -> None:
        for text in dict.fromkeys(texts_of(value)):
            code = normalise(text)
            if code:
                out.append(entry_of((parameter, "string", code, "", None, None, text, group)))
                if is_name and not code.isascii():
                    # without a text of its own: `:exact` asks for what is written
                    for typed in spellings(code):
                        out.append(
                            entry_of((parameter, "string", typed, "", None, None, "", group))
                        )

    return add


def starts(text: str, _: Meaning) -> tuple[Test, ...]:
    """Return what asks for texts that start with a query's value."""
    return tuple(Text(code, "starts") for code in ways(text))


def contains(text: str, _: Meaning) -> tuple[Test, ...]:
    """Return what `:contains` asks."""
    return tuple(Text(code, "contains") for code in ways(text))


def exact(text: str, _: Meaning) -> tuple[Test, ...]:
    """Return what `:exact` asks."""
    return (Text(unescape(text), "exact"),)


def ways(text: str) -> tuple[str, ...]:
    """Return the value as it is compared, and pinyin also without its blanks (`shen guifang`).

    Raises `InvalidResource` for a value that has nothing to compare.
    """
    code = normalise(unescape(text))
    if not code:
        raise InvalidResource("nothing to compare with")
    joined = code.replace(" ", "")
    is_pinyin = joined != code and joined.isascii() and joined.isalpha()
    return (code, joined) if is_pinyin else (code,)


MODIFIERS: Mapping[str, Modifier] = {
    "": Modifier(starts),
    "contains": Modifier(contains),
    "exact": Modifier(exact),
}
