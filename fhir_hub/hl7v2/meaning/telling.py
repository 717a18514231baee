"""One message telling of one resource: laid over what is stored, or only filling in.

What the teller told later than this message stays: an older message adds what nobody has said,
and a note tells that it did no more. What another told is changed, but never deleted.

Spec: HL7v2 chapter 2, 2.5.3; DOMAIN 0.12 and 4 (out-of-order A08)
"""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

from fhir_hub import fhirjson
from fhir_hub.hl7v2.conversion.convert import Converted, with_resource
from fhir_hub.hl7v2.making.rules import REQUESTS, coded
from fhir_hub.hl7v2.meaning import bookings, in_turn, mixtures, patients, since, visits
from fhir_hub.hl7v2.meaning.in_turn import Known, Step
from fhir_hub.hl7v2.meaning.patients import Trust
from fhir_hub.hl7v2.meaning.repeats import Repeats, digest_of
from fhir_hub.hl7v2.meaning.retold import Later, Nothing
from fhir_hub.hl7v2.meaning.teller import (
    OF_PERSON,
    Teller,
    has_another_told_since,
    institution_of,
    is_behind_another,
    is_copy,
    is_first_hand,
    is_overtaken,
    is_told_by_another,
    stamped,
    stamps_of,
    told_at,
)
from fhir_hub.hl7v2.meaning.withdrawals import unlisted, withdrawing, without_withdrawn
from fhir_hub.hl7v2.storing.merge import Choices, Resource, fill, merge
from fhir_hub.hl7v2.storing.things import Thing, patients_of
from fhir_hub.identity.systems import authority_system
from fhir_hub.r4.references import RECORDS
from fhir_hub.referral.reading import each
from fhir_hub.store.base import Key

# What the trusted know best. An order, booking or result goes from hand to hand: the last holds.
_RANKED = (
    *OF_PERSON,
    *("CareTeam", "Condition", "Encounter", "EpisodeOfCare"),
    *("Location", "Organization", "Practitioner", "PractitionerRole"),
)
_COURSE = ("recurrence", "relapse", "remission", "resolved")
_OVER = ("on-hold", "stopped", "cancelled", "completed", "revoked")


class Note(NamedTuple):
    """What was not done as a message says: why, and to which resource; nothing of a patient."""

    reason: str
    resource_type: str
    logical_id: str = ""


def counted(notes: Sequence[Note]) -> Iterator[tuple[str, str]]:
    """Yield each reason with the resource types noted for it and how many: `Encounter:1`."""
    for reason in dict.fromkeys(note.reason for note in notes):
        of_types = Counter(note.resource_type for note in notes if note.reason == reason)
        yield reason, " ".join(f"{kind}:{count}" for kind, count in sorted(of_types.items()))


@dataclass(frozen=True, slots=True)
class Telling:
    """A message on its way into the store: who tells it, its date, and what is noted of it.

    `later` says what the teller told of a resource later than this message, `repeats` which
    messages before it changed nothing.
    """

    teller: Teller
    day: str
    choices: Choices
    notes: list[Note]
    trust: Trust
    later: Later = field(default_factory=Nothing)
    repeats: Repeats = field(default_factory=Repeats)

    @property
    def is_trusted(self) -> bool:
        """Whether the settings trust who tells it: the facility, a hub by its own name too."""
        return any(map(self.trust, (self.teller.system, self.teller.facility_system)))

    def told(self, converted: Converted) -> Resource:
        """Return the resource as it is first stored: stamped, unless it is only mentioned."""
        resource = converted.resource
        if converted.mode == "create" or resource["resourceType"] in RECORDS:
            return resource
        if not self.teller.time:
            return resource
        if resource["resourceType"] == "Encounter":
            resource = visits.begun(resource, self.teller)
        if converted.nulls or converted.removes:
            resource = withdrawing({}, resource, converted, self.teller)
        return stamped(resource, self.teller)

    async def has_since(self, events: Collection[str], *keys: Key) -> bool:
        """Say, and note, whether the teller told one of `events` of all these resources since."""
        for key in keys:
            if (await self.later.told(key)).events.isdisjoint(events):
                return False
        self.notes.append(Note("older", *keys[0]))
        return True

    async def laid_over(self, stored: Resource, converted: Converted) -> Resource | None:
        """Return what is stored with what the message says of it, None if that changes nothing."""
        if is_copy(stored, self.teller):
            return self._copied(stored, converted)
        key, stamp = Key(stored["resourceType"], stored["id"]), told_at(stored, self.teller)
        is_older, first = stamp > self.teller.time > 0, 0
        if not is_older:
            if key[0] == "Encounter" and visits.asks_first(stored, converted.resource, self.teller):
                first = await self.later.first(key) or stamp
            if (laid := self._laid_newly(stored, converted, first)) is None:
                return None
        later = await self.later.told(key)
        if not is_older and not later.is_told:
            return laid
        converted = unlisted(converted, later.lists, stored)
        known = Known()
        is_first = converted.action == "begin" and has_another_told_since(stored, self.teller)
        is_asked = patients_of(stored) and not is_first and not self._is_last_told(stored)
        if key[0] == "Patient" or is_asked:
            known = await self.later.known(key, stamp)
        return self._laid_late(stored, converted, known)

    def _copied(self, stored: Resource, converted: Converted) -> Resource | None:
        """Return what is stored with what a hub's copy has besides: who tells it himself holds."""
        if converted.action in ("leave", "delete"):
            return None
        left = without_withdrawn(converted, stored, self.teller)
        filled = fill(stored, left, self.choices)
        return None if _same(filled, stored) else filled

    def _is_last_told(self, stored: Resource) -> bool:
        """Say whether it is what its last message says, or all its results say: an answered order.

        So the journal, of which each of thousands of results would ask, need not be read. A result
        that is final may have been made so without its value (U), and has that of a message before.
        """
        kind = stored["resourceType"]
        is_answer = kind == "ServiceRequest" and self.teller.message_type in ("ORU", "OUL")
        return is_answer or (kind == "Observation" and stored.get("status") != "final")

    def _laid_newly(self, stored: Resource, converted: Converted, first: int) -> Resource | None:
        digest = digest_of(stored, converted, self.teller, self.day)
        if digest is not None and digest in self.repeats:
            return None
        laid = self._laid_over(stored, converted, first)
        if laid and stored["resourceType"] == "Patient" and self.teller.time:
            held = self._with_times(stored)
            if held is not stored:  # one institution's alone
                laid = since.renewed(held, laid, converted.resource, self.teller.time)
                laid = since.stored(laid)
        if laid is None and digest is not None:
            self.repeats.add(digest)
        return laid

    def _laid_over(self, stored: Resource, converted: Converted, first: int = 0) -> Resource | None:
        """Return what is stored with what the message says, None if that changes nothing.

        `first` is as of when a visit was first told, 0 if nobody knows.
        """
        teller = self.teller
        if converted.action == "leave":
            return None
        if converted.action == "delete":
            converted = _in_error(converted)
        if stored["resourceType"] == "Patient" and patients.is_of_several(stored, teller):
            return self._of_several(stored, converted)
        is_foreign = is_told_by_another(stored, teller)
        if is_foreign and self._is_outranked(stored):
            left = without_withdrawn(converted, stored, teller)
            filled = fill(stored, left, self.choices)
            return None if _same(filled, stored) else filled
        if self._comes_first(stored, converted):
            filled = fill(stored, converted, self.choices)
            if stored.get("status") == "unknown":
                filled = {**filled, "status": converted.resource["status"]}
            return None if _same(filled, stored) else stamped(filled, teller)
        if self._would_open(stored, converted):
            rest = {name: part for name, part in converted.resource.items() if name != "status"}
            converted = with_resource(converted, rest)
        if _is_listed_again(stored, converted):
            rest = {n: part for n, part in converted.resource.items() if n != "clinicalStatus"}
            converted = with_resource(converted, rest)
        before = stored if is_foreign else revived(stored)
        merged = merge(before, converted, self.day, self.choices, is_foreign=is_foreign)
        if stored["resourceType"] == "Encounter":
            merged = visits.adjusted(stored, merged, converted.resource, teller, first)
        elif stored["resourceType"] == "Appointment":
            merged = bookings.adjusted(stored, merged, converted.resource)
        elif stored["resourceType"] == "MedicationRequest":
            merged = mixtures.told_anew(stored, merged, converted, teller)
        if teller.time and not is_foreign:
            merged = withdrawing(before, merged, converted, teller)
        if _same(merged, stored) and not is_first_hand(stored, teller):
            return None
        return stamped(merged, teller) if teller.time else merged

    def _comes_first(self, stored: Resource, converted: Converted) -> bool:
        """Say whether others have told since of what the message tells as new, or preliminary.

        So an order began before they answered, supplied or changed it, though its message comes
        later. Of a cover that several institutions tell of the newer word holds.
        """
        teller = self.teller
        if stored["resourceType"] == "Coverage":
            return is_behind_another(stored, teller)
        if converted.action == "begin":
            return not told_at(stored, teller) and has_another_told_since(stored, teller)
        return is_overtaken(stored, converted.resource, teller)

    def _would_open(self, stored: Resource, converted: Converted) -> bool:
        """Say whether an order that is over, or held, would go on by what is older than that."""
        is_open = converted.resource.get("status") == "active"
        is_over = stored["resourceType"] in REQUESTS and stored.get("status") in _OVER
        return is_open and is_over and has_another_told_since(stored, self.teller)

    def _laid_late(self, stored: Resource, converted: Converted, known: Known) -> Resource | None:
        """Return what is stored with what an older message says of it, in its place."""
        if converted.action == "leave":
            return None
        self.notes.append(Note("older", stored["resourceType"], stored["id"]))
        said = _in_error(converted) if converted.action == "delete" else converted
        left = without_withdrawn(said, stored, self.teller)
        if stored["resourceType"] == "Patient" and patients.is_of_several(stored, self.teller):
            return self._of_several(stored, left, known)
        held = self._with_times(stored)
        filled = fill(held, left, self.choices)
        if stored["resourceType"] == "Patient":
            filled = since.renewed(held, filled, {}, self.teller.time)
        if not self._is_outranked(stored) or not is_told_by_another(stored, self.teller):
            late = Step(self.teller, self.day, left)
            filled = in_turn.laid(held, filled, late, known, self._lay)
        is_own = is_first_hand(stored, self.teller)
        if _same(filled, held) and not is_own:
            return None
        if is_own or 0 < told_at(stored, self.teller) < self.teller.time:
            filled = stamped(filled, self.teller)
        return since.stored(filled)

    def _with_times(self, stored: Resource) -> Resource:
        """Return a Patient with since when her institution tells what, else what is stored."""
        if stored["resourceType"] != "Patient" or patients.is_of_several(stored, self.teller):
            return stored
        return since.joined(stored, since.read(stored))

    def _lay(self, state: Resource | None, step: Step, first: int) -> Resource:
        """Return what held when a message had told of a resource, where `state` held before."""
        telling, converted = (
            replace(self, teller=step.teller, day=step.day, notes=[]),
            step.converted,
        )
        if state is None:
            return telling.told(converted)
        thing = Thing(converted, state["resourceType"], [], stored=state)
        thing.is_left = converted.mode == "create"
        visits.keep_class([thing], step.teller.event)
        bookings.keep_over([thing], step.teller.event)
        laid = None if thing.is_left else telling._laid_over(state, thing.converted, first)
        laid = state if laid is None else laid
        if state["resourceType"] == "Patient":
            return since.renewed(state, laid, converted.resource, step.teller.time)
        return laid

    def _of_several(
        self, stored: Resource, converted: Converted, known: Known | None = None
    ) -> Resource | None:
        """Return the Patient with what another institution than the first says of it.

        Where a message only names the Patient, as one with results does, and says nothing new,
        nobody remembers that. It is older than what is `known`, if that is given.
        """
        teller, lay = self.teller, None
        if teller.message_type != "ADT" and is_told_by_another(stored, teller):
            united = merge(stored, converted, self.day, self.choices, is_foreign=True)
            if _same(united, stored):
                return None
        if known is not None:
            lay = partial(self._laid_into, converted=converted, known=known)
        result = patients.told(stored, converted, teller, self.day, self.trust, lay)
        if teller.time and known is None:
            result = withdrawing(patients.own(stored, teller), result, converted, teller)
        if _same(result, stored):
            return None
        return result if known is not None else stamped(result, teller)

    def _laid_into(self, own: Resource, converted: Converted, known: Known) -> Resource:
        """Return what an institution says of a Patient with an older message in its place."""

        def lay(state: Resource | None, step: Step, first: int) -> Resource:
            held = state or {}
            laid = merge(held, step.converted, step.day)
            return since.renewed(held, laid, step.converted.resource, step.teller.time)

        late, filled = Step(self.teller, self.day, converted), fill(own, converted)
        filled = since.renewed(own, filled, {}, self.teller.time)
        return in_turn.laid(own, filled, late, known, lay)

    def _is_outranked(self, stored: Resource) -> bool:
        """Say whether somebody more trusted told the resource, and of such his word counts more.

        A visit that has the teller's own number is at his house: nobody knows better how it goes.
        """
        if stored["resourceType"] not in _RANKED:
            return False
        if stored["resourceType"] == "Encounter" and self.teller.facility:
            own = authority_system(self.teller.facility)
            systems = [str(one.get("system", "")) for one in each(stored, "identifier")]
            if any(one == own or one.startswith(f"{own}/") for one in systems):
                return False
        ranks = [self.trust(institution_of(stamp)) for stamp in stamps_of(stored)]
        return max(ranks, default=0) > self.trust(self.teller.system)


def revived(stored: Resource) -> Resource:
    """Return a relative or an insurance that was ended as it was before: it is listed again."""
    kind = stored["resourceType"]
    is_ended = (kind == "RelatedPerson" and stored.get("active") is False) or (
        kind == "Coverage" and stored.get("status") == "cancelled"
    )
    if not is_ended:
        return stored
    period = {name: value for name, value in stored.get("period", {}).items() if name != "end"}
    rest = {name: value for name, value in stored.items() if name not in ("period", "active")}
    return {**rest, "period": period} if period else rest


def _is_listed_again(stored: Resource, converted: Converted) -> bool:
    """Say whether DG1 lists a diagnosis whose course is known: it tells what a visit was for.

    It has no field of its course. What left the list (inactive) is in force again.
    """
    state = coded(stored.get("clinicalStatus", {}))
    return converted.segment == "DG1" and state in _COURSE


def _in_error(converted: Converted) -> Converted:
    """Return what a segment to delete says: that it was an error; all else stays as it was."""
    states = ("resourceType", "verificationStatus", "lifecycleStatus", "status", "meta")
    resource = {name: v for name, v in converted.resource.items() if name in states}
    return converted._replace(resource=resource, nulls=(), removes={})


def _same(one: Resource, other: Resource) -> bool:
    """Say whether two resources are equal, digit for digit."""
    return one is other or fhirjson.canonical(one) == fhirjson.canonical(other)
