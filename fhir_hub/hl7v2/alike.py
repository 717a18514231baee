"""When two records of one person tell the same fact: the same allergen, relative or cover.

AL1, NK1 and IN1 seldom have a number. A list of what there is names each once, so of records that
say the same one is told; and what a client of the API wrote is known again when it comes back.

Spec: HL7v2 chapter 2, 2.10.4; chapter 3, AL1, NK1; chapter 6, IN1
"""

from collections.abc import Iterable, Mapping
from typing import Any

from fhir_hub.hl7v2.emit.resources import numbers
from fhir_hub.identity import names, systems

Json = dict[str, Any]


def marks(resource: Mapping[str, Any]) -> frozenset[str]:
    """Return what names the fact that a record tells; two that share one tell the same.

    Of an allergy that is its substance, of a relative the name, of a cover its number. Nothing
    names another record.

    >>> sorted(marks({"resourceType": "AllergyIntolerance", "code": {"text": "Latex"}}))
    ['Latex']
    """
    kind = resource["resourceType"]
    if kind == "AllergyIntolerance":
        code = resource.get("code", {})
        codings = (one for one in code.get("coding", ()) if one.get("code"))
        told = {f"{systems.canonical(one.get('system', ''))}|{one['code']}" for one in codings}
        return frozenset(told | {code.get("text", "")} - {""})
    if kind == "RelatedPerson":
        return frozenset({names.written(one) for one in resource.get("name", ())} - {""})
    if kind == "Coverage":
        held = [one.get("value", "") for one in numbers(dict(resource))]
        return frozenset({*held, resource.get("subscriberId", "")} - {""})
    return frozenset()


def newest_of_each(found: Iterable[Json]) -> list[Json]:
    """Return records of one type, of several that tell the same fact the newest."""
    kept: dict[int, Json] = {}
    known: dict[str, int] = {}
    for at, one in enumerate(found):
        own = marks(one)
        alike = {known[mark] for mark in own if known.get(mark) in kept}
        if alike and all(_changed(one) <= _changed(kept[other]) for other in alike):
            continue
        for other in alike:
            del kept[other]
        kept[at] = one
        known |= dict.fromkeys(own, at)
    return list(kept.values())


def _changed(resource: Json) -> str:
    return str(resource.get("meta", {}).get("lastUpdated", ""))
