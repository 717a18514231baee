"""`ConceptMap/$translate`: a code in the words of another system.

Without a map's url every map is asked that goes between what is named.

Spec: https://hl7.org/fhir/R4/conceptmap-operation-translate.html
"""

from typing import Any

from fhir_hub import fhirjson
from fhir_hub.errors import InvalidParameter, NotFound
from fhir_hub.r4.terminology.canonical import matches, read_canonical
from fhir_hub.r4.terminology.compose import Composer
from fhir_hub.r4.terminology.concepts import Facts
from fhir_hub.r4.terminology.shape import require_shape
from fhir_hub.r4.terminology.translate import Source, is_translated, translate
from fhir_hub.rest.message import FhirRequest, FhirResponse, answer
from fhir_hub.rest.operations.inputs import Inputs, only_on, read_inputs
from fhir_hub.rest.operations.terminology_inputs import SHARED, coding_of, composer_of
from fhir_hub.rest.service import Service
from fhir_hub.store.base import Key

ON = ("ConceptMap",)
PARAMETERS = (
    "url",
    "conceptMap",
    "conceptMapVersion",
    "code",
    "system",
    "version",
    "source",
    "coding",
    "codeableConcept",
    "target",
    "targetsystem",
    "dependency",
    "reverse",
    *SHARED,
)


async def operation(request: FhirRequest, service: Service) -> FhirResponse:
    """Return the translations of a code, and whether there is one.

    Raises `NotFound` for a map that is not here, `InvalidParameter` if nothing is asked.
    """
    only_on(request, service, *ON)
    inputs = read_inputs(request, "$translate", PARAMETERS)
    composer = await composer_of(inputs, service)
    asked = Source(
        codings=_codings(inputs),
        source=inputs.text("source"),
        target=inputs.text("target"),
        target_system=inputs.text("targetsystem"),
        is_reverse=inputs.flag("reverse"),
        dependencies=tuple(_dependency(one) for one in inputs.values("dependency")),
    )
    found = translate(asked, await _maps(request, inputs, composer, service), composer.catalogue)
    is_found = is_translated(found)
    rows: list[dict[str, Any]] = [{"name": "result", "valueBoolean": is_found}]
    if not is_found:
        rows.append({"name": "message", "valueString": "no translation is known / 没有对应的编码"})
    rows += [match.row() for match in found]
    return answer(200, {"resourceType": "Parameters", "parameter": rows})


async def _maps(
    request: FhirRequest, inputs: Inputs, composer: Composer, service: Service
) -> list[Facts]:
    if len(request.path) == 3:
        stored = await service.repository.read(Key("ConceptMap", request.path[1]))
        return [fhirjson.loads(stored.content)]
    if (given := inputs.resource("conceptMap")) is not None:
        return [require_shape(given)]
    url, version = read_canonical(inputs.text("url"))
    version = inputs.text("conceptMapVersion") or version
    found = [
        one
        for one in composer.catalogue.concept_maps()
        if not url
        or (
            one.get("url") == url and (not version or matches(version, str(one.get("version", ""))))
        )
    ]
    if url and not found:
        raise NotFound("there is no such ConceptMap here")
    return found


def _codings(inputs: Inputs) -> tuple[Facts, ...]:
    code, coding, concept = (inputs.value(n) for n in ("code", "coding", "codeableConcept"))
    if sum(one is not None for one in (code, coding, concept)) != 1:
        raise InvalidParameter("$translate takes one of code, coding and codeableConcept")
    if coding is not None:
        return (coding_of(coding, inputs, "coding"),)
    if concept is not None:
        codings = concept.get("coding") if isinstance(concept, dict) else None
        if not isinstance(codings, list) or not codings:
            raise InvalidParameter("$translate: codeableConcept needs a coding")
        return tuple(coding_of(one, inputs, "codeableConcept.coding") for one in codings)
    given = {name: inputs.text(name) for name in ("system", "version", "code")}
    if not given["system"]:
        raise InvalidParameter("$translate: code needs its system")
    return ({name: value for name, value in given.items() if value},)


def _dependency(value: Any) -> tuple[str, str]:
    """Return the element and the code of a `dependency`."""
    rows = value if isinstance(value, list) else ()
    parts = {one.get("name"): one for one in rows if isinstance(one, dict)}
    element = parts.get("element", {}).get("valueUri")
    concept = parts.get("concept", {}).get("valueCodeableConcept", {})
    codings = (concept.get("coding") or [{}]) if isinstance(concept, dict) else [None]
    if not (
        isinstance(element, str) and isinstance(codings, list) and isinstance(codings[0], dict)
    ):
        raise InvalidParameter("$translate: a dependency has the parts element and concept")
    return element, str(codings[0].get("code") or concept.get("text") or "")
