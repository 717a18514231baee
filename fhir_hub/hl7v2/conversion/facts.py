"""Facts of one number: which of a message are one, and which are two that a sender numbers alike.

DG1-20, PR1-19, IAM-7, IN1-36 or SPM-2 is to be one fact's, and some write one number on all that a
visit has. Two codes under it are two facts, and so are two times of one code: the number stays with
both, and each is found by a key made of the number, its code and its time.

Spec: HL7v2 chapter 6, DG1-20 and PR1-19; chapter 7, SPM-2
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import Any

from fhir_hub.hl7v2.calls.orders import PART
from fhir_hub.hl7v2.making.drafts import Draft

Json = dict[str, Any]
Pair = tuple[str, str]
Clue = tuple[str, str]
_OWN = ("FGN", "FILL", "PGN", "PLAC")  # the types of a placer's and a filler's numbers
# Of each type what names the fact, and when it was: paths, the first that is there counts.
_TOLD: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = MappingProxyType(
    {
        "AllergyIntolerance": (("code",), ()),
        "ChargeItem": (("code",), ("occurrenceDateTime", "occurrencePeriod.start")),
        "Condition": (("code",), ("onsetDateTime",)),
        "Coverage": (("class.value", "type"), ()),
        "Goal": (("description",), ("startDate",)),
        "Immunization": (("vaccineCode",), ("occurrenceDateTime",)),
        "Procedure": (("code",), ("performedDateTime", "performedPeriod.start")),
        "Specimen": (("type",), ()),  # each panel says when it was taken in its own way
    }
)
TYPES = frozenset(_TOLD)


def names_of(fact: Json) -> list[str]:
    """Return the codes of a fact, or without one its text."""
    found = _first(fact, _TOLD[fact["resourceType"]][0])
    if isinstance(found, str):
        return [found]
    codes = [one["code"] for one in found.get("coding", ()) if "code" in one] if found else []
    text = str(found.get("text", "")) if found else ""
    return codes or ([text] if text else [])


def moment_of(fact: Json) -> str:
    """Return when a fact was, as FHIR writes it, `""` where nobody says."""
    return str(_first(fact, _TOLD[fact["resourceType"]][1]) or "")


def are_named_alike(one: Json, other: Json) -> bool:
    """Say whether two facts of one type have a code in common, or one of them has none."""
    mine, theirs = names_of(one), names_of(other)
    return not (mine and theirs) or not set(mine).isdisjoint(theirs)


def were_at_once(one: Json, other: Json) -> bool:
    """Say whether two facts may be of one time: a day and an hour of it are."""
    mine, theirs = moment_of(one), moment_of(other)
    return mine.startswith(theirs) or theirs.startswith(mine)


def are_one(one: Json, other: Json) -> bool:
    """Say whether two facts of a type and number are one: of one code, time and own number."""
    return may_be_one(one, other) and were_at_once(one, other)


def may_be_one(one: Json, other: Json) -> bool:
    """Say whether two facts of a type and number are one, if not of one time."""
    mine, theirs = numbers_of_types(one), numbers_of_types(other)
    differ = any(mine[kind].isdisjoint(theirs[kind]) for kind in mine.keys() & theirs.keys())
    return not differ and are_named_alike(one, other)


def numbers_of_types(fact: Json) -> dict[str, set[str]]:
    """Return the numbers of a fact that the placer and the filler gave it, by type."""
    found: dict[str, set[str]] = {}
    for one in fact.get("identifier", ()):
        for coding in one.get("type", {}).get("coding", ()):
            if coding.get("code") in _OWN:
                found.setdefault(coding["code"], set()).add(one.get("value", ""))
    return found


def part_all(shared: Mapping[tuple[str, Pair], Sequence[Draft]]) -> None:
    """Have facts that share a number found by their own one, or else by a key each.

    `shared` has the drafts of a name and number. What is found so is known by the number from
    before.
    """
    several = {
        of_name: groups
        for of_name, drafts in shared.items()
        if len(drafts) > 1 and len(groups := _groups(drafts)) > 1
    }
    for (name, number), groups in several.items():
        used: dict[str, int] = {}
        for drafts in groups:
            first = drafts[0]
            if any(system == PART for system, _ in first.match):
                continue
            own = tuple(pair for pair in first.match if (name, pair) not in several)
            match, earlier = own, (*first.match, *first.earlier)
            if not own:
                match = ((PART, _key(number, first, used)),)
            for draft in drafts:
                draft.match, draft.earlier = match, earlier
                if not own:
                    meta = draft.resource.get("meta", {})
                    tags = [*meta.get("tag", ()), {"system": PART, "code": match[0][1]}]
                    draft.resource["meta"] = {**meta, "tag": tags}


def _groups(drafts: Sequence[Draft]) -> list[list[Draft]]:
    """Return the drafts by the fact that they tell: each is that of the first that it may be.

    A number may be that of very many: those alone are compared that may have what tells them apart.
    """
    groups: list[list[Draft]] = []
    found: dict[Clue, list[int]] = {}
    for draft in drafts:
        sought = ([found.get(one, []) for one in clues] for clues in _sought(draft))
        fewest = min(sought, key=lambda lists: sum(map(len, lists)))
        for at in sorted({*chain.from_iterable(fewest)}):
            if _are_one(groups[at][0], draft):
                groups[at].append(draft)
                break
        else:
            for clue in _clues(draft):
                found.setdefault(clue, []).append(len(groups))
            groups.append([draft])
    return groups


def _clues(draft: Draft) -> Iterator[Clue]:
    """Yield by what a fact may be told from others: its codes, its time, its own numbers."""
    yield "any", ""
    for name in names_of(draft.resource) or [""]:
        yield "name", name
    moment = moment_of(draft.resource)
    yield "at", moment
    for part in _parts_of(moment):
        yield "in", part
    numbers = numbers_of_types(draft.resource)
    for kind in _OWN:
        for value in numbers.get(kind, ("",)):
            yield kind, value
    if draft.name == "ChargeItem":
        yield "said", _said(draft)


def _sought(draft: Draft) -> Iterator[list[Clue]]:
    """Yield of each of these the clues of all that may be one with a fact."""
    yield [("any", "")]
    if names := names_of(draft.resource):
        yield [("name", one) for one in ("", *names)]
    if moment := moment_of(draft.resource):
        yield [("in", moment), *(("at", part) for part in (moment, *_parts_of(moment)))]
    for kind, values in numbers_of_types(draft.resource).items():
        yield [(kind, one) for one in ("", *values)]
    if draft.name == "ChargeItem":
        yield [("said", _said(draft))]


def _parts_of(moment: str) -> list[str]:
    """Return the less exact times that a time is of: none, its year, month and day."""
    return [moment[:length] for length in (0, 4, 7, 10) if length < len(moment)]


def _are_one(one: Draft, other: Draft) -> bool:
    """Say whether two of a message are one fact; a charge is another where anything differs."""
    if one.name == "ChargeItem" and _said(one) != _said(other):
        return False
    return are_one(one.resource, other.resource)


def _said(draft: Draft) -> str:
    return "|".join(draft.segment.fields[2:])


def _key(number: Pair, draft: Draft, used: dict[str, int]) -> str:
    """Return the key of a fact; `used` has how often each was given."""
    fact = draft.resource
    state = fact["status"] if fact["resourceType"] == "ChargeItem" else ""  # or what takes it back
    told = (next(iter(names_of(fact)), ""), moment_of(fact), state)
    text = "/".join(["|".join(number), *(text for text in told if text)])
    used[text] = used.get(text, 0) + 1
    return text if used[text] == 1 else f"{text}#{used[text]}"


def _first(fact: Json, paths: Iterable[str]) -> Any:
    for path in paths:
        found: Any = fact
        for name in path.split("."):
            found = found[0] if isinstance(found, list) else found
            found = found.get(name) if isinstance(found, dict) else None
        if found:
            return found
    return None
