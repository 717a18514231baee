"""Two records of one resident become one, and each has a 1+1+1 contract: the survivor's holds.

There is one family doctor at a time, and a clerk who merges two records has not to end a contract
first. So the contract that comes along ends the day before the survivor's begins, or today if that
holds already, and its programmes and consent end with it. Each keeps in an extension what it was;
when the two are parted that is back. What its centre tells of it again meanwhile opens it no more
than it may be opened by a client: as long as the other one holds. Merged back, the record in use
has its own again, and that of the other one ends.

Spec: DOMAIN 1.3 S2, 2.1; https://hl7.org/fhir/R4/careteam.html
"""

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any

from fhir_hub.clock import instant
from fhir_hub.errors import Issue
from fhir_hub.identity import merging
from fhir_hub.identity.systems import BASE
from fhir_hub.referral.finding import Followed
from fhir_hub.referral.reading import at, each, key_of
from fhir_hub.repository.unit import Resource, Unit, Warned

BEFORE_MERGE = f"{BASE}/StructureDefinition/before-merge"
_ENDED = "ended by a merge of two records of the resident; the contract in force is "
_ENDED_CHINESE = "患者档案合并，本协议终止；有效协议为 "


def is_led_on(followed: Followed) -> bool:
    """Say whether a merge, its undoing or a move has a contract be another record's."""
    old, new = (key_of(at(one, "subject")) for one in followed[1:])
    if not (followed.before and followed.after and old and new) or old == new:
        return False
    return merging.is_led_on(followed.before, followed.after, old.logical_id, new.logical_id)


def is_kept(resource: Resource | None) -> bool:
    """Say whether a resource keeps what it was before a merge ended it."""
    return _kept(resource or {}) is not None


def is_back(followed: Followed) -> bool:
    """Say whether a contract that a merge ended is of the record again that it was of."""
    kept = _kept(followed.after or {}) or {}
    subject = key_of(at(followed.after, "subject"))
    return subject is not None and kept.get("patient") == subject.logical_id


def has_come_along(contract: Resource) -> bool:
    """Say whether a merge, or a move, made a contract of another record be this one's."""
    subject = key_of(contract.get("subject"))
    return subject is not None and merging.has_come_along(contract, subject.logical_id)


def is_told_since(followed: Followed) -> bool:
    """Say whether it is told of a contract that a merge ended how it ended otherwise."""
    before, after = followed.before or {}, followed.after or {}
    live = {"active", "proposed"}
    if not is_kept(before) or not live.isdisjoint((before.get("status"), after.get("status"))):
        return False
    return any(before.get(name) != after.get(name) for name in ("status", "period"))


def kept(resource: Resource, patient_id: str) -> Resource:
    """Return the resource with what it is now in an extension, and of which record; once."""
    if is_kept(resource):
        return resource
    parts: list[dict[str, Any]] = [
        {"url": "patient", "valueId": patient_id},
        {"url": "status", "valueCode": resource.get("status", "active")},
    ]
    if period := _period_of(resource):
        parts.append({"url": "period", "valuePeriod": dict(period)})
    mark = {"url": BEFORE_MERGE, "extension": parts}
    return {**resource, "extension": [*resource.get("extension", ()), mark]}


def kept_like(contract: Resource | None) -> Callable[[Resource], Resource]:
    """Return what has a resource keep what it is, if it ends with a contract that a merge ended."""
    was = _kept(contract or {})
    return (lambda one: kept(one, str(was["patient"]))) if was else dict


def as_before(resource: Resource, today: date) -> Resource:
    """Return the resource as it was before a merge ended it; a term that is over stays over."""
    was = _kept(resource) or {}
    changed = without(resource)
    if notes := [one for one in each(resource, "note") if not _is_own(one)]:
        changed["note"] = notes
    else:
        changed.pop("note", None)
    holder = changed
    if resource["resourceType"] == "Consent":
        holder = changed["provision"] = dict(changed.get("provision", {}))
    holder.pop("period", None)
    if period := was.get("period"):
        holder["period"] = period
    is_over = (end := str(at(period, "end") or "")[:10]) and end < today.isoformat()
    return changed if is_over else {**changed, "status": was.get("status") or "inactive"}


def without(resource: Resource) -> Resource:
    """Return the resource without what it keeps: it is what it is now."""
    rest = [one for one in each(resource, "extension") if one.get("url") != BEFORE_MERGE]
    changed = {name: part for name, part in resource.items() if name != "extension"}
    return {**changed, "extension": rest} if rest else changed


def ended(unit: Unit, followed: Followed, other: Resource, first: date, last: str) -> Resource:
    """Return the contract that came along as it ends, for `other` that begins `first`; warn of it.

    `last` is its last day, if it is to end now.
    """
    contract, before = followed.after or {}, key_of(at(followed.before, "subject"))
    assert before is not None
    day_before = (first - timedelta(days=1)).isoformat() if first > unit.today else ""
    is_ahead = bool(day_before) and str(at(contract, "period", "start") or "")[:10] <= day_before
    changed = kept(contract, before.logical_id)
    start = str(at(contract, "period", "start") or "")[:10]
    end = day_before if is_ahead else max(last, start)
    english, chinese = (f"{text}CareTeam/{other['id']}" for text in (_ENDED, _ENDED_CHINESE))
    issue = Issue("business-rule", english, "CareTeam.status", "warning", chinese)
    unit.warnings.append(Warned(followed.key, issue))
    return {
        **changed,
        "status": contract["status"] if is_ahead else "inactive",
        "period": {**contract.get("period", {}), "end": end},
        "note": [
            *contract.get("note", ()),
            {"time": instant(unit.now), "text": f"{english} / {chinese}"},
        ],
    }


def _kept(resource: Resource) -> dict[str, Any] | None:
    for one in each(resource, "extension"):
        if one.get("url") == BEFORE_MERGE:
            parts = {part.get("url"): part for part in each(one, "extension")}
            return {
                "patient": at(parts, "patient", "valueId"),
                "status": at(parts, "status", "valueCode"),
                "period": at(parts, "period", "valuePeriod"),
            }
    return None


def _period_of(resource: Resource) -> Mapping[str, Any]:
    path = ("provision", "period") if resource["resourceType"] == "Consent" else ("period",)
    period = at(resource, *path)
    return period if isinstance(period, dict) else {}


def _is_own(note: Resource) -> bool:
    return str(note.get("text", "")).startswith(_ENDED)
