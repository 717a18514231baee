"""An HL7v2 message as FHIR resources: the message is put into groups, its map is run over it.

Three passes: every segment runs its entries and makes drafts; then references between them and
constants in their lists; then what refers to everything (Provenance). Nothing is stored here and
no clock is read: the same message gives the same resources, full urls and all.

Spec: https://build.fhir.org/ig/HL7/v2-to-fhir/mapping_guidelines.html
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

from fhir_hub.errors import InvalidMessage
from fhir_hub.hl7v2.conversion.dropped import Late, drop_incomplete, drop_witnesses
from fhir_hub.hl7v2.conversion.fragments import require_whole
from fhir_hub.hl7v2.conversion.matches import leave_moved, set_matches
from fhir_hub.hl7v2.conversion.small_names import is_small
from fhir_hub.hl7v2.datatypes import times
from fhir_hub.hl7v2.datatypes.context import CHINA, Context
from fhir_hub.hl7v2.making import items
from fhir_hub.hl7v2.making.drafts import Draft, Place, Run
from fhir_hub.hl7v2.making.rules import CARING
from fhir_hub.hl7v2.maps.mappings import Mappings, require_type
from fhir_hub.hl7v2.maps.plans import Plans
from fhir_hub.hl7v2.maps.programs import GENERIC_NAME, Entry, Program
from fhir_hub.hl7v2.maps.reads import unread
from fhir_hub.hl7v2.meaning.teller import NOBODY, Teller, teller_of
from fhir_hub.hl7v2.meaning.updates import action_of, snapshots_in
from fhir_hub.hl7v2.parsing import structure
from fhir_hub.hl7v2.parsing.er7 import Message, Segment
from fhir_hub.hl7v2.parsing.nodes import Node
from fhir_hub.hl7v2.reports.report import Report, kept_segments
from fhir_hub.hl7v2.rows.acts import Acts
from fhir_hub.hl7v2.senders import strict
from fhir_hub.hl7v2.senders.local_codes import LocalCode, LocalCodes, unmapped
from fhir_hub.hl7v2.senders.settings import Settings

Json = dict[str, Any]
NOWHERE = Context("")


class Converted(NamedTuple):
    """One resource of a message.

    `match` are the identifiers (system, value) and keys in `meta.tag` (system, code) by which a
    stored one is found, strongest first; none: it is always new. `mode` `create` leaves a stored
    one as it is, `update` lays this over it, `change` too, but it makes none and nothing refers
    to it. `nulls` are elements that the message deletes, parts too (`period.end`), `removes` items
    to take out of lists, `whole` lists of which all that the sender knows is here. `segment` is
    what made it, `action` what the action code of that wants: `delete`, `leave`, to `begin` an
    order or, `""`, to add and update. `earlier` are numbers that others of the message have too:
    what is stored with one of them, and is of the same code, is this. `unsaid` are elements, and
    parts of items (`items.py`), of which the message says nothing: what they have holds where none
    is stored.
    """

    full_url: str
    resource: Json
    match: tuple[tuple[str, str], ...] = ()
    mode: str = "update"
    nulls: tuple[str, ...] = ()
    removes: Mapping[str, list[Any]] = MappingProxyType({})
    whole: tuple[str, ...] = ()
    segment: str = ""
    action: str = ""
    earlier: tuple[tuple[str, str], ...] = ()
    unsaid: tuple[str, ...] = ()


_converted_of = partial(tuple.__new__, Converted)


def with_resource(converted: Converted, resource: Json) -> Converted:
    """Return what was converted with another resource: `_replace`, for a fifth of its cost."""
    made: Converted = _converted_of((converted[0], resource, *converted[2:]))
    return made


@dataclass(frozen=True, slots=True)
class Conversion:
    """The resources of a message, and the report of what became of each of its fields.

    `settings` are those of its sender, `teller` who tells it, and when; `trusted` are
    the facilities whose word counts more than others', the most trusted first. `snapshots` are the
    segments of which the message tells all that there are, `local_codes` what no map knows.
    """

    resources: tuple[Converted, ...]
    report: Report
    settings: Settings = field(default_factory=Settings)
    teller: Teller = NOBODY
    trusted: Sequence[str] = ()
    snapshots: frozenset[str] = frozenset()
    local_codes: tuple[LocalCode, ...] = ()


def convert(
    message: Message,
    mappings: Mappings,
    *,
    sender: str = "",
    zone: tzinfo = CHINA,
    received: str = "",
    by_table: bool = False,
    trusted: Sequence[str] = (),
) -> Conversion:
    """Return the resources that `message` makes.

    `sender` names a sender's file, else MSH tells it; `zone` is that of times without offset,
    where neither that file nor MSH-7 says another, `received` the instant at which the message
    came. With `by_table` it gives what the standard's tables do, a resource for every mention of a
    person, institution or place; without, each of them once, and those without a number as a
    display. Raises `InvalidMessage` for a message that no map can make anything of, that lacks its
    patient, is a part of one, or that a strict sender may not send.
    """
    require_whole(message)
    program = mappings.program(message, sender)
    return _convert(program, message, mappings, zone, received, by_table, trusted)


def _convert(
    program: Program,
    message: Message,
    mappings: Mappings,
    zone: tzinfo,
    received: str,
    by_table: bool,
    trusted: Sequence[str],
) -> Conversion:
    settings = program.scope.settings
    if settings.is_strict:
        strict.require_hl7(message)
        message = message.as_parsed()
    run = _run(message, program, mappings.local_codes, received, zone, by_table)
    late, acts = _make(message, program, run)
    _refuse_empty(message, program, run, mappings)
    for place, draft, later in acts:
        resource = draft.resource
        for alone, act in later:
            if alone not in resource:
                act(place, draft)
    set_matches(late)
    _take_out(late)
    leave_moved(run.drafts)
    dropped = drop_incomplete(late, run, mappings.completeness)
    for place, entry, draft in late:
        for row in entry.last:
            row.act(place, draft)
    dropped += drop_witnesses(run, mappings.completeness)
    left = [] if settings.is_strict else unread(run, late, program.reads)
    kept = kept_segments(run, left)
    _tell_small(run, left)
    if settings.is_strict:
        strict.require_no_quirk(run.issues)
    teller = teller_of(message, run.context, received)
    teller = teller._replace(is_hub=True) if settings.is_hub else teller
    run.context = NOWHERE

    def again(other: Program) -> Conversion:
        return _convert(other, message, mappings, zone, received, by_table, trusted)

    report = Report(run, program, late, kept, dropped, again)
    snapshots = snapshots_in(message, (teller.message_type, teller.event), settings)
    whole = ("contact",) if "NK1" in snapshots else ()
    if settings.deletes:
        _delete_items(late)
    found = tuple([_converted(draft, settings.deletes, whole) for draft in run.everything()])
    codes = unmapped(run.issues)
    return Conversion(found, report, settings, teller, trusted, snapshots, codes)


def _run(
    message: Message,
    program: Program,
    known: LocalCodes,
    received: str,
    zone: tzinfo,
    by_table: bool,
) -> Run:
    """Return the run of a message with the context that its sender's settings make."""
    settings = program.scope.settings
    zone = settings.zone or times.zone_of(message.header.value(7)) or zone
    run = Run(message, received, program.memories, zone, by_table=by_table, campus=settings.campus)
    run.context = Context(
        run.facility,
        zone,
        program.scope.tables,
        run.issue,
        by_table,
        message.header.value(4),
        settings.is_strict,
        known.of,
        run.unmapped,
        message.header.field(17) or settings.country,
    )
    return run


def _tell_small(run: Run, left: Sequence[tuple[Segment, int]]) -> None:
    """Take an issue of each segment that nothing is made of as its name is in small letters."""
    run.row = None
    for name in (one.name.upper() for one, _ in left if is_small(one)):
        run.issue("small-segment-name", f"{name} is in small letters, so it is no {name}")


LateActs = list[tuple[Place, Draft, Acts]]


def _make(message: Message, program: Program, run: Run) -> tuple[Late, LateActs]:
    """Run every segment's entries; return each with its draft, and what is to do at the end."""
    late: Late = []
    acts: LateActs = []
    for segment in message.segments:
        segment.count()
    placed = program.layouts.of(message.segments, program.groups).placed(message.segments)
    in_order, plans = len(placed), Plans()
    for at, (segment, node) in enumerate(placed):
        here = program.entries_in(segment.name, node.group.path)
        if not here.entries:
            run.left.append((segment, -1))
            continue
        place = Place(segment, node, run)
        left, ran, is_early = -1 if here.is_untold else segment.filled, len(late), False
        for entry, plan in plans.of(here, place):
            if plan.test is not None and not plan.test(place):
                continue
            now = plan.now
            drafts = node.nearest_drafts(entry.name) if entry.adds else ()
            if entry.joins:
                drafts = node.joined_drafts(entry.name, segment.name)
            if drafts:
                draft = drafts[-1] if at < in_order else _behind(segment, drafts)
                draft = draft.scratch() if entry.takes_out else draft
            elif entry.adds:
                is_early = at < in_order
                continue
            else:
                draft = _begun(entry, segment, node, run)
                if plan.recipes is not None and not run.by_table:
                    now = plan.recipes.acts(place, draft, plans.near)
            resource = draft.resource
            for alone, act in now:
                if alone not in resource:
                    act(place, draft)
            if run.is_passed_over:
                run.is_passed_over = False
            else:
                left &= ~entry.takes
            late.append((place, entry, draft))
            if plan.later:
                acts.append((place, draft, plan.again if plans.is_again else plan.later))
        if is_early and len(late) == ran:  # a note before its order comes last
            placed.append((segment, node))
        else:
            run.left.append((segment, left))
    return late, acts


def _begun(entry: Entry, segment: Segment, node: Node, run: Run) -> Draft:
    made = {"resourceType": entry.resource_type}
    draft = Draft(entry.name, made, run.full_url(entry.name), segment)
    draft.mode = entry.mode
    run.drafts.append(draft)
    if entry.mode != "change":
        node.add_draft(entry.name, draft)
    return draft


def _behind(segment: Segment, drafts: Sequence[Draft]) -> Draft:
    """Return the first of the drafts that a segment behind this one made, else the last."""
    return next((one for one in drafts if one.segment.index > segment.index), drafts[-1])


def _refuse_empty(message: Message, program: Program, run: Run, mappings: Mappings) -> None:
    """Raise `InvalidMessage` where nothing can be made, or the structure's patient is missing.

    Of a merge that is also the prior one: without MRG nothing would be merged.
    """
    if all(draft.is_witness for draft in run.drafts):
        code = message.header.value(9)
        known = program.structure != GENERIC_NAME
        require_type(message)
        has_header = any(draft.name == "MessageHeader" for draft in run.drafts)
        if not known and not (has_header and structure.is_message_type(code)):
            raise InvalidMessage(
                "no map knows this message type or any of its segments"
                " / 没有适用于该消息类型或其任何段的映射",
                error_code="201" if mappings.knows_type(code) else "200",
                location="MSH-9",
                ack_code="AR",
            )
    for name in ("PID", "MRG"):
        is_lacking = name in program.entries and message.first(name) is None
        if is_lacking and program.structure != GENERIC_NAME and program.groups.demands(name):
            told = f"the message has no {name} segment / 消息缺少 {name} 段"
            raise InvalidMessage(told, error_code="100", location=name)


def _take_out(late: Late) -> None:
    """Hand what entries with `call = "take_out"` made over to the resource that loses it.

    What is only named is told where an entry that says so (`mode = "update"`) adds to it.
    """
    for place, entry, draft in late:
        if entry.adds and entry.mode == "update":
            draft.mode = "update"
        elif entry.takes_out:
            loser = place.node.nearest_drafts(entry.name)[-1]
            for element, told in draft.resource.items():
                if element != "resourceType":
                    loser.remove(element, told)


def _delete_items(late: Late) -> None:
    """Have an item of a list that `""` deletes taken out: one with its label's constants."""
    for _, entry, draft in late:
        for name in tuple(draft.nulls):
            element, _, label = name.partition("[")
            if label and "]." not in label and draft.name == entry.name:
                rows = (one.row for one in (*entry.rows, *entry.late))
                pattern = (
                    {"type": label[:-1]}
                    if element == CARING
                    else {
                        row.to.partition("].")[2]: row.value
                        for row in reversed([*rows])
                        if row.value is not None and row.to.startswith(f"{name}.")
                    }
                )
                if pattern:
                    draft.remove(element, [pattern])
                else:  # nothing tells its items from others
                    draft.nulls.append(element)


def _converted(draft: Draft, deletes: bool, whole: tuple[str, ...]) -> Converted:
    made: Converted = _converted_of(
        (
            draft.full_url,
            draft.resource,
            draft.match,
            draft.mode,
            _deleted(draft) if deletes and draft.nulls else (),
            draft.removes,
            whole if draft.name == "Patient" else (),
            draft.segment.name,
            action_of(draft.segment),
            draft.earlier,
            tuple(items.named(draft, draft.unsaid)) if draft.unsaid else (),
        )
    )
    return made


def _deleted(draft: Draft) -> tuple[str, ...]:
    return tuple(
        dict.fromkeys(
            name
            for name in items.named(draft, draft.nulls)
            if name not in draft.resource and ("[" not in name or "]." in name)
        )
    )
