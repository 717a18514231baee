"""What the terminology operations are given in the same way: value sets, versions, languages.

A request may bring resources with it (`tx-resource`), which go before all others, and say which
versions it means. A language is that of `displayLanguage`, else of the header.

Spec: https://hl7.org/fhir/R4/terminology-service.html
"""

from collections.abc import Iterable
from typing import Any

from fhir_hub import fhirjson
from fhir_hub.errors import InvalidParameter
from fhir_hub.r4.terminology.canonical import Canonical, read_canonical
from fhir_hub.r4.terminology.compose import EXPANSION_PARAMETER, Composer
from fhir_hub.r4.terminology.concepts import Facts
from fhir_hub.r4.terminology.implicit import implicit_value_set
from fhir_hub.r4.terminology.languages import Languages, read_languages
from fhir_hub.r4.terminology.problems import unknown_value_set
from fhir_hub.r4.terminology.shape import require_shape
from fhir_hub.r4.terminology.versions import Rules, patterns
from fhir_hub.rest.message import FhirRequest
from fhir_hub.rest.operations.inputs import Inputs
from fhir_hub.rest.service import Service
from fhir_hub.store.base import Key

# `cache-id` names what a client has sent before; everything is sent again here
SHARED = (
    "displayLanguage",
    "system-version",
    "check-system-version",
    "force-system-version",
    "default-valueset-version",
    "useSupplement",
    "tx-resource",
    "cache-id",
)


async def composer_of(inputs: Inputs, service: Service) -> Composer:
    """Return what makes value sets ready as the request says. Raises `InvalidParameter`."""
    brought = [_resource(one) for one in inputs.values("tx-resource")]
    rules = Rules(
        default=patterns(_texts(inputs, "system-version")),
        check=patterns(_texts(inputs, "check-system-version")),
        force=patterns(_texts(inputs, "force-system-version")),
        value_sets=patterns(_texts(inputs, "default-valueset-version")),
        supplements=tuple(_texts(inputs, "useSupplement")),
    )
    await service.stored_terminology.refresh()
    return service.terminology.composer(rules, brought)


async def value_set_of(
    request: FhirRequest, inputs: Inputs, composer: Composer, service: Service
) -> Facts | None:
    """Return the value set of the address, of `valueSet` or of `url`; None if none is named.

    Raises `NotFound` and `Gone` for an address, `UnknownTerminology` for a url, `InvalidResource`.
    """
    if len(request.path) == 3:
        stored = await service.repository.read(Key("ValueSet", request.path[1]))
        found: Facts = fhirjson.loads(stored.content)
        return found
    given = inputs.resource("valueSet")
    if given is not None:
        if given["resourceType"] != "ValueSet":
            raise InvalidParameter(f"{inputs.operation}: valueSet must be a ValueSet")
        return require_shape(given)
    url, version = read_canonical(inputs.text("url"))
    if not url:
        return None
    version = inputs.text("valueSetVersion") or version or composer.rules.value_set_version(url)
    catalogue = composer.catalogue
    facts = catalogue.value_set(url, version) or implicit_value_set(url, catalogue)
    if facts is None:
        raise unknown_value_set(str(Canonical(url, version)))
    return facts


def languages_of(request: FhirRequest, inputs: Inputs, value_set: Facts | None) -> Languages:
    """Return the languages of `displayLanguage`, of the value set's wish, else of the header.

    Raises `Unanswerable` for what is no language.
    """
    text = inputs.text("displayLanguage")
    if not text and value_set is not None:
        text = _wished(value_set)
    text = text or request.headers.get("accept-language", "")
    return read_languages(text or str((value_set or {}).get("language", "")))


def _wished(value_set: Facts) -> str:
    """Return the language that a value set says it is to be shown in."""
    compose = value_set.get("compose")
    rows = compose.get("extension", ()) if isinstance(compose, dict) else ()
    for row in (*rows, *value_set.get("extension", ())):
        if isinstance(row, dict) and row.get("url") == EXPANSION_PARAMETER:
            parts = {one.get("url"): one for one in row.get("extension", ())}
            if parts.get("name", {}).get("valueCode") == "displayLanguage":
                value = parts.get("value", {})
                return str(value.get("valueString") or value.get("valueCode") or "")
    return ""


def number_from_0(inputs: Inputs, name: str) -> int | None:
    """Return the whole number `name` from 0, None without one; raises `InvalidParameter`."""
    value = inputs.value(name)
    if value is None:
        return None
    text = str(value)
    if isinstance(value, bool) or not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InvalidParameter(f"{inputs.operation}: {name} must be a whole number from 0")
    return int(text)


def coding_of(value: Any, inputs: Inputs, name: str) -> dict[str, Any]:
    """Return a Coding that was given; raises `InvalidParameter` if it is none."""
    if not isinstance(value, dict) or not isinstance(value.get("code", ""), str):
        raise InvalidParameter(f"{inputs.operation}: {name} is a Coding in a Parameters resource")
    return value


def _resource(value: Any) -> Facts:
    if not isinstance(value, dict) or "resourceType" not in value:
        raise InvalidParameter("tx-resource must be a resource")
    return require_shape(value)


def _texts(inputs: Inputs, name: str) -> Iterable[str]:
    for value in inputs.values(name):
        if not isinstance(value, str):
            raise InvalidParameter(f"{inputs.operation}: {name} must be a canonical")
        yield value
