"""Entries as rows of `entry`, with numbers for names, before it is known whose they are.

The process that writes gives new parameters and systems their numbers. Another process that
sends it a change knows those that are committed, which never change; it sends the rows ready, so
that the one writer, for whom all others wait, has only to say whose they are. What it cannot know
(a new parameter, an interval wider than any before) it leaves to the writer: `Unknown`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import compress
from math import frexp, isinf, nan
from typing import Any, NamedTuple

import apsw

from fhir_hub.search.entry import Entry
from fhir_hub.store.base import Change
from fhir_hub.store.sqlite.beside import INTERVALS, NOTHING, PATIENT, Beside, said_beside, walk_of
from fhir_hub.store.sqlite.frames import LONGEST, Form, Frame, Interval, frame_of
from fhir_hub.store.sqlite.names import Names
from fhir_hub.store.sqlite.points import point_width
from fhir_hub.store.sqlite.rows import ends

_CODE, _TOLD, _REFERENCE, _INTERVAL, _DATE, _TEXT = range(6)  # what there is to do for an entry
_FORMS = {"told": _TOLD, "reference": _REFERENCE, "date": _DATE}
_KEPT = 500  # outlines
_Parameter = tuple[int, int]  # its number, and the form of what is under it
Person = tuple[int, str, int]  # a reference to a patient: parameter, code, system
_Row = tuple[int, int, int]  # its number, parameter and system
# of entries the number of their type, and their names, kinds, systems and groups
_Key = tuple[int, tuple[str, ...], tuple[str, ...], tuple[str, ...], tuple[int, ...]]


class Unknown(LookupError):
    """Only the process that writes can code these entries."""


_Ranges = Sequence[tuple[int, float, float]]
_NO_TEXTS: dict[str, str] = {}


class Coded(NamedTuple):
    """What a resource's entries come to.

    Of the rows their frame, codes, texts and intervals; the references to patients, and what
    stands beside each; the words in which one can search, by parameter; the intervals that are no
    points, as parameter, low and high.
    """

    frame: Frame
    codes: Sequence[str]
    texts: Sequence[str]
    intervals: Sequence[Interval]
    people: Sequence[Person]
    beside: Beside
    words: Mapping[str, str]
    ranges: _Ranges

    def rows(self, rid: int) -> list[Any]:
        """Return the values of the rows of `entry`, one row after the other."""
        return self.frame.rows(rid, self.codes, self.texts, self.intervals)


NO_ENTRIES = Coded(frame_of(((), (), (), (), ())), (), (), (), (), NOTHING, _NO_TEXTS, ())


# `Coded` of all its values, without a call of Python's own
_coded: Callable[[Iterable[Any]], Coded] = partial(tuple.__new__, Coded)


class CodedChange(Change):
    """A change as it comes from another process: in the stead of its entries, their rows."""

    __slots__ = ()

    @property
    def coded(self) -> Coded:
        """Return what its entries come to."""
        sent: Any = self[6]  # in the entries' stead
        coded: Coded = sent
        return coded


_coded_change: Callable[[Iterable[Any]], CodedChange] = partial(tuple.__new__, CodedChange)


class _Outline(NamedTuple):
    """What is known of entries by their names, kinds, systems and groups.

    `has_row` of each entry, None if each has one. Of rows those with codes that are told, and with
    references; those of a parameter that has several systems here. Of intervals which entry and
    which row it is, its parameter, and whether there was one under that before. `words` are
    the places and names of entries without rows.
    """

    frame: Frame
    has_row: tuple[bool, ...] | None
    told: tuple[_Row, ...]
    references: tuple[_Row, ...]
    mixed: tuple[_Row, ...]
    intervals: tuple[tuple[int, int, int, bool], ...]
    words: tuple[tuple[int, str], ...]


class Coder:
    """The numbers that one connection knows, and what it knows of what is under them."""

    def __init__(self, names: Names, *, makes: bool) -> None:
        """Give numbers to what has none if this `makes` them."""
        self._names, self._makes = names, makes
        self.walks: dict[int, str] = {}
        self.points: dict[int, float] = {}  # how wide they are, NaN: none is in an index
        self._parameters: dict[int, dict[tuple[str, str], _Parameter]] = {}  # by type
        self._spreads: dict[int, tuple[float, bool]] = {}
        self._outlines: dict[_Key, _Outline] = {}

    def forget(self) -> None:
        """Know nothing any more: what was numbered is void."""
        self.walks.clear()
        self.points.clear()
        self._parameters.clear()
        self._spreads.clear()
        self._outlines.clear()

    def learn(self, parameters: Iterable[int]) -> None:
        """Know these parameters, which another process has read."""
        for number in parameters:
            if number not in self.walks:
                self._parameter(*self._names.parameter_of(number))

    def code(self, type_id: int, entries: Sequence[Entry]) -> Coded:
        """Return what the entries of a resource come to.

        Raises `Unknown` if numbers have to be made and are not made here.
        """
        if not entries:
            return NO_ENTRIES
        names, kinds, codes, systems, lows, highs, texts, groups = zip(*entries, strict=True)
        key = (type_id, names, kinds, systems, groups)
        outline = self._outlines.get(key) or self._outline(key)
        frame, has_row, told, references, mixed, intervals, words = outline
        said = {name: codes[at] for at, name in words} if words else _NO_TEXTS
        if has_row:
            codes, texts = tuple(compress(codes, has_row)), tuple(compress(texts, has_row))
        ends_of, spans, ranges = [], [], []
        for at, row, parameter, is_again in intervals:
            start, end = ends(lows[at], highs[at])
            width, is_many = self._spreads[parameter]
            if end - start > width or (is_again and not is_many):
                self._widen(parameter, end - start, is_many or is_again)
            walk = self.walks[parameter]
            if walk and end != start + self.points[parameter]:
                ranges.append((parameter, start, end))
            ends_of.append((row, start, end))
            if walk == "date":
                spans.append((start, end))
        if mixed:
            self._note_systems(mixed, codes)
        people = [
            (n, codes[row], of) for row, n, of in references if codes[row].startswith(PATIENT)
        ]
        beside = NOTHING
        if people:
            beside = said_beside([(n, codes[row], system) for row, n, system in told], spans)
        return _coded((frame, codes, texts, ends_of, people, beside, said, ranges))

    def _outline(self, key: _Key) -> _Outline:
        """Return what is known of entries by all but their values."""
        type_id, names, *_ = key
        known, numbers = self._parameters.setdefault(type_id, {}), self._names.systems
        rows: list[tuple[int, int, int, int]] = []  # parameters, places, systems, groups
        of: dict[int, list[_Row]] = {_TOLD: [], _REFERENCE: []}
        coded: list[_Row] = []
        intervals, words, others = list[tuple[int, int, int, bool]](), [], []
        seen: set[int] = set()  # parameters of those
        for place, (name, kind, system, group) in enumerate(zip(*key[1:], strict=True)):
            parameter, form = known.get((name, kind)) or self._parameter(type_id, name, kind)
            system_id = numbers.get(system)
            if system_id is None:
                system_id, numbers = self._system(system), self._names.systems
            if form == _TEXT:
                words.append((place, name))
                others.append(parameter)
                continue
            row = len(rows), parameter, system_id
            rows.append((parameter, place, system_id, group))
            if form < _INTERVAL:
                coded.append(row)
                of.setdefault(form, []).append(row)
            else:
                intervals.append((place, row[0], parameter, parameter in seen))
                seen.add(parameter)
        frame = frame_of(_form(rows, others))
        has_row = None
        if words:
            without = {place for place, _ in words}
            has_row = tuple(place not in without for place in range(len(rows) + len(words)))
        told, references = tuple(of[_TOLD]), tuple(of[_REFERENCE])
        mixed = tuple(_mixed(coded))
        outline = _Outline(frame, has_row, told, references, mixed, tuple(intervals), tuple(words))
        if len(names) <= LONGEST:
            if len(self._outlines) >= _KEPT:
                self._outlines.clear()
            self._outlines[key] = outline
        return outline

    def _parameter(self, type_id: int, name: str, kind: str) -> _Parameter:
        """Return a parameter's number, and the form of what is under it."""
        number = (
            self._names.make_parameter(type_id, name, kind)
            if self._makes
            else self._names.parameter(type_id, name, kind)
        )
        if number is None:
            raise Unknown
        walk = walk_of(name, kind)
        plain = _TEXT if kind == "text" else _INTERVAL if kind in INTERVALS else _CODE
        of_type = self._parameters.setdefault(type_id, {})
        found = of_type[name, kind] = number, _FORMS.get(walk, plain)
        self.walks[number] = walk
        self.points[number] = point_width(kind) if walk else nan
        self._spreads[number] = self._names.spread(number)
        return found

    def _system(self, uri: str) -> int:
        number = self._names.make_system(uri) if self._makes else self._names.system(uri)
        if number is None:
            raise Unknown
        return number

    def _note_systems(self, mixed: Sequence[_Row], codes: Sequence[str]) -> None:
        """Record for each parameter whether one code of a resource is of two systems."""
        systems: dict[tuple[int, str], int] = {}
        for row, parameter, system in mixed:
            if systems.setdefault((parameter, codes[row]), system) != system:
                self._widen(parameter, 0, is_many=True)

    def _widen(self, parameter: int, width: float, is_many: bool) -> None:
        """Record that intervals may be so wide: in steps of two, so that it happens rarely."""
        known, was_many = self._spreads[parameter]
        if width <= known and is_many == was_many:
            return
        if not self._makes:
            # it only ever grows, so what was read long ago does no harm
            known, was_many = self._spreads[parameter] = self._names.spread(parameter)
            if width > known or is_many > was_many:
                raise Unknown
            return
        if width > known:
            known = width if isinf(width) else 2.0 ** (frexp(width)[1] + 1)
        self._spreads[parameter] = known, is_many
        self._names.widen(parameter, known, is_many=is_many)


class Sender:
    """How a process that only reads sends changes to the one that writes: with their rows."""

    def __init__(self, names: Names) -> None:
        self._names, self._coder = names, Coder(names, makes=False)

    def packed(self, changes: Sequence[Change]) -> list[Any]:
        """Return what is sent in the stead of the entries of each change.

        What they come to, or themselves where only he who writes can tell that.
        """
        return [self._packed(change) for change in changes]

    def unpacked(self, heads: Sequence[Sequence[Any]], sent: Sequence[Any]) -> list[Change]:
        """Return the changes that were sent: of each its first values, and what was packed."""
        frames: dict[int, Frame] = {}  # what is said of two resources came as one object
        changes: list[Change] = []
        for head, what in zip(heads, sent, strict=True):
            if type(what) is tuple:
                form = what[0]
                frame = frames.get(id(form))
                if frame is None:
                    frame = frames[id(form)] = frame_of(form)
                entries: Any = _coded((frame, *what[1:]))
                changes.append(_coded_change((*head, entries)))
            else:
                changes.append(Change._make((*head, what)))
        return changes

    def _packed(self, change: Change) -> Any:
        try:
            type_id = self._names.type(change.resource_type)
            if type_id is not None:
                frame, *rest = self._coder.code(type_id, change.entries)
                return frame.form, *rest
        except (Unknown, UnicodeEncodeError, apsw.Error):  # the last two: he says what it means
            pass
        return list(map(tuple, change.entries))


def _form(rows: Sequence[tuple[int, int, int, int]], others: Sequence[int]) -> Form:
    """Return the form of rows, each with its parameter, place, system and group."""
    parameters, places, systems, groups = zip(*rows, strict=True) if rows else ((), (), (), ())
    return parameters, places, systems, groups, tuple(others)


def _mixed(rows: Sequence[_Row]) -> Iterable[_Row]:
    """Yield the rows of parameters of which not all rows are of one system."""
    systems: dict[int, set[int]] = {}
    for _, parameter, system in rows:
        systems.setdefault(parameter, set()).add(system)
    return [row for row in rows if len(systems[row[1]]) > 1]
