"""The form in which a process sends a change to the one that writes, where there is a better one.

Who writes is one for all, so what another process can do for it beforehand it should not do.
A store whose rows hold more than what its entries say (numbers for names) can have them made by
who sends them.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from fhir_hub.store.base import Change


class Packing(Protocol):
    """How changes are sent between processes on one store. What is sent `marshal` takes."""

    def packed(self, changes: Sequence[Change]) -> Any:
        """Return what is sent in the stead of the entries of some changes."""

    def unpacked(self, heads: Sequence[Sequence[Any]], sent: Any) -> list[Change]:
        """Return the changes: `heads` have the values of each but its entries."""


class Unpacked:
    """Of a store whose rows hold what the entries say: they are sent as they are."""

    def packed(self, changes: Sequence[Change]) -> Any:
        """Return the entries of each change as plain tuples."""
        return [list(map(tuple, change.entries)) for change in changes]

    def unpacked(self, heads: Sequence[Sequence[Any]], sent: Any) -> list[Change]:
        """Return the changes; who writes takes entries apart, so tuples are enough."""
        return [Change._make((*head, entries)) for head, entries in zip(heads, sent, strict=True)]
