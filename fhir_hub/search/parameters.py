"""The search parameters of each resource type, from the compiled definitions.

Two parameters that look at the same place share one index: `Observation.patient` is
`Observation.subject` where that is a Patient, so only `subject` is stored and `patient` asks it
for targets of one type.

Spec: https://hl7.org/fhir/R4/searchparameter-registry.html
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from fhir_hub.r4.definitions import Definitions, SearchParameterRow
from fhir_hub.r4.fhirpath import Branch, compile_expression
from fhir_hub.search.entry import Kind

ParameterKind = Kind | Literal["composite", "special"]

# `Patient.deceased.exists() and Patient.deceased != false` is the one expression of R4 that is
# no walk; true and any date are "deceased", which `kinds/token.py` reads from both types.
_WALKS = {"Patient.deceased.exists() and Patient.deceased != false": "Patient.deceased"}
# `%resource` inside a composite leaves its pair: nothing in R4's form of an entry can hold that.
_NOT_COMPILED = ("chromosome-variant-coordinate", "referenceseqid-variant-coordinate")
_OF_TYPE = re.compile(r"\.where\(resolve\(\) is [A-Za-z]+\)")


@dataclass(frozen=True, slots=True)
class Component:
    """One part of a composite: its kind, and the walks to it from the composite's value."""

    kind: Kind
    branches: tuple[Branch, ...]
    targets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of one resource type.

    `index` is the name that its entries stand under. `targets` are the types that a reference
    may point at; `only_targets` says that the index holds others too. `branches` are the walks
    to its values, of a composite to the places that `components` start from.
    """

    code: str
    kind: ParameterKind
    index: str
    branches: tuple[Branch, ...] = ()
    targets: tuple[str, ...] = ()
    only_targets: bool = False
    components: tuple[Component, ...] = ()


class Parameters:
    """All parameters, each type's when they are first asked for."""

    def __init__(self, definitions: Definitions) -> None:
        self.definitions = definitions
        self._rows: dict[str, list[SearchParameterRow]] = {}
        self._by_url: dict[str, SearchParameterRow] = {}
        for row in definitions.search_parameters():
            self._by_url[row.url] = row
            for base in row.base:
                self._rows.setdefault(base, []).append(row)
        self._types: dict[str, dict[str, Parameter]] = {}

    def of(self, resource_type: str) -> Mapping[str, Parameter]:
        """Return the parameters of a resource type by code, those of all types among them.

        The type `Resource` has only the latter.
        """
        found = self._types.get(resource_type)
        if found is None:
            found = self._types[resource_type] = self._build(resource_type)
        return found

    def nearest(self, resource_type: str, name: str) -> list[str]:
        """Return the codes most like `name`, best first, at most three."""
        return get_close_matches(name, self.of(resource_type), 3, 0.5)

    def _build(self, resource_type: str) -> dict[str, Parameter]:
        bases = ("Resource", "DomainResource", resource_type)
        rows = [row for base in dict.fromkeys(bases) for row in self._rows.get(base, ())]
        rows = [row for row in rows if row.expression and row.code not in _NOT_COMPILED]
        shared = _shared(rows, resource_type)
        built = {}
        for row in rows:
            index, is_part = shared[row.code]
            built[row.code] = self._parameter(row, resource_type, index, is_part)
        return dict(sorted(built.items()))

    def _parameter(
        self, row: SearchParameterRow, resource_type: str, index: str, is_part: bool
    ) -> Parameter:
        expression = _WALKS.get(row.expression, row.expression)
        branches = compile_expression(expression, resource_type, self.definitions)
        kind: ParameterKind = row.type  # type: ignore[assignment]  # the nine types of R4
        targets = row.target
        if match := re.search(r"resolve\(\) is ([A-Za-z]+)", _own(row.expression, resource_type)):
            targets = (match[1],)
        return Parameter(
            row.code, kind, index, branches, targets, is_part, self._components(row, branches)
        )

    def _components(
        self, row: SearchParameterRow, branches: tuple[Branch, ...]
    ) -> tuple[Component, ...]:
        parts = []
        for component in row.components:
            definition = self._by_url[component.url]
            walks: list[Branch] = []
            for branch in branches:
                walks += compile_expression(component.expression, branch.type, self.definitions)
            kind: Kind = definition.type  # type: ignore[assignment]  # no composite in a composite
            parts.append(Component(kind, tuple(dict.fromkeys(walks)), definition.target))
        return tuple(parts)


def _own(expression: str, resource_type: str) -> str:
    """Return the part of a shared expression that is about `resource_type`."""
    parts = [part.strip() for part in expression.split("|")]
    own = [part for part in parts if re.match(rf"\(?{resource_type}\b", part)]
    return " | ".join(own) or expression


def _shared(rows: list[SearchParameterRow], resource_type: str) -> dict[str, tuple[str, bool]]:
    """Return for each code the name of its index, and whether it asks for a part of that index."""
    places: dict[tuple[str, str], list[SearchParameterRow]] = {}
    for row in rows:
        place = _OF_TYPE.sub("", _own(row.expression, resource_type))
        parts = "|".join(component.url for component in row.components)
        places.setdefault((row.type, place + parts), []).append(row)
    shared = {}
    for group in places.values():
        whole = [r.code for r in group if not _OF_TYPE.search(_own(r.expression, resource_type))]
        for row in group:
            is_part = row.code not in whole
            shared[row.code] = (min(whole) if whole else row.code, is_part and bool(whole))
    return shared
