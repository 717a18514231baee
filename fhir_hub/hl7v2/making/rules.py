"""How the items of a list that a message tells go with those that are stored, by element.

A rule takes what is stored, what is new and the message's date, and returns what holds: the
item of the same key is replaced in its place, ended or kept, others stay.

Spec: HL7v2 chapter 2, 2.5.3; DOMAIN 0.12 and v2/*.expected.md
"""

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from fhir_hub.hl7v2.datatypes import places
from fhir_hub.identity import systems, traits
from fhir_hub.identity.match import same_number
from fhir_hub.identity.names import is_han, written
from fhir_hub.r4.checks.moments import is_after

Json = dict[str, Any]
Rule = Callable[[Any, Any, str], Any]

# The list in which a person and an institution stand, each told by a field of its own.
CARING = "generalPractitioner"
_TIERS = f"{systems.BASE}/CodeSystem/tier"
_LOST = frozenset("?？□■\ufffd")


def who(item: Any) -> Any:
    """Return what tells an item of a list from the others: whom or what it refers to, or all."""
    if not isinstance(item, dict):
        return item
    for name in ("actor", "individual", "member", "location", "other"):
        if isinstance(reference := item.get(name), dict) and reference.get("reference"):
            return reference["reference"]
    return item.get("reference") or item


def override(old: Any, new: Any, day: str) -> Any:
    """Return what is new."""
    return new


def _known(old: Any, new: Any, day: str) -> Any:
    return old if new == "unknown" else new


def first(old: Any, new: Any, day: str) -> Any:
    """Return when something was asked for first: a later message says when it was changed."""
    return new if is_after(old, new) else old


def is_institution(reference: Json) -> bool:
    """Say whether one of those who care for a patient is an institution, and no person.

    Of one that is a name alone its `type` says it.
    """
    told = reference.get("type") or str(reference.get("reference", "")).partition("/")[0]
    return bool(told == "Organization")


def _caring(old: Sequence[Json], new: Sequence[Json], day: str) -> list[Json]:
    """Replace the persons by new ones, and the institutions: a message may name either alone."""
    told: dict[bool, list[Json]] = {is_institution(one): [] for one in new}
    for one in new:
        told[is_institution(one)].append(one)
    result = list[Json]()
    for one in old:
        kind = is_institution(one)
        result += told.get(kind, [one])
        if kind in told:  # they stand where the first one stood
            told[kind] = []
    return [*result, *(one for ones in told.values() for one in ones)]


def _parts(old: Any, new: Any, day: str) -> Any:
    """Return what is told of an element in parts; an end of a term that does not fit is over."""
    both = {**old, **new}
    return both if both.get("start", "") <= both.get("end", "9999") else new


def _united(key: Callable[[Json], Any]) -> Rule:
    """Return the rule that replaces the item of the same key in its place and adds others."""

    def rule(old: Sequence[Json], new: Sequence[Json], day: str) -> list[Json]:
        coming = {hashable(key(item)): item for item in new}
        kept = [coming.pop(hashable(key(item)), item) for item in old]
        return kept + list(coming.values())

    return rule


def _extensions(old: Sequence[Json], new: Sequence[Json], day: str) -> list[Json]:
    """Return what is told now instead of all that had the same url, each in a place of one."""
    coming: dict[str, list[Json]] = {}
    for item in new:
        coming.setdefault(item.get("url", ""), []).append(item)
    told = {url: iter(items) for url, items in coming.items()}
    kept = (
        next(told.get(url, iter((item,))), None) for item in old for url in (item.get("url", ""),)
    )
    joined = [item for item in kept if item is not None]
    return joined + [item for items in told.values() for item in items]


def _parted(key: Callable[[Json], Any]) -> Rule:
    """Return the rule that lays the item of the same key over what is stored of it, part by part.

    Others are added.
    """
    unite = _united(key)

    def rule(old: Sequence[Json], new: Sequence[Json], day: str) -> list[Json]:
        known = {hashable(key(item)): item for item in old}
        laid = [{**known.get(hashable(key(item)), {}), **item} for item in new]
        joined: list[Json] = unite(old, laid, day)
        return joined

    return rule


def hashable(key: Any) -> Any:
    """Return a key that a dict takes."""
    parts = key if isinstance(key, tuple) else (key,)  # who has no number is told by all of him
    return key if all(isinstance(one, str) for one in parts) else repr(key)


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


def best_known(old: Sequence[Json], new: Sequence[Json]) -> tuple[Sequence[Json], Sequence[Json]]:
    """Return two lists of names without those that stand in where either knows better.

    So `无名氏` or `UNKNOWN` holds until somebody knows the name, and never overwrites it.
    """
    ranks = [traits.rank_of(written(one)) for one in (*old, *new) if _is_own(one)]
    if not ranks or min(ranks) == max(ranks):
        return old, new
    best = max(ranks)

    def kept(names: Sequence[Json]) -> list[Json]:
        return [one for one in names if not _is_own(one) or traits.rank_of(written(one)) == best]

    return kept(old), kept(new)


def _is_own(name: Json) -> bool:
    """Say whether a name is the one that somebody is known by, and none beside it."""
    return name.get("use", "official") in ("official", "usual", "temp")


def _names(old: Sequence[Json], new: Sequence[Json], day: str) -> Sequence[Json]:
    """Replace the names of the same use and script, but never a good one by a damaged one."""
    if old == new:
        return old
    old, new = best_known(old, new)
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
    same = next((item for item in old if written(item) == written(name)), {})
    return {**same, **name}


def _name_key(name: Json) -> tuple[str, bool]:
    return name.get("use", "official"), any(is_han(letter) for letter in written(name))


def _is_damaged(name: Json) -> bool:
    return not _LOST.isdisjoint(written(name))


def _dated(key: Callable[[Json], Any], content: Callable[[Json], Any]) -> Rule:
    """Return the rule that ends what is replaced: the same key with other content."""

    def rule(old: Sequence[Json], new: Sequence[Json], day: str) -> list[Json]:
        replaced = {key(item) for item in new}
        known = {content(item) for item in old}
        coming = {content(item): item for item in reversed(new)}
        kept = []
        for item in old:
            same = coming.get(content(item))
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
    text = address.get("text") or places.address_text(address)
    if text:
        return _plain(str(text))
    parts = [one for one in address.get("line", ()) if one]
    parts += [address.get(name, "") for name in ("district", "city", "state", "postalCode")]
    return _plain("|".join(parts))


def _telecom_key(point: Json) -> tuple[str, str]:
    return point.get("system", ""), point.get("use", "")


def _contact_key(contact: Json) -> str:
    name = written(contact.get("name", {}))
    kinds = [coded(relationship) for relationship in contact.get("relationship", ())]
    return _plain(name) or "|".join(kinds)


def coded(concept: Json) -> str:
    """Return the first code of a CodeableConcept, else its text."""
    codings = concept.get("coding") or [{}]
    return str(codings[0].get("code") or concept.get("text", ""))


def _attendance(participant: Json) -> Any:
    """Return what tells one who takes part: of a visit who it is and as what, else who it is.

    Who attends a patient may have admitted her too.
    """
    if "individual" not in participant:
        return who(participant)
    return who(participant), "|".join(map(coded, participant.get("type", ())))


def _member(participant: Json) -> Any:
    """Return what tells a member of a team: its part of a contract, else who it is, and as what."""
    roles = [one for role in participant.get("role", ()) for one in role.get("coding", ())]
    part = next((one.get("code") for one in roles if one.get("system") == _TIERS), None)
    return part or (who(participant), "|".join(map(coded, participant.get("role", ()))))


def diagnosed(diagnosis: Json) -> Any:
    """Return what tells a diagnosis of a visit: which Condition it is, whatever it is for."""
    return diagnosis.get("condition", {}).get("reference") or hashable(diagnosis)


def _diagnoses(old: Sequence[Json], new: Sequence[Json], day: str) -> list[Json]:
    """Replace all that was said of the diagnoses that are told, each in its place."""
    coming: dict[Any, list[Json]] = {}
    for one in new:
        coming.setdefault(diagnosed(one), []).append(one)
    told = set(coming)
    result: list[Json] = []
    for one in old:
        key = diagnosed(one)
        result += coming.pop(key, []) if key in told else [one]
    return result + [one for ones in coming.values() for one in ones]


def _team(old: Sequence[Json], new: Sequence[Json], day: str) -> list[Json]:
    """Replace who is in a team already; since when she is holds until another time is told.

    Who is taken out before she was to begin has no beginning any more.
    """
    begun = {hashable(_member(one)): one.get("period", {}).get("start") for one in old}
    told = []
    for one in new:
        start, period = begun.get(hashable(_member(one))), one.get("period", {})
        is_held = start and period and not is_after(start, period.get("end", start))
        kept = {"period": {"start": start, **period}} if is_held else {}
        told.append({**one, **kept})
    joined: list[Json] = _united(_member)(old, told, day)
    return joined


def _placed(old: Sequence[Json], new: Sequence[Json], day: str) -> list[Json]:
    """Return the places of a visit: those known keep since when and until, or are left."""
    known = [who(one) for one in old]
    is_left = [who(one) for one in new if one.get("status") == "completed"]
    now = [
        {**one, "status": "completed"}
        if one.get("status") == "active" and who(one) in is_left
        else one
        for one in old
    ]
    return [*now, *(one for one in new if who(one) not in known)]


def contents(old: Sequence[Json], new: Sequence[Json], day: str) -> Sequence[Json]:
    """Return what a document says: who tells of it without its text leaves the text that it has."""
    return new if any(map(_has_text, new)) or not any(map(_has_text, old)) else old


def _has_text(content: Json) -> bool:
    return not {"data", "url"}.isdisjoint(content.get("attachment", ()))


OTHERS: Mapping[str, Rule] = {"identifier": _identifiers, "extension": _extensions}
_REQUEST: Mapping[str, Rule] = {
    **OTHERS,
    "status": _known,
    "authoredOn": first,
    "dateTime": first,
}
REQUESTS = ("MedicationRequest", "NutritionOrder", "ServiceRequest", "SupplyRequest")
RULES: Mapping[str, Mapping[str, Rule]] = MappingProxyType(
    {
        "Patient": {
            "identifier": _identifiers,
            "extension": _extensions,
            "name": _names,
            "telecom": _dated(_telecom_key, lambda point: _plain(str(point.get("value", "")))),
            "address": _dated(lambda address: address.get("use", "home"), _address_content),
            "gender": _known,
            "generalPractitioner": _caring,
            "contact": _united(_contact_key),
            "communication": _united(lambda spoken: coded(spoken.get("language", {}))),
            "link": _united(lambda link: (who(link), link.get("type", ""))),
        },
        "Appointment": {**OTHERS, "participant": _parted(who)},
        "CareTeam": {**OTHERS, "participant": _team, "period": _parts},
        "Coverage": {**OTHERS, "period": _parts},
        "DiagnosticReport": {**OTHERS, "result": _united(who)},
        "DocumentReference": {**OTHERS, "content": contents},
        "Encounter": {
            **OTHERS,
            "participant": _united(_attendance),
            "diagnosis": _diagnoses,
            "period": _parts,
            "hospitalization": _parts,
            "location": _placed,
        },
        "RelatedPerson": {**OTHERS, "period": _parts},
    }
    | dict.fromkeys(REQUESTS, _REQUEST)
)
# What tells an item of a list from the others, where an older message may add some.
KEYS: Mapping[str, Callable[[Json], Any]] = MappingProxyType(
    {
        "identifier": lambda one: (systems.canonical(one.get("system", "")), one.get("value", "")),
        "extension": lambda extension: extension.get("url", ""),
        "name": _name_key,
        "telecom": _telecom_key,
        "address": lambda address: address.get("use", "home"),
        "contact": _contact_key,
        "communication": lambda spoken: coded(spoken.get("language", {})),
        "generalPractitioner": is_institution,
        "participant": _attendance,
        "diagnosis": diagnosed,
        "result": who,
    }
)
# Of these an older message may add the parts that no later event takes back.
INNER = {"period": ("start",), "hospitalization": ("preAdmissionIdentifier", "admitSource")}

_CONTENTS: Mapping[str, Callable[[Json], Any]] = MappingProxyType(
    {
        "name": lambda name: (name.get("use", "official"), written(name)),
        "telecom": lambda point: _plain(str(point.get("value", ""))),
        "address": _address_content,
        "contact": _contact_key,
        "communication": KEYS["communication"],
        "generalPractitioner": lambda one: hashable(who(one)),
    }
)


def content_of(element: str) -> Callable[[Json], Any]:
    """Return what says whether two items of a Patient's list are the same, whoever told them."""
    return _CONTENTS[element]
