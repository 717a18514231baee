"""`Patient/$match`: which stored Patients a given one may be, each with a score and a grade.

The engine of `identity/` answers, the same that decides for HL7v2: a valid number of the nation
or of one issuer is certain; else the weights of name, birth date, sex, phone, address and a
mistyped resident ID say how sure it is. Each entry tells what each field said. A name alone
never matches, and neither does one who holds another valid resident ID.

Spec: https://hl7.org/fhir/R4/patient-operation-match.html
"""

from decimal import Decimal
from typing import Any

import msgspec

from fhir_hub.errors import InvalidParameter
from fhir_hub.identity import doubles, systems
from fhir_hub.identity.doubles import Double
from fhir_hub.rest.links import full_url
from fhir_hub.rest.message import FhirRequest, FhirResponse, answer
from fhir_hub.rest.operations.inputs import only_on, read_inputs
from fhir_hub.rest.service import Service

ON = ("Patient",)
_NAMES = ("resource", "onlyCertainMatches", "count")
_GRADE = "http://hl7.org/fhir/StructureDefinition/match-grade"
_SAID = f"{systems.BASE}/StructureDefinition/match-field"
_AT_MOST = 100


async def match(request: FhirRequest, service: Service) -> FhirResponse:
    """Return a searchset of the Patients that may be the one given, the surest first.

    With `onlyCertainMatches` it is the one that is certain, or (R4) nobody where several are;
    `count` limits. Raises `InvalidParameter`, `InvalidResource`.
    """
    only_on(request, service, *ON)
    inputs = read_inputs(request, "$match", _NAMES, bare="resource")
    wanted = inputs.resource("resource")
    if wanted is None or wanted.get("resourceType") != "Patient":
        raise InvalidParameter("$match needs a Patient: as the body, or as resource in Parameters")
    service.checks.require(wanted)
    is_strict, count = inputs.flag("onlyCertainMatches"), inputs.number("count", 100, _AT_MOST)
    found = await doubles.find(wanted, doubles.OfStore(service.repository.store))
    advice = ""
    if is_strict:
        found = [one for one in found if one.score.grade == "certain"]
        if len(found) > 1:
            advice = f"{len(found)} patients are certain matches; ask without onlyCertainMatches"
            found = []
    entries = [_entry(request.base, one) for one in found[:count]]
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset", "total": len(entries)}
    if advice:
        entries.append(_advice(advice))
    return answer(200, bundle | ({"entry": entries} if entries else {}))


def _entry(base: str, one: Double) -> dict[str, Any]:
    stored, said = one.stored, one.score
    extensions: list[dict[str, Any]] = [{"url": _GRADE, "valueCode": said.grade}]
    for part in said.parts:
        bits = "" if part.field == "number" else f" {part.bits:+.1f}"
        extensions.append({"url": _SAID, "valueString": f"{part.field}: {part.level}{bits}"})
    return {
        "fullUrl": full_url(base, stored.resource_type, stored.logical_id),
        "resource": msgspec.Raw(stored.content),
        "search": {
            "extension": extensions,
            "mode": "match",
            "score": Decimal(f"{said.score:.4f}").normalize(),
        },
    }


def _advice(text: str) -> dict[str, Any]:
    issue = {"severity": "warning", "code": "multiple-matches", "diagnostics": text}
    details = {"text": "Several certain matches / 有多个确定匹配"}
    outcome = {"resourceType": "OperationOutcome", "issue": [issue | {"details": details}]}
    return {"resource": outcome, "search": {"mode": "outcome"}}
