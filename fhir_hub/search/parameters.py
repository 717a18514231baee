"""The search parameters of each resource type, from the compiled definitions.

Spec: https://hl7.org/fhir/R4/searchparameter-registry.html
"""

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import tzinfo
from typing import Any

from fhir_hub.errors import NotSupported
from fhir_hub.nearest import nearest
from fhir_hub.r4.definitions import Definitions, SearchParameterRow
from fhir_hub.r4.fhirpath import Filter, Path, children, compile_paths
from fhir_hub.r4.fhirpath_text import CannotCompile
from fhir_hub.search.entry import Kind
from fhir_hub.search.full_text import INDEXES
from fhir_hub.search.kinds import special
from fhir_hub.search.kinds.composite import part_name
from fhir_hub.search.kinds.table import KINDS
from fhir_hub.search.own import OwnParameter, is_active, read_row, require, types_of
from fhir_hub.search.parameter import Pair, Parameter, resolves, shared
from fhir_hub.search.plan import Plan

_ANY = "Resource"
_BASES = (_ANY, "DomainResource")
EVERY_TYPE, _FULL_TEXT = "", "full text"


class Parameters:
    """All search parameters that work, each type's when they are first asked for."""

    def __init__(self, definitions: Definitions, *, full_text: bool = False) -> None:
        self.definitions = definitions
        self.generation = -1  # of the store, as far as `set_own` was told
        # while entries of another hub may be stored: how many percent are this one's
        self.renewed: int | None = None
        self.own: tuple[OwnParameter, ...] = ()
        self._types: dict[str, Mapping[str, Parameter]] = {}
        self._with_own: dict[str, Mapping[str, Parameter]] = {}
        self._all_own: dict[str, Mapping[str, Parameter]] = {}
        self._own_of: dict[str, list[OwnParameter]] = {}
        self._built: Mapping[str, Mapping[str, str]] = {}
        self._percent: Mapping[str, int] = {}
        self._refused: dict[str, dict[str, str]] = {}
        self.full_text = full_text
        # plain conditions that were read, for `condition.py`: with what they were read
        self.read: dict[
            tuple[int, str, str], tuple[Parameter, Mapping[str, str], tzinfo, Plan, int]
        ] = {}
        self._by_base: dict[str, list[SearchParameterRow]] = {}
        self._by_url: dict[str, SearchParameterRow] = {}
        for row in definitions.search_parameters():
            self._by_url[row.url] = row
            for base in row.base:
                self._by_base.setdefault(base, []).append(row)

    def of(self, resource_type: str) -> Mapping[str, Parameter]:
        """Return code → parameter of a resource type; of `Resource`: what all types have.

        Those of the site's own are among them once they are built.
        """
        found = self._with_own.get(resource_type)
        if found is None:
            own = {
                code: parameter
                for code, parameter in self._own(resource_type).items()
                if self._is_built(resource_type, code)
            }
            texts = self._texts(resource_type)
            found = self._with_own[resource_type] = {**self.of_r4(resource_type), **own, **texts}
        return found

    def of_r4(self, resource_type: str) -> Mapping[str, Parameter]:
        """Return code → parameter of a resource type, those of R4 alone."""
        if resource_type not in self._types:
            self._types[resource_type] = self._build(resource_type)
        return self._types[resource_type]

    def indexed(self, resource_type: str) -> Mapping[str, Parameter]:
        """Return what a resource is indexed by: `of`, and what is being built."""
        return {**self.of_r4(resource_type), **self._own(resource_type)}

    def set_own(self, own: Iterable[OwnParameter], generation: int) -> None:
        """Take the active parameters of the site; of two with one code the first has it."""
        self.own, self.generation = tuple(own), generation
        self._own_of, self._all_own, self._with_own = {}, {}, {}
        for one in self.own:
            names = types_of(one.row, self.definitions)
            for name in (*names, _ANY) if _ANY in one.row.base else names:
                mine = self._own_of.setdefault(name, [])
                if all(one.row.code != other.row.code for other in mine):
                    mine.append(one)

    def set_built(
        self,
        built: Mapping[str, Mapping[str, str]],
        percent: Mapping[str, int],
        renewed: int | None = None,
    ) -> None:
        """Take type → code → mark of the parameters that are built, and how far passes are."""
        self._percent, self.renewed = percent, renewed
        if built != self._built:
            self._built, self._with_own = built, {}

    @property
    def own_types(self) -> tuple[str, ...]:
        """The resource types that have parameters of the site's own, sorted; `""` is all types."""
        return (*((EVERY_TYPE,) if self.full_text else ()), *sorted(set(self._own_of) - {_ANY}))

    def marks(self, resource_type: str) -> dict[str, str]:
        """Return code → mark of the own parameters of a type; of `""` those of the full text."""
        if resource_type == EVERY_TYPE:
            return {_FULL_TEXT: "1"} if self.full_text else {}
        return {one.row.code: one.mark for one in self._own_of.get(resource_type, ())}

    def progress(self, one: OwnParameter) -> int:
        """Return how many percent of an own parameter's index are built; 100: it may be used."""
        names = types_of(one.row, self.definitions)
        code = one.row.code
        return min(
            100 if self._is_built(name, code) else self._percent.get(name, 0) for name in names
        )

    def own_definition(self, resource_type: str, code: str) -> str:
        """Return the canonical of an own parameter of a type, empty if it has no such."""
        mine = self._own_of.get(resource_type, ())
        return next((one.row.url for one in mine if one.row.code == code), "")

    def is_of_r4(self, resource: Mapping[str, Any]) -> bool:
        """Return whether a SearchParameter is one of R4's own definitions: it works already."""
        url = resource.get("url")
        row = self._by_url.get(url) if isinstance(url, str) else None
        return row is not None and row.code == resource.get("code")

    def require_own(self, resource: dict[str, Any], staged: Iterable[dict[str, Any]] = ()) -> None:
        """Raise unless a SearchParameter that is stored under its `id` can work.

        `staged` are others of the same unit of work. Raises `InvalidResource`, `NotSupported`.
        """
        if not is_active(resource) or self.is_of_r4(resource):
            return
        others = [
            OwnParameter(str(other.get("id")), read_row(other))
            for other in staged
            if is_active(other) and not self.is_of_r4(other)
        ]
        require(resource, self.definitions, (*self.own, *others), self.of_r4, self._try_out)

    def _try_out(self, row: SearchParameterRow, resource_type: str) -> None:
        try:
            parameter = self._parameter(row, resource_type)
        except CannotCompile as error:
            raise NotSupported(
                f"the expression cannot be indexed for {resource_type}: {error}",
                expression="SearchParameter.expression",
            ) from None
        if parameter is None:
            raise NotSupported(
                f"the expression finds nothing in {resource_type} that is indexed as {row.type}",
                expression="SearchParameter.expression",
            )

    def _own(self, resource_type: str) -> Mapping[str, Parameter]:
        """Return the own parameters of a type; each is stored under its own code."""
        found = self._all_own.get(resource_type)
        if found is None:
            found = self._all_own[resource_type] = {}
            for one in self._own_of.get(resource_type, ()):
                with contextlib.suppress(CannotCompile):
                    if parameter := self._parameter(one.row, resource_type):
                        found[one.row.code] = replace(parameter, indexes=(one.row.code,))
        return found

    def _texts(self, resource_type: str) -> Mapping[str, Parameter]:
        """Return the parameters of the full text, once that is built."""
        if not self.full_text or not self._has_texts:
            return {}
        return {
            code: Parameter(code, "text", (), INDEXES[code])
            for code in self._texts_of(resource_type)
        }

    def _texts_of(self, resource_type: str) -> tuple[str, ...]:
        bases = (_ANY, *((resource_type,) if resource_type == _ANY else _BASES[1:]))
        rows = (row for base in bases for row in self._by_base.get(base, ()))
        return tuple(row.code for row in rows if row.code in INDEXES)

    @property
    def _has_texts(self) -> bool:
        """Whether the full text is built."""
        return self.marks(EVERY_TYPE).items() <= self._built.get(EVERY_TYPE, {}).items()

    def _is_built(self, resource_type: str, code: str) -> bool:
        names = self.definitions.resource_types if resource_type == _ANY else (resource_type,)
        marks = {one.row.code: one.mark for one in self._own_of.get(resource_type, ())}
        return all(self._built.get(name, {}).get(code, "") == marks[code] for name in names)

    def refused(self, resource_type: str, code: str) -> str:
        """Return why a parameter of R4 does not work here; empty if R4 has no such parameter."""
        self.of_r4(resource_type)
        for one in self._own_of.get(resource_type, ()):
            if one.row.code == code:
                return f"its index is being built, {self.progress(one)} % done; try again later"
        if code in self._texts_of(resource_type):
            if not self.full_text:
                return (
                    "no full text is kept. Write full_text = true in the configuration file"
                    " (or set FHIR_HUB_FULL_TEXT=true) and start again: what is stored already"
                    " is then read in the background"
                )
            percent = self._percent.get(EVERY_TYPE, 0)
            return f"the full text is being built, {percent} % done; try again later"
        everywhere = special.PARAMETERS.get(code, "") if code[:1] == "_" else ""
        return self._refused[resource_type].get(code, everywhere)

    def nearest(self, resource_type: str, name: str, others: Iterable[str] = ()) -> list[str]:
        """Return the codes (and `others`) most like `name`, the likest first."""
        known = [*self.of(resource_type), *others]
        return nearest(name, known, most=4, likeness=0.5)

    def _build(self, resource_type: str) -> Mapping[str, Parameter]:
        bases = dict.fromkeys((*_BASES, resource_type))
        refused = self._refused[resource_type] = {}
        found: list[Parameter] = []
        for base in bases if resource_type != _ANY else (_ANY,):
            for row in self._by_base.get(base, ()):
                parameter = self._parameter(row, resource_type)
                if parameter:
                    found.append(parameter)
                else:
                    refused[row.code] = special.PARAMETERS.get(row.code, "R4 leaves it undefined")
        return {p.code: p for p in sorted(shared(found), key=lambda p: p.code)}

    def _parameter(self, row: SearchParameterRow, resource_type: str) -> Parameter | None:
        if not row.expression or row.code in special.PARAMETERS or row.code in INDEXES:
            return None
        paths = compile_paths(row.expression, resource_type, self.definitions)
        if row.type == "composite":
            return self._composite(row, resource_type, paths)
        return self._plain(row, paths)

    def _plain(self, row: SearchParameterRow, paths: Iterable[Path]) -> Parameter | None:
        kind: Kind = row.type  # type: ignore[assignment]  # of the types of R4, two are excluded
        kept = tuple(p for path in paths for p in self._indexed(path, KINDS[kind].types))
        if not kept:
            return None
        targets: tuple[str, ...] = ()
        if kind == "reference":
            targets = self._targets(row, kept)
        return Parameter(
            code=row.code,
            kind=kind,
            paths=kept,
            expression=row.expression,
            targets=targets,
            is_restricted=any(resolves(step) for path in kept for step in path.steps),
            implied=self._implied(kept) if kind == "token" else (),
            codes=self._codes(kept) if kind == "token" else None,
        )

    def _indexed(self, path: Path, types: Iterable[str]) -> list[Path]:
        if path.type == "Extension":  # what is searched is the extension's value
            values = children(path, "value", self.definitions)
            return [value for value in values if value.type in types]
        return [path] if path.type in types else []

    def _composite(
        self, row: SearchParameterRow, resource_type: str, paths: tuple[Path, ...]
    ) -> Parameter:
        rows = [self._part(part.url) for part in row.components]
        pairs = []
        for path in paths:
            parts = []
            for number, part in enumerate(row.components):
                here = replace(path, steps=())
                found = compile_paths(part.expression, resource_type, self.definitions, here)
                # R4 has the parts of DocumentReference's `relationship` the wrong way round
                kept = self._plain(rows[number], found) or self._plain(rows[1 - number], found)
                if kept is None:
                    raise CannotCompile(f"part {number + 1} finds nothing that is indexed")
                parts.append(replace(kept, indexes=(part_name(row.code, number),)))
            pairs.append(Pair(path, tuple(parts)))
        return Parameter(row.code, "composite", (), expression=row.expression, pairs=tuple(pairs))

    def _part(self, url: str) -> SearchParameterRow:
        own = {one.row.url: one.row for one in self.own}
        row = self._by_url.get(url) or own.get(url)
        if row is None or row.type not in KINDS:
            raise CannotCompile("a component is no parameter that can be part of another")
        return row

    def _targets(self, row: SearchParameterRow, paths: Iterable[Path]) -> tuple[str, ...]:
        found: set[str] = set()
        for path in paths:
            last = path.steps[-1] if path.steps else ""
            if isinstance(last, Filter) and last.resolves_to:
                found.add(last.resolves_to)
            elif path.element is not None:
                types = path.element.types
                found.update(t for one in types if one.code == path.type for t in one.targets)
        if not found or _ANY in found:
            found = set(row.target) or set(self.definitions.resource_types)
        return tuple(sorted(found.intersection(row.target) or found))

    def _implied(self, paths: Iterable[Path]) -> tuple[str, ...]:
        bindings = (path.element.binding for path in paths if path.type == "code" and path.element)
        sets = (self.definitions.codes(binding.value_set) for binding in bindings if binding)
        return tuple(sorted({system for systems in sets for system in systems or ()}))

    def _codes(self, paths: Iterable[Path]) -> frozenset[str] | None:
        """Return all codes that may stand at the paths; None if at one of them any may.

        Spec: https://hl7.org/fhir/R4/terminologies.html#required
        """
        found: set[str] = set()
        for path in paths:
            binding = path.element.binding if path.type == "code" and path.element else None
            if binding is None or binding.strength != "required":
                return None
            systems = self.definitions.codes(binding.value_set)
            if systems is None:
                return None
            found.update(code for codes in systems.values() for code in codes)
        return frozenset(found)
