"""What changed from one version of a resource to another, as a FHIRPath Patch.

Applied to the first version, the operations give the second. Elements of a list are compared as
a whole; operations on one list come from its end, so that the numbers in their paths stay right.

Spec: https://hl7.org/fhir/R4/fhirpatch.html
"""

from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher
from typing import Any, NamedTuple

from fhir_hub import fhirjson
from fhir_hub.r4.definitions import Definitions, Element
from fhir_hub.r4.element_names import ElementNames

Row = dict[str, Any]
Json = Mapping[str, Any]

_PARAMETER = "Parameters.parameter.value[x]"
_OWN = ("versionId", "lastUpdated")


class _Item(NamedTuple):
    """One value of an element: its JSON and, of a primitive, its id and extensions."""

    value: Any
    more: Any
    type: str

    def same(self) -> bytes:
        """Return what two equal items share, digit for digit."""
        return fhirjson.canonical([self.type, self.value, self.more])


def difference(before: Json, after: Json, definitions: Definitions) -> list[Row]:
    """Return the operations that make `before` into `after`: rows of a Parameters resource.

    The logical id and what a server sets in `meta` do not count. Both are valid resources of
    one type.
    """
    name = before["resourceType"]
    old, new = _plain(before), _plain(after)
    if not ("meta" in old and "meta" in new):  # of one side, what the server set is no news
        old, new = ({k: v for k, v in one.items() if k != "meta" or v} for one in (old, new))
    return list(_Differ(definitions).objects(name, name, old, new))


def _plain(resource: Json) -> Row:
    """Return the resource without what the server sets; what is left of `meta` may be empty."""
    kept = {k: v for k, v in resource.items() if k not in ("resourceType", "id")}
    if "meta" in kept:
        kept["meta"] = {k: v for k, v in kept["meta"].items() if k not in _OWN}
    return kept


class _Differ:
    """Compares by the definitions: they tell a list from a value, and a value's type."""

    def __init__(self, definitions: Definitions) -> None:
        self._names = ElementNames(definitions)
        structure = definitions.structure("Parameters")
        assert structure is not None
        self._open = {one.code for one in structure.elements[_PARAMETER].types}

    def objects(self, path: str, where: str, before: Json, after: Json) -> Iterator[Row]:
        """Yield the operations between two objects at `path`, whose definition is `where`."""
        old, new = self._items(where, before), self._items(where, after)
        for name in dict.fromkeys((*old, *new)):
            element = self._element(where, name)
            was, becomes = old.get(name, []), new.get(name, [])
            if [item.same() for item in was] == [item.same() for item in becomes]:
                continue
            yield from self._element_changes(path, name, element, was, becomes)

    def _element_changes(
        self, path: str, name: str, element: Element, was: list[_Item], becomes: list[_Item]
    ) -> Iterator[Row]:
        place = f"{path}.{name}"
        if not element.is_list and was and becomes:
            yield from self._replaced(place, element, was[0], becomes[0])
            return
        if not element.is_list and was:
            yield _row("delete", place)
            return
        if not was:
            for item in becomes:
                yield _row("add", path, name=name, value=self._value(item, element))
            return
        yield from self._lists(path, name, element, was, becomes)

    def _lists(
        self, path: str, name: str, element: Element, was: list[_Item], becomes: list[_Item]
    ) -> Iterator[Row]:
        place = f"{path}.{name}"
        before, after = [i.same() for i in was], [i.same() for i in becomes]
        steps = SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
        for kind, first, last, start, end in reversed(steps):
            if kind == "equal":
                continue
            both = min(last - first, end - start)
            for index in reversed(range(first + both, last)):
                yield _row("delete", f"{place}[{index}]")
            for offset in range(both, end - start):
                value = self._value(becomes[start + offset], element)
                yield _row("insert", place, index=first + offset, value=value)
            for offset in range(both):
                index = first + offset
                yield from self._replaced(
                    f"{place}[{index}]", element, was[index], becomes[start + offset]
                )

    def _replaced(self, place: str, element: Element, was: _Item, becomes: _Item) -> Iterator[Row]:
        inside = self._names.inside(element, becomes.type)
        if was.type == becomes.type and inside and isinstance(was.value, dict):
            yield from self.objects(place, inside, was.value, becomes.value)
        else:
            yield _row("replace", place, value=self._value(becomes, element))

    def _items(self, where: str, value: Json) -> dict[str, list[_Item]]:
        """Return the elements of an object: name (of a choice without its type) → values."""
        found: dict[str, list[_Item]] = {}
        for key in dict.fromkeys(name.removeprefix("_") for name in value):
            named = self._names.of_key(where, key)
            assert named is not None, f"{where} has no such element"
            name, _, type_name = named
            plain, more = value.get(key), value.get(f"_{key}")
            if isinstance(plain, list) or isinstance(more, list):
                size = max(len(plain or ()), len(more or ()))
                pairs = zip(_filled(plain, size), _filled(more, size), strict=True)
                found[name] = [_Item(one, extra, type_name) for one, extra in pairs]
            else:
                found[name] = [_Item(plain, more, type_name)]
        return found

    def _element(self, where: str, name: str) -> Element:
        element = self._names.element(where, name)
        assert element is not None, f"{where}.{name}"
        return element

    def _value(self, item: _Item, element: Element) -> Row:
        """Return the part `value` of an operation."""
        return {"name": "value"} | self._content(item, element)

    def _content(self, item: _Item, element: Element) -> Row:
        if isinstance(item.value, dict) and "resourceType" in item.value:
            return {"resource": item.value}
        if item.type in self._open:
            key = f"value{item.type[0].upper()}{item.type[1:]}"
            both = {key: item.value, f"_{key}": item.more}
            return {name: value for name, value in both.items() if value is not None}
        if not isinstance(item.value, dict):  # xhtml, which no parameter can carry as such
            return {"valueString": item.value}
        where = self._names.inside(element, item.type)
        parts = [
            {"name": name} | self._content(inner, self._element(where, name))
            for name, items in self._items(where, item.value).items()
            for inner in items
        ]
        return {"part": parts}


def _filled(values: Any, size: int) -> list[Any]:
    listed = values if isinstance(values, list) else []
    return [*listed, *[None] * (size - len(listed))]


def _row(kind: str, path: str, *, name: str = "", index: int = -1, value: Row | None = None) -> Row:
    parts: list[Row] = [
        {"name": "type", "valueCode": kind},
        {"name": "path", "valueString": path},
    ]
    if name:
        parts.append({"name": "name", "valueString": name})
    if index >= 0:
        parts.append({"name": "index", "valueInteger": index})
    if value is not None:
        parts.append(value)
    return {"name": "operation", "part": parts}
