"""A merge undone (A37), and two records linked without being one (A24).

What a merge re-pointed goes back, and what came later by the old number (`identity/merging.py`
does both, for FHIR's operations too). Both records are then as their numbers say. Who may:
`entitled.py`.

Spec: HL7v2 chapter 3, A24 and A37; https://hl7.org/fhir/R4/patient.html#merge
"""

from collections.abc import Sequence

from fhir_hub import fhirjson
from fhir_hub.errors import InvalidMessage, VersionConflict
from fhir_hub.hl7v2.meaning import entitled
from fhir_hub.hl7v2.meaning.telling import Note, Telling
from fhir_hub.hl7v2.reports.origin import JOURNAL
from fhir_hub.hl7v2.storing.merge import Resource
from fhir_hub.hl7v2.storing.rewriting import without_numbers
from fhir_hub.hl7v2.storing.things import Thing
from fhir_hub.identity import match, merging
from fhir_hub.identity.match import Number
from fhir_hub.repository.unit import Unit
from fhir_hub.search.parameters import Parameters
from fhir_hub.search.plan import And, Has, Is

MERGES = frozenset(["A18", "A30", "A34", "A36", "A39", "A40"])
_OF_A_THIRD = (
    "both went into a third record: say of one that it is not that one's"
    " / 两份档案均已并入第三份档案：请注明其中一份不属于该档案"
)
_NO_NUMBER = "one of the two has no patient number / 两位患者中有一位没有患者号码"
_MADE = ("merge", "link")
_UNDONE = ("unmerge", "unlink")


async def find(unit: Unit, patients: Sequence[Thing]) -> None:
    """Find each record of the message by its own numbers, also one that was merged away.

    A national number tells whose it is where no other is known: both may have it. Raises
    `VersionConflict` where numbers lead to several that are in use, `InvalidMessage` where one
    has none.
    """
    for thing in patients:
        numbers = match.numbers(thing.resource.get("identifier", ()))
        if not numbers:
            raise InvalidMessage(_NO_NUMBER, error_code="101", location="PID-3")
        held = await _held(unit, match.own(numbers)) or await _held(unit, numbers)
        alive = [one for one in held if not match.survivor_id(one)]
        if len(alive) > 1:
            raise VersionConflict(
                "the number leads to several / 该号码对应多个患者", expression="Patient.identifier"
            )
        if chosen := (alive or held):
            thing.found(chosen[0])
            is_again = any(one.key == thing.key for one in patients if one is not thing)
            thing.is_left = thing.is_left or is_again or bool(match.survivor_id(chosen[0]))
    _share_out(patients)


async def _held(unit: Unit, numbers: Sequence[Number]) -> list[Resource]:
    found = await unit.find("Patient", match.plan_of(numbers)) if numbers else ()
    return [fhirjson.loads(stored.content) for stored in found]


def _share_out(patients: Sequence[Thing]) -> None:
    """Have a number that the message says of both be of the record that has it, else the first."""
    said = [match.numbers(one.resource.get("identifier", ())) for one in patients]
    had = [match.numbers((one.stored or {}).get("identifier", ())) for one in patients]
    taken = {number for numbers in had for number in numbers}
    for thing, numbers, own in zip(patients, said, had, strict=True):
        thing.converted = without_numbers(thing.converted, taken.difference(own))
        taken |= set(numbers)


async def stage(
    unit: Unit, patients: Sequence[Thing], telling: Telling, parameters: Parameters
) -> str:
    """Link (A24) or unlink (A37) the two records of a message; return what people should know.

    Where they were merged, over chains too, that is undone: what was re-pointed goes back. Where
    there is nothing to undo nothing is done. Raises `VersionConflict` where the teller may not
    part them, or both went into a third record.
    """
    if len({one.key for one in patients[:2]}) < 2:
        telling.notes.append(Note("names_one_record", "Patient"))
        return ""
    first, second = patients[:2]
    opposite = ("A37",) if telling.teller.event == "A24" else (*MERGES, "A24")
    if await telling.has_since(opposite, first.key, second.key):
        return ""
    pairs = ((first, second), (second, first))
    ways = [
        await merging.way(unit, one.stored or {"id": one.logical_id}) for one in (first, second)
    ]
    is_one = not set(ways[0]).isdisjoint(ways[1])
    if telling.teller.event == "A24":
        if is_one:
            telling.notes.append(Note("names_one_record", "Patient"))
            return ""
        for one, other in pairs:
            await merging.change_links(unit, one.logical_id, add=(other.address, "seealso"))
        return ""
    for (prior, survivor), way in zip(pairs, ways, strict=True):
        if survivor.logical_id in way[1:]:
            known = survivor.stored or {}  # before this message told of it
            into = (
                known
                if way[1] == known.get("id")
                else await merging.patient(unit, way[1], "target")
            )
            return await _unmerge(unit, prior, into, telling, parameters)
    if is_one:
        raise VersionConflict(_OF_A_THIRD, expression="Patient.link")
    if any(_is_linked(*pair) for pair in pairs):
        await _require(unit, first.stored or {}, second.stored or {}, telling)
    for one, other in pairs:
        await merging.change_links(unit, one.logical_id, drop=other.address)
    return ""


async def _require(unit: Unit, prior: Resource, survivor: Resource, telling: Telling) -> None:
    """Raise `VersionConflict` where the teller may not part two stored records."""
    both = tuple(
        Has("target", "reference", (Is(f"Patient/{one['id']}"),)) for one in (prior, survivor)
    )
    found = [fhirjson.loads(one.content) for one in await unit.find("Provenance", And(both))]
    by: list[str] = []
    for one in sorted(found, key=_written):
        done = {str(coding.get("code")) for coding in one.get("activity", {}).get("coding", ())}
        if not done.isdisjoint(_UNDONE):
            by.clear()
        elif not done.isdisjoint(_MADE):
            by.append(str(one["agent"][0]["who"].get("identifier", {}).get("system", "")))
    entitled.require_unlink(prior, survivor, next(iter(by), ""), telling)


async def _unmerge(
    unit: Unit, prior: Thing, survivor: Resource, telling: Telling, parameters: Parameters
) -> str:
    await _require(unit, prior.stored or {}, survivor, telling)
    back = await merging.unmerge(unit, prior.logical_id, survivor, parameters)
    return merging.told(back, prior.logical_id)


async def parted(unit: Unit, patients: Sequence[Thing]) -> list[Thing]:
    """Return what was merged away before the message and is in use now: it may tell of it."""
    found = list[Thing]()
    for thing in patients[:2]:
        if thing.stored and match.survivor_id(thing.stored):
            now = await merging.patient(unit, thing.logical_id, "source")
            if not match.survivor_id(now):
                thing.found(now)
                thing.is_left = False
                found.append(thing)
    return found


def _is_linked(one: Thing, other: Thing) -> bool:
    links = (one.stored or {}).get("link", ())
    return any(link.get("other", {}).get("reference") == other.address for link in links)


def explain(records: Sequence[Thing], text: str) -> None:
    """Say in the message's Provenance what went back and what stays where it is."""
    for thing in records if text else ():
        if thing.resource["resourceType"] == "Provenance":
            reasons = [*thing.resource.get("reason", ()), {"text": text}]
            thing.say({**thing.resource, "reason": reasons})


def _written(provenance: Resource) -> tuple[str, int]:
    """Return when it was stored, and of which message of the journal it is."""
    meta = provenance["meta"]
    codes = [one.get("code", "") for one in meta.get("tag", ()) if one.get("system") == JOURNAL]
    return meta["lastUpdated"], int(codes[0]) if codes else 0
