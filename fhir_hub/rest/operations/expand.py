"""`ValueSet/$expand`: the codes of a value set, or a page of those that fit a text.

Spec: https://hl7.org/fhir/R4/valueset-operation-expand.html
"""

from typing import Any
from uuid import uuid4

from fhir_hub.clock import instant
from fhir_hub.errors import InvalidParameter
from fhir_hub.r4.terminology.expand import Wanted, expand
from fhir_hub.rest.message import FhirRequest, FhirResponse, answer
from fhir_hub.rest.operations.inputs import Inputs, only_on, read_inputs
from fhir_hub.rest.operations.terminology_inputs import (
    SHARED,
    composer_of,
    languages_of,
    number_from_0,
    value_set_of,
)
from fhir_hub.rest.service import Service

ON = ("ValueSet",)
PARAMETERS = (
    "url",
    "valueSet",
    "valueSetVersion",
    "filter",
    "offset",
    "count",
    "includeDesignations",
    "designation",
    "includeDefinition",
    "activeOnly",
    "excludeNested",
    "excludeNotForUI",
    "excludePostCoordinated",
    "exclude-system",
    "property",
    *SHARED,
)
# of what was given these are repeated in the answer, each with its type
_ECHOED = {
    "filter": "valueString",
    "offset": "valueInteger",
    "count": "valueInteger",
    "includeDesignations": "valueBoolean",
    "designation": "valueString",
    "includeDefinition": "valueBoolean",
    "activeOnly": "valueBoolean",
    "excludeNested": "valueBoolean",
    "excludeNotForUI": "valueBoolean",
    "excludePostCoordinated": "valueBoolean",
    "exclude-system": "valueUri",
}


async def operation(request: FhirRequest, service: Service) -> FhirResponse:
    """Return the value set with its expansion.

    Raises `UnknownTerminology` if it, or what it draws on, is not here, `TooCostly` if it is too
    large and no page of it is asked for, `InvalidParameter`.
    """
    only_on(request, service, *ON)
    inputs = read_inputs(request, "$expand", PARAMETERS, bare="valueSet")
    composer = await composer_of(inputs, service)
    value_set = await value_set_of(request, inputs, composer, service)
    if value_set is None:
        raise InvalidParameter("$expand needs url, valueSet, or ValueSet/id/$expand")
    languages = languages_of(request, inputs, value_set)
    wanted = Wanted(
        text=inputs.text("filter") if inputs.value("filter") else "",
        offset=number_from_0(inputs, "offset") or 0,
        count=number_from_0(inputs, "count"),
        with_designations=inputs.flag("includeDesignations"),
        designations=tuple(str(one) for one in inputs.values("designation")),
        with_definition=inputs.flag("includeDefinition"),
        active_only=inputs.flag("activeOnly"),
        is_flat=inputs.flag("excludeNested"),
        selectable_only=inputs.flag("excludeNotForUI"),
        excluded_systems=tuple(str(one) for one in inputs.values("exclude-system")),
        languages=languages,
        properties=tuple(str(one) for one in inputs.values("property")),
        echoed=_echoed(inputs, languages.text),
        most=service.expansion_limit,
    )
    expanded = expand(composer.of(value_set), wanted, composer.rules)
    stamp = {"identifier": f"urn:uuid:{uuid4()}", "timestamp": instant(service.repository.clock())}
    expanded["expansion"] = stamp | expanded["expansion"]
    return answer(200, expanded)


def _echoed(inputs: Inputs, language: str) -> tuple[tuple[str, str, Any], ...]:
    rows = [
        (name, _ECHOED[name], _typed(value, _ECHOED[name]))
        for name, value in inputs.pairs
        if name in _ECHOED
    ]
    if language:
        rows.append(("displayLanguage", "valueCode", language))
    return tuple(rows)


def _typed(value: Any, kind: str) -> Any:
    if kind == "valueBoolean":
        return value in (True, "true")
    return int(str(value)) if kind == "valueInteger" else str(value)
