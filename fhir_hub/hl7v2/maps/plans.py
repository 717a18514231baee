"""What the entries of each segment of a message have to do, which is the same for most messages.

What an entry does depends on what is filled of its segment and of those near it, and on the event.
A feed has the same few of such shapes: what all entries of a place do there is found at once. Where
two that come one after the other are alone in their groups and filled alike, what is near is the
same.

Spec: DESIGN 2a
"""

from typing import TYPE_CHECKING, Any

from fhir_hub.hl7v2.making.drafts import Place
from fhir_hub.hl7v2.parsing.nodes import Node
from fhir_hub.hl7v2.parsing.structure import Group

if TYPE_CHECKING:
    from fhir_hub.hl7v2.maps.programs import Entry, Plan
    from fhir_hub.hl7v2.rows.recipes import Recipes

_MOST, _LONGEST_EVENT = 256, 20


def runs(mode: str, by_table: bool) -> bool:
    """Say whether an entry of a mode runs: by the standard's tables all do that make something."""
    return mode != ("change" if by_table else "table")


class Here:
    """The `entries` for a segment in a group, and what they do in the shapes that came of late.

    `is_untold` where no resource tells what they take: there are none, or they only change some.
    """

    __slots__ = ("_asks", "_known", "entries", "is_untold")

    def __init__(self, entries: "tuple[Entry, ...]") -> None:
        self.entries = entries
        self.is_untold = all(entry.mode == "change" for entry in entries)
        self._asks = tuple(dict.fromkeys(name for entry in entries for name in entry.asks))
        self._known: dict[tuple[Any, ...], list[tuple[Entry, Plan]]] = {}

    def plans(self, place: Place) -> "list[tuple[Entry, Plan]]":
        """Return those of the entries that run in a place, each with its plan."""
        nearest, run = place.node.nearest, place.run
        near = [one.filled if (one := nearest(name)) is not None else 0 for name in self._asks]
        key = (run.by_table, run.event, place.segment.filled, *near)
        found = self._known.get(key)
        if found is None:
            found = []
            for entry in self.entries:
                plan = entry.plan(place) if runs(entry.mode, run.by_table) else None
                if plan is not None:
                    found.append((entry, plan))
            if len(run.event) <= _LONGEST_EVENT:
                if len(self._known) >= _MOST:
                    self._known.clear()
                self._known[key] = found
        return found


class Plans:
    """The plans of the segment before, and by what the next is known to have the same.

    `is_again` says that it had; `near` is then what recipes read around it.
    """

    __slots__ = ("_filled", "_here", "_outer", "_planned", "_within", "is_again", "near")

    def __init__(self) -> None:
        self._here: Here | None = None
        self._filled = 0
        self._outer: Node | None = None
        self._within: Group | None = None
        self._planned: list[tuple[Entry, Plan]] = []
        self.is_again = False
        self.near: dict[Recipes, tuple[Any, ...]] = {}

    def of(self, here: Here, place: Place) -> "list[tuple[Entry, Plan]]":
        """Return those entries of a place that run there, each with its plan."""
        node, segment = place.node, place.segment
        spot = node.spot
        if (
            spot.is_alone
            and here is self._here
            and segment.filled == self._filled
            and node.outer is self._outer
            and spot.within is self._within
        ):
            self.is_again = True
            return self._planned
        self.is_again = False
        if self.near:
            self.near.clear()
        planned = here.plans(place)
        self._here = here if spot.is_alone else None
        self._filled, self._outer, self._within = segment.filled, node.outer, spot.within
        self._planned = planned
        return planned
