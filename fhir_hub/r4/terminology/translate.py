"""A code of one system as codes of another, by concept maps.

A map's group goes from one system to another; `unmapped` says what happens to a code that it
does not list. In reverse, the targets are looked through for the code.

Spec: https://hl7.org/fhir/R4/conceptmap-operation-translate.html
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fhir_hub.r4.terminology.canonical import matches
from fhir_hub.r4.terminology.concepts import Facts
from fhir_hub.r4.terminology.sources import Catalogue

# R4 concept-map-equivalence: read from the target's side
_REVERSED = {
    "wider": "narrower",
    "narrower": "wider",
    "subsumes": "specializes",
    "specializes": "subsumes",
}
_NO_MATCH = ("unmatched", "disjoint")
_MOST_MAPS_IN_A_ROW = 8


@dataclass(frozen=True, slots=True)
class Source:
    """What is translated: codings, and between which systems and value sets (empty: any)."""

    codings: tuple[Facts, ...]
    source: str = ""
    target: str = ""
    target_system: str = ""
    is_reverse: bool = False
    dependencies: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Match:
    """One translation: how it relates to the source, the coding, the map that says so."""

    equivalence: str
    coding: Mapping[str, str]
    map_canonical: str
    products: tuple[Facts, ...] = ()

    def row(self) -> dict[str, Any]:
        """Return it as a parameter of the answer."""
        parts: list[dict[str, Any]] = [{"name": "equivalence", "valueCode": self.equivalence}]
        if self.coding:
            parts.append({"name": "concept", "valueCoding": self.coding})
        for product in self.products:
            parts.append({"name": "product", "part": _product(product)})
        if self.map_canonical:
            parts.append({"name": "source", "valueUri": self.map_canonical})
        return {"name": "match", "part": parts}


def translate(asked: Source, maps: Iterable[Facts], catalogue: Catalogue) -> list[Match]:
    """Return the translations, each once, in the order of codings, maps and targets."""
    found: dict[tuple[str, str, str, str], Match] = {}
    for coding in asked.codings:
        for one in maps:
            if _fits(one, asked):
                for match in _in_map(coding, one, asked, catalogue, 0):
                    key = (
                        match.equivalence,
                        match.coding.get("system", ""),
                        match.coding.get("code", ""),
                        match.map_canonical,
                    )
                    found.setdefault(key, match)
    return list(found.values())


def is_translated(matches: Iterable[Match]) -> bool:
    """Say whether there is a translation: one that is not said to be none."""
    return any(match.equivalence not in _NO_MATCH and match.coding for match in matches)


def _fits(concept_map: Facts, asked: Source) -> bool:
    ends = ("target", "source") if asked.is_reverse else ("source", "target")
    for end, wanted in zip(ends, (asked.source, asked.target), strict=True):
        said = concept_map.get(f"{end}Canonical") or concept_map.get(f"{end}Uri")
        if wanted and said != wanted and str(said).partition("|")[0] != wanted:
            return False
    return True


def _in_map(
    coding: Facts, concept_map: Facts, asked: Source, catalogue: Catalogue, depth: int
) -> Iterator[Match]:
    read = _reverse if asked.is_reverse else _forward
    canonical = _canonical(concept_map)
    for group in concept_map.get("group", ()):
        yield from read(coding, group, canonical, asked, catalogue, depth)


def _forward(
    coding: Facts, group: Facts, canonical: str, asked: Source, catalogue: Catalogue, depth: int
) -> Iterator[Match]:
    target_system = str(group.get("target", ""))
    if not _is_of(coding, group.get("source"), group.get("sourceVersion")):
        return
    if asked.target_system and target_system != asked.target_system:
        return
    elements = [one for one in group.get("element", ()) if one.get("code") == coding.get("code")]
    for element in elements:
        for target in element.get("target", ()):
            if _depends(target, asked):
                yield Match(
                    str(target.get("equivalence", "equivalent")),
                    _coding(target_system, target, str(group.get("targetVersion", ""))),
                    canonical,
                    tuple(target.get("product", ())),
                )
    if not elements:
        yield from _unmapped(coding, group, canonical, asked, catalogue, depth)


def _unmapped(
    coding: Facts, group: Facts, canonical: str, asked: Source, catalogue: Catalogue, depth: int
) -> Iterator[Match]:
    rule = group.get("unmapped")
    if not isinstance(rule, Mapping):
        return
    target = str(group.get("target", ""))
    match rule.get("mode"):
        case "provided":
            same = {key: coding[key] for key in ("code", "display") if key in coding}
            yield Match("equal", _coding(target, same, ""), canonical)
        case "fixed":
            yield Match("inexact", _coding(target, rule, ""), canonical)
        case "other-map" if depth < _MOST_MAPS_IN_A_ROW:
            url = str(rule.get("url", ""))
            for other in catalogue.concept_maps():
                if other.get("url") == url.partition("|")[0]:
                    yield from _in_map(coding, other, asked, catalogue, depth + 1)


def _reverse(
    coding: Facts, group: Facts, canonical: str, asked: Source, catalogue: Catalogue, depth: int
) -> Iterator[Match]:
    source_system = str(group.get("source", ""))
    if not _is_of(coding, group.get("target"), group.get("targetVersion")):
        return
    if asked.target_system and source_system != asked.target_system:
        return
    for element in group.get("element", ()):
        for target in element.get("target", ()):
            if target.get("code") == coding.get("code"):
                said = str(target.get("equivalence", "equivalent"))
                version = str(group.get("sourceVersion", ""))
                found = _coding(source_system, element, version)
                yield Match(_REVERSED.get(said, said), found, canonical)


def _is_of(coding: Facts, system: Any, version: Any) -> bool:
    given = coding.get("version")
    if given and version and not matches(str(version), str(given)):
        return False
    return not coding.get("system") or coding["system"] == system


def _depends(target: Facts, asked: Source) -> bool:
    """Say whether what the target depends on is what was given."""
    needed = [
        (str(row.get("property", "")), str(row.get("value", "")))
        for row in target.get("dependsOn", ())
    ]
    return all(one in asked.dependencies for one in needed)


def _coding(system: str, row: Facts, version: str) -> dict[str, str]:
    if not row.get("code"):
        return {}
    found = {"system": system} if system else {}
    found |= {"version": version} if version else {}
    found["code"] = str(row["code"])
    return found | ({"display": str(row["display"])} if row.get("display") else {})


def _product(product: Facts) -> list[dict[str, Any]]:
    coding = {"system": product.get("system", ""), "code": product.get("value", "")}
    return [
        {"name": "element", "valueUri": product.get("property", "")},
        {"name": "concept", "valueCoding": {key: v for key, v in coding.items() if v}},
    ]


def _canonical(concept_map: Facts) -> str:
    url, version = str(concept_map.get("url", "")), str(concept_map.get("version", ""))
    return f"{url}|{version}" if version else url
