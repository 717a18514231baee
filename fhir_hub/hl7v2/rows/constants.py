"""What a constant of a map may hold: the elements of its type, lists where R4 has lists.

A constant is in every resource that its row makes, so a slip in it would have each message
refused. Whether something lacks is not asked: other rows may add to it.

Spec: DESIGN 2a; https://hl7.org/fhir/R4/elementdefinition.html
"""

from collections.abc import Iterator, Mapping
from typing import Any

from fhir_hub.hl7v2.rows.elements import element_of, inside
from fhir_hub.nearest import did_you_mean
from fhir_hub.r4.definitions import Definitions, Element, Structure

_NUMBERS = frozenset({"integer", "decimal", "positiveInt", "unsignedInt"})


def require_elements(definitions: Definitions, kind: str, value: object) -> None:
    """Raise `ValueError` for what a constant of that FHIR type has and R4 does not know there."""
    for one in value if isinstance(value, list) else [value]:
        structure = definitions.structure(kind)
        if isinstance(one, Mapping) and structure is not None and structure.kind != "logical":
            for problem in _wrong(definitions, structure, kind, one):
                raise ValueError(problem)


def _wrong(
    definitions: Definitions, structure: Structure, prefix: str, value: Mapping[str, Any]
) -> Iterator[str]:
    for name, held in value.items():
        if name == "resourceType" or name.startswith("_"):
            continue
        element, kind = element_of(structure, prefix, name)
        if element is None or kind == "*":
            names = (one.removeprefix(f"{prefix}.") for one in structure.elements)
            there = [one for one in names if "." not in one]
            yield f"{prefix} has no element {name}{did_you_mean(name, there)}"
        elif isinstance(held, list) != element.is_list:
            yield f"{prefix}.{name} is {'a' if element.is_list else 'no'} list"
        else:
            place = f"{prefix}.{name}"
            for one in held if isinstance(held, list) else [held]:
                yield from _wrong_part(definitions, structure, (place, element, kind), one)


def _wrong_part(
    definitions: Definitions, structure: Structure, at: tuple[str, Element, str], value: object
) -> Iterator[str]:
    place, element, chosen = at
    kind = chosen or (element.types[0].code if element.types else "")
    if isinstance(value, Mapping):
        if "resourceType" in value:  # it becomes one, and the element refers to it
            kind = str(value["resourceType"])
            found = definitions.structure(kind)
            if found is None:
                yield f"R4 has no resource type {kind}"
            else:
                yield from _wrong(definitions, found, kind, value)
        else:
            yield from _wrong(definitions, *inside(definitions, structure, element, chosen), value)
    elif isinstance(value, bool) != (kind == "boolean") or (
        isinstance(value, str) == (kind in _NUMBERS or kind[:1].isupper())
    ):
        yield f"{place} cannot have such a value"
