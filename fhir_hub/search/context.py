"""What indexing and querying must agree on: the zone, the aliases of systems, the base address.

A query may also ask for the codes of a value set, or for those below a code; `Terms` knows them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Protocol


class Terms(Protocol):
    """The codes that a query means by a value set or a hierarchy: system → codes.

    All raise `InvalidResource` for what is not known, or is too large for a search.
    """

    def codes(self, value_set: str) -> Mapping[str, frozenset[str]]:
        """Return the codes of a value set: its canonical, or `ValueSet/id`."""

    def below(self, system: str, code: str) -> Mapping[str, frozenset[str]]:
        """Return a code and all below it."""

    def above(self, system: str, code: str) -> Mapping[str, frozenset[str]]:
        """Return a code and all above it."""


@dataclass(frozen=True, slots=True)
class Context:
    """`zone` is that of times without an offset; `aliases` maps a system to the canonical one.

    `base` is the server's own address: a reference below it is a relative one.
    """

    zone: tzinfo
    aliases: Mapping[str, str] = field(default_factory=dict)
    base: str = ""
    terms: Terms | None = None
