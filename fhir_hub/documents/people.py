"""One person, however many records were merged into hers.

A Patient that was merged away links to the one that replaced it (`replaced-by`). Whoever is asked
for by any of them is answered about the one that is left, from the records of them all.

Spec: https://hl7.org/fhir/R4/patient.html#links
"""

from typing import NamedTuple

from fhir_hub.errors import Gone, NotFound
from fhir_hub.referral.finding import plan_for, read
from fhir_hub.referral.reading import each, key_of
from fhir_hub.repository.unit import Resource
from fhir_hub.search.plan import Query
from fhir_hub.store.base import Key, Store

_MOST = 200  # records of one person; also how far a chain of merges is followed


class Person(NamedTuple):
    """Who a document is about: the Patient that is left, and the ids of all records, its first."""

    patient: Resource
    ids: tuple[str, ...]

    @property
    def key(self) -> Key:
        """Return which Patient is left."""
        return Key("Patient", self.ids[0])


async def person_of(store: Store, logical_id: str) -> Person:
    """Return whose record the Patient of this id is; raises `NotFound`, `Gone`."""
    patient = await _patient(store, logical_id)
    seen = {logical_id}
    while (after := _survivor(patient)) and after not in seen and len(seen) < _MOST:
        try:
            patient = await _patient(store, after)
        except (NotFound, Gone):
            break
        seen.add(after)
    left = str(patient["id"])
    return Person(patient, (left, *sorted(await _merged(store, left) - {left})))


async def _patient(store: Store, logical_id: str) -> Resource:
    stored = await store.read(Key("Patient", logical_id))
    if stored is None:
        raise NotFound("Patient has no resource with this id")
    if stored.is_deleted:
        raise Gone("this Patient was deleted")
    return read(stored)


def _survivor(patient: Resource) -> str:
    for link in each(patient, "link"):
        other = key_of(link.get("other"))
        if link.get("type") == "replaced-by" and other and other.resource_type == "Patient":
            return other.logical_id
    return ""


async def _merged(store: Store, left: str) -> set[str]:
    """Return the ids of the records that were merged into one, over any number of merges."""
    found, waiting = {left}, [left]
    while waiting and len(found) < _MOST:
        plan = plan_for("Patient", link=Key("Patient", waiting.pop()))
        page = await store.search(Query(("Patient",), plan, count=_MOST))
        for stored in page.matches:
            if stored.logical_id not in found and _survivor(read(stored)) in found:
                found.add(stored.logical_id)
                waiting.append(stored.logical_id)
    return found
