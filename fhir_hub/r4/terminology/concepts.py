"""A concept of a code system, and what a code system must be able to say.

Everything above asks a code system by this protocol. R4's own are read from JSON and held in
memory; imported ones lie in a database and are asked by index. Neither shows which it is.

Spec: https://hl7.org/fhir/R4/codesystem.html
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

Facts = Mapping[str, Any]

INACTIVE = ("inactive", "retired")
DEPRECATED = "http://hl7.org/fhir/StructureDefinition/valueset-deprecated"
STANDARDS_STATUS = "http://hl7.org/fhir/StructureDefinition/structuredefinition-standards-status"
CONCEPT_PROPERTIES = "http://hl7.org/fhir/concept-properties#"


@dataclass(frozen=True, slots=True)
class Concept:
    """One code. `designations`, `properties` and `extensions` are rows as FHIR writes them.

    `status` is the code of the property `status`, empty if none is given. `is_abstract`: it
    groups others and is not to be chosen.
    """

    code: str
    display: str = ""
    definition: str = ""
    designations: tuple[Facts, ...] = ()
    properties: tuple[Facts, ...] = ()
    extensions: tuple[Facts, ...] = ()
    status: str = ""
    is_inactive: bool = False
    is_abstract: bool = False

    def values(self, name: str) -> Iterator[Any]:
        """Yield the values of a property."""
        for row in self.properties:
            if row.get("code") == name:
                yield value_of(row)


@dataclass(frozen=True, slots=True)
class Header:
    """What is said of a code system besides its concepts; `facts` is its resource without them."""

    url: str
    version: str = ""
    content: str = "complete"
    is_case_sensitive: bool = True
    language: str = ""
    facts: Facts = field(default_factory=dict)

    @property
    def canonical(self) -> str:
        """The address with the version."""
        return f"{self.url}|{self.version}" if self.version else self.url

    def property_code(self, name: str) -> str:
        """Return the code under which this system keeps the standard property `name`."""
        for row in self.facts.get("property", ()):
            if row.get("uri") == CONCEPT_PROPERTIES + name and isinstance(row.get("code"), str):
                return str(row["code"])
        return name


class CodeSystem(Protocol):
    """A code system that can be asked; codes come in its own order."""

    @property
    def header(self) -> Header:
        """What is said of the system itself."""

    def find(self, code: str) -> Concept | None:
        """Return the concept, None if there is none; by any case if the system ignores case."""

    def codes(self) -> Iterator[str]:
        """Yield all codes."""

    def size(self) -> int | None:
        """Return how many codes there are, None if they cannot be enumerated (a grammar)."""

    def parents(self, code: str) -> Sequence[str]:
        """Return the codes directly above."""

    def children(self, code: str) -> Sequence[str]:
        """Return the codes directly below."""

    def is_below(self, code: str, ancestor: str) -> bool:
        """Say whether `ancestor` is somewhere above `code` (not itself)."""

    def below(self, code: str) -> Iterator[str]:
        """Yield the codes below, without itself, each once."""

    def above(self, code: str) -> Iterator[str]:
        """Yield the codes above, without itself, each once."""

    def with_property(self, name: str, value: str) -> Iterator[str] | None:
        """Yield the codes that have this value of a property, None if there is no index of it."""

    def with_text(self, text: str) -> Iterator[str]:
        """Yield the codes whose code, display or designation fits `text`, in any case."""


def value_of(row: Facts) -> Any:
    """Return the value of a property, a parameter or an extension; None without one."""
    return next((value for name, value in row.items() if name.startswith("value")), None)


def standing_of(facts: Facts) -> Iterator[str]:
    """Yield how far a resource is to be relied on, where that is less than it could be.

    One of `deprecated`, `withdrawn`, `experimental` and `draft`.
    """
    rows = facts.get("extension")
    said = [
        str(value_of(row))
        for row in (rows if isinstance(rows, list) else ())
        if isinstance(row, Mapping) and row.get("url") == STANDARDS_STATUS
    ]
    for status in ("deprecated", "withdrawn"):
        if status in said:
            yield status
            return
    if facts.get("experimental") is True:
        yield "experimental"
    elif facts.get("resourceType") == "CodeSystem" and "draft" in (facts.get("status"), *said):
        yield "draft"


def as_text(value: Any) -> str:
    """Return the value of a property as a filter compares it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return str(value.get("code", ""))
    return str(value)


def words_of(text: str) -> list[str]:
    """Return what must be found for a text filter: its words, folded."""
    return text.casefold().split()


def fits_text(concept: Concept, words: Sequence[str]) -> bool:
    """Say whether all `words` begin a word of the code or one of its names, or stand in it.

    Chinese has no spaces: there a word is found anywhere.
    """
    names = [concept.code, concept.display]
    names += [str(row.get("value", "")) for row in concept.designations]
    for name in names:
        folded = name.casefold()
        if all(word in folded for word in words):
            return True
    return False
