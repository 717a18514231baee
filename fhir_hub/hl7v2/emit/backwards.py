"""The rows of a map's entry, to be run backwards: from an element to a field.

`to` says where to read, `from` where to write, `as` and `table` with which writer. A label
(`participant[attender]`) stands for the items that have what its constants say; a list without
a label has an item a segment. A constant with a condition on a field is written as that
field: `verificationStatus` provisional, `when` DG1-6 is `W`, writes a W.

Spec: DESIGN 2a, read from right to left
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from fhir_hub.hl7v2.maps.programs import Entry
from fhir_hub.hl7v2.parsing.path import Path, parse_path
from fhir_hub.hl7v2.rows.elements import Target, target
from fhir_hub.hl7v2.rows.row import Row
from fhir_hub.r4.definitions import Definitions

Json = dict[str, Any]
Header = Mapping[str, str]


At = tuple[int, str, int]


class Found(NamedTuple):
    """A value of an element; of a choice with the type that its name ends with.

    `at` is where it stands: in which object, under which name, which item of a list.
    """

    fhir_type: str
    value: Any
    at: At = (0, "", 0)


class Conditions(NamedTuple):
    """What `when` and `unless` ask: of the header, of fields a text, of fields their presence."""

    header: tuple[tuple[str, frozenset[str], bool], ...]
    texts: tuple[tuple[Path, tuple[str, ...]], ...]
    present: tuple[tuple[Path, bool], ...]

    def allow(self, header: Header) -> bool:
        """Say whether the header is as asked."""
        holds = [(header.get(key, "") in among, wanted) for key, among, wanted in self.header]
        unwanted = [found for found, wanted in holds if not wanted]
        return all(found for found, wanted in holds if wanted) and not (unwanted and all(unwanted))


def conditions_of(when: Any, unless: Any) -> Conditions:
    """Return the conditions of a row or an entry.

    What `unless` asks of fields beside the header is not looked at: those fields are not
    written by the rows that it forbids.
    """
    header: list[tuple[str, frozenset[str], bool]] = []
    texts: list[tuple[Path, tuple[str, ...]]] = []
    present: list[tuple[Path, bool]] = []
    for key, wanted in _listed(when).items():
        path = parse_path(key)
        if isinstance(wanted, bool):
            present.append((path, wanted))
            continue
        among = (wanted,) if isinstance(wanted, str) else tuple(wanted)
        if path.segment == "MSH":
            header.append((key, frozenset(among), True))
        else:
            texts.append((path, among))
    others = _listed(unless)
    if others and all(key.startswith("MSH-") for key in others):
        for key, wanted in others.items():
            among = (wanted,) if isinstance(wanted, str) else tuple(wanted)
            header.append((key, frozenset(among), False))
    return Conditions(tuple(header), tuple(texts), tuple(present))


def _listed(written: Any) -> dict[str, Any]:
    return {written: True} if isinstance(written, str) else dict(written or {})


@dataclass(frozen=True, slots=True)
class Way:
    """One row: where its element is, and the list whose items are a segment each (`spread`).

    `key` is the element's path without labels; `is_single`: it holds one value, of which one row
    is enough; `decorates`: the row only tells an item of a list from others. `segment` is the
    first that it reads besides MSH, `fields` are all, `top` is the resource's own element, empty
    for a choice.
    """

    row: Row
    goal: Target
    spread: str
    asked: Conditions
    key: str
    is_single: bool
    decorates: bool
    segment: str
    fields: frozenset[Path]
    top: str


@dataclass(frozen=True, slots=True)
class Backwards:
    """An entry with its rows as ways, and what tells the labelled items of its lists."""

    entry: Entry
    ways: tuple[Way, ...]
    marks: Mapping[str, tuple[tuple[str, Any], ...]]
    asked: Conditions

    def found(self, way: Way, resource: Json, item: Any = None) -> list[Found]:
        """Return the values of a way's element, of the list `spread` only those in `item`."""
        nodes, prefix = [resource], ""
        for step in way.goal.parents:
            name = f"{step.name}[{step.label}]" if step.label else step.name
            prefix = f"{prefix}.{name}" if prefix else name
            inner: list[Json] = []
            for node in nodes:
                held = node.get(step.name)
                for one in held if isinstance(held, list) else [held] if held else []:
                    if step.label and not self.is_marked(prefix, one):
                        continue
                    if item is not None and prefix == way.spread and one is not item:
                        continue
                    inner.append(one)
            nodes = inner
        return [one for node in nodes for one in _last(node, way.goal)]

    def is_marked(self, label: str, item: Any) -> bool:
        """Say whether an item of a list is the one that a label stands for."""
        if not isinstance(item, dict):
            return False
        wanted: dict[str, list[Any]] = {}
        for rest, value in self.marks.get(label, ()):
            wanted.setdefault(rest, []).append(value)
        return all(
            any(says(held, value) for value in values for held in _at(item, rest))
            for rest, values in wanted.items()
        )

    def items(self, resource: Json) -> tuple[str, list[Any]]:
        """Return the list whose items are a segment each, with its items; empty without one."""
        spread = next((way.spread for way in self.ways if way.spread), "")
        if not spread or "." in spread:
            return spread, [None] if spread else []
        held = resource.get(spread, [])
        return spread, held if isinstance(held, list) else [held]


def backwards(entry: Entry, definitions: Definitions) -> Backwards:
    """Return an entry's rows as ways."""
    rows = [one.row for one in (*entry.rows, *entry.late, *entry.last)]
    marks: dict[str, list[tuple[str, Any]]] = {}
    ways = []
    for row in rows:
        goal = target(definitions, entry.resource_type, row.to)
        ways.append(_way(row, goal))
        if row.value is not None and "]." in row.to:
            label, _, rest = row.to.rpartition("].")
            marks.setdefault(f"{label}]", []).append((rest, row.value))
    told = {label: tuple(held) for label, held in marks.items()}
    return Backwards(entry, tuple(ways), told, conditions_of(entry.when, entry.unless))


def _way(row: Row, goal: Target) -> Way:
    is_in_list = any(step.is_list for step in goal.parents)
    return Way(
        row,
        goal,
        _spread(goal),
        conditions_of(row.when, row.unless),
        ".".join((*(step.name for step in goal.parents), goal.last.name)),
        not goal.last.is_list and not is_in_list,
        row.value is not None and is_in_list,
        next((one.segment for one in row.sources if one.segment != "MSH"), "MSH"),
        frozenset(one._replace(component=0) for one in row.sources),
        "" if goal.choice and not goal.parents else (*goal.parents, goal.last)[0].name,
    )


def by_condition(ways: Sequence[Way], segment: str) -> list[list[Way]]:
    """Return the rows that may write one segment together: those that ask the same of it."""
    groups: dict[tuple[Any, ...], list[Way]] = {}
    anywhere: list[Way] = []
    for way in ways:
        if way.row.value is not None:
            anywhere.append(way)
            continue
        texts = way.asked.texts
        asked = tuple((path, among) for path, among in texts if path.segment == segment)
        groups.setdefault(asked, []).append(way)
    shared = groups.pop((), []) if len(groups) > 1 else []
    return [[*held, *shared, *anywhere] for held in groups.values()]


def _spread(goal: Target) -> str:
    prefix = ""
    for step in goal.parents:
        prefix = f"{prefix}.{step.name}" if prefix else step.name
        if step.is_list:
            return "" if step.label else prefix
    return ""


def _last(node: Json, goal: Target) -> Iterator[Found]:
    name = goal.last.name
    if not goal.choice:
        held = node.get(name)
        for at, one in enumerate(held if isinstance(held, list) else [held]):
            if one is not None:
                yield Found(goal.types[0], one, (id(node), name, at))
        return
    for key, value in node.items():
        suffix = key.removeprefix(name)
        if suffix != key and suffix[:1].isupper():
            yield Found(suffix, value, (id(node), key, 0))


def _at(node: Any, path: str) -> list[Any]:
    nodes = [node]
    for name in path.split("."):
        held = [one.get(name) for one in nodes if isinstance(one, dict)]
        nodes = [
            part
            for one in held
            if one is not None
            for part in (one if isinstance(one, list) else [one])
        ]
    return nodes


def says(held: Any, constant: Any) -> bool:
    """Say whether a value says what a map's constant does: of codes, one of them."""
    if isinstance(constant, dict) and isinstance(held, dict):
        if "coding" in constant:
            codings = constant["coding"]
            return any(says(one, code) for one in held.get("coding", ()) for code in codings)
        if "code" in constant:
            return all(held.get(name) == constant.get(name) for name in ("system", "code"))
    return bool(held == constant)
