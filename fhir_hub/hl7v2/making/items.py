"""Parts of one item of a list: a role of one of those who take part, a time of one room.

A path such as `participant[#3].type` means the item that the message's segment 3 makes; when all
is converted it is told by whom that refers to, `participant[Location/1].type`, as what is stored
is. Of an item that refers to nobody there is no path.

Spec: HL7v2 chapter 2, 2.5.3 (`""` deletes, empty leaves)
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from fhir_hub.hl7v2.making.drafts import Draft
from fhir_hub.hl7v2.making.rules import who


def part_of(element: str, index: int, part: str) -> str:
    """Return the path of a part of the item that the segment with this index makes."""
    return f"{element}[#{index}].{part}"


def as_of(paths: Iterable[str], element: str, index: int, item: Any) -> tuple[str, ...]:
    """Return those that are of the item that a segment makes, as they are of another item."""
    head, whom = part_of(element, index, ""), who(item)
    if not isinstance(whom, str):
        return ()
    parts = (path.removeprefix(head) for path in paths if path.startswith(head))
    return tuple(f"{element}[{whom}].{part}" for part in parts)


def named(draft: Draft, paths: Iterable[str]) -> Iterator[str]:
    """Yield the paths as they tell an item by whom it refers to; others as they are."""
    for path in paths:
        element, mark, rest = path.partition("[#")
        if not mark:
            yield path
            continue
        index, _, part = rest.partition("].")
        item = draft.items.get((id(draft.resource), element, "", int(index)))
        whom = who(item) if item else None
        if isinstance(whom, str):
            yield f"{element}[{whom}].{part}"


def rewritten(paths: tuple[str, ...], addresses: Mapping[str, str]) -> tuple[str, ...]:
    """Return the paths with full urls replaced by what they stand for."""
    if not any("]." in path for path in paths):
        return paths
    found = []
    for path in paths:
        element, _, rest = path.partition("[")
        whom, mark, part = rest.partition("].")
        found.append(f"{element}[{addresses.get(whom, whom)}].{part}" if mark else path)
    return tuple(found)


def parts_in(paths: Iterable[str]) -> dict[str, dict[str, set[str]]]:
    """Return the parts that the paths of items name: by element, and by whom the item refers to."""
    found: dict[str, dict[str, set[str]]] = {}
    for path in paths:
        head, mark, part = path.partition("].")
        if mark:
            element, _, whom = head.partition("[")
            found.setdefault(element, {}).setdefault(whom, set()).add(part)
    return found


def without(items: Any, parts: Mapping[str, Collection[str]]) -> Any:
    """Return items without these parts of those that refer to somebody."""
    if not isinstance(items, list):
        return items
    return [
        {name: value for name, value in one.items() if name not in parts[whom]}
        if isinstance(whom := who(one), str) and whom in parts
        else one
        for one in items
    ]
