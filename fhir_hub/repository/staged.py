"""What is staged and not yet written, as a plan sees it.

Spec: https://hl7.org/fhir/R4/search.html
"""

from collections.abc import Iterator, Mapping

from fhir_hub.store.base import Change, Key


class Staged:
    """A staged change, as a plan sees it: a chain from it sees the other `changes`."""

    def __init__(self, change: Change, changes: Mapping[Key, Change]) -> None:
        self.resource_type, self.logical_id = change.resource_type, change.logical_id
        self.last_updated, self.entries = change.last_updated, change.entries
        self._changes = changes

    def others(self, resource_types: tuple[str, ...]) -> "Iterator[Staged]":
        """Return the staged resources of the types (of no types: all)."""
        for key, change in self._changes.items():
            if change.method != "DELETE" and (not resource_types or key[0] in resource_types):
                yield Staged(change, self._changes)
