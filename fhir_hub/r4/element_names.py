"""From the keys of JSON to the elements of the definitions, and back.

FHIRPath says `value` where JSON says `valueQuantity`, and the definitions say `value[x]`. A
place in the definitions is a text: a type (`HumanName`) or a path in one (`Patient.contact`).

Spec: https://hl7.org/fhir/R4/json.html and formats.html#choice
"""

from collections.abc import Mapping
from typing import NamedTuple

from fhir_hub.r4.definitions import Definitions, Element


class Named(NamedTuple):
    """An element as FHIRPath names it, its definition, and the type that a key says it has."""

    name: str
    element: Element
    type: str


class ElementNames:
    """Finds elements by key and by name."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions

    def of_key(self, where: str, key: str) -> Named | None:
        """Return the element that the JSON key stands for at a place, None if there is none.

        `valueString` is `value`, of the type string.
        """
        elements = self._elements(where)
        if element := elements.get(f"{where}.{key}"):
            return Named(
                key, element, element.types[0].code if element.types else "BackboneElement"
            )
        for place, letter in enumerate(key):
            if letter.isupper() and (choice := elements.get(f"{where}.{key[:place]}[x]")):
                for one in choice.types:
                    if key[place:] == _capital(one.code):
                        return Named(key[:place], choice, one.code)
        return None

    def element(self, where: str, name: str) -> Element | None:
        """Return the element that FHIRPath names so at a place, a choice too."""
        elements = self._elements(where)
        return elements.get(f"{where}.{name}") or elements.get(f"{where}.{name}[x]")

    def keys(self, where: str, name: str) -> list[str]:
        """Return the JSON keys that an element may stand under; none if there is no element."""
        element = self.element(where, name)
        if element is None:
            return []
        if not element.path.endswith("[x]"):
            return [name]
        return [f"{name}{_capital(one.code)}" for one in element.types]

    def inside(self, element: Element, type_name: str) -> str:
        """Return the place where the elements in a value are defined; empty for a primitive."""
        if element.content_reference:
            return element.content_reference.removeprefix("#")
        if type_name in ("BackboneElement", "Element"):
            return element.path
        return type_name if self._definitions.kind(type_name) == "complex-type" else ""

    def _elements(self, where: str) -> Mapping[str, Element]:
        structure = self._definitions.structure(where.partition(".")[0])
        return structure.elements if structure else {}


def _capital(code: str) -> str:
    return code[0].upper() + code[1:]
