"""`:missing`: whether a resource says anything under a parameter.

Spec: https://hl7.org/fhir/R4/search.html#modifiers
"""

from collections.abc import Iterable

from fhir_hub.errors import InvalidResource
from fhir_hub.search.kinds import composite, reference
from fhir_hub.search.parameters import Parameter
from fhir_hub.search.plan import Has, Not, Plan, any_of


def missing(parameter: Parameter, text: str) -> Plan:
    """Return what `:missing` asks; raises `InvalidResource` but for true and false."""
    if text not in ("true", "false"):
        raise InvalidResource(":missing is true or false")
    plans: Iterable[Plan]
    if parameter.kind == "composite":
        kind = parameter.pairs[0].parts[0].kind
        plans = (Has(composite.part_name(i, 0), kind) for i in parameter.indexes)  # type: ignore[arg-type]  # no composite in a composite
    else:
        tests = reference.of_types(parameter.targets) if parameter.is_restricted else ()
        plans = (Has(index, parameter.kind, tests) for index in parameter.indexes)
    plan = any_of(plans)
    return Not(plan) if text == "true" else plan
