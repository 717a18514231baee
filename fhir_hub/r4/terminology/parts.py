"""One include or exclude of a value set: a system, all of it or some, and what it imports.

Spec: https://hl7.org/fhir/R4/valueset.html#compositions
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from fhir_hub.errors import InvalidParameter
from fhir_hub.r4.terminology.canonical import is_pattern
from fhir_hub.r4.terminology.concepts import (
    CodeSystem,
    Concept,
    Facts,
    Header,
    fits_text,
    words_of,
)
from fhir_hub.r4.terminology.filters import Filter, NoValue, compile_filter
from fhir_hub.r4.terminology.listed import concept_of
from fhir_hub.r4.terminology.problems import broken_filter
from fhir_hub.r4.terminology.versions import Chosen

if TYPE_CHECKING:
    from fhir_hub.r4.terminology.compose import Composed

_PARTIAL = ("fragment", "example")
_LARGE = 20_000


@dataclass(frozen=True, slots=True)
class Member:
    """One code of a value set, where it comes from and what the value set says of it."""

    system: str
    version: str
    concept: Concept
    row: Facts = field(default_factory=dict)
    part: "Part | None" = None

    @property
    def display(self) -> str:
        """The name that the value set gives it, else its own."""
        return str(self.row.get("display") or self.concept.display)


@dataclass(slots=True)
class Part:
    """One include or exclude. `chosen` says which version of the system was taken, and why."""

    url: str
    chosen: Chosen
    system: CodeSystem | None
    concepts: Mapping[str, Facts] | None
    filters: Sequence[Filter]
    imports: "Sequence[Composed]"
    is_withheld: bool = False
    path: str = ""
    rows: Sequence[Facts] = ()

    def find(self, code: str, system: str = "") -> Concept | None:
        """Return the concept of a code that this part lists or finds, None if it does not."""
        if not self.url or (system and system != self.url):
            return None
        if self.concepts is not None:
            row = self.concepts.get(code) or self._by_case(code)
            if row is None:
                return None
            known = self.system.find(str(row["code"])) if self.system else None
            # what a complete system does not have is in no value set, listed or not
            return known or (None if self.is_complete else _from_list(row))
        return self.system.find(code) if self.system else None

    @property
    def is_complete(self) -> bool:
        """Say whether all codes of the system are known."""
        return self.system is not None and self.system.header.content == "complete"

    def _by_case(self, code: str) -> Facts | None:
        if self.system is None or self.system.header.is_case_sensitive or not self.concepts:
            return None
        folded = code.casefold()
        return next((r for c, r in self.concepts.items() if c.casefold() == folded), None)

    @property
    def version(self) -> str:
        """The version of the system that was taken, else the one that was looked for."""
        return self.system.header.version if self.system else self.chosen.wanted

    def row(self, code: str) -> Facts:
        """Return what the value set itself says of a code."""
        return (self.concepts or {}).get(code) or {}

    def contains(self, system: str, code: str) -> bool | None:
        """Return whether the part has the code; an empty system is any."""
        if self.url:
            own = self._has(system, code)
            if own is not True:
                return own
        elif not self.imports:
            return False
        return all_of(one.contains(system or self.url, code) for one in self.imports)

    def by(self, url: str, system: CodeSystem) -> "Part":
        """Return it with this version of a code system, where that is of a version that fits."""
        imports = [one.by(url, system) for one in self.imports]
        if self.url != url or not self.is_open:
            return replace(self, imports=imports)
        filters = compile_filters(self.rows, system, self.path)
        return replace(self, system=system, filters=filters, imports=imports)

    @property
    def is_open(self) -> bool:
        """Say whether another version of the system would do."""
        return not self.chosen.wanted or is_pattern(self.chosen.wanted)

    def _has(self, system: str, code: str) -> bool | None:
        if system and system != self.url:
            return False
        if self.is_withheld:
            return None
        if self.concepts is not None:
            return self.find(code) is not None
        if self.system is None:
            return None
        concept = self.system.find(code)
        if concept is None:
            return None if self.system.header.content in _PARTIAL else False
        return all(one.test(concept) for one in self.filters)

    def members(self, text: str = "") -> Iterator[Member]:
        """Yield the codes that the part has and `text` fits; what is unknown is not among them."""
        if not self.url:
            yield from self._of_imports(text)
            return
        version = self.version
        for code in self._candidates(text):
            concept = self.find(code)
            if concept is None or not all(one.test(concept) for one in self.filters):
                continue
            if all(one.contains(self.url, concept.code) for one in self.imports):
                yield Member(self.url, version, concept, self.row(code), self)

    def _of_imports(self, text: str) -> Iterator[Member]:
        first, *others = self.imports
        for member in first.members(text):
            if all(one.contains(member.system, member.concept.code) for one in others):
                yield member

    def _candidates(self, text: str) -> Iterator[str]:
        """Yield codes among which all that are meant are found."""
        words = words_of(text)
        if self.concepts is not None:
            yield from (code for code in self.concepts if not words or self._fits(code, words))
        elif self.system is not None:
            fewer = next((one.among for one in self.filters if one.among), None)
            if fewer is None:
                yield from self.system.with_text(text) if words else self.system.codes()
            elif not words:
                yield from fewer()
            else:
                yield from self._both(fewer(), text, words)

    def _both(self, fewer: Iterable[str], text: str, words: Sequence[str]) -> Iterator[str]:
        assert self.system is not None
        size = self.system.size()
        if size is not None and size > _LARGE:
            # what has the words is fewer than what is below; the filter is asked of each
            yield from self.system.with_text(text)
        else:
            yield from (code for code in fewer if self._fits(code, words))

    def _fits(self, code: str, words: Sequence[str]) -> bool:
        concept = self.find(code)
        if concept is None:
            return False
        row = self.row(code)
        display = str(row.get("display") or concept.display)
        return fits_text(concept, words) or fits_text(replace(concept, display=display), words)


def compile_filters(rows: Sequence[Facts], system: CodeSystem, path: str) -> list[Filter]:
    """Return the filters of an include at `path`; raises `Unanswerable`."""
    found = []
    for place, one in enumerate(rows):
        where = f"{path}.filter[{place}]"
        try:
            found.append(compile_filter(one, system))
        except NoValue as error:
            name = "UNABLE_TO_HANDLE_SYSTEM_FILTER_WITH_NO_VALUE"
            raise broken_filter(str(error), where, name) from None
        except InvalidParameter as error:
            raise broken_filter(str(error), where, "FILTER_NOT_UNDERSTOOD") from None
    return found


def _from_list(row: Facts) -> Concept:
    return concept_of(row, Header(""))


def any_of(answers: Iterable[bool | None]) -> bool | None:
    """Return whether one answer is yes; unknown if none is and one is unknown."""
    result: bool | None = False
    for answer in answers:
        if answer:
            return True
        if answer is None:
            result = None
    return result


def all_of(answers: Iterable[bool | None]) -> bool | None:
    """Return whether no answer is no; unknown if none is and one is unknown."""
    result: bool | None = True
    for answer in answers:
        if answer is False:
            return False
        if answer is None:
            result = None
    return result
