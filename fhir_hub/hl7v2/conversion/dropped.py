"""What a message names and does not tell enough of: it is not made, and nothing refers to it.

Spec: https://hl7.org/fhir/R4/conformance-rules.html#cardinality
"""

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from fhir_hub.hl7v2.making.completeness import REVERSED, Completeness
from fhir_hub.hl7v2.making.drafts import Draft, Place, Run
from fhir_hub.hl7v2.maps.programs import Entry
from fhir_hub.hl7v2.maps.reads import NUMBERED
from fhir_hub.hl7v2.meaning.updates import names_nothing
from fhir_hub.hl7v2.parsing.er7 import Segment
from fhir_hub.hl7v2.parsing.nodes import Node

Json = dict[str, Any]
_label = re.compile(r"\[[^\]]*\]").sub
Late = list[tuple[Place, Entry, Draft]]
Dropped = list[tuple[Draft, str]]


def drop_incomplete(late: Late, run: Run, completeness: Completeness) -> Dropped:
    """Leave out what lacks a required element, and all references to it; say why."""
    dropped: Dropped = []
    leave_out: list[str] = []
    run.row = None
    drafts = [one for one in run.drafts if not one.is_witness]
    gone = {id(one) for one in drafts if one.mode == "change" and not one.match}
    waiting: Sequence[Draft] = [one for one in drafts if one.mode != "change"]
    holders: dict[str, list[Draft]] = {}
    again = _told_again(drafts)
    while waiting:
        touched: dict[int, tuple[Draft, set[str]]] = {}
        for draft in waiting:
            if id(draft) in touched:
                _without(*touched[id(draft)])
            is_none = draft.name != "Patient" and names_nothing(draft.segment)
            lacking = "content" if is_none else completeness.missing(draft.resource, leave_out)
            if leave_out:
                for part in leave_out:
                    run.issue("incomplete", f"{part} was left out")
                    if part.endswith(REVERSED):
                        _keep_read(part.removesuffix(REVERSED), draft, late, run)
                leave_out.clear()
            if lacking or id(draft) in again:
                resource_type = draft.resource["resourceType"]
                reason = f"{resource_type} without {lacking} was not made"
                if lacking:
                    run.issue("incomplete", reason)
                else:
                    reason = f"the same {resource_type} is told before"
                dropped.append((draft, reason))
                gone.add(id(draft))
                holders = holders or _holders(run.drafts)
                for holder in holders.get(draft.full_url, ()):
                    if id(holder) not in gone:
                        touched.setdefault(id(holder), (holder, set()))[1].add(draft.full_url)
        for holder, urls in touched.values():  # all at once, as very many may be dropped
            _without(holder, urls)
        waiting = [one for one in drafts if id(one) in touched and id(one) not in gone]
    if gone:
        run.drafts[:] = [one for one in run.drafts if id(one) not in gone]
    if dropped:
        _forget([draft for draft, _ in dropped], late)
        _leave(gone - again, late, run)
    return dropped


def _keep_read(element: str, draft: Draft, late: Late, run: Run) -> None:
    """Have the fields kept word for word from which an element of a draft was read."""
    wanted = element.split(".")[-2:]
    for place, entry, other in late:
        if other is not draft:
            continue
        for one in (*entry.rows, *entry.late):
            to = _label("", f"{draft.resource['resourceType']}.{one.row.to}").split(".")
            if one.row.sources and to[-2:] == wanted:
                source = one.row.sources[0]
                segment = place.find(source.segment)
                if segment is not None and segment.field(source.field):
                    run.keep(segment, source.field)


def _leave(gone: Collection[int], late: Late, run: Run) -> None:
    """Note as taken by nothing what only the drafts that are gone would have told."""
    left: dict[int, Segment] = {}
    taken: dict[int, int] = {}
    for place, entry, draft in late:
        segment = place.segment
        if id(draft) in gone:
            left[segment.index] = segment
        else:
            taken[segment.index] = taken.get(segment.index, 0) | entry.takes
    for index, segment in left.items():
        told = taken.get(index, 0) | 2 * (segment.name in NUMBERED)
        run.untaken[index] = run.untaken.get(index, 0) | segment.filled & ~told


def _told_again(drafts: Sequence[Draft]) -> set[int]:
    """Return the `id` of each allergy of which all but the number in sequence is told before.

    What other segments say of it (NTE, IAR) is in the resource.
    """
    seen: set[tuple[str, ...]] = set()
    found: set[int] = set()
    for draft in drafts:
        if draft.name == "AllergyIntolerance":
            name, *fields = draft.segment.fields
            said = [one for key, one in draft.resource.items() if key != "meta"]
            told = (repr(said), name, *fields[1:])
            if told in seen:
                found.add(id(draft))
            seen.add(told)
    return found


def _holders(drafts: Sequence[Draft]) -> dict[str, list[Draft]]:
    """Return which drafts refer to each full url: looked for once, as very many may be dropped."""
    found: dict[str, list[Draft]] = {}
    for draft in drafts:
        for url in dict.fromkeys(_references(draft.resource)):
            found.setdefault(url, []).append(draft)
    return found


def _references(node: Any) -> Iterator[str]:
    for value in node.values() if isinstance(node, dict) else node:
        if isinstance(value, str):
            if value.startswith("urn:"):
                yield value
        elif isinstance(value, dict | list):
            yield from _references(value)


def _forget(gone: Sequence[Draft], late: Late) -> None:
    """Take drafts out of all groups."""
    names, ids = {draft.name for draft in gone}, {id(draft) for draft in gone}
    seen: set[int] = set()
    for place, _, _ in late:
        node: Node | None = place.node
        while node is not None and id(node) not in seen:
            seen.add(id(node))
            node.forget(names, ids)
            node = node.parent


def _without(holder: Draft, urls: set[str]) -> None:
    """Take the references to these out of a resource; none is left to be taken."""
    if urls:
        _take_out(holder.resource, urls)
        urls.clear()


def _take_out(node: Any, urls: Collection[str]) -> None:
    children = list(node.items()) if isinstance(node, dict) else []
    for name, value in children:
        if _is_to(value, urls):
            del node[name]
        elif isinstance(value, list):
            for item in value:
                _take_out(item, urls)
            value[:] = [item for item in value if item != {} and not _is_to(item, urls)]
            if not value:
                del node[name]
        else:
            _take_out(value, urls)


def _is_to(value: Any, urls: Collection[str]) -> bool:
    return isinstance(value, dict) and len(value) == 1 and value.get("reference") in urls


def drop_witnesses(run: Run, completeness: Completeness) -> Dropped:
    """Leave out the witnesses that lack a required element; say why."""
    dropped: Dropped = []
    for draft in [one for one in run.drafts if one.is_witness]:
        if lacking := completeness.missing(draft.resource, []):
            run.row = None
            run.issue("incomplete", f"{draft.name} without {lacking} was not made")
            dropped.append((draft, f"{draft.name} without {lacking} was not made"))
            run.drafts.remove(draft)
    return dropped
