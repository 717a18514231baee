r"""FHIRPath text to a tree: the whole grammar; what a tree means is said by who compiles it.

Search parameters, patches and invariants are written in the same language and need different
parts of it. One reader serves all; each compiler refuses what it has no use for.

Spec: http://hl7.org/fhirpath/N1/#expressions and https://hl7.org/fhir/R4/fhirpath.html
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

_tokens = re.compile(
    r"(?>\s|//[^\n]*+|/\*(?:[^*]|\*(?!/))*+\*/)*+"
    r"(?:'(?P<text>(?:[^'\\]|\\.)*)'|`(?P<quoted>(?:[^`\\]|\\.)*)`"
    r"|@(?P<moment>T?[0-9](?:[0-9:TZ]|[-.+](?=[0-9]))*)"
    r"|(?P<number>[0-9]+(?:\.[0-9]+)?)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<sign>!=|!~|<=|>=|\$(?:this|index|total)|[-+*/&|=~<>%.()\[\],{}])"
    r"|(?P<end>\Z))",
    re.DOTALL,
)
_DEPTH = 50
_ESCAPES = {"f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_UNITS = ("year", "month", "week", "day", "hour", "minute", "second", "millisecond")
UNITS = frozenset((*_UNITS, *(unit + "s" for unit in _UNITS)))


class CannotCompile(ValueError):
    """The expression is no FHIRPath, or not of the part that its user needs; the text says why."""


@dataclass(frozen=True, slots=True)
class Name:
    """An element, or at the start of a path a type."""

    text: str


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal: text, number, true or false."""

    value: str | int | bool | Decimal


@dataclass(frozen=True, slots=True)
class MomentText:
    """A literal date, time or both, without its `@`."""

    text: str


@dataclass(frozen=True, slots=True)
class QuantityText:
    """A literal quantity: `4 days`, `10 'mg'`; a calendar unit is in the singular."""

    value: int | Decimal
    unit: str
    is_calendar: bool


@dataclass(frozen=True, slots=True)
class Variable:
    """`%resource`, or `$this`, `$index`, `$total` with their sign."""

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
class Index:
    """The item at a number that is computed."""

    number: "Node"


@dataclass(frozen=True, slots=True)
class Steps:
    """What dots join: each step is applied to what the one before it found."""

    steps: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Unary:
    """`-` or `+` before an operand."""

    operator: str
    operand: "Node"


@dataclass(frozen=True, slots=True)
class Binary:
    """`left operator right`; for `is` and `as` the right side is a Name, or Steps of two."""

    operator: str
    left: "Node"
    right: "Node"


@dataclass(frozen=True, slots=True)
class Nothing:
    """`{}`: the empty collection."""


Node = (
    Name
    | Constant
    | MomentText
    | QuantityText
    | Variable
    | Call
    | At
    | Index
    | Steps
    | Unary
    | Binary
    | Nothing
)

# Loosest first, as in the specification's table of precedence.
_LEVELS = (
    ("implies",),
    ("or", "xor"),
    ("and",),
    ("in", "contains"),
    ("=", "!=", "~", "!~"),
    ("<", "<=", ">", ">="),
    ("|",),
    ("is", "as"),
    ("+", "-", "&"),
    ("*", "/", "div", "mod"),
)
_LEVEL_OF = {operator: level for level, row in enumerate(_LEVELS) for operator in row}


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
        position = 0
        while True:
            match = _tokens.match(text, position)
            if match is None or match.lastgroup is None:
                raise CannotCompile(f"unexpected {text[position:].strip()[:10]!r}")
            if match.lastgroup == "end":
                break
            self._tokens.append((match.lastgroup, match[match.lastgroup]))
            position = match.end()

    def end(self) -> None:
        if self._at < len(self._tokens):
            raise CannotCompile(f"unexpected {self._tokens[self._at][1]!r}")

    def binary(self, level: int) -> Node:
        """Return the operand and all operators that bind at least as `level` does."""
        left = self._unary()
        while True:
            kind, operator = self._peek()
            found = _LEVEL_OF.get(operator, -1) if kind in ("sign", "name") else -1
            if found < level:
                return left
            self._at += 1
            right = self._type() if operator in ("is", "as") else self.binary(found + 1)
            left = Binary(operator, left, right)

    def _unary(self) -> Node:
        for sign in ("-", "+"):
            if self._accept(sign):
                return Unary(sign, self._deeper(self._unary))
        return self._path()

    def _type(self) -> Node:
        """Return a type: a name, or a namespace and a name."""
        names = [Name(self._name())]
        while self._accept("."):
            names.append(Name(self._name()))
        return names[0] if len(names) == 1 else Steps(tuple(names))

    def _name(self) -> str:
        kind, text = self._next()
        if kind not in ("name", "quoted"):
            raise CannotCompile(f"expected a name, not {text!r}")
        return unescaped(text) if kind == "quoted" else text

    def _path(self) -> Node:
        steps = [self._term()]
        while self._at < len(self._tokens):
            if self._accept("."):
                steps.append(self._invocation())
            elif self._accept("["):
                index = self._deeper(lambda: self.binary(0))
                if isinstance(index, Constant) and type(index.value) is not int:
                    raise CannotCompile("an index must be a number")
                self._expect("]")
                is_plain = isinstance(index, Constant)
                steps.append(At(int(index.value)) if is_plain else Index(index))  # type: ignore[union-attr]  # a Constant
            else:
                break
        return steps[0] if len(steps) == 1 else Steps(tuple(steps))

    def _invocation(self) -> Node:
        """Return what may follow a dot: a name, a call, `$this` and its like."""
        if self._accept("("):
            return self._grouped()
        kind, text = self._peek()
        if kind == "sign" and text.startswith("$"):
            self._at += 1
            return Variable(text)
        name = self._name()
        return Call(name, self._arguments()) if self._accept("(") else Name(name)

    def _term(self) -> Node:
        kind, text = self._peek()
        if kind in ("name", "quoted") or (kind == "sign" and text.startswith("$")):
            if kind == "name" and text in ("true", "false"):
                self._at += 1
                return Constant(text == "true")
            return self._invocation()
        self._at += 1
        if kind == "text":
            return Constant(unescaped(text))
        if kind == "moment":
            return MomentText(text)
        if kind == "number":
            return self._quantity(Decimal(text) if "." in text else int(text))
        if text == "%":
            kind, name = self._next()
            return Variable(unescaped(name) if kind in ("quoted", "text") else name)
        if text == "{":
            self._expect("}")
            return Nothing()
        if text == "(":
            return self._grouped()
        raise CannotCompile(f"unexpected {text!r}" if kind else "unexpected end")

    def _quantity(self, value: int | Decimal) -> Node:
        kind, text = self._peek()
        if kind == "text":
            self._at += 1
            return QuantityText(value, unescaped(text), is_calendar=False)
        if kind == "name" and text in UNITS:
            self._at += 1
            return QuantityText(value, text.removesuffix("s"), is_calendar=True)
        return Constant(value)

    def _grouped(self) -> Node:
        node = self._deeper(lambda: self.binary(0))
        self._expect(")")
        return node

    def _arguments(self) -> tuple[Node, ...]:
        found: list[Node] = []
        if self._accept(")"):
            return ()
        while not found or self._accept(","):
            found.append(self._deeper(lambda: self.binary(0)))
        self._expect(")")
        return tuple(found)

    def _deeper(self, read: Callable[[], Node]) -> Node:
        self._depth += 1
        if self._depth > _DEPTH:
            raise CannotCompile("nested too deeply")
        node = read()
        self._depth -= 1
        return node

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("", "")

    def _next(self) -> tuple[str, str]:
        if self._at == len(self._tokens):
            raise CannotCompile("unexpected end")
        self._at += 1
        return self._tokens[self._at - 1]

    def _accept(self, sign: str) -> bool:
        if self._peek() == ("sign", sign):
            self._at += 1
            return True
        return False

    def _expect(self, sign: str) -> None:
        if not self._accept(sign):
            raise CannotCompile(f"expected {sign!r}")


def unescaped(text: str) -> str:
    r"""Return a text without its escapes (`\'`, `\n`, `\u00e9`).

    Spec: http://hl7.org/fhirpath/N1/#string
    """
    return re.sub(r"\\(u[0-9A-Fa-f]{4}|.)", _escape, text, flags=re.DOTALL)


def _escape(match: re.Match[str]) -> str:
    code = match[1]
    return chr(int(code[1:], 16)) if len(code) == 5 else _ESCAPES.get(code, code)
