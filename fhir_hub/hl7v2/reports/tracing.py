"""Which part of a message became which element: the conversion again, each row under watch.

A row is tried beside the conversion: as the message is, and with one part of its field left out
(or, where that changes nothing, with another text in its place). What is then missing or other is
what the part became. So no datatype need tell what it reads, and the report cannot say more than
is so. It takes some times as long as the conversion, up to a bound (`effort.py`), and is done when
somebody asks.

Spec: DESIGN 5 (nothing lost from a message)
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import copy
from dataclasses import replace
from typing import Any, NamedTuple

from fhir_hub.hl7v2.making.drafts import Draft, Place, Run
from fhir_hub.hl7v2.making.memory import Memory
from fhir_hub.hl7v2.maps.programs import Entry, Program
from fhir_hub.hl7v2.maps.reads import read_by
from fhir_hub.hl7v2.parsing.er7 import Segment
from fhir_hub.hl7v2.parsing.nodes import Node
from fhir_hub.hl7v2.parsing.path import Path
from fhir_hub.hl7v2.reports.effort import Effort
from fhir_hub.hl7v2.reports.elements import Element, elements_of, says, text_of
from fhir_hub.hl7v2.reports.leaves import Leaf, leaves_of
from fhir_hub.hl7v2.reports.leaving_out import LeavingOut
from fhir_hub.hl7v2.rows import conditions
from fhir_hub.hl7v2.rows.acts import Act
from fhir_hub.hl7v2.rows.compiler import Compiled
from fhir_hub.hl7v2.rows.row import Row

_PER_TRIAL = 5  # what it costs beside the values that it makes
Key = tuple[int, int, int, int, int]


class Became(NamedTuple):
    """What a leaf became by one row: the elements, and the draft that they were made for."""

    elements: tuple[Element, ...]
    draft: Draft
    row: Row


class Tracer:
    """Watches one conversion. `became` says of each leaf what it became, row by row."""

    def __init__(self, effort: Effort) -> None:
        self.became: dict[Key, list[Became]] = {}
        self._instead: dict[Key, tuple[Key, str]] = {}
        self.nulls: dict[tuple[int, int], str] = {}
        self._effort = effort
        self._begun: set[int] = set()
        self._untold: set[int] = set()
        self._memory = Memory()
        self._leaves: dict[tuple[int, int], list[Leaf]] = {}

    def watched(self, program: Program) -> Program:
        """Return the program with each of its rows under watch."""
        entries = {
            name: tuple(self._entry(one) for one in held) for name, held in program.entries.items()
        }
        return replace(program, entries=entries, _here={})

    def _entry(self, entry: Entry) -> Entry:
        rows, late, last = (
            tuple(map(self._watched, held)) for held in (entry.rows, entry.late, entry.last)
        )
        return replace(entry, rows=rows, late=late, last=last, _plans={})

    def _watched(self, compiled: Compiled) -> Compiled:
        """Return the row under watch: what it would make is looked at though another did before."""
        row = compiled.row
        if row.sources:
            return compiled._replace(act=self._act(compiled), alone="", free=None, follows=None)
        if row.value is not None and (paths := tuple(conditions.compared(row.when))):
            return compiled._replace(act=self._constant(compiled, paths), free=None, follows=None)
        return compiled

    def _constant(self, compiled: Compiled, paths: tuple[Path, ...]) -> Act:
        """Return the act of a constant, which the codes that its condition compares became."""
        act, test = compiled.act, compiled.test

        def watched(place: Place, draft: Draft) -> None:
            if test is None or not test(place) or not self.tells(place.segment):
                act(place, draft)
                return
            before = _Before(draft, place.run)
            self._effort.spend(before.size)
            act(place, draft)
            made = tuple(before.made(draft, place.run))
            for path in paths if made else ():
                segment = place.find(path.segment)
                if segment is None or not self.tells(segment):
                    continue
                at = (1, path.component or 1, path.subcomponent or 1)
                for leaf in self.leaves(segment, path.field):
                    if leaf[2:5] == at:
                        self._note(leaf, made, draft, compiled.row)

        return watched

    def _note(self, leaf: Leaf, made: tuple[Element, ...], draft: Draft, row: Row) -> None:
        self.became.setdefault(leaf[:5], []).append(Became(made, draft, row))

    def _act(self, compiled: Compiled) -> Act:
        act, row, alone = compiled.act, compiled.row, compiled.alone

        def watched(place: Place, draft: Draft) -> None:
            if not self.tells(place.segment):
                if alone not in draft.resource:
                    act(place, draft)
                return
            if compiled.test is not None and not compiled.test(place):
                self._pass_over(row, place)
                return
            parts = self._parts(row, place)
            tried = self._tried(act, place, draft, parts)
            run, nulls = place.run, len(draft.nulls)
            before, noted = _Before(draft, run), len(run.trace)
            self._effort.spend(before.size)
            if alone not in draft.resource:
                act(place, draft)
            if len(run.trace) > noted:
                self._share(parts, draft, row)
            if len(draft.nulls) > nulls:
                source = row.sources[0]
                kind = draft.resource["resourceType"]
                self.nulls[place.segment.index, source.field] = f"{kind}.{row.to}"
            if row.call and not tried[0]:
                self._take(parts, [*before.made(draft, run)], draft, row)
            real = _paired(tried[0], before.made(draft, run), lambda: _all(draft, run))
            self._attribute(tried, real, draft, row)

        return watched

    def _pass_over(self, row: Row, place: Place) -> None:
        """Note where a part that another field forbids to be taken says what that field does."""
        element = row.to.partition(".")[0].partition("[")[0]
        for path in conditions.valued(row.unless):
            other = place.find(path.segment)
            if other is None or not self.tells(other):
                continue
            taken = {leaf[2:6]: leaf[:5] for leaf in self.leaves(other, path.field)}
            for _, leaf in self._parts(row, place):
                if said := taken.get(leaf[2:6]):
                    self._instead[leaf[:5]] = said, element

    def of(self, leaf: Leaf) -> list[Became]:
        """Return what a part became, or else the part of another field that says the same."""
        if found := self.became.get(leaf[:5]):
            return found
        said, element = self._instead.get(leaf[:5], (leaf[:5], ""))
        same = []
        for one in self.became.get(said, ()):
            held = tuple(each for each in one.elements if each.generic.split(".")[1] == element)
            same += [one._replace(elements=held)] if held else []
        return same

    def _share(self, parts: list[tuple[Segment, Leaf]], draft: Draft, row: Row) -> None:
        """Take what the row has made of another segment as what these parts became with it."""
        every = (one for held in self.became.values() for one in held)
        made = next((one for one in every if one.row is row and one.draft is draft), None)
        if made is None:
            return
        for _, leaf in parts:
            elements = made.elements
            if leaf.field != row.sources[0].field:
                elements = tuple(one for one in elements if says(text_of(one), leaf.text))
            if elements:
                self._note(leaf, elements, draft, row)

    def _take(
        self, parts: list[tuple[Segment, Leaf]], made: list[Element], draft: Draft, row: Row
    ) -> None:
        """Take what a call has put into what others made as what the parts became that it says."""
        for _, leaf in parts:
            if elements := tuple(one for one in made if says(one.value, leaf.text)):
                self._note(leaf, elements, draft, row)

    def _parts(self, row: Row, place: Place) -> list[tuple[Segment, Leaf]]:
        """Return the leaves that a row may read here."""
        found: dict[tuple[int, ...], tuple[Segment, Leaf]] = {}
        for path in row.sources:
            for segment in read_by(row, path.segment, place.segment, place.node):
                for leaf in self.leaves(segment, path.field) if self.tells(segment) else ():
                    if leaf.is_in(path):
                        found[leaf[:5]] = (segment, leaf)
        return list(found.values())

    @property
    def told(self) -> set[int]:
        """Return the segments of which a part became something."""
        return {key[0] for key in self.became}

    def tells(self, segment: Segment) -> bool:
        """Say whether a segment is told; one is from the first time on, while effort is left."""
        index = segment.index
        if index in self._untold:
            return False
        if index not in self._begun and self._effort.may_begin:
            self._begun.add(index)
            self._effort.spend(len(segment.fields))
        if index in self._begun and self._effort.may_go_on:
            return True
        self._untold.add(index)
        return False

    def leaves(self, segment: Segment, number: int) -> list[Leaf]:
        """Return the parts by which a field is told."""
        key = (segment.index, number)
        if key not in self._leaves:
            self._leaves[key] = leaves_of(segment, number, self._effort.may_divide)
        return self._leaves[key]

    def _tried(
        self, act: Act, place: Place, draft: Draft, parts: list[tuple[Segment, Leaf]]
    ) -> tuple[list[Element], dict[Leaf, list[int]]]:
        """Return what the row makes by itself, and what of that each leaf became."""
        whole = self._probe(act, place, draft, {}) if parts else []
        if not whole:
            return [], {}
        trial = LeavingOut(whole, lambda other: self._probe(act, place, draft, other))
        return whole, trial.told(parts)

    def _probe(
        self, act: Act, place: Place, draft: Draft, other: Mapping[int, Segment]
    ) -> list[Element]:
        """Return what a row makes on an empty resource, with other segments in the message."""
        run = copy(place.run)
        run.supports, run.mentions, run.references, run.moments = {}, [], {}, {}
        run.issues, run.trace, run.untaken, run.memory = [], [], {}, self._memory
        run._numbers = dict(run._numbers)
        run.context = replace(run.context, issue=run.issue)
        scratch = Draft(
            draft.name,
            {"resourceType": draft.resource["resourceType"]},
            draft.full_url,
            draft.segment,
        )
        code = draft.resource.get("code")  # without one there are no components
        if code is not None and draft.resource["resourceType"] == "Observation":
            scratch.resource["code"] = dict(code)
        segment = other.get(place.segment.index, place.segment)
        node: Any = _Other(place.node, other) if other else place.node
        act(Place(segment, node, run), scratch)
        if scratch.resource.get("code") == code:
            scratch.resource.pop("code", None)
        made = list(_all(scratch, run))
        self._effort.spend(len(made) + _PER_TRIAL)
        return made

    def _attribute(
        self,
        tried: tuple[list[Element], dict[Leaf, list[int]]],
        real: dict[int, Element],
        draft: Draft,
        row: Row,
    ) -> None:
        for leaf, chosen in tried[1].items():
            elements = tuple(real[at] for at in chosen if at in real)
            if elements:
                self._note(leaf, elements, draft, row)


def _all(draft: Draft, run: Run) -> Iterator[Element]:
    """Yield the values of a draft, and of the resources that are named in passing."""
    yield from _own(draft)
    for other in (*run.supports.values(), *run.mentions):
        yield from _passing(other)


def _own(draft: Draft) -> Iterator[Element]:
    return elements_of(draft.resource, draft.resource["resourceType"])


def _passing(draft: Draft) -> Iterator[Element]:
    return elements_of(draft.resource, f"+{draft.resource['resourceType']}")


def _paired(
    whole: list[Element], made: Iterable[Element], everything: Callable[[], Iterator[Element]]
) -> dict[int, Element]:
    """Return for what a row makes by itself where that is: what it made, else what was there."""
    if not whole:
        return {}
    held: dict[str, list[Element]] = {}
    for one in made:
        held.setdefault(str(one.key), []).append(one)
    there: dict[str, Element] | None = None
    found = {}
    for at, one in enumerate(whole):
        key = str(one.key)
        if held.get(key):
            found[at] = held[key].pop(0)
            continue
        if there is None:
            there = {}
            for other in everything():
                there.setdefault(str(other.key), other)
        if key in there:
            found[at] = there[key]
    return found


class _Before:
    """What there was before a row ran."""

    def __init__(self, draft: Draft, run: Run) -> None:
        self._held = {one.place: one.value for one in _own(draft)}
        self.size = len(self._held) + len(run.supports)
        self._supports = {key: len(one.resource) for key, one in run.supports.items()}
        self._mentions = len(run.mentions)

    def made(self, draft: Draft, run: Run) -> Iterator[Element]:
        """Yield what is new or other now."""
        for one in _own(draft):
            if self._held.get(one.place, self) != one.value:
                yield one
        others = [
            one for key, one in run.supports.items() if self._supports.get(key) != len(one.resource)
        ]
        for other in (*others, *run.mentions[self._mentions :]):
            yield from _passing(other)


class _Other:
    """A node in which some segments are others."""

    def __init__(self, node: Node, others: Mapping[int, Segment]) -> None:
        self._node, self._others = node, others

    def nearest(self, name: str) -> Segment | None:
        found = self._node.nearest(name)
        return self._others.get(found.index, found) if found is not None else None

    def nearest_all(self, name: str) -> list[Segment]:
        return [self._others.get(one.index, one) for one in self._node.nearest_all(name)]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._node, name)
