"""FHIRPath Patch: operations that add, insert, delete, replace and move elements.

A path is walked over the JSON together with the definitions, so that it finds places (which
list, which number) and not only values, and `value` means `valueQuantity` where that is there.
Operations run in order, on a copy; if one does not fit, nothing is changed.

Spec: https://hl7.org/fhir/R4/fhirpatch.html
"""

import copy
from collections.abc import Mapping
from typing import Any, NamedTuple

from fhir_hub.errors import CannotApply, InvalidResource
from fhir_hub.r4.definitions import Definitions
from fhir_hub.r4.element_names import ElementNames
from fhir_hub.r4.fhirpath_text import CannotCompile, parse_expression
from fhir_hub.r4.places import Found, Places

Json = dict[str, Any]

TYPES = ("add", "insert", "delete", "replace", "move")
_PARTS = ("type", "path", "name", "value", "index", "source", "destination")
_MOST = 1000


class _Operation(NamedTuple):
    """One operation, and where it stands in the Parameters."""

    place: str
    parts: Mapping[str, Json]

    def text(self, name: str) -> str:
        """Return the text of a part; raises `InvalidResource` if there is none."""
        values = _values_of(self.parts.get(name, {}))
        if len(values) != 1 or not isinstance(values[0], str):
            raise InvalidResource(f"the operation needs {name}, a text", expression=self.place)
        return values[0]

    def number(self, name: str) -> int:
        """Return the whole number of a part; raises `InvalidResource`."""
        values = _values_of(self.parts.get(name, {}))
        if len(values) != 1 or type(values[0]) is not int or values[0] < 0:
            message = f"the operation needs {name}, a whole number from 0"
            raise InvalidResource(message, expression=self.place)
        return values[0]

    def refuse(self, reason: str) -> CannotApply:
        """Return the error that says why the operation does not fit."""
        return CannotApply(reason, expression=self.place)


def patched(resource: Json, patch: Json, definitions: Definitions) -> Json:
    """Return the resource with the operations of a Parameters resource applied.

    Raises `InvalidResource` for what is no FHIRPath Patch, `CannotApply` for an operation whose
    path does not find what it needs; the error names the operation.
    """
    patcher = _Patcher(copy.deepcopy(resource), definitions)
    for operation in _operations(patch):
        patcher.run(operation)
    _prune(patcher.resource)  # at the end: until then numbers in paths stay as the client has them
    return patcher.resource


def _prune(node: Any) -> None:
    """Take away objects and lists that an operation has left empty: FHIR has none."""
    items = list(node.items()) if isinstance(node, dict) else list(enumerate(node))
    for key, value in reversed(items):
        if isinstance(value, dict | list):
            _prune(value)
            if not value:
                del node[key]


def _operations(patch: Json) -> list[_Operation]:
    rows = patch.get("parameter", [])
    if not isinstance(rows, list) or len(rows) > _MOST:
        message = f"parameter is a list of at most {_MOST} operations"
        raise InvalidResource(message, expression="Parameters.parameter")
    found = []
    for index, row in enumerate(rows):
        place = f"Parameters.parameter[{index}]"
        parts = row.get("part") if isinstance(row, dict) else None
        if not isinstance(parts, list) or row.get("name") != "operation":
            raise InvalidResource("each parameter is an operation with parts", expression=place)
        named = {part["name"]: part for part in parts if _is_named(part)}
        if len(named) < len(parts):
            raise InvalidResource("each part of an operation has a name, once", expression=place)
        if unknown := sorted(named.keys() - _PARTS):
            message = f"an operation has the parts {', '.join(_PARTS)}, not {unknown[0][:60]!r}"
            raise InvalidResource(message, expression=place)
        found.append(_Operation(place, named))
    return found


def _is_named(part: Any) -> bool:
    return isinstance(part, dict) and isinstance(part.get("name"), str)


def _values_of(part: Json) -> list[Any]:
    return [value for key, value in part.items() if key.startswith("value")]


class _Patcher:
    """Applies operations to one resource, in place."""

    def __init__(self, resource: Json, definitions: Definitions) -> None:
        self.resource = resource
        self._names = ElementNames(definitions)
        self._places = Places(resource, self._names)

    def run(self, operation: _Operation) -> None:
        """Apply one operation."""
        kind = operation.text("type")
        if kind not in TYPES:
            message = f"the type of an operation is one of {', '.join(TYPES)}"
            raise InvalidResource(message, expression=operation.place)
        getattr(self, f"_{kind}")(operation)

    def _add(self, operation: _Operation) -> None:
        target = self._one(operation)
        name = operation.text("name")
        if not isinstance(target.value, dict) or not target.inside:
            raise operation.refuse("the path of an add must lead to an object")
        element = self._names.element(target.inside, name)
        if element is None:
            raise operation.refuse("the object has no such element")
        keys = self._names.keys(target.inside, name)
        # an empty object or list is nothing in FHIR
        there = [key for key in keys if target.value.get(key) not in (None, {}, [])]
        if there and not element.is_list:
            raise operation.refuse("the element is there already: replace it")
        key, value, more = self._given(operation, target.inside, name)
        if element.is_list:
            _insert(target.value, key, len(target.value.get(key, [])), value, more)
        else:
            _set(target.value, key, value, more)

    def _insert(self, operation: _Operation) -> None:
        owner, name = self._list(operation)
        index = operation.number("index")
        if index > len(owner.value.get(name, [])):
            raise operation.refuse("the index is beyond the end of the list")
        key, value, more = self._given(operation, owner.inside, name)
        _insert(owner.value, key, index, value, more)

    def _delete(self, operation: _Operation) -> None:
        found = self._found(operation)
        if len(found) > 1:
            raise operation.refuse("the path of a delete must lead to one element")
        if found:
            self._remove(found[0], operation)

    def _remove(self, target: Found, operation: _Operation) -> None:
        if target.owner is None:
            raise operation.refuse("the resource itself cannot be deleted")
        if target.number is None:
            target.owner.pop(target.key, None)
            target.owner.pop(f"_{target.key}", None)
            return
        for key in (target.key, f"_{target.key}"):
            if key in target.owner:
                del target.owner[key][target.number]
                if not any(value is not None for value in target.owner[key]):
                    del target.owner[key]

    def _replace(self, operation: _Operation) -> None:
        target = self._one(operation)
        if target.owner is None:
            raise operation.refuse("the resource itself cannot be replaced")
        key, value, more = self._given(operation, target.where, target.name)
        if target.number is None:
            self._remove(target, operation)
            _set(target.owner, key, value, more)
        else:
            _put(target.owner, key, target.number, value, more)

    def _move(self, operation: _Operation) -> None:
        owner, name = self._list(operation)
        source, destination = operation.number("source"), operation.number("destination")
        size = len(owner.value.get(name, []))
        if source >= size or destination >= size:
            raise operation.refuse("source and destination are numbers of the list")
        for key in (name, f"_{name}"):
            if key in owner.value:
                owner.value[key].insert(destination, owner.value[key].pop(source))

    def _found(self, operation: _Operation, path: str = "") -> list[Found]:
        try:
            return self._places.find(parse_expression(path or operation.text("path")))
        except CannotCompile as error:
            message = f"the path is not FHIRPath that a patch may use: {error}"
            raise InvalidResource(message, expression=operation.place) from None

    def _one(self, operation: _Operation) -> Found:
        found = self._found(operation)
        if len(found) != 1:
            raise operation.refuse(f"the path leads to {len(found)} elements, not to one")
        return found[0]

    def _list(self, operation: _Operation) -> tuple[Found, str]:
        """Return the object that holds the list of the path, and the list's name."""
        before, dot, name = operation.text("path").rpartition(".")
        owners = self._found(operation, before) if dot else []
        if len(owners) != 1 or not isinstance(owners[0].value, dict):
            raise operation.refuse("the path must lead to the list of one object")
        element = self._names.element(owners[0].inside, name)
        if element is None or not element.is_list:
            raise operation.refuse("the path must lead to a list")
        return owners[0], name

    def _given(self, operation: _Operation, where: str, name: str) -> tuple[str, Any, Any]:
        """Return the JSON key for the value of an operation, the value, its id and extensions."""
        part = operation.parts.get("value")
        if part is None:
            raise InvalidResource("the operation needs a value", expression=operation.place)
        return self._content(part, where, name, operation)

    def _content(
        self, part: Json, where: str, name: str, operation: _Operation
    ) -> tuple[str, Any, Any]:
        keys = self._names.keys(where, name)
        if not keys:
            raise operation.refuse("there is no such element to give a value to")
        given = [key.removeprefix("_") for key in part if key.lstrip("_").startswith("value")]
        if "resource" in part:
            return keys[0], part["resource"], None
        if given:
            suffix = given[0].removeprefix("value")
            key = f"{name}{suffix}" if len(keys) > 1 or keys[0] != name else name
            if key not in keys:
                raise operation.refuse("the element takes no value of this type")
            return key, part.get(given[0]), part.get(f"_{given[0]}")
        if not isinstance(part.get("part"), list):
            raise InvalidResource("a value has a value[x] or parts", expression=operation.place)
        return keys[0], self._object(part["part"], where, keys[0], operation), None

    def _object(self, parts: list[Any], where: str, key: str, operation: _Operation) -> Json:
        """Return the object that parts describe: each part is an element by its name."""
        named = self._names.of_key(where, key)
        inside = self._names.inside(named.element, named.type) if named else ""
        made: Json = {}
        for part in parts:
            if not _is_named(part) or not inside:
                raise InvalidResource("each part has a name", expression=operation.place)
            key, value, more = self._content(part, inside, part["name"], operation)
            element = self._names.element(inside, part["name"])
            if element is not None and element.is_list:
                _insert(made, key, len(made.get(key, [])), value, more)
            else:
                _set(made, key, value, more)
        return made


def _set(owner: Json, key: str, value: Any, more: Any) -> None:
    for name, given in ((key, value), (f"_{key}", more)):
        if given is not None:
            owner[name] = given


def _insert(owner: Json, key: str, index: int, value: Any, more: Any) -> None:
    size = max(len(owner.get(key, [])), len(owner.get(f"_{key}", [])))
    for name, given in ((key, value), (f"_{key}", more)):
        if name in owner or given is not None:
            listed = owner.setdefault(name, [None] * size)
            listed.insert(index, given)


def _put(owner: Json, key: str, index: int, value: Any, more: Any) -> None:
    size = max(len(owner.get(key, [])), len(owner.get(f"_{key}", [])))
    for name, given in ((key, value), (f"_{key}", more)):
        if name in owner or given is not None:
            owner.setdefault(name, [None] * size)[index] = given
