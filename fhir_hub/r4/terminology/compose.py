"""A value set made ready to be asked: its includes and excludes with the systems they draw on.

An include is a system (all of it, some codes, or what passes filters) that must also be in
each value set that it imports. Whether a code is in the whole is yes, no, or unknown: unknown
where it depends on a system, a value set or a list that is not here.

Spec: https://hl7.org/fhir/R4/valueset.html#compositions
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from fhir_hub.r4.terminology.canonical import Canonical, order, read_canonical
from fhir_hub.r4.terminology.concepts import CodeSystem, Facts, as_text, value_of
from fhir_hub.r4.terminology.implicit import implicit_value_set
from fhir_hub.r4.terminology.parts import Member, Part, any_of, compile_filters
from fhir_hub.r4.terminology.problems import circular, unknown_value_set
from fhir_hub.r4.terminology.sources import Catalogue
from fhir_hub.r4.terminology.supplements import (
    require_supplements,
    required_supplements,
    supplemented,
)
from fhir_hub.r4.terminology.versions import Chosen, Rules

EXPANSION_PARAMETER = "http://hl7.org/fhir/StructureDefinition/valueset-expansion-parameter"


@dataclass(slots=True)
class Composed:
    """A value set that can be asked. `with_inactive` is False if it leaves out inactive codes."""

    facts: Facts
    includes: Sequence[Part]
    excludes: Sequence[Part]
    with_inactive: bool
    is_contained: bool = False
    is_pinned: bool = False

    @property
    def canonical(self) -> Canonical:
        """Its address and version."""
        return Canonical(str(self.facts.get("url", "")), str(self.facts.get("version", "")))

    def contains(self, system: str, code: str) -> bool | None:
        """Return whether the code is in the value set, None if that cannot be told."""
        found = any_of(part.contains(system, code) for part in self.includes)
        if not found:
            return found
        if self.excludes:
            excluded = any_of(part.contains(system, code) for part in self.excludes)
            if excluded is not False:
                return None if excluded is None else False
        return True if self.with_inactive else not self._is_inactive(system, code)

    def _is_inactive(self, system: str, code: str) -> bool:
        found = [part.find(code, system) for part in self.includes if part.contains(system, code)]
        return any(concept is not None and concept.is_inactive for concept in found)

    def members(self, text: str = "") -> Iterator[Member]:
        """Yield the codes of the value set that `text` fits, each once, in its order."""
        seen: set[tuple[str, str, str]] = set()
        is_merged = self.versions_match is True
        parts = list(self.includes)
        if is_merged:
            parts.sort(key=lambda part: order(part.version), reverse=True)
        for part in parts:
            for member in part.members(text):
                key = (member.system, "" if is_merged else member.version, member.concept.code)
                if key in seen:
                    continue
                seen.add(key)
                if member.concept.is_inactive and not self.with_inactive:
                    continue
                if not self.is_excluded(member):
                    yield member

    def is_excluded(self, member: Member) -> bool:
        """Say whether an exclude takes the member away; of one version, if versions are apart."""
        return any(
            part.contains(member.system, member.concept.code)
            and (self.versions_match is not False or _same_version(part, member))
            for part in self.excludes
        )

    @property
    def versions_match(self) -> bool | None:
        """Whether codes of two versions are one: what the value set says, None if nothing."""
        compose = self.facts.get("compose")
        for row in compose.get("extension", ()) if isinstance(compose, Mapping) else ():
            parts = {one.get("url"): value_of(one) for one in row.get("extension", ())}
            if row.get("url") == EXPANSION_PARAMETER and parts.get("name") == "versionsMatch":
                return as_text(parts.get("value")) == "true"
        return None

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
                if not one.is_contained:
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
        pinned = "" if version else self.rules.value_set_version(url)
        version = version or pinned
        facts = self.catalogue.value_set(url, version) or implicit_value_set(url, self.catalogue)
        if facts is None:
            raise unknown_value_set(str(Canonical(url, version)))
        return replace(self.of(facts, within), is_pinned=bool(pinned))

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
        require_supplements(wanted, self.catalogue)
        return wanted

    def _part(self, row: Facts, path: str, whole: "_Whole") -> Part:
        url = str(row.get("system", ""))
        imports = [
            replace(self.of(whole.contained[one], whole.within), is_contained=True)
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
            concepts = {str(one["code"]): one for one in _rows(row["concept"]) if "code" in one}
        rows = _rows(row.get("filter"))
        filters = compile_filters(rows, system, path) if system else []
        is_withheld = row.get("withheld") is True
        return Part(url, chosen, system, concepts, filters, imports, is_withheld, path, rows)


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
