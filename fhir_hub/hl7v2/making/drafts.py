"""What one conversion works on: the resources being made, and where in the message each stands.

A `Draft` is a resource that rows are filling, a `Place` one segment in its group, a `Run` the
whole of one message: its context, its drafts, what was read for the report. None of them leads
back to what holds it, so that all are freed when the last one is: a third of the time otherwise.

Spec: https://build.fhir.org/ig/HL7/v2-to-fhir/mapping_guidelines.html
"""

from collections.abc import Mapping
from datetime import tzinfo
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from fhir_hub.hl7v2.datatypes.context import Context
from fhir_hub.hl7v2.making.memory import Memories
from fhir_hub.hl7v2.making.urns import Urns
from fhir_hub.hl7v2.parsing.er7 import Encoding, Message, Segment, Value
from fhir_hub.hl7v2.parsing.nodes import Node
from fhir_hub.hl7v2.parsing.path import Path
from fhir_hub.hl7v2.senders.local_codes import UNMAPPED, told
from fhir_hub.identity import match

if TYPE_CHECKING:
    from fhir_hub.hl7v2.rows.row import Row

Json = dict[str, Any]
Pairs = tuple[tuple[str, str], ...]
UNKNOWN = {
    "extension": [
        {
            "url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
            "valueCode": "unknown",
        }
    ]
}
_SHORT = 500  # a longer text is not remembered
_WITNESSES = frozenset({"Provenance", "AuditEvent", "MessageHeader"})


_NONE: Mapping[str, list[Any]] = MappingProxyType({})


class Draft:
    """A resource in the making. `name` is its type and label (`Patient[merged]`).

    `items` finds the item of a list that several rows write to, `chosen` has the choices that have
    their value; `nulls` are the elements that the message deletes, `removes` the items that it
    takes out, `earlier` the numbers that it shares, by which it may be stored from before, `unsaid`
    the elements that have a value of which the message says nothing.
    """

    __slots__ = (
        "chosen",
        "earlier",
        "full_url",
        "is_witness",
        "items",
        "match",
        "mode",
        "name",
        "nulls",
        "removes",
        "resource",
        "segment",
        "unsaid",
    )

    def __init__(self, name: str, resource: Json, full_url: str, segment: Segment) -> None:
        self.name = name
        self.resource = resource
        self.full_url = full_url
        self.segment = segment
        self.items: dict[Any, Any] = {}
        self.chosen: tuple[tuple[int, str], ...] = ()
        self.nulls: list[str] = []
        self.removes: Mapping[str, list[Any]] = _NONE
        self.match: Pairs = ()
        self.earlier: Pairs = ()
        self.unsaid: tuple[str, ...] = ()
        self.mode = "update"
        self.is_witness = resource["resourceType"] in _WITNESSES  # made last: of the others

    def remove(self, element: str, items: list[Any]) -> None:
        """Take note of items of a list that the message takes out."""
        self.removes = {**self.removes, element: [*self.removes.get(element, ()), *items]}

    def scratch(self) -> "Draft":
        """Return an empty draft of the same thing."""
        resource = {"resourceType": self.resource["resourceType"]}
        return Draft(self.name, resource, self.full_url, self.segment)


class Place:
    """One segment of the message, in its group."""

    __slots__ = ("fields", "node", "run", "segment")

    def __init__(self, segment: Segment, node: Node, run: "Run") -> None:
        self.segment = segment
        self.fields = segment.fields
        self.node = node
        self.run = run

    def find(self, name: str) -> Segment | None:
        """Return this segment, or the nearest one of that name."""
        return self.segment if self.segment.name == name else self.node.nearest(name)

    def values(self, path: Path) -> list[Value]:
        """Return the filled values at a path: one a repetition."""
        segment = self.find(path.segment)
        if segment is None:
            return []
        found = segment.repetitions(path.field)
        if path.component:
            found = [value.component(path.component) for value in found]
            if path.subcomponent:
                found = [value.component(path.subcomponent) for value in found]
        return [value for value in found if value]

    def value(self, path: Path) -> Value | None:
        """Return the first filled value at a path that is not HL7's null."""
        name, number, component, subcomponent = path
        segment = self.segment if self.segment.name == name else self.node.nearest(name)
        raw = segment.field(number) if segment is not None else ""
        if not raw or segment is None:
            return None
        if number > 2 and segment.encoding.repetition not in raw:
            values = [Value(raw, segment.encoding)]
        else:
            values = segment.repetitions(number)
        for value in values:
            if component:
                value = value.component(component)
                if subcomponent:
                    value = value.component(subcomponent)
            if value.raw != '""' and value:
                return value
        return None

    def text(self, path: Path) -> str:
        """Return the text at a path, `""` where it is absent or HL7's null."""
        name, number, component, subcomponent = path
        segment = self.segment if self.segment.name == name else self.node.nearest(name)
        raw = segment.field(number) if segment is not None else ""
        if not raw or segment is None:
            return ""
        if component <= 1 and subcomponent <= 1 and raw.isalnum():
            return raw
        text = segment.value(number, component or 1, subcomponent or 1)
        return "" if text == '""' else text

    def is_valued(self, path: Path) -> bool:
        """Say whether anything stands at a path; HL7's null does not count."""
        if path.component:
            return bool(self.text(path))
        name, number = path[:2]
        segment = self.segment if self.segment.name == name else self.node.nearest(name)
        text = segment.field(number) if segment is not None else ""
        return text.isalnum() or bool(text.strip('"^&~| ')) if text else False


class Run:
    """One message on its way to resources.

    `trace` has the rows whose segment is told in what another segment of the kind became.
    """

    __slots__ = (
        "_numbers",
        "application",
        "by_table",
        "context",
        "control_id",
        "drafts",
        "event",
        "facility",
        "is_passed_over",
        "issues",
        "left",
        "memory",
        "mentions",
        "message",
        "moments",
        "received",
        "references",
        "row",
        "seed",
        "supports",
        "trace",
        "untaken",
        "urns",
    )

    def __init__(
        self,
        message: Message,
        received: str,
        memories: Memories,
        zone: tzinfo,
        *,
        by_table: bool = False,
        campus: Path | None = None,
    ) -> None:
        header = message.header
        self.by_table = by_table
        self.mentions: list[Draft] = []
        self.moments: dict[tuple[str | int, str | int], Any] = {}
        self.references: dict[tuple[str, str], Json] = {}
        self.message = message
        self.application, self.facility = header.value(3), header.value(4)
        if campus is not None:
            self.facility = _with_campus(self.facility, message, campus)
        self.control_id = header.value(10)
        event = header.value(9, 2)
        self.event = "" if event == '""' else event
        self.memory = memories.of(self.facility, message.encoding, zone, by_table)
        self.received = received
        parts = (3, 4, 7, 9, 10)
        self.seed = "|".join([_first_three(header, number) for number in parts])
        self.urns = Urns(f"{self.seed}|")
        self.context: Context = Context("")
        self.drafts: list[Draft] = []
        self.supports: dict[tuple[str, str, str], Draft] = {}
        self.trace: list[tuple[Segment, Node, Row, Draft]] = []
        self.left: list[tuple[Segment, int]] = []
        self.untaken: dict[int, int] = {}
        self.issues: list[tuple[str, str, Row | None]] = [
            (code, text, None) for code, text in message.issues
        ]
        self.row: Row | None = None
        self.is_passed_over = False
        self._numbers: dict[str, int] = {}

    def issue(self, code: str, text: str) -> None:
        """Take an issue of the row that is being worked on."""
        self.issues.append((code, text, self.row))

    def unmapped(self, system: str, code: str, display: str) -> None:
        """Take a code that no map knows; it stands among the issues, so that it is remembered."""
        self.issues.append((UNMAPPED, told(system, code, display), self.row))

    def keep(self, segment: Segment, number: int) -> None:
        """Have a field that was read kept as one that is not: nothing that is made has it whole."""
        self.untaken[segment.index] = self.untaken.get(segment.index, 0) | 1 << number

    def pass_over(self) -> None:
        """Have the segment as one that the entry at work did not read: it is of something else."""
        self.is_passed_over = True

    def full_url(self, name: str) -> str:
        """Return the next reproducible full url of a resource of that name."""
        number = self._numbers[name] = self._numbers.get(name, 0) + 1
        return self.urns.of(f"{name}|{number}")

    def occurrence(self, key: str) -> int:
        """Return how often this key was asked for in this message, this time included."""
        number = self._numbers[key] = self._numbers.get(key, 0) + 1
        return number

    def support(self, resource: Json, segment: Segment) -> Json | None:
        """Return the Reference to a resource that a field names in passing (a doctor, a room).

        One with an identifier becomes a resource of its own, once a message; one that is only a
        name is a Reference with that name, because nothing would find it again. By the tables of
        the standard every mention is a resource of its own.
        """
        if resource["resourceType"] == "Organization":
            _away_from_home(resource)
        if self.by_table:
            return self._mention(resource, segment)
        resource_type, identifiers = resource["resourceType"], resource.get("identifier")
        if not identifiers:
            name = _name_of(resource)
            return {"display": name} if name else None
        first = identifiers[0]
        key = (resource_type, first.get("system", ""), first["value"])
        known = self.supports.get(key)
        if known is None:
            draft = Draft(resource_type, resource, self.urns.of("|".join(key)), segment)
            draft.mode = "create"
            draft.match = pairs(identifiers)
            known = self.supports[key] = draft
        else:
            _fill(known.resource, resource, first["value"])
        return {"reference": known.full_url}

    def _mention(self, resource: Json, segment: Segment) -> Json | None:
        name = resource["resourceType"]
        if name == "Organization" and "identifier" not in resource and "name" not in resource:
            if len(resource) == 1:
                return None
            resource = {**resource, "_name": UNKNOWN}  # org-1
        parts = {name: self.settled(value, segment) for name, value in resource.items()}
        resource = {name: value for name, value in parts.items() if value is not None}
        if len(resource) == 1:
            return None  # all that it had was left out
        draft = Draft(name, resource, self.full_url(f"mention|{name}"), segment)
        draft.mode = "create"
        draft.match = pairs(resource.get("identifier", []))
        self.mentions.append(draft)
        return {"reference": draft.full_url}

    def settled(self, value: Any, segment: Segment) -> Any:
        """Return a value with a Reference wherever it holds a resource."""
        if type(value) is dict:
            if "resourceType" in value:
                return self.support(value, segment)
            parts = {name: self.settled(part, segment) for name, part in value.items()}
            return {name: part for name, part in parts.items() if part is not None}
        if type(value) is list:
            return [self.settled(part, segment) for part in value]
        return value

    def patient_key(self, node: Node) -> str:
        """Return the strongest number of the patient whom a place is about."""
        for draft in node.nearest_drafts("Patient"):
            for number in match.numbers(draft.resource.get("identifier", ())):
                return f"{number.system}|{number.value}"
        return ""

    def everything(self) -> list[Draft]:
        """Return all resources: those that the message tells, those it names, its witnesses."""
        told = [draft for draft in self.drafts if not draft.is_witness]
        witnesses = [draft for draft in self.drafts if draft.is_witness]
        return [*told, *self.supports.values(), *self.mentions, *witnesses]


def _first_three(header: Segment, number: int) -> str:
    """Return the first three components of a field of the header, as a name of the message."""
    raw = header.field(number)
    if raw.isalnum():
        return f"{raw}^^"
    if len(raw) > _SHORT:
        return _three_of.__wrapped__(raw, header.encoding)
    return _three_of(raw, header.encoding)


@lru_cache(maxsize=256)  # a feed has the same few senders and types
def _three_of(raw: str, encoding: Encoding) -> str:
    parted = encoding.repetition and encoding.repetition in raw
    texts = [one for one in raw.split(encoding.repetition) if one] if parted else [raw]
    first = Value(texts[0] if texts else "", encoding)
    return "^".join([first.text(component) for component in (1, 2, 3)])


def _with_campus(facility: str, message: Message, campus: Path) -> str:
    """Return the facility with the site that the message is from: its numbers are its own."""
    segment = message.first(campus.segment)
    site = segment.value(campus.field, campus.component or 1) if segment is not None else ""
    return f"{facility}-{site}" if site and site not in (facility, '""') else facility


def pairs(identifiers: list[Json]) -> Pairs:
    """Return system and value of the identifiers by which something can be found again."""
    found = [
        (one["system"], one["value"])
        for one in identifiers
        if "system" in one and "value" in one and one.get("use") not in ("temp", "old")
    ]
    return tuple(dict.fromkeys(found)) if len(found) > 1 else tuple(found)


def keys_of(resource: Json) -> Pairs:
    """Return system and code of the tags by which a resource without a number is found again."""
    tags = resource["meta"].get("tag") if "meta" in resource else None
    if not tags:
        return ()
    if len(tags) == 1:  # as nearly always
        return ((tags[0]["system"], tags[0]["code"]),)
    return tuple((tag["system"], tag["code"]) for tag in tags)


def _away_from_home(organization: Json) -> None:
    """Take the use `home` off an institution's addresses and phones (org-2, org-3)."""
    for one in (*organization.get("address", ()), *organization.get("telecom", ())):
        if one.get("use") == "home":
            del one["use"]


def _fill(known: Json, more: Mapping[str, Any], number: str) -> None:
    for name, value in more.items():
        if name not in known or (name == "name" and known[name] == number):
            known[name] = value


def _name_of(resource: Mapping[str, Any]) -> str:
    name = resource.get("name", "")
    if isinstance(name, list):
        name = name[0].get("text", "") if name else ""
    return str(name)
