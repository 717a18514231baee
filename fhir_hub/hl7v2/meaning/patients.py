"""What each institution says of a Patient, kept apart; what the Patient shows follows from it.

As soon as a second institution tells of a Patient, what each says is contained in it, a Patient
as told with its stamp. A message changes only what its own institution says; then each element
that this changes is worked out anew from all of them. Of an element with one value, or one phone,
address or name of a use, the best holds: one that agrees with the valid resident ID, then the more
trusted institution's, then the one that is said since last (`since.py`), in whatever order they
came. Lists unite. What nobody told by message (a client of the API) stays.

Spec: DOMAIN 0.12; https://hl7.org/fhir/R4/references.html#contained
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from fhir_hub.clock import from_microseconds
from fhir_hub.hl7v2.conversion.convert import Converted
from fhir_hub.hl7v2.datatypes.context import CHINA
from fhir_hub.hl7v2.making.rules import KEYS, RULES, content_of
from fhir_hub.hl7v2.meaning import since
from fhir_hub.hl7v2.meaning.since import Since
from fhir_hub.hl7v2.meaning.teller import (
    Teller,
    application_system,
    institution_of,
    is_copied,
    stamps_of,
    time_of,
)
from fhir_hub.hl7v2.storing.merge import Resource, merge, says_less
from fhir_hub.identity import match, resident_id, systems

Json = dict[str, Any]
Trust = Callable[[str], int]
AS_TOLD = f"{systems.BASE}/StructureDefinition/as-told"
_NOT_TOLD = ("id", "meta", "resourceType", "contained", "link", "active")


class Fact(NamedTuple):
    """What one institution says: its latest stamp, the elements, and since when it says each.

    In the slots of `echoes` a hub only passes on what another one said here.
    """

    stamp: Mapping[str, Any]
    elements: Resource
    since: Since
    echoes: frozenset[str] = frozenset()

    @property
    def institution(self) -> str:
        """The namespace of the institution's applications."""
        return institution_of(self.stamp)

    @property
    def said(self) -> Resource:
        """What it says itself."""
        return since.without(self.elements, self.echoes) if self.echoes else self.elements

    def time(self, slot: str) -> int:
        """Return since when it says what it says there, of no slot what it says last."""
        times = self.since if slot else {"": max(self.since.values(), default=0)}
        return times.get(slot) or time_of(self.stamp)


def trust_in(facilities: Sequence[str]) -> Trust:
    """Return how far each institution is trusted: the first named most, those not named alike."""
    ranks = {application_system(name): rank for rank, name in enumerate(reversed(facilities), 1)}
    return lambda institution: ranks.get(institution, 0)


def facts_of(patient: Resource) -> list[Fact]:
    """Return what each institution says; of a Patient that one alone told, all of it is its."""
    contained = [one for one in patient.get("contained", ()) if _is_told(one)]
    if contained:
        return [
            Fact(stamps_of(one)[0], _elements(one), since.read(one), since.echoes(one))
            for one in contained
        ]
    stamps = sorted(stamps_of(patient), key=time_of)
    return [Fact(stamps[-1], _elements(patient), since.read(patient))] if stamps else []


def _is_told(contained: Resource) -> bool:
    """Say whether it is what an institution says, and no copy that a client put beside it."""
    return contained["resourceType"] == "Patient" and bool(stamps_of(contained))


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
    own = {"resourceType": "Patient", **(mine.elements if mine else {})}
    said = since.joined(own, mine.since if mine else {})
    laid = lay(said) if lay else merge(said, converted, day)
    if not lay and laid != said:
        laid = since.renewed(said, laid, converted.resource, teller.time)
    bare, times = since.split(laid)
    now, kept = _elements(bare), frozenset[str]()
    after = [fact for fact in before if fact is not mine]
    if mine and mine.echoes:
        held, slots = since.slots(mine.elements), since.slots(now)
        kept = frozenset(one for one in mine.echoes if held.get(one) == slots.get(one))
    if mine and now == mine.elements and times == mine.since:
        after = before
    else:
        stamp = mine.stamp if mine and lay else teller.stamp()
        after = _with_echoes([*after, Fact(stamp, now, times, kept)], trust)
    result = dict(stored)
    if "identifier" in converted.resource or "identifier" in converted.removes:
        result = merge(result, _only(converted, "identifier"), day)
    if "active" in converted.resource and not lay:
        result["active"] = converted.resource["active"]
    if after is before:
        return result
    was = mine.since if mine else {}
    renewed = {
        since.element_of(slot) for slot in {*was, *times} if was.get(slot) != times.get(slot)
    }
    changed = [
        name
        for name in {**own, **now}
        if name not in ("identifier", "resourceType")
        and (own.get(name) != now.get(name) or since.slot_of(name) in renewed)
    ]
    _show(result, changed, stored, before, after, trust)
    return _containing(result, after)


def _with_echoes(facts: Sequence[Fact], trust: Trust) -> list[Fact]:
    """Return the facts with what hubs say that holds here without them marked as echoes.

    A hub tells a person whole, as she is there, and most of that came from here: who said it may
    change it and take it back. It is an echo until the hub says something else there.
    """
    found = list(facts)
    hubs = [number for number, fact in enumerate(found) if is_copied(fact.stamp)]
    for number in sorted(hubs, key=lambda one: found[one].time(""), reverse=True):
        hub = found[number]
        others = [(one, since.slots(one.said)) for one in found if one is not hub]
        echoes = set(hub.echoes)
        for slot, content in since.slots(hub.said).items():
            holders = {id(one): slots[slot] for one, slots in others if slots.get(slot)}
            best = _ranked([one for one, _ in others if id(one) in holders], slot, trust)
            if best and holders[id(best[-1])] == content:
                echoes.add(slot)
        found[number] = hub._replace(echoes=frozenset(echoes))
    return found


def _ranked(facts: Sequence[Fact], slot: str, trust: Trust) -> list[Fact]:
    """Return the facts in the order of how good each institution's word of a slot is, best last."""
    return sorted(
        facts, key=lambda fact: (trust(fact.institution), fact.time(slot), fact.institution)
    )


def _show(
    result: Resource,
    changed: Sequence[str],
    stored: Resource,
    before: Sequence[Fact],
    after: Sequence[Fact],
    trust: Trust,
) -> None:
    """Set what the Patient shows of elements that are told anew."""
    number = next(iter(sorted(match.resident_ids(result))), "")

    def ranked(slot: str) -> list[Fact]:
        return _ranked(after, slot, trust)

    of_choices = {since.slot_of(name) for name in changed}.intersection(since.CHOICES)
    told = (name for fact in after for name in fact.said) if of_choices else ()
    others = (name for name in told if since.slot_of(name) in of_choices)
    for name in dict.fromkeys([*changed, *others]):
        value = _shown(name, stored, before, ranked, number)
        if value is None:
            result.pop(name, None)
        else:
            result[name] = value
    for slot in of_choices:  # the best one's type alone stays
        _alone(result, slot, ranked(slot))


def _only(converted: Converted, element: str) -> Converted:
    """Return what a message says of an element: also that an item goes to somebody else (A43)."""
    said = converted.resource
    resource = {"resourceType": "Patient", **{n: said[n] for n in (element,) if n in said}}
    removes = {n: gone for n, gone in converted.removes.items() if n == element}
    return Converted(converted.full_url, resource, removes=removes)


def _alone(result: Resource, base: str, ranked: Sequence[Fact]) -> None:
    held = [one for one in result if one.startswith(base)]
    if len(held) < 2:
        return
    best = next((n for fact in reversed(ranked) for n in held if n in fact.said), held[0])
    if says_less(best, result[best], result):
        best = next(one for one in held if one != best)
    for other in held:
        if other != best:
            del result[other]


def _shown(
    name: str,
    stored: Resource,
    before: Sequence[Fact],
    ranked: Callable[[str], list[Fact]],
    number: str,
) -> Any:
    """Return what the Patient shows of an element; of a slot the best institution is last."""
    if name not in since.UNITED and name != "extension":
        holders = [fact for fact in ranked(since.slot_of(name)) if name in fact.said]
        if holders:
            return _best(name, holders, number)
        was_told = any(name in fact.elements for fact in before)
        return None if was_told else stored.get(name)
    content = KEYS[name] if name == "extension" else content_of(name)
    known = {content(item) for fact in before for item in fact.elements.get(name, ())}
    shown = [item for item in stored.get(name, ()) if content(item) not in known]
    shown = [item for item in shown if item.get("url") != AS_TOLD]
    for items, day in _in_turn(name, ranked):
        shown = RULES["Patient"][name](shown, items, day)
    return shown or None


def _in_turn(name: str, ranked: Callable[[str], list[Fact]]) -> Iterator[tuple[list[Json], str]]:
    """Yield the items of a list with the day of each, slot by slot, the best of each last.

    The slots come so that what the best institution tells first stands first.
    """
    told = {
        fact.institution: since.grouped(name, fact.said.get(name, ()))
        for fact in reversed(ranked(""))
    }
    slots = list(dict.fromkeys(slot for groups in told.values() for slot in groups))
    for slot in reversed(slots) if name in since.DATED else slots:
        day = ""
        for fact in ranked(slot):
            if items := told[fact.institution].get(slot):
                since_when = from_microseconds(fact.time(slot)).astimezone(CHINA).date().isoformat()
                day = max(day, since_when)
                yield items, day


def _best(name: str, holders: Sequence[Fact], number: str) -> Any:
    """Return the value of the best institution; one that the resident ID bears out comes first."""
    if number and name in ("birthDate", "gender"):
        said = resident_id.examine(number)
        true = {"birthDate": said.birth_date, "gender": said.gender}[name]
        for fact in reversed(holders):
            if fact.said[name] == true:
                return true
    if name == "gender":
        holders = [fact for fact in holders if fact.said[name] != "unknown"] or holders
    return holders[-1].said[name]


def _containing(patient: Resource, facts: Sequence[Fact]) -> Resource:
    """Return the Patient with what each institution says in it, one beside another."""
    meta = patient.get("meta", {})
    if "extension" in meta:  # of one institution alone the times stand there
        told = [one for one in meta["extension"] if one.get("url") != since.TOLD_SINCE]
        patient = {**patient, "meta": {**meta, "extension": told}}
    others = [one for one in patient.get("contained", ()) if not _is_told(one)]
    rest = [one for one in patient.get("extension", ()) if one.get("url") != AS_TOLD]
    contained, references = [], []
    for number, fact in enumerate(facts, start=1):
        head = {"resourceType": "Patient", "id": f"told-{number}"}
        marks = since.written(fact.since, time_of(fact.stamp), fact.echoes)
        meta = {"extension": [dict(fact.stamp), *marks]}
        contained.append({**head, "meta": meta, **fact.elements})
        references.append({"url": AS_TOLD, "valueReference": {"reference": f"#told-{number}"}})
    return {**patient, "contained": [*others, *contained], "extension": [*rest, *references]}
