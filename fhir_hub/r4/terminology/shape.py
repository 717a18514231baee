"""Is what a request brings with it in the shape that is read here: lists of rows, rows as objects?

A stored resource was checked when it was stored. One that comes with a question is not stored, and
may have elements of later versions; so only what would be walked through is looked at.

Spec: https://hl7.org/fhir/R4/terminology-service.html
"""

from fhir_hub.errors import InvalidResource
from fhir_hub.r4.terminology.concepts import Facts

_ROWS = frozenset(
    (
        "concept", "contained", "contains", "dependsOn", "designation", "element", "exclude",
        "extension", "filter", "group", "include", "product", "property", "target",
    )
)  # fmt: skip
# elements of the same name that are texts (R5 has `compose.property`)
_TEXTS = frozenset(
    (
        ("group", "target"),
        ("filter", "property"),
        ("dependsOn", "property"),
        ("product", "property"),
        ("compose", "property"),
    )
)


def require_shape(resource: Facts) -> Facts:
    """Return the resource; raises `InvalidResource` if it is not in the shape of its elements."""
    stack: list[tuple[str, Facts]] = [("", resource)]
    while stack:
        within, row = stack.pop()
        for name, value in row.items():
            if value is None:
                raise InvalidResource(f"{name[:60]} must not be null")
            is_row = name in _ROWS and (within, name) not in _TEXTS
            if is_row and not (
                isinstance(value, list) and all(isinstance(one, dict) for one in value)
            ):
                raise InvalidResource(f"{name} must be a list of objects")
            found = value if isinstance(value, list) else [value]
            stack += [(name, one) for one in found if isinstance(one, dict)]
    return resource
