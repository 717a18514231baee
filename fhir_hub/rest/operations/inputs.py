"""What an operation is given: the parameters of a query, or a Parameters resource in the body.

Both say the same: names with values, some of them several times. A name that the operation does
not know is refused, because an ignored `_since` would answer too much.

Spec: https://hl7.org/fhir/R4/operations.html#executing
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from fhir_hub.errors import InvalidParameter, InvalidResource, NotFound, UnknownParameter
from fhir_hub.nearest import did_you_mean
from fhir_hub.rest.links import CURSOR
from fhir_hub.rest.message import FhirRequest, Pairs
from fhir_hub.rest.service import Service


@dataclass(frozen=True, slots=True)
class Inputs:
    """The parameters of an operation, in the order given: names with values or resources."""

    operation: str
    pairs: tuple[tuple[str, Any], ...]

    def values(self, name: str) -> list[Any]:
        """Return all values of `name`."""
        return [value for given, value in self.pairs if given == name]

    def value(self, name: str) -> Any:
        """Return the value of `name`, None without one; raises `InvalidParameter` for several."""
        values = self.values(name)
        if len(values) > 1:
            raise InvalidParameter(f"{self.operation} takes {name} once")
        return values[0] if values else None

    def text(self, name: str) -> str:
        """Return the text of `name`, `""` without one; raises `InvalidParameter` for no text."""
        value = self.value(name)
        if value is None:
            return ""
        if not isinstance(value, str) or not value:
            raise InvalidParameter(f"{self.operation}: {name} must be a text")
        return value

    def flag(self, name: str) -> bool:
        """Return the boolean `name`, False without one; raises `InvalidParameter`."""
        value = self.value(name)
        if value is None or isinstance(value, bool):
            return bool(value)
        if value not in ("true", "false"):
            raise InvalidParameter(f"{self.operation}: {name} is true or false")
        return bool(value == "true")

    def number(self, name: str, default: int, most: int) -> int:
        """Return the whole number `name` from 1 to `most`; raises `InvalidParameter`."""
        value = self.value(name)
        if value is None:
            return default
        text = str(value)
        if isinstance(value, bool) or not (text.isascii() and text.isdigit() and len(text) < 10):
            raise InvalidParameter(f"{self.operation}: {name} must be a whole number from 1")
        if int(text) < 1:
            raise InvalidParameter(f"{self.operation}: {name} must be a whole number from 1")
        return min(int(text), most)

    def resource(self, name: str) -> dict[str, Any] | None:
        """Return the resource `name`, None without one; raises `InvalidParameter`."""
        value = self.value(name)
        if value is not None and not (isinstance(value, dict) and "resourceType" in value):
            raise InvalidParameter(f"{self.operation}: {name} must be a resource")
        return value

    def query(self) -> Pairs:
        """Return the pairs that are texts or numbers, as a query has them."""
        return tuple((name, str(value)) for name, value in self.pairs)


def read_inputs(
    request: FhirRequest, operation: str, known: Iterable[str], *, bare: str = ""
) -> Inputs:
    """Return the inputs of a request: of its query, and of the Parameters in its body.

    A body that is another resource is the parameter `bare`, if the operation has one. Raises
    `UnknownParameter` for a name that is not in `known` (of no `known`: any is taken),
    `InvalidResource`.
    """
    pairs: list[tuple[str, Any]] = list(request.query)
    if request.method == "POST" and (request.content or request.resource is not None):
        body = request.body()
        if body.get("resourceType") == "Parameters":
            pairs += _parameters(body)
        elif bare:
            pairs.append((bare, body))
        else:
            raise InvalidResource(f"{operation} takes a Parameters resource")
    allowed = tuple(known)
    for name, _ in pairs:
        if allowed and name not in allowed:
            shown = ", ".join(one for one in allowed if one != CURSOR) or "no parameters"
            near = did_you_mean(str(name), allowed)
            raise UnknownParameter(f"{operation} takes {shown}, not {str(name)[:60]!r}{near}")
    return Inputs(operation, tuple(pairs))


def _parameters(body: dict[str, Any]) -> list[tuple[str, Any]]:
    rows = body.get("parameter", [])
    if not isinstance(rows, list) or ("parameter" in body and not rows):
        raise InvalidResource(
            "parameter must be a list with something in it", expression="Parameters.parameter"
        )
    return [_pair(row, f"Parameters.parameter[{index}]") for index, row in enumerate(rows)]


def _pair(row: Any, place: str) -> tuple[str, Any]:
    name = row.get("name") if isinstance(row, dict) else None
    if not isinstance(name, str):
        raise InvalidResource("each parameter needs a name", expression=place)
    given = [key for key in row if key in ("resource", "part") or key.startswith("value")]
    if len(given) != 1:
        raise InvalidResource(
            "give each parameter one value, one resource, or parts", expression=place
        )
    return name, row[given[0]]


def returned(*rows: tuple[str, str, Any]) -> dict[str, Any]:
    """Return a Parameters resource of rows (name, `valueX` or `resource`, value)."""
    return {
        "resourceType": "Parameters",
        "parameter": [{"name": name, key: value} for name, key, value in rows],
    }


def only_on(request: FhirRequest, service: Service, *resource_types: str) -> str:
    """Return the resource type of the address; raises `NotFound` if it is none of these."""
    resource_type = service.known_type(request.path[0])
    if resource_type not in resource_types:
        where = " and ".join(resource_types)
        raise NotFound(f"{request.path[-1]} is an operation of {where}")
    return resource_type
