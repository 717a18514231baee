"""The groups of a message structure and the fields of a segment, from the tables of hl7apy.

Only its tables: its parser drops Z-segments and what is out of place. A structure is taken from
the newest version that has it, because group names are clean there and newer versions hold what
older ones held; a message of 2.3.1 fits the ORU_R01 of 2.8.2.

Spec: HL7v2 chapter 2, 2.5.2 (message structures); https://github.com/crs4/hl7apy
"""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from fhir_hub.hl7v2.parsing.path import Path

_VERSIONS = ("2_8_2", "2_7", "2_6", "2_5_1", "2_5", "2_4", "2_3_1", "2_3", "2_2", "2_1")
# Fields that 2.9 and 2.9.1 appended, and their new segments; hl7apy ends with 2.8.2.
_LAST_FIELDS = {
    **{"MSH": 28, "NTE": 9, "OBR": 55, "OBX": 33, "ORC": 38, "PID": 40, "PRT": 26, "PV1": 54},
    **{"SCH": 27, "SPM": 35, "ARV": 10, "GSP": 7, "GSR": 10, "GSC": 8, "DEV": 17},
    **{"OH1": 7, "OH2": 18, "OH3": 8},
}
_OPTIONAL, _MANY = 0, -1
_SHORT = 40  # a longer name is none, and not kept
_OF_NO_ORDER = tuple(f"{one}_OBSERVATION" for one in ("PATIENT", "PERSON", "PROBLEM", "GOAL"))
_WITHDRAWN = (("leaf", None, "WD", None, None, -1), (0, 0), "FIE")


@dataclass(frozen=True, slots=True)
class Part:
    """One place in a group: a segment by `name`, or a `group` in the group."""

    name: str
    group: "Group | None" = None
    repeats: bool = False
    required: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """A group of segments; `path` is its name with those of its parents, empty for the message.

    `holds` are all segments in it at any depth, `firsts` those that may begin it; one that
    `is_prior` is a result of before beside the order that it is told with, one that
    `is_of_no_order` what was observed of a patient or a problem, though orders stand beside it.
    Where it repeats, its first segment right behind itself begins it `again`, `""` if that may be
    elsewhere in it.
    """

    path: str
    parts: tuple[Part, ...]
    holds: frozenset[str] = field(init=False)
    firsts: frozenset[str] = field(init=False)
    is_prior: bool = field(init=False)
    is_of_no_order: bool = field(init=False)
    again: str = field(init=False)

    def __post_init__(self) -> None:
        """Collect what the group holds."""
        holds: set[str] = set()
        firsts: set[str] = set()
        begun = False
        for part in self.parts:
            holds |= part.group.holds if part.group else {part.name}
            if not begun:
                firsts |= part.group.firsts if part.group else {part.name}
                begun = part.required
        object.__setattr__(self, "is_prior", self.path.endswith("PRIOR_RESULT"))
        object.__setattr__(self, "is_of_no_order", self.path.endswith(_OF_NO_ORDER))
        if self.is_prior and "PID" in holds:
            firsts = {"PID"}  # an ORC without PID before it begins the next order
        if len(firsts) > 1:
            firsts.discard("NTE")  # a note is of what it stands behind
        object.__setattr__(self, "holds", frozenset(holds))
        object.__setattr__(self, "firsts", frozenset(firsts))
        first, *others = self.parts
        is_once = first.name in firsts and first.group is None and not first.repeats
        elsewhere = {
            name for one in others for name in (one.group.firsts if one.group else {one.name})
        }
        again = first.name if is_once and first.name not in elsewhere else ""
        object.__setattr__(self, "again", again)

    def demands(self, segment: str) -> bool:
        """Say whether a segment must be in every occurrence of the group."""
        return any(
            part.required and (part.group.demands(segment) if part.group else part.name == segment)
            for part in self.parts
        )

    def paths(self) -> list[str]:
        """Return the paths of all groups in it, at any depth."""
        inner = [part.group for part in self.parts if part.group]
        return [path for group in inner for path in (group.path, *group.paths())]

    def find(self, path: str) -> "Group | None":
        """Return the group of that path in this one."""
        if path == self.path:
            return self
        inner = (part.group for part in self.parts if part.group)
        return next((found for group in inner if (found := group.find(path))), None)


def structure(name: str) -> Group | None:
    """Return the groups of a message structure (`ORU_R01`), `None` if no version has it."""
    return _structure(name) if len(name) < _SHORT else None


@lru_cache(maxsize=256)
def _structure(name: str) -> Group | None:
    for version in _VERSIONS:
        if found := _table(version, "messages", "MESSAGES").get(name):
            return Group("", _by_person([_part(child, name, "") for child in found[1]]))
    return None


def _by_person(parts: list[Part]) -> tuple[Part, ...]:
    """Put each patient of a message about two (A17, A24, A37) into a group of her own.

    The table writes the same segments twice, without a group.
    """
    begins = [at for at, part in enumerate(parts) if part.name == "PID" and part.group is None]
    if len(begins) < 2:
        return tuple(parts)
    first, second = begins[:2]
    person = Group("PATIENT", tuple(parts[first:second]))
    return (*parts[:first], Part("PATIENT", person, repeats=True, required=True))


def is_message_type(code: str) -> bool:
    """Say whether HL7 has messages of that type (`QBP`), in any version."""
    return 0 < len(code) < _SHORT and _is_message_type(code)


@lru_cache(maxsize=256)
def _is_message_type(code: str) -> bool:
    return any(
        name.partition("_")[0] == code
        for version in _VERSIONS
        for name in _table(version, "messages", "MESSAGES")
    )


def _part(child: Any, message: str, path: str) -> Part:
    name, content, (least, most), kind = child
    repeats, required = most == _MANY or most > 1, least > _OPTIONAL
    if kind != "GRP":
        return Part(name, None, repeats, required)
    name = name.removeprefix(f"{message}_")
    inner = f"{path}.{name}" if path else name
    inside = (part for part in content[1] if not _is_a_result(part[0], message))
    group = Group(inner, tuple(_part(part, message, inner) for part in inside))
    # A group whose parts are all optional may be left out, whatever the table says.
    return Part(name, group, repeats, required and any(part.required for part in group.parts))


def _is_a_result(group: str, message: str) -> bool:
    """Say whether what a group would hold is a result: the OBX behind the ORC of an OUL.

    2.8 lets a document of the order (OBX, TXA) stand there; who sends an OBX sends a result.
    """
    return message.startswith("OUL_") and group == f"{message}_ORDER_DOCUMENT"


def _table(version: str, module: str, name: str) -> dict[str, Any]:
    table: dict[str, Any] = getattr(importlib.import_module(f"hl7apy.v{version}.{module}"), name)
    return table


@lru_cache(maxsize=2048)
def _content(segment: str, field: int) -> tuple[int, Any]:
    """Return how many fields a segment has in any version, and the newest content of one.

    Newer versions withdraw fields that older senders still fill.
    """
    count, content = 0, None
    for version in _VERSIONS:
        found = _rows(segment, version)
        count = max(count, len(found))
        if field <= len(found):
            content = found[field - 1][1]
            break
    return count, content


@lru_cache(maxsize=2048)
def _rows(segment: str, version: str) -> Sequence[Any]:
    """Return hl7apy's rows of a segment's fields; none where a version has withdrawn it.

    From 2.6 on its tables leave out some withdrawn fields: these come as rows of no datatype.
    What is a choice of segments there (ANYHL7SEGMENT) has no fields.
    """
    found = _table(version, "segments", "SEGMENTS").get(segment, ())
    if found and isinstance(found[0], tuple):  # ORO of 2.1: its fields stand there bare
        found = ("sequence", found)
    is_segment = len(found) > 1 and found[0] == "sequence"
    rows = {_number(row[0]): row for row in found[1]} if is_segment else {}
    last = max(rows, default=0)
    return [rows.get(number, (f"{segment}_{number}", *_WITHDRAWN)) for number in range(1, last + 1)]


def _number(field: str) -> int:
    return int(field.rpartition("_")[2])


class Shape(NamedTuple):
    """What a field or component is in one version: its datatype, and its parts if it has any.

    `most` is how often a field may stand, -1 any number of times, 0 not at all: withdrawn.
    """

    datatype: str
    parts: "tuple[Shape, ...]" = ()
    is_required: bool = False
    most: int = 1


@lru_cache(maxsize=2048)
def fields(segment: str, version: str) -> tuple[Shape, ...]:
    """Return the fields of a segment in a version, field 1 first; none of an unknown one."""
    found = _rows(segment, version.replace(".", "_"))
    return tuple(_shape(one[1], one[2]) for one in found)


@lru_cache(maxsize=256)
def datatype(name: str, version: str) -> Shape:
    """Return the shape of a datatype (`CWE`) in a version; one without parts of a simple one.

    That is what OBX-5 has, by OBX-2.
    """
    parts = _table(version.replace(".", "_"), "datatypes", "DATATYPES_STRUCTS").get(name)
    return _shape(("sequence", parts, name) if parts else ("leaf", None, name), (0, _MANY))


def _shape(content: Any, cardinality: tuple[int, int]) -> Shape:
    least, most = cardinality
    # hl7apy's tables of 2.7 have no parts of some datatypes that 2.7 withdrew (TQ1, QRD)
    parts = _parts(content)
    datatype = content[2] or "" if len(content) > 2 else ""
    inner = tuple(_shape(one[1], one[2]) for one in parts)
    return Shape(datatype, inner, least > _OPTIONAL, most)


@lru_cache(maxsize=512)
def structure_in(name: str, version: str) -> Group | None:
    """Return the groups of a message structure in one version, `None` if it has none such."""
    found = _table(version.replace(".", "_"), "messages", "MESSAGES").get(name)
    return Group("", tuple(_part(child, name, "") for child in found[1])) if found else None


def problem(path: Path) -> str:
    """Return why no message can have something at `path`, `""` if one can.

    A Z-segment is its sender's own and may hold anything.
    """
    if path.field < 1:
        return "fields are numbered from 1"
    if path.segment.startswith("Z"):
        return ""
    count, content = _content(path.segment, path.field)
    last = max(count, _LAST_FIELDS.get(path.segment, 0))
    if not last:
        return f"HL7v2 has no segment {path.segment}"
    if path.field > last:
        return f"{path.segment} has the fields 1 to {last}"
    field = f"{path.segment}-{path.field}"
    parts = _parts(content)
    if parts and path.component > len(parts):
        return f"{field} has {len(parts)} components"
    if not parts or path.subcomponent < 2:  # senders do write components into a text
        return ""
    inner = len(_parts(parts[path.component - 1][1])) or 1
    told = f"{inner} subcomponents" if inner > 1 else "no subcomponents"
    return f"{field}.{path.component} has {told}" if path.subcomponent > inner else ""


def _parts(content: Any) -> Sequence[Any]:
    """Return hl7apy's rows of the parts of a datatype, none of one without.

    XTN of 2.6 leaves out its first, which that version withdrew.
    """
    rows = (content[1] or ()) if content and content[0] == "sequence" else ()
    first = _number(rows[0][0]) if rows else 1
    return (*((f"{at}", *_WITHDRAWN) for at in range(1, first)), *rows) if first > 1 else rows


def _group(path: str, *parts: str | Part) -> Group:
    made = (
        Part(part.rstrip("*"), None, part.endswith("*")) if isinstance(part, str) else part
        for part in parts
    )
    return Group(path, tuple(made))


def _inner(parent: str, name: str, *parts: str | Part) -> Part:
    path = f"{parent}.{name}" if parent else name
    return Part(name, _group(path, *parts), repeats=True)


# Where a structure is unknown: the places that segments have in most of them.
GENERIC = _group(
    "",
    "MSH",
    "SFT*",
    "EVN",
    "SCH",
    "RF1",
    _inner(
        "",
        "PATIENT",
        "PID",
        "PD1",
        "NK1*",
        "MRG",
        "PV1",
        "PV2",
        "GT1*",
        _inner("PATIENT", "INSURANCE", "IN1", "IN2", "IN3"),
        "AL1*",
        "IAM*",
        "DG1*",
        "PR1*",
        _inner(
            "PATIENT",
            "ORDER",
            "ORC",
            "TQ1*",
            "OBR",
            "RXO",
            "RXE",
            "RXD",
            "RXG",
            "RXA",
            "TQ1*",
            "RXR*",
            "RXC*",
            "TXA",
            "NTE*",
            _inner("PATIENT.ORDER", "OBSERVATION", "OBX", "NTE*"),
            "SPM*",
        ),
    ),
)

# When, how and of what a medicine was ordered, where the pharmacy says it anew.
OVERRULED = _group("OVERRULED", "TQ1*", "RXR*", "RXC*")
