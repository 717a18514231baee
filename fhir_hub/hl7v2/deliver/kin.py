"""What is told with a person, and so is a change of what partners know of her.

Relatives, allergies, cover and contract have no message of their own: ADT tells them with the
person, all that there are. If one of them changes alone, a partner who is told of persons gets
her ADT^A31 anew; with her, or with her visit, it is told by that.

Spec: HL7v2 chapter 3 (A31); docs/outbound.md
"""

from collections.abc import Sequence
from typing import Any

from fhir_hub import fhirjson
from fhir_hub.hl7v2.deliver.desk import Desk, may_name
from fhir_hub.hl7v2.emit.events import visit_event
from fhir_hub.hl7v2.emit.layouts import WITHOUT_KIN
from fhir_hub.r4.placeholders import is_placeholder
from fhir_hub.referral.contracts import CATEGORY, is_contract
from fhir_hub.settings.partners import PartnerSettings
from fhir_hub.store.base import Key, Stored

Json = dict[str, Any]
# The element that leads to the person, and how a person's are found.
_ELEMENTS = {
    "RelatedPerson": "patient",
    "AllergyIntolerance": "patient",
    "Coverage": "beneficiary",
    "CareTeam": "subject",
}
_SEARCHES = {kind: element for kind, element in _ELEMENTS.items() if kind != "CareTeam"} | {
    "CareTeam": f"category={CATEGORY}&subject"
}
KINDS = frozenset(_ELEMENTS)
RELATIVES = ("RelatedPerson",)
_MOST = 1000  # of each kind: to who takes the list for whole, one left out has ended
_UNTOLD = ("meta", "text")


async def kin(address: str, desk: Desk, kinds: Sequence[str] = tuple(_ELEMENTS)) -> list[Json]:
    """Return what is told with a person: her relatives, allergies, cover and contract."""
    if not address.startswith("Patient/"):
        return []
    return [
        fhirjson.loads(one.content)
        for kind in kinds
        for one in await desk.find(kind, f"{_SEARCHES[kind]}={address}", _MOST)
    ]


async def diagnoses(visit: str, desk: Desk) -> list[Json]:
    """Return the Conditions that name a visit (`Encounter/1`) as theirs."""
    return [
        fhirjson.loads(one.content)
        for one in await desk.find("Condition", f"encounter={visit}", _MOST)
    ]


async def visit_of(
    change: Stored, content: Json, others: Sequence[Stored], desk: Desk
) -> Stored | None:
    """Return the visit whose message tells of a diagnosis that changed alone.

    None if it says nothing new, or if one of `others`, his candidates of its commit, tells of it.
    That it was deleted none of them says.
    """
    address = _visit_of(content)
    kind, _, logical_id = address.partition("/")
    if kind != "Encounter" or not await _is_changed(change, content, desk):
        return None
    for one in () if change.is_deleted else others:
        if f"{one.resource_type}/{one.logical_id}" == address:
            return None
        if one.resource_type == "Condition" and one.sequence < change.sequence:
            held = await desk.content(one)
            if held and _visit_of(held) == address and await _is_changed(one, held, desk):
                return None
    found = await desk.store.read(Key(kind, logical_id))
    return None if found is None or found.is_deleted else found


def _visit_of(condition: Json) -> str:
    return str(condition.get("encounter", {}).get("reference", ""))


async def person_of(content: Json, desk: Desk) -> tuple[Stored, Json] | None:
    """Return whose something is, as she is now; None of who is not in use, or not known."""
    address = _owner(content)
    kind, _, logical_id = address.partition("/")
    if kind != "Patient" or "/" in logical_id:
        return None
    found = await desk.store.read(Key(kind, logical_id))
    if found is None or found.is_deleted:
        return None
    person = fhirjson.loads(found.content)
    is_merged = any(link.get("type") == "replaced-by" for link in person.get("link", ()))
    if is_merged or person.get("active") is False or is_placeholder(person):
        return None
    return found, person


async def is_news(
    change: Stored,
    content: Json,
    others: Sequence[Stored],
    partner: PartnerSettings,
    desk: Desk,
) -> bool:
    """Say whether a change is to be told for itself; `others` are his candidates of its commit."""
    kind = change.resource_type
    if not await _is_changed(change, content, desk):
        return False
    address = _owner(content)
    if change.is_deleted:  # another message of her cannot say that it was the last of its kind
        alike = (one for one in others if one.is_deleted and one.resource_type == kind)
        first = next(alike, change)
        held = await desk.content(first) if first.sequence < change.sequence else None
        if held is None or _owner(held) != address:
            return True
        return not await _is_changed(first, held, desk)
    near = [one for one in others if may_name(one, address)]
    visits = [one for one in near if one.resource_type == "Encounter"]
    events = [event for one in visits if (event := await _told(one, address, partner, desk))]
    if any(event not in WITHOUT_KIN for event in events):
        return False
    # her own message, unless that of her visit takes its place
    is_told = any(f"{one.resource_type}/{one.logical_id}" == address for one in others)
    if is_told and not events:
        return False
    for one in near:
        if one.resource_type in KINDS and one.sequence < change.sequence:
            held = await desk.content(one)
            if held and _owner(held) == address and await _is_changed(one, held, desk):
                return False
    return True


def _owner(content: Json) -> str:
    return str(content.get(_ELEMENTS[content["resourceType"]], {}).get("reference", ""))


async def _is_changed(change: Stored, content: Json, desk: Desk) -> bool:
    """Say whether a version says what the one before did not; of care teams only contracts."""
    if change.resource_type == "CareTeam" and not is_contract(content):
        return False
    before = await desk.before(change) or {}
    told, was = (
        {name: value for name, value in one.items() if name not in _UNTOLD}
        for one in (content, before)
    )
    return told != was


async def _told(visit: Stored, address: str, partner: PartnerSettings, desk: Desk) -> str:
    """Return which message a partner gets of a visit; empty for none, or of another's."""
    content = await desk.content(visit)
    if content is None or content.get("subject", {}).get("reference") != address:
        return ""
    is_wanted = await desk.meets(visit, partner.sends["Encounter"])
    return visit_event(content, await desk.before(visit)) if is_wanted else ""
