"""`:missing`: whether a resource says anything under a parameter.

Spec: https://hl7.org/fhir/R4/search.html#modifiers
"""

from fhir_hub.errors import InvalidResource
from fhir_hub.search.entry import Kind
from fhir_hub.search.kinds import composite, reference
from fhir_hub.search.parameter import Parameter
from fhir_hub.search.plan import And, Has, Not, Plan, any_of


def missing(parameter: Parameter, text: str) -> Plan:
    """Return what `:missing` asks; raises `InvalidResource` but for true and false."""
    if text not in ("true", "false"):
        raise InvalidResource(":missing is true or false")
    if parameter.kind == "composite":
        kinds: list[Kind] = [part.kind for part in parameter.pairs[0].parts]  # type: ignore[misc]  # no composite in a composite
        places = list(zip(parameter.indexes, parameter.elsewhere, strict=True))
        if text == "true":
            absent = [composite.no_pair(index, elsewhere, kinds) for index, elsewhere in places]
            return absent[0] if len(absent) == 1 else And(tuple(absent))
        return any_of(composite.any_pair(index, elsewhere, kinds) for index, elsewhere in places)
    tests = reference.of_types(parameter.targets) if parameter.is_restricted else ()
    plan = any_of(Has(index, parameter.kind, tests) for index in parameter.indexes)
    return Not(plan) if text == "true" else plan
