"""Calls for what was given and what was written: doses and places of RXA, documents of MDM.

Spec: HL7v2 chapter 4A, RXA-6 (999: not recorded), chapter 9, OBX of a document
"""

import base64
from collections.abc import Iterable, Iterator
from typing import Any

from fhir_hub.hl7v2.calls import orders
from fhir_hub.hl7v2.datatypes import codes, identifiers, places, texts
from fhir_hub.hl7v2.datatypes.context import Context
from fhir_hub.hl7v2.datatypes.parts import compact, one_line, whole
from fhir_hub.hl7v2.datatypes.quantities import Typed
from fhir_hub.hl7v2.datatypes.table import DATATYPES
from fhir_hub.hl7v2.making.drafts import Draft, Place
from fhir_hub.hl7v2.parsing.er7 import Message, Segment
from fhir_hub.hl7v2.parsing.path import Path
from fhir_hub.identity import systems

_EDUCATION = {
    "69764-9": "documentType",
    "30956-7": "documentType",
    "29768-9": "publicationDate",
    "29769-7": "presentationDate",
}
Json = dict[str, Any]
Paths = tuple[Path, ...]
_TEXTS = ("TX", "FT", "ST", "")
_CODED = frozenset({"CE", "CWE", "CNE", "CF"})
_VALUES = _CODED | frozenset({"NM", "SN", "NR", "DT", "TM", "DTM", "TS"})


def dose_given(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return the Quantity of RXA-6 and RXA-7; nothing of 999, by which a dose is not recorded."""
    if place.text(paths[0]).strip() in ("999", "999.0"):
        return None
    return orders.quantity(place, draft, paths)


def information_given(place: Place, draft: Draft, paths: Paths) -> None:
    """Put what a patient was given to read (OBX-5 of the code of OBX-3) into its document's item.

    OBX-4 says which document; what that has already begins another.
    """
    code, which, content = paths
    value, context = place.value(content), place.run.context
    element = _EDUCATION.get(place.text(code))
    if value is None or element is None:
        return
    as_type = "CodeText" if element == "documentType" else "dateTime"
    made = DATATYPES[as_type](value, context)
    if not made:
        return
    key = ("education", place.text(which))
    held = draft.items.get(key)
    if held is None or element in held:
        held = draft.items[key] = {}
        draft.resource.setdefault("education", []).append(held)
    held[element] = made


def administered_at(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return the Location of RXA-27 at the address of RXA-28."""
    where, address = paths
    context = place.run.context
    value, at = place.value(where), place.value(address)
    location: Json | None = DATATYPES["Location"](value, context) if value else None
    found = places.address(at, context) if at else None
    return (location or {"resourceType": "Location"}) | {"address": found} if found else location


def administered_in(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return the Location that an institution is (RXA-11.4), where no room in it is named."""
    name = one_line(place.text(paths[0]))
    if not name:
        return None
    identifier = {"system": systems.location(name), "value": name}
    return {
        "resourceType": "Location",
        "identifier": [identifier],
        "mode": "instance",
        "name": name,
    }


def strength(place: Place, draft: Draft, paths: Paths) -> Typed | None:
    """Return the strength asked for: a Quantity, or the Ratio to a volume where one is given.

    The paths are the strength, its unit, the volume and its unit.
    """
    amount = orders.quantity(place, draft, paths[:2])
    volume = orders.quantity(place, draft, paths[2:]) if place.text(paths[2]) else None
    if amount and volume:
        return Typed("Ratio", {"numerator": amount, "denominator": volume})
    return Typed("Quantity", amount) if amount else None


def document(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return the Attachment of an OBX of a document: its data, or its lines of text as one."""
    content, kind, code = paths
    title = place.value(code)
    called = codes.text_of(title) if title else ""
    if place.segment.field(code.field) not in ("", called):  # a title has no code
        place.run.keep(place.segment, code.field)
    if place.text(kind).upper() not in _TEXTS:
        value = place.value(content)
        found = texts.attachment(value, place.run.context) if value else None
        return found | ({"title": called} if called else {}) if found else None
    run = place.run
    key = ("text", kind.field)
    if key not in run.moments:
        run.moments[key] = next(_of_text(run.message, kind), None)
    first = run.moments[key]
    if first is not None and first.index != place.segment.index:
        _told_with_first(place, draft)  # its text is in what that one made
        return None
    lines = _in_place(place, _of_text(run.message, kind))
    text = "\n".join(whole(line.whole(content.field)) for line in lines).rstrip("\n")
    data = base64.b64encode(text.encode()).decode("ascii") if text.strip() else ""
    return compact({"contentType": "text/plain", "data": data, "title": called}) if data else None


def note_of_document(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return the Attachment that a note behind a text or file of a document is."""
    text = whole(place.segment.whole(paths[0].field)).strip()
    data = base64.b64encode(text.encode()).decode("ascii")
    return {"contentType": "text/plain", "data": data} if data else None


def _told_with_first(place: Place, draft: Draft) -> None:
    """Note that a segment is told in what the first of its kind made."""
    run = place.run
    if run.row is not None:
        run.trace.append((place.segment, place.node, run.row, draft))


def _in_place(place: Place, lines: Iterable[Segment]) -> Iterator[Segment]:
    """Yield segments of the message with the place's own among them as it is there."""
    return (place.segment if one.index == place.segment.index else one for one in lines)


def _of_text(message: Message, kind: Path) -> Iterator[Segment]:
    return (one for one in message.all("OBX") if one.value(kind.field).upper() in _TEXTS)


def document_order(place: Place, draft: Draft, paths: Paths) -> list[Json] | None:
    """Return the order that a document answers, by the placer's or the filler's number.

    Where there are both, the second is kept.
    """
    context = place.run.context
    valued = [(path, value) for path in paths if (value := place.value(path))]
    for path, _ in valued[1:]:
        place.run.keep(place.segment, path.field)
    numbers = (identifiers.ei(value, context) for _, value in valued)
    found = next((number for number in numbers if number), None)
    return [{"type": "ServiceRequest", "identifier": found}] if found else None


def document_of_values(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return the Attachment of a document that is of values alone: each with its name, a line.

    R4 demands content of a DocumentReference; beside a text or a file values are none.
    """
    content, kind, *_ = paths
    told = place.run.message.all("OBX")
    if told[0].index != place.segment.index:
        _told_with_first(place, draft)
        return None
    told = list(_in_place(place, told))
    if not all(one.value(kind.field).upper() in _VALUES for one in told):
        return None
    context = place.run.context
    text = [_line(one, paths, context) for one in told if one.field(content.field)]
    data = base64.b64encode("\n".join(text).encode()).decode("ascii")
    return {"contentType": "text/plain", "data": data} if data else None


def _line(segment: Segment, paths: Paths, context: Context) -> str:
    """Return the name, the value and the unit of an OBX, as one reads them."""
    content, kind, code, unit = (segment.whole(path.field) for path in paths)
    is_coded = kind.text().upper() in _CODED
    value = codes.code_text(content, context) if is_coded else codes.all_text(content, context)
    called = codes.code_text(code, context)
    said = " ".join(filter(None, (value, unit.text())))
    return f"{called}: {said}" if called else said
