"""Typed models of resources: the door of `fhir.resources`, which is optional.

The hub works on JSON. A client program may like classes, and a test likes a second opinion: an
implementation that shares no line with ours. It knows R4B, which has most types of R4 unchanged.

Spec: https://hl7.org/fhir/R4B/
"""

from typing import Any

from fhir_hub.errors import InvalidResource, Issue, NotSupported


def as_model(resource: dict[str, Any]) -> Any:
    """Return `resource` as an instance of its class in `fhir.resources.R4B`.

    Raises `InvalidResource` if the class refuses it, `NotSupported` if R4B has no such type, and
    `ImportError` if the package is not installed. Models do not keep a decimal's digits: they are
    for reading, not for writing back.
    """
    try:
        from fhir.resources.R4B import get_fhir_model_class
    except ImportError:
        raise ImportError("typed models need more: pip install 'fhir-hub[typed]'") from None
    resource_type = resource.get("resourceType", "")
    try:
        model = get_fhir_model_class(resource_type)
    except (KeyError, TypeError, ValueError):
        raise NotSupported("fhir.resources.R4B has no class of this resource type") from None
    try:
        return model.model_validate(resource)
    except ValueError as error:  # pydantic's errors are ValueErrors
        issues = _issues(resource_type, error)
        raise InvalidResource("fhir.resources refuses the resource", *issues) from None
    except (AttributeError, KeyError, TypeError):  # of a contained resource of no type, say
        raise InvalidResource("fhir.resources cannot read the resource") from None


def _issues(resource_type: str, error: ValueError) -> list[Issue]:
    """Return the places that pydantic names, without the values that it shows."""
    details: Any = getattr(error, "errors", list)()
    return [
        Issue("invalid", f"refused: {detail['type']}", _path(resource_type, detail["loc"]))
        for detail in details
    ]


def _path(resource_type: str, location: tuple[str | int, ...]) -> str:
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return resource_type + "".join(steps)
