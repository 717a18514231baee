"""Whose the stored resources are that a message's numbers lead to: another patient's are not meant.

Numbers come again: a counter begins anew, two systems number alike, a desk takes the wrong
patient. So a resource never changes hands by accident. What is another patient's stays, and what
the message tells is a resource of its own beside it, with a note. It changes hands where a message
says so: merges, moves (A43 to A45), what comes again after an undone merge, or a message that is
done again on purpose.

What was moved away from a patient is still meant by a message that has her number: it stays where
it was moved to, and what is told with it goes there too. A patient without a number is who the
message's orders and visits are of, if that may be.

Spec: HL7v2 chapter 3, A40, A43 to A45; DOMAIN 2.5b (wrong-patient guard)
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from fhir_hub import fhirjson
from fhir_hub.hl7v2.meaning import numbers_moved
from fhir_hub.hl7v2.meaning.telling import Note
from fhir_hub.hl7v2.storing.merge import Resource
from fhir_hub.hl7v2.storing.rewriting import Rewriting
from fhir_hub.hl7v2.storing.things import Thing, patients_of, replacement
from fhir_hub.identity import match, merging
from fhir_hub.identity.match import Number
from fhir_hub.r4.references import RECORDS, find_references
from fhir_hub.repository.unit import Unit
from fhir_hub.store.base import Key

Holders = Mapping[Number, Mapping[str, Resource]]
_MOVES = ("A43", "A44", "A45")  # of a number, an account, a visit
_SHARED = ("Account", "Coverage")  # families have one
_NOBODYS = ""  # the address of who is not stored
_LEFT = (merging.MOVED, merging.ROUTED)


class Whose:
    """Whom the things of one message are about, and what that says of what is stored.

    `made` is what the message was about when it was done before: done again it may take that.
    """

    def __init__(
        self, things: Sequence[Thing], event: str, made: Iterable[Key], notes: list[Note]
    ) -> None:
        patients = [one for one in things if one.resource_type == "Patient"]
        is_said = event in _MOVES or any(replacement(one.resource) for one in patients)
        is_between = any(map(numbers_moved.is_left, patients))
        self._between = tuple(patients) if is_said and is_between else ()
        self._patients = () if is_said else tuple(patients)
        self._by_url = {url: one for one in self._patients for url in one.full_urls}
        self._made = frozenset(made)
        self._notes = notes
        self._alone: frozenset[str] | None = None

    def among(self, holders: Holders) -> Callable[[Thing], Holders]:
        """Return the function that gives of what is stored what may be a thing, by number."""
        if self._between and holders:
            between = _between(self._between, holders)
            return lambda thing: between
        if not self._patients or not holders:
            return lambda thing: holders
        if len(self._patients) == 1:  # as nearly always
            if self._alone is None:
                self._alone = _allowed(self._patients)
            view = _view(self._alone, holders, self._made)
            return lambda thing: view
        views: dict[frozenset[str], Holders] = {}

        def theirs(thing: Thing) -> Holders:
            allowed = _allowed(self._whom(thing))
            if allowed not in views:
                views[allowed] = _view(allowed, holders, self._made)
            return views[allowed]

        return theirs

    def note(self, told: Iterable[Thing], holders: Holders) -> None:
        """Take note of things that are new though another patient's resource has their number."""
        for thing in told if (self._patients or self._between) and holders else ():
            if not thing.logical_id and any(holders.get(number) for number in thing.numbers):
                thing.is_anothers = True
                self._notes.append(Note("number_of_another", thing.resource_type))

    def _whom(self, thing: Thing) -> tuple[Thing, ...]:
        """Return the patients of a thing; of one that names none all of the message."""
        if len(self._patients) > 1:
            named = [
                self._by_url[one] for one in patients_of(thing.resource) if one in self._by_url
            ]
            return tuple(named) or self._patients
        return self._patients

    def unnumbered(self) -> Iterator[Thing]:
        """Yield the patients whom no number names, and who are not found yet."""
        for one in self._patients:
            if not one.stored and not match.numbers(one.resource.get("identifier", ())):
                yield one

    async def find(
        self, unit: Unit, patient: Thing, sought: Iterable[tuple[Sequence[Thing], Holders]]
    ) -> None:
        """Have a patient without a number found as the one whose the message's numbers are.

        That is so where they lead to one patient, and nothing told of her denies it.
        """
        owners = {
            owner
            for of_type, holders in sought
            for thing in of_type
            if thing.resource_type not in _SHARED and patient in self._whom(thing)
            for number in thing.numbers
            for one in holders.get(number, {}).values()
            for owner in patients_of(one)
        }
        if len(owners) != 1:
            return
        stored = await unit.current(Key("Patient", owners.pop().partition("/")[2]))
        if stored is None or stored.is_deleted:
            return
        known: Resource = fhirjson.loads(stored.content)
        if not match.survivor_id(known) and numbers_moved.may_be(patient.resource, known):
            patient.found(known)

    def keep(self, things: Sequence[Thing]) -> None:
        """Leave what was found the patient that it has, and have what is told with it go there."""
        for patient in self._patients:
            routes = {
                id(thing): to
                for thing in things
                if thing.stored and (to := self._kept(thing, patient)) and patient is not thing
            }
            if routes:
                _lead(patient, things, routes)

    def _kept(self, thing: Thing, patient: Thing) -> str:
        """Return whose a stored thing stays, `""` if it may be the message's patient's."""
        stored = thing.stored or {}
        owners = patients_of(stored)
        if not owners or thing.resource_type in RECORDS or patient not in self._whom(thing):
            return ""
        own = addresses_of(patient) if patient.stored else ()
        if not set(own[:2]).isdisjoint(owners):
            return ""
        if _tagged(stored, merging.ROUTED).intersection(own):
            return ""
        if _key(stored) in self._made and not _tagged(stored, merging.MOVED).intersection(own):
            return ""
        return owners[0]


def _allowed(patients: Iterable[Thing]) -> frozenset[str]:
    """Return the addresses of patients, empty if nobody knows who they are."""
    found: list[str] = []
    for patient in patients:
        if patient.stored:
            found += addresses_of(patient)
        elif _is_somebody(patient.resource):
            found.append(_NOBODYS)
    return frozenset(found)


def _between(patients: Sequence[Thing], holders: Holders) -> Holders:
    """Return what is of whom a visit or an account goes to, else of whom it is moved away from.

    What is a third patient's is not meant.
    """
    to, away = (
        _allowed([one for one in patients if numbers_moved.is_left(one) is is_left])
        for is_left in (False, True)
    )
    there = _view(to or frozenset((_NOBODYS,)), holders, frozenset())
    from_there = _view(away or frozenset((_NOBODYS,)), holders, frozenset())
    return {number: there[number] or from_there[number] for number in holders}


def _view(allowed: frozenset[str], holders: Holders, made: frozenset[Key]) -> Holders:
    """Return what is of patients or of nobody; without that what was moved away from them."""
    return {n: _of(allowed, held, made) for n, held in holders.items()} if allowed else holders


def _of(
    allowed: frozenset[str], held: Mapping[str, Resource], made: frozenset[Key]
) -> Mapping[str, Resource]:
    own, left = {}, {}
    for logical_id, one in held.items():
        owners = patients_of(one)
        if not owners or not allowed.isdisjoint(owners):
            own[logical_id] = one
        elif not allowed.isdisjoint(_before(one)) or _key(one) in made:
            left[logical_id] = one
    if len(own) > 1:  # a merge has brought another of the number
        own = {key: one for key, one in own.items() if not _is_re_pointed(one)} or own
    return own or left


def _key(stored: Resource) -> Key:
    return Key(stored["resourceType"], stored["id"])


def addresses_of(patient: Thing) -> list[str]:
    """Return where a stored patient is: the record, the one it was found through, linked ones."""
    found = [patient.address, f"Patient/{patient.through or patient.logical_id}"]
    for link in (patient.stored or {}).get("link", ()):
        if link.get("type") == "seealso" and "reference" in link["other"]:
            found.append(link["other"]["reference"])
    return found


def _is_somebody(patient: Mapping[str, Any]) -> bool:
    """Say whether a Patient that is not stored is told apart from others by anything."""
    numbers = match.numbers(patient.get("identifier", ()))
    return bool(numbers or patient.get("name") or patient.get("birthDate"))


def _before(stored: Resource) -> set[str]:
    """Return whose a resource was before it was moved, or by whose number it came."""
    return {address for system in _LEFT for address in _tagged(stored, system)}


def _is_re_pointed(stored: Resource) -> bool:
    return bool(_tagged(stored, merging.RE_POINTED))


def _tagged(stored: Resource, system: str) -> set[str]:
    """Return the Patients that a resource's tags of a system name."""
    tags = stored.get("meta", {}).get("tag", ())
    return {f"Patient/{one.get('code')}" for one in tags if one.get("system") == system}


def _lead(patient: Thing, things: Sequence[Thing], routes: dict[int, str]) -> None:
    """Have things say that they are of whom they stay with, and what is new with them too.

    `routes` has to whom the found ones belong, by `id`. What is new goes along with what was moved
    away from the patient where one of the two refers to the other.
    """
    urls = set(patient.full_urls)
    told = {id(one): _urls_in(one.resource) for one in things if one.resource_type not in RECORDS}
    new = [one for one in things if id(one) in told and not one.stored and one is not patient]
    waiting = [
        one
        for one in things
        if id(one) in routes
        and f"Patient/{patient.logical_id}" in _tagged(one.stored or {}, merging.MOVED)
    ]
    moved = set[int]()
    while waiting:
        at = waiting.pop()
        for one in new:
            if id(one) in routes or urls.isdisjoint(told[id(one)]):
                continue
            if not told[id(one)].isdisjoint(at.full_urls) or not told[id(at)].isdisjoint(
                one.full_urls
            ):
                routes[id(one)] = routes[id(at)]
                moved.add(id(one))
                waiting.append(one)
    for one in things:
        if to := routes.get(id(one)):
            resource = Rewriting(dict.fromkeys(urls, to)).of(one.resource)
            if id(one) in moved:
                resource = merging.tagged(resource, merging.MOVED, patient.logical_id)
            one.say(resource)


def _urls_in(resource: Resource) -> set[str]:
    return {str(one["reference"]) for one, _ in find_references(resource)}
