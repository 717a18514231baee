"""Addresses in a bundle: full urls, and the links from a page to itself and the next.

Spec: https://hl7.org/fhir/R4/http.html#paging
"""

import re
from urllib.parse import quote

from fhir_hub.rest.message import Pairs

CURSOR = "_cursor"
_SAFE = "/:|,$"
_is_safe = re.compile(r"[A-Za-z0-9_.~/:|,$-]*").fullmatch  # most are, and quoting is slow


def full_url(base: str, resource_type: str, logical_id: str) -> str:
    """Return the absolute address of a resource."""
    return f"{base}/{resource_type}/{logical_id}"


def page_links(base: str, path: str, pairs: Pairs, here: str, cursor: str) -> list[dict[str, str]]:
    """Return the links `self` and, if there is a next page, `next`, as R4 has them in a bundle."""
    address = f"{base}/{path}" if path else base

    is_plain = _is_safe("".join([name + value for name, value in pairs]))
    shown = pairs if is_plain else [(_quoted(name), _quoted(value)) for name, value in pairs]
    query = "&".join([f"{name}={value}" for name, value in shown])

    def link(relation: str, at: str) -> dict[str, str]:
        asked = query
        if at:
            asked = f"{asked}&{CURSOR}={_quoted(at)}" if asked else f"{CURSOR}={_quoted(at)}"
        return {"relation": relation, "url": f"{address}?{asked}" if asked else address}

    return [link("self", here), link("next", cursor)] if cursor else [link("self", here)]


def _quoted(text: str) -> str:
    return text if _is_safe(text) else quote(text, safe=_SAFE)
