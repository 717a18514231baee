"""A document that another one replaces is obsolete, in whichever order the two come.

Where the one that replaced it is cancelled (T11) it is in force again.

Spec: HL7v2 chapter 9, T09 and T10; R4 documentreference.relatesTo
"""

from collections.abc import Iterable, Sequence
from typing import Any

from fhir_hub import fhirjson
from fhir_hub.hl7v2.storing.things import Thing, is_anothers
from fhir_hub.repository.unit import Resource, Unit
from fhir_hub.search.plan import Has, Is
from fhir_hub.store.base import Stored


async def supersede(unit: Unit, things: Sequence[Thing]) -> None:
    """Stage as superseded what a document of the message replaces, and one replaced before."""
    for thing in things:
        if thing.resource_type != "DocumentReference":
            continue
        current = await unit.current(thing.key)
        this: Resource = fhirjson.loads(current.content) if current and current.content else {}
        if others := _related_to_others(this):
            this = others
            await unit.update(this, thing.logical_id)
        for stored in await _found(unit, "identifier", _tests(_replaced(this)), this):
            await _set(unit, stored, "current", "superseded")
        if thing.stored and thing.resource.get("status") == "entered-in-error":
            await _restore(unit, thing.stored)
        own = _tests(thing.resource.get("identifier", ()))
        later = await _found(unit, "relatesto:identifier", own, this)
        if any(_replaced(fhirjson.loads(one.content)) for one in later):
            await _set(unit, await unit.current(thing.key), "current", "superseded")


def _related_to_others(document: Resource) -> Resource | None:
    """Return a document without what names itself as the one that it follows (TXA-13 as TXA-12)."""
    own = _tests(document.get("identifier", ()))
    related = document.get("relatesTo", [])
    kept = [one for one in related if own != _tests([one.get("target", {}).get("identifier", {})])]
    if kept == related:
        return None
    rest = {name: part for name, part in document.items() if name != "relatesTo"}
    return {**rest, "relatesTo": kept} if kept else rest


async def _restore(unit: Unit, cancelled: Resource) -> None:
    """Stage what a cancelled document had replaced as in force, if no other one replaces it."""
    for stored in await _found(unit, "identifier", _tests(_replaced(cancelled)), cancelled):
        numbers = _tests(fhirjson.loads(stored.content).get("identifier", ()))
        later = await _found(unit, "relatesto:identifier", numbers, cancelled)
        others = [one for one in later if one.logical_id != cancelled["id"]]
        if not any(_replaced(fhirjson.loads(one.content)) for one in others):
            await _set(unit, stored, "superseded", "current")


async def _found(unit: Unit, parameter: str, tests: tuple[Is, ...], of: Resource) -> list[Stored]:
    """Return the documents of the numbers but those of other patients than `of` is of."""
    plan = Has(parameter, "token", tests)
    found = await unit.find("DocumentReference", plan) if tests else []
    return [one for one in found if not is_anothers(of, fhirjson.loads(one.content))]


def _replaced(document: Resource) -> list[Any]:
    """Return the numbers of the documents that one replaces, if it was ever in force."""
    if document.get("status") == "entered-in-error":
        return []
    related = (one for one in document.get("relatesTo", ()) if one.get("code") == "replaces")
    return [one["target"]["identifier"] for one in related if "identifier" in one.get("target", {})]


def _tests(identifiers: Iterable[Any]) -> tuple[Is, ...]:
    return tuple(
        Is(one["value"], one["system"]) for one in identifiers if {"value", "system"} <= {*one}
    )


async def _set(unit: Unit, stored: Stored | None, was: str, status: str) -> None:
    document: Resource = fhirjson.loads(stored.content) if stored else {}
    if stored and document.get("status") == was:
        await unit.update({**document, "status": status}, stored.logical_id)
