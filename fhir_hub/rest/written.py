"""The answer to a write: status, `Location`, `ETag`, and what `Prefer: return` asks for.

Spec: https://hl7.org/fhir/R4/http.html#ops (Prefer) and #create
"""

from collections.abc import Iterable

from fhir_hub import fhirjson
from fhir_hub.errors import Issue, outcome_of
from fhir_hub.repository.unit import Unit, Warned
from fhir_hub.rest.message import FhirRequest, FhirResponse, version_headers
from fhir_hub.store.base import Stored

DONE = Issue("informational", "the resource is stored", severity="information", chinese="已存储")


def written(
    request: FhirRequest, stored: Stored, status: int, unit: Unit | None = None
) -> FhirResponse:
    """Return the answer to a create (201), an update (200, 201) or a conditional create (200).

    Of a `unit` that is written it is what was written in the end. Its warnings stand in the
    `Warning` header, and in the OperationOutcome of who prefers one.
    """
    warnings: list[Warned] = []
    if unit is not None:
        stored, warnings = unit.as_staged(stored), unit.warnings
    place = f"{stored.resource_type}/{stored.logical_id}/_history/{stored.version_id}"
    headers = version_headers(stored)
    headers["Location"] = f"{request.base}/{place}" if request.base else place
    headers |= warning_headers(warnings)
    wish = request.prefer("return")
    if wish == "minimal":
        return FhirResponse(status, b"", headers, stored.last_updated)
    if wish == "OperationOutcome":
        done = outcome_of([DONE, *(warned.issue for warned in warnings)])
        return FhirResponse(status, fhirjson.dumps(done), headers, stored.last_updated)
    return FhirResponse(status, stored.content, headers, stored.last_updated)


def warning_headers(warnings: Iterable[Warned]) -> dict[str, str]:
    """Return the `Warning` header (RFC 7234, 5.5), none without warnings."""
    texts = [f'199 fhir-hub "{issue.expression}: {issue.diagnostics}"' for _, issue in warnings]
    return {"Warning": ", ".join(texts)} if texts else {}
