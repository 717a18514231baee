"""When two records of one person tell the same fact: the same allergen, code, relative, cover.

AL1, NK1 and IN1 seldom have a number. A list of what there is names each once, so of records that
say the same one is told; and what a client of the API wrote is known again when it comes back. What
has a name in common and says otherwise is another fact: `99` is the code of every other allergen.

Spec: HL7v2 chapter 2, 2.10.4; chapter 3, AL1, NK1; chapter 6, IN1
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fhir_hub.hl7v2.emit.resources import numbers
from fhir_hub.identity import names, systems

Json = dict[str, Any]
_OWN = systems.authority_system("FHIRHUB")


def are_alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Say whether two records of one type and person tell the same fact.

    They have a name of it in common, and say nothing different where both say something.

    >>> one = {"resourceType": "AllergyIntolerance", "code": {"text": "Latex"}}
    >>> are_alike(one, {**one, "code": {"text": "latex", "coding": [{"code": "1"}]}})
    True
    """
    return share_a_name(one, other) and not _differ(one, other)


def share_a_name(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Say whether two records of one type have a name of their fact in common."""
    return not _marks(one).isdisjoint(_marks(other))


def _marks(resource: Mapping[str, Any]) -> frozenset[str]:
    """Return what names the fact that a record tells.

    Of an allergy that is its substance, of a result or a diagnosis its code, of a relative the
    name, of a cover its number, without one who pays and the kind. Nothing names another record.
    """
    kind = resource["resourceType"]
    if kind == "Condition":
        return frozenset({*_codes(resource), *_words([resource.get("code", {})])})
    if kind in ("AllergyIntolerance", "Observation"):
        code = resource.get("code", {})
        codings = (one for one in code.get("coding", ()) if one.get("code"))
        told = {f"{systems.canonical(one.get('system', ''))}|{one['code']}" for one in codings}
        return frozenset(told | {code.get("text", "").casefold()} - {""})
    if kind == "RelatedPerson":
        return frozenset({names.written(one) for one in resource.get("name", ())} - {""})
    if kind == "Coverage":
        held = [one.get("value", "") for one in numbers(dict(resource))]
        told = {*held, resource.get("subscriberId", "")} - {""}
        kinds = _words([resource.get("type", {})], "code", "display")
        return frozenset(
            told or {f"{payor}|{kind}" for payor in _payors(resource) for kind in kinds}
        )
    return frozenset()


def _differ(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    pairs = zip(_says(one), _says(other), strict=True)
    return any(mine and theirs and mine.isdisjoint(theirs) for mine, theirs in pairs)


def _says(resource: Mapping[str, Any]) -> Iterator[set[str]]:
    """Yield what tells one fact of a name from another, in words that may be compared."""
    kind = resource["resourceType"]
    if kind == "AllergyIntolerance":
        yield _words([resource.get("code", {})], "display")
    elif kind == "Condition":
        yield _codes(resource)
        held = numbers(dict(resource))  # an id in a hub and a sender's number may be of one
        yield {one.get("value", "") for one in held if one.get("system") == _OWN} - {""}
        yield {one.get("value", "") for one in held if one.get("system") != _OWN} - {""}
    elif kind == "RelatedPerson":
        yield _words(resource.get("relationship", ()), "code", "display")
    elif kind == "Coverage":
        yield _words([resource.get("type", {})], "code", "display")
        yield {one.get("value", "") for one in numbers(dict(resource))} - {""}
        yield _payors(resource)


def _payors(cover: Mapping[str, Any]) -> set[str]:
    """Return who pays, by address; of what a message says it may not be known yet."""
    payors = [one.get("reference", "") for one in cover.get("payor", ())]
    return {one for one in payors if not one.startswith("urn:")} - {""}


def _codes(resource: Mapping[str, Any]) -> set[str]:
    """Return the codes of a diagnosis, whichever edition they are of."""
    codings = resource.get("code", {}).get("coding", ())
    return {one["code"].casefold() for one in codings if one.get("code")}


def _words(concepts: Iterable[Json], *names: str) -> set[str]:
    """Return the texts of concepts, and what their codings have by these names."""
    found = {concept.get("text", "") for concept in concepts}
    for concept in concepts:
        found |= {one.get(name, "") for one in concept.get("coding", ()) for name in names}
    return {one.casefold() for one in found} - {""}


def newest_of_each(found: Iterable[Json]) -> list[Json]:
    """Return records of one type, of several that tell the same fact the newest."""
    kept: dict[int, Json] = {}
    named: dict[str, list[int]] = {}
    for at, one in enumerate(found):
        own = _marks(one)
        near = {other for mark in own for other in named.get(mark, ()) if other in kept}
        alike = {other for other in near if not _differ(one, kept[other])}
        if alike and all(_changed(one) <= _changed(kept[other]) for other in alike):
            continue
        for other in alike:
            del kept[other]
        kept[at] = one
        for mark in own:
            named.setdefault(mark, []).append(at)
    return list(kept.values())


def _changed(resource: Json) -> str:
    return str(resource.get("meta", {}).get("lastUpdated", ""))
