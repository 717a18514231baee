"""Which stored results a report has whose filler's number came later than they, or is left out.

A result is found by the number of its order (`calls/keys.py`): the filler's, and as long as nobody
tells that the placer's. The report itself is found by either, so its results tell what is meant.

Spec: HL7v2 chapter 7, OBR-2 and OBR-3
"""

from collections.abc import Iterator, Sequence

from fhir_hub import fhirjson
from fhir_hub.hl7v2.conversion.matches import is_told_in_parts
from fhir_hub.hl7v2.making.drafts import keys_of
from fhir_hub.hl7v2.storing.merge import Resource
from fhir_hub.hl7v2.storing.things import Thing
from fhir_hub.repository.unit import Unit
from fhir_hub.store.base import Key


async def find_results(unit: Unit, things: Sequence[Thing]) -> None:
    """Have the results of reports found that were told under another number of the report."""
    for report in things:
        if report.resource_type != "DiagnosticReport" or report.stored is None:
            continue
        if not is_told_in_parts(report.resource, report.stored):
            continue
        said = {one["reference"] for one in report.resource.get("result", ())}
        new = [
            one
            for one in things
            if one.resource_type == "Observation"
            and not one.logical_id
            and not said.isdisjoint(one.full_urls)
        ]
        if new:
            await _find(unit, new, report.resource, report.stored)


async def _find(unit: Unit, new: Sequence[Thing], report: Resource, stored: Resource) -> None:
    both = (*report.get("identifier", ()), *stored.get("identifier", ()))
    numbers = {f"{one['value']}/" for one in both if "value" in one}
    known: dict[str, Resource] = {}
    for one in stored.get("result", ()):
        kind, _, logical_id = one.get("reference", "").partition("/")
        found = await unit.current(Key(kind, logical_id))
        if found is not None and not found.is_deleted:
            result: Resource = fhirjson.loads(found.content)
            known.update((key, result) for key in _within(result, numbers))
    for thing in new:
        for key in _within(thing.resource, numbers):
            if key in known and not thing.logical_id:
                thing.found(known.pop(key))


def _within(result: Resource, numbers: set[str]) -> Iterator[str]:
    """Yield the keys of a result without the number of its order that they begin with."""
    for _, key in keys_of(result):
        for number in numbers:
            if key.startswith(number):
                yield key.removeprefix(number)
