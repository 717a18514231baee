"""How a message's repeating segments update: all that there is, or each by its action code.

In snapshot mode a group of segments (AL1, NK1 …) is all that its sender knows, and what it lacks
is gone; a group that is not there says nothing, and one segment with `""` that there is none.
With action codes each segment says what to do. Where a segment has one they hold; else a
sender's file says which mode it is, and without that it is a snapshot, as the standard expects.
A sender's file may say it for one segment, whatever that has.

Spec: HL7v2 chapter 2, 2.10.4; tables 0206 and 0287
"""

from collections.abc import Mapping
from types import MappingProxyType

from fhir_hub.hl7v2.parsing.er7 import Message, Segment
from fhir_hub.hl7v2.senders.settings import Settings

_CODED: Mapping[str, int] = MappingProxyType(
    {"AIG": 2, "AIL": 2, "AIP": 2, "AIS": 2, "DG1": 21, "GOL": 1, "IAM": 6, "PRB": 1, "PTH": 1}
    | {"ORC": 1}
)
_OF_PERSONS = ("AL1", "DG1", "IN1", "NK1")
_LISTS = frozenset((*_OF_PERSONS, "IAM"))
_OF_BOOKINGS = ("AIG", "AIL", "AIP", "AIS")
_GROUPS: Mapping[tuple[str, str], tuple[str, ...]] = MappingProxyType(
    {("ADT", event): (*_OF_PERSONS, "IAM") for event in ("A08", "A31")}
    | {("SIU", event): _OF_BOOKINGS for event in ("S12", "S13", "S14")}
)
_ACTIONS = {"D": "delete", "DE": "delete", "X": "leave", "UC": "leave"}
_ORDERS = {"NW": "begin"}  # of table 0119


def action_of(segment: Segment) -> str:
    """Return what a segment's action code wants.

    It is `delete`, `leave`, of an order `begin`, or `""`: add or update.
    """
    number = _CODED.get(segment.name)
    if not number:
        return ""
    actions = _ORDERS if segment.name == "ORC" else _ACTIONS
    return actions.get(segment.value(number).upper(), "")


def says_none(segment: Segment) -> bool:
    """Say whether a segment of a group has nothing but `""`: there are none of its kind."""
    if segment.name not in _LISTS:
        return False
    texts = [text for text in segment.fields[2:] or segment.fields[1:] if text]
    return bool(texts) and all(text == '""' for text in texts)


def names_nothing(segment: Segment) -> bool:
    """Say whether a segment of a group has no more than its number, its type or `""`."""
    if segment.name not in _LISTS:
        return False
    told = segment.fields[2 if segment.name in ("IN1", "NK1") else 3 :]
    return all(text in ("", '""') for text in told)


def may_have_snapshots(event: tuple[str, str]) -> bool:
    """Say whether messages of this type and trigger event tell all that there is of something."""
    return event in _GROUPS


def snapshots_in(message: Message, event: tuple[str, str], settings: Settings) -> frozenset[str]:
    """Return the names of the segments of which the message tells all that there are.

    `event` is the message type and its trigger event.
    """
    found = set()
    for name in _GROUPS.get(event, ()):
        segments = [
            one
            for one in message.all(name)
            if (settings.deletes and says_none(one)) or not names_nothing(one)
        ]
        mode = settings.update_modes.get(name)
        if mode is None and _is_open(name, segments):
            mode = settings.update_mode or "snapshot"
        if segments and mode == "snapshot":
            found.add(name)
    return frozenset(found)


def _is_open(name: str, segments: list[Segment]) -> bool:
    """Say whether no segment has an action code, or one that declares a snapshot (S)."""
    number = _CODED.get(name)
    if name == "IAM":  # its code is required
        return False
    told = (one for one in segments if not says_none(one))
    return not number or all(one.value(number) in ("", "S") for one in told)
