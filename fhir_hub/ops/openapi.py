"""The OpenAPI description of the hub: the FHIR API from its route table, the rest from FastAPI.

Resource types are a path parameter, not 146 copies: the CapabilityStatement says what each can.

Spec: https://spec.openapis.org/oas/v3.1.0
"""

from typing import Any

from fhir_hub.rest.routes import ROUTES, Route

_PLACES = {
    "T": ("type", "A resource type, such as Patient"),
    "I": ("id", "A logical id"),
    "V": ("vid", "A version id"),
}
_BODIES = ("POST", "PUT", "PATCH")
_JSON = "application/fhir+json"


def fhir_paths(prefix: str) -> dict[str, Any]:
    """Return the paths of the FHIR API below `prefix`."""
    paths: dict[str, Any] = {}
    for route in ROUTES:
        parts = route.shape.split("/") if route.shape else []
        address = "/".join(
            [prefix, *(f"{{{_PLACES[p][0]}}}" if p in _PLACES else p for p in parts)]
        )
        paths.setdefault(address, {})[route.method.lower()] = _operation(route, parts)
    return paths


def _operation(route: Route, parts: list[str]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": "-".join((route.interaction, route.method.lower(), *_level(parts))),
        "summary": route.interaction,
        "tags": ["FHIR R4"],
        "parameters": [
            {
                "name": _PLACES[part][0],
                "in": "path",
                "required": True,
                "description": _PLACES[part][1],
                "schema": {"type": "string"},
            }
            for part in parts
            if part in _PLACES
        ],
        "responses": {
            "default": {
                "description": "A resource, a Bundle, or an OperationOutcome",
                "content": {_JSON: {"schema": {"type": "object"}}},
            }
        },
    }
    if route.method in _BODIES:
        kind = "application/x-www-form-urlencoded" if parts[-1:] == ["_search"] else _JSON
        operation["requestBody"] = {"content": {kind: {"schema": {"type": "object"}}}}
    return operation


def _level(parts: list[str]) -> list[str]:
    """Return what tells one level of an operation from the others: `type`, `type-id`, nothing."""
    if not parts or not parts[-1].startswith("$"):
        return []
    return [_PLACES[part][0] for part in parts if part in _PLACES]
