"""What an element of a resource is found to say: a value, so that it can be kept.

Spec: https://hl7.org/fhir/R4/search.html
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

from fhir_hub.r4.references import Literal
from fhir_hub.search.entry import Entry


class Part(tuple[Entry, ...]):
    """The entries of one element, each once; and what a store that has seen them makes of them."""

    coded: Any = None


class Entries:
    """The entries of a resource, by the elements that say them: no two say the same parameter.

    What keeps them by `parts` need not look at each entry.
    """

    __slots__ = ("_all", "parts")

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = parts
        self._all: tuple[Entry, ...] | None = None

    def __iter__(self) -> Iterator[Entry]:
        """Return the entries of all parts, in their order."""
        if self._all is None:
            self._all = tuple(chain.from_iterable(self.parts))
        return iter(self._all)


class Found(NamedTuple):
    """What an element says, each entry once, and what it refers to on this server.

    `parts` are the element's name and its entries under the parts of composites, empty if it is in
    none. Not `is_named`: it may refer to what no parameter finds.
    """

    entries: Part
    literals: Sequence[Literal]
    parts: tuple[str, Sequence[Part]] | tuple[()]
    is_named: bool


# `Found` of all its values, without a call of Python's own
found_of: Callable[
    [tuple[Part, Sequence[Literal], tuple[str, Sequence[Part]] | tuple[()], bool]], Found
] = partial(tuple.__new__, Found)

NOTHING = Found(Part(), (), (), True)


def once(entries: list[Entry]) -> Part:
    """Return each of some entries once."""
    return Part(entries if len(entries) < 2 else dict.fromkeys(entries))
