"""By what the resources of a message are found again: their numbers, or a key of their own.

A number that several results of one message have is none of theirs: OBX-21 is to be one result's,
and some write that of the panel into each. They are then found by their keys alone.

Spec: https://hl7.org/fhir/R4/http.html#cond-update; HL7v2 chapter 7, OBX-21
"""

from collections.abc import Iterable
from typing import Any

from fhir_hub.hl7v2.drafts import Draft, Pairs, keys_of, pairs
from fhir_hub.hl7v2.programs import Entry
from fhir_hub.identity import match

Json = dict[str, Any]
Owners = dict[tuple[str, tuple[str, str]], Draft]


def set_matches(made: Iterable[tuple[Entry, Draft]]) -> None:
    """Say in each draft by what it is found, as its entry of the map has it."""
    owners: Owners = {}
    for entry, draft in made:
        if entry.adds or not entry.match:
            continue
        held = draft.resource.get("identifier", [])
        held = held if type(held) is list else [held]
        keys = keys_of(draft.resource)
        if entry.match == ("identity",):
            draft.match = tuple((one.system, one.value) for one in match.numbers(held))
        elif entry.match == ("identifier",):
            numbers = pairs(held) if held else ()
            draft.match = keys + numbers
            if keys and numbers:
                _leave_shared(draft, numbers, owners)
        else:
            draft.match = keys + _of_types(held, entry.match)


def _leave_shared(draft: Draft, numbers: Pairs, owners: Owners) -> None:
    """Have what has a key found by that alone if another of the message has its number."""
    for number in numbers:
        owner = owners.setdefault((draft.name, number), draft)
        if owner is not draft:
            for one in (owner, draft):
                one.match = tuple(pair for pair in one.match if pair != number)


def _of_types(held: list[Json], wanted: tuple[str, ...]) -> Pairs:
    """Return the identifiers of the first wanted type that there are; without types all."""
    for type_code in wanted:
        found = [one for one in held if type_code in _types(one)]
        if found:
            return pairs(found)
    return pairs([one for one in held if not _types(one)])


def _types(identifier: Json) -> list[str]:
    return [one.get("code", "") for one in identifier.get("type", {}).get("coding", ())]
