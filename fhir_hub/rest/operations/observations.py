"""Reading the Observations that `$lastn` and `$stats` look at: all of them, a page at a time.

Spec: https://hl7.org/fhir/R4/observation-operations.html
"""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from fhir_hub import fhirjson
from fhir_hub.errors import PreconditionFailed
from fhir_hub.rest.service import Service
from fhir_hub.search.plan import Query
from fhir_hub.store.base import Stored

MOST = 20_000
_AT_ONCE = 1000

Observation = dict[str, Any]


async def observations(query: Query, service: Service) -> AsyncIterator[tuple[Stored, Observation]]:
    """Yield what the query finds over all pages, each with its content.

    Raises `PreconditionFailed` after 20,000: an answer from a part would be a wrong answer.
    """
    query, read = replace(query, count=_AT_ONCE, with_total=False), 0
    while True:
        page = await service.repository.store.search(query)
        for stored in page.matches:
            yield stored, fhirjson.loads(stored.content)
        read += len(page.matches)
        if not page.cursor:
            return
        if read >= MOST:
            raise PreconditionFailed(f"more than {MOST} Observations match: narrow the criteria")
        query = replace(query, after=page.cursor)


def concepts(observation: Observation) -> frozenset[tuple[str, str]]:
    """Return the codings of an Observation's code; one of text alone is that text."""
    code = observation.get("code", {})
    found = frozenset(
        (coding.get("system", ""), coding["code"])
        for coding in code.get("coding", ())
        if "code" in coding
    )
    return found or frozenset((("", code.get("text", "")),))
