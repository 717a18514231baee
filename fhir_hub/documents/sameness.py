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


class _Traits(NamedTuple):
    """What two resources are compared by, read once: numbers, codes of the concept, its words."""

    numbers: frozenset[tuple[str, str]]
    codes: frozenset[tuple[str, str]]
    systems: frozenset[str]
    words: frozenset[str]


def told_once(resources: Iterable[Resource], archive: Archive) -> list[Fact]:
    """Return the facts of resources, in their order; of each the resource that tells it best."""
    groups: list[list[Resource]] = []
    buckets: dict[Hashable, list[tuple[_Traits, list[Resource]]]] = {}
    for one in resources:
        traits = _traits(one)
        bucket = buckets.setdefault(_bucket(one, archive), [])
        found = (group for first, group in bucket if _is_same(traits, first, one, group[0]))
        same = next(found, None)
        if same is None:
            groups.append([one])
            bucket.append((traits, groups[-1]))
        else:
            same.append(one)
    return [_fact(group) for group in groups]


def same_concept(one: Any, other: Any) -> bool:
    """Say whether two CodeableConcepts mean the same."""
    return _same_concept(_concept(one), _concept(other))


def _same_concept(one: _Traits, other: _Traits) -> bool:
    for system in one.systems & other.systems:
        codes = [{c for named, c in of.codes if named == system} for of in (one, other)]
        if codes[0].isdisjoint(codes[1]):
            return False
    return not one.codes.isdisjoint(other.codes) or not one.words.isdisjoint(other.words)


def _traits(resource: Resource) -> _Traits:
    concept = next((resource[name] for name in _CONCEPTS if name in resource), None)
    found = ((one.get("system"), one.get("value")) for one in each(resource, "identifier"))
    numbers = frozenset((str(system), str(value)) for system, value in found if system and value)
    return _concept(concept)._replace(numbers=numbers)


def _concept(concept: Any) -> _Traits:
    codes = frozenset(codings(concept))
    said = [at(concept, "text"), *(coding.get("display") for coding in each(concept, "coding"))]
    words = frozenset("".join(text.split()).casefold() for text in said if isinstance(text, str))
    return _Traits(frozenset(), codes, frozenset(system for system, _ in codes), words - {""})


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


def _is_same(one: _Traits, other: _Traits, first: Resource, second: Resource) -> bool:
    if not one.numbers.isdisjoint(other.numbers):
        return True
    compare = _COMPARED.get(first["resourceType"])
    return compare is not None and _same_concept(one, other) and compare(first, second)


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
