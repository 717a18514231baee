"""Which fields of a message were taken; what is left is kept word for word.

A field is taken where an entry that ran has a row that reads it and whose condition held there. A
row of an entry that did not run takes nothing, though it stands in the same map. What the hub
itself reads is taken too, and what steers the map by what it says (not by being there), unless
nothing else of its segment was taken: `PRT-4` says what somebody did whom no entry knows.

Spec: DESIGN 5 (nothing lost from a message)
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from fhir_hub.hl7v2.calls.table import KEYS
from fhir_hub.hl7v2.making.drafts import Draft, Place, Run
from fhir_hub.hl7v2.maps.plans import runs
from fhir_hub.hl7v2.parsing.er7 import Segment
from fhir_hub.hl7v2.parsing.nodes import Node
from fhir_hub.hl7v2.rows.compiler import Compiled
from fhir_hub.hl7v2.rows.row import Row

if TYPE_CHECKING:
    from fhir_hub.hl7v2.maps.programs import Entry

# Fields that the hub itself reads: what for.
ROUTING: Mapping[str, Mapping[int, str]] = {
    "MSH": {1: "delimiters", 2: "delimiters", 5: "the receiver", 6: "the receiver", 9: "the map"}
    | {3: "the sender", 4: "the sender", 7: "the order of messages", 10: "the acknowledgment"}
    | {11: "the receiver", 12: "the acknowledgment"}
    | {15: "the acknowledgment", 16: "the acknowledgment", 17: "the character set"}
    | {18: "the character set", 19: "the language of texts", 20: "the character set"}
    | {21: "the map"},
    "EVN": {1: "the map", 2: "the order of messages"},
    "MSA": {1: "the acknowledgment", 2: "the acknowledgment"},
}
# Segments whose first field only numbers them.
NUMBERED = frozenset(
    {"PID", "PV1", "NK1", "AL1", "DG1", "IN1", "OBR", "OBX", "NTE", "SPM", "TQ1", "PR1", "GT1"}
    | {"RGS", "AIS", "AIG", "AIL", "AIP", "ZQY", "ZHY", "ZPS", "ZPI", "ZZR", "TQ2", "IAM"}
    | {"FT1", "ARV", "TXA", "RXA"}
)
# Of these another vendor's layout may begin with what it tells, and no number.
_HERE = frozenset({"ZQY", "ZHY", "ZPS", "ZPI", "ZZR"})
Late = Sequence[tuple[Place, "Entry", Draft]]
Readers = Mapping[int, tuple[tuple[str, Compiled], ...]]


class Reads(NamedTuple):
    """What is read of a segment; bit n is field n.

    `taken` is what the hub, the map's conditions and the rows of other segments read, of which
    `steers` are the conditions and `others` what only those rows read: of several segments each
    the nearest; `perhaps` is what only rows with a condition read. `readers` are those of each
    field of `others` and `perhaps`, with where their entry is written.
    """

    taken: int
    steers: int
    others: int
    perhaps: int
    readers: Readers


def reads_of(
    entries: Mapping[str, Iterable["Entry"]], ran: frozenset[str], *, by_table: bool
) -> dict[str, Reads]:
    """Return what is read of each segment where of a map's entries those in `ran` run."""
    taken: dict[str, int] = {}
    steers: dict[str, int] = {}
    others: dict[str, int] = {}
    readers: dict[str, dict[int, list[tuple[str, Compiled]]]] = {}
    for name, numbers in ROUTING.items():
        taken[name] = sum(1 << number for number in numbers) | 1
    for name in NUMBERED:
        taken[name] = taken.get(name, 1) | 2
    for name, number in _steering(entries, by_table):
        if not taken.get(name, 1) >> number & 1:
            steers[name] = steers.get(name, 0) | 1 << number
    held = [one for listed in entries.values() for one in listed if one.where in ran]
    for entry in held:
        for one in (*entry.rows, *entry.late, *entry.last):
            for path in one.row.sources:
                is_of_another = path.segment != entry.segment
                if is_of_another and one.row.call in KEYS:
                    continue
                if one.test is None and is_of_another:
                    others[path.segment] = others.get(path.segment, 0) | 1 << path.field
                if one.test is not None or is_of_another:
                    fields = readers.setdefault(path.segment, {})
                    fields.setdefault(path.field, []).append((entry.where, one))
    return {
        name: _reads(
            taken.get(name, 1), steers.get(name, 0), others.get(name, 0), readers.get(name, {})
        )
        for name in {*taken, *steers, *readers}
    }


def _steering(
    entries: Mapping[str, Iterable["Entry"]], by_table: bool
) -> Iterator[tuple[str, int]]:
    """Yield the fields by which the map is steered."""
    for listed in entries.values():
        for entry in listed:
            if entry.mode != "change" and runs(entry.mode, by_table):
                yield from ((path.segment, path.field) for path in entry.steered_by)


def _reads(
    taken: int, steers: int, others: int, readers: Mapping[int, list[tuple[str, Compiled]]]
) -> Reads:
    steers &= ~taken & ~others
    taken |= steers
    others &= ~taken
    left = {number: tuple(rows) for number, rows in readers.items() if not taken >> number & 1}
    perhaps = sum(1 << number for number in left) & ~others
    return Reads(taken | others, steers, others, perhaps, left)


def taken_by(rows: Iterable[Compiled], segment: str) -> int:
    """Return the fields of the entry's own segment that its rows read whatever the message says."""
    paths = [path for one in rows if one.test is None for path in one.row.sources]
    return sum({1 << path.field for path in paths if path.segment == segment})


_NOTHING = Reads(1, 0, 0, 0, {})


def unread(
    run: Run,
    late: Late,
    reads: Callable[[frozenset[str], bool], Mapping[str, Reads]],
) -> list[tuple[Segment, int]]:
    """Return the segments with fields that nothing has taken: bit n is field n.

    `run.left` has what the entries of the segment itself left, `late` every entry that ran, and
    where; `reads` tells what such entries read.
    """
    late = [one for one in late if one[1].mode != "change"]  # nobody knows whether those tell
    known = reads(frozenset([entry.where for _, entry, _ in late]), run.by_table)
    doubtful: dict[str, dict[int, int]] = {}
    some: list[tuple[Segment, int]] = []
    untaken = run.untaken
    for segment, left in run.left:
        if left >= 0:  # else no entry is for it
            taken, _, others, perhaps, _ = known.get(segment.name, _NOTHING)
            if left & others and len(run.message.all(segment.name)) > 1:
                taken, perhaps = taken & ~others, perhaps | others
            left &= ~taken
            if doubt := left & perhaps:
                doubtful.setdefault(segment.name, {})[segment.index] = doubt
        is_odd = segment.name in _HERE and not is_counted(segment)
        if left or is_odd or segment.index in untaken:
            some.append((segment, left))
    met = _met(doubtful, known, late) if doubtful else {}
    found = []
    for segment, left in some:
        if left >= 0:
            left &= ~met.get(segment.index, 0)
            left = _whole(segment, left, known.get(segment.name, _NOTHING))
        if left := left | untaken.get(segment.index, 0) | 2 * (not is_counted(segment)):
            found.append((segment, left))
    return found


def is_counted(segment: Segment) -> bool:
    """Say whether the first field of a segment that may count its kind does, or is empty."""
    if segment.name not in _HERE:
        return True
    first = segment.field(1).strip()
    return not first or first.isdigit()


def _whole(segment: Segment, left: int, reads: Reads) -> int:
    """Return what is left of a segment, with what steers where nothing else of it was taken."""
    rest = segment.filled & ~left & ~reads.steers
    is_untold = rest & ~(1 | 2 * (segment.name in NUMBERED)) == 0
    return left | segment.filled & reads.steers if left and is_untold else left


def _met(
    doubtful: Mapping[str, dict[int, int]], known: Mapping[str, Reads], late: Late
) -> dict[int, int]:
    """Return, by segment, which of its `doubtful` fields a row reads whose condition holds."""
    places: dict[str, list[Place]] = {}
    for place, entry, _ in late:
        places.setdefault(entry.where, []).append(place)
    met: dict[int, int] = {}
    for name, fields in doubtful.items():
        for number, rows in known[name].readers.items():
            bit = 1 << number
            left = {index for index, doubt in fields.items() if doubt & bit}
            for one, place in ((one, place) for where, one in rows for place in places[where]):
                if not left:
                    break
                near = read_by(one.row, name, place.segment, place.node)
                taken = [other.index for other in near if other.index in left]
                if taken and (one.test is None or one.test(place)):
                    left.difference_update(taken)
                    met |= {index: met.get(index, 0) | bit for index in taken}
    return met


def read_by(row: Row, name: str, here: Segment, node: Node) -> list[Segment]:
    """Return the segments that a row reads at a place; a call reads all of a name nearby."""
    if here.name == name:
        return [here]
    return node.nearest_all(name)[: None if row.call else 1]
