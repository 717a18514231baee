"""What was made of a code once is not made again: most of a feed is the same few hundred codes.

A memory belongs to one set of maps, and to the senders' files that hold, so new maps begin with an
empty one. It holds codes, ranges and who and what a sender's staff, rooms and devices are; nothing
of a patient. What it gives out is a copy: callers may change it. What comes again and again becomes
a function that makes it, the fastest copy there is. How much is held is bounded over all
facilities, and so is its length: who sends ever other codes makes others' be worked out again.
"""

import ast
from collections.abc import Callable, Hashable, Iterator
from datetime import tzinfo
from types import CodeType, FunctionType
from typing import Any, NamedTuple

from fhir_hub.hl7v2.parsing.er7 import Encoding

Issues = tuple[tuple[str, str], ...]
_MOST, _FACILITIES, _OFTEN = 4096, 256, 8
_IN_ALL = 16_384  # of all facilities
_MOST_RECIPES = 2048
_LONGEST = 500  # characters of what is held; a longer text hardly comes again
_NO_ARGUMENTS = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])


class _Held(NamedTuple):
    """What makes a value again, and the issues that came with it; `value` until it is compiled.

    `uses` counts until then: most of what a free text makes never comes again.
    """

    make: Callable[[], Any] | None
    issues: Issues
    value: Any = None
    uses: int = 0


class Memory:
    """What was made of the codes of one facility, in one set of delimiters.

    `ready` are the functions that make what came often and had no issue: who asks there first is
    spared the rest. `recipes` has those of whole resources (`rows/recipes.py`), or how often each
    was asked for.
    """

    __slots__ = ("_held", "_makers", "_room", "ready", "recipes")

    def __init__(self, room: "Memories | None" = None) -> None:
        self._room = room if room is not None else Memories()
        self._held: dict[Hashable, _Held] = {}
        self._makers: dict[str, Callable[[], Any]] = {}
        self.ready: dict[Hashable, Callable[[], Any]] = {}
        self.recipes: dict[Hashable, Any] = {}

    def maker_of(self, value: Any) -> Callable[[], Any]:
        """Return the function that makes a JSON value; of equal ones it is the same."""
        key = repr(value)
        found = self._makers.get(key)
        if found is None:
            if len(self._makers) >= _MOST_RECIPES:
                self._makers.clear()
            found = self._makers[key] = maker(value)
            self._room.take()
        return found

    def note(self, key: tuple[Any, ...], found: Any) -> None:
        """Keep a recipe, or how often it was asked for so far."""
        if key not in self.recipes:
            if _is_long(key):
                return
            if len(self.recipes) >= _MOST_RECIPES:
                self.recipes.clear()
            self._room.take()
        self.recipes[key] = found

    def get(
        self,
        key: tuple[Any, ...],
        make: Callable[[], Any],
        issues: list[tuple[str, str, Any]],
        row: Any,
    ) -> Any:
        """Return the value of `key`, made by `make` the first time; its issues come each time."""
        held = self._held.get(key)
        if held is None:
            before = len(issues)
            value = make()
            if _is_long(key):
                return value
            raised = tuple((code, text) for code, text, _ in issues[before:])
            if len(self._held) >= _MOST:
                self._held.clear()
                self.ready.clear()
            self._room.take()
            self._held[key] = _Held(None, raised, copied(value))
            return value
        again, raised, value, uses = held
        if raised:
            issues.extend((code, text, row) for code, text in raised)
        if again is not None:
            return again()
        if value is None:
            return None
        if uses < _OFTEN:
            self._held[key] = _Held(None, raised, value, uses + 1)
            return copied(value)
        again = maker(value)
        self._held[key] = _Held(again, raised)
        if not raised:
            self.ready[key] = again
        return again()


def _is_long(key: tuple[Any, ...]) -> bool:
    return sum(len(part) for part in _texts(key)) > _LONGEST


def _texts(key: tuple[Any, ...]) -> Iterator[str]:
    for part in key:
        if type(part) is str:
            yield part
        elif type(part) is tuple:
            yield from _texts(part)


class Memories:
    """The memories by facility, delimiters and zone; at most some hundred of them."""

    __slots__ = ("_held", "_taken")

    def __init__(self) -> None:
        self._held: dict[Hashable, Memory] = {}
        self._taken = 0

    def clear(self) -> None:
        """Forget everything: codes mean something else now, or there are too many."""
        self._held.clear()
        self._taken = 0

    def take(self) -> None:
        """Make room for one thing more, in any memory: where all is full, all is forgotten."""
        if self._taken >= _IN_ALL:
            self.clear()
        self._taken += 1

    def of(self, facility: str, encoding: Encoding, zone: tzinfo, by_table: bool = False) -> Memory:
        """Return the memory for messages of a facility with these delimiters, and times in `zone`.

        Since when staff has a name is a time too.
        """
        key = (facility, encoding, zone, by_table)
        memory = self._held.get(key)
        if memory is None:
            if len(self._held) >= _FACILITIES:
                self.clear()
            memory = Memory(self)
            if len(facility) <= _LONGEST:
                self._held[key] = memory
        return memory


def maker(value: Any) -> Callable[[], Any]:
    """Return the function that makes an equal JSON value, every time anew.

    >>> maker({"coding": [{"code": "N"}]})()
    {'coding': [{'code': 'N'}]}
    """
    held: dict[str, Any] = {}
    tree = ast.Expression(ast.Lambda(args=_NO_ARGUMENTS, body=_written(value, held)))
    compiled = compile(ast.fix_missing_locations(tree), "<what was made once>", "eval")
    code = next(one for one in compiled.co_consts if type(one) is CodeType)
    return FunctionType(code, held)


def _written(value: Any, held: dict[str, Any]) -> ast.expr:
    """Return the expression of a value; `held` gets what has no literal, such as a Decimal."""
    kind = type(value)
    if kind is dict:
        keys: list[ast.expr | None] = [ast.Constant(name) for name in value]
        return ast.Dict(keys=keys, values=[_written(item, held) for item in value.values()])
    if kind is list:
        return ast.List(elts=[_written(item, held) for item in value], ctx=ast.Load())
    if kind in (str, int, bool, type(None)):
        return ast.Constant(value)
    name = f"held{len(held)}"
    held[name] = value
    return ast.Name(id=name, ctx=ast.Load())


def copied(value: Any) -> Any:
    """Return a JSON value that shares no object or array with `value`."""
    kind = type(value)
    if kind is dict:
        twin = value.copy()
        for name, item in value.items():
            if type(item) is dict or type(item) is list:
                twin[name] = copied(item)
        return twin
    if kind is list:
        return [copied(item) for item in value]
    return value
