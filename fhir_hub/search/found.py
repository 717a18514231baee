"""What an element of a resource is found to say: a value, so that it can be kept.

Spec: https://hl7.org/fhir/R4/search.html
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from fhir_hub.r4.references import Literal
from fhir_hub.search.entry import Entry

Added = Sequence[Sequence[Entry]]


class Found(NamedTuple):
    """What an element says, each entry once, and what it refers to on this server.

    `parts` are the element's name and its entries under the parts of composites, empty if it is in
    none. Not `is_named`: it may refer to what no parameter finds.
    """

    entries: Sequence[Entry]
    literals: Sequence[Literal]
    parts: tuple[str, Added] | tuple[()]
    is_named: bool


# `Found` of all its values, without a call of Python's own
found_of: Callable[
    [tuple[Sequence[Entry], Sequence[Literal], tuple[str, Added] | tuple[()], bool]], Found
] = partial(tuple.__new__, Found)

NOTHING = Found((), (), (), True)


def once(entries: list[Entry]) -> Sequence[Entry]:
    """Return each of some entries once."""
    return tuple(entries) if len(entries) < 2 else tuple(dict.fromkeys(entries))
