"""Calls for what a segment ties to its order or result: its place in a sequence, whom to ask.

A susceptibility is of one organism of the culture before it: OBR-26 says which result that is.

R4 has no element for an order that waits for another (TQ2), for whom to ask about one (CTD), or for
which results of a report belong together (OBX-4): these are extensions. Numbers of pictures (IPC)
are the order's.

Spec: HL7v2 chapter 4 (TQ2, IPC), chapter 11 (CTD); https://build.fhir.org/ig/HL7/v2-to-fhir (OG)
"""

import re
from collections.abc import Iterable
from typing import Any

from fhir_hub.hl7v2.datatypes import (
    codes,
    contacts,
    identifiers,
    numbers,
    people,
    places,
    quantities,
    texts,
)
from fhir_hub.hl7v2.datatypes.coding_systems import v2_table
from fhir_hub.hl7v2.datatypes.parts import compact, one_line, part
from fhir_hub.hl7v2.making.drafts import Draft, Place, Run
from fhir_hub.hl7v2.parsing.er7 import Segment, Value
from fhir_hub.hl7v2.parsing.path import Path
from fhir_hub.identity.systems import BASE

Json = dict[str, Any]
Paths = tuple[Path, ...]
SUB_ID = "http://hl7.org/fhir/StructureDefinition/observation-v2-subid"
SUB_ID_PARTS = ("original-sub-identifier", "group", "sequence", "identifier")
_ORDER = f"{BASE}/StructureDefinition/related-order"
_CONTACT = f"{BASE}/StructureDefinition/order-contact"
_UID = "urn:dicom:uid"
_PARENTS = ("parent results", "")
_is_uid = re.compile(r"\d+(?:\.\d+)+", re.ASCII).fullmatch


def sub_id(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return the sub-id of a result (OBX-4), by which those that belong together are told."""
    value = place.value(paths[0])
    if value is None:
        return None
    group, sequence = (numbers.read_decimal(part(value, at)) for at in (2, 3))
    told = [one_line(part(value, 1)), group, sequence, one_line(part(value, 4))]
    kinds = ("String", "Decimal", "Decimal", "String")
    return _extension(SUB_ID, zip(SUB_ID_PARTS, kinds, told, strict=True))


def parent_result(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return the Reference to the result that led to this test, by OBR-26 and its order, OBR-29.

    The field is kept where the message does not have that result, or has it behind.
    """
    told, order = map(place.value, paths)
    if told is None or draft.name != "Observation":  # what is seen of a specimen is of no result
        return None
    run = place.run
    known = run.moments.get(_PARENTS)
    if known is None:
        known = run.moments[_PARENTS] = _Results(run)
    found = known.of(told, order)
    if found is not None:
        return {"reference": found.full_url}
    if segment := place.find(paths[0].segment):
        run.keep(segment, paths[0].field)
    return None


class _Results:
    """The results of a message by code, sub-id and the numbers of their order."""

    def __init__(self, run: Run) -> None:
        self._run, self._seen = run, 0
        self._made: dict[int, Draft] = {}
        self._at: dict[tuple[str, str, str, str], int] = {}
        placer = filler = ""
        for segment in run.message.segments:
            if segment.name == "OBR":
                placer, filler = segment.value(2), segment.value(3)
            elif segment.name == "OBX":
                self._enter(segment, placer, filler)

    def _enter(self, segment: Segment, placer: str, filler: str) -> None:
        named = segment.value(3), segment.value(4)
        keys = [("", ""), ("PLAC", placer), ("FILL", filler)]
        for key in keys if filler else [*keys, ("only PLAC", placer)]:
            self._at[(*named, *key)] = segment.index

    def of(self, told: Value, order: Value | None) -> Draft | None:
        """Return the result of a code and sub-id (PRL) in the order of these numbers (EIP)."""
        placer, filler = (part(order, at) if order else "" for at in (1, 2))
        keys = [("FILL", filler), ("only PLAC", placer)] if filler else [("PLAC", placer)]
        keys = keys if placer or filler else [("", "")]
        named = part(told, 1), part(told, 2)
        at = next((self._at[(*named, *key)] for key in keys if (*named, *key) in self._at), -1)
        for draft in self._run.drafts[self._seen :]:
            if draft.name == "Observation":
                self._made[draft.segment.index] = draft
        self._seen = len(self._run.drafts)
        return self._made.get(at)


def related_order(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return how an order stands to others (TQ2): which, before or after them, how often."""
    kind, placers, fillers, group, condition, cycle, interval, repeats, relation = paths
    context = place.run.context
    numbers = [("PLAC", one) for one in place.values(placers)]
    numbers += [("FILL", one) for one in place.values(fillers)]
    orders = [
        {"type": draft.resource["resourceType"], "identifier": typed}
        for kind_of_number, one in numbers
        if (typed := identifiers.typed(identifiers.ei(one, context), kind_of_number))
    ]
    of_group, lasts = place.value(group), place.value(interval)
    times = place.value(repeats)
    return _extension(
        _ORDER,
        [
            ("sequence", "CodeableConcept", _of_table(place, kind, "503")),
            *(("order", "Reference", one) for one in orders),
            ("group", "Identifier", identifiers.ei(of_group, context) if of_group else None),
            ("condition", "CodeableConcept", _of_table(place, condition, "504")),
            ("cycle", "CodeableConcept", _of_table(place, cycle, "505")),
            ("interval", "Duration", quantities.duration(lasts, context) if lasts else None),
            ("repeats", "Integer", texts.unsigned_int(times, context) if times else None),
            ("relationship", "CodeableConcept", _of_table(place, relation, "506")),
        ],
    )


def order_contact(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return whom to ask about an order (CTD): role, name and phones, address, number."""
    role, name, address, phones, preferred, number = paths
    context = place.run.context
    called, kind = place.value(name), place.value(role)
    lives, has_number = place.value(address), place.value(number)
    names = people.human_name(called, context) if called else None
    first = names[0] if isinstance(names, list) else names
    telecom: list[Json] = []
    for value in place.values(phones):
        found = contacts.contact_point(value, context)
        telecom += found if isinstance(found, list) else [found] if found else []
    table = context.table("ContactRole")
    coded = codes.table_codeable_concept(kind, context, table) if kind else None
    at = places.address(lives, context) if lives else None
    return _extension(
        _CONTACT,
        [
            ("role", "CodeableConcept", coded),
            ("identifier", "Identifier", identifiers.staff(has_number, context))
            if has_number
            else ("identifier", "Identifier", None),
            (
                "contact",
                "ContactDetail",
                compact({"name": (first or {}).get("text", ""), "telecom": telecom}),
            ),
            ("address", "Address", at[0] if isinstance(at, list) else at),
            ("preferred", "CodeableConcept", _of_table(place, preferred, "185")),
        ],
    )


def imaging_numbers(place: Place, draft: Draft, paths: Paths) -> list[Json]:
    """Return the numbers of pictures: accession, requested procedure, study, procedure step."""
    accession, procedure, study, step = (place.value(path) for path in paths)
    context = place.run.context
    found: list[Json] = []
    if accession and (number := identifiers.ei(accession, context)):
        found.append(identifiers.typed(number, "ACSN") or number)
    for value, called in ((procedure, "Requested Procedure ID"), (step, "Procedure Step ID")):
        if value and (number := identifiers.ei(value, context)):
            found.append({"type": {"text": called}} | number)
    if study and _is_uid(uid := one_line(part(study, 1))):
        found.append({"system": _UID, "value": f"urn:oid:{uid}"})
    elif study and (number := identifiers.ei(study, context)):
        found.append({"type": {"text": "Study Instance UID"}} | number)
    return found


def _of_table(place: Place, path: Path, number: str) -> Json | None:
    """Return the CodeableConcept of a field that HL7 has a table for."""
    value = place.value(path)
    found = codes.codeable_concept(value, place.run.context) if value else None
    is_own = not value or part(value, 3) or not part(value, 1).isascii()  # HL7 has none in Chinese
    if found is None or is_own or "coding" not in found:
        return found
    return found | {"coding": [found["coding"][0] | {"system": v2_table(number)}]}


def _extension(url: str, parts: Iterable[tuple[str, str, Any]]) -> Json | None:
    told = [{"url": name, f"value{kind}": value} for name, kind, value in parts if value]
    return {"url": url, "extension": told} if told else None
