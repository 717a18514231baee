"""Batch and transaction: many interactions in one request.

A batch is as many requests as it has entries, each for itself. A transaction is one unit of
work (`transaction.py`).

Spec: https://hl7.org/fhir/R4/http.html#transaction
"""

import asyncio
from typing import Any

from fhir_hub.errors import InvalidResource
from fhir_hub.rest import transaction
from fhir_hub.rest.attempt import attempt
from fhir_hub.rest.entries import Entry, entries, response_entry
from fhir_hub.rest.message import FhirRequest, FhirResponse, answer
from fhir_hub.rest.service import Service

_AT_ONCE = 32


async def process(request: FhirRequest, service: Service) -> FhirResponse:
    """Answer a batch or transaction Bundle; raises what makes the whole of it fail."""
    request.require_no_query()
    bundle = request.body()
    if bundle.get("resourceType") != "Bundle":
        raise InvalidResource("the base takes a Bundle", expression="resourceType")
    kind = bundle.get("type")
    if kind == "transaction":
        shown = await transaction.process(entries(bundle, request, service.definitions), service)
    elif kind == "batch":
        shown = await _batch(entries(bundle, request, service.definitions), service)
    else:
        message = "the type of a Bundle sent to the base must be batch or transaction"
        raise InvalidResource(message, expression="Bundle.type")
    reply: dict[str, Any] = {"resourceType": "Bundle", "type": f"{kind}-response"}
    return answer(200, reply | ({"entry": shown} if shown else {}))


async def _batch(listed: list[Entry], service: Service) -> list[dict[str, Any]]:
    """Answer each entry for itself, several at a time: R4 lets no entry depend on another."""
    places = asyncio.Semaphore(_AT_ONCE)

    async def one(entry: Entry) -> dict[str, Any]:
        async with places:
            return response_entry(entry.request, await attempt(entry.request, service))

    return await asyncio.gather(*(one(entry) for entry in listed))
