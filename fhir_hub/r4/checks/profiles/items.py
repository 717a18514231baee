"""The values of one element in an object, with what JSON writes beside and around them.

Spec: https://hl7.org/fhir/R4/json.html
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from fhir_hub.r4.checks.issues import Issues, Scope
from fhir_hub.r4.snapshots import Part

Form = tuple[str, str]  # JSON name, FHIR type


class Item(NamedTuple):
    """One value: its JSON (None: only extended), the JSON of its `_name`, its FHIR type.

    `step` is its FHIRPath from the object that it is in.
    """

    value: Any
    more: Any
    type: str
    step: str


ItemCheck = Callable[[Item, Scope], Issues]
ObjectCheck = Callable[[dict[str, Any], Scope], Issues]


def forms(part: Part) -> list[Form]:
    """Return the JSON names that the element of a part may have in its type, with their types."""
    element = part.element
    codes = [each.code for each in element.types] if element and element.types else []
    codes = codes or [each["code"] for each in part.types] or ["BackboneElement"]
    if not part.is_choice:
        return [(part.name, codes[0])]
    return [(f"{part.name[:-3]}{code[:1].upper()}{code[1:]}", code) for code in codes]


def items_of(node: dict[str, Any], names: list[Form], step: str) -> list[Item]:
    """Return the values in an object that stand under one of `names`."""
    found: list[Item] = []
    for name, code in names:
        value, more = node.get(name), node.get("_" + name)
        if value is None and more is None:
            continue
        if type(value) is not list and type(more) is not list:
            found.append(Item(value, more, type_in(value, code), step))
            continue
        values = value if type(value) is list else []
        beside = more if type(more) is list else []
        for at in range(max(len(values), len(beside))):
            one = values[at] if at < len(values) else None
            other = beside[at] if at < len(beside) else None
            if one is not None or other is not None:
                found.append(Item(one, other, type_in(one, code), f"{step}[{at}]"))
    return found


def type_in(value: Any, code: str) -> str:
    """Return the type of a value: a resource says its own."""
    if type(value) is dict and type(value.get("resourceType")) is str:
        return str(value["resourceType"])
    return code
