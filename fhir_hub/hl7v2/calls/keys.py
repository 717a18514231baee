"""Calls for keys: by what that is found again which has no number of its own.

A result has none in HL7v2. Its order's filler number with its code and sub-id name it, so that a
correction finds it; where there is no number, its patient, code and time do. Such a key is no
number that anybody gave: it stands in `meta.tag`, not among the identifiers.

Spec: HL7v2 chapter 7, OBX; https://hl7.org/fhir/R4/resource.html#Meta
"""

from functools import lru_cache
from typing import Any, NamedTuple

from fhir_hub.hl7v2.calls import narratives
from fhir_hub.hl7v2.datatypes.parts import one_line
from fhir_hub.hl7v2.making.drafts import Draft, Place, Run
from fhir_hub.hl7v2.making.urns import name_based_urn
from fhir_hub.hl7v2.parsing.er7 import Encoding, Value
from fhir_hub.hl7v2.parsing.path import Path
from fhir_hub.identity import systems

NATURAL_KEY = f"{systems.BASE}/CodeSystem/natural-key"
_SOLE = ("", "1")  # OBX-4 of what is the only one of its code
_CORRECTING = ("A", "C", "D", "W")  # OBX-11
_SHORT = 500  # a longer code is not remembered
Json = dict[str, Any]
Paths = tuple[Path, ...]


class _Order(NamedTuple):
    """What the keys of an order's results begin with; `is_known`: there is an OBR."""

    number: str
    system: str
    is_known: bool


def observation_key(place: Place, draft: Draft, paths: Paths) -> Json | list[Json] | None:
    """Return the key of a result, a tag: its order's number, code and sub-id.

    Of one that nothing tells from others of its kind there are two (`_unplaced`). The last two
    paths are code and sub-id, the ones before are numbers: the first filled counts.
    """
    code_path, part_path = paths[-2:]
    segment, run = place.segment, place.run
    raw, encoding = segment.field(code_path.field), segment.encoding
    if not raw[:1].isalnum() or encoding.repetition in raw:
        value = place.value(code_path)
        if value is None:
            return None
        raw = value.raw
    code = (_code if len(raw) < _SHORT else _code.__wrapped__)(raw, encoding)
    text = place.text(part_path)
    sub_id = one_line(text) if text else ""
    order = _order_of(place, paths)
    if not order.number:
        return _numberless(place, draft, [code, sub_id] if sub_id else [code])
    key = f"{order.number}/{code}/{sub_id}" if sub_id else f"{order.number}/{code}"
    if not order.is_known:
        _was_known(place, draft, order, key)
    elif sub_id in _SOLE and segment.field(11) in _CORRECTING:
        other = f"{order.number}/{code}" if sub_id else f"{order.number}/{code}/1"
        draft.earlier = ((order.system, other),)  # OBX-4 was not told with it, or is not any more
    return _numbered(run, order.system, key)


def _numbered(run: Run, system: str, key: str, asked: str = "") -> Json:
    """Return the tag of a key made of an order's number; `asked` tells other uses of it apart."""
    again = run.occurrence(asked + key)
    return {"system": system, "code": key if again == 1 else f"{key}#{again}"}


def _numberless(place: Place, draft: Draft, pieces: list[str]) -> Json | list[Json]:
    """Return the key of a result whose order has no number: by its moments, and what was asked for.

    Without a moment it is that of its visit.
    """
    moments = [place.text(path) for path in (Path("OBX", 14), Path("OBR", 7), Path("OBX", 18))]
    asked = place.value(Path("OBR", 4))
    visit = "" if any(moments) else one_line(place.text(Path("PV1", 19)))
    more = [_code(asked.raw, asked.encoding) if asked else "", visit]
    before = natural(place, draft, [*pieces, *moments])
    if not any((*moments, visit)):
        return _unplaced(place, draft, [*pieces, *moments, *more], before)
    if not any(more):
        return before
    draft.earlier = ((before["system"], before["code"]),)  # of a build before 27 November 2026
    return natural(place, draft, [*pieces, *moments, *more])


def _unplaced(place: Place, draft: Draft, texts: list[str], kind: Json) -> list[Json]:
    """Return both keys of what has no number, time or visit: of its message, and of its kind.

    By the second one that says the same again, or corrects it, finds the newest (`parted.py`).
    """
    kind = natural(place, draft, texts) if any(texts[-2:]) else kind
    draft.earlier = ((kind["system"], kind["code"]),)
    sent = place.text(Path("MSH", 7)) or place.run.control_id
    return [natural(place, draft, ["sent", sent, *texts]), kind]


def _was_known(place: Place, draft: Draft, order: _Order, key: str) -> None:
    """Have a result under no OBR found by the key of a build before 26 November 2026.

    All of a message had the number of the first there.
    """
    number = order.number
    first = place.run.moments.setdefault(("number", "first"), number)
    was = _numbered(place.run, order.system, first + key[len(number) :], "was ")
    if first != number:
        draft.earlier = ((was["system"], was["code"]),)


@lru_cache(maxsize=4096)
def _code(raw: str, encoding: Encoding) -> str:
    """Return the code of a result, or without one its text."""
    value = Value(raw, encoding)
    if encoding.subcomponent in raw and (suffix := narratives.suffix_of(value)):
        return f"{one_line(value.text(1))}&{suffix}"
    return one_line(value.text(1) or value.text(4) or value.text(2) or value.text(5))


def _order_of(place: Place, paths: Paths) -> _Order:
    """Return what the keys of an order's results begin with, read once for all of them.

    The last two paths are none of a number.
    """
    node = place.node
    outer, held = node.outer, node.spot.segments
    if outer is None or "OBR" in held or "ORC" in held:
        return _read_order(place, paths)
    key = ("key", id(node.spot.within))
    known: _Order | None = outer.linked.get(key)
    if known is None:
        known = outer.linked[key] = _read_order(place, paths)
    return known


def _read_order(place: Place, paths: Paths) -> _Order:
    node, run = place.node, place.run
    order, control = node.nearest("OBR"), node.nearest("ORC")
    key = (order.index if order is not None else -1, control.index if control is not None else -1)
    number: str | None = run.moments.get(key)
    if number is None:
        number = next((text for path in paths[:-2] if (text := one_line(place.text(path)))), "")
        run.moments[key] = number
    system = f"{systems.authority_system(run.facility)}/observation"
    return _Order(number, system, order is not None)


def natural_key(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return the key, a tag, of what has no number: by sender, patient and the given fields."""
    texts = [_text_at(place, path) for path in paths]
    return natural(place, draft, texts) if any(texts) else None


def relative_key(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return the key of who answers for the bill (GT1): that of the same relative in NK1.

    By the standard's tables each mention is a resource, so it is another one there.
    """
    texts = [_text_at(place, path) for path in paths]
    if not any(texts):
        return None
    if place.run.by_table:
        return natural(place, draft, texts)
    return {"system": NATURAL_KEY, "code": name_based_urn(_natural(place, draft, texts))}


def unplaced_key(place: Place, draft: Draft, paths: Paths) -> list[Json] | None:
    """Return both keys of a report that nothing but the given fields tells from others."""
    kind = natural_key(place, draft, paths)
    return _unplaced(place, draft, [kind["code"], "", ""], kind) if kind else None


def _text_at(place: Place, path: Path) -> str:
    """Return what tells the values at a path from others."""
    segment = place.find(path.segment)
    raw = segment.field(path.field) if segment is not None else ""
    if segment is None or not raw:
        return ""
    encoding = segment.encoding
    if path.field > 2 and not path.component and encoding.repetition not in raw:
        first = raw.partition(encoding.component)[0].partition(encoding.subcomponent or "&")[0]
        if first.isalnum():  # a number or a code, as nearly always
            return first
    return "~".join([told(value) for value in place.values(path)])


def told(value: Value) -> str:
    """Return what tells a value from others: its code, or without one its text."""
    if value.is_null:
        return ""
    for component in (1, 2, 4, 5):
        if text := one_line(value.text(component)):
            return text
    return one_line(value.whole)


def natural(place: Place, draft: Draft, texts: list[str]) -> Json:
    """Return the key of the kind of `draft` that sender, patient and `texts` make, a tag."""
    key = _natural(place, draft, texts)
    again = place.run.occurrence(key)
    return {"system": NATURAL_KEY, "code": name_based_urn(key if again == 1 else f"{key}#{again}")}


def _natural(place: Place, draft: Draft, texts: list[str]) -> str:
    run = place.run
    kind = draft.resource["resourceType"]
    # Without a number of the patient two patients' facts must not meet: only this message's do.
    whose = run.patient_key(place.node) or f"{run.seed}"
    return "|".join([run.facility, kind, whose, *texts])
