"""Compartments as plans: what belongs to a patient, an encounter, a practitioner, a device.

A compartment is no folder: a resource is in it because one of its references says so. So the
members of a type are a plan like any other search.

Spec: https://hl7.org/fhir/R4/compartmentdefinition.html
"""

from collections.abc import Iterable

from fhir_hub.search.parameters import Parameters
from fhir_hub.search.plan import And, Has, Is, Or, Plan

_ITSELF = "{def}"


def compartment_plan(
    parameters: Parameters, compartment: str, logical_id: str, resource_type: str
) -> Plan:
    """Return what finds the resources of a type in the compartment of one resource.

    The resource itself is in its own compartment. A type that cannot be in it finds nothing.
    """
    address = Is(f"{compartment}/{logical_id}")
    plans: dict[Plan, None] = {}
    if resource_type == compartment:
        plans[Has("_id", "token", (Is(logical_id),))] = None
    known = parameters.of(resource_type)
    for code in parameters.definitions.compartment(compartment).get(resource_type, ()):
        if code != _ITSELF and code in known:
            for index in known[code].indexes:
                plans[Has(index, "reference", (address,))] = None
    found = tuple(plans)
    return found[0] if len(found) == 1 else Or(found)


def whole_plan(
    parameters: Parameters, compartment: str, logical_id: str, members: Iterable[str]
) -> Plan:
    """Return what finds the resources of all of the types `members` in the compartment."""
    plans: dict[Plan, list[Is]] = {}
    for one in members:
        plan = compartment_plan(parameters, compartment, logical_id, one)
        plans.setdefault(plan, []).append(Is(one))
    return Or(
        tuple(And((Has("_type", "token", tuple(types)), plan)) for plan, types in plans.items())
    )
