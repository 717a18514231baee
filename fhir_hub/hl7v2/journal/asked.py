"""What is asked of the journal, as names and texts, read into a selection.

The same names are parameters of `/ops/messages` and options of `fhir-hub messages` and `replay`.
"""

from collections.abc import Iterable, Mapping
from datetime import tzinfo
from functools import lru_cache
from typing import get_args

from fhir_hub.errors import InvalidParameter, InvalidResource, UnknownParameter
from fhir_hub.nearest import did_you_mean
from fhir_hub.r4.dates import date_interval
from fhir_hub.r4.definitions import load_definitions
from fhir_hub.store.base import Key, State
from fhir_hub.store.journal import Selection

STATES: tuple[str, ...] = get_args(State)
_MOST_NUMBERS = 30_000  # SQLite binds no more values at once
NAMES = ("state", "sender", "channel", "type", "control_id", "since", "until", "links", "number")


def read_selection(asked: Mapping[str, str], zone: tzinfo) -> Selection:
    """Return the selection that `asked` describes; a list is written with commas.

    Raises `InvalidParameter` for a value that cannot be read, `UnknownParameter` for a name.
    """
    require_known(asked, NAMES)
    who = asked.get("sender", "")  # APP|FAC, or APP@FAC as reports and codes have it
    sender, _, facility = who.partition("|" if "|" in who else "@")
    since, until = _moment("since", asked, zone), _moment("until", asked, zone)
    if until and until <= since:
        raise InvalidParameter("until: no message came before it and after `since`; exchange them")
    numbers = tuple(read_number("number", one) for one in _listed(asked.get("number", "")))
    if len(numbers) > _MOST_NUMBERS:
        raise InvalidParameter(f"number: ask for {_MOST_NUMBERS} messages at once at most")
    return Selection(
        states=tuple(_state(one) for one in _listed(asked.get("state", ""))),
        sender=sender,
        facility=facility,
        message_type=asked.get("type", "").replace("_", "^"),
        control_id=asked.get("control_id", ""),
        since=since,
        until=until,
        link=_key(asked.get("links", "")),
        channel=asked.get("channel", ""),
        numbers=numbers,
    )


def require_known(asked: Iterable[str], known: Iterable[str]) -> None:
    """Raise `UnknownParameter`, with the nearest names, for a name that is not known."""
    known = list(known)
    for name in asked:
        if name not in known:
            near = did_you_mean(name, known, f"there are {', '.join(known)}")
            raise UnknownParameter(f"{name[:40]!r} is no parameter{near}")


def read_number(name: str, text: str, *, most: int = 1 << 62) -> int:
    """Return a number from 0 to `most`; raises `InvalidParameter`."""
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= most):
        raise InvalidParameter(f"{name}: write a number from 0 to {most}")
    return int(text)


def _listed(text: str) -> list[str]:
    return list(dict.fromkeys(one.strip() for one in text.split(",") if one.strip()))


def _state(text: str) -> str:
    if text not in STATES:
        near = did_you_mean(text, STATES)
        raise InvalidParameter(f"state: one of {', '.join(STATES)}{near}")
    return text


def _moment(name: str, asked: Mapping[str, str], zone: tzinfo) -> int:
    text = asked.get(name, "")
    try:
        return date_interval(text, zone).start if text else 0
    except InvalidResource as error:
        raise InvalidParameter(f"{name}: {error}") from None


@lru_cache(maxsize=1)
def _resource_types() -> frozenset[str]:
    return load_definitions().resource_types


def _key(text: str) -> Key | None:
    if not text:
        return None
    resource_type, slash, logical_id = text.partition("/")
    if not (resource_type and slash and logical_id):
        raise InvalidParameter("links: write a type and an id, such as Patient/1")
    known = _resource_types()
    if resource_type not in known:
        near = did_you_mean(resource_type, known)
        raise InvalidParameter(f"links: {resource_type[:60]!r} is no resource type of R4{near}")
    return Key(resource_type, logical_id)
