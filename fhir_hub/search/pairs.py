"""What a resource's composites say, put together from what its elements were found to say.

Some composites are of elements that stand directly in the resource: `code-value-string` is its
`code` and its `valueString`. What such an element adds to them is known with the element itself
(`elements.py`), and which of them a resource can have is known by the names of its elements. The
pairs that stand deeper (a component's code and value) are looked for.

Spec: https://hl7.org/fhir/R4/search.html#composite
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from fhir_hub.r4.fhirpath import Path, select
from fhir_hub.search.entry import Entry
from fhir_hub.search.found import Part
from fhir_hub.search.kinds.composite import Collect, add_pairs
from fhir_hub.search.parameter import Pair, Parameter
from fhir_hub.search.walk import collector

Resource = dict[str, Any]
Add = Callable[[Any, int, list[Entry]], None]
Adder = Callable[[Parameter, Path], Add]
Parts = Mapping[str, Sequence[Part]]  # by element: what it adds to parts of composites

_Part = tuple[tuple[str, int], ...]  # the elements that add to a part, and which of their parts


class _Pairs(NamedTuple):
    """Where a composite's pairs are, their parts, and the keys of which a resource needs one.

    `by_element` has the parts, the last first, where the pair stands in the resource itself.
    """

    path: Path
    parts: tuple[Collect, ...]
    needs: frozenset[str]
    by_element: tuple[_Part, ...]


class Ready(NamedTuple):
    """What to put together for a composite: one pair by element, and others that are looked for.

    The groups of the others count from `first`.
    """

    by_element: tuple[_Part, ...]
    others: tuple[_Pairs, ...]
    first: int


class Composites:
    """The composites of one type; `adds` are what each of its elements adds to their parts."""

    def __init__(self) -> None:
        self.adds: dict[str, list[Add]] = {}
        self._pairs: list[tuple[_Pairs, ...]] = []

    def insert(self, pairs: Sequence[Pair], adder: Adder) -> None:
        """Take one more composite, whose values are added by what `adder` returns."""
        made: list[_Pairs] = []
        for pair in pairs:
            collects = [
                collector([(path, adder(part, path)) for path in part.paths]) for part in pair.parts
            ]
            # the first alone: the groups of the next depend on what there is
            by_element = () if made else self._by_element(pair, adder)
            made.append(_Pairs(pair.path, tuple(collects), _needs(pair), by_element))
        self._pairs.append(tuple(made))

    def _by_element(self, pair: Pair, adder: Adder) -> tuple[_Part, ...]:
        paths = [path for part in pair.parts for path in part.paths]
        if pair.path.steps or pair.path.from_root or not all(map(_is_element, paths)):
            return ()
        parts = []
        for part in reversed(pair.parts):
            own = []
            for path in part.paths:
                adds = self.adds.setdefault(str(path.steps[0]), [])
                own.append((str(path.steps[0]), len(adds)))
                adds.append(adder(part, path))
            parts.append(tuple(own))
        return tuple(parts)

    def ready(self, names: Collection[str]) -> tuple[Ready, ...]:
        """Return what to put together for a resource whose elements have these names."""
        found = []
        for pairs in self._pairs:
            first = 1
            others: list[_Pairs] = []
            by_element: tuple[_Part, ...] = ()
            for one in pairs:
                if one.needs.isdisjoint(names):
                    continue
                if one.by_element:
                    by_element = tuple(
                        tuple(each for each in part if each[0] in names) for part in one.by_element
                    )
                    first = 2
                else:
                    others.append(one)
            if not all(by_element):
                by_element = ()
            if by_element or others:
                found.append(Ready(by_element, tuple(others), first))
        return tuple(found)

    def add(self, resource: Resource, out: list[Entry]) -> None:
        """Add what the composites of a resource have; most of them it lacks."""
        keys = resource.keys()
        for pairs in self._pairs:
            first = 1
            for one in pairs:
                if not keys.isdisjoint(one.needs):
                    first += _add(one, resource, first, out)


def put_together(ready: Sequence[Ready], parts: Parts, resource: Resource, out: list[Part]) -> None:
    """Add what the composites have, given what each element adds to their parts."""
    for by_element, others, first in ready:
        found: list[Part] = []
        for part in by_element:
            before = len(found)
            for name, number in part:
                if said := parts[name][number]:
                    found.append(said)
            if len(found) == before:
                break
        else:
            out += found
        if others:
            more: list[Entry] = []
            for one in others:
                first += _add(one, resource, first, more)
            out.append(Part(more))


def _add(pairs: _Pairs, resource: Resource, first: int, out: list[Entry]) -> int:
    """Add the entries of a composite's pairs at one place; return how many pairs may be there."""
    items = select(pairs.path, resource, resource)
    add_pairs(pairs.parts, items, resource, first, out)
    return len(items)


def _is_element(path: Path) -> bool:
    return not path.from_root and len(path.steps) == 1 and isinstance(path.steps[0], str)


def _needs(pair: Pair) -> frozenset[str]:
    paths = [pair.path] if pair.path.steps else pair.parts[-1].paths
    return frozenset(step for path in paths for step in path.steps[:1] if isinstance(step, str))
