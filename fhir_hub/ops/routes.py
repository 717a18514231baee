"""The operator's side of the hub, a FastAPI application: health, metrics, pages for people."""

from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from fhir_hub.errors import FhirError, InvalidParameter, MethodNotAllowed, NotFound, outcome
from fhir_hub.hl7v2.reports.trial import Trials
from fhir_hub.hl7v2.senders.codes_seen import CodesSeen
from fhir_hub.ops import openapi, pages
from fhir_hub.ops.convert import add_convert
from fhir_hub.ops.maps import add_maps
from fhir_hub.ops.messages import add_messages
from fhir_hub.ops.probe import Probe


def ops_app(
    probe: Probe, trials: Trials, codes: CodesSeen, *, version: str, prefix: str
) -> FastAPI:
    """Return the application; `prefix` is where the FHIR API is."""
    app = FastAPI(title="fhir-hub", version=version, docs_url=None, redoc_url=None)

    @app.get("/", include_in_schema=False)
    async def landing() -> HTMLResponse:
        return HTMLResponse(pages.landing(version, prefix, probe.mllp_port))

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(pages.addresses(app.openapi()["paths"]))

    @app.get("/health/live", summary="Is the process up")
    async def live() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/health/ready", summary="Does the hub take requests")
    async def ready() -> JSONResponse:
        parts = await probe.ready()
        is_ready = all(state == "ok" for state in parts.values())
        status = "ready" if is_ready else "not ready"
        return JSONResponse({"status": status, **parts}, 200 if is_ready else 503)

    @app.get("/metrics", summary="Figures for Prometheus", response_class=Response)
    async def metrics() -> Response:
        content, media_type = await probe.exposition()
        return Response(content, headers={"content-type": media_type})

    app.add_exception_handler(HTTPException, _refuse)
    app.add_exception_handler(ClientDisconnect, _let_go)
    app.add_exception_handler(Exception, _fail)
    add_convert(app, trials, probe.journal)
    add_maps(app, trials.mappings, codes.version)
    add_messages(app, probe.intake)
    own = app.openapi

    def described() -> dict[str, Any]:
        if not app.openapi_schema:
            schema = own()
            schema["paths"] = openapi.fhir_paths(prefix) | schema["paths"]
        return app.openapi_schema or {}

    app.openapi = described  # type: ignore[method-assign]  # FastAPI's documented way
    return app


async def _let_go(request: Request, gone: Exception) -> Response:
    """Answer who has gone in the middle of his body: he hears nothing, and it is no fault."""
    return Response(status_code=InvalidParameter.status)


async def _fail(request: Request, fault: Exception) -> Response:
    """Answer a fault of ours: it is raised on, into the log."""
    status, resource = outcome(fault)
    return JSONResponse(resource, status, media_type="application/fhir+json")


async def _refuse(request: Request, refused: Exception) -> Response:
    """Answer an address that is not there, or that takes another method, as FHIR does."""
    assert isinstance(refused, HTTPException)
    error: FhirError = NotFound("the hub has no such address; /docs lists those that it has")
    if refused.status_code == MethodNotAllowed.status:
        allowed = (refused.headers or {}).get("Allow", "")
        error = MethodNotAllowed(f"this address takes {allowed}")
    status, resource = outcome(error)
    return JSONResponse(resource, status, refused.headers, "application/fhir+json")
