"""FHIRPath text to a tree, as far as the search parameters of R4 go.

Unions, `and`, comparison, `is`, `as`, calls, indexers and literals; no arithmetic, because no
search parameter needs it. What a tree means is said in `fhirpath.py`.

Spec: http://hl7.org/fhirpath/N1/#expressions and https://hl7.org/fhir/R4/fhirpath.html
"""

import re
from dataclasses import dataclass

_tokens = re.compile(
    r"\s*(?:'(?P<text>(?:[^'\\]|\\.)*)'|(?P<number>[0-9]+)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<sign>!=|[%.|()\[\]=,]))"
)
_DEPTH = 50


class CannotCompile(ValueError):
    """The expression is not of the part of FHIRPath that search needs; the text says why."""


@dataclass(frozen=True, slots=True)
class Name:
    """An element, or at the start of a path a type."""

    text: str


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal: text, number, true or false."""

    value: str | int | bool


@dataclass(frozen=True, slots=True)
class Variable:
    """`%resource`."""

    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """A function with its arguments; what it is called on stands before it in the path."""

    name: str
    arguments: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class At:
    """The item at a number, from 0."""

    number: int


@dataclass(frozen=True, slots=True)
class Steps:
    """What dots join: each step is applied to what the one before it found."""

    steps: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Binary:
    """`left operator right`; for `is` and `as` the right side is a Name."""

    operator: str
    left: "Node"
    right: "Node"


Node = Name | Constant | Variable | Call | At | Steps | Binary

# Loosest first, as in the specification's table of precedence.
_LEVELS = (("or",), ("and",), ("=", "!="), ("|",), ("is", "as"))


def parse_expression(text: str) -> Node:
    """Return the tree of the expression `text`; raises `CannotCompile`.

    >>> parse_expression("a.b[0]")
    Steps(steps=(Name(text='a'), Name(text='b'), At(number=0)))
    """
    parser = _Parser(text)
    node = parser.binary(0)
    parser.end()
    return node


class _Parser:
    """Reads one expression from left to right."""

    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        self._at = self._depth = 0
        position, text = 0, text.rstrip()
        while position < len(text):
            match = _tokens.match(text, position)
            if match is None or match.lastgroup is None:
                raise CannotCompile(f"unexpected {text[position:].strip()[:10]!r}")
            self._tokens.append((match.lastgroup, match[match.lastgroup]))
            position = match.end()

    def end(self) -> None:
        if self._at < len(self._tokens):
            raise CannotCompile(f"unexpected {self._tokens[self._at][1]!r}")

    def binary(self, level: int) -> Node:
        if level == len(_LEVELS):
            return self._path()
        left = self.binary(level + 1)
        while self._at < len(self._tokens) and self._is_operator(_LEVELS[level]):
            operator = self._next()[1]
            left = Binary(operator, left, self.binary(level + 1))
        return left

    def _is_operator(self, operators: tuple[str, ...]) -> bool:
        kind, text = self._tokens[self._at]
        return kind in ("sign", "name") and text in operators

    def _path(self) -> Node:
        steps = [self._term()]
        while self._at < len(self._tokens):
            if self._accept("."):
                steps.append(self._term())
            elif self._accept("["):
                kind, text = self._next()
                if kind != "number":
                    raise CannotCompile("an index must be a number")
                steps.append(At(int(text)))
                self._expect("]")
            else:
                break
        return steps[0] if len(steps) == 1 else Steps(tuple(steps))

    def _term(self) -> Node:
        kind, text = self._next()
        if kind == "text":
            return Constant(re.sub(r"\\(.)", r"\1", text))
        if kind == "number":
            return Constant(int(text))
        if kind == "name":
            if text in ("true", "false"):
                return Constant(text == "true")
            return Call(text, self._arguments()) if self._accept("(") else Name(text)
        if text == "%":
            return Variable(self._next()[1])
        if text == "(":
            self._depth += 1
            if self._depth > _DEPTH:
                raise CannotCompile("nested too deeply")
            node = self.binary(0)
            self._expect(")")
            self._depth -= 1
            return node
        raise CannotCompile(f"unexpected {text!r}")

    def _arguments(self) -> tuple[Node, ...]:
        found: list[Node] = []
        if self._accept(")"):
            return ()
        self._depth += 1
        if self._depth > _DEPTH:
            raise CannotCompile("nested too deeply")
        while not found or self._accept(","):
            found.append(self.binary(0))
        self._expect(")")
        self._depth -= 1
        return tuple(found)

    def _next(self) -> tuple[str, str]:
        if self._at == len(self._tokens):
            raise CannotCompile("unexpected end")
        self._at += 1
        return self._tokens[self._at - 1]

    def _accept(self, sign: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at] == ("sign", sign):
            self._at += 1
            return True
        return False

    def _expect(self, sign: str) -> None:
        if not self._accept(sign):
            raise CannotCompile(f"expected {sign!r}")
