"""Since when an institution says of a Patient what it says: by element, of a list by kind of item.

The stamp in `meta` has the time of the last change alone, so what was said long before that would
look as new. Here each element has the time since when it is said without a break; what is told
again does not renew it. So a word that a second institution changed later holds, however often the
first one repeats what it has on file. In `meta` stands only what is older than the stamp.

Spec: DOMAIN 0.12; HL7v2 chapter 3, EVN-2
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from fhir_hub import fhirjson
from fhir_hub.clock import from_microseconds, instant
from fhir_hub.hl7v2.making.rules import KEYS, content_of
from fhir_hub.hl7v2.meaning.teller import (
    COPIED,
    is_copied,
    microseconds_of,
    stamps_of,
    time_of,
)
from fhir_hub.hl7v2.storing.merge import Resource
from fhir_hub.identity import systems

Json = dict[str, Any]
Since = dict[str, int]  # microseconds since 1970, by slot: `birthDate`, `telecom:phone:home`
TOLD_SINCE = f"{systems.BASE}/StructureDefinition/told-since"
UNITED = ("name", "telecom", "address", "contact", "communication", "generalPractitioner")
CHOICES = ("deceased", "multipleBirth")
_NOT_TOLD = ("id", "meta", "resourceType", "contained", "link", "active", "identifier")
DATED = ("telecom", "address")  # of which what is replaced is kept as ended
_MARK = "since:"  # before a slot's name, where its time is laid like an element


def slot_of(element: str) -> str:
    """Return the slot of an element with one value; the types of a choice share one."""
    return next((name for name in CHOICES if element.lstrip("_").startswith(name)), element)


def element_of(slot: str) -> str:
    """Return the element of a slot, of a choice its name without a type."""
    return slot.partition(":")[0]


def grouped(element: str, items: Iterable[Json]) -> dict[str, list[Json]]:
    """Return the items of a list by their slots."""
    key, found = KEYS[element], dict[str, list[Json]]()
    for item in items:
        told = key(item)
        parts = told if isinstance(told, tuple) else (told,)
        slot = ":".join([element, *("".join(str(part).split()) for part in parts)])
        found.setdefault(slot, []).append(item)
    return found


def slots(patient: Mapping[str, Any]) -> dict[str, Any]:
    """Return what stands in each slot, comparable; what is ended is not said any more."""
    found = dict[str, Any]()
    for element, value in patient.items():
        if element in _NOT_TOLD or element.startswith(_MARK):
            continue
        if element in UNITED or element == "extension":
            for slot, items in grouped(element, value).items():
                found[slot] = sorted(
                    _content(element, one) for one in items if not _is_ended(element, one)
                )
        else:
            found.setdefault(slot_of(element), {})[element] = value
    return found


def without(patient: Resource, gone: Collection[str]) -> Resource:
    """Return a Patient without what is said in some slots; what is ended stays."""
    result = dict(patient)
    for element in [name for name in patient if name not in _NOT_TOLD]:
        if element not in (*UNITED, "extension"):
            if slot_of(element) in gone:
                del result[element]
            continue
        of_slots = grouped(element, patient[element])
        said = [one for slot in gone for one in of_slots.get(slot, ())]
        kept = [one for one in patient[element] if one not in said or _is_ended(element, one)]
        result[element] = kept
        if not kept:
            del result[element]
    return result


def _content(element: str, item: Json) -> str:
    if element in (*DATED, "name"):
        return repr(content_of(element)(item))
    return fhirjson.dumps(item).decode()


def _is_ended(element: str, item: Json) -> bool:
    return element in DATED and "end" in item.get("period", {})


def read(patient: Mapping[str, Any]) -> Since:
    """Return since when a Patient, or what is contained of one, is told so; nothing if unknown."""
    latest = max(map(time_of, stamps_of(patient)), default=0)
    if not latest:
        return {}
    since = dict.fromkeys(slots(patient), latest)
    for one in _marks(patient):
        told = one.get("valueIdentifier", {})
        time = microseconds_of(str(told.get("period", {}).get("start", "")))
        for slot in str(told.get("type", {}).get("text", "")).split():
            if slot in since:
                since[slot] = time
    return since


def echoes(patient: Mapping[str, Any]) -> frozenset[str]:
    """Return the slots that a hub only passes on, as what is contained of one says."""
    told = [one.get("valueIdentifier", {}) for one in _marks(patient) if is_copied(one)]
    return frozenset(slot for one in told for slot in one.get("type", {}).get("text", "").split())


def renewed(before: Resource, now: Resource, told: Resource, time: int) -> Resource:
    """Return what holds `now` with since when: before it was `before`, and a message `told` this.

    `before` has its times as elements, and so has what comes back.
    """
    held, said, bare = slots(before), slots(told), split(now)[0]
    result = dict(bare)
    for slot, content in slots(bare).items():
        since = before.get(_MARK + slot, 0)
        if not since or held.get(slot) != content:
            since = time
        elif said.get(slot) == content:
            since = min(since, time)
        result[_MARK + slot] = since
    return result


def joined(patient: Resource, since: Since) -> Resource:
    """Return a Patient with its times as elements, so that they are laid like any other."""
    return {**patient, **{_MARK + slot: time for slot, time in since.items()}}


def split(patient: Resource) -> tuple[Resource, Since]:
    """Return a Patient without its times, and these."""
    bare = {name: value for name, value in patient.items() if not name.startswith(_MARK)}
    times = {n[len(_MARK) :]: time for n, time in patient.items() if n.startswith(_MARK)}
    return bare, times


def written(since: Since, latest: int, echoes: Collection[str] = ()) -> list[Json]:
    """Return the extensions that say which slots are told since before the stamp, oldest first.

    Those of `echoes`, which a hub only passes on, have one anyway.
    """
    slots = dict[tuple[int, bool], list[str]]()
    for slot, time in sorted(since.items()):
        if time and (time != latest or slot in echoes):
            slots.setdefault((time, slot in echoes), []).append(slot)
    return [
        {
            "url": TOLD_SINCE,
            "valueIdentifier": {
                **({"use": COPIED} if is_echo else {}),
                "type": {"text": " ".join(slots[time, is_echo])},
                "period": {"start": instant(from_microseconds(time))},
            },
        }
        for time, is_echo in sorted(slots)
    ]


def stored(patient: Resource) -> Resource:
    """Return a Patient as it is stored: its times, if it has them as elements, in `meta`."""
    bare, since = split(patient)
    latest = max(map(time_of, stamps_of(bare)), default=0)
    marks = written(since, latest)
    if marks == _marks(bare) or not latest:
        return bare
    others = [one for one in bare["meta"].get("extension", ()) if one.get("url") != TOLD_SINCE]
    return {**bare, "meta": {**bare["meta"], "extension": [*marks, *others]}}


def _marks(patient: Mapping[str, Any]) -> list[Json]:
    extensions = patient.get("meta", {}).get("extension", ())
    return [one for one in extensions if one.get("url") == TOLD_SINCE]
