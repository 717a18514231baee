"""Snapshots: what a profile says of every element, made from its differential and its base.

A profile writes only what it changes. Here the changes are laid over the tree of the type, and a
derived profile's over a copy of that of its base; a branch of the tree is grown when a change
reaches into it. So a snapshot costs what a profile says, not what its type could say.

Spec: https://hl7.org/fhir/R4/profiling.html#snapshot and elementdefinition.html
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fhir_hub.r4.definitions import Definitions, Element

Json = dict[str, Any]
Find = Callable[[str], "Json | None"]

CANONICAL = "http://hl7.org/fhir/StructureDefinition/"
_INLINE = ("BackboneElement", "Element")
_DEEPEST = 20  # profiles of profiles; more is a circle


class UnknownProfile(LookupError):
    """No definition is known for the canonical that the text names."""


class BrokenProfile(ValueError):
    """A profile changes an element that its type has not, or is derived from itself."""


@dataclass(slots=True)
class Part:
    """One element in a snapshot; a slice of one is a part too.

    `where` is its place in the definitions, `element` its definition there. `facts` is what
    profiles say of it, as in an ElementDefinition, later ones over earlier ones; `constraints` are
    theirs, all of them. `children` and `slices` are by name; a child exists if a change reaches it.
    """

    name: str
    where: str
    element: Element | None
    min: int
    max: str
    types: list[Json]
    facts: Json = field(default_factory=dict)
    constraints: list[Json] = field(default_factory=list)
    children: dict[str, Part] = field(default_factory=dict)
    slices: dict[str, Part] = field(default_factory=dict)
    slice_name: str = ""

    @property
    def is_choice(self) -> bool:
        """Whether the element's JSON name tells its type."""
        return self.name.endswith("[x]")

    def value(self, kind: str) -> Any:
        """Return `fixed[x]`, `pattern[x]`, `minValue[x]` or `maxValue[x]`, None if not given."""
        for name, value in self.facts.items():
            if name.startswith(kind) and name[len(kind) : len(kind) + 1].isupper():
                return value
        return None


@dataclass(slots=True)
class Snapshot:
    """A profile: its canonical, the type that it is about, and the tree of its changes."""

    url: str
    type: str
    root: Part
    context: list[Json]
    definition: Json


class Snapshots:
    """Snapshots of the profiles that `find` finds, each made once."""

    def __init__(self, definitions: Definitions, find: Find) -> None:
        self._definitions, self._find = definitions, find
        self._made: dict[str, Snapshot] = {}

    def snapshot(self, canonical: str) -> Snapshot:
        """Return the snapshot of a profile; raises `UnknownProfile`, `BrokenProfile`."""
        return self._snapshot(canonical, _DEEPEST)

    def of_type(self, name: str) -> Part:
        """Return the root of a type without any change."""
        structure = self._definitions.structure(name)
        if structure is None:
            raise UnknownProfile(name)
        return Part(name, name, structure.elements[name], 0, "*", [{"code": name}])

    def type_of(self, canonical: str) -> str:
        """Return the name of the type that a canonical is about, empty if it is not known."""
        name = canonical.partition("|")[0].removeprefix(CANONICAL)
        if self._definitions.is_type(name):
            return name
        definition = self._find(canonical)
        found = definition.get("type", "") if definition else ""
        return found if isinstance(found, str) else ""

    def _snapshot(self, canonical: str, depth: int) -> Snapshot:
        made = self._made.get(canonical)
        if made is None:
            made = self._made[canonical] = self._make(canonical, depth)
        return made

    def _make(self, canonical: str, depth: int) -> Snapshot:
        if not depth:
            raise BrokenProfile(f"{canonical} is derived from itself")
        name = canonical.partition("|")[0].removeprefix(CANONICAL)
        if self._definitions.is_type(name):
            return Snapshot(canonical, name, self.of_type(name), [], {})
        definition = self._find(canonical)
        if definition is None or definition.get("resourceType") != "StructureDefinition":
            raise UnknownProfile(canonical)
        base = definition.get("baseDefinition", "")
        rows = definition.get("differential", {}).get("element")
        try:
            parent = self._snapshot(base, depth - 1)
        except UnknownProfile:
            rows = definition.get("snapshot", {}).get("element")
            if rows is None:
                raise
            parent = self._snapshot(CANONICAL + definition.get("type", ""), depth - 1)
        if rows is None:
            rows = definition.get("snapshot", {}).get("element", [])
        root = copy.deepcopy(parent.root)
        _Differential(self, root, canonical).apply(rows)
        context = definition.get("context", parent.context)
        return Snapshot(canonical, parent.type, root, context, definition)

    def child(self, part: Part, name: str) -> Part | None:
        """Return the part called `name` in `part`, grown if need be; None if there is none.

        `valueQuantity` is the slice of `value[x]` that has this type.
        """
        if name in part.children:
            return part.children[name]
        for where in self._places_in(part):
            structure = self._definitions.structure(where.partition(".")[0])
            elements = structure.elements if structure else {}
            if element := elements.get(f"{where}.{name}"):
                part.children[name] = _part(name, element)
                return part.children[name]
            if choice := self._choice(part, where, elements, name):
                return choice
        return None

    def _choice(
        self, part: Part, where: str, elements: Mapping[str, Element], name: str
    ) -> Part | None:
        for at, letter in enumerate(name):
            if not letter.isupper() or f"{where}.{name[:at]}[x]" not in elements:
                continue
            whole = self.child(part, f"{name[:at]}[x]")
            assert whole is not None
            found = whole.slices.get(name)
            if found is None:
                found = whole.slices[name] = sliced(whole, name)
            return found
        return None

    def _places_in(self, part: Part) -> list[str]:
        """Return the places in the definitions where the elements in `part` are."""
        element = part.element
        if element is not None and element.content_reference:
            return [element.content_reference.removeprefix("#")]
        if "." not in part.where:
            return [part.where]
        codes = [each["code"] for each in part.types]
        if len(codes) != 1:
            return ["Element"]
        return [part.where if codes[0] in _INLINE else codes[0]]


def sliced(whole: Part, name: str) -> Part:
    """Return a new slice of an element: all that the type says, nothing that the profile does."""
    types = copy.deepcopy(whole.types)
    if whole.is_choice and name.startswith(whole.name[:-3]):
        wanted = name[len(whole.name) - 3 :]
        types = [t for t in types if t["code"][:1].upper() + t["code"][1:] == wanted] or types
    most = "1" if whole.is_choice else whole.max
    return Part(whole.name, whole.where, whole.element, 0, most, types, slice_name=name)


def _part(name: str, element: Element) -> Part:
    types: list[Json] = []
    for each in element.types:
        row: Json = {"code": each.code}
        if each.targets:
            row["targetProfile"] = [_canonical(target) for target in each.targets]
        if each.profiles:
            row["profile"] = [_canonical(profile) for profile in each.profiles]
        types.append(row)
    return Part(name, element.path, element, element.min, element.max, types)


def _canonical(name: str) -> str:
    return name if ":" in name else CANONICAL + name


class _Differential:
    """Lays the rows of one differential over a tree."""

    def __init__(self, snapshots: Snapshots, root: Part, canonical: str) -> None:
        self._snapshots, self._root, self._canonical = snapshots, root, canonical
        self._context: dict[str, str] = {}

    def apply(self, rows: list[Json]) -> None:
        for row in rows:
            if not isinstance(row, dict) or not isinstance(row.get("path"), str):
                raise BrokenProfile(f"{self._canonical}: an element needs a path")
            _lay(self._find(row), row)

    def _find(self, row: Json) -> Part:
        part = self._root
        for name, slice_name in self._steps(row)[1:]:
            child = self._snapshots.child(part, name)
            if child is None:
                path = row["path"]
                raise BrokenProfile(f"{self._canonical}: {path} is no element of the type")
            part = self._slice(child, slice_name) if slice_name else child
        return part

    def _slice(self, part: Part, name: str) -> Part:
        # R4 profiling.html#reslicing: "a/b" is a slice of the slice "a"
        at = ""
        for step in name.split("/"):
            at = f"{at}/{step}" if at else step
            if part.slice_name == at:
                continue
            if at not in part.slices:
                part.slices[at] = sliced(part, at)
            part = part.slices[at]
        return part

    def _steps(self, row: Json) -> list[tuple[str, str]]:
        """Return the name and slice of each step to an element, by its id or else its path."""
        names = row["path"].split(".")
        ids = row["id"].split(".") if isinstance(row.get("id"), str) else []
        if len(ids) == len(names):
            pairs = [each.partition(":")[::2] for each in ids]
            slice_name = row.get("sliceName")
            if isinstance(slice_name, str) and not pairs[-1][1] and not row.get("slicing"):
                pairs[-1] = (pairs[-1][0], slice_name)
            return pairs
        path = row["path"]
        self._context = {
            each: name for each, name in self._context.items() if path.startswith(each + ".")
        }
        if isinstance(row.get("sliceName"), str):
            self._context[path] = row["sliceName"]
        steps, at = [], ""
        for name in names:
            at = f"{at}.{name}" if at else name
            steps.append((name, self._context.get(at, "")))
        return steps


def _lay(part: Part, row: Json) -> None:
    """Lay one row of a differential over a part."""
    if isinstance(row.get("min"), int):
        part.min = max(part.min, row["min"]) if not part.slice_name else row["min"]
    if isinstance(row.get("max"), str):
        part.max = row["max"]
    if isinstance(row.get("type"), list):
        part.types = _narrowed(part.types, row["type"])
    part.constraints += [each for each in row.get("constraint", []) if isinstance(each, dict)]
    known = {
        name: value
        for name, value in row.items()
        if name in ("binding", "maxLength", "slicing", "mustSupport")
        or name.startswith(("fixed", "pattern", "minValue", "maxValue"))
    }
    part.facts |= known


def _narrowed(old: list[Json], new: list[Any]) -> list[Json]:
    """Return the types of a row; what it does not say of a type stays as it was."""
    before = {each["code"]: each for each in old}
    found = []
    for each in new:
        if isinstance(each, dict) and isinstance(each.get("code"), str):
            found.append({**before.get(each["code"], {}), **each})
    return found or old
