"""What became of each field of a message: mapped, preserved or dropped with the reason.

Every field that holds something is in the report once, with the elements that it went to; of a
field read in parts, each part that no row reads is in it as dropped. The report holds paths and
reasons, never a value. It is worked out when somebody asks.

Spec: DESIGN 5 (nothing lost from a message)
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from fhir_hub.hl7v2.drafts import Draft, Place, Run
from fhir_hub.hl7v2.er7 import Segment
from fhir_hub.hl7v2.groups import Node
from fhir_hub.hl7v2.path import Path
from fhir_hub.identity.systems import BASE

if TYPE_CHECKING:
    from fhir_hub.hl7v2.programs import Entry, Program
    from fhir_hub.hl7v2.rows import Row

UNMAPPED_SEGMENT = f"{BASE}/StructureDefinition/unmapped-segment"
_ROUTING = {
    "MSH": {1: "delimiters", 2: "delimiters", 5: "the receiver", 6: "the receiver", 9: "the map"}
    | {10: "the acknowledgment", 11: "the receiver", 12: "the acknowledgment"}
    | {15: "the acknowledgment", 16: "the acknowledgment", 17: "the character set"}
    | {18: "the character set", 19: "the language of texts", 20: "the character set"},
    "EVN": {1: "the map"},
    "MSA": {1: "the acknowledgment", 2: "the acknowledgment"},
}
_NUMBERED = frozenset(
    {"PID", "PV1", "NK1", "AL1", "DG1", "IN1", "OBR", "OBX", "NTE", "SPM", "TQ1", "PR1", "GT1"}
    | {"RGS", "AIS", "AIG", "AIL", "AIP", "ZQY", "ZHY", "ZPS", "ZPI", "ZZR"}
)
MAPPED, PRESERVED, DROPPED = "mapped", "preserved", "dropped"
Used = dict[tuple[int, int], list[tuple[Path, str]]]


class FieldReport(NamedTuple):
    """One field, or the part of one: where it stands, what became of it, where it went or why."""

    path: str
    segment: int
    state: str
    to: tuple[str, ...] = ()
    reason: str = ""


class IssueReport(NamedTuple):
    """One thing wrong with the data, the fields that it is about, and the map's row."""

    code: str
    text: str
    paths: tuple[str, ...]
    row: str


class Report:
    """What became of a message's fields, and what was wrong with its data."""

    def __init__(
        self,
        run: Run,
        program: "Program",
        late: Sequence[Any],
        kept: Iterable[int],
        dropped: Sequence[tuple[Draft, str]],
    ) -> None:
        self._run = run
        self._program = program
        self._late: Sequence[tuple[Place, Entry, Draft]] = late
        self._kept = frozenset(kept)
        self._dropped = {id(draft): reason for draft, reason in dropped}

    @property
    def structure(self) -> str:
        """The message structure whose map was run; `*` for the generic one."""
        return self._program.structure

    @property
    def senders(self) -> tuple[str, ...]:
        """The senders' files that held."""
        return self._program.senders

    def issues(self) -> list[IssueReport]:
        """Return what was wrong with the data, each once."""
        found = (
            IssueReport(
                code,
                text,
                tuple(str(source) for source in row.sources) if row else (),
                row.where if row else "",
            )
            for code, text, row in self._run.issues
        )
        return list(dict.fromkeys(found))

    def fields(self) -> list[FieldReport]:
        """Return every field that holds something, in the message's order."""
        used, failed = self._used()
        ran: dict[int, list[Entry]] = {}
        for place, entry, _ in self._late:
            ran.setdefault(place.segment.index, []).append(entry)
        found: list[FieldReport] = []
        for segment in self._run.message.segments:
            for number in range(1, len(segment.fields)):
                if segment.field(number).strip("^&~ "):
                    found += self._field(segment, number, used, failed, ran)
        return found

    def as_data(self) -> dict[str, Any]:
        """Return the report as JSON-able data."""
        run, fields = self._run, self.fields()
        header = run.message.header
        states = [one.state for one in fields]
        return {
            "message": {
                "type": "^".join(part for part in (header.value(9), header.value(9, 2)) if part),
                "structure": self.structure,
                "version": header.value(12),
                "controlId": run.control_id,
                "application": run.application,
                "facility": run.facility,
            },
            "senders": list(self.senders),
            "counts": {state: states.count(state) for state in (MAPPED, PRESERVED, DROPPED)},
            "fields": [_shown(one._asdict()) for one in fields],
            "issues": [_shown(one._asdict()) for one in self.issues()],
        }

    def _used(self) -> tuple[Used, Used]:
        """Return which fields went where, and which were for a resource that was not made."""
        used: Used = {}
        failed: Used = {}
        for here, node, row, draft in self._run.trace:
            into = failed if id(draft) in self._dropped else used
            to = self._dropped.get(id(draft), f"{draft.name}.{row.to}")
            for path in row.sources:
                for segment in _read_by(row, path, here, node):
                    into.setdefault((segment.index, path.field), []).append((path, to))
        return used, failed

    def _field(
        self,
        segment: Segment,
        number: int,
        used: Used,
        failed: Used,
        ran: Mapping[int, list["Entry"]],
    ) -> Iterator[FieldReport]:
        name = f"{segment.name}-{number}"
        key = (segment.index, number)
        routed = _ROUTING.get(segment.name, {}).get(number)
        if found := used.get(key):
            to = tuple(dict.fromkeys(target for _, target in found))
            yield FieldReport(name, segment.index, MAPPED, to)
            if not routed and all(path.component for path, _ in found):
                yield from self._unread(segment, number, {path.component for path, _ in found})
        elif routed:
            yield FieldReport(name, segment.index, MAPPED, (routed,))
        elif segment.index in self._kept:
            yield FieldReport(name, segment.index, PRESERVED, ("Provenance.extension",))
        elif key in failed:
            yield FieldReport(name, segment.index, DROPPED, (), failed[key][0][1])
        elif number == 1 and segment.name in _NUMBERED:
            yield FieldReport(name, segment.index, DROPPED, (), "a number in sequence only")
        else:
            yield self._unused(segment, number, ran.get(segment.index, []))

    def _unread(self, segment: Segment, number: int, read: set[int]) -> Iterator[FieldReport]:
        for value in segment.repetitions(number):
            for component, text in enumerate(value.components, start=1):
                if text.strip("& ") and component not in read:
                    name = f"{segment.name}-{number}.{component}"
                    reason = "no row reads this part"
                    yield FieldReport(name, segment.index, DROPPED, (), reason)

    def _unused(self, segment: Segment, number: int, ran: list["Entry"]) -> FieldReport:
        name = f"{segment.name}-{number}"
        state, to, reason = DROPPED, "", "no row reads this field"
        readers = [
            one.row
            for entry in self._everything()
            for one in (*entry.rows, *entry.late, *entry.last)
            if _reads(one.row, segment.name, number)
        ]
        if not readers and segment.name not in (*self._program.entries, "MSH", "EVN"):
            reason = "no map for this segment"
        elif not ran and segment.name in self._program.entries:
            reason = "nothing in this message that it could belong to"
        elif readers and segment.field(number).strip('"') == "":
            state, to = MAPPED, f"deletes {readers[0].to}"
        elif readers:
            reason = "no value for it, or another field was taken"
        elif self._steers(segment.name, number):
            state, to = MAPPED, "a condition of the map"
        return FieldReport(name, segment.index, state, (to,) if to else (), reason * (not to))

    def _steers(self, name: str, number: int) -> bool:
        paths = (path for entry in self._everything() for path in entry.steered_by)
        return any((path.segment, path.field) == (name, number) for path in paths)

    def _everything(self) -> Iterator["Entry"]:
        for entries in self._program.entries.values():
            yield from entries


def _reads(row: "Row", name: str, number: int) -> bool:
    return any((path.segment, path.field) == (name, number) for path in row.sources)


def _read_by(row: "Row", path: Path, here: Segment, node: Node) -> list[Segment]:
    """Return the segments that a row read at a place; a call reads all of a name nearby."""
    if here.name == path.segment:
        return [here]
    return node.nearest_all(path.segment)[: None if row.call else 1]


def _shown(data: dict[str, Any]) -> dict[str, Any]:
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in data.items()
        if value not in ("", ())
    }


def kept_segments(run: Run, program: "Program") -> list[int]:
    """Keep the Z-segments that no map reads in the message's Provenance; return which."""
    keeper = next((draft for draft in run.drafts if draft.name == "Provenance"), None)
    if keeper is None:
        return []
    kept = []
    for segment in run.message.segments:
        if segment.name.startswith("Z") and segment.name not in program.entries:
            extension = {"url": UNMAPPED_SEGMENT, "valueString": segment.text.strip()}
            keeper.resource.setdefault("extension", []).append(extension)
            kept.append(segment.index)
    return kept
