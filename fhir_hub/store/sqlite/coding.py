"""Entries as rows of `entry`, with numbers for names, before it is known whose they are.

The process that writes gives new parameters and systems their numbers. Another process that
sends it a change knows those that are committed, which never change; it sends the rows ready, so
that the one writer, for whom all others wait, has only to say whose they are. What it cannot know
(a new parameter, an interval wider than any before) it leaves to the writer: `Unknown`.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from math import frexp, isinf, nan
from typing import Any

import apsw

from fhir_hub.search.entry import Entry
from fhir_hub.search.found import Entries, Part
from fhir_hub.store.base import Change
from fhir_hub.store.sqlite.beside import INTERVALS, NOTHING, PATIENT, Beside, said_beside, walk_of
from fhir_hub.store.sqlite.names import Names
from fhir_hub.store.sqlite.points import point_width
from fhir_hub.store.sqlite.rows import WIDTH, by_row, ends

_CODE, _TOLD, _REFERENCE, _INTERVAL, _DATE, _TEXT = range(6)  # what there is to do for an entry
_FORMS = {"told": _TOLD, "reference": _REFERENCE, "date": _DATE}
_Parameter = tuple[int, int]  # its number, and the form of what is under it
Person = tuple[int, str, int]  # a reference to a patient: parameter, code, system


class Unknown(LookupError):
    """Only the process that writes can code these entries."""


# What a resource's entries come to: the values of their rows, one row after the other; the numbers
# of their parameters (a set, or as it was sent); the references to patients, and what stands beside
# each; the words in which one can search, by parameter; the intervals that are no points, as
# parameter, low and high.
_Ranges = Sequence[tuple[int, float, float]]
Coded = tuple[list[Any], Collection[int], Sequence[Person], Beside, Mapping[str, str], _Ranges]
_NO_TEXTS: dict[str, str] = {}
NO_ENTRIES: Coded = ([], frozenset(), (), NOTHING, {}, ())
# Of some of them, beside the values of their rows: the references to patients, the codes and dates
# that stand beside those, and the intervals that are no points.
_Code = tuple[int, str, int]
_About = tuple[list[Person], list[_Code], list[tuple[float, float]], list[tuple[int, float, float]]]
_Texts = Mapping[int, tuple[str, str]]  # by parameter: its name, and words


class CodedChange(Change):
    """A change as it comes from another process: in the stead of its entries, their rows."""

    __slots__ = ()


# as `change_of` of `base`
_coded_change: Callable[[Sequence[Any]], CodedChange] = partial(tuple.__new__, CodedChange)


def coded_of(sent: Any, rid: int) -> Coded:
    """Return what the entries of a `CodedChange` come to: what it has in their stead, of `rid`."""
    coded: Coded = sent
    values = coded[0]
    values[::WIDTH] = [rid] * (len(values) // WIDTH)
    return coded


class Coder:
    """The numbers that one connection knows, and what it knows of what is under them."""

    def __init__(self, names: Names, *, makes: bool) -> None:
        """Give numbers to what has none if this `makes` them."""
        self._names, self._makes = names, makes
        self.walks: dict[int, str] = {}
        self.points: dict[int, float] = {}  # how wide they are, NaN: none is in an index
        self._parameters: dict[int, dict[tuple[str, str], _Parameter]] = {}  # by type
        self._spreads: dict[int, tuple[float, bool]] = {}
        self._mark = object()  # of what was made of parts by these numbers

    def forget(self) -> None:
        """Know nothing any more: what was numbered is void."""
        self.walks.clear()
        self.points.clear()
        self._parameters.clear()
        self._spreads.clear()
        self._mark = object()

    def learn(self, parameters: Iterable[int]) -> None:
        """Know these parameters, which another process has read."""
        for number in parameters:
            if number not in self.walks:
                self._parameter(*self._names.parameter_of(number))

    def code(self, type_id: int, entries: Iterable[Entry], rid: int = 0) -> Coded:
        """Return what the entries of a resource come to.

        Raises `Unknown` if numbers have to be made and are not made here.
        """
        if type(entries) is Entries:
            values, (people, codes, spans, ranges) = self._joined(type_id, entries.parts, rid)
            texts: _Texts = {}
        else:
            values, (people, codes, spans, ranges), texts = self._rows(type_id, entries, rid)
        numbers = frozenset(values[1::WIDTH])
        said = said_beside(codes, spans) if people else NOTHING
        if texts:
            return values, numbers.union(texts), people, said, dict(texts.values()), ranges
        return values, numbers, people, said, _NO_TEXTS, ranges

    def _joined(self, type_id: int, parts: Iterable[Part], rid: int) -> tuple[list[Any], _About]:
        """Return what the parts of a resource's entries come to, as most have before.

        No two parts are of one parameter, so what is so of each is so of all.
        """
        values: list[Any] = []
        people: list[Person] = []
        codes: list[_Code] = []
        spans: list[tuple[float, float]] = []
        ranges: list[tuple[int, float, float]] = []
        mark = self._mark
        for part in parts:
            coded = part.coded
            if coded is None or coded[0] is not mark:
                told, about, _ = self._rows(type_id, part, 0)
                coded = part.coded = mark, told, about if any(about) else None
            values += coded[1]
            if (more := coded[2]) is not None:
                people += more[0]
                codes += more[1]
                spans += more[2]
                ranges += more[3]
        rows = len(values) // WIDTH
        values[2::WIDTH] = range(rows)
        if rid:
            values[::WIDTH] = [rid] * rows
        return values, (people, codes, spans, ranges)

    def _rows(
        self, type_id: int, entries: Iterable[Entry], rid: int
    ) -> tuple[list[Any], _About, _Texts]:
        """Return what some entries come to."""
        values: list[Any] = []
        parameters, systems = self._parameters.setdefault(type_id, {}), self._names.systems
        intervals: set[int] = set()  # parameters
        texts: dict[int, tuple[str, str]] = {}  # by parameter
        people: list[Person] = []
        codes: list[_Code] = []
        spans: list[tuple[float, float]] = []
        ranges: list[tuple[int, float, float]] = []
        for place, (name, kind, code, system, low, high, text, group) in enumerate(entries):
            parameter, form = parameters.get((name, kind)) or self._parameter(type_id, name, kind)
            system_id = systems.get(system)
            if system_id is None:
                system_id, systems = self._system(system), self._names.systems
            if form < _INTERVAL:
                values += (rid, parameter, place, code, system_id, None, None, text, group)
                if form == _TOLD:
                    codes.append((parameter, code, system_id))
                elif form == _REFERENCE and code.startswith(PATIENT):
                    people.append((parameter, code, system_id))
            elif form == _TEXT:
                texts[parameter] = name, code
            else:
                start, end = ends(low, high)
                width, is_many = self._spreads[parameter]
                if end - start > width or (not is_many and parameter in intervals):
                    self._widen(parameter, end - start, is_many or parameter in intervals)
                intervals.add(parameter)
                if end != start + self.points[parameter] and self.walks[parameter]:
                    ranges.append((parameter, start, end))
                values += (rid, parameter, place, code, system_id, start, end, text, group)
                if form == _DATE:
                    spans.append((start, end))
        if len(values) > WIDTH and len(values) > len(set(values[1::WIDTH])) * WIDTH:
            self._note_systems(values)
        return values, (people, codes, spans, ranges), texts

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

    def _note_systems(self, values: Sequence[Any]) -> None:
        """Record for each parameter whether one code of a resource is of two systems."""
        parameters, codes = values[1::WIDTH], values[3::WIDTH]
        different = len(set(zip(parameters, codes, strict=True)))
        if different == len(codes):
            return
        if different == len(set(zip(parameters, codes, values[4::WIDTH], strict=True))):
            return
        systems: dict[tuple[Any, Any], Any] = {}
        for _, parameter, _, code, system, low, *_ in by_row(values):
            if low is None and systems.setdefault((parameter, code), system) != system:
                assert isinstance(parameter, int)
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
        return [
            _coded_change((*head, what)) if type(what) is tuple else Change._make((*head, what))
            for head, what in zip(heads, sent, strict=True)
        ]

    def _packed(self, change: Change) -> Any:
        try:
            type_id = self._names.type(change.resource_type)
            if type_id is not None:
                values, numbers, *about = self._coder.code(type_id, change.entries)
                return values, tuple(numbers), *about  # of a set `marshal` would make an order
        except (Unknown, UnicodeEncodeError, apsw.Error):  # the last two: he says what it means
            pass
        return list(map(tuple, change.entries))
