"""A message map made ready to run: for each segment, the resources that it makes or adds to.

An entry of a message map either makes a resource (`type`) or adds to the nearest one that an
earlier entry made (`to`). Its rows are those of its segment maps, those written with it, and a
row for each of its links; a sender's rows go before them, or in the place of those that say the
same `to` and `from`.

Spec: DESIGN 2a
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from fhir_hub.hl7v2.making.drafts import Place
from fhir_hub.hl7v2.making.memory import Memories
from fhir_hub.hl7v2.maps.map_files import Document, MapFiles, entries_of, rows_of
from fhir_hub.hl7v2.maps.plans import Here
from fhir_hub.hl7v2.maps.reads import Reads, reads_of, taken_by
from fhir_hub.hl7v2.parsing import structure
from fhir_hub.hl7v2.parsing.nodes import Layouts
from fhir_hub.hl7v2.parsing.path import Path
from fhir_hub.hl7v2.parsing.structure import GENERIC, OVERRULED, Group
from fhir_hub.hl7v2.rows import conditions
from fhir_hub.hl7v2.rows.acts import Acts
from fhir_hub.hl7v2.rows.compiler import Compiled, compile_row, planned, planned_together
from fhir_hub.hl7v2.rows.recipes import Recipes, recipes_of
from fhir_hub.hl7v2.rows.row import Row, Scope, read_row
from fhir_hub.hl7v2.rows.shapes import EVENT, Shape, asked

_NAME = re.compile(r"([A-Za-z]+)(?:\[[A-Za-z0-9-]+\])?")
GENERIC_NAME = "*"
_TOP = "."  # the message itself, outside all groups

_MOST_PLANS, _MOST_READS = 4096, 512  # of all entries of a scope, of all its programs
_LONGEST_EVENT = 20


class Plan(NamedTuple):
    """What an entry does for a shape: at once, and when all drafts are made.

    `test` is what it asks before, None where the shape says that it holds. `again` does the same as
    `later` for all of a group, `recipes` say what is to do at once for a new resource.
    """

    test: conditions.Condition | None
    now: Acts
    later: Acts
    again: Acts
    recipes: Recipes | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """What one segment does: make the resource `name`, or add to it (`adds`).

    `match` is `identity`, `identifier`, `key`, types of identifiers by preference, or empty: always
    a new one. Mode `table` runs only where the standard's tables are followed in full; what mode
    `update` adds to is told. With `takes_out`, its rows make what is taken out of what is stored;
    one that `joins` adds to what an earlier segment made. It `takes` fields: bit n is field n.
    """

    where: str
    name: str
    resource_type: str
    segment: str
    group: str
    adds: bool
    match: tuple[str, ...]
    mode: str
    takes_out: bool
    test: conditions.Condition | None
    rows: tuple[Compiled, ...]
    late: tuple[Compiled, ...]
    last: tuple[Compiled, ...]
    steered_by: tuple[Path, ...] = ()
    when: Any = None
    unless: Any = None
    joins: bool = False
    takes: int = 0
    before: str = ""
    asks: tuple[str, ...] = ()
    _plans: dict[tuple[Any, ...], Plan | None] = field(default_factory=dict)

    def plan(self, place: Place) -> Plan | None:
        """Return what there is to do in a place; None if the entry does not run there.

        That depends on what is filled of the segment and of the nearest of those that it `asks`,
        and on the event. Most segments of a feed have the same few of such shapes.
        """
        event = place.run.event
        nearest = place.node.nearest
        near = [one.filled if (one := nearest(name)) is not None else 0 for name in self.asks]
        key: tuple[Any, ...] = (self.where, event, place.segment.filled, *near)
        try:
            return self._plans[key]
        except KeyError:
            shape = Shape(dict(zip((self.segment, *self.asks), key[2:], strict=True)), event)
            found = self._plan(shape)
            if len(event) <= _LONGEST_EVENT:
                if len(self._plans) >= _MOST_PLANS:
                    self._plans.clear()
                self._plans[key] = found
            return found

    def _plan(self, shape: Shape) -> Plan | None:
        holds = shape.decides(asked(self.when), asked(self.unless))
        if holds is False:
            return None
        test = None if holds and not self.before else self.test
        now = planned(self.rows, shape)
        held = [one for one in self.rows if one.act_in(shape) is not None]
        is_new = not self.adds and not self.takes_out
        recipes = recipes_of(self.segment, held, shape, now) if is_new else None
        later = planned(self.late, shape)
        return Plan(test, now, later, planned_together(self.late, shape), recipes)


@dataclass(frozen=True, slots=True)
class Program:
    """The map of a structure, ready to run: entries by segment, and what they are run with."""

    structure: str
    groups: Group
    entries: Mapping[str, tuple[Entry, ...]]
    scope: Scope
    senders: tuple[str, ...] = ()
    memories: Memories = field(default_factory=Memories)
    layouts: Layouts = field(default_factory=Layouts)
    _here: dict[tuple[str, str], Here] = field(default_factory=dict)

    def reads(self, ran: frozenset[str], by_table: bool) -> Mapping[str, Reads]:
        """Return what is read of each segment where these entries run, by where they are written.

        A feed has the same few sets of them.
        """
        known, key = self.scope.reads, (self.structure, ran, by_table)
        found: Mapping[str, Reads] | None = known.get(key)
        if found is None:
            if len(known) >= _MOST_READS:
                known.clear()
            found = known[key] = reads_of(self.entries, ran, by_table=by_table)
        return found

    def entries_in(self, segment: str, path: str) -> Here:
        """Return the entries for a segment in the group of that path.

        Of those for a group the ones for the innermost hold; an entry without group always does.
        """
        found = self._here.get((segment, path))
        if found is None:
            entries = self.entries.get(segment, ()) if path != OVERRULED.path else ()
            depths = [_depth(path, entry.group) for entry in entries]
            deepest = max(depths, default=0) or -1
            placed = zip(entries, depths, strict=True)
            held = [one for one, at in placed if at == deepest or not one.group]
            found = Here(tuple(held))
            if entries:  # a name that no map has may be any, and as long as a message
                self._here[segment, path] = found
        return found


def compile_program(
    name: str, files: MapFiles, scope: Scope, senders: Sequence[str], problems: list[str]
) -> Program:
    """Return the program of a message map with the rows of senders, problems collected."""
    folder = _folder(name, files)
    groups = GENERIC if name == GENERIC_NAME else structure.structure(name) or GENERIC
    entries: dict[str, list[Entry]] = {}
    try:
        listed = entries_of(folder, files)
    except KeyError as error:
        problems.append(f"messages/{folder}/map.toml: there is no part {error}")
        return Program(name, groups, {}, scope, tuple(senders))
    known = _groups_of(structures_of(files.messages[folder]))
    for where, written in listed:
        if (wanted := written.get("group", "")) and wanted not in known:
            problems.append(f"{where}: the structure has no group {wanted}")
            continue
        if where not in scope.entries:  # messages share the entries of their parts
            scope.entries[where] = scope.as_in_base(where, written.get("map", ())) or _checked(
                where, written, files, scope, senders, problems
            )
        if (entry := scope.entries[where]) is not None:
            entries.setdefault(entry.segment, []).append(entry)
    compiled = {segment: tuple(found) for segment, found in entries.items()}
    return Program(name, groups, compiled, scope, tuple(senders))


def _checked(
    where: str,
    written: Document,
    files: MapFiles,
    scope: Scope,
    senders: Sequence[str],
    problems: list[str],
) -> Entry | None:
    """Return the entry, None if there is anything wrong with it."""
    found = len(problems)
    rows = _rows(where, written, files, senders, problems)
    try:
        entry = _entry(where, written, rows, scope, problems)
    except ValueError as error:
        if len(problems) == found:  # else it comes of a row that is named already
            problems.append(f"{where}: {error}")
        return None
    return entry if len(problems) == found else None


def _groups_of(names: Sequence[str]) -> frozenset[str]:
    """Return the groups of structures by each name that an entry may give them.

    `A.B.C` is that group; also `B.C` or `C`, wherever in the structure it is; `.` is none of them.
    """
    found = {_TOP}
    for name in names:
        groups = GENERIC if name == GENERIC_NAME else structure.structure(name) or GENERIC
        for path in groups.paths():
            steps = path.split(".")
            found.update(".".join(steps[at:]) for at in range(len(steps)))
    return frozenset(found)


def _depth(path: str, group: str) -> int:
    """Return how deep in `path` the group of that name is, 0 if it is not on the way."""
    if not group:
        return 0
    if group == _TOP:
        return 0 if path else 1
    at = f".{path}.".find(f".{group}.")
    return 0 if at < 0 else f".{path}."[: at + len(group) + 1].count(".")


def structures_of(document: Document) -> list[str]:
    """Return the message structures that a message map is for."""
    message = document["message"]
    return [message] if isinstance(message, str) else list(message)


def _folder(name: str, files: MapFiles) -> str:
    return [
        folder for folder, document in files.messages.items() if name in structures_of(document)
    ][-1]


def _rows(
    where: str, written: Document, files: MapFiles, senders: Sequence[str], problems: list[str]
) -> list[Row]:
    """Return all rows of an entry in the order in which they run."""
    rows: list[Row] = []
    maps = written.get("map", [])
    for name in [maps] if isinstance(maps, str) else maps:
        document = files.segments.get(name)
        if document is None:
            problems.append(f"{where}: there is no map {name}")
            continue
        expected = written.get("type", written.get("to", "")).partition("[")[0]
        if (document["segment"], document["type"]) != (written["segment"], expected):
            problems.append(f"{where}: {name} is a map of {document['segment']} to another type")
            continue
        own = _read(f"segments/{name}.toml", document["field"], problems)
        rows += _overlaid(own, name, files, senders, problems)
    rows += _read(where, written.get("field", []), problems)
    for to, name in written.get("links", {}).items():
        rows.append(Row(where, to, links=name))
    return rows


def _read(where: str, documents: Iterable[Document], problems: list[str]) -> list[Row]:
    rows = []
    for number, document in enumerate(documents, start=1):
        try:
            rows.append(read_row(f"{where} row {number}", document))
        except ValueError as error:
            problems.append(f"{where} row {number}: {error}")
    return rows


def _overlaid(
    rows: list[Row], name: str, files: MapFiles, senders: Sequence[str], problems: list[str]
) -> list[Row]:
    for sender in senders:
        where = f"senders/{sender}.toml"
        rows_there = rows_of(files.senders[sender])
        numbered = [(at, one) for at, one in rows_there if one["map"] == name]
        added = []
        for number, document in numbered:
            try:
                row = read_row(f"{where} row {number}", document)
            except ValueError as error:
                problems.append(f"{where} row {number}: {error}")
                continue
            at = next((at for at, old in enumerate(rows) if _stands_for(row, old)), None)
            if at is None:
                added.append(row)
            else:
                rows[at] = row
        rows = added + rows
    return rows


def _stands_for(row: Row, old: Row) -> bool:
    """Say whether a sender's row takes the place of one: of the same field, or resource it says."""
    is_same = row.sources == old.sources if row.sources else row.is_resource and old.is_resource
    return row.to == old.to and is_same


def _entry(
    where: str,
    written: Document,
    rows: list[Row],
    scope: Scope,
    problems: list[str],
) -> Entry:
    name = written.get("type") or written["to"]
    match = _NAME.fullmatch(name)
    if not match:
        raise ValueError(f"not a resource type: {name!r}")
    resource_type, group = match[1], written.get("group", "")
    if scope.definitions.kind(resource_type) != "resource":
        raise ValueError(f"R4 has no resource type {resource_type}")
    for path in [*conditions.paths(written.get("when")), *conditions.paths(written.get("unless"))]:
        if problem := structure.problem(path):
            raise ValueError(f"no such path as {path}: {problem}")
    compiled = _compiled(rows, resource_type, written["segment"], scope, problems)
    wanted = written.get("match", ())
    written_conditions = [written.get("when"), written.get("unless")]
    written_conditions += [one for row in rows for one in (row.when, row.unless)]
    phases = [tuple(one for one in compiled if one.phase == phase) for phase in range(3)]
    return Entry(
        where,
        name,
        resource_type,
        written["segment"],
        group,
        "to" in written,
        (wanted,) if isinstance(wanted, str) else tuple(wanted),
        written.get("mode", "" if "to" in written else "update"),
        written.get("call") == "take_out",
        conditions.condition(written.get("when"), written.get("unless"), written.get("before", "")),
        phases[0],
        phases[1],
        phases[2],
        tuple(path for one in written_conditions for path in conditions.compared(one)),
        written.get("when"),
        written.get("unless"),
        written.get("call") == "join",
        taken_by(compiled, written["segment"]) if written.get("mode") != "change" else 0,
        written.get("before", ""),
        _asked(written, compiled),
        scope.plans,
    )


def _asked(written: Document, rows: Iterable[Compiled]) -> tuple[str, ...]:
    """Return the other segments of which it matters to an entry what is filled."""
    segment = written["segment"]
    paths = [path for one in rows for path in one.asks(segment)]
    paths += [path for name in ("when", "unless") for path, _ in asked(written.get(name))]
    names = {path.segment for path in paths if path != EVENT}
    return tuple(sorted(names - {segment}))


def _compiled(
    rows: list[Row], resource_type: str, segment: str, scope: Scope, problems: list[str]
) -> list[Compiled]:
    made = {_item(row.to) for row in rows if row.value is None and _item(row.to)}
    compiled = []
    for row in rows:
        decorates = row.value is not None and _item(row.to) in made and "." in row.to
        key = (row.where, row.to, row.links, resource_type, segment, decorates)
        if key not in scope.compiled:
            try:
                scope.compiled[key] = compile_row(
                    row, resource_type, segment, scope, decorates=decorates
                )
            except ValueError as error:
                problems.append(f"{row.where}: {error}")
                continue
        compiled.append(scope.compiled[key])
    return [_with_makers(one, compiled) for one in compiled]


def _with_makers(one: Compiled, others: Sequence[Compiled]) -> Compiled:
    """Return a late constant with the fields of which one must be there to make its item."""
    if one.phase != 1 or one.row.links:
        return one
    item = _item(one.row.to)
    makers = [c for c in others if c.row.value is None and _item(c.row.to) == item]
    if not makers or not all(c.needs for c in makers):
        return one
    return one._replace(needs=tuple({path: None for c in makers for path in c.needs}))


def _item(path: str) -> str:
    """Return the item of a list that a path leads into, with its label."""
    first, _, rest = path.partition(".")
    return first if rest else ""
