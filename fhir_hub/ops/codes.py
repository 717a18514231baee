"""The mapping tasks over HTTP: local codes that no map knows, the most frequent first."""

from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Query

from fhir_hub.hl7v2.senders.affected import affected
from fhir_hub.hl7v2.senders.codes_seen import CodesSeen
from fhir_hub.store.journal import Journal


def add_codes(app: FastAPI, codes: CodesSeen, journal: Journal) -> None:
    """Add the list of mapping tasks to the operator's application."""

    @app.get("/ops/codes", summary="Local codes without a standard one, the most frequent first")
    async def tasks(
        sender: str = "", mapped: bool = False, count: Annotated[int, Query(ge=1, le=10_000)] = 100
    ) -> dict[str, Any]:
        found = await codes.tasks(sender, with_mapped=mapped)
        return {"total": len(found), "codes": [one._asdict() for one in found[:count]]}

    @app.get("/ops/codes/messages", summary="The messages that a local code stands in, by number")
    async def messages(sender: str, system: str, code: str) -> dict[str, Any]:
        for one in await codes.tasks(sender, with_mapped=True):
            if (one.system, one.code) == (system, code):
                return {"numbers": await affected(journal, one)}
        raise HTTPException(404, "this code never came from this sender / 没有该编码")
