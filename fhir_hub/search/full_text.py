"""Words of a resource: of its narrative (`_text`), and of all that it says (`_content`).

Words are compared as strings are: without case, accents and width. A Chinese character is a
word by itself, so a text is found by any run of characters in it. What is searched is
words, joined by and, or, not, brackets; words in a row without any of these are all wanted,
words in quotes are wanted in that order.

Kept only if the setting `full_text` says so: it costs time and space for every resource.

Spec: https://hl7.org/fhir/R4/search.html#content
"""

import html
import re
from collections.abc import Iterator
from typing import Any

from fhir_hub.errors import InvalidResource
from fhir_hub.search.entry import Entry
from fhir_hub.search.kinds import string
from fhir_hub.search.kinds.values import unescape
from fhir_hub.search.plan import And, Has, Not, Or, Plan, Text

NARRATIVE, CONTENT = "_text", "_content"
# the parameter, and what it looks at: the content is the narrative too
INDEXES = {NARRATIVE: (NARRATIVE,), CONTENT: (CONTENT, NARRATIVE)}
_DEEPEST = 20
_MOST_WORDS = 200
_words = re.compile(f"[{string.HAN}]|(?:(?![{string.HAN}_])\\w)+").findall
_BETWEEN = " \ue000 "  # no word is this: what stands in two elements is no phrase
_tags = re.compile(r"<[^<>]*>").sub
_tokens = re.compile(r'\s*(?:"([^"]*)"|([()])|([^\s()"]+))').match


def words(text: str) -> str:
    """Return the words of `text` as they are compared, with a blank between two.

    >>> words("Bone-scan: 血糖 偏高")
    'bone scan 血 糖 偏 高'
    """
    return " ".join(_words(string.normalise(text)))


def text_entries(resource: dict[str, Any]) -> list[Entry]:
    """Return the entry of the narrative, if there is one, and that of the rest."""
    out = []
    text = resource.get("text")
    div = text.get("div") if type(text) is dict else None
    if type(div) is str and (said := words(_plain(div))):
        out.append(Entry(NARRATIVE, "text", said))
    rest = {key: value for key, value in resource.items() if key not in ("text", "resourceType")}
    said = _BETWEEN.join(filter(None, map(words, _strings(rest, ""))))
    if said:
        out.append(Entry(CONTENT, "text", said))
    return out


def _strings(value: Any, key: str) -> Iterator[str]:
    """Yield all texts and numbers; markup is taken off, encoded data is left out."""
    if type(value) is dict:
        for name, inner in value.items():
            yield from _strings(inner, name)
    elif type(value) is list:
        for inner in value:
            yield from _strings(inner, key)
    elif type(value) is str:
        if key == "div":
            yield _plain(value)
        elif key != "data":
            yield value
    elif value is not None and type(value) is not bool:
        yield str(value)


def _plain(markup: str) -> str:
    return html.unescape(_tags(" ", markup))


def words_plan(parameter: str, text: str) -> Plan:
    """Return what the words ask; raises `InvalidResource` for none, or brackets that do not fit."""
    reading = _Reading(parameter, unescape(text))
    plan = reading.alternatives(0)
    if reading.token is not None:
        raise InvalidResource("a bracket is closed that was not opened")
    return plan


class _Reading:
    """Reads words and what joins them. `token` is the next: a word or join, `"…` for a phrase."""

    def __init__(self, parameter: str, text: str) -> None:
        self._indexes, self._text, self._place, self._count = INDEXES[parameter], text, 0, 0
        self.token: str | None = None
        self._next()

    def alternatives(self, depth: int) -> Plan:
        plans = [self._all(depth)]
        while self._is("or"):
            self._next()
            plans.append(self._all(depth))
        return plans[0] if len(plans) == 1 else Or(tuple(plans))

    def _all(self, depth: int) -> Plan:
        plans = [self._one(depth)]
        while self.token is not None and self.token != ")" and not self._is("or"):
            if self._is("and"):
                self._next()
            plans.append(self._one(depth))
        return plans[0] if len(plans) == 1 else And(tuple(plans))

    def _one(self, depth: int) -> Plan:
        token = self.token
        if depth > _DEEPEST:
            raise InvalidResource(f"more than {_DEEPEST} brackets in each other")
        if token is None or token == ")" or self._is("and") or self._is("or"):
            raise InvalidResource("a word is missing")
        self._next()
        if token == "(":
            plan = self.alternatives(depth + 1)
            if self.token != ")":
                raise InvalidResource("a bracket is not closed")
            self._next()
            return plan
        if token.lower() == "not":
            return Not(self._one(depth + 1))
        self._count += 1
        phrase = words(token)
        if not phrase or self._count > _MOST_WORDS:
            raise InvalidResource(f"a search asks for words, at most {_MOST_WORDS}")
        test = Text(phrase, "words")
        plans = tuple(Has(index, "text", (test,)) for index in self._indexes)
        return plans[0] if len(plans) == 1 else Or(plans)

    def _is(self, join: str) -> bool:
        return self.token is not None and self.token.lower() == join

    def _next(self) -> None:
        found = _tokens(self._text, self._place)
        if found:
            self._place = found.end()
            quoted, bracket, word = found.groups()
            self.token = bracket or word or f'"{quoted}'
        elif self._text[self._place :].strip():
            raise InvalidResource("a quotation mark is not closed")
        else:
            self.token = None
