"""What became of each part of a message: mapped, preserved or dropped with the reason.

Every part that holds something (a field, or each component and repetition of it) is in the report
once; a field of very many parts is as a whole, and of a very long message segments are left out,
which the report says. *Mapped*: `to` are the elements of the Bundle that
it became. *Preserved*: it is kept word for word, in an extension of the message's Provenance where
no map reads it, or in the journal alone where the hub read it for itself; `reason` says what for.
*Dropped*: no resource has it, and why; it is still in the journal's bytes. The report holds paths
and reasons, never a value. It is worked out when somebody asks, by doing the conversion again
under watch.

Spec: DESIGN 5 (nothing lost from a message)
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from fhir_hub.hl7v2.datatypes.parts import clean
from fhir_hub.hl7v2.making.drafts import Draft, Place, Run
from fhir_hub.hl7v2.parsing.er7 import Segment
from fhir_hub.hl7v2.parsing.structure import OVERRULED
from fhir_hub.hl7v2.reports.effort import Effort, ranges
from fhir_hub.hl7v2.reports.elements import Json, Places
from fhir_hub.hl7v2.reports.leaves import Leaf, standard
from fhir_hub.hl7v2.reports.reasons import IGNORED, JOINED, KEY, LONG, WHOLE, Reasons
from fhir_hub.hl7v2.reports.tracing import Became, Tracer
from fhir_hub.hl7v2.senders.local_codes import UNMAPPED
from fhir_hub.identity.systems import BASE

if TYPE_CHECKING:
    from fhir_hub.hl7v2.conversion.convert import Conversion
    from fhir_hub.hl7v2.maps.programs import Entry, Program

    Entries = Callable[[Conversion], list[tuple[Json, list[Json]]]]

UNMAPPED_SEGMENT = f"{BASE}/StructureDefinition/unmapped-segment"
MAPPED, PRESERVED, DROPPED = "mapped", "preserved", "dropped"
JOURNAL = "journal"
_LONGEST_KEPT = 1 << 20  # characters of a FHIR string


class FieldReport(NamedTuple):
    """One part: where it stands, what became of it, which elements it became or why not."""

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


class LeftOut(NamedTuple):
    """The segments that are not told, because to try all of so much would take too long."""

    segments: tuple[int, ...] = ()
    fields: int = 0


class Report:
    """What became of a message's fields, and what was wrong with its data.

    `again` does the same conversion by another program.
    """

    def __init__(
        self,
        run: Run,
        program: "Program",
        late: Sequence[Any],
        kept: Mapping[int, int],
        dropped: Sequence[tuple[Draft, str]],
        again: "Callable[[Program], Conversion]",
    ) -> None:
        self._run = run
        self._program = program
        self._late: Sequence[tuple[Place, Entry, Draft]] = late
        self._kept = kept
        self._dropped = {id(draft): reason for draft, reason in dropped}
        self._again = again

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
            if code != UNMAPPED
        )
        return list(dict.fromkeys(found))

    def fields(self, entries: "Entries | None" = None) -> list[FieldReport]:
        """Return every part that holds something, in the message's order."""
        return self.told(Effort(), entries)[0]

    def told(
        self, effort: Effort, entries: "Entries | None" = None
    ) -> tuple[list[FieldReport], LeftOut]:
        """Return the parts that are told for so much effort, and what is left out.

        `entries` says of which resources each entry of the Bundle is; without, each is of one.
        """
        tracer = Tracer(effort)
        conversion = self._again(tracer.watched(self._program))
        changes = [one.resource for one in conversion.resources if one.mode == "change"]
        places = Places((entries or _apart)(conversion), changes)
        return conversion.report._told(tracer, conversion, places)

    def _told(
        self, tracer: Tracer, conversion: "Conversion", places: Places
    ) -> tuple[list[FieldReport], LeftOut]:
        """Return the parts as `tracer` saw them in this conversion."""
        ran = {place.segment.index for place, _, _ in self._late} | tracer.told
        segments = self._run.message.segments
        placed = self._program.layouts.of(segments, self._program.groups).placed(segments)
        overruled = {one.index for one, node in placed if node.group is OVERRULED}
        reasons = Reasons(self._program, ran, overruled, by_table=self._run.by_table)
        keeper = _keeper(conversion, places)
        found: list[FieldReport] = []
        left: list[Segment] = []
        for segment in segments:
            if not tracer.tells(segment):
                left.append(segment)
                continue
            for number in range(1, len(segment.fields)):
                leaves = tracer.leaves(segment, number)
                told = [self._leaf(segment, leaf, tracer, places, keeper) for leaf in leaves]
                is_read = any(one is not None for one in told)
                for leaf, one in zip(leaves, told, strict=True):
                    found.append(
                        one or self._other(leaf, segment, tracer, reasons, is_read, keeper)
                    )
        fields = sum(1 for one in left for text in one.fields[1:] if text.strip())
        return found, LeftOut(tuple(one.index for one in left), fields)

    def _leaf(
        self,
        segment: Segment,
        leaf: Leaf,
        tracer: Tracer,
        places: Places,
        keeper: tuple[str, int],
    ) -> FieldReport | None:
        """Return what a part became, None if no row made anything of it."""
        became = tracer.of(leaf)
        made = [one for each in became for one in each.elements]
        found = [
            places.path(one, each.draft.resource)
            for each in became
            for one in each.elements
            if not one.is_hash
        ]
        to = tuple(dict.fromkeys(filter(None, found)))
        if not to and (gone := self._taken_out(became)):
            to = (f"deletes {gone}",)
        if to:
            return FieldReport(leaf.name, segment.index, MAPPED, to, WHOLE if leaf.is_whole else "")
        reason = next(filter(None, map(self._why_not, became)), "")
        if not reason and made and all(places.is_joined(each.draft.resource) for each in became):
            reason = JOINED
        if reason and (kept := self._kept_at(leaf, keeper)):
            return FieldReport(leaf.name, segment.index, PRESERVED, kept, reason)
        if became and segment.index not in self._kept:
            lost = KEY if any(one.is_hash for one in made) else "left out as incomplete"
            reason = reason or lost
            return FieldReport(leaf.name, segment.index, DROPPED, (), reason)
        return None

    def _taken_out(self, became: list[Became]) -> str:
        """Return the list of which a part tells the item that the message takes out, or `""`."""
        losing = {id(draft) for _, entry, draft in self._late if entry.takes_out}
        made = (one for each in became if id(each.draft) in losing for one in each.elements)
        return next((".".join(one.generic.split(".")[:2]) for one in made), "")

    def _why_not(self, became: Became) -> str:
        return self._dropped.get(id(became.draft), "")

    def _other(
        self,
        leaf: Leaf,
        segment: Segment,
        tracer: Tracer,
        reasons: Reasons,
        is_read: bool,
        keeper: tuple[str, int],
    ) -> FieldReport:
        """Return what became of a part that is no element."""
        if leaf.text == '""':
            deleted = tracer.nulls.get((segment.index, leaf.field))
            if deleted and self._program.scope.settings.deletes:
                return FieldReport(leaf.name, segment.index, MAPPED, (f"deletes {deleted}",))
            if deleted:
                return FieldReport(leaf.name, segment.index, DROPPED, (), IGNORED)
        kept = self._kept_at(leaf, keeper)
        if use := reasons.use(segment, leaf, is_read or bool(kept)):
            return FieldReport(leaf.name, segment.index, PRESERVED, (JOURNAL,), use)
        reason = reasons.why(segment, leaf, is_read)
        return FieldReport(leaf.name, segment.index, PRESERVED if kept else DROPPED, kept, reason)

    def _kept_at(self, leaf: Leaf, keeper: tuple[str, int]) -> tuple[str, ...]:
        """Return where a part is kept word for word, nothing if it is not."""
        if not self._kept.get(leaf.segment, 0) >> leaf.field & 1:
            return ()
        path, first = keeper
        number = first + list(self._kept).index(leaf.segment)
        return (f"{path}.extension[{number}].valueString",)

    def as_data(
        self, effort: Effort | None = None, entries: "Entries | None" = None
    ) -> dict[str, Any]:
        """Return the report as JSON-able data, for what is left of `effort`."""
        run = self._run
        fields, left = self.told(effort or Effort(), entries)
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
        } | ({"left_out": _left_out(left)} if left.segments else {})


def _apart(conversion: "Conversion") -> list[tuple[Json, list[Json]]]:
    told = (one.resource for one in conversion.resources if one.mode != "change")
    return [(resource, [resource]) for resource in told]


def _left_out(left: LeftOut) -> dict[str, Any]:
    return {
        "segments": len(left.segments),
        "fields": left.fields,
        "where": ranges(left.segments),
        "reason": LONG,
    }


def _shown(data: dict[str, Any]) -> dict[str, Any]:
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in data.items()
        if value not in ("", ())
    }


def _keeper(conversion: "Conversion", places: Places) -> tuple[str, int]:
    """Return the path of the Provenance that keeps segments, and which extension is the first."""
    for one in conversion.resources:
        for number, extension in enumerate(one.resource.get("extension", ())):
            if extension.get("url") == UNMAPPED_SEGMENT:
                return places.root(one.resource), number
    return "Provenance", 0


def kept_segments(run: Run, unread: Sequence[tuple[Segment, int]]) -> dict[int, int]:
    r"""Keep what nothing took in the message's Provenance: `unread` segments, those fields alone.

    They are written with the delimiters `|^~\&`, whatever the message's are.

    Returns which fields (bit n is field n) of which segments, in the order of the extensions.
    """
    keeper = next((draft for draft in run.drafts if draft.name == "Provenance"), None)
    if keeper is None:
        return {}
    kept: dict[int, int] = {}
    for segment, mask in unread:
        if not mask >> 1:
            continue
        fields = segment.fields
        numbers = [
            n
            for n, text in enumerate(fields)
            if text and n and mask >> n & 1 and text.strip("^&~ ")
        ]
        if not numbers:
            continue
        first = 3 if segment.name in ("MSH", "BHS", "FHS") else 1
        shown = [""] * (numbers[-1] + 1 - first)
        for n in numbers:
            if n >= first:
                shown[n - first] = standard(fields[n], segment.encoding)
        text = clean("|".join([segment.name, *shown]))
        if len(text) <= _LONGEST_KEPT:
            extension = {"url": UNMAPPED_SEGMENT, "valueString": text}
            keeper.resource.setdefault("extension", []).append(extension)
            kept[segment.index] = _bits(numbers)
    return kept


def _bits(numbers: Sequence[int]) -> int:
    """Return the sum of two to the power of ascending numbers, in a step each."""
    octets = bytearray((numbers[-1] >> 3) + 1)
    for number in numbers:
        octets[number >> 3] |= 1 << (number & 7)
    return int.from_bytes(octets, "little")
