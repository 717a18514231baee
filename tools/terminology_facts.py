"""The terminology of an npm package of FHIR definitions: codes and what they are called, no prose.

A CodeSystem keeps its concepts with displays, designations, properties and hierarchy; a ValueSet
its compose; a ConceptMap its groups. Definitions and comments are text for people and left out.

What others own is left out too. A code system under a foreign copyright is not kept; a value
set that lists codes of a system which is not kept says so (`withheld`) in place of the list.

Spec: https://hl7.org/fhir/R4/terminology-module.html
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

Facts = dict[str, Any]

_FOREIGN = re.compile(
    "SNOMED|LOINC|DICOM|UB04|E-Health Transition|ASTM Standard, E|ISO Standard|IHE"
)
# systems that nobody defines as a CodeSystem here and whose codes are free to name
_PUBLIC = frozenset(
    (
        "http://unitsofmeasure.org",
        "urn:ietf:bcp:13",
        "urn:ietf:bcp:47",
        "urn:iso:std:iso:3166",
        "urn:iso:std:iso:4217",
    )
)
_COMMON = ("resourceType", "url", "version", "name", "title", "status", "experimental")
_OF_SYSTEM = (
    "language",
    "caseSensitive",
    "valueSet",
    "hierarchyMeaning",
    "compositional",
    "versionNeeded",
    "content",
    "supplements",
)
_OF_MAP = ("sourceUri", "sourceCanonical", "targetUri", "targetCanonical")


def code_systems(resources: Iterable[Facts]) -> dict[str, Facts]:
    """Return url → facts, of the code systems that may be kept."""
    return {
        system["url"]: _code_system(system)
        for system in resources
        if not _FOREIGN.search(system.get("copyright", ""))
    }


def _code_system(system: Facts) -> Facts:
    facts = _some(system, (*_COMMON, *_OF_SYSTEM))
    facts["property"] = [_some(row, ("code", "uri", "type")) for row in system.get("property", ())]
    facts["filter"] = [
        _some(row, ("code", "operator", "value")) for row in system.get("filter", ())
    ]
    facts["concept"] = _concepts(system.get("concept", ()))
    return {name: value for name, value in facts.items() if value != []}


def _concepts(concepts: Iterable[Facts]) -> list[Facts]:
    found = []
    for concept in concepts:
        facts = _some(concept, ("code", "display", "property"))
        designations = [
            # all say "display" as their use: nothing that could be told apart by it
            _some(row, ("language", "value"))
            for row in concept.get("designation", ())
        ]
        if designations:
            facts["designation"] = designations
        if "concept" in concept:
            facts["concept"] = _concepts(concept["concept"])
        found.append(facts)
    return found


def value_sets(resources: Iterable[Facts], systems: Mapping[str, Facts]) -> dict[str, Facts]:
    """Return url → facts of the value sets; `systems` are the code systems that are kept."""
    found = {}
    for value_set in resources:
        facts = _some(value_set, (*_COMMON, "immutable", "language"))
        compose = value_set["compose"]
        facts["compose"] = _some(compose, ("lockedDate", "inactive")) | {
            part: [_include(row, systems) for row in compose[part]]
            for part in ("include", "exclude")
            if part in compose
        }
        found[value_set["url"]] = facts
    return found


def _include(row: Facts, systems: Mapping[str, Facts]) -> Facts:
    facts = _some(row, ("system", "version", "filter", "valueSet"))
    if "concept" in row:
        system = row["system"]
        if system in systems or system in _PUBLIC:
            facts["concept"] = _concepts(row["concept"])
        else:
            facts["withheld"] = True
    return facts


def concept_maps(resources: Iterable[Facts], systems: Mapping[str, Facts]) -> dict[str, Facts]:
    """Return url → facts of the concept maps between code systems that are kept."""
    found = {}
    for concept_map in resources:
        groups = concept_map.get("group", ())
        if groups and all(
            group.get(end) in systems for group in groups for end in ("source", "target")
        ):
            facts = _some(concept_map, (*_COMMON, *_OF_MAP))
            facts["group"] = [_group(group) for group in groups]
            found[concept_map["url"]] = facts
    return found


def _group(group: Facts) -> Facts:
    elements = []
    for element in group["element"]:
        facts = _some(element, ("code", "display"))
        facts["target"] = [
            _some(target, ("code", "display", "equivalence", "dependsOn", "product"))
            for target in element.get("target", ())
        ]
        elements.append(facts)
    return _some(group, ("source", "sourceVersion", "target", "targetVersion", "unmapped")) | {
        "element": elements
    }


def _some(row: Facts, names: Iterable[str]) -> Facts:
    return {name: row[name] for name in names if name in row}
