"""The conclusion of a report that a message tells in part: all of its impressions that stand.

A message that takes an impression back, or tells one again by its number (OBX-4), leaves the
others of the report as they are: its conclusion is made of all, in the order of the results.
Impressions without a number are told together, so those of the message are all.

Spec: HL7v2 chapter 7, OBX-4 and OBX-11; R4 diagnosticreport.conclusion
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from fhir_hub import fhirjson
from fhir_hub.hl7v2.calls.narratives import CONCLUSIONS, IMPRESSION, SUFFIXES
from fhir_hub.hl7v2.making.drafts import keys_of
from fhir_hub.hl7v2.storing.things import Thing
from fhir_hub.repository.unit import Resource, Unit
from fhir_hub.store.base import Key

_GONE = ("entered-in-error", "cancelled")
_NUMBERED = f"&{IMPRESSION}"  # in a result's key a number comes behind it


async def restate(unit: Unit, things: Sequence[Thing], addresses: Mapping[str, str]) -> None:
    """Stage the conclusions of stored reports of which a message tells some impressions."""
    for thing in things:
        if thing.resource_type != "DiagnosticReport" or not thing.stored:
            continue
        said = thing.converted.nulls, thing.resource
        if not any(name in one for name in CONCLUSIONS for one in said):
            continue
        results = {addresses.get(one, one) for one in _results(thing.resource)}
        told = [one for one in things if one.address in results and is_impression(one.resource)]
        if any(one.resource.get("status") in _GONE for one in told) or all(map(_is_numbered, told)):
            await _restate(unit, thing.key)


async def _restate(unit: Unit, key: Key) -> None:
    stored = await unit.current(key)
    report: Resource = fhirjson.loads(stored.content) if stored else {}
    values: list[Resource] = []
    for address in _results(report):
        found = await unit.current(Key("Observation", address.rpartition("/")[2]))
        one = fhirjson.loads(found.content) if found and not found.is_deleted else {}
        if is_impression(one) and one.get("status") not in _GONE:
            values += one.get("component") or [one]
    texts = [text for one in values if (text := _text(one))]
    concepts = [one["valueCodeableConcept"] for one in values if "valueCodeableConcept" in one]
    coded = [one for one in concepts if "coding" in one]
    rest = {name: part for name, part in report.items() if name not in CONCLUSIONS}
    said = {"conclusion": "\n".join(texts), "conclusionCode": coded}
    await unit.update(rest | {name: part for name, part in said.items() if part}, key.logical_id)


def is_impression(observation: Resource) -> bool:
    """Say whether a result is the impression of a report in words."""
    codings: Iterable[Any] = observation.get("code", {}).get("coding", ())
    return any((one.get("system"), one.get("code")) == (SUFFIXES, IMPRESSION) for one in codings)


def _results(report: Resource) -> Iterator[str]:
    return (str(one.get("reference", "")) for one in report.get("result", ()))


def _is_numbered(impression: Thing) -> bool:
    return any(
        code.rpartition("/")[0].endswith(_NUMBERED) for _, code in keys_of(impression.resource)
    )


def _text(value: Resource) -> str:
    concept = value.get("valueCodeableConcept", {})
    coding: Resource = next(iter(concept.get("coding", ())), {})
    shown = concept.get("text") or coding.get("display") or coding.get("code", "")
    return str(value.get("valueString") or shown)
