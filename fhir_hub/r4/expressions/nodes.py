"""Elements of a resource as FHIRPath sees them: a value of JSON, its type, and what is in it.

FHIRPath says `value` where JSON says `valueQuantity`, and an element of a primitive type has
extensions that JSON keeps beside it. A `Tree` knows both from the definitions; it makes a table
for each place in them (`HumanName`, `Patient.contact`) when an expression first comes there.

Spec: https://hl7.org/fhir/R4/fhirpath.html and json.html
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from fhir_hub.r4.definitions import Definitions, Element

_INLINE = ("BackboneElement", "Element")
_RESOURCE = ("Resource", "DomainResource")


class Wrong(Exception):
    """An expression cannot be evaluated on this resource: FHIRPath calls that an error."""


class Node:
    """One element. `value` is its JSON (None: only extended), `more` the JSON of its `_name`.

    `type` is its FHIR type; `inside` the place of the elements in it, empty for a primitive.
    """

    __slots__ = ("inside", "more", "type", "value")

    def __init__(self, value: Any, type_name: str, inside: str, more: Any = None) -> None:
        self.value, self.type, self.inside, self.more = value, type_name, inside, more


class _Form(NamedTuple):
    """A JSON key: the element's name in FHIRPath, its type, the place in it."""

    name: str
    type: str
    inside: str


class _Place:
    """The elements at one place: key → form, and name → keys."""

    def __init__(self) -> None:
        self.forms: dict[str, _Form] = {}
        self.keys: dict[str, list[str]] = {}

    def add(self, key: str, form: _Form) -> None:
        self.forms[key] = form
        self.keys.setdefault(form.name, []).append(key)


class Tree:
    """Walks resources by the definitions."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        self._places: dict[str, _Place] = {}
        self._families: dict[str, tuple[str, ...]] = {}

    def root(self, resource: dict[str, Any]) -> Node:
        """Return the node of a resource, whose type is known."""
        name = resource.get("resourceType", "")
        return Node(resource, name, name)

    def node(self, value: Any, type_name: str, element_path: str, more: Any = None) -> Node:
        """Return the node of a `value` that stands at `element_path`, in the type `type_name`."""
        if type(value) is dict and "resourceType" in value:
            return self.root(value)
        return Node(value, type_name, self._inside(type_name, element_path), more)

    def named(self, node: Node, name: str) -> list[Any]:
        """Return the elements called `name` in a node, in order; empty if it has none."""
        value = node.value
        if not node.inside:
            return self._of_primitive(node, name)
        if type(value) is not dict:
            raise Wrong("the resource that is referred to is not at hand")
        place = self._places.get(node.inside) or self._place(node.inside)
        found: list[Any] = []
        for key in place.keys.get(name, ()):
            if key in value:
                self._add(found, value[key], value.get("_" + key), place.forms[key])
            elif "_" + key in value:
                self._add(found, None, value["_" + key], place.forms[key])
        return found

    def children(self, node: Node) -> list[Any]:
        """Return every element in a node."""
        found: list[Any] = []
        if not node.inside:
            return [
                child for name in ("id", "extension") for child in self._of_primitive(node, name)
            ]
        if type(node.value) is not dict:
            raise Wrong("the resource that is referred to is not at hand")
        place = self._places.get(node.inside) or self._place(node.inside)
        for key, item in node.value.items():
            plain = key.removeprefix("_")
            form = place.forms.get(plain)
            if form is None or (plain != key and plain in node.value):
                continue
            if plain == key:
                self._add(found, item, node.value.get("_" + key), form)
            else:
                self._add(found, None, item, form)
        return found

    def family(self, type_name: str) -> tuple[str, ...]:
        """Return a FHIR type and the types that it is derived from, nearest first."""
        found = self._families.get(type_name)
        if found is None:
            names = [type_name]
            while (structure := self._definitions.structure(names[-1])) and structure.base:
                names.append(structure.base)
            found = self._families[type_name] = tuple(names)
        return found

    def is_type(self, name: str) -> bool:
        """Return whether FHIR has a type of that name."""
        return self._definitions.is_type(name)

    def _of_primitive(self, node: Node, name: str) -> list[Any]:
        more = node.more
        if type(more) is not dict or name not in more or name not in ("id", "extension"):
            return []
        found: list[Any] = []
        place = self._places.get("Element") or self._place("Element")
        self._add(found, more[name], None, place.forms[name])
        return found

    def _add(self, found: list[Any], value: Any, more: Any, form: _Form) -> None:
        if type(value) is list or type(more) is list:
            found += self._listed(value, more, form)
        elif type(value) is dict and "resourceType" in value:
            found.append(self.root(value))
        else:
            found.append(Node(value, form.type, form.inside, more))

    def _listed(self, values: Any, more: Any, form: _Form) -> Iterator[Node]:
        values = values if type(values) is list else ()
        beside: Sequence[Any] = more if type(more) is list else ()
        for at in range(max(len(values), len(beside))):
            value = values[at] if at < len(values) else None
            extended = beside[at] if at < len(beside) else None
            if type(value) is dict and "resourceType" in value:
                yield self.root(value)
            elif value is not None or extended is not None:
                yield Node(value, form.type, form.inside, extended)

    def _place(self, where: str) -> _Place:
        place = self._places[where] = _Place()
        structure = self._definitions.structure(where.partition(".")[0])
        for path, element in (structure.elements if structure else {}).items():
            parent, _, name = path.rpartition(".")
            if parent != where:
                continue
            if not name.endswith("[x]"):
                type_name = _type_name(element)
                place.add(name, _Form(name, type_name, self._place_in(element, type_name)))
                continue
            for each in element.types:
                key = name[:-3] + each.code[0].upper() + each.code[1:]
                place.add(key, _Form(name[:-3], each.code, self._inside(each.code, path)))
        return place

    def _place_in(self, element: Element, type_name: str) -> str:
        if element.content_reference:
            return element.content_reference.removeprefix("#")
        return self._inside(type_name, element.path)

    def _inside(self, type_name: str, path: str) -> str:
        if type_name in _INLINE:
            return path
        kind = self._definitions.kind(type_name)
        if type_name in _RESOURCE or kind == "resource":
            return type_name
        return type_name if kind == "complex-type" else ""


def _type_name(element: Element) -> str:
    if element.content_reference or not element.types:
        return "BackboneElement"
    return element.types[0].code
