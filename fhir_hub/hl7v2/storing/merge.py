"""What a message says of a resource, laid over what is stored of it.

A message is one institution's view: what it does not mention stays as it is. So a Patient is a
union of what several have said, and everything else is changed element by element; only a result
is what its last message says. An element that comes again unchanged leaves the stored one as it
is, so that a message sent twice makes no new version. A message that is older than what is
stored only `fill`s in what nobody has said yet.

Spec: HL7v2 chapter 2, 2.5.3 (`""` deletes, empty leaves); DOMAIN 0.12 and v2/*.expected.md
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache, partial
from types import MappingProxyType
from typing import Any

from fhir_hub.hl7v2.conversion.convert import Converted
from fhir_hub.hl7v2.making import items
from fhir_hub.hl7v2.making.rules import (
    INNER,
    KEYS,
    OTHERS,
    RULES,
    best_known,
    coded,
    contents,
    first,
    hashable,
    is_institution,
    override,
    who,
)
from fhir_hub.identity import systems
from fhir_hub.r4.definitions import Definitions

Resource = dict[str, Any]
Json = dict[str, Any]

_PATIENT = {
    name: names
    for names in (
        ("deceasedBoolean", "deceasedDateTime"),
        ("multipleBirthBoolean", "multipleBirthInteger"),
    )
    for name in names
}
# What says more than a yes: when somebody died, as which of several somebody was born.
_SAYS_MORE = {kinds[0]: kinds[1] for kinds in _PATIENT.values()}
_YES = {more: yes for yes, more in _SAYS_MORE.items()}
KEPT = ("identifier",)  # who somebody is cannot be deleted by a message
_IGNORED = ("id", "meta", "resourceType")
_STATES = ("status", "clinicalStatus", "verificationStatus", "lifecycleStatus", "active")
UNKNOWN = MappingProxyType(
    {
        "url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
        "valueCode": "unknown",
    }
)
_REASON = ("statusReason",)  # why a vaccine was not given
_VALUES = ("component", "dataAbsentReason", "interpretation", "referenceRange")
_MOST_COMPARED = 512  # items of a list; of a longer one only the end is looked at
# Which extensions go with an element that is told: they are over where they are not told with it.
_TOLD_WITH = MappingProxyType(
    {
        "dosageInstruction": f"{systems.BASE}/StructureDefinition/alternative-route",
        "occurrenceTiming": f"{systems.BASE}/StructureDefinition/further-schedule",
    }
)
_WHOLE = ("Observation",)  # a result is what its last message says
_OF_WHOLE = ("id", "encounter", "basedOn", "specimen")  # but it stays that of its visit and order

# By resource type: each typed name of a choice (`valueString`), and all names of that choice.
Choices = Callable[[str], Mapping[str, tuple[str, ...]]]


@lru_cache(maxsize=4)
def choices_of(definitions: Definitions) -> Choices:
    """Return the choices of each resource type, worked out at its first use."""

    @cache
    def choices(resource_type: str) -> Mapping[str, tuple[str, ...]]:
        structure = definitions.structure(resource_type)
        found: dict[str, tuple[str, ...]] = {}
        for path, element in structure.elements.items() if structure else ():
            head, _, name = path.partition(".")
            if head == resource_type and name.endswith("[x]") and "." not in name:
                kinds = [one.code[:1].upper() + one.code[1:] for one in element.types]
                names = tuple(name[:-3] + kind for kind in kinds)
                found |= dict.fromkeys(names, names)
        return found

    return choices


def _choices(resource_type: str) -> Mapping[str, tuple[str, ...]]:
    """Return the choices of a Patient, which whoever has no definitions knows."""
    return _PATIENT if resource_type == "Patient" else {}


def merge(
    stored: Resource,
    converted: Converted,
    day: str,
    choices: Choices = _choices,
    *,
    is_foreign: bool = False,
) -> Resource:
    """Return the resource that holds after the message; `stored` is not changed.

    References of both are `Type/id`. `day`, the message's, ends what it replaces by another
    address or phone. `choices` says which elements cannot stand beside one another. Where what
    is stored `is_foreign`, another's, nothing of it is deleted or taken out.
    """
    new = _said(converted, stored) if converted.unsaid else converted.resource
    kind = new["resourceType"]
    meta = _meta(stored.get("meta", {}), new.get("meta", {}))
    if kind in _WHOLE:
        names = stored if converted.unsaid else _OF_WHOLE
        return {**{name: stored[name] for name in names if name in stored}, **new, **meta}
    rules, rivals = RULES.get(kind, OTHERS), partial(_rivals, choices(kind))
    result = dict(stored)
    if not is_foreign:
        gone = (*converted.nulls, *(name for name in converted.whole if name not in new))
        result = _without(stored, gone, rivals)
        for element, values in converted.removes.items():
            _remove(result, element, values)
    for element, value in new.items():
        if element in _IGNORED or says_less(element, value, result):
            continue
        rule = override if element in converted.whole else rules.get(element, override)
        merged = rule(result[element], value, day) if element in result else value
        for other in rivals(element):
            if other != element:
                result.pop(other, None)
        result[element] = merged
    return {**_consistent(_of_now(result, new), new), **meta}


def says_less(element: str, value: Any, known: Mapping[str, Any]) -> bool:
    """Say whether that somebody died, or is one of several born, leaves when, or which one."""
    return value is True and _SAYS_MORE.get(element) in known


def _said(converted: Converted, stored: Resource) -> Resource:
    """Return the message's resource without what it does not say and what is stored has."""
    gone = {name for name in converted.unsaid if name in stored}
    new = {name: value for name, value in converted.resource.items() if name not in gone}
    for element, unsaid in items.parts_in(converted.unsaid).items():
        known: dict[str, set[str]] = {}
        for one in stored.get(element, ()):
            if isinstance(whom := who(one), str) and whom in unsaid:
                known.setdefault(whom, set()).update(unsaid[whom] & one.keys())
        if any(known.values()):
            new[element] = items.without(new.get(element, []), known)
    return new


def fill(
    stored: Resource,
    converted: Converted,
    choices: Choices = _choices,
) -> Resource:
    """Return what is stored with what an older message adds: elements and items not there yet.

    No state changes. What is stored as unknown is not there.
    """
    new = converted.resource
    kind = new["resourceType"]
    if kind in _WHOLE:
        told = {name: new[name] for name in _OF_WHOLE if name in new}
        return {**told, **_with_value(stored, new)}
    known = {name: value for name, value in stored.items() if not _is_unknown(value)}
    result, gone = dict(known), {*_IGNORED, *_STATES}
    if kind == "Immunization" and stored.get("status") != "not-done":
        gone |= {*_REASON}
    for element, value in new.items():
        if element in gone:
            continue
        if element in known:
            if element in KEYS and isinstance(value, list):
                result[element] = _added(known[element], value, element)
            elif element in INNER:
                later = {name: value[name] for name in INNER[element] if name in value}
                result[element] = {**later, **known[element]}
            elif kind == "DocumentReference" and element == "content":
                result[element] = contents(value, known[element], "")
            elif RULES.get(kind, OTHERS).get(element) is first:
                result[element] = first(known[element], value, "")
        elif kind == "Encounter" and element in INNER:
            if begun := {name: value[name] for name in INNER[element] if name in value}:
                result[element] = begun
        elif known.get(yes := _YES.get(element, "")) is True:
            del result[yes]
            result[element] = value
        elif not any(other in known for other in _rivals(choices(kind), element)):
            result[element] = value
    for name in stored.keys() - known.keys():
        if not any(other in result for other in _rivals(choices(kind), name)):
            result[name] = stored[name]
    return result if _consistent(result, result) == result else stored


def _with_value(stored: Resource, new: Resource) -> Resource:
    """Return a result that was made final without its value with the one that came before (U)."""
    if stored.get("status") != "final" or any(map(_is_value, stored)):
        return stored
    return {**stored, **{name: new[name] for name in new if _is_value(name)}}


def _is_value(element: str) -> bool:
    return element.startswith("value") or element in _VALUES


def _is_unknown(value: Any) -> bool:
    return isinstance(value, dict) and value == {"extension": [UNKNOWN]}


def _added(old: Sequence[Json], new: Sequence[Json], element: str) -> list[Json]:
    """Return the items of an element with those of other keys, which an older message has."""
    if element == "name":
        old, new = best_known(old, new)
    key = KEYS[element]
    known = {hashable(key(item)) for item in old}
    return [*old, *(item for item in new if hashable(key(item)) not in known)]


def unite(first: Resource, second: Resource) -> Resource:
    """Return the one resource that two of a message stand for; where both speak, the first.

    What either refers to (the results of a report in two parts), their notes and keys are of it.
    """
    both = {**second, **first}
    if "meta" in first and "meta" in second:
        both |= _meta(second["meta"], first["meta"])
    for element in first.keys() & second.keys():
        old, new = first[element], second[element]
        if isinstance(old, list) and (element == "note" or all("reference" in one for one in new)):
            compared = old[-_MOST_COMPARED:]  # one number may stand on thousands of orders
            both[element] = [*old, *(one for one in new if one not in compared)]
    return both


def _without(
    stored: Resource, nulls: Sequence[str], rivals: Callable[[str], tuple[str, ...]]
) -> Resource:
    gone = {rival for element in nulls if element not in KEPT for rival in rivals(element)}
    kept = {element: value for element, value in stored.items() if element not in gone}
    for parent, _, part in (name.partition(".") for name in nulls if "." in name):
        if isinstance(kept.get(parent), dict):
            kept[parent] = _without_part(kept[parent], part)
            if not kept[parent]:
                del kept[parent]
    for element, parts in items.parts_in(nulls).items():
        if element in kept:
            kept[element] = items.without(kept[element], parts)
    return kept


def _without_part(value: Json, path: str) -> Json:
    """Return an element without the part at a path in it."""
    name, _, rest = path.partition(".")
    inner = _without_part(value[name], rest) if rest and isinstance(value.get(name), dict) else None
    others = {key: part for key, part in value.items() if key != name}
    return {**others, name: inner} if inner else others


def _rivals(choices: Mapping[str, tuple[str, ...]], element: str) -> tuple[str, ...]:
    """Return the elements that cannot stand beside this one: other types of a choice, its `_`."""
    if element.startswith("_"):
        return (element,)
    names = choices.get(element, (element,))
    return (*names, *(f"_{name}" for name in names))


def _of_now(result: Resource, new: Mapping[str, Any]) -> Resource:
    """Return the resource without what belonged to an older dosage or schedule than is `new`."""
    urls = {url for element, url in _TOLD_WITH.items() if element in new}
    if not urls:
        return result
    urls -= {one["url"] for one in new.get("extension", ())}
    kept = [one for one in result.get("extension", ()) if one.get("url") not in urls]
    gone = {"extension"} if "extension" in result and not kept else set()
    if "occurrenceTiming" in new:
        gone |= {name for name in result if name.startswith("asNeeded") and name not in new}
    told = {name: value for name, value in result.items() if name not in gone}
    return {**told, "extension": kept} if kept else told


def _consistent(result: Resource, new: Mapping[str, Any]) -> Resource:
    """Return the resource without what R4 does not let stand beside what is `new` (con-4, app-4).

    A clinical status goes with an entry in error, and comes back without it.
    """
    gone: list[str] = []
    if "verificationStatus" in result or "clinicalStatus" in result:
        is_error = coded(result.get("verificationStatus", {})) == "entered-in-error"
        if is_error and "verificationStatus" in new:
            gone.append("clinicalStatus")
        elif is_error and "clinicalStatus" in new:
            gone.append("verificationStatus")
        if coded(new.get("clinicalStatus", {})) in ("active", "recurrence", "relapse"):
            gone += [name for name in result if name.startswith("abatement") and name not in new]
    elif result["resourceType"] == "Immunization":
        gone += [] if result.get("status") == "not-done" or "statusReason" in new else _REASON
    elif result["resourceType"] == "Appointment":
        # app-4 of R4 writes `no-show`, so it lets a cancelled one alone have a reason
        gone += [] if result.get("status") == "cancelled" else ["cancelationReason"]
    return {name: value for name, value in result.items() if name not in gone}


def _remove(result: Resource, element: str, values: Sequence[Any]) -> None:
    kept = result.get(element)
    if isinstance(kept, list):
        gone = [who(value) for value in values]
        kept = [
            item
            for item in kept
            if who(item) not in gone and not any(fits(value, item) for value in values)
        ]
        if kept:
            result[element] = kept
        else:
            del result[element]


def fits(pattern: Any, item: Any) -> bool:
    """Say whether an item has all that a pattern has, also as one of several.

    One who cares for a patient is by `type` an institution or a person, and nothing else tells it.
    """
    if not isinstance(pattern, dict) or not isinstance(item, dict):
        return False
    if pattern.keys() == {"type"} and isinstance(pattern["type"], str):
        return is_institution(item) is is_institution(pattern)
    return all(
        item.get(name) == value or (isinstance(item.get(name), list) and value in item[name])
        for name, value in pattern.items()
    )


def _meta(old: Json, new: Json) -> dict[str, Json]:
    """Return the `meta` of both: profiles, tags and labels of either stay."""
    result = {**old, **new}
    for name in ("profile", "security", "tag"):
        if name in old and name in new:
            result[name] = old[name] + [item for item in new[name] if item not in old[name]]
    return {"meta": result} if result else {}
