"""Which group of its structure each segment of a message is in, whatever order it came in.

A segment goes to the next place that the structure has for it, seen from the one before: first
in the innermost open group, then outwards, beginning a group again where it may repeat. What is
out of place goes where the structure has it at all; a note, and what the structure does not know
(a Z-segment), stays with the segment before it. So nothing is dropped.

Spec: HL7v2 chapter 2, 2.5.2 and 2.6 (order of segments, unexpected segments)
"""

from collections.abc import Mapping, Sequence

from fhir_hub.hl7v2.parsing.structure import OVERRULED, Group, Part

_OF_CONTAINER = frozenset({"SAC", "SID", "OBX", "NTE"})
_ACTS = frozenset({"OBR", "RXA"})
_ORDERED = frozenset({"ORDER_DETAIL", "OBSERVATION_REQUEST"})
_BROUGHT = ("RXD", "RXG", "RXA")


class Spot:
    """One occurrence of a group in a message, as the names of its segments make it.

    `segments` has, by name, the positions of those in it at any depth, in the message's order; each
    with the inner group by which it came (`None`: it stands in this one). Who looks for what is
    near goes on in `outer`, past what came by `within`: from a result of before that is the
    message, because the order around it is another. `near` is what was looked for so far: the
    position of the first of a name, -1 where there is none. One that `is_alone` has one segment.
    """

    __slots__ = (
        "_from_inside",
        "children",
        "group",
        "is_alone",
        "near",
        "outer",
        "parent",
        "position",
        "segments",
        "within",
    )

    def __init__(self, group: Group, parent: "Spot | None" = None) -> None:
        self.group = self.within = group
        self.parent = self.outer = parent
        if group.is_prior:
            while self.outer is not None and self.outer.parent is not None:
                self.within, self.outer = self.outer.group, self.outer.parent
        self.position, self.is_alone = -1, False
        self.children: dict[int, Spot] = {}
        self.segments: dict[str, list[tuple[int, Group | None]]] = {}
        self.near: dict[str, int] = {"ORC": -1, "OBR": -1} if group.is_of_no_order else {}
        self._from_inside: dict[tuple[str, int], int] = {}

    def add(self, name: str, at: int) -> None:
        """Put the segment at a position into this group."""
        spot: Spot | None = self
        by: Group | None = None
        while spot is not None:
            spot.is_alone = not spot.segments
            spot.segments.setdefault(name, []).append((at, by))
            by = spot.group
            spot = None if by.is_prior else spot.parent

    def find(self, name: str) -> int:
        """Return where the first segment of that name is in the innermost group that has one.

        It is looked for once: all segments must be in their groups.
        """
        found = self.near.get(name)
        if found is None:
            found = self.near[name] = self._find(name)
        return found

    def _find(self, name: str) -> int:
        held = self.segments.get(name)
        if held:
            return held[0][0]
        outer = self.outer
        if outer is None:
            return -1
        key = (name, id(self.within))  # what is outside is the same for all results
        known = outer._from_inside
        if key not in known:
            known[key] = self._outside(name)
        return known[key]

    def _outside(self, name: str) -> int:
        """Return where the first segment of that name is in the innermost group around this one."""
        inside, spot = self.within, self.outer
        while spot is not None:
            for at, by in spot.segments.get(name, ()):
                if by is None or by is not inside:
                    return at
            inside, spot = spot.within, spot.outer
        return -1

    def find_all(self, name: str) -> list[int]:
        """Return where the segments of that name are in the innermost group that has any.

        What stands in another occurrence of this group, or of one around it, is not near: the
        ORC of one order is not that of the next.
        """
        spot: Spot | None = self
        inside: Group | None = None
        while spot is not None:
            near = [at for at, by in spot.segments.get(name, ()) if by is None or by is not inside]
            if near:
                return near
            inside, spot = spot.within, spot.outer
        return []


def assign(names: Sequence[str], root: Group) -> list[Spot]:
    """Return the group that each segment is in, by the names of all of them."""
    current = Spot(root)
    placed = []
    for at, name in enumerate(names):
        if name == "SAC" and _comes_first(names, at):
            current = _order_of(current) or _next(current, "SAC")
        elif name == "OBX":
            current = _result(current) or _next(current, name)
        else:
            current = _next(current, name)
        current.add(name, at)
        placed.append(current)
    if "RXE" in names:
        _set_aside(_overruled(names), placed)
    return placed


def _overruled(names: Sequence[str]) -> dict[int, int]:
    """Return what was ordered and the pharmacy's RXE has anew, each with where its ORC is.

    When, how and of what: twice a day 500 mg may have become four times a day 250 mg (HL7v2
    chapter 4A, RXE).
    """
    found: dict[int, int] = {}
    order, is_encoded = -1, False
    ordered: dict[str, list[int]] = {}
    for at, name in enumerate(names):
        if name == "ORC":
            order, is_encoded, ordered = at, False, {}
        elif name == "RXE":
            ordered, is_encoded = {} if is_encoded else ordered, True
        elif name in _BROUGHT:
            ordered = {}
        elif name in OVERRULED.holds and is_encoded:
            found |= dict.fromkeys(ordered.pop(name, ()), order)
        elif name in OVERRULED.holds and order >= 0:
            ordered.setdefault(name, []).append(at)
    return found


def _set_aside(overruled: Mapping[int, int], placed: list[Spot]) -> None:
    """Take segments out of their groups, and put each into one of its own in its order."""
    around: dict[int, Spot] = {}
    for at in overruled:
        spot: Spot | None = placed[at]
        while spot is not None:
            around[id(spot)] = spot
            spot = spot.parent
    for one in around.values():
        for name in one.segments.keys() & OVERRULED.holds:
            one.segments[name] = [held for held in one.segments[name] if held[0] not in overruled]
    for at, order in overruled.items():
        placed[at] = Spot(OVERRULED, placed[order])


def _comes_first(names: Sequence[str], at: int) -> bool:
    """Say whether a container stands before its order, as OML^O21 has it in 2.4: SAC, OBX, ORC."""
    if "SPM" in names[:at]:
        return False
    return next((name for name in names[at + 1 :] if name not in _OF_CONTAINER), "") == "ORC"


def _result(current: Spot) -> Spot | None:
    """Begin a result of a report whose specimen comes before all of them; None of any other."""
    report: Spot | None = current
    while report is not None and not report.group.path.endswith("ORDER_OBSERVATION"):
        report = report.parent
    if report is None or "SPM" not in report.segments:
        return None
    before = report.segments.get("OBX")
    if before and before[0][0] < report.segments["SPM"][0][0]:
        return None
    for at, part in enumerate(report.group.parts):
        if part.group is not None and "OBX" in part.group.firsts:
            report.position = at
            return _begin(report, at, "OBX")
    return None


def _order_of(current: Spot) -> Spot | None:
    """Begin the order that comes behind its container: the ORC finds it begun."""
    top = current
    while top.parent is not None:
        top = top.parent
    for position, part in enumerate(top.group.parts):
        if part.group is not None and part.repeats and part.group.firsts == {"ORC"}:
            top.position = position
            child = top.children[position] = Spot(part.group, top)
            return child
    return None


def _next(current: Spot, name: str) -> Spot:
    if name == current.group.again and current.position == 0 and _repeats(current):
        return _again(current)
    spot: Spot | None = current
    while spot is not None:
        if name in spot.group.holds:
            if found := _advance(spot, name):
                return found
            if spot.parent is not None and (name in spot.group.firsts or _began_with(spot, name)):
                if _repeats(spot):
                    return _begin(spot.parent, spot.parent.position, name)
                if name == "OBR" and _is_ordered(spot, current):
                    return _one_more(spot, spot.parent)
            if name in _ACTS and _has_order(spot, name) and _is_inside(spot, current):
                return _begin_under(spot, name)
        spot = spot.parent
    spot = current if name != "NTE" else None  # a note is of what it stands behind
    while spot is not None:
        if name in spot.group.holds:
            return _anywhere(spot, name)
        spot = spot.parent
    return current


def _began_with(spot: Spot, name: str) -> bool:
    """Say whether a group began with a segment of it that the table has once, its first left out.

    So a prescription (RXE) that comes without ORC is an order of its own.
    """
    return next(iter(spot.segments), "") == name and any(
        part.required and not part.repeats and part.name == name for part in spot.group.parts
    )


def _is_ordered(spot: Spot, current: Spot) -> bool:
    """Say whether an OBR begins a group again that the table has once: one more under one ORC."""
    return spot.group.path.rpartition(".")[2] in _ORDERED and _is_inside(spot, current)


def _one_more(spot: Spot, order: Spot) -> Spot:
    """Return where an OBR goes in an order that the table has once: here, or in one more of it."""
    if "OBR" not in spot.segments:
        return spot  # what is here, its specimen, came before it
    return _begin(order, [part.group for part in order.group.parts].index(spot.group), "OBR")


def _has_order(spot: Spot, name: str) -> bool:
    """Say whether a group that repeats has its ORC and its one OBR or RXA already (OMG, VXU)."""
    return (
        spot.parent is not None
        and _repeats(spot)
        and all(any(by is None for _, by in spot.segments.get(one, ())) for one in ("ORC", name))
    )


def _begin_under(spot: Spot, name: str) -> Spot:
    """Begin a group again for one more act: what came before the first one, its ORC, is of both."""
    assert spot.parent is not None
    child = _begin(spot.parent, spot.parent.position, name)
    first = next(at for at, by in spot.segments[name] if by is None)
    for name, held in spot.segments.items():
        if before := [(at, by) for at, by in held if at < first]:
            child.segments[name] = before
    return child


def _is_inside(spot: Spot, current: Spot) -> bool:
    """Say whether a place is in a group, and not in a result of before."""
    inner: Spot | None = current
    while inner is not None and inner is not spot and not inner.group.is_prior:
        inner = inner.parent
    return inner is spot


def _repeats(spot: Spot) -> bool:
    parent = spot.parent
    if parent is None:
        return False
    part = parent.group.parts[parent.position]
    return part.group is spot.group and part.repeats


def _again(spot: Spot) -> Spot:
    """Begin a group again whose first segment came right behind itself: one more result."""
    parent = spot.parent
    assert parent is not None
    child = parent.children[parent.position] = Spot(spot.group, parent)
    child.position = 0
    return child


def _advance(spot: Spot, name: str) -> Spot | None:
    """Go to the next place of a segment in a group, at or behind the current one."""
    parts = spot.group.parts
    start = spot.position
    if start < 0 or not parts[start].repeats:
        start += 1
    for position in range(start, len(parts)):
        part = parts[position]
        if part.group is None:
            if part.name == name:
                spot.position = position
                return spot
        elif name in part.group.firsts:
            spot.position = position
            return _begin(spot, position, name)
        if part.required and name == "NTE":  # it is not of an order that has not come
            return None
    return None


def _begin(spot: Spot, position: int, name: str) -> Spot:
    """Begin the group at a position anew, and go to the segment's place in it."""
    group = spot.group.parts[position].group
    assert group is not None
    child = spot.children[position] = Spot(group, spot)
    return _advance(child, name) or _anywhere(child, name)


def _anywhere(spot: Spot, name: str) -> Spot:
    """Go to where a group has a segment at all, whatever stands before it."""
    parts = spot.group.parts
    for position, part in enumerate(parts):
        if part.group is None and part.name == name:
            return spot
        if part.group is not None and name in part.group.holds:
            return _anywhere(_child(spot, position, part, name), name)
    raise AssertionError("the group holds no such segment")


def _child(spot: Spot, position: int, part: Part, name: str) -> Spot:
    child = spot.children.get(position)
    assert part.group is not None
    if child is None or (part.repeats and name in part.group.firsts):
        child = spot.children[position] = Spot(part.group, spot)
    return child
