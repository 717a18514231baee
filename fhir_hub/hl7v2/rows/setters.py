"""How a value gets to its element: into the resource, into an item of a list, into a choice.

The first row that has a value for a single element wins; values for a list are added. A
function is made once a row, when the maps are loaded.
"""

from collections.abc import Callable
from typing import Any

from fhir_hub.hl7v2.datatypes.quantities import Typed
from fhir_hub.hl7v2.making.drafts import Draft, Place
from fhir_hub.hl7v2.rows.elements import Step, Target

# Draft, place, number of the repetition, value; says whether the value was taken.
Put = Callable[[Draft, Place, int, Any], bool]
Json = dict[str, Any]
_MOST_COMPARED = 64


def setter(target: Target, fhir_type: str = "") -> Put:
    """Return the function that puts a value at a target.

    A choice takes its type from a `Typed` value, else it is `fhir_type`.
    """
    if target.choice:
        return _choice(target, fhir_type)
    if target.parents:
        return _nested(target)
    return _top_list(target.last.name) if target.last.is_list else _top(target.last.name)


def _top(name: str) -> Put:
    def put(draft: Draft, place: Place, index: int, value: Any) -> bool:
        if name in draft.resource:
            return False
        draft.resource[name] = value
        return True

    return put


def _top_list(name: str) -> Put:
    def put(draft: Draft, place: Place, index: int, value: Any) -> bool:
        known = draft.resource.get(name)
        if known is None:
            draft.resource[name] = [value]
        else:
            _add(known, value)
        return True

    return put


def _add(known: list[Any], value: Any) -> None:
    """Add a value that is not there yet; of a very long list only the end is looked at."""
    if value not in (known if len(known) < _MOST_COMPARED else known[-_MOST_COMPARED:]):
        known.append(value)


def _choice(target: Target, fhir_type: str) -> Put:
    name, parents = target.last.name, target.parents
    fixed = _chosen(name, fhir_type) if fhir_type else ""
    names: dict[str, str] = {}  # by type, of which there are some fifty

    def put(draft: Draft, place: Place, index: int, value: Any) -> bool:
        holder = _holder(draft, place, index, parents) if parents else draft.resource
        marker = (id(holder), name)
        if marker in draft.chosen:
            return False
        draft.chosen += (marker,)
        if type(value) is Typed:
            kind = value.fhir_type
            chosen = names.get(kind)
            if chosen is None:
                chosen = names[kind] = _chosen(name, kind)
            holder[chosen] = value.value
        else:
            holder[fixed] = value
        return True

    return put


def _chosen(name: str, fhir_type: str) -> str:
    return name + fhir_type[:1].upper() + fhir_type[1:]


def _nested(target: Target) -> Put:
    parents, last = target.parents, target.last
    if len(parents) == 1 and not parents[0].is_list and last.is_list:
        return _inner_list(parents[0].name, last.name)

    is_of_one = last.is_list  # the repetitions are its items, and not of the lists that hold it

    def put(draft: Draft, place: Place, index: int, value: Any) -> bool:
        holder = _holder(draft, place, 0 if is_of_one else index, parents)
        return _set(holder, last, value)

    return put


def _inner_list(outer: str, name: str) -> Put:
    """Return the setter of a list in an object at the top: `meta.tag`."""

    def put(draft: Draft, place: Place, index: int, value: Any) -> bool:
        holder = draft.resource.get(outer)
        if holder is None:
            draft.resource[outer] = {name: [value]}
        elif name not in holder:
            holder[name] = [value]
        else:
            _add(holder[name], value)
        return True

    return put


def _set(holder: Json, last: Step, value: Any) -> bool:
    if last.is_list:
        _add(holder.setdefault(last.name, []), value)
        return True
    if last.name in holder:
        return False
    holder[last.name] = value
    return True


def _holder(draft: Draft, place: Place, index: int, parents: tuple[Step, ...]) -> Json:
    """Return the object that holds the last step, made where it is missing.

    An item of a list that has a label is one a repetition of the field; one without is one a
    segment.
    """
    node: Json = draft.resource
    for step in parents:
        if not step.is_list:
            node = node.setdefault(step.name, {})
            continue
        which = index if step.label else place.segment.index
        key = (id(node), step.name, step.label, which)
        item = draft.items.get(key)
        if item is None:
            item = draft.items[key] = {}
            node.setdefault(step.name, []).append(item)
            if step.label:
                draft.items.setdefault(key[:3], []).append(item)
        node = item
    return node


def decorator(target: Target) -> Put:
    """Return the function that puts a constant into every item that other rows have made."""
    parents, last = target.parents, target.last
    in_list = any(step.is_list for step in parents)

    def put(draft: Draft, place: Place, index: int, value: Any) -> bool:
        if in_list and not draft.items:
            return False
        holders = [draft.resource]
        for step in parents:
            holders = [one for node in holders for one in _made(draft, place, node, step)]
        found = [_set(holder, last, value) for holder in holders]
        return any(found)

    return put


def _made(draft: Draft, place: Place, node: Json, step: Step) -> list[Json]:
    """Return what a step leads to that is there: of a label all items, else the segment's own."""
    if not step.is_list:
        held = node.get(step.name)
        if held is None:
            return []
        if "reference" in held:  # another resource may have the same one
            held = node[step.name] = dict(held)
        return [held]
    if not step.label:
        item = draft.items.get((id(node), step.name, "", place.segment.index))
        return [] if item is None else [item]
    return [*draft.items.get((id(node), step.name, step.label), ())]
