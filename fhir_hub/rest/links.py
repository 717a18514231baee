"""Addresses in a bundle: full urls, and the links from a page to itself and the next.

Spec: https://hl7.org/fhir/R4/http.html#paging
"""

from urllib.parse import quote, urlencode

from fhir_hub.rest.message import Pairs

CURSOR = "_cursor"


def full_url(base: str, resource_type: str, logical_id: str) -> str:
    """Return the absolute address of a resource."""
    return f"{base}/{resource_type}/{logical_id}"


def page_links(base: str, path: str, pairs: Pairs, here: str, cursor: str) -> list[dict[str, str]]:
    """Return the links `self` and, if there is a next page, `next`, as R4 has them in a bundle."""
    address = f"{base}/{path}" if path else base

    def link(relation: str, at: str) -> dict[str, str]:
        parameters = [*pairs, (CURSOR, at)] if at else list(pairs)
        query = urlencode(parameters, quote_via=quote, safe="/:|,$")
        return {"relation": relation, "url": f"{address}?{query}" if query else address}

    return [link("self", here)] + ([link("next", cursor)] if cursor else [])
