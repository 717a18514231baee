"""Who may be the same person as a given Patient: found by keys, then scored one by one.

Two look-ups of the index, of the numbers and of the keys, bring a handful of candidates out of
millions. A key that very many have (the telephone of a nursing home) is left out, because it says
nothing, and in a message of hundreds who are alike it is not asked for again. Who was merged away
leads to the survivor.

Spec: https://hl7.org/fhir/R4/patient-operation-match.html; DOMAIN 3.1
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from fhir_hub import fhirjson
from fhir_hub.identity import blocks, match, score, systems
from fhir_hub.identity.score import Score
from fhir_hub.identity.traits import Traits, traits_of
from fhir_hub.repository.unit import Unit
from fhir_hub.search.plan import Plan, Query
from fhir_hub.store.base import Key, Store, Stored

Json = Mapping[str, Any]
Resource = dict[str, Any]
_MOST_NUMBERED = 400  # candidates of all numbers
_MOST = 100  # candidates of all keys
_MOST_OF_KEY = 60
_LONGEST_CHAIN = 20


class Double(NamedTuple):
    """A stored Patient that may be the one asked for: as stored, and how surely."""

    stored: Stored
    patient: Resource
    score: Score


class Source(Protocol):
    """Where candidates are looked up: the store, or a unit of work that holds them true."""

    async def few(self, plan: Plan, most: int) -> list[Stored] | None:
        """Return the Patients that meet the plan, None if they are more than `most`."""

    async def read(self, logical_id: str) -> Stored | None:
        """Return a Patient."""

    def scored(self, traits: Traits) -> "Scored":
        """Return what is known already of who has been compared with these traits."""

    def read_of(self, stored: Stored) -> "Known":
        """Return a Patient as it is read."""

    @property
    def crowded(self) -> dict[str, None]:
        """Return the keys of which it is known that very many have them; more are put in."""


class Known(NamedTuple):
    """A stored Patient as it is read, and what of it is compared."""

    patient: Resource
    traits: Traits


# By logical id and content.
Scored = dict[tuple[str, bytes], Double]


class OfStore:
    """Candidates as they are stored now."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def scored(self, traits: Traits) -> Scored:
        """Return nothing: whoever asks of the store asks once."""
        return {}

    def read_of(self, stored: Stored) -> Known:
        """Return a Patient as it is read."""
        return _known(stored)

    @property
    def crowded(self) -> dict[str, None]:
        """Return nothing: whoever asks of the store asks once."""
        return {}

    async def few(self, plan: Plan, most: int) -> list[Stored] | None:
        """Return the Patients that meet the plan, None if they are more than `most`."""
        page = await self._store.search(Query(("Patient",), plan, count=most))
        return None if page.cursor else page.matches

    async def read(self, logical_id: str) -> Stored | None:
        """Return a Patient."""
        return await self._store.read(Key("Patient", logical_id))


class OfUnit:
    """Candidates as a unit of work sees them; its commit fails if there are others by then."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    def scored(self, traits: Traits) -> Scored:
        """Return what is known already: a message's patient is looked for, and then written."""
        held: Scored = self._unit.worked_out.setdefault(traits, {})
        return held

    def read_of(self, stored: Stored) -> Known:
        """Return a Patient as it is read: once, though a message be about a thousand alike."""
        held = self._unit.worked_out.setdefault(Known, {})
        found: Known | None = held.get(stored.content)
        if found is None:
            found = held[stored.content] = _known(stored)
        return found

    @property
    def crowded(self) -> dict[str, None]:
        """Return the keys that very many have: those of a message's people are asked for often."""
        return self._unit.worked_out.setdefault(blocks.INDEX, {})

    async def few(self, plan: Plan, most: int) -> list[Stored] | None:
        """Return the Patients that meet the plan, None if they are more than `most`."""
        return await self._unit.few("Patient", plan, most)

    async def read(self, logical_id: str) -> Stored | None:
        """Return a Patient."""
        return await self._unit.current(Key("Patient", logical_id))


async def find(
    wanted: Json, source: Source, least: score.Grade = "possible", without: str = ""
) -> list[Double]:
    """Return who may be the `wanted` Patient, the surest first, down to the grade `least`.

    `without` is a logical id that is left out: the wanted Patient's own.
    """
    traits = traits_of(wanted)
    found: dict[str, Double] = {}
    scored = source.scored(traits)
    for stored in await _candidates(traits, source):
        double = scored.get((stored.logical_id, stored.content))
        if double is None:
            double = await _double(traits, stored, source)
            if double is not None and double.stored is stored:  # and no survivor of it
                scored[stored.logical_id, stored.content] = double
        if double is None or score.GRADES.index(double.score.grade) > score.GRADES.index(least):
            continue
        known = found.get(double.stored.logical_id)
        if known is None or known.score.score < double.score.score:
            found[double.stored.logical_id] = double
    found.pop(without, None)
    return sorted(found.values(), key=lambda one: (-one.score.score, one.stored.logical_id))


async def the_one(wanted: Json, source: Source) -> Double | None:
    """Return who the `wanted` Patient certainly is, None if nobody is, or it is not clear who.

    Several are clear if they are certainly one person among themselves: then the surest.
    """
    found = [one for one in await find(wanted, source, "certain") if _is_in_use(one)]
    if not found:
        return None
    first = traits_of(found[0].patient)
    others = (score.compare(first, traits_of(one.patient)).grade for one in found[1:])
    return found[0] if all(grade == "certain" for grade in others) else None


def _is_in_use(one: Double) -> bool:
    return one.patient.get("active") is not False


def shows_anothers_card(wanted: Json, known: Json) -> bool:
    """Say whether the two share nothing but a national number, which name and birth date deny."""
    first, second = wanted.get("birthDate"), known.get("birthDate")
    if not first or not second or first == second:  # so it is of nearly all messages
        return False
    one, other = traits_of(wanted), traits_of(known)
    shared = set(one.numbers).intersection(other.numbers)
    is_national = all(number.system in systems.STRONG for number in shared)
    return bool(shared) and is_national and score.contradicts(one, other)


def has_anothers_number(wanted: Json, known: Json) -> bool:
    """Say whether the two share no national number, and name and birth date deny that they are one.

    So it is where an institution gives somebody the number that another had.
    """
    first, second = wanted.get("birthDate"), known.get("birthDate")
    if not first or not second or first == second:
        return False
    one, other = traits_of(wanted), traits_of(known)
    shared = set(one.numbers).intersection(other.numbers)
    is_national = any(number.system in systems.STRONG for number in shared)
    return not is_national and score.contradicts(one, other)


async def _candidates(traits: Traits, source: Source) -> Sequence[Stored]:
    found: dict[str, Stored] = {}
    numbers = traits.numbers
    numbered = await source.few(match.plan_of(numbers), _MOST_NUMBERED) if numbers else ()
    for one in numbered or ():
        found[one.logical_id] = one
    for one in await _described(traits, source):
        found[one.logical_id] = one
    return list(found.values())


async def _described(traits: Traits, source: Source) -> Sequence[Stored]:
    """Return who has a key of the patient's that says something."""
    crowded = source.crowded
    keys = [key for key in blocks.wanted_keys(traits) if key not in crowded]
    described = await source.few(blocks.plan_of(keys), _MOST) if keys else []
    if described is not None:
        return described
    found: list[Stored] = []
    for key in keys:
        of_key = await source.few(blocks.plan_of((key,)), _MOST_OF_KEY)
        if of_key is None:
            crowded[key] = None
        elif len(found) < _MOST:
            found += of_key
    return found


def _known(stored: Stored) -> Known:
    patient = fhirjson.loads(stored.content)
    return Known(patient, traits_of(patient))


async def _double(traits: Traits, stored: Stored, source: Source) -> Double | None:
    """Return the candidate with its score; of one that was merged away, the survivor with it."""
    patient, theirs = source.read_of(stored)
    said = score.compare(traits, theirs)
    seen = {stored.logical_id}
    while (following := match.survivor_id(patient)) and following not in seen:
        if len(seen) > _LONGEST_CHAIN:
            return None
        seen.add(following)
        survivor = await source.read(following)
        if survivor is None or survivor.is_deleted:
            return None
        stored, patient = survivor, fhirjson.loads(survivor.content)
        if not match.same_person_as(traits.valid, patient):
            return None
    return Double(stored, patient, said)
