"""The reference that a chain goes through: to which types, and in which forms.

Spec: https://hl7.org/fhir/R4/search.html#chaining
"""

from dataclasses import replace

from fhir_hub.errors import InvalidParameter, InvalidResource, UnknownParameter
from fhir_hub.search.advice import no_type
from fhir_hub.search.kinds import reference
from fhir_hub.search.parameter import Parameter


def typed(parameter: Parameter, modifier: str, types: frozenset[str]) -> Parameter:
    """Return the reference that a chain goes through, narrowed to the type after the colon.

    Raises `UnknownParameter` for what is no reference or no type, `InvalidParameter`.
    """
    code = parameter.code
    if parameter.kind != "reference":
        raise UnknownParameter(f"{code} is no reference: nothing can follow it after a point")
    if not modifier:
        return parameter
    if modifier not in types:
        raise UnknownParameter(no_type(code, modifier, types))
    try:
        return narrowed(parameter, modifier)
    except InvalidResource as error:
        raise InvalidParameter(f"{code}: {error}") from None


def forms_of(parameter: Parameter) -> list[bool]:
    """Return how a parameter refers: by address (False), by canonical url (True), or both ways."""
    known = {path.type in reference.CANONICAL for path in parameter.paths}
    return sorted(known) or [False]


def narrowed(parameter: Parameter, resource_type: str) -> Parameter:
    """Return a reference to that type alone; raises `InvalidResource` if it cannot be one."""
    if resource_type not in parameter.targets:
        raise InvalidResource(f"does not refer to {resource_type}")
    return replace(parameter, targets=(resource_type,), is_restricted=True)
