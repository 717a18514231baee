"""What a prescription is made of: a message that tells one in force anew tells all components.

Who orders or changes a mixture sends it whole (RXE or RXO with its RXC). Where the same sender
tells drug and dosage again without RXC it is no mixture any more. A stop, a hold or a supply says
nothing of what is in it.

Spec: HL7v2 chapter 4A, RXC; chapter 2, 2.10.4
"""

from collections.abc import Iterable

from fhir_hub.hl7v2.calls.medicines import COMPONENT
from fhir_hub.hl7v2.conversion.convert import Converted
from fhir_hub.hl7v2.meaning.teller import Teller, stamps_of
from fhir_hub.hl7v2.storing.merge import Resource


def told_anew(stored: Resource, merged: Resource, converted: Converted, teller: Teller) -> Resource:
    """Return the prescription without components of which a newer message has none."""
    is_over = _is_own(stored, teller) and "status" not in converted.unsaid
    return _without(merged) if is_over and _is_whole(converted.resource) else merged


def _is_own(stored: Resource, teller: Teller) -> bool:
    return stored["resourceType"] == "MedicationRequest" and all(
        map(teller.is_told, stamps_of(stored))
    )


def _is_whole(resource: Resource) -> bool:
    """Say whether drug and dosage of a prescription in force are told, and no component."""
    return (
        resource.get("status") == "active"
        and "dosageInstruction" in resource
        and "coding" in resource.get("medicationCodeableConcept", ())
        and not any(map(_is_component, resource.get("extension", ())))
    )


def _is_component(extension: Resource) -> bool:
    return bool(extension.get("url") == COMPONENT)


def _without(resource: Resource) -> Resource:
    told: Iterable[Resource] = resource.get("extension", ())
    kept = [one for one in told if not _is_component(one)]
    rest = {name: part for name, part in resource.items() if name != "extension"}
    return {**rest, "extension": kept} if kept else rest
