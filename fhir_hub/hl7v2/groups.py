"""Which group of its structure each segment of a message is in, whatever order it came in.

A segment goes to the next place that the structure has for it, seen from the one before: first
in the innermost open group, then outwards, beginning a group again where it may repeat. What is
out of place goes where the structure has it at all; a note, and what the structure does not know
(a Z-segment), stays with the segment before it. So nothing is dropped.

Spec: HL7v2 chapter 2, 2.5.2 and 2.6 (order of segments, unexpected segments)
"""

from collections.abc import Iterable, Sequence
from typing import Any

from fhir_hub.hl7v2.er7 import Segment
from fhir_hub.hl7v2.structure import Group, Part

_OF_CONTAINER = frozenset({"SAC", "SID", "OBX", "NTE"})
_ACTS = frozenset({"OBR", "RXA"})
_ORDERED = frozenset({"ORDER_DETAIL", "OBSERVATION_REQUEST"})


class Node:
    """One occurrence of a group in a message.

    `segments` and `drafts` hold, by name, what is in it at any depth, in the message's order;
    each with the inner group by which it came (`None`: it stands in this one). Who looks for what
    is near goes on in `outer`, past what came by `within`: from a result of before that is the
    message, because the order around it is another. `linked` has what those inside refer to.
    """

    __slots__ = (
        "_from_inside",
        "_near",
        "children",
        "drafts",
        "group",
        "linked",
        "outer",
        "parent",
        "position",
        "segments",
        "within",
    )

    def __init__(self, group: Group, parent: "Node | None" = None) -> None:
        self.group = self.within = group
        self.parent = self.outer = parent
        if group.is_prior:
            while self.outer is not None and self.outer.parent is not None:
                self.within, self.outer = self.outer.group, self.outer.parent
        self.position = -1
        self.children: dict[int, Node] = {}
        self.segments: dict[str, list[tuple[Segment, Group | None]]] = {}
        self.drafts: dict[str, list[tuple[Any, Group | None]]] = {}
        self._near: dict[str, Segment | None] = (
            {"ORC": None, "OBR": None} if group.is_of_no_order else {}
        )
        self._from_inside: dict[tuple[str, int], Segment | None] = {}
        self.linked: dict[Any, Any] = {}

    def add(self, segment: Segment) -> None:
        """Put a segment into this group."""
        node: Node | None = self
        by: Group | None = None
        name = segment.name
        while node is not None:
            held = node.segments.get(name)
            if held is None:
                node.segments[name] = [(segment, by)]
            else:
                held.append((segment, by))
            by = node.group
            node = None if by.is_prior else node.parent

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

    def forget(self, name: str, draft: Any) -> None:
        """Take a resource that is not made after all out of this group and those around it."""
        node: Node | None = self
        while node is not None:
            node.drafts[name] = [one for one in node.drafts.get(name, ()) if one[0] is not draft]
            node = node.parent

    def close(self) -> None:
        """Forget what is inside it: only the way out is needed when all are placed."""
        node: Node | None = self
        while node is not None and node.children:
            node.children.clear()
            node = node.parent

    def nearest(self, name: str) -> Segment | None:
        """Return the first segment of that name in the innermost group that has one.

        It is looked for once: all segments must be in their groups.
        """
        try:
            return self._near[name]
        except KeyError:
            found = self._near[name] = self._nearest(name)
            return found

    def _nearest(self, name: str) -> Segment | None:
        held = self.segments.get(name)
        if held:
            return held[0][0]
        outer = self.outer
        if outer is None:
            return None
        key = (name, id(self.within))  # what is outside is the same for all results
        known = outer._from_inside
        if key in known:
            return known[key]
        found = known[key] = self._outside(name)
        return found

    def _outside(self, name: str) -> Segment | None:
        """Return the first segment of that name in the innermost group around this one."""
        inside, node = self.within, self.outer
        while node is not None:
            for segment, by in node.segments.get(name, ()):
                if by is None or by is not inside:
                    return segment
            inside, node = node.within, node.outer
        return None

    def nearest_all(self, name: str) -> list[Segment]:
        """Return the segments of that name in the innermost group that has any.

        What stands in another occurrence of this group, or of one around it, is not near: the
        ORC of one order is not that of the next.
        """
        node: Node | None = self
        inside: Group | None = None
        while node is not None:
            if found := node.segments.get(name):
                near = [one for one, by in found if by is None or by is not inside]
                if near:
                    return near
            inside, node = node.within, node.outer
        return []

    def linked_drafts(self, name: str) -> list[Any]:
        """Return the nearest resources when no more of them come: found once for all results."""
        outer = self.outer
        if outer is None or name in self.drafts:
            return self.nearest_drafts(name)
        key = (name, id(self.within))
        found = outer.linked.get(key)
        if found is None:
            found = outer.linked[key] = self.nearest_drafts(name)
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
                    inside, node = node.within, node.outer
                    continue
                near = [one for one, by in found if by is None or by is not inside]
                if near:
                    return near
            inside, node = node.within, node.outer
        return []


def assign(segments: Iterable[Segment], root: Group) -> list[tuple[Segment, Node]]:
    """Return every segment with the group that it is in, its filled fields counted."""
    current = Node(root)
    placed = []
    segments = tuple(segments)
    for at, segment in enumerate(segments):
        segment.count()
        if segment.name == "SAC" and _comes_first(segments, at):
            current = _order_of(current) or _next(current, "SAC")
        else:
            current = _next(current, segment.name)
        current.add(segment)
        placed.append((segment, current))
    for _, node in placed:
        node.close()
    return placed


def _comes_first(segments: Sequence[Segment], at: int) -> bool:
    """Say whether a container stands before its order, as OML^O21 has it in 2.4: SAC, OBX, ORC."""
    if any(one.name == "SPM" for one in segments[:at]):
        return False
    behind = (one.name for one in segments[at + 1 :])
    return next((name for name in behind if name not in _OF_CONTAINER), "") == "ORC"


def _order_of(current: Node) -> Node | None:
    """Begin the order that comes behind its container: the ORC finds it begun."""
    top = current
    while top.parent is not None:
        top = top.parent
    for position, part in enumerate(top.group.parts):
        if part.group is not None and part.repeats and part.group.firsts == {"ORC"}:
            top.position = position
            child = top.children[position] = Node(part.group, top)
            return child
    return None


def _next(current: Node, name: str) -> Node:
    if name == current.group.again and current.position == 0 and _repeats(current):
        return _again(current)
    node: Node | None = current
    while node is not None:
        if name in node.group.holds:
            if found := _advance(node, name):
                return found
            if (
                node.parent is not None
                and (name in node.group.firsts or _began_with(node, name))
                and (_repeats(node) or (name == "OBR" and _is_ordered(node, current)))
            ):
                return _begin(node.parent, node.parent.position, name)
            if name in _ACTS and _has_order(node, name) and _is_inside(node, current):
                return _begin_under(node, name)
        node = node.parent
    node = current if name != "NTE" else None  # a note is of what it stands behind
    while node is not None:
        if name in node.group.holds:
            return _anywhere(node, name)
        node = node.parent
    return current


def _began_with(node: Node, name: str) -> bool:
    """Say whether a group began with a segment of it that the table has once, its first left out.

    So a prescription (RXE) that comes without ORC is an order of its own.
    """
    return next(iter(node.segments), "") == name and any(
        part.required and not part.repeats and part.name == name for part in node.group.parts
    )


def _is_ordered(node: Node, current: Node) -> bool:
    """Say whether an OBR begins a group again that the table has once: one more under one ORC."""
    return node.group.path.rpartition(".")[2] in _ORDERED and _is_inside(node, current)


def _has_order(node: Node, name: str) -> bool:
    """Say whether a group that repeats has its ORC and its one OBR or RXA already (OMG, VXU)."""
    return (
        node.parent is not None
        and _repeats(node)
        and all(any(by is None for _, by in node.segments.get(one, ())) for one in ("ORC", name))
    )


def _begin_under(node: Node, name: str) -> Node:
    """Begin a group again for one more act: what came before the first one, its ORC, is of both."""
    assert node.parent is not None
    child = _begin(node.parent, node.parent.position, name)
    first = next(one.index for one, by in node.segments[name] if by is None)
    for name, held in node.segments.items():
        if before := [(one, by) for one, by in held if one.index < first]:
            child.segments[name] = before
    return child


def _is_inside(node: Node, current: Node) -> bool:
    """Say whether a place is in a group, and not in a result of before."""
    inner: Node | None = current
    while inner is not None and inner is not node and not inner.group.is_prior:
        inner = inner.parent
    return inner is node


def _repeats(node: Node) -> bool:
    parent = node.parent
    if parent is None:
        return False
    part = parent.group.parts[parent.position]
    return part.group is node.group and part.repeats


def _again(node: Node) -> Node:
    """Begin a group again whose first segment came right behind itself: one more result."""
    parent = node.parent
    assert parent is not None
    child = parent.children[parent.position] = Node(node.group, parent)
    child.position = 0
    return child


def _advance(node: Node, name: str) -> Node | None:
    """Go to the next place of a segment in a group, at or behind the current one."""
    parts = node.group.parts
    start = node.position
    if start < 0 or not parts[start].repeats:
        start += 1
    for position in range(start, len(parts)):
        part = parts[position]
        if part.group is None:
            if part.name == name:
                node.position = position
                return node
        elif name in part.group.firsts:
            node.position = position
            return _begin(node, position, name)
        if part.required and name == "NTE":  # it is not of an order that has not come
            return None
    return None


def _begin(node: Node, position: int, name: str) -> Node:
    """Begin the group at a position anew, and go to the segment's place in it."""
    group = node.group.parts[position].group
    assert group is not None
    child = node.children[position] = Node(group, node)
    return _advance(child, name) or _anywhere(child, name)


def _anywhere(node: Node, name: str) -> Node:
    """Go to where a group has a segment at all, whatever stands before it."""
    parts = node.group.parts
    for position, part in enumerate(parts):
        if part.group is None and part.name == name:
            return node
        if part.group is not None and name in part.group.holds:
            return _anywhere(_child(node, position, part, name), name)
    raise AssertionError("the group holds no such segment")


def _child(node: Node, position: int, part: Part, name: str) -> Node:
    child = node.children.get(position)
    assert part.group is not None
    if child is None or (part.repeats and name in part.group.firsts):
        child = node.children[position] = Node(part.group, node)
    return child
