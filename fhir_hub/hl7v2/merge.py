"""What a message says of a resource, laid over what is stored of it.

A message is one institution's view: what it does not mention stays as it is. So a Patient is a
union of what several have said, an Appointment or Encounter is changed element by element, and
everything else (a result, an order) is what its last message says. An element that comes again
unchanged leaves the stored one as it is, so that a message sent twice makes no new version.

Spec: HL7v2 chapter 2, 2.5.3 (`""` deletes, empty leaves); DOMAIN 0.12 and v2/*.expected.md
"""

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from fhir_hub.hl7v2.convert import Converted
from fhir_hub.identity.match import same_number
from fhir_hub.identity.names import is_han

Resource = dict[str, Any]
Json = dict[str, Any]
Rule = Callable[[Any, Any, str], Any]

_LOST = frozenset("?？□■\ufffd")
_CHOICES = ("deceased", "multipleBirth")
_KEPT = ("identifier",)  # who somebody is cannot be deleted by a message
_IGNORED = ("id", "meta", "resourceType")


def merge(stored: Resource, converted: Converted, day: str) -> Resource:
    """Return the resource that holds after the message; `stored` is not changed.

    References of both are `Type/id`. `day`, the message's, ends what it replaces by another
    address or phone.
    """
    new = converted.resource
    meta = _meta(stored.get("meta", {}), new.get("meta", {}))
    rules = _RULES.get(new["resourceType"])
    if rules is None:
        return {**new, **meta}
    result = _without(stored, converted.nulls)
    for element, values in converted.removes.items():
        _remove(result, element, values)
    for element, value in new.items():
        if element in _IGNORED:
            continue
        rule = rules.get(element, _override)
        merged = rule(result[element], value, day) if element in result else value
        for other in _rivals(element):
            if other != element:
                result.pop(other, None)
        result[element] = merged
    return {**result, **meta}


def unite(first: Resource, second: Resource) -> Resource:
    """Return the one resource that two of a message stand for; where both speak, the first."""
    return {**second, **first}


def _without(stored: Resource, nulls: Sequence[str]) -> Resource:
    gone = {rival for element in nulls if element not in _KEPT for rival in _rivals(element)}
    return {element: value for element, value in stored.items() if element not in gone}


def _rivals(element: str) -> tuple[str, ...]:
    """Return the elements that cannot stand beside this one: other types of a choice, its `_`."""
    if element.startswith("_"):
        return (element,)
    for choice in _CHOICES:
        if element.startswith(choice):
            names = [choice + kind for kind in ("Boolean", "DateTime", "Integer")]
            return (*names, *(f"_{name}" for name in names))
    return (element, f"_{element}")


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


def _identifiers(old: Sequence[Json], new: Sequence[Json], day: str) -> list[Json]:
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
_EVENT: Mapping[str, Rule] = {
    "identifier": _identifiers,
    "extension": _EXTENSIONS,
    "participant": _united(_who),
}
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
        "Encounter": {
            **_EVENT,
            "period": _parts,
            "hospitalization": _parts,
            "location": _united(_who),
        },
    }
)
