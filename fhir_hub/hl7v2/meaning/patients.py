"""What each institution says of a Patient, kept apart; what the Patient shows follows from it.

As soon as a second institution tells of a Patient, what each says is contained in it, a Patient
as told with its stamp. A message changes only what its own institution says; then each element
that this changes is worked out anew from all of them. Of an element with one value the best
holds: one that agrees with the valid resident ID, then the more trusted institution's, then the
newest. Lists unite, the best first. What nobody told by message (a client of the API) stays.

Spec: DOMAIN 0.12; https://hl7.org/fhir/R4/references.html#contained
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from fhir_hub.clock import from_microseconds
from fhir_hub.hl7v2.conversion.convert import Converted
from fhir_hub.hl7v2.datatypes.context import CHINA
from fhir_hub.hl7v2.making.rules import RULES, content_of
from fhir_hub.hl7v2.meaning.teller import (
    Teller,
    application_system,
    institution_of,
    stamps_of,
    time_of,
)
from fhir_hub.hl7v2.storing.merge import Resource, merge
from fhir_hub.identity import match, resident_id, systems

Trust = Callable[[str], int]
AS_TOLD = f"{systems.BASE}/StructureDefinition/as-told"
_NOT_TOLD = ("id", "meta", "resourceType", "contained", "link", "active")
_UNITED = ("name", "telecom", "address", "contact", "communication", "generalPractitioner")


class Fact(NamedTuple):
    """What one institution says: its latest stamp, and the elements."""

    stamp: Mapping[str, Any]
    elements: Resource

    @property
    def institution(self) -> str:
        """The namespace of the institution's applications."""
        return institution_of(self.stamp)

    @property
    def day(self) -> str:
        """The date as of which it was told."""
        return from_microseconds(time_of(self.stamp)).astimezone(CHINA).date().isoformat()


def trust_in(facilities: Sequence[str]) -> Trust:
    """Return how far each institution is trusted: the first named most, those not named alike."""
    ranks = {application_system(name): rank for rank, name in enumerate(reversed(facilities), 1)}
    return lambda institution: ranks.get(institution, 0)


def facts_of(patient: Resource) -> list[Fact]:
    """Return what each institution says; of a Patient that one alone told, all of it is its."""
    contained = [one for one in patient.get("contained", ()) if stamps_of(one)]
    if contained:
        return [Fact(stamps_of(one)[0], _elements(one)) for one in contained]
    stamps = sorted(stamps_of(patient), key=time_of)
    return [Fact(stamps[-1], _elements(patient))] if stamps else []


def own(patient: Resource, teller: Teller) -> Resource:
    """Return what the teller's institution says of the Patient, nothing if it does not."""
    facts = (fact for fact in facts_of(patient) if fact.institution == teller.system)
    return next((fact.elements for fact in facts), {})


def _elements(patient: Resource) -> Resource:
    told = {name: value for name, value in patient.items() if name not in _NOT_TOLD}
    if "extension" in told:
        told["extension"] = [one for one in told["extension"] if one.get("url") != AS_TOLD]
        if not told["extension"]:
            del told["extension"]
    return told


def is_of_several(patient: Resource, teller: Teller) -> bool:
    """Say whether another institution than the teller's has told of the Patient."""
    return any(institution_of(stamp) != teller.system for stamp in stamps_of(patient))


def told(
    stored: Resource,
    converted: Converted,
    teller: Teller,
    day: str,
    trust: Trust,
    lay: Callable[[Resource], Resource] | None = None,
) -> Resource:
    """Return the Patient after what one of several institutions says of it.

    `lay` lays an older message into its place in what its institution says.
    """
    before = facts_of(stored)
    mine = next((fact for fact in before if fact.institution == teller.system), None)
    own = mine.elements if mine else {}
    said = {"resourceType": "Patient", **own}
    laid = lay(said) if lay else merge(said, converted, day)
    now = _elements(laid)
    after = [fact for fact in before if fact is not mine]
    if mine and now == own:
        after = before
    else:
        after.append(Fact(mine.stamp if mine and lay else teller.stamp(), now))
    result = dict(stored)
    if "identifier" in converted.resource or "identifier" in converted.removes:
        result = merge(result, _only(converted, "identifier"), day)
    if "active" in converted.resource and not lay:
        result["active"] = converted.resource["active"]
    number = next(iter(sorted(match.resident_ids(result))), "")
    changed = [n for n in {**own, **now} if own.get(n) != now.get(n) and n != "identifier"]
    ranked = sorted(after, key=lambda fact: (trust(fact.institution), time_of(fact.stamp)))
    for name in changed:
        value = _shown(name, stored, before, ranked, number)
        if value is None:
            result.pop(name, None)
        else:
            result[name] = value
    for name in changed:  # of a choice the best one's type alone stays
        if name.startswith(("deceased", "multipleBirth")) and name in result:
            _alone(result, name, ranked)
    return result if after is before else _containing(result, after)


def _only(converted: Converted, element: str) -> Converted:
    """Return what a message says of an element: also that an item goes to somebody else (A43)."""
    said = converted.resource
    resource = {"resourceType": "Patient", **{n: said[n] for n in (element,) if n in said}}
    removes = {n: gone for n, gone in converted.removes.items() if n == element}
    return Converted(converted.full_url, resource, removes=removes)


def _alone(result: Resource, name: str, ranked: Sequence[Fact]) -> None:
    base = "deceased" if name.startswith("deceased") else "multipleBirth"
    held = [one for one in result if one.startswith(base)]
    best = next((n for fact in reversed(ranked) for n in held if n in fact.elements), held[0])
    for other in held:
        if other != best:
            del result[other]


def _shown(
    name: str,
    stored: Resource,
    before: Sequence[Fact],
    ranked: Sequence[Fact],
    number: str,
) -> Any:
    """Return what the Patient shows of an element, the best institution last in `ranked`."""
    if name == "extension":
        return _extensions(stored, before, ranked)
    holders = [fact for fact in ranked if name in fact.elements]
    if name not in _UNITED:
        if holders:
            return _best(name, holders, number)
        was_told = any(name in fact.elements for fact in before)
        return None if was_told else stored.get(name)
    content = content_of(name)
    known = {content(item) for fact in before for item in fact.elements.get(name, ())}
    shown = [item for item in stored.get(name, ()) if content(item) not in known]
    day = ""
    for fact in holders:
        day = max(day, fact.day)
        shown = RULES["Patient"][name](shown, fact.elements[name], day)
    return shown or None


def _best(name: str, holders: Sequence[Fact], number: str) -> Any:
    """Return the value of the best institution; one that the resident ID bears out comes first."""
    if number and name in ("birthDate", "gender"):
        said = resident_id.examine(number)
        true = {"birthDate": said.birth_date, "gender": said.gender}[name]
        for fact in reversed(holders):
            if fact.elements[name] == true:
                return true
    if name == "gender":
        holders = [fact for fact in holders if fact.elements[name] != "unknown"] or holders
    return holders[-1].elements[name]


def _extensions(stored: Resource, before: Sequence[Fact], ranked: Sequence[Fact]) -> Any:
    urls = {one["url"] for fact in before for one in fact.elements.get("extension", ())}
    shown = [one for one in stored.get("extension", ()) if one["url"] not in urls]
    for fact in ranked:
        shown = RULES["Patient"]["extension"](shown, fact.elements.get("extension", []), "")
    return shown or None


def _containing(patient: Resource, facts: Sequence[Fact]) -> Resource:
    """Return the Patient with what each institution says in it, one beside another."""
    others = [one for one in patient.get("contained", ()) if not stamps_of(one)]
    rest = [one for one in patient.get("extension", ()) if one.get("url") != AS_TOLD]
    contained, references = [], []
    for number, fact in enumerate(facts, start=1):
        head = {"resourceType": "Patient", "id": f"told-{number}"}
        contained.append({**head, "meta": {"extension": [dict(fact.stamp)]}, **fact.elements})
        references.append({"url": AS_TOLD, "valueReference": {"reference": f"#told-{number}"}})
    return {**patient, "contained": [*others, *contained], "extension": [*rest, *references]}
