"""Queries answered by the reference meaning: parse, plan, predicate; for tests of the search."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

import parts

from fhir_hub.r4.dates import date_interval
from fhir_hub.search.entry import Entry
from fhir_hub.search.extract import Extractor
from fhir_hub.search.parse import parse_search
from fhir_hub.search.predicate import meets
from fhir_hub.search.request import SearchRequest

BASE = "http://hub.test/fhir"
ALIASES = {"urn:oid:2.16.840.1.113883.2.23.1.19.1": "urn:oid:2.16.156.10011.1.3"}


@dataclass(frozen=True, eq=False)
class Known:
    """One resource with its entries, and the others."""

    resource_type: str
    logical_id: str
    last_updated: int
    entries: tuple[Entry, ...]
    everyone: list["Known"]

    def others(self, resource_types: tuple[str, ...]) -> Iterable["Known"]:
        return [
            one
            for one in self.everyone
            if not resource_types or one.resource_type in resource_types
        ]


@cache
def extractor() -> Extractor:
    return Extractor(parts.parameters(), parts.ZONE, base=BASE, aliases=ALIASES)


def read(query: str, **settings: Any) -> SearchRequest:
    resource_type, _, rest = query.partition("?")
    return parse_search(
        (resource_type,) if resource_type else (),
        parse_qsl(rest, keep_blank_values=True),
        parameters=parts.parameters(),
        zone=parts.ZONE,
        base=BASE,
        aliases=ALIASES,
        **settings,
    )


def find(resources: Iterable[dict[str, Any]], query: str) -> list[str]:
    everyone: list[Known] = []
    for number, resource in enumerate(resources, 1):
        moment = resource.get("meta", {}).get("lastUpdated", "2024-02-29T10:00:00Z")
        everyone.append(
            Known(
                resource["resourceType"],
                resource.get("id", str(number)),
                date_interval(moment, parts.ZONE).start,
                extractor().entries(resource),
                everyone,
            )
        )
    asked = read(query).query
    return [
        one.logical_id
        for one in everyone
        if (not asked.resource_types or one.resource_type in asked.resource_types)
        and meets(asked.plan, one)
    ]
