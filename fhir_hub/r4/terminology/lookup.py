"""What a code system says of a code: its names, its place in the hierarchy, its properties.

Spec: https://hl7.org/fhir/R4/codesystem-operation-lookup.html
"""

from collections.abc import Iterator
from typing import Any

from fhir_hub.r4.terminology.concepts import CodeSystem, Concept, Facts
from fhir_hub.r4.terminology.languages import Languages, best, names
from fhir_hub.r4.terminology.supplements import Supplemented

Row = dict[str, Any]
# what the answer always names by itself
_ELSEWHERE = ("system", "name", "version", "display", "definition", "designation")


def lookup(
    system: CodeSystem, concept: Concept, languages: Languages, properties: tuple[str, ...]
) -> list[Row]:
    """Return the rows of the answer; of no `properties` the usual ones, of `*` all.

    The usual ones are whether it is inactive, what is above and below it, and what the code
    system defines.
    """
    header = system.header
    own = list(names(concept, header.language))
    display = best(own, languages)
    rows: list[Row] = [
        {"name": "name", "valueString": str(header.facts.get("name") or header.url)},
        {"name": "system", "valueUri": header.url},
        {"name": "code", "valueCode": concept.code},
    ]
    if header.version:
        rows.append({"name": "version", "valueString": header.version})
    if display:
        rows.append({"name": "display", "valueString": display.value})
    if concept.definition:
        rows.append({"name": "definition", "valueString": concept.definition})
    rows.append({"name": "abstract", "valueBoolean": concept.is_abstract})
    wants_all = not properties or "*" in properties
    if wants_all or "designation" in properties:
        rows += [_designation(row, system) for row in _designations(own)]
    for code, value, description in _properties(system, concept):
        if wants_all or code in properties:
            rows.append(_property(code, value, description))
    if isinstance(system, Supplemented):
        rows += [{"name": "used-supplement", "valueCanonical": one} for one in system.used]
    return rows


def _designations(own: list[Any]) -> Iterator[Facts]:
    for name in own:
        if name.row:
            yield name.row
        elif name.language:
            yield {"language": name.language, "value": name.value}


def _designation(row: Facts, system: CodeSystem) -> Row:
    parts: list[Row] = []
    if language := row.get("language"):
        parts.append({"name": "language", "valueCode": language})
    if use := row.get("use"):
        parts.append({"name": "use", "valueCoding": use})
    parts.append({"name": "value", "valueString": row.get("value", "")})
    if isinstance(system, Supplemented) and (source := system.source_of(row)):
        parts.append({"name": "source", "valueCanonical": source})
    return {"name": "designation", "part": parts}


def _properties(system: CodeSystem, concept: Concept) -> Iterator[tuple[str, Facts, str]]:
    """Yield the code, the value and the description of each property."""
    yield "inactive", {"valueBoolean": concept.is_inactive}, ""
    for name, codes in (
        ("parent", system.parents(concept.code)),
        ("child", system.children(concept.code)),
    ):
        for code in codes:
            other = system.find(code)
            yield name, {"valueCode": code}, other.display if other else ""
    for row in concept.properties:
        code = str(row.get("code", ""))
        if code not in ("inactive", "parent", "child"):
            yield code, {key: v for key, v in row.items() if key.startswith("value")}, ""


def _property(code: str, value: Facts, description: str) -> Row:
    parts: list[Row] = [{"name": "code", "valueCode": code}]
    parts += [{"name": "value", key: v} for key, v in value.items()]
    if description:
        parts.append({"name": "description", "valueString": description})
    return {"name": "property", "part": parts}


def relation(system: CodeSystem, first: str, second: str) -> str:
    """Return how code `first` stands to `second`: equivalent, subsumes, subsumed-by, not-subsumed.

    Spec: https://hl7.org/fhir/R4/codesystem-operation-subsumes.html
    """
    if first == second:
        return "equivalent"
    if system.is_below(second, first):
        return "subsumes"
    return "subsumed-by" if system.is_below(first, second) else "not-subsumed"
