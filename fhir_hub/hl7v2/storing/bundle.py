"""A conversion as a transaction Bundle: what `fhir-hub convert` prints.

No two entries may update what one criterion finds: a server refuses such a transaction. So what a
message tells twice of one thing is one entry, as the hub stores it, and what is two patients' of
one number says whose it is.

Spec: https://hl7.org/fhir/R4/http.html#transaction
"""

from collections.abc import Mapping, Sequence
from functools import reduce
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import quote

from fhir_hub.hl7v2.conversion.convert import Conversion, Converted, with_resource
from fhir_hub.hl7v2.making.drafts import keys_of
from fhir_hub.hl7v2.storing.merge import Resource, unite
from fhir_hub.hl7v2.storing.rewriting import Rewriting
from fhir_hub.hl7v2.storing.things import is_anothers, patients_of

Pair = tuple[str, str]
NOBODY: Mapping[str, Converted] = MappingProxyType({})


def to_bundle(conversion: Conversion) -> dict[str, Any]:
    """Return the transaction Bundle of a conversion: an entry a resource.

    What may be stored already is a conditional update by its strongest identifier, or where it
    is to be left as it is a conditional create; anything else is a create. What only changes what
    is stored has no entry: no Bundle can say that.
    """
    told = [one for one in conversion.resources if one.mode != "change"]
    shared = _shared(told)
    entries = [_entry(one) for one in told] if not shared else _parted(told, shared)
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "transaction"}
    return bundle | ({"entry": entries} if entries else {})


def joined(conversion: Conversion) -> list[tuple[Resource, list[Resource]]]:
    """Return the resource of each entry of the Bundle, and the converted ones that it is made of.

    They are several where the message tells several times of one thing: the first one, whose word
    holds, comes first.
    """
    told = [one for one in conversion.resources if one.mode != "change"]
    shared = _shared(told)
    into = _together(told, shared).rewriting.addresses if shared else {}
    found: dict[str, list[Resource]] = {}
    for one in told:
        found.setdefault(into.get(one.full_url, one.full_url), []).append(one.resource)
    return [(reduce(unite, held), held) for held in found.values()]


def _shared(told: Sequence[Converted]) -> set[tuple[str, Pair]]:
    """Return by what several resources would be updated: their type and the pair."""
    known: set[tuple[str, Pair]] = set()
    shared: set[tuple[str, Pair]] = set()
    for one in told:
        if one.mode == "update" and one.match:
            found = (one.resource["resourceType"], one.match[0])
            (shared if found in known else known).add(found)
    return shared


class _Together(NamedTuple):
    """The resources with what is one thing in one, by full url; what the others are now called.

    `firsts` are those that one criterion finds.
    """

    kept: dict[str, Converted]
    rewriting: Rewriting
    firsts: dict[tuple[str, Pair], list[str]]


def _together(told: Sequence[Converted], shared: set[tuple[str, Pair]]) -> _Together:
    kept: dict[str, Converted] = {}
    firsts: dict[tuple[str, Pair], list[str]] = {}
    rewriting = Rewriting({})
    patients_first = sorted(told, key=lambda one: one.resource["resourceType"] != "Patient")
    for one in patients_first:
        if rewriting.addresses:
            one = with_resource(one, rewriting.of(one.resource))
        kept[one.full_url] = one
        found = (one.resource["resourceType"], one.match[0]) if one.match else None
        if one.mode != "update" or found not in shared:
            continue
        urls = firsts.setdefault(found, [])
        same = (url for url in urls if not is_anothers(kept[url].resource, one.resource))
        if first := next(same, ""):
            del kept[one.full_url]
            rewriting.add(one.full_url, first)
            kept[first] = with_resource(kept[first], unite(kept[first].resource, one.resource))
        else:
            urls.append(one.full_url)
    return _Together(kept, rewriting, firsts)


def _parted(told: Sequence[Converted], shared: set[tuple[str, Pair]]) -> list[dict[str, Any]]:
    """Return the entries with what is one thing in one, and what is not under its patient."""
    kept, rewriting, firsts = _together(told, shared)
    whose = {url: kept for urls in firsts.values() if len(urls) > 1 for url in urls}
    return [
        _entry(with_resource(one, rewriting.of(one.resource)), whose.get(one.full_url, NOBODY))
        for one in (kept[each.full_url] for each in told if each.full_url in kept)
    ]


def _entry(converted: Converted, patients: Mapping[str, Converted] = NOBODY) -> dict[str, Any]:
    """Return the entry of a resource; its criterion says of which of the `patients` it is."""
    resource_type = converted.resource["resourceType"]
    request = {"method": "POST", "url": resource_type}
    if converted.match:
        is_key = converted.match[0] in keys_of(converted.resource)
        criterion = _criterion("_tag" if is_key else "identifier", converted.match[0])
        if converted.mode == "update":
            theirs = [patients[url] for url in patients_of(converted.resource) if url in patients]
            whose = [_criterion("patient.identifier", one.match[0]) for one in theirs if one.match]
            if whose or not theirs:  # else her patient is new, and so is all that is hers
                criterion = "&".join([criterion, *whose])
                request = {"method": "PUT", "url": f"{resource_type}?{criterion}"}
        else:
            request["ifNoneExist"] = criterion
    return {"fullUrl": converted.full_url, "resource": converted.resource, "request": request}


def _criterion(parameter: str, pair: Pair) -> str:
    system, value = pair
    return f"{parameter}={quote(f'{_escaped(system)}|{_escaped(value)}', safe=':/|')}"


def _escaped(text: str) -> str:
    # R4 search.html#escaping: these separate, unless a backslash stands before them
    for mark in ("\\", "|", ",", "$"):
        text = text.replace(mark, f"\\{mark}")
    return text
