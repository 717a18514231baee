"""The groups of one message, with its segments and with the resources that are being made in them.

Where a message's segments belong depends on their names alone, and a feed has the same few
sequences of them: that is worked out once, and with it what is near what.

Spec: HL7v2 chapter 2, 2.5.2
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from fhir_hub.hl7v2.parsing.er7 import Segment
from fhir_hub.hl7v2.parsing.groups import Spot, assign
from fhir_hub.hl7v2.parsing.structure import Group

_MOST = 2048  # segments of all sequences that are held, a kilobyte each
_LONGEST = 2048  # characters of the names of one
MANY = 16  # resources of a name in a group: more are looked through once, not for each that asks


class Node:
    """One occurrence of a group in a message.

    `drafts` holds, by name, what is made in it at any depth, in the message's order; each with the
    inner group by which it came (`None`: it stands in this one). `linked` has what those inside
    refer to; `spot` is what is known by the names of the message's segments alone.
    """

    __slots__ = ("_near", "_segments", "drafts", "group", "linked", "outer", "parent", "spot")

    def __init__(
        self,
        spot: Spot,
        segments: Sequence[Segment],
        parent: "Node | None",
        outer: "Node | None",
    ) -> None:
        self.spot, self.group, self._near = spot, spot.group, spot.near
        self._segments = segments
        self.parent, self.outer = parent, outer
        self.drafts: dict[str, list[tuple[Any, Group | None]]] = {}
        self.linked: dict[Any, Any] = {}

    def nearest(self, name: str) -> Segment | None:
        """Return the first segment of that name in the innermost group that has one."""
        at = self._near.get(name)
        if at is None:
            at = self.spot.find(name)
        return self._segments[at] if at >= 0 else None

    def nearest_all(self, name: str) -> list[Segment]:
        """Return the segments of that name in the innermost group that has any."""
        return [self._segments[at] for at in self.spot.find_all(name)]

    def add_draft(self, name: str, draft: Any) -> None:
        """Put a resource that is being made into this group.

        Of a result of before the orders around it know what was observed.
        """
        node: Node | None = self
        by: Group | None = None
        while node is not None:
            held = node.drafts.get(name)
            if held is None:
                node.drafts[name] = [(draft, by)]
            else:
                held.append((draft, by))
            is_last = node.group.is_prior and name != "Observation"
            by, node = node.group, None if is_last else node.parent

    def forget(self, names: Iterable[str], gone: Collection[int]) -> None:
        """Take resources of these names out that are not made after all, by their `id`."""
        for name in names:
            held = self.drafts.get(name, ())
            self.drafts[name] = [one for one in held if id(one[0]) not in gone]
        self.linked.clear()

    def linked_drafts(self, name: str) -> list[Any]:
        """Return the nearest resources when no more of them come: found once for all results."""
        holder, within = self.outer, self.spot.within
        if holder is None or name in self.drafts:
            if len(self.drafts.get(name, ())) < MANY:
                return self.nearest_drafts(name)
            key = (name, 0)
            holder = self
        else:
            while name not in holder.drafts and holder.outer is not None:
                holder, within = holder.outer, holder.spot.within
            key = (name, id(within))
        found = holder.linked.get(key)
        if found is None:
            found = holder.linked[key] = self.nearest_drafts(name)
        return found

    def nearest_drafts(self, name: str) -> list[Any]:
        """Return the resources of that name in the innermost group that has any."""
        node: Node | None = self
        inside: Group | None = None
        while node is not None:
            if found := node.drafts.get(name):
                if len(found) == 1:  # as nearly always
                    one, by = found[0]
                    if by is None or by is not inside:
                        return [one]
                    inside, node = node.spot.within, node.outer
                    continue
                near = [one for one, by in found if by is None or by is not inside]
                if near:
                    return near
            inside, node = node.spot.within, node.outer
        return []

    def joined_drafts(self, name: str, segment: str) -> list[Any]:
        """Return the resources of that name in reach, or those of this group's other occurrences.

        The occurrences are in one group, and begin with the segment: who cares for a problem does
        not for the next.
        """
        found = self.nearest_drafts(name)
        if found or self.outer is None or self.group.firsts != {segment}:
            return found
        return [one for one, by in self.outer.drafts.get(name, ()) if by is self.spot.within]


class Layout:
    """The groups of messages whose segments have the same names in the same order."""

    __slots__ = ("_around", "_at", "_spots")

    def __init__(self, names: Sequence[str], root: Group) -> None:
        placed = assign(names, root)
        numbers: dict[Spot | None, int] = {None: 0}
        for spot in placed:
            _number(spot, numbers)
        spots = [spot for spot in numbers if spot is not None]
        for spot in spots:
            spot.children.clear()  # only the way out is needed when all are placed
        self._spots = tuple([(one, numbers[one.parent], numbers[one.outer]) for one in spots])
        self._at = [numbers[spot] for spot in placed]

    def placed(self, segments: Sequence[Segment]) -> list[tuple[Segment, Node]]:
        """Return every segment with the group that it is in."""
        made: list[Any] = [None]
        for spot, parent, outer in self._spots:
            made.append(Node(spot, segments, made[parent], made[outer]))
        return [(segment, made[at]) for segment, at in zip(segments, self._at, strict=True)]


def _number(spot: Spot, numbers: dict[Spot | None, int]) -> None:
    """Number a group that has none yet, those around it first."""
    if spot not in numbers:
        if spot.parent is not None:
            _number(spot.parent, numbers)
        numbers[spot] = len(numbers)


class Layouts:
    """The layouts of one structure, of the messages that came of late."""

    __slots__ = ("_held", "_known")

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], Layout] = {}
        self._held = 0

    def of(self, segments: Sequence[Segment], root: Group) -> Layout:
        """Return the layout of a message's segments."""
        names = tuple([segment.name for segment in segments])
        found = self._known.get(names)
        if found is None:
            found = Layout(names, root)
            if sum(map(len, names)) <= _LONGEST:
                self._held += len(names)
                if self._held > _MOST:
                    self._known.clear()
                    self._held = len(names)
                self._known[names] = found
        return found
