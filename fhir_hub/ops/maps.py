"""Which HL7v2 maps are in force: their version, the senders' files, and what was refused since."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI

from fhir_hub.hl7v2.maps.mappings import Mappings


def add_maps(app: FastAPI, mappings: Mappings, version: Callable[[], str]) -> None:
    """Add the page of the maps in force to the operator's application."""

    @app.get("/ops/maps", summary="HL7v2 maps in force: version, senders, what was refused since")
    async def maps() -> dict[str, Any]:
        return {
            "version": version(),
            "senders": mappings.described(),
            "refused": list(mappings.refused),
        }
