"""The text of `_filter` to a tree: tests of a path, joined by `and` and `or`.

`given eq "peter" and birthdate ge 2014-10-10`. R4 gives `and` and `or` no precedence: they
are read from left to right, and brackets say what is meant.

Spec: https://hl7.org/fhir/R4/search_filter.html
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from fhir_hub import fhirjson
from fhir_hub.errors import InvalidParameter, InvalidResource

_DEEPEST = 20
_blank = re.compile(r"\s*").match
# colons too, so that a path may say `subject:Patient` and `_has:Observation:patient:code`
_name = re.compile(r"[A-Za-z_][A-Za-z0-9_:\-]*").match
_word = re.compile(r"[a-z]+(?![^\s(])").match
_string = re.compile(r'"(?:[^"\\]|\\.)*"').match
_token = re.compile(r"[^\s\])]+").match


@dataclass(frozen=True, slots=True)
class Step:
    """One name of a path; `within` is the filter in brackets behind it."""

    name: str
    within: "Node | None" = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """A path, an operator, a value."""

    path: tuple[Step, ...]
    operator: str
    value: str


@dataclass(frozen=True, slots=True)
class Joined:
    """All or some of `nodes`."""

    by: Literal["and", "or"]
    nodes: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Negated:
    """What does not pass `node`."""

    node: "Node"


Node = Comparison | Joined | Negated


def read_filter(text: str) -> Node:
    """Return the tree of `text`; raises `InvalidParameter` with the place of the fault.

    >>> read_filter("name co pet").operator
    'co'
    """
    reading = _Reading(text)
    node = reading.filter(0)
    reading.skip()
    if reading.place < len(text):
        raise reading.fault("expected and, or, or the end")
    return node


class _Reading:
    """Reads from left to right."""

    def __init__(self, text: str) -> None:
        self.text, self.place = text, 0

    def fault(self, what: str) -> InvalidParameter:
        return InvalidParameter(f"_filter: {what} at character {self.place + 1}")

    def skip(self) -> None:
        """Go on to what is no blank."""
        self._match(_blank)

    def filter(self, depth: int) -> Node:
        """Return operands and what joins them, until something else comes."""
        if depth > _DEEPEST:
            raise self.fault(f"more than {_DEEPEST} brackets in each other")
        node = self._operand(depth)
        while True:
            here = self.place
            self.skip()
            by = self._match(_word)
            if by not in ("and", "or"):
                self.place = here
                return node
            other = self._operand(depth)
            if isinstance(node, Joined) and node.by == by:
                node = Joined(node.by, (*node.nodes, other))
            else:
                node = Joined("and" if by == "and" else "or", (node, other))

    def _operand(self, depth: int) -> Node:
        self.skip()
        here = self.place
        if self._match(_word) == "not":
            self.skip()
            if not self._take("("):
                raise self.fault("expected ( after not")
            return Negated(self._closed(")", depth))
        self.place = here
        if self._take("("):
            return self._closed(")", depth)
        return self._comparison(depth)

    def _closed(self, sign: str, depth: int) -> Node:
        node = self.filter(depth + 1)
        self.skip()
        if not self._take(sign):
            raise self.fault(f"expected {sign}")
        return node

    def _comparison(self, depth: int) -> Comparison:
        steps = []
        while True:
            name = self._match(_name)
            if not name:
                raise self.fault("expected the name of a search parameter")
            within = self._closed("]", depth) if self._take("[") else None
            steps.append(Step(name, within))
            if not self._take("."):
                break
        self.skip()
        operator = self._match(_word)
        if not operator:
            raise self.fault("expected an operator, as in name co pet,")
        self.skip()
        if quoted := self._match(_string):
            return Comparison(tuple(steps), operator, self._read(quoted))
        value = "" if self.text.startswith('"', self.place) else self._match(_token)
        if not value:
            raise self.fault("expected a value")
        return Comparison(tuple(steps), operator, value)

    def _read(self, quoted: str) -> str:
        try:
            return str(fhirjson.loads(quoted.encode()))
        except (InvalidResource, UnicodeEncodeError):
            raise self.fault("a text in quotes is written as in JSON; it ends") from None

    def _take(self, sign: str) -> bool:
        found = self.text.startswith(sign, self.place)
        self.place += found
        return found

    def _match(self, match: Callable[[str, int], re.Match[str] | None]) -> str:
        found = match(self.text, self.place)
        self.place = found.end() if found else self.place
        return found[0] if found else ""
