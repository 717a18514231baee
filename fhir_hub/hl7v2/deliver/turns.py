"""In which order a partner is told of what was written in one step.

A commit has an order, but it is only that of the client's entries: a booking may stand before
the person who booked. Who a message is about is told first, then her visit, then what is asked,
booked and found. What is taken back goes the other way round: a person is deleted last.

Spec: DESIGN 5 (order); HL7v2 chapter 3 (a person is registered before anything is told of her)
"""

from collections.abc import Sequence

from fhir_hub import fhirjson
from fhir_hub.store.base import Stored

_RANKS = {"Patient": 0, "Encounter": 1, "ServiceRequest": 2, "Task": 2, "Appointment": 3}
_RESULT = 4


def in_turn(commit: Sequence[Stored], is_as_written: bool = False) -> list[Stored]:
    """Return the versions of a commit in the order in which they are told.

    Alike ones stay as they were written, as all do if `is_as_written`.
    """
    return list(commit) if is_as_written else sorted(commit, key=_turn)


def told_of(turns: Sequence[Stored], done: int) -> Sequence[Stored]:
    """Return what was told of a commit in turn, up to the version with sequence `done`."""
    count = next((at for at, one in enumerate(turns, start=1) if one.sequence == done), 0)
    return turns[:count]


def _turn(change: Stored) -> tuple[bool, int, int]:
    rank = _RANKS.get(change.resource_type, _RESULT)
    is_end = _is_end(change)
    return is_end, -rank if is_end else rank, change.sequence


def _is_end(change: Stored) -> bool:
    if change.is_deleted or change.resource_type != "Patient":
        return change.is_deleted
    return fhirjson.loads(change.content).get("active") is False
