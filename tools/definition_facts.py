"""The facts of an npm package of FHIR definitions, without its prose: what `r4/data` holds.

A StructureDefinition is mostly text for people. A server needs its paths, types, cardinalities,
bindings and invariants, which is a thirtieth of it. What a type inherits stands in it as paths,
because a snapshot is what is walked; an invariant stands only where it is declared.

Spec: https://hl7.org/fhir/R4/structuredefinition.html, searchparameter.html, valueset.html
"""

from collections.abc import Iterable, Mapping
from typing import Any

Facts = dict[str, Any]

_CANONICAL = "http://hl7.org/fhir/StructureDefinition/"
_FHIR_TYPE = _CANONICAL + "structuredefinition-fhir-type"
_REGEX = _CANONICAL + "regex"
_SYSTEM = "http://hl7.org/fhirpath/"
# Profiles of the core that its own elements name as a type: they narrow Quantity.
_NARROWED = ("SimpleQuantity", "MoneyQuantity")


def structures(definitions: Iterable[Facts]) -> dict[str, Facts]:
    """Return type name → facts, for every type of `definitions` and the narrowed quantities."""
    found = {}
    for definition in definitions:
        if definition["kind"] == "logical":
            continue
        name = definition["url"].rpartition("/")[2]
        if definition.get("derivation") != "constraint" or name in _NARROWED:
            found[name] = _structure(name, definition)
    return found


def _structure(name: str, definition: Facts) -> Facts:
    elements = {}
    for element in definition["snapshot"]["element"]:
        root, dot, rest = element["path"].partition(".")
        assert root == definition["type"], element["path"]
        elements[name + dot + rest] = _element(element, definition["url"])
    return {
        "name": name,
        "kind": definition["kind"],
        "abstract": definition["abstract"],
        "base": definition.get("baseDefinition", "").removeprefix(_CANONICAL),
        "elements": elements,
    }


def _element(element: Facts, url: str) -> Facts:
    invariants = [
        {"key": c["key"], "severity": c["severity"], "expression": c["expression"]}
        | ({"bestPractice": True} if _is_best_practice(c) else {})
        for c in element.get("constraint", [])
        if c.get("source", url) == url
    ]
    facts = {
        "min": element["min"],
        "max": element["max"],
        "types": _types(element),
        "binding": _binding(element.get("binding")),
        "contentReference": element.get("contentReference"),
        "invariants": invariants,
        "summary": element.get("isSummary"),
        "modifier": element.get("isModifier"),
        "regex": _extension(element, _REGEX),
    }
    return {key: value for key, value in facts.items() if value or key in ("min", "max")}


def _is_best_practice(constraint: Facts) -> bool:
    url = _CANONICAL + "elementdefinition-bestpractice"
    return any(each["url"] == url for each in constraint.get("extension", []))


def _types(element: Facts) -> list[Facts]:
    types = []
    for item in element.get("type", []):
        # The snapshot says System.String for ids and urls; the FHIR type stands beside it.
        code = item["code"].removeprefix(_SYSTEM)
        if not element["path"].endswith(".value") or not code.startswith("System."):
            code = _extension({"type": [item]}, _FHIR_TYPE) or code
        if element["base"]["path"] == "Resource.id":
            code = "id"  # R4 resource.html#id: "id"; the snapshot says string
        facts = {
            "code": code,
            "targets": _names(item.get("targetProfile", [])),
            "profiles": _names(item.get("profile", [])),
        }
        types.append({key: value for key, value in facts.items() if value})
    return types


def _extension(element: Facts, url: str) -> str | None:
    for item in element.get("type", []):
        for extension in item.get("extension", []):
            if extension["url"] == url:
                value: str = extension.get("valueUrl") or extension["valueString"]
                return value
    return None


def _names(canonicals: list[str]) -> list[str]:
    return [canonical.removeprefix(_CANONICAL) for canonical in canonicals]


def _binding(binding: Facts | None) -> Facts | None:
    if not binding or "valueSet" not in binding:
        return None
    return {"strength": binding["strength"], "valueSet": binding["valueSet"].partition("|")[0]}


def profiles(definitions: Iterable[Facts]) -> dict[str, Facts]:
    """Return url → what it changes, for every profile and extension that R4 defines."""
    return {
        definition["url"]: _profile(definition)
        for definition in sorted(definitions, key=lambda one: str(one["url"]))
        if definition.get("derivation") == "constraint"
    }


def _profile(definition: Facts) -> Facts:
    rows = [_changes(row) for row in definition.get("differential", {}).get("element", [])]
    facts = {
        "resourceType": "StructureDefinition",
        "url": definition["url"],
        "type": definition["type"],
        "baseDefinition": definition.get("baseDefinition"),
        "context": definition.get("context"),
        "differential": {"element": [row for row in rows if row.keys() - {"id", "path"}]},
    }
    return {key: value for key, value in facts.items() if value}


def _changes(row: Facts) -> Facts:
    plain = ("id", "path", "sliceName", "min", "max", "maxLength", "slicing", "contentReference")
    valued = ("fixed", "pattern", "minValue", "maxValue")
    facts = {key: row[key] for key in row if key in plain or key.startswith(valued)}
    if "slicing" in facts:
        facts["slicing"] = {k: v for k, v in row["slicing"].items() if k != "description"}
    if "type" in row:
        kept = ("code", "profile", "targetProfile", "aggregation")
        facts["type"] = [{k: each[k] for k in kept if k in each} for each in row["type"]]
    if binding := _binding(row.get("binding")):
        facts["binding"] = binding
    if "constraint" in row:
        kept = ("key", "severity", "human", "expression")
        facts["constraint"] = [{k: each[k] for k in kept} for each in row["constraint"]]
    return facts


def search_parameters(definitions: Iterable[Facts]) -> list[Facts]:
    """Return the facts of every search parameter, sorted by url.

    The examples and the ten that name no resource type to search are left out.
    """
    by_url = {definition["url"]: definition for definition in definitions}
    rows = []
    for url, definition in sorted(by_url.items()):
        if "base" not in definition or url.rpartition("/")[2].startswith("example"):
            continue
        facts = {
            "url": url,
            "code": definition["code"],
            "type": definition["type"],
            "base": sorted(definition["base"]),
            "expression": definition.get("expression", ""),
            "target": sorted(definition.get("target", [])),
            "components": [
                {
                    "code": by_url[component["definition"]]["code"],
                    "url": component["definition"],
                    "expression": component["expression"],
                }
                for component in definition.get("component", [])
            ],
        }
        rows.append(facts)
    return rows


def compartments(definitions: Iterable[Facts]) -> dict[str, dict[str, list[str]]]:
    """Return compartment → resource type → the parameters that put a resource in it."""
    found = {}
    for definition in sorted(definitions, key=lambda one: str(one.get("code"))):
        if not definition["url"].rpartition("/")[2].startswith("example"):
            rows = definition["resource"]
            found[definition["code"]] = {
                row["code"]: row["param"] for row in rows if "param" in row
            }
    return found


def codes(
    types: Mapping[str, Facts], value_sets: Iterable[Facts], code_systems: Iterable[Facts]
) -> Facts:
    """Return value set url → system → codes, for every required binding that can be enumerated."""
    sets = {value_set["url"]: value_set for value_set in value_sets}
    systems = {system["url"]: system for system in code_systems}
    bound = {
        row["binding"]["valueSet"]
        for facts in types.values()
        for row in facts["elements"].values()
        if row.get("binding", {}).get("strength") == "required"
    }
    found = {}
    for url in sorted(bound):
        expansion = _expansion(sets.get(url), systems)
        if expansion:
            found[url] = {system: sorted(codes) for system, codes in expansion.items()}
    return found


def _expansion(value_set: Facts | None, systems: Facts) -> dict[str, set[str]] | None:
    compose = (value_set or {}).get("compose", {})
    if not compose or "exclude" in compose:
        return None
    found: dict[str, set[str]] = {}
    for include in compose["include"]:
        if "filter" in include or "valueSet" in include or "system" not in include:
            return None
        concepts = include.get("concept")
        if not concepts:
            system = systems.get(include["system"], {})
            if system.get("content") != "complete":
                return None
            concepts = system["concept"]
        found.setdefault(include["system"], set()).update(_concepts(concepts))
    return found


def _concepts(concepts: list[Facts]) -> Iterable[str]:
    for concept in concepts:
        yield concept["code"]
        yield from _concepts(concept.get("concept", []))
