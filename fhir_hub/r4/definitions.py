"""The definitions of R4 as records: types and their elements, search parameters, code sets.

Everything is read on first use and kept; a type by itself, because reading all of them would
cost a start more than the rest of it.

Spec: https://hl7.org/fhir/R4/structuredefinition.html and elementdefinition.html
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from fhir_hub import fhirjson
from fhir_hub.r4.packages import Package


@dataclass(frozen=True, slots=True)
class ElementType:
    """One type that an element may have; `targets` of a Reference or canonical, by type name.

    `code` is a FHIR type, or `System.String` and the like for the value of a primitive type.
    """

    code: str
    targets: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Binding:
    """The value set of a coded element, without a version; `strength` as in R4."""

    strength: str
    value_set: str


@dataclass(frozen=True, slots=True)
class Invariant:
    """A rule in FHIRPath; `severity` is `error` or `warning`."""

    key: str
    severity: str
    expression: str
    is_best_practice: bool = False


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a type; `path` as in the snapshot: `Observation.value[x]`."""

    path: str
    min: int
    max: str
    types: tuple[ElementType, ...] = ()
    binding: Binding | None = None
    content_reference: str = ""
    invariants: tuple[Invariant, ...] = ()
    summary: bool = False
    modifier: bool = False
    regex: str = ""

    @property
    def is_list(self) -> bool:
        """Whether JSON writes the element as an array."""
        return self.max not in ("0", "1")


@dataclass(frozen=True, slots=True)
class Structure:
    """A type: `kind` is `resource`, `complex-type` or `primitive-type`, `base` its parent's name.

    `elements` holds every path, inherited ones too, in the definition's order; an invariant stands
    only in the type that declares it.
    """

    name: str
    kind: str
    abstract: bool
    base: str
    elements: Mapping[str, Element]


@dataclass(frozen=True, slots=True)
class Component:
    """One part of a composite search parameter: the parameter it is, and where it lies."""

    code: str
    url: str
    expression: str


@dataclass(frozen=True, slots=True)
class SearchParameterRow:
    """A search parameter as defined; `expression` is empty where R4 gives none (`_text`)."""

    url: str
    code: str
    type: str
    base: tuple[str, ...]
    expression: str
    target: tuple[str, ...]
    components: tuple[Component, ...]


class Definitions:
    """The definitions of one package, each read at its first use."""

    def __init__(self, package: Package) -> None:
        self._package = package
        index = package.index()
        self._version: str = index["fhirVersion"]
        self._index: Mapping[str, Mapping[str, Any]] = index["types"]
        self._structures: dict[str, Structure] = {}
        self.resource_types = frozenset(
            name
            for name, facts in self._index.items()
            if facts["kind"] == "resource" and not facts["abstract"]
        )

    @property
    def types(self) -> tuple[str, ...]:
        """The names of all types of R4, abstract ones and primitive ones too, sorted."""
        return tuple(sorted(self._index))

    def is_type(self, name: str) -> bool:
        """Return whether `name` is a type of R4, of any kind, abstract or not."""
        return name in self._index

    def kind(self, name: str) -> str:
        """Return `resource`, `complex-type` or `primitive-type`; empty if `name` is no type."""
        facts = self._index.get(name)
        return facts["kind"] if facts else ""

    def structure(self, name: str) -> Structure | None:
        """Return the type `name`, None if R4 has no such type."""
        structure = self._structures.get(name)
        if structure is None and name in self._index:
            structure = self._structures[name] = _structure(self._package.structure(name))
        return structure

    def profile(self, url: str) -> dict[str, Any] | None:
        """Return a profile or extension of R4 as a StructureDefinition without prose, or None.

        `url` may have a version, which must be R4's.
        """
        url, _, version = url.partition("|")
        content = self._profiles.get(url) if version in ("", self._version) else None
        return fhirjson.loads(content) if content else None

    def search_parameters(self) -> tuple[SearchParameterRow, ...]:
        """Return every search parameter of R4, sorted by url."""
        return self._search_parameters

    def codes(self, value_set: str) -> Mapping[str, frozenset[str]] | None:
        """Return system → codes of the canonical `value_set`, None if it cannot be enumerated."""
        return self._codes.get(value_set)

    @property
    def compartments(self) -> tuple[str, ...]:
        """The types that have a compartment, sorted."""
        return tuple(sorted(self._compartments))

    def compartment(self, name: str) -> Mapping[str, Sequence[str]]:
        """Return resource type → the parameters by which it is in the compartment `name`.

        Empty if R4 has no such compartment. `{def}` stands for the resource itself.

        Spec: https://hl7.org/fhir/R4/compartmentdefinition.html
        """
        return self._compartments.get(name, {})

    @cached_property
    def _profiles(self) -> Mapping[str, bytes]:
        return self._package.profiles()

    @cached_property
    def _compartments(self) -> Mapping[str, Mapping[str, Sequence[str]]]:
        return self._package.compartments()

    @cached_property
    def _search_parameters(self) -> tuple[SearchParameterRow, ...]:
        return tuple(_search_parameter(facts) for facts in self._package.search_parameters())

    @cached_property
    def _codes(self) -> Mapping[str, Mapping[str, frozenset[str]]]:
        return {
            url: {system: frozenset(codes) for system, codes in systems.items()}
            for url, systems in self._package.codes().items()
        }


def load_definitions() -> Definitions:
    """Return the definitions of R4 4.0.1 that come with the hub; takes about a millisecond."""
    return Definitions(Package())


def _structure(facts: dict[str, Any]) -> Structure:
    elements = {path: _element(path, row) for path, row in facts["elements"].items()}
    return Structure(facts["name"], facts["kind"], facts["abstract"], facts["base"], elements)


def _element(path: str, row: dict[str, Any]) -> Element:
    types = (
        ElementType(t["code"], tuple(t.get("targets", ())), tuple(t.get("profiles", ())))
        for t in row.get("types", ())
    )
    binding = row.get("binding")
    invariants = (
        Invariant(i["key"], i["severity"], i["expression"], i.get("bestPractice", False))
        for i in row.get("invariants", ())
    )
    return Element(
        path=path,
        min=row["min"],
        max=row["max"],
        types=tuple(types),
        binding=Binding(binding["strength"], binding["valueSet"]) if binding else None,
        content_reference=row.get("contentReference", ""),
        invariants=tuple(invariants),
        summary=row.get("summary", False),
        modifier=row.get("modifier", False),
        regex=row.get("regex", ""),
    )


def _search_parameter(facts: dict[str, Any]) -> SearchParameterRow:
    return SearchParameterRow(
        url=facts["url"],
        code=facts["code"],
        type=facts["type"],
        base=tuple(facts["base"]),
        expression=facts["expression"],
        target=tuple(facts["target"]),
        components=tuple(
            Component(part["code"], part["url"], part["expression"]) for part in facts["components"]
        ),
    )
