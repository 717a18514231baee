"""The mapping tasks over HTTP: local codes that no map knows, the most frequent first.

What is wrong with a request is answered as the FHIR side answers it.
"""

from typing import Any

from fastapi import FastAPI, Request, Response

from fhir_hub.errors import InvalidParameter, NotFound
from fhir_hub.hl7v2.journal.asked import read_number, require_known
from fhir_hub.hl7v2.journal.reading import Reading
from fhir_hub.hl7v2.senders.affected import affected
from fhir_hub.hl7v2.senders.codes_seen import CodesSeen
from fhir_hub.ops.answers import answered, read_flag
from fhir_hub.store.journal import Journal

_MOST = 10_000


def add_codes(app: FastAPI, codes: CodesSeen, journal: Journal, reading: Reading) -> None:
    """Add the list of mapping tasks to the operator's application."""

    @app.get("/ops/codes", summary="Local codes without a standard one, the most frequent first")
    async def tasks(request: Request) -> Response:
        async def work() -> dict[str, Any]:
            asked = dict(request.query_params)
            require_known(asked, ("sender", "mapped", "count"))
            is_mapped = read_flag("mapped", asked.get("mapped", "false"))
            count = max(1, read_number("count", asked.get("count", "100"), most=_MOST))
            found = await codes.tasks(asked.get("sender", ""), with_mapped=is_mapped)
            return {"total": len(found), "codes": [one._asdict() for one in found[:count]]}

        return await answered(work)

    @app.get("/ops/codes/messages", summary="The messages that a local code stands in, by number")
    async def messages(request: Request) -> Response:
        async def work() -> dict[str, Any]:
            asked = dict(request.query_params)
            require_known(asked, ("sender", "system", "code"))
            if missing := [name for name in ("sender", "code") if not asked.get(name)]:
                raise InvalidParameter(f"{missing[0]}: say which")
            tasks = await codes.tasks(asked["sender"], with_mapped=True)
            found = [
                one
                for one in tasks
                if one.code == asked["code"] and asked.get("system", one.system) == one.system
            ]
            if not found:
                raise NotFound("this code never came from this sender")
            numbers = {
                number for one in found for number in await affected(journal, reading.message, one)
            }
            return {"numbers": sorted(numbers)}

        return await answered(work)
