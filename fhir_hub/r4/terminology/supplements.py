"""A code system with supplements: more names and properties for the concepts it has.

A supplement counts only where a value set or a request asks for it, so the same system is seen
with it by one and without it by another.

Spec: https://hl7.org/fhir/R4/codesystem.html#supplements
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from fhir_hub.r4.terminology.canonical import read_canonical
from fhir_hub.r4.terminology.concepts import CodeSystem, Concept, Facts, fits_text, words_of
from fhir_hub.r4.terminology.listed import ListedSystem
from fhir_hub.r4.terminology.problems import unknown_supplement
from fhir_hub.r4.terminology.sources import Catalogue

_EXTENSION = "http://hl7.org/fhir/StructureDefinition/valueset-supplement"


class Supplemented:
    """A code system and what supplements say of its concepts; `used` are their canonicals."""

    def __init__(self, system: CodeSystem, supplements: Sequence[CodeSystem]) -> None:
        properties = [
            row for one in (system, *supplements) for row in one.header.facts.get("property", ())
        ]
        facts = {**system.header.facts, "property": properties}
        self.header = replace(system.header, facts=facts)
        self.used = tuple(one.header.canonical for one in supplements)
        self._system, self._supplements = system, supplements

    def find(self, code: str) -> Concept | None:
        """Return the concept with what the supplements add."""
        concept = self._system.find(code)
        if concept is None:
            return None
        added = [found for one in self._supplements if (found := one.find(concept.code))]
        if not added:
            return concept
        everything = [concept, *added]
        return replace(
            concept,
            designations=tuple(row for one in everything for row in _names(one)),
            properties=tuple(row for one in everything for row in one.properties),
            extensions=tuple(row for one in everything for row in one.extensions),
        )

    def source_of(self, designation: Facts) -> str:
        """Return the supplement that a designation comes from, empty if it is the system's own."""
        for name, one in zip(self.used, self._supplements, strict=True):
            for code in one.codes():
                concept = one.find(code)
                if concept is not None and any(row is designation for row in concept.designations):
                    return name
        return ""

    def with_text(self, text: str) -> Iterator[str]:
        """Yield the codes that fit by their own names, then those that fit by a new one."""
        seen = set()
        for code in self._system.with_text(text):
            seen.add(code)
            yield code
        words = words_of(text)
        for one in self._supplements:
            for code in one.codes():
                concept = self.find(code) if code not in seen else None
                if concept is not None and fits_text(concept, words):
                    seen.add(code)
                    yield concept.code

    def codes(self) -> Iterator[str]:
        """Yield all codes."""
        return self._system.codes()

    def size(self) -> int | None:
        """Return how many codes there are."""
        return self._system.size()

    def parents(self, code: str) -> Sequence[str]:
        """Return the codes directly above."""
        return self._system.parents(code)

    def children(self, code: str) -> Sequence[str]:
        """Return the codes directly below."""
        return self._system.children(code)

    def is_below(self, code: str, ancestor: str) -> bool:
        """Say whether `ancestor` is somewhere above `code`."""
        return self._system.is_below(code, ancestor)

    def below(self, code: str) -> Iterator[str]:
        """Yield the codes below."""
        return self._system.below(code)

    def above(self, code: str) -> Iterator[str]:
        """Yield the codes above."""
        return self._system.above(code)

    def with_property(self, name: str, value: str) -> None:
        """Return that there is no index: a supplement may add values."""


def _names(concept: Concept) -> Iterator[Facts]:
    yield from concept.designations


def supplemented(system: CodeSystem, canonicals: Iterable[str], catalogue: Catalogue) -> CodeSystem:
    """Return the system with those of the supplements that are for it.

    Raises `UnknownTerminology` for a supplement that is not known.
    """
    found = []
    for canonical in canonicals:
        url, version = read_canonical(canonical)
        facts = catalogue.supplement(url, version)
        if facts is None:
            raise unknown_supplement(canonical)
        base = str(facts.get("supplements", ""))
        if read_canonical(base).url == system.header.url:
            found.append(ListedSystem(facts))
    return Supplemented(system, found) if found else system


def require_supplements(canonicals: Iterable[str], catalogue: Catalogue) -> None:
    """Raise `UnknownTerminology` unless all of the supplements are known."""
    for canonical in canonicals:
        if catalogue.supplement(*read_canonical(canonical)) is None:
            raise unknown_supplement(canonical)


def required_supplements(facts: Facts) -> tuple[str, ...]:
    """Return the supplements that a value set demands by its extension."""
    rows = facts.get("extension")
    return tuple(
        str(row.get("valueCanonical", ""))
        for row in (rows if isinstance(rows, list) else ())
        if isinstance(row, Mapping) and row.get("url") == _EXTENSION
    )
