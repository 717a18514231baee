"""A value set made ready to be asked: its includes and excludes with the systems they draw on.

An include is a system (all of it, some codes, or what passes filters) that must also be in
each value set that it imports. Whether a code is in the whole is yes, no, or unknown: unknown
where it depends on a system, a value set or a list that is not here.

Spec: https://hl7.org/fhir/R4/valueset.html#compositions
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from fhir_hub.errors import InvalidParameter
from fhir_hub.r4.terminology.canonical import Canonical, is_pattern, read_canonical
from fhir_hub.r4.terminology.concepts import CodeSystem, Concept, Facts, Header, fits_text, words_of
from fhir_hub.r4.terminology.filters import Filter, NoValue, compile_filter
from fhir_hub.r4.terminology.implicit import implicit_value_set
from fhir_hub.r4.terminology.listed import concept_of
from fhir_hub.r4.terminology.problems import (
    broken_filter,
    circular,
    unknown_supplement,
    unknown_value_set,
)
from fhir_hub.r4.terminology.sources import Catalogue
from fhir_hub.r4.terminology.supplements import required_supplements, supplemented
from fhir_hub.r4.terminology.versions import Chosen, Rules

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

    @property
    def is_versioned(self) -> bool:
        """Say whether the version must be said: the value set names one and there are others."""
        return False


@dataclass(slots=True)
class Part:
    """One include or exclude. `chosen` says which version of the system was taken, and why."""

    url: str
    chosen: Chosen
    system: CodeSystem | None
    concepts: Mapping[str, Facts] | None
    filters: Sequence[Filter]
    imports: Sequence["Composed"]
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
            return known or _from_list(row)
        return self.system.find(code) if self.system else None

    def _by_case(self, code: str) -> Facts | None:
        if self.system is None or self.system.header.is_case_sensitive or not self.concepts:
            return None
        folded = code.casefold()
        return next((r for c, r in self.concepts.items() if c.casefold() == folded), None)

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
        return _all(one.contains(system or self.url, code) for one in self.imports)

    def by(self, url: str, system: CodeSystem) -> "Part":
        """Return it with this version of a code system, where that is of a version that fits."""
        imports = [one.by(url, system) for one in self.imports]
        if self.url != url or not self.is_open:
            return replace(self, imports=imports)
        filters = _filters(self.rows, system, self.path)
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
        version = self.system.header.version if self.system else self.chosen.wanted
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


@dataclass(slots=True)
class Composed:
    """A value set that can be asked. `with_inactive` is False if it leaves out inactive codes."""

    facts: Facts
    includes: Sequence[Part]
    excludes: Sequence[Part]
    with_inactive: bool

    @property
    def canonical(self) -> Canonical:
        """Its address and version."""
        return Canonical(str(self.facts.get("url", "")), str(self.facts.get("version", "")))

    def contains(self, system: str, code: str) -> bool | None:
        """Return whether the code is in the value set, None if that cannot be told."""
        found = _any(part.contains(system, code) for part in self.includes)
        if not found:
            return found
        if self.excludes:
            excluded = _any(part.contains(system, code) for part in self.excludes)
            if excluded is not False:
                return None if excluded is None else False
        return True if self.with_inactive else not self._is_inactive(system, code)

    def _is_inactive(self, system: str, code: str) -> bool:
        found = [part.find(code, system) for part in self.includes if part.contains(system, code)]
        return any(concept is not None and concept.is_inactive for concept in found)

    def members(self, text: str = "") -> Iterator[Member]:
        """Yield the codes of the value set that `text` fits, each once, in its order."""
        seen: set[tuple[str, str, str]] = set()
        for part in self.includes:
            for member in part.members(text):
                key = (member.system, member.version, member.concept.code)
                if key in seen:
                    continue
                seen.add(key)
                if member.concept.is_inactive and not self.with_inactive:
                    continue
                if not self.is_excluded(member):
                    yield member

    def is_excluded(self, member: Member) -> bool:
        """Say whether an exclude takes the member away: of its version, where it names one."""
        return any(
            part.contains(member.system, member.concept.code)
            and (not part.chosen.stated or not part.system or _same_version(part, member))
            for part in self.excludes
        )

    def by(self, url: str, system: CodeSystem) -> "Composed":
        """Return it with this version of a code system in the place of its own."""
        if all(part.system is system for part in self.parts() if part.url == url):
            return self
        return replace(
            self,
            includes=[part.by(url, system) for part in self.includes],
            excludes=[part.by(url, system) for part in self.excludes],
        )

    def parts(self) -> Iterator[Part]:
        """Yield all parts, of imported value sets too."""
        for part in (*self.includes, *self.excludes):
            yield part
            for one in part.imports:
                yield from one.parts()

    def imported(self) -> Iterator["Composed"]:
        """Yield the value sets that it draws on, near and far."""
        for part in (*self.includes, *self.excludes):
            for one in part.imports:
                yield one
                yield from one.imported()


def _same_version(part: Part, member: Member) -> bool:
    assert part.system is not None
    return not part.url or part.system.header.version == member.version


class _Whole(NamedTuple):
    """What a part must know of its value set: those around it, those in it, its supplements."""

    within: tuple[str, ...]
    contained: Mapping[str, Facts]
    supplements: tuple[str, ...]


class Composer:
    """Makes value sets ready, by one catalogue and one set of rules about versions."""

    def __init__(self, catalogue: Catalogue, rules: Rules) -> None:
        self.catalogue, self.rules = catalogue, rules

    def by_url(self, canonical: str, within: tuple[str, ...] = ()) -> Composed:
        """Return the value set of a canonical. Raises `UnknownTerminology`, `Unanswerable`."""
        url, version = read_canonical(canonical)
        version = version or self.rules.value_set_version(url)
        facts = self.catalogue.value_set(url, version) or implicit_value_set(url, self.catalogue)
        if facts is None:
            raise unknown_value_set(str(Canonical(url, version)))
        return self.of(facts, within)

    def of(self, facts: Facts, within: tuple[str, ...] = ()) -> Composed:
        """Return the value set of a resource. Raises `UnknownTerminology`, `Unanswerable`."""
        url = str(facts.get("url", ""))
        own = str(Canonical(url, str(facts.get("version", "")))) if url else ""
        if own and own in within:
            raise circular(own, ", ".join(within))
        inner = (*within, own) if own else within
        compose = facts.get("compose")
        compose = compose if isinstance(compose, Mapping) else {}
        if not compose and isinstance(expansion := facts.get("expansion"), Mapping):
            compose = {"include": list(_expanded(expansion.get("contains")))}
        whole = _Whole(inner, _contained(facts), self.supplements_of(facts))
        sides = [
            [
                self._part(row, f"ValueSet.compose.{side}[{place}]", whole)
                for place, row in enumerate(_rows(compose.get(side)))
            ]
            for side in ("include", "exclude")
        ]
        return Composed(facts, sides[0], sides[1], compose.get("inactive") is not False)

    def supplements_of(self, facts: Facts) -> tuple[str, ...]:
        """Return the supplements to use; raises `UnknownTerminology` for one that is unknown."""
        wanted = (*self.rules.supplements, *required_supplements(facts))
        for canonical in wanted:
            if self.catalogue.supplement(*read_canonical(canonical)) is None:
                raise unknown_supplement(canonical)
        return wanted

    def _part(self, row: Facts, path: str, whole: "_Whole") -> Part:
        url = str(row.get("system", ""))
        imports = [
            self.of(whole.contained[one], whole.within)
            if one in whole.contained
            else self.by_url(one, whole.within)
            for one in _texts(row.get("valueSet"))
        ]
        if not url:
            return Part("", Chosen("", ""), None, None, (), imports, path=path)
        chosen = self.rules.choose(url, str(row.get("version", "")))
        found = self.catalogue.system(url, chosen.wanted)
        chosen = replace(chosen, versions=found.versions)
        system = found.system
        if system is not None and whole.supplements:
            system = supplemented(system, whole.supplements, self.catalogue)
        concepts = None
        if "concept" in row:
            concepts = {str(one.get("code")): one for one in _rows(row["concept"])}
        rows = _rows(row.get("filter"))
        filters = _filters(rows, system, path) if system else []
        is_withheld = row.get("withheld") is True
        return Part(url, chosen, system, concepts, filters, imports, is_withheld, path, rows)


def _filters(rows: Sequence[Facts], system: CodeSystem, path: str) -> list[Filter]:
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


def _any(answers: Iterable[bool | None]) -> bool | None:
    result: bool | None = False
    for answer in answers:
        if answer:
            return True
        if answer is None:
            result = None
    return result


def _all(answers: Iterable[bool | None]) -> bool | None:
    result: bool | None = True
    for answer in answers:
        if answer is False:
            return False
        if answer is None:
            result = None
    return result


def _rows(value: Any) -> list[Facts]:
    return [row for row in value if isinstance(row, Mapping)] if isinstance(value, list) else []


def _texts(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _contained(facts: Facts) -> dict[str, Facts]:
    return {
        f"#{row.get('id')}": row
        for row in _rows(facts.get("contained"))
        if row.get("resourceType") == "ValueSet"
    }


def _expanded(contains: Any) -> Iterator[Facts]:
    """Yield an include for each code of an expansion that comes without a compose."""
    stack = list(reversed(_rows(contains)))
    while stack:
        row = stack.pop()
        if "code" in row:
            kept = {name: row[name] for name in ("code", "display", "designation") if name in row}
            include: dict[str, Any] = {"system": row.get("system", ""), "concept": [kept]}
            yield include | ({"version": row["version"]} if "version" in row else {})
        stack.extend(reversed(_rows(row.get("contains"))))
