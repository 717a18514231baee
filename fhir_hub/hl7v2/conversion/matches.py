"""By what the resources of a message are found again: their numbers, or a key of their own.

A number that several results of one message have is none of theirs: OBX-21 is to be one result's,
and some write that of the panel into each. They are then found by their keys alone. So it is with
orders and reports of one number, which a lab gives a whole tube: each has a key made of that and of
what was asked for.

Spec: https://hl7.org/fhir/R4/http.html#cond-update; HL7v2 chapter 7, OBX-21
"""

from collections.abc import Iterable, Sequence
from typing import Any

from fhir_hub.hl7v2.calls.orders import PART
from fhir_hub.hl7v2.conversion import facts
from fhir_hub.hl7v2.making.drafts import Draft, Pairs, Place, keys_of, pairs
from fhir_hub.hl7v2.maps.programs import Entry
from fhir_hub.identity import match

Json = dict[str, Any]
Owners = dict[tuple[str, tuple[str, str]], Draft]
Ordered = dict[tuple[str, tuple[str, str]], list[Draft]]
_NO_NUMBERS: list[Json] = []
_BY_NUMBER = ("identifier",)
_BY_KEY = ("key",)
_NOT_ORDERED = "9999"  # the filler's number of each dose that nobody ordered, in immunization feeds
_CODES = ("code", "vaccineCode", "medicationCodeableConcept")


def set_matches(made: Iterable[tuple[Place, Entry, Draft]]) -> None:
    """Say in each draft by what it is found, as its entry of the map has it."""
    owners: Owners = {}
    ordered: Ordered = {}
    shared: Ordered = {}
    for place, entry, draft in made:
        if entry.adds or not entry.match:
            continue
        if entry.joins and place.segment is not draft.segment:
            continue  # what began it has said so
        resource = draft.resource
        keys = keys_of(resource) if "meta" in resource else ()
        if len(keys) == 1 and "identifier" not in resource and entry.match == _BY_NUMBER:
            draft.match = keys  # as nearly every result
            if keys[0][0] == PART:
                draft.earlier = ()
            continue
        held = resource.get("identifier", _NO_NUMBERS)
        held = held if type(held) is list else [held]
        if entry.match == ("identity",):
            draft.match = tuple((one.system, one.value) for one in match.numbers(held))
        elif entry.match == _BY_KEY:
            draft.match = keys
        elif entry.match == _BY_NUMBER:
            numbers = pairs(held) if held else ()
            draft.match = keys + numbers
            if keys and keys[0][0] == PART:
                draft.match, draft.earlier = keys, numbers
            elif keys and numbers and draft.resource["resourceType"] == "AllergyIntolerance":
                draft.match, draft.earlier = numbers, keys  # AL1 tells of it without the number
            elif keys and numbers:
                _leave_shared(draft, numbers, owners)
            for number in numbers if resource["resourceType"] in facts.TYPES else ():
                shared.setdefault((draft.name, number), []).append(draft)
        else:
            if resource["resourceType"] == "Immunization":
                held = [one for one in held if one.get("value") != _NOT_ORDERED]
            numbers, others = _of_types(held, entry.match)
            draft.match = keys + numbers
            draft.earlier = draft.earlier or others
            of_type = shared if resource["resourceType"] in facts.TYPES else ordered
            for number in draft.match:
                of_type.setdefault((draft.name, number), []).append(draft)
        if len(keys) > 1 and draft.earlier:
            draft.match = tuple(pair for pair in draft.match if pair not in draft.earlier)
    for (_, number), drafts in ordered.items():
        if len(drafts) > 1:
            _part(number, drafts)
    facts.part_all(shared)


def _leave_shared(draft: Draft, numbers: Pairs, owners: Owners) -> None:
    """Have what has a key found by that alone if another of the message has its number."""
    for number in numbers:
        owner = owners.setdefault((draft.name, number), draft)
        if owner is not draft:
            for one in (owner, draft):
                one.match = tuple(pair for pair in one.match if pair != number)


def _part(number: tuple[str, str], drafts: Sequence[Draft]) -> None:
    """Give what shares an order's number a key each: the number, and what was asked for.

    What has number and code of another is the same where both say the same (`_told`).
    """
    asked = [(code_of(draft.resource), _told(draft)) for draft in drafts]
    if not all(code for code, _ in asked) or len(set(asked)) == 1:
        return
    known: dict[str, dict[str, int]] = {}
    for draft, (code, said) in zip(drafts, asked, strict=True):
        if any(system == PART for system, _ in draft.match):
            continue
        of_code = known.setdefault(code, {})
        place = of_code.setdefault(said, len(of_code))
        key = f"{number[0]}|{number[1]}/{code}"
        key = f"{key}#{place + 1}" if place else key
        meta = draft.resource.get("meta", {})
        tags = [*meta.get("tag", ()), {"system": PART, "code": key}]
        draft.resource["meta"] = {**meta, "tag": tags}
        draft.match, draft.earlier = ((PART, key),), draft.match


def _told(draft: Draft) -> str:
    """Return what tells an order or report from others of its number and code.

    That is its filler's number; without one all that OBR says but its place in the message. Where
    OBR has no number of its own (ORC-2 is that of all), each OBR is another one.
    """
    segment = draft.segment
    if not segment.field(2) and not segment.field(3):
        return f"#{segment.index}"
    held = draft.resource.get("identifier", [])
    filled = [one["value"] for one in held if "FILL" in _types(one)]
    return filled[0] if filled else "|".join(segment.fields[2:])


def leave_moved(drafts: Iterable[Draft]) -> None:
    """Have nobody found by a number that this message takes off another (A43)."""
    patients = [one for one in drafts if one.resource["resourceType"] == "Patient"]
    moved = {pair for one in patients for pair in pairs(one.removes.get("identifier", []))}
    for one in patients if moved else ():
        if len(patients) > 1 and "identifier" not in one.removes:
            one.match = tuple(pair for pair in one.match if pair not in moved)


def code_of(resource: Json) -> str:
    """Return the code of what was asked for or given, or without one its text."""
    code: Json = next((resource[name] for name in _CODES if name in resource), {})
    told = next((one["code"] for one in code.get("coding", ()) if "code" in one), "")
    return str(told or code.get("text", ""))


def _of_types(held: list[Json], wanted: tuple[str, ...]) -> tuple[Pairs, Pairs]:
    """Return the identifiers of the first wanted type that there are, and those of the others.

    Without types all are of the first. By the others that is found which was told without the
    first (`parted.choose_part`).
    """
    for place, type_code in enumerate(wanted, 1):
        found = [one for one in held if type_code in _types(one)]
        if found:
            rest = wanted[place:] if len(held) > len(found) else ()
            others = [one for one in held if rest and any(kind in rest for kind in _types(one))]
            return pairs(found), pairs(others) if others else ()
    return pairs([one for one in held if not _types(one)]), ()


def pairs_of_type(resource: Json, type_code: str) -> set[tuple[str, str]]:
    """Return system and value of the identifiers of a type (`FILL`)."""
    return set(pairs([one for one in resource.get("identifier", ()) if type_code in _types(one)]))


def is_told_in_parts(resource: Json, stored: Json) -> bool:
    """Say whether a message and what is stored tell numbers of different types of a thing."""
    return any(
        bool(pairs_of_type(resource, kind)) != bool(pairs_of_type(stored, kind))
        for kind in ("FILL", "PLAC")
    )


def _types(identifier: Json) -> list[str]:
    return [one.get("code", "") for one in identifier.get("type", {}).get("coding", ())]
