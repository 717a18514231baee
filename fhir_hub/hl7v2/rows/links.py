"""What a row does that refers to other resources of the message: `links`.

The results of an order refer to the same patient, visit, specimen and order: what several rows in
turn link is found once for all of them, and their References are the same objects, which nobody
changes.

Spec: DESIGN 2a
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import count
from typing import Any, NamedTuple

from fhir_hub.hl7v2.making.drafts import Draft, Place
from fhir_hub.hl7v2.parsing.nodes import MANY, Node
from fhir_hub.hl7v2.rows import conditions
from fhir_hub.hl7v2.rows.acts import Act, Acts
from fhir_hub.hl7v2.rows.elements import Target
from fhir_hub.hl7v2.rows.row import Row
from fhir_hub.hl7v2.rows.setters import setter

Json = dict[str, Any]
_FEWEST = 2  # rows in turn; of one alone there is nothing to save
_numbers = count()


class Link(NamedTuple):
    """A row that has `element` of the top refer to resources of a `name`: to all, or to one."""

    name: str
    element: str
    is_list: bool


def link_of(row: Row, goal: Target) -> Link | None:
    """Return the link of a row, None if it is more than that."""
    is_plain = row.links not in ("", "*") and not goal.parents and not goal.choice
    return Link(row.links, goal.last.name, goal.last.is_list) if is_plain else None


def linking(row: Row, goal: Target, test: conditions.Condition | None) -> Act:
    """Return the function of a row that refers to other resources of the message."""
    if "Reference" not in goal.types:
        raise ValueError(f"{goal.last.name} is no Reference")
    put, name = setter(goal, "Reference"), row.links
    is_list = goal.last.is_list or any(step.is_list and step.label for step in goal.parents)
    many = goal.last.name if goal.last.is_list and not goal.parents else ""
    alone = "" if many or goal.parents or goal.choice else goal.last.name
    kind = name.partition("[")[0]
    if name != "*" and not goal.may_refer_to(kind):
        raise ValueError(f"{goal.last.name} may not refer to {kind}")

    def act(place: Place, draft: Draft) -> None:
        if test is not None and not test(place):
            return
        if name == "*":
            made = (one for one in place.run.everything() if one.mode != "change")
            found = [one for one in made if not one.is_witness]
        else:
            found = place.node.linked_drafts(name)
            if len(found) > 1:
                found = _closest(found, place, alone=not is_list)
        if not found:
            return
        resource = draft.resource
        if alone:
            if found[0] is not draft and alone not in resource:
                resource[alone] = {"reference": found[0].full_url}
            return
        if many:
            references = [{"reference": one.full_url} for one in found if one is not draft]
            if references:
                resource.setdefault(many, []).extend(references)
            return
        for index, other in enumerate(found if is_list else found[:1]):
            if other is not draft:
                put(draft, place, index, {"reference": other.full_url})

    return act


def _closest(found: list[Draft], place: Place, *, alone: bool) -> list[Draft]:
    """Return those of the segment itself, else for a single one the last before it (A17)."""
    segment = place.segment
    if len(found) < MANY:
        own = [one for one in found if one.segment is segment]
    else:
        own = _by_segment(found, place).get(segment.index, [])
    if own or not alone:
        return own or found
    before = bisect_left(found, segment.index, key=_index)
    return [found[before - 1]] if before else found


def _index(draft: Draft) -> int:
    return draft.segment.index


def _by_segment(found: list[Draft], place: Place) -> dict[int, list[Draft]]:
    """Return very many drafts by where what made them stands: put so once for all who ask."""
    key = ("by segment", id(found))
    known: tuple[list[Draft], dict[int, list[Draft]]] | None = place.run.moments.get(key)
    if known is None:
        made: dict[int, list[Draft]] = {}
        for one in found:
            made.setdefault(one.segment.index, []).append(one)
        known = place.run.moments[key] = (found, made)  # the list lives as long as its id counts
    return known[1]


def together(links: Sequence[Link], acts: Acts) -> Acts:
    """Return what does the same as several rows that link in turn, asked once an order."""
    elements = [one.element for one in links]
    if len(links) < _FEWEST or len(set(elements)) < len(elements):
        return acts
    names, taken, number = frozenset(one.name for one in links), frozenset(elements), next(_numbers)

    def act(place: Place, draft: Draft) -> None:
        node, resource = place.node, draft.resource
        outer = node.outer
        if (
            outer is not None
            and names.isdisjoint(node.drafts)
            and taken.isdisjoint(resource)
            and (found := _around(node, outer, links, number)) is not None
        ):
            for element, is_list, value in found:
                resource[element] = [*value] if is_list else value
            return
        for _, one in acts:
            one(place, draft)

    return (("", act),)


Found = tuple[tuple[str, bool, Any], ...]


def _around(node: Node, outer: Node, links: Iterable[Link], number: int) -> Found | None:
    """Return what links put of what is around a group; None where it matters who asks."""
    key = (number, id(node.spot.within))
    known: dict[Any, Found | None] = outer.linked
    try:
        return known[key]
    except KeyError:
        made: list[tuple[str, bool, Any]] = []
        for name, element, is_list in links:
            drafts = node.linked_drafts(name)
            if len(drafts) > 1 and not is_list:
                known[key] = None
                return None
            references = [{"reference": one.full_url} for one in drafts]
            if references:
                made.append((element, is_list, references if is_list else references[0]))
        found = known[key] = tuple(made)
        return found
