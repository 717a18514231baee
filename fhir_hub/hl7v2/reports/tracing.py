"""Which part of a message became which element: the conversion again, each row under watch.

A row is tried beside the conversion: as the message is, and with one part of its field left out
(or, where that changes nothing, with another text in its place). What is then missing or other is
what the part became. So no datatype need tell what it reads, and the report cannot say more than
is so. It takes some times as long as the conversion, up to a bound (`effort.py`), and is done when
somebody asks.

Spec: DESIGN 5 (nothing lost from a message)
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import copy
from dataclasses import replace
from difflib import SequenceMatcher
from typing import Any, NamedTuple

from fhir_hub.hl7v2.making.drafts import Draft, Place, Run
from fhir_hub.hl7v2.making.memory import Memory
from fhir_hub.hl7v2.maps.programs import Entry, Program
from fhir_hub.hl7v2.maps.reads import read_by
from fhir_hub.hl7v2.parsing.er7 import Segment
from fhir_hub.hl7v2.parsing.nodes import Node
from fhir_hub.hl7v2.reports.effort import Effort
from fhir_hub.hl7v2.reports.elements import Element, elements_of, says
from fhir_hub.hl7v2.reports.leaves import Leaf, leaves_of, replaced
from fhir_hub.hl7v2.rows.acts import Act
from fhir_hub.hl7v2.rows.compiler import Compiled
from fhir_hub.hl7v2.rows.row import Row

_OTHER = "Zq7"
_PER_TRIAL = 5  # what it costs beside the values that it makes
_LONGEST = 100_000  # a longer text is not tried again and again: it is what the row made
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
            tuple(self._watched(one) if one.row.sources else one for one in held)
            for held in (entry.rows, entry.late, entry.last)
        )
        return replace(entry, rows=rows, late=late, last=last, _plans={})

    def _watched(self, compiled: Compiled) -> Compiled:
        """Return the row under watch: what it would make is looked at though another did before."""
        return compiled._replace(act=self._act(compiled), alone="", free=None, follows=None)

    def _act(self, compiled: Compiled) -> Act:
        act, row, alone = compiled.act, compiled.row, compiled.alone

        def watched(place: Place, draft: Draft) -> None:
            if not self.tells(place.segment):
                if alone not in draft.resource:
                    act(place, draft)
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

    def _share(self, parts: list[tuple[Segment, Leaf]], draft: Draft, row: Row) -> None:
        """Take what the row has made of another segment as what these parts became with it."""
        every = (one for held in self.became.values() for one in held)
        made = next((one for one in every if one.row is row and one.draft is draft), None)
        for _, leaf in parts:
            if made is not None:
                self.became.setdefault(leaf[:5], []).append(made)

    def _take(
        self, parts: list[tuple[Segment, Leaf]], made: list[Element], draft: Draft, row: Row
    ) -> None:
        """Take what a call has put into what others made as what the parts became that it says."""
        for _, leaf in parts:
            if elements := tuple(one for one in made if says(one.value, leaf.text)):
                self.became.setdefault(leaf[:5], []).append(Became(elements, draft, row))

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
        trial = _Trial(whole, lambda other: self._probe(act, place, draft, other))
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
                self.became.setdefault(leaf[:5], []).append(Became(elements, draft, row))


class _Trial:
    """One row tried again and again, each time with other parts of what it reads left out."""

    def __init__(
        self, whole: list[Element], probe: Callable[[Mapping[int, Segment]], list[Element]]
    ) -> None:
        self._whole, self._probe = whole, probe
        self._keys = [one.key for one in whole]

    def told(self, parts: list[tuple[Segment, Leaf]]) -> dict[Leaf, list[int]]:
        """Return what each part became: what says what it does, and what it alone decides so.

        A part that nothing says became what it decides, but for what others say.
        """
        decides = self.decides(parts)
        shown = {
            leaf: [at for at in changed if not leaf.is_whole and self._says(at, leaf)]
            for leaf, changed in decides.items()
        }
        said = {at for found in shown.values() for at in found}
        deciding = Counter(at for changed in decides.values() for at in changed)
        found = {}
        for segment, leaf in parts:
            if leaf not in decides:
                continue
            others = [at for at in decides[leaf] if at not in said]
            if shown[leaf] and others:
                alone = [at for at in others if deciding[at] == 1]
                others = self._by_content(segment, leaf, alone) if alone else []
            found[leaf] = sorted((*shown[leaf], *others)) or decides[leaf]
        return found

    def _says(self, at: int, leaf: Leaf) -> bool:
        return says(self._whole[at].value, leaf.text)

    def _by_content(self, segment: Segment, leaf: Leaf, alone: list[int]) -> list[int]:
        """Return which of some elements are what they are by what a part says: not its system."""
        if len(leaf.text) > _LONGEST:
            return []
        made = self._probe({segment.index: replaced(segment, leaf, _OTHER)})
        changed = _changed(self._keys, [one.key for one in made])
        return [at for at in alone if at in changed]

    def decides(self, parts: list[tuple[Segment, Leaf]]) -> dict[Leaf, list[int]]:
        """Return which elements (by their place in `whole`) each part decides."""
        found: dict[Leaf, list[int]] = {}
        idle: dict[tuple[int, ...], list[tuple[Segment, Leaf]]] = {}
        for segment, leaf in parts:
            if len(leaf.text) > _LONGEST:
                found[leaf] = list(range(len(self._whole)))
            elif changed := self._alone(segment, leaf):
                found[leaf] = changed
            else:
                idle.setdefault(leaf[:3], []).append((segment, leaf))
        for group in idle.values():
            for leaf, same in self._among(group).items():
                found[leaf] = same
        return found

    def _alone(self, segment: Segment, leaf: Leaf) -> list[int]:
        """Return what changes when the part is left out, or is another."""
        for text in ("", _OTHER):
            made = self._probe({segment.index: replaced(segment, leaf, text)})
            if changed := _changed(self._keys, [one.key for one in made]):
                return changed
        return []

    def _among(self, group: list[tuple[Segment, Leaf]]) -> dict[Leaf, list[int]]:
        """Return what each of some parts says that others say too: `1^active` is one status.

        They are left out together; what one of them alone brings back is its.
        """
        found: dict[Leaf, list[int]] = {}
        segment = group[0][0]
        nothing = _str_keys(self._probe({segment.index: _without(segment, group)}))
        for one in group:
            _, leaf = one
            rest = [other for other in group if other is not one]
            alone = _str_keys(self._probe({segment.index: _without(segment, rest)})) if rest else []
            back = [key for key in alone if key not in nothing]
            same = [at for at, key in enumerate(self._keys) if str(key) in back]
            if not same and not leaf.is_whole and len(leaf.text) > 1:
                same = [at for at, el in enumerate(self._whole) if says(el.value, leaf.text)]
            if same:
                found[leaf] = same
        return found


def _str_keys(elements: Iterable[Element]) -> list[str]:
    return [str(one.key) for one in elements]


def _without(segment: Segment, parts: Iterable[tuple[Segment, Leaf]]) -> Segment:
    for _, leaf in parts:
        segment = replaced(segment, leaf, "")
    return segment


def _all(draft: Draft, run: Run) -> Iterator[Element]:
    """Yield the values of a draft, and of the resources that are named in passing."""
    yield from _own(draft)
    for other in (*run.supports.values(), *run.mentions):
        yield from _passing(other)


def _own(draft: Draft) -> Iterator[Element]:
    return elements_of(draft.resource, draft.resource["resourceType"])


def _passing(draft: Draft) -> Iterator[Element]:
    return elements_of(draft.resource, f"+{draft.resource['resourceType']}")


def _changed(before: list[Any], after: list[Any]) -> list[int]:
    """Return which of `before` are missing or other in `after`."""
    if before == after:
        return []
    matcher = SequenceMatcher(None, [*map(str, before)], [*map(str, after)], autojunk=False)
    return [
        at
        for kind, start, end, _, _ in matcher.get_opcodes()
        if kind in ("replace", "delete")
        for at in range(start, end)
    ]


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
