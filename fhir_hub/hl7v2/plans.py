"""What the entries of each segment of one message have to do, which is the same for most results.

What an entry does depends on what is filled of its segment and of those near it. Where two that
come one after the other are alone in their groups and filled alike, what is near is the same.

Spec: DESIGN 2a
"""

from collections.abc import Sequence

from fhir_hub.hl7v2.drafts import Place
from fhir_hub.hl7v2.groups import Node
from fhir_hub.hl7v2.programs import Entry, Plan
from fhir_hub.hl7v2.structure import Group

Planned = list[tuple[Entry, Plan]]


class Plans:
    """The plans of the segment before, and by what the next is known to have the same."""

    __slots__ = ("_filled", "_here", "_outer", "_planned", "_within")

    def __init__(self) -> None:
        self._here: Sequence[Entry] | None = None
        self._filled = 0
        self._outer: Node | None = None
        self._within: Group | None = None
        self._planned: Planned = []

    def of(self, here: Sequence[Entry], place: Place) -> Planned:
        """Return those entries of a place that run there, each with its plan."""
        node, segment = place.node, place.segment
        held = node.segments
        is_alone = len(held) == 1 and len(held.get(segment.name, ())) == 1
        if (
            is_alone
            and here is self._here
            and segment.filled == self._filled
            and node.outer is self._outer
            and node.within is self._within
        ):
            return self._planned
        by_table, planned = place.run.by_table, []
        for entry in here:
            plan = entry.plan(place) if by_table or entry.mode != "table" else None
            if plan is not None:
                planned.append((entry, plan))
        self._here = here if is_alone else None
        self._filled, self._outer, self._within = segment.filled, node.outer, node.within
        self._planned = planned
        return planned
