"""What an element of a resource is found to say: a value, so that it can be kept.

Spec: https://hl7.org/fhir/R4/search.html
"""

from collections.abc import Callable, Sequence
from functools import partial
from types import MappingProxyType
from typing import NamedTuple

from fhir_hub.r4.references import Literal
from fhir_hub.search.entry import Entry
from fhir_hub.search.pairs import Parts


class Found(NamedTuple):
    """What an element says, each entry once, and what it refers to on this server.

    `parts` are the entries under the parts of composites, by the element's name. Not `is_named`:
    it may refer to what no parameter finds.
    """

    entries: Sequence[Entry]
    literals: Sequence[Literal]
    parts: Parts
    is_named: bool


# `Found` of all its values, without a call of Python's own
found_of: Callable[[tuple[Sequence[Entry], Sequence[Literal], Parts, bool]], Found] = partial(
    tuple.__new__, Found
)

NO_PARTS: Parts = MappingProxyType({})
NOTHING = Found((), (), NO_PARTS, True)


def once(entries: list[Entry]) -> Sequence[Entry]:
    """Return each of some entries once."""
    return entries if len(entries) < 2 else list(dict.fromkeys(entries))
