"""The same fact from two institutions, told once.

Two resources tell the same where a reader would say so: the same substance, the same illness, the
same vaccine on the same day, the same test of the same moment with the same value. A prescription
is the same by its number alone: two of one drug are a finding, no copy. Concepts are the same if
they share a coding and do not contradict each other in a system that both use.

Spec: DOMAIN 0.12, 2.8; https://hl7.org/fhir/R4/datatypes.html#CodeableConcept
"""

from collections.abc import Callable, Hashable, Iterable
from typing import Any, NamedTuple

from fhir_hub.documents.archive import Archive
from fhir_hub.referral.reading import at, codings, each
from fhir_hub.repository.unit import Resource

_CONCEPTS = ("code", "vaccineCode", "medicationCodeableConcept")


class Fact(NamedTuple):
    """A resource, and the others that tell the same."""

    resource: Resource
    copies: tuple[Resource, ...] = ()

    def all(self) -> tuple[Resource, ...]:
        """Return every resource that tells it."""
        return (self.resource, *self.copies)


def told_once(resources: Iterable[Resource], archive: Archive) -> list[Fact]:
    """Return the facts of resources, in their order; of each the resource that tells it best."""
    groups: list[list[Resource]] = []
    buckets: dict[Hashable, list[list[Resource]]] = {}
    for one in resources:
        bucket = buckets.setdefault(_bucket(one, archive), [])
        same = next((group for group in bucket if _is_same(group[0], one)), None)
        if same is None:
            bucket.append([one])
            groups.append(bucket[-1])
        else:
            same.append(one)
    return [_fact(group) for group in groups]


def same_concept(one: Any, other: Any) -> bool:
    """Say whether two CodeableConcepts mean the same."""
    first, second = set(codings(one)), set(codings(other))
    for system in {name for name, _ in first} & {name for name, _ in second}:
        codes = [{code for named, code in found if named == system} for found in (first, second)]
        if codes[0].isdisjoint(codes[1]):
            return False
    if first & second:
        return True
    words = [_words(concept) for concept in (one, other)]
    return bool(words[0] & words[1])


def _words(concept: Any) -> set[str]:
    said = [at(concept, "text"), *(coding.get("display") for coding in each(concept, "coding"))]
    return {"".join(text.split()).casefold() for text in said if isinstance(text, str) and text}


def _bucket(resource: Resource, archive: Archive) -> tuple[str, int | None]:
    """Return what is alike in all that can tell the same."""
    resource_type = str(resource["resourceType"])
    moment = archive.moment(resource)
    if resource_type == "Observation":
        return resource_type, moment
    if resource_type in ("Immunization", "Procedure"):
        day = None if moment is None else (moment + _offset(archive)) // 86_400_000_000
        return resource_type, day
    return resource_type, None


def _offset(archive: Archive) -> int:
    offset = archive.zone.utcoffset(None)
    return 0 if offset is None else int(offset.total_seconds()) * 1_000_000


def _is_same(one: Resource, other: Resource) -> bool:
    if _numbers(one) & _numbers(other):
        return True
    compare = _COMPARED.get(one["resourceType"])
    return compare is not None and _concepts(one, other) and compare(one, other)


def _numbers(resource: Resource) -> set[tuple[str, str]]:
    found = ((one.get("system"), one.get("value")) for one in each(resource, "identifier"))
    return {(str(system), str(value)) for system, value in found if system and value}


def _concepts(one: Resource, other: Resource) -> bool:
    return any(same_concept(one.get(name), other.get(name)) for name in _CONCEPTS)


def _value(node: Resource) -> Any:
    found = {name: value for name, value in node.items() if name.startswith("value")}
    quantity = found.get("valueQuantity")
    if isinstance(quantity, dict):
        unit = quantity.get("code") or quantity.get("unit")
        return quantity.get("value"), unit, quantity.get("comparator")
    concept = found.get("valueCodeableConcept")
    return frozenset(codings(concept)) if concept is not None else str(sorted(found.items()))


def _same_value(one: Resource, other: Resource) -> bool:
    parts = [sorted(str(_value(part)) for part in each(of, "component")) for of in (one, other)]
    return bool(_value(one) == _value(other) and parts[0] == parts[1])


def _same_dose(one: Resource, other: Resource) -> bool:
    doses = []
    for resource in (one, other):
        named = "dosageInstruction" if "dosageInstruction" in resource else "dosage"
        doses.append(str([_dose(dosage) for dosage in each(resource, named)]))
    return doses[0] == doses[1]


def _dose(dosage: Resource) -> tuple[Any, ...]:
    repeat = at(dosage, "timing", "repeat") or {}
    rhythm = [repeat.get(name) for name in ("frequency", "period", "periodUnit")]
    return (at(dosage, "doseAndRate", 0, "doseQuantity", "value"), *rhythm)


def _same_state(one: Resource, other: Resource) -> bool:
    states = [{code for _, code in codings(of.get("clinicalStatus"))} for of in (one, other)]
    return states[0] == states[1] or not all(states)


_COMPARED: dict[str, Callable[[Resource, Resource], bool]] = {
    "AllergyIntolerance": _same_state,
    "Condition": _same_state,
    "Observation": _same_value,
    "MedicationStatement": _same_dose,
    "Immunization": lambda one, other: one.get("status") == other.get("status"),
    "Procedure": lambda one, other: True,
}


def _fact(group: list[Resource]) -> Fact:
    best = max(group, key=_weight)
    return Fact(best, tuple(one for one in group if one is not best))


def _weight(resource: Resource) -> tuple[int, int, str]:
    """Return how well a resource tells a fact: confirmed, with who did it, lately written."""
    is_confirmed = any(
        code == "confirmed" for _, code in codings(resource.get("verificationStatus"))
    )
    return (
        int(is_confirmed),
        int("performer" in resource),
        str(at(resource, "meta", "lastUpdated")),
    )
