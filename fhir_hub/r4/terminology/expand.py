"""A value set expanded: the list of its codes, or a page of it, with what was asked for.

Codes come in the order of the value set. Where nesting is allowed and all of a hierarchy is
shown, a code stands within the one above it.

Spec: https://hl7.org/fhir/R4/valueset-operation-expand.html
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from fhir_hub.r4.terminology import messages
from fhir_hub.r4.terminology.canonical import matches
from fhir_hub.r4.terminology.compose import Composed
from fhir_hub.r4.terminology.concepts import (
    CONCEPT_PROPERTIES,
    DEPRECATED,
    STANDARDS_STATUS,
    Facts,
    standing_of,
    value_of,
)
from fhir_hub.r4.terminology.languages import Languages, Name, best, names
from fhir_hub.r4.terminology.parts import Member
from fhir_hub.r4.terminology.problems import TooCostly, Unanswerable, UnknownTerminology, too_costly
from fhir_hub.r4.terminology.supplements import Supplemented
from fhir_hub.r4.terminology.versions import Rules

_KEPT = (
    "url",
    "identifier",
    "version",
    "name",
    "title",
    "status",
    "experimental",
    "date",
    "publisher",
    "language",
)
# R5 has elements for these; R4 says them by extensions of the same names
_PROPERTY = "http://hl7.org/fhir/5.0/StructureDefinition/extension-ValueSet.expansion.property"
_OF_CODE = (
    "http://hl7.org/fhir/5.0/StructureDefinition/extension-ValueSet.expansion.contains.property"
)
_COUNTED_AT_MOST = 100_000
_STRUCTURE = "http://hl7.org/fhir/StructureDefinition/"
_SAID_BY_EXTENSION = {
    f"{_STRUCTURE}itemWeight": "weight",
    f"{_STRUCTURE}valueset-label": "label",
    f"{_STRUCTURE}codesystem-label": "label",
    f"{_STRUCTURE}valueset-conceptOrder": "order",
    f"{_STRUCTURE}codesystem-conceptOrder": "order",
}
_STANDARD_NAMES = {"weight": "itemWeight"}
_UNCLOSED = f"{_STRUCTURE}valueset-unclosed"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an expansion should hold. `count` None is all, `designations` are language filters.

    `echoed` are the parameters that the answer repeats.
    """

    text: str = ""
    offset: int = 0
    count: int | None = None
    with_designations: bool = False
    designations: tuple[str, ...] = ()
    with_definition: bool = False
    active_only: bool = False
    is_flat: bool = False
    selectable_only: bool = False
    excluded_systems: tuple[str, ...] = ()
    languages: Languages = field(default_factory=Languages)
    properties: tuple[str, ...] = ()
    echoed: tuple[tuple[str, str, Any], ...] = ()
    most: int = 1000


def expand(value_set: Composed, wanted: Wanted, rules: Rules) -> dict[str, Any]:
    """Return the value set with its expansion; identifier and timestamp are the caller's.

    Raises `TooCostly` for more codes than `wanted.most` where no page of them is asked for,
    `UnknownTerminology` for a code system that is not here.
    """
    require_listable(value_set, rules)
    members = (one for one in value_set.members(wanted.text) if _is_wanted(one, wanted))
    page, total = _page(members, wanted, value_set)
    shown = {name: value_set.facts[name] for name in _KEPT if name in value_set.facts}
    if extensions := [
        row
        for row in value_set.facts.get("extension", ())
        if isinstance(row, Mapping) and row.get("url") != STANDARDS_STATUS
    ]:
        shown["extension"] = extensions
    if wanted.with_definition and "compose" in value_set.facts:
        shown["compose"] = value_set.facts["compose"]
    expansion: dict[str, Any] = {}
    if total is not None:
        expansion["total"] = total
    if wanted.count is not None or wanted.offset:
        expansion["offset"] = wanted.offset
    expansion["parameter"] = _parameters(value_set, wanted)
    if extensions := [*_unclosed(value_set), *_defined(page, wanted)]:
        expansion["extension"] = extensions
    versioned = _with_versions(value_set)
    rows = [(one, _row(one, wanted, versioned)) for one in page]
    is_whole = total == len(page) and wanted.count is None and not wanted.offset
    contains = [row for _, row in rows] if wanted.is_flat or not is_whole else _nested(rows)
    if contains:
        expansion["contains"] = contains
    return {"resourceType": "ValueSet", **shown, "expansion": expansion}


def _with_versions(value_set: Composed) -> set[str]:
    """Return the systems of which the value set draws on several versions."""
    found: dict[str, set[str]] = {}
    for part in value_set.parts():
        if part.url:
            found.setdefault(part.url, set()).add(part.version)
    return {url for url, versions in found.items() if len(versions) > 1}


def _is_wanted(member: Member, wanted: Wanted) -> bool:
    concept = member.concept
    return not (
        (wanted.active_only and concept.is_inactive)
        or (wanted.selectable_only and concept.is_abstract)
        or (member.system in wanted.excluded_systems)
        or (f"{member.system}|{member.version}" in wanted.excluded_systems)
    )


def _page(
    members: Iterator[Member], wanted: Wanted, value_set: Composed
) -> tuple[list[Member], int | None]:
    """Return the members to show and the total, None if there are too many to count."""
    if wanted.count is None:
        found = list(islice(members, wanted.offset + wanted.most + 1))
        if len(found) - wanted.offset > wanted.most:
            raise too_costly(str(value_set.canonical), wanted.most)
        return found[wanted.offset :], len(found)
    skipped = sum(1 for _ in islice(members, wanted.offset))
    page = list(islice(members, wanted.count))
    rest = sum(1 for _ in islice(members, _COUNTED_AT_MOST))
    return page, None if rest == _COUNTED_AT_MOST else skipped + len(page) + rest


def require_listable(value_set: Composed, rules: Rules) -> None:
    """Raise `UnknownTerminology` or `TooCostly` unless all codes of the value set can be listed."""
    _require_known(value_set, rules)
    for part in value_set.includes:
        if part.system is not None and part.concepts is None and part.system.size() is None:
            raise TooCostly.of(
                messages.grammar_cannot_be_listed(part.url, str(value_set.canonical))
            )


def _require_known(value_set: Composed, rules: Rules) -> None:
    for part in value_set.parts():
        demanded, system = rules.check.get(part.url), part.system
        if part.url and (system is None or part.is_withheld) and part.concepts is None:
            purpose = "so the value set cannot be expanded"
            chosen = part.chosen
            raise UnknownTerminology.of(
                messages.unknown_system(part.url, chosen.wanted, chosen.versions, "", purpose)
            )
        if demanded and system is not None and not matches(demanded, system.header.version):
            raise Unanswerable.of(
                messages.version_not_allowed(part.url, system.header.version, demanded, "")
            )


def _parameters(value_set: Composed, wanted: Wanted) -> list[dict[str, Any]]:
    rows = [{"name": name, kind: value} for name, kind, value in wanted.echoed]
    if value_set.versions_match:
        rows.append({"name": "versionsMatch", "valueBoolean": True})
    used: dict[tuple[str, str], None] = {}
    for part in value_set.parts():
        if by := part.chosen.changed_by:
            used[by, f"{part.url}|{part.chosen.wanted}"] = None
        if part.system is not None:
            used["used-codesystem", part.system.header.canonical] = None
            if isinstance(part.system, Supplemented):
                used |= dict.fromkeys(("used-supplement", one) for one in part.system.used)
            if part.system.header.content in ("fragment", "example"):
                used["used-fragment", part.system.header.canonical] = None
            for status in standing_of(part.system.header.facts):
                used[f"warning-{status}", part.system.header.canonical] = None
    for one in value_set.imported():
        used["used-valueset", str(one.canonical)] = None
        if one.is_pinned:
            used["default-valueset-version", str(one.canonical)] = None
    for one in (value_set, *value_set.imported()):
        for status in standing_of(one.facts):
            used[f"warning-{status}", str(one.canonical)] = None
    rows += [{"name": name, "valueUri": canonical} for name, canonical in used]
    return rows


def _unclosed(value_set: Composed) -> Iterator[dict[str, Any]]:
    """Yield that the expansion is not all of it, where a code system is known in part only."""
    for part in value_set.includes:
        if part.system is not None and part.system.header.content == "fragment":
            why = f"This extension is based on a fragment of the code system {part.url}"
            yield {"url": _UNCLOSED, "valueBoolean": True}
            yield {"url": f"{_UNCLOSED}-reason", "valueString": why}
            return


def _row(member: Member, wanted: Wanted, versioned: Collection[str]) -> dict[str, Any]:
    """Return the entry of a member in the expansion."""
    concept = member.concept
    system = member.part.system if member.part else None
    own_language = system.header.language if system else ""
    all_names = list(names(concept, own_language, member.row))
    display = best(all_names, wanted.languages)
    row: dict[str, Any] = {"system": member.system}
    if member.system in versioned:
        row["version"] = member.version
    if concept.is_abstract:
        row["abstract"] = True
    if concept.is_inactive:
        row["inactive"] = True
    row["code"] = concept.code
    if display:
        row["display"] = display.value
    if wanted.with_designations:
        others = [name for name in _once(all_names) if name is not display]
        shown = [_designation(name) for name in others if _is_shown(name, wanted)]
        if shown:
            row["designation"] = shown
    extensions = [one for one in member.row.get("extension", ()) if one.get("url") == DEPRECATED]
    extensions += [_as_extension(code, value) for code, value in _properties(member, wanted)]
    if extensions:
        row["extension"] = extensions
    return row


def _is_shown(name: Name, wanted: Wanted) -> bool:
    if wanted.designations:
        return any(
            one.rpartition("|")[2] == name.language
            or (one.rpartition("|")[2] == name.row.get("use", {}).get("code"))
            for one in wanted.designations
        )
    return True


def _designation(name: Name) -> dict[str, Any]:
    if name.row:
        return dict(name.row.items())
    return (
        {"language": name.language, "value": name.value} if name.language else {"value": name.value}
    )


def _once(all_names: Sequence[Name]) -> list[Name]:
    return list({(n.value, n.language): n for n in reversed(all_names)}.values())[::-1]


def _properties(member: Member, wanted: Wanted) -> Iterator[tuple[str, Facts]]:
    """Yield the properties of a member that are shown: its status, and those asked for."""
    concept = member.concept
    if concept.status not in ("", "active") and "status" not in wanted.properties:
        yield "status", {"valueCode": concept.status}
    for row in (*member.row.get("extension", ()), *concept.extensions):
        if name := _SAID_BY_EXTENSION.get(row.get("url")):
            value = value_of(row)
            kind = "valueString" if isinstance(value, str) else "valueDecimal"
            yield name, {kind: value}
    for name in wanted.properties:
        if name == "definition":
            if concept.definition:
                yield name, {"valueString": concept.definition}
            continue
        for row in concept.properties:
            if row.get("code") == name:
                yield name, {key: v for key, v in row.items() if key.startswith("value")}


def _as_extension(code: str, value: Facts) -> dict[str, Any]:
    rows: list[dict[str, Any]] = [{"url": "code", "valueCode": code}, {"url": "value", **value}]
    return {"url": _OF_CODE, "extension": rows}


def _defined(page: Sequence[Member], wanted: Wanted) -> list[dict[str, Any]]:
    """Return the properties of the expansion: what each code of them means."""
    found = []
    used = dict.fromkeys(name for one in page for name, _ in _properties(one, wanted))
    systems = {id(one.part.system): one.part.system for one in page if one.part and one.part.system}
    for name in used:
        uris = [
            str(row["uri"])
            for system in systems.values()
            for row in system.header.facts.get("property", ())
            if isinstance(row, Mapping) and row.get("code") == name and "uri" in row
        ]
        uri = uris[0] if uris else CONCEPT_PROPERTIES + _STANDARD_NAMES.get(name, name)
        rows = [{"url": "code", "valueCode": name}, {"url": "uri", "valueUri": uri}]
        found.append({"url": _PROPERTY, "extension": rows})
    return found


def _nested(rows: Sequence[tuple[Member, dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return the rows, those of a hierarchy within the nearest one above them that is shown."""
    places = {
        (one.system, one.version, one.concept.code): row
        for one, row in rows
        if one.part is not None and one.part.concepts is None
    }
    roots = []
    for one, row in rows:
        system = one.part.system if one.part and one.part.concepts is None else None
        parents = system.parents(one.concept.code) if system else ()
        above = next((p for p in parents if (one.system, one.version, p) in places), None)
        if above is None:
            roots.append(row)
        else:
            places[one.system, one.version, above].setdefault("contains", []).append(row)
    return roots
