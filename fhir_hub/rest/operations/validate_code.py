"""`$validate-code` of a ValueSet and of a CodeSystem: is this code good, and in the set?

The answer is Parameters with `result`, whatever it is; `issues` says in detail what is wrong, in
the words that validators know.

Spec: https://hl7.org/fhir/R4/valueset-operation-validate-code.html and
codesystem-operation-validate-code.html
"""

from dataclasses import replace
from typing import Any

from fhir_hub import fhirjson
from fhir_hub.errors import InvalidParameter
from fhir_hub.r4.terminology.compose import Composer
from fhir_hub.r4.terminology.concepts import Facts
from fhir_hub.r4.terminology.judge import Asked
from fhir_hub.r4.terminology.shape import require_shape
from fhir_hub.r4.terminology.sources import Shelf
from fhir_hub.r4.terminology.validate import Verdict, infer, validate
from fhir_hub.rest.message import FhirRequest, FhirResponse, answer
from fhir_hub.rest.operations.inputs import Inputs, only_on, read_inputs
from fhir_hub.rest.operations.terminology_inputs import (
    SHARED,
    coding_of,
    composer_of,
    languages_of,
    value_set_of,
)
from fhir_hub.rest.service import Service
from fhir_hub.store.base import Key

ON = ("ValueSet", "CodeSystem")
_BOTH = (
    "url",
    "code",
    "display",
    "coding",
    "codeableConcept",
    "abstract",
    "activeOnly",
    "lenient-display-validation",
    *SHARED,
)
OF_VALUE_SET = (
    "valueSet",
    "valueSetVersion",
    "system",
    "systemVersion",
    "inferSystem",
    "valueset-membership-only",
    *_BOTH,
)
OF_CODE_SYSTEM = ("codeSystem", "version", *_BOTH)


async def operation(request: FhirRequest, service: Service) -> FhirResponse:
    """Return whether a code, Coding or CodeableConcept is valid.

    Raises `UnknownTerminology` if the value set is not here, `Unanswerable` if it is faulty,
    `InvalidParameter` if nothing is asked.
    """
    if only_on(request, service, *ON) == "ValueSet":
        return await _of_value_set(request, service)
    return await _of_code_system(request, service)


async def _of_value_set(request: FhirRequest, service: Service) -> FhirResponse:
    inputs = read_inputs(request, "$validate-code", OF_VALUE_SET)
    composer = await composer_of(inputs, service)
    value_set = await value_set_of(request, inputs, composer, service)
    if value_set is None:
        raise InvalidParameter("$validate-code needs url, valueSet, or ValueSet/id/$validate-code")
    version = inputs.text("systemVersion")
    asked = _asked(request, inputs, inputs.text("system"), version, value_set)
    is_bare = asked.form == "code" and not asked.codings[0].get("system")
    if is_bare and not inputs.flag("inferSystem"):
        raise InvalidParameter(
            "Unable to find code to validate (looked for coding | codeableConcept | code+system |"
            " code+inferSystem in parameters)"
        )
    verdict = None
    if is_bare:
        asked, verdict = infer(asked, value_set, composer)
    verdict = verdict or validate(asked, value_set, composer)
    return answer(200, _shown(verdict, asked))


async def _of_code_system(request: FhirRequest, service: Service) -> FhirResponse:
    inputs = read_inputs(request, "$validate-code", OF_CODE_SYSTEM)
    composer = await composer_of(inputs, service)
    url, version = inputs.text("url"), inputs.text("version")
    given = inputs.resource("codeSystem")
    if len(request.path) == 3:
        stored = await service.repository.read(Key("CodeSystem", request.path[1]))
        given = fhirjson.loads(stored.content)
    if given is not None:
        url, version = str(given.get("url", "")), str(given.get("version", ""))
        composer = Composer(
            composer.catalogue.before(Shelf([require_shape(given)])), composer.rules
        )
    asked = _asked(request, inputs, url, version, None)
    if not asked.codings[0].get("system"):
        raise InvalidParameter("$validate-code needs url, codeSystem or CodeSystem/id")
    return answer(200, _shown(validate(asked, None, composer), asked))


def _asked(
    request: FhirRequest, inputs: Inputs, system: str, version: str, value_set: Facts | None
) -> Asked:
    """Return the question; raises `InvalidParameter` unless it is one."""
    languages = languages_of(request, inputs, value_set)
    concept = inputs.value("codeableConcept")
    asked = Asked(
        "code",
        (),
        languages=languages,
        is_lenient_display=inputs.flag("lenient-display-validation"),
        with_abstract=inputs.value("abstract") is None or inputs.flag("abstract"),
        active_only=inputs.flag("activeOnly"),
        membership_only=inputs.flag("valueset-membership-only"),
    )
    forms = [name for name in ("code", "coding", "codeableConcept") if inputs.value(name)]
    if len(forms) != 1:
        raise InvalidParameter("$validate-code takes one of code, coding and codeableConcept")
    if forms == ["code"]:
        coding = {"system": system, "version": version, "code": inputs.text("code")}
        coding["display"] = inputs.text("display")
        return replace(asked, codings=({key: v for key, v in coding.items() if v},))
    if forms == ["coding"]:
        coding = coding_of(inputs.value("coding"), inputs, "coding")
        return replace(asked, form="coding", codings=(coding,))
    codings = concept.get("coding") if isinstance(concept, dict) else None
    if not isinstance(codings, list) or not codings:
        raise InvalidParameter("$validate-code: codeableConcept needs a coding")
    found = tuple(coding_of(one, inputs, "codeableConcept.coding") for one in codings)
    return replace(asked, form="codeableConcept", codings=found, concept=concept)


def _shown(verdict: Verdict, asked: Asked) -> dict[str, Any]:
    """Return the Parameters that say what was found."""
    rows: list[dict[str, Any]] = [{"name": "result", "valueBoolean": verdict.is_valid}]
    if message := verdict.message:
        rows.append({"name": "message", "valueString": message})
    if chosen := verdict.chosen:
        for name, kind, value in (
            ("code", "valueCode", chosen.code),
            ("system", "valueUri", chosen.system),
            ("version", "valueString", chosen.version),
            ("display", "valueString", chosen.display),
        ):
            if value:
                rows.append({"name": name, kind: value})
        concept = chosen.concept
        if concept is not None and concept.code != chosen.code and chosen.code:
            rows.append({"name": "normalized-code", "valueCode": concept.code})
        if concept is not None and concept.is_inactive:
            rows.append({"name": "inactive", "valueBoolean": True})
        if concept is not None and concept.status and _is_notable(concept.status):
            rows.append({"name": "status", "valueCode": concept.status})
    if asked.concept is not None:
        rows.append({"name": "codeableConcept", "valueCodeableConcept": asked.concept})
    if verdict.problems:
        issues = [problem.row() for problem in verdict.problems]
        resource = {"resourceType": "OperationOutcome", "issue": issues}
        rows.append({"name": "issues", "resource": resource})
    rows += [
        {"name": name, "valueCanonical": one}
        for name, found in (
            ("x-unknown-system", verdict.unknown_systems),
            ("x-caused-by-unknown-system", verdict.caused_by),
        )
        for one in found
    ]
    return {"resourceType": "Parameters", "parameter": rows}


def _is_notable(status: str) -> bool:
    return status in ("deprecated", "retired", "withdrawn", "experimental")
