"""What a message says of a resource, laid over what is stored of it.

A message is one institution's view: what it does not mention stays as it is. So a Patient is a
union of what several have said, and everything else is changed element by element; only a result
is what its last message says. An element that comes again unchanged leaves the stored one as it
is, so that a message sent twice makes no new version. A message that is older than what is
stored only `fill`s in what nobody has said yet.

Spec: HL7v2 chapter 2, 2.5.3 (`""` deletes, empty leaves); DOMAIN 0.12 and v2/*.expected.md
"""

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache, partial
from types import MappingProxyType
from typing import Any

from fhir_hub.hl7v2.convert import Converted
from fhir_hub.identity import systems
from fhir_hub.identity.match import same_number
from fhir_hub.identity.names import is_han
from fhir_hub.r4.definitions import Definitions

Resource = dict[str, Any]
Json = dict[str, Any]
Rule = Callable[[Any, Any, str], Any]

_LOST = frozenset("?？□■\ufffd")
_PATIENT = {
    name: names
    for names in (
        ("deceasedBoolean", "deceasedDateTime"),
        ("multipleBirthBoolean", "multipleBirthInteger"),
    )
    for name in names
}
_KEPT = ("identifier",)  # who somebody is cannot be deleted by a message
_IGNORED = ("id", "meta", "resourceType")
_STATES = ("status", "clinicalStatus", "verificationStatus", "lifecycleStatus", "active")
_WHOLE = ("Observation",)  # a result is what its last message says

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
    new = converted.resource
    kind = new["resourceType"]
    meta = _meta(stored.get("meta", {}), new.get("meta", {}))
    if kind in _WHOLE:
        return {**{name: stored[name] for name in ("id",) if name in stored}, **new, **meta}
    rules, rivals = _RULES.get(kind, _OTHERS), partial(_rivals, choices(kind))
    result = dict(stored)
    if not is_foreign:
        result = _without(stored, converted.nulls, rivals)
        for element, values in converted.removes.items():
            _remove(result, element, values)
    for element, value in new.items():
        if element in _IGNORED:
            continue
        rule = rules.get(element, _override)
        merged = rule(result[element], value, day) if element in result else value
        for other in rivals(element):
            if other != element:
                result.pop(other, None)
        result[element] = merged
    return {**_consistent(result, new), **meta}


def fill(
    stored: Resource,
    converted: Converted,
    choices: Choices = _choices,
    kept_out: Sequence[str] = (),
) -> Resource:
    """Return what is stored with what an older message adds: elements and items not there yet.

    Elements to be `kept_out`, which a newer message deleted, do not come back; no state changes.
    """
    new = converted.resource
    kind = new["resourceType"]
    if kind in _WHOLE:
        return stored
    result = dict(stored)
    gone = {*_IGNORED, *_STATES, *kept_out}
    for element, value in new.items():
        if element in gone:
            continue
        if element in stored:
            if element in _KEYS and isinstance(value, list):
                result[element] = _added(stored[element], value, _KEYS[element])
            elif element in _INNER:
                later = {name: value[name] for name in _INNER[element] if name in value}
                result[element] = {**later, **stored[element]}
        elif not any(other in stored for other in _rivals(choices(kind), element)):
            result[element] = value
    return result if _consistent(result, result) == result else stored


def _added(old: Sequence[Json], new: Sequence[Json], key: Callable[[Json], Any]) -> list[Json]:
    """Return the items with those of other keys, which an older message has."""
    known = {_hashable(key(item)) for item in old}
    return [*old, *(item for item in new if _hashable(key(item)) not in known)]


def unite(first: Resource, second: Resource) -> Resource:
    """Return the one resource that two of a message stand for; where both speak, the first."""
    return {**second, **first}


def _without(
    stored: Resource, nulls: Sequence[str], rivals: Callable[[str], tuple[str, ...]]
) -> Resource:
    gone = {rival for element in nulls if element not in _KEPT for rival in rivals(element)}
    return {element: value for element, value in stored.items() if element not in gone}


def _rivals(choices: Mapping[str, tuple[str, ...]], element: str) -> tuple[str, ...]:
    """Return the elements that cannot stand beside this one: other types of a choice, its `_`."""
    if element.startswith("_"):
        return (element,)
    names = choices.get(element, (element,))
    return (*names, *(f"_{name}" for name in names))


def _consistent(result: Resource, new: Mapping[str, Any]) -> Resource:
    """Return the resource without what R4 does not let stand beside what is `new` (con-4, app-4).

    A clinical status goes with an entry in error, and comes back without it.
    """
    gone: list[str] = []
    if "verificationStatus" in result or "clinicalStatus" in result:
        is_error = _coded(result.get("verificationStatus", {})) == "entered-in-error"
        if is_error and "verificationStatus" in new:
            gone.append("clinicalStatus")
        elif is_error and "clinicalStatus" in new:
            gone.append("verificationStatus")
        if _coded(new.get("clinicalStatus", {})) in ("active", "recurrence", "relapse"):
            gone += [name for name in result if name.startswith("abatement") and name not in new]
    elif result["resourceType"] == "Appointment":
        is_off = result.get("status") in ("cancelled", "noshow")
        gone += [] if is_off else ["cancelationReason"]
    return {name: value for name, value in result.items() if name not in gone}


def _remove(result: Resource, element: str, values: Sequence[Any]) -> None:
    kept = result.get(element)
    if isinstance(kept, list):
        gone = [_who(value) for value in values]
        kept = [item for item in kept if _who(item) not in gone]
        if kept:
            result[element] = kept
        else:
            del result[element]


def _who(item: Any) -> Any:
    """Return what tells an item of a list from the others: whom or what it refers to, or all."""
    if not isinstance(item, dict):
        return item
    for name in ("actor", "individual", "member", "location", "other"):
        if isinstance(reference := item.get(name), dict) and reference.get("reference"):
            return reference["reference"]
    return item.get("reference") or item


def _override(old: Any, new: Any, day: str) -> Any:
    return new


def _known(old: Any, new: Any, day: str) -> Any:
    return old if new == "unknown" else new


def _parts(old: Any, new: Any, day: str) -> Any:
    return {**old, **new}


def _united(key: Callable[[Json], Any]) -> Rule:
    """Return the rule that replaces the item of the same key in its place and adds others."""

    def rule(old: Sequence[Json], new: Sequence[Json], day: str) -> list[Json]:
        coming = {_hashable(key(item)): item for item in new}
        kept = [coming.pop(_hashable(key(item)), item) for item in old]
        return kept + list(coming.values())

    return rule


def _hashable(key: Any) -> Any:
    return key if isinstance(key, str | tuple) else repr(key)


def _identifiers(old: Any, new: Any, day: str) -> Any:
    if not isinstance(new, list):  # of a type that has one at most
        return new
    coming = list(new)
    kept = []
    for item in old:
        same = next((other for other in coming if same_number(item, other)), None)
        if same is not None:
            coming.remove(same)
        kept.append({**item, **same} if same else item)
    return kept + coming


def _names(old: Sequence[Json], new: Sequence[Json], day: str) -> list[Json]:
    """Replace the names of the same use and script, but never a good one by a damaged one."""
    good = {_name_key(item) for item in old if not _is_damaged(item)}
    new = [item for item in new if not (_is_damaged(item) and _name_key(item) in good)]
    coming = {_name_key(item): [n for n in new if _name_key(n) == _name_key(item)] for item in new}
    replaced = set(coming)
    result: list[Json] = []
    for item in old:
        key = _name_key(item)
        if key not in replaced:
            result.append(item)
        result += [_enriched(name, old) for name in coming.pop(key, ())]
    return result + [name for names in coming.values() for name in names]


def _enriched(name: Json, old: Sequence[Json]) -> Json:
    same = next((item for item in old if _written(item) == _written(name)), {})
    return {**same, **name}


def _written(name: Json) -> str:
    return str(name.get("text") or "".join((name.get("family", ""), *name.get("given", ()))))


def _name_key(name: Json) -> tuple[str, bool]:
    return name.get("use", "official"), any(is_han(letter) for letter in _written(name))


def _is_damaged(name: Json) -> bool:
    return not _LOST.isdisjoint(_written(name))


def _dated(key: Callable[[Json], Any], content: Callable[[Json], Any]) -> Rule:
    """Return the rule that ends what is replaced: the same key with other content."""

    def rule(old: Sequence[Json], new: Sequence[Json], day: str) -> list[Json]:
        replaced = {key(item) for item in new}
        known = {content(item) for item in old}
        kept = []
        for item in old:
            same = next((other for other in new if content(other) == content(item)), None)
            if same is not None:
                kept.append({**_revived(item), **same})
            else:
                kept.append(_ended(item, day) if key(item) in replaced else item)
        return [item for item in new if content(item) not in known] + kept

    return rule


def _revived(item: Json) -> Json:
    period = {name: value for name, value in item.get("period", {}).items() if name != "end"}
    rest = {name: value for name, value in item.items() if name != "period"}
    return {**rest, "period": period} if period else rest


def _ended(item: Json, day: str) -> Json:
    period = item.get("period", {})
    if period.get("end"):
        return item
    start = period.get("start", "")
    return {**item, "period": {**period, "end": start if start[:10] > day else day}}


def _plain(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).split())


def _address_content(address: Json) -> str:
    if text := address.get("text"):
        return _plain(str(text))
    parts = [*address.get("line", ())]
    parts += [address.get(name, "") for name in ("district", "city", "state", "postalCode")]
    return _plain("|".join(parts))


def _telecom_key(point: Json) -> tuple[str, str]:
    return point.get("system", ""), point.get("use", "")


def _contact_key(contact: Json) -> str:
    name = _written(contact.get("name", {}))
    kinds = [_coded(relationship) for relationship in contact.get("relationship", ())]
    return _plain(name) or "|".join(kinds)


def _coded(concept: Json) -> str:
    codings = concept.get("coding") or [{}]
    return str(codings[0].get("code") or concept.get("text", ""))


def _meta(old: Json, new: Json) -> dict[str, Json]:
    """Return the `meta` of both: profiles, tags and labels of either stay."""
    result = {**old, **new}
    for name in ("profile", "security", "tag"):
        if name in old and name in new:
            result[name] = old[name] + [item for item in new[name] if item not in old[name]]
    return {"meta": result} if result else {}


_EXTENSIONS = _united(lambda extension: extension.get("url", ""))
_OTHERS: Mapping[str, Rule] = {"identifier": _identifiers, "extension": _EXTENSIONS}
_EVENT: Mapping[str, Rule] = {**_OTHERS, "participant": _united(_who)}
_RULES: Mapping[str, Mapping[str, Rule]] = MappingProxyType(
    {
        "Patient": {
            "identifier": _identifiers,
            "extension": _EXTENSIONS,
            "name": _names,
            "telecom": _dated(_telecom_key, lambda point: _plain(str(point.get("value", "")))),
            "address": _dated(lambda address: address.get("use", "home"), _address_content),
            "gender": _known,
            "contact": _united(_contact_key),
            "communication": _united(lambda spoken: _coded(spoken.get("language", {}))),
            "link": _united(lambda link: (_who(link), link.get("type", ""))),
        },
        "Appointment": _EVENT,
        "DiagnosticReport": {**_OTHERS, "result": _united(_who)},
        "Encounter": {
            **_EVENT,
            "period": _parts,
            "hospitalization": _parts,
            "location": _united(_who),
        },
    }
)
# What tells an item of a list from the others, where an older message may add some.
_KEYS: Mapping[str, Callable[[Json], Any]] = MappingProxyType(
    {
        "identifier": lambda one: (systems.canonical(one.get("system", "")), one.get("value", "")),
        "extension": lambda extension: extension.get("url", ""),
        "name": _name_key,
        "telecom": _telecom_key,
        "address": lambda address: address.get("use", "home"),
        "contact": _contact_key,
        "communication": lambda spoken: _coded(spoken.get("language", {})),
        "participant": _who,
        "result": _who,
    }
)
# Of these an older message may add the parts that no later event takes back.
_INNER = {"period": ("start",), "hospitalization": ("preAdmissionIdentifier", "admitSource")}
