"""What a teller withdrew and when: marks in `meta`, so that an older message brings nothing back.

An element that `""` deleted has a mark, and an item that was taken out of a list (the attending
doctor, a room). The mark says who withdrew it and as of when; so it holds against what the same
teller said before that, also when something else was told since. Of an element that is not
there the mark of anybody else holds. What a list that is whole lacks needs none: the journal knows
which lists came later (`retold.py`).

Spec: HL7v2 chapter 2, 2.5.3; https://hl7.org/fhir/R4/resource.html#Meta
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from fhir_hub import fhirjson
from fhir_hub.hl7v2.conversion.convert import Converted
from fhir_hub.hl7v2.making.rules import who
from fhir_hub.hl7v2.meaning.teller import Teller, time_of
from fhir_hub.hl7v2.storing.merge import KEPT, fits
from fhir_hub.identity import systems

Json = dict[str, Any]
WITHDRAWN = f"{systems.BASE}/StructureDefinition/withdrawn"
# By segment of a booking: what may be booked.
BOOKED = MappingProxyType(
    {"AIP": ("Practitioner", "PractitionerRole"), "AIL": ("Location",), "AIG": ("Device",)}
)


class _Mark(NamedTuple):
    """One mark: `text` names an element, or an item of it by its JSON; the extension says all."""

    text: str
    extension: Json

    @property
    def element(self) -> str:
        return self.text.partition(" ")[0]

    @property
    def item(self) -> str:
        return self.text.partition(" ")[2]

    @property
    def is_of_one(self) -> bool:
        """Whether it marks one item, and not all of a kind."""
        return self.item.startswith('{"reference"')

    def holds_against(self, teller: Teller, stored: Json) -> bool:
        """Say whether it holds against the message at hand: what the teller withdrew later does.

        Of a Patient nothing that another institution withdrew does.
        """
        kind = stored["resourceType"]
        if teller.speaks(self.extension, kind):
            return time_of(self.extension) > teller.time
        if kind == "Patient" and time_of(self.extension):
            return False
        return not _is_there(self, stored)


def _marks(resource: Mapping[str, Any]) -> list[_Mark]:
    found = []
    for one in resource.get("meta", {}).get("extension", ()):
        if one.get("url") == WITHDRAWN:
            kind = one.get("valueIdentifier", {}).get("type", {})
            # before marks had a teller and a time they were a name alone
            found.append(_Mark(str(kind.get("text") or one.get("valueString", "")), one))
    return found


def without_withdrawn(converted: Converted, stored: Json, teller: Teller) -> Converted:
    """Return an older message's resource without what was withdrawn from the stored one."""
    resource = dict(converted.resource)
    for mark in _marks(stored):
        said = resource.get(mark.element)
        if said is None or not mark.holds_against(teller, stored):
            continue
        left = [one for one in said if not _is(mark, one)] if mark.item else []
        if left:
            resource[mark.element] = left
        else:
            del resource[mark.element]
    return converted._replace(resource=resource)


def unlisted(converted: Converted, lists: Iterable[str], stored: Json) -> Converted:
    """Return what an older message says without what the newer `lists` have better.

    A contact that they leave as it was stays: it is told so since then.
    """
    resource = dict(converted.resource)
    kinds = {kind for group in lists for kind in BOOKED.get(group, ())}
    if "NK1" in lists and resource["resourceType"] == "Patient" and "contact" in resource:
        told = (stored, *stored.get("contained", ()))
        held = [one for patient in told for one in patient.get("contact", ())]
        resource["contact"] = [one for one in resource["contact"] if one in held]
        if not resource["contact"]:
            del resource["contact"]
    if "DG1" in lists and resource["resourceType"] == "Encounter":
        resource.pop("diagnosis", None)
    if kinds and "participant" in resource:
        resource["participant"] = [
            one for one in resource["participant"] if kind_of(one) not in kinds
        ]
    return converted._replace(resource=resource)


def kind_of(participant: Mapping[str, Any]) -> str:
    """Return the resource type of one who takes part in an Appointment."""
    return str(participant.get("actor", {}).get("reference", "")).partition("/")[0]


def withdrawing(stored: Json, resource: Json, converted: Converted, teller: Teller) -> Json:
    """Return the resource with marks for what the message takes away of what is stored.

    What is withdrawn already, and not told since, keeps its mark.
    """
    before = {mark.text: mark for mark in _marks(resource)}
    names = [name for name in converted.nulls if "." not in name and name not in KEPT]
    items = [
        f"{element} {_as_text(item)}"
        for element, items in converted.removes.items()
        for item in items
    ]
    if not before and not names and not items:
        return resource
    marks = dict(before)
    for text in (*names, *items):
        new = _mark(text, teller)
        if text not in before or _is_there(new, stored):
            marks[text] = new
    kept = [one for one in marks.values() if not (one.is_of_one and _is_there(one, resource))]
    if kept == list(before.values()):  # nothing new: also the order of the extensions stays
        return resource
    meta = {**resource.get("meta", {})}
    others = [one for one in meta.pop("extension", ()) if one.get("url") != WITHDRAWN]
    extension = [*others, *(mark.extension for mark in kept)]
    return {**resource, "meta": {**meta, "extension": extension} if extension else meta}


def _mark(text: str, teller: Teller) -> _Mark:
    stamp = teller.stamp()["valueIdentifier"]
    extension = {"url": WITHDRAWN, "valueIdentifier": {"type": {"text": text}, **stamp}}
    return _Mark(text, extension)


def _as_text(item: Any) -> str:
    """Return what tells an item: whom it refers to, or what all such items have."""
    told = who(item)
    return fhirjson.dumps(told if isinstance(told, dict) else {"reference": told}).decode()


def _is_there(mark: _Mark, resource: Json) -> bool:
    held = resource.get(mark.element)
    if not mark.item:
        return held is not None
    return isinstance(held, list) and any(_is(mark, one) for one in held)


def _is(mark: _Mark, item: Any) -> bool:
    pattern = fhirjson.loads(mark.item.encode())
    return bool(who(item) == who(pattern) or fits(pattern, item))
