"""Fills the segments of one place of a message: runs the rows of its entries backwards.

A place is a segment, the group that it is in, and the resources that it tells of, by the names
that the map gives them. Whatever an element says is written once a segment, by the first row
that can say it; a field that its version demands is filled by a later row if need be. What an
item of a list says has a segment of its own where the map reads one from each.

Spec: DESIGN 2a, read from right to left
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from fhir_hub.hl7v2.emit.backwards import (
    At,
    Backwards,
    Conditions,
    Found,
    Header,
    Way,
    backwards,
    by_condition,
    conditions_of,
    says,
)
from fhir_hub.hl7v2.emit.calls import DERIVED, INVERSES, SILENT
from fhir_hub.hl7v2.emit.outbound import Outbound
from fhir_hub.hl7v2.emit.sheets import Seat, Sheet
from fhir_hub.hl7v2.emit.spots import Spot
from fhir_hub.hl7v2.emit.untold import Told
from fhir_hub.hl7v2.emit.write_codes import table_sources, table_written
from fhir_hub.hl7v2.emit.write_places import organization_code
from fhir_hub.hl7v2.emit.writers import WRITERS
from fhir_hub.hl7v2.emit.written import Written
from fhir_hub.hl7v2.maps.programs import Entry, Program
from fhir_hub.hl7v2.parsing.path import Path, parse_path

Json = dict[str, Any]
# These fields say again what another one says, in an older way, or less exactly.
PASSED_OVER = frozenset(
    {"PID-2", "PID-4", "PID-19", "PID-39", "TQ1-11", "MRG-2", "MRG-4", "OBR-13", "PV1-50"}
    | {"IN1-49.1", "RF1-24"}
)
# A message has one of these of a person and a visit.
_ONCE = ("PID", "PD1", "PV1", "PV2")


class Filler:
    """Fills the spots of one message. `told` is what its rows have written."""

    def __init__(self, program: Program, header: Header, out: Outbound) -> None:
        self._program, self._header, self._out = program, header, out
        self.told = Told()

    def sheets(self, spot: Spot) -> list[Sheet]:
        """Return the segments that a spot becomes, in order; none if there is nothing to say."""
        entries = list(self._entries(spot))
        if any(not one.entry.adds for one in entries):
            seats = [self._one(spot, entries)]
        else:
            seats = [seat for one in entries for seat in self._many(spot, one)]
        if not entries and spot.fixed:
            seats = [self._fixed(spot, self._seat(spot))]
        return [
            seat.sheets[name]
            for seat in filter(None, seats)
            for name in (*spot.before, spot.segment, *spot.after)
            if name in seat.sheets and seat.sheets[name].fields
        ]

    def _entries(self, spot: Spot) -> Iterator[Backwards]:
        taken: set[str] = set()
        for entry in self._program.entries_in(spot.segment, spot.group).entries:
            if (
                entry.name not in spot.drafts
                or entry.mode in ("table", "change")
                or entry.takes_out
            ):
                continue
            if not conditions_of(entry.when, entry.unless).allow(self._header):
                continue
            if entry.adds or entry.name not in taken:
                taken.add(entry.name)
                yield self._backwards(entry)

    def _backwards(self, entry: Entry) -> Backwards:
        """Return an entry backwards, made once for as long as its program is."""
        kept = self._program.scope.compiled
        key = ("backwards", self._program.structure, self._program.senders, id(entry))
        if key not in kept:
            kept[key] = backwards(entry, self._program.scope.definitions)
        found: Backwards = kept[key]
        return found

    def _seat(self, spot: Spot) -> Seat:
        beside = (*spot.before, *spot.after)
        return Seat(spot.segment, beside, self._out.version, self._out.issue)

    def _fixed(self, spot: Spot, seat: Seat) -> Seat:
        for path, written in spot.fixed.items():
            if not seat.is_valued(path):
                seat.put(path, written)
        return seat

    def _one(self, spot: Spot, entries: Sequence[Backwards]) -> Seat | None:
        seat = self._seat(spot)
        for path, written in spot.begun.items():
            seat.put(path, written)
        wrote = False
        for one in entries:
            resource = spot.drafts[one.entry.name]
            _, items = one.items(resource)
            item = items[0] if items else None
            if _assign(one.asked, seat):
                wrote = _Run(self, one, resource, seat, item).write(one.ways) or wrote
        self._fixed(spot, seat)
        return seat if wrote or spot.fixed else None

    def _many(self, spot: Spot, one: Backwards) -> Iterator[Seat]:
        """Return a seat for each item, each condition, each value beyond a field's repetitions."""
        resource = spot.drafts[one.entry.name]
        spread, items = one.items(resource)
        conditions = one.asked
        if spread:
            lead = [way for way in one.ways if way.spread and way.row.value is None][:1]
            for item in items:
                seat = self._seat(spot)
                if not _assign(conditions, seat):
                    continue
                run = _Run(self, one, resource, seat, item)
                if run.write(lead) and _is_as_asked(conditions, seat):
                    run.write(one.ways)
                    yield self._fixed(spot, seat)
            return
        for ways in by_condition(one.ways, spot.segment):
            done: set[tuple[str, At]] = set()
            told = False
            for _ in range(100):
                seat = self._seat(spot)
                if not _assign(conditions, seat):
                    break
                run = _Run(self, one, resource, seat, None, done)
                if not run.write(ways) or not _is_as_asked(conditions, seat):
                    break
                if told and spot.segment in _ONCE:
                    self._out.issue(f"{spot.segment} stands once; more were left out")
                    break
                told = True
                yield self._fixed(spot, seat)

    def sheet(self, name: str) -> Sheet:
        """Return a segment in which nothing stands."""
        return Sheet(name, self._out.version, self._out.issue)


def _assign(conditions: Conditions, seat: Seat) -> bool:
    """Write what a condition asks of fields; return whether they say it now."""
    for path, among in conditions.texts:
        if path.segment not in seat.sheets:
            continue
        text = seat.text(path)
        if text in among:
            continue
        if text or not seat.put(path._replace(component=path.component or 1), [among[0]]):
            return False
    return True


def _is_as_asked(conditions: Conditions, seat: Seat) -> bool:
    return all(
        seat.sheets[path.segment].is_valued(path) is wanted
        for path, wanted in conditions.present
        if path.segment in seat.sheets
    )


class _Run:
    """One entry written into one seat."""

    def __init__(
        self,
        filler: Filler,
        one: Backwards,
        resource: Json,
        seat: Seat,
        item: Any,
        done: set[tuple[str, At]] | None = None,
    ) -> None:
        self._filler, self._one, self._resource = filler, one, resource
        self._seat, self._item, self._out = seat, item, filler._out
        # values that were written, by segment
        self._done = done if done is not None else set()
        self._singles: set[tuple[str, str]] = set()
        self._by_event: set[str] = set()  # elements that the header says
        self._found: dict[int, list[Found]] = {}

    def write(self, ways: Sequence[Way]) -> bool:
        """Run the rows; return whether one of them wrote something."""
        ways = [way for way in ways if not way.top or way.top in self._resource]
        by_table = {way.key for way in ways if way.row.table}
        for way in ways:
            if way.row.value is not None:
                # what a code means only where another field is empty a table says outright
                if way.decorates:  # its place says it
                    self._filler.told.values(self._alike(way))
                elif way.key not in by_table or all(wanted for _, wanted in way.asked.present):
                    self._constant(way)
            elif way.row.call == "facility_performer":
                self._implied(way)
        codes = self._codes(ways)
        wrote = False
        for way in ways:
            wrote = self._row(way, codes) or wrote
        for sheet in self._seat.sheets.values():
            lacking = {Path(sheet.name, number) for number in sheet.required()}
            for way in ways if lacking else ():
                if not lacking.isdisjoint(way.fields):
                    self._row(way, codes, again=True)
        return wrote

    def _values(self, way: Way) -> list[Found]:
        """Return the values of a row's element, the same list each time."""
        found = self._found.get(id(way))
        if found is None:
            found = self._found[id(way)] = self._one.found(way, self._resource, self._item)
        return found

    def _implied(self, way: Way) -> None:
        """Pass over the one performer whom a reader takes from MSH-4."""
        values = self._values(way)
        found = self._out.resource(values[0].value, "Organization") if len(values) == 1 else None
        if found and organization_code(found) == self._out.facility:
            self._done |= {(name, values[0].at) for name in self._seat.sheets}
            self._tell(way, values)

    def _constant(self, way: Way) -> None:
        """Write the fields on which a constant depends, if the element has it."""
        key = ("", way.key)
        values = self._alike(way)
        if not values or key in self._singles:
            return
        conditions = way.asked
        if conditions.allow(self._filler._header) and _assign(conditions, self._seat):
            self._singles.add(key)
            if conditions.header and not (conditions.texts or conditions.present):
                self._by_event.add(way.key)
        self._tell(way, values)

    def _alike(self, way: Way) -> list[Found]:
        """Return the values that say what a constant does."""
        wanted = way.row.value
        listed = wanted if isinstance(wanted, list) else [wanted]
        return [
            one
            for one in self._values(way)
            if any(says(one.value, constant) for constant in listed)
        ]

    def _tell(self, way: Way, found: Iterable[Found]) -> None:
        self._filler.told.element(self._resource, self._top(way))
        self._filler.told.values(found)

    def _linked(self, way: Way) -> list[Found]:
        """Return the References of a type that a reader makes of the message by himself."""
        linked = way.row.links.partition("[")[0]
        return [one for one in self._values(way) if self._out.kind_of(one.value) in ("", linked)]

    def _top(self, way: Way) -> str:
        first = way.goal.parents[0] if way.goal.parents else way.goal.last
        if way.goal.choice and not way.goal.parents:
            return next((key for key in self._resource if key.startswith(first.name)), "")
        return first.name

    def _codes(self, ways: Sequence[Way]) -> dict[Path, str]:
        """Return the source code for each field that tables read, one that all of them agree on.

        Where there is none a status gives way: the event says it too, or a reader's default.
        """
        wanted: dict[Path, list[tuple[bool, list[str]]]] = {}
        tables = self._out.tables
        for way in ways:
            if not way.row.table or way.row.table not in tables or way.key in self._by_event:
                continue
            values = self._values(way)
            if values and (found := table_sources(values[0].value, tables[way.row.table])):
                wanted.setdefault(way.row.sources[0], []).append((way.key == "status", found))
        chosen = {}
        for path, held in wanted.items():
            lists = [found for _, found in sorted(held, key=lambda one: one[0])]
            agreed = [one for one in lists[0] if all(one in other for other in lists[1:])]
            chosen[path] = (agreed or lists[0])[0]
        return chosen

    def _row(self, way: Way, codes: Mapping[Path, str], *, again: bool = False) -> bool:
        row = way.row
        if row.value is not None or row.links:
            if row.links:
                self._tell(way, self._linked(way))
            return False
        sources = row.sources
        target = way.segment
        if (sources and str(sources[0]) in PASSED_OVER) or target not in self._seat.sheets:
            if row.call in DERIVED or target != self._seat.sheet.name:
                self._tell(way, self._values(way))
            return False
        if way.is_single and (target, way.key) in self._singles and not again:
            return False
        if way.key in self._by_event:
            return False
        if row.kind == "CodeableConcept" and not row.table and self._has_better(way):
            return False
        conditions = way.asked
        if not conditions.allow(self._filler._header):
            return False
        values = [one for one in self._values(way) if again or (target, one.at) not in self._done]
        if not values:
            return False
        if conditions.texts and not self._may(conditions, row.sources[0]):
            return False
        wrote = self._written(way, values, codes)
        if wrote:
            _assign(conditions, self._seat)
            self._singles.add((target, way.key))
            self._tell(way, ())
        return wrote

    def _has_better(self, way: Way) -> bool:
        """Say whether a field of one component is asked where the element has a roomier one."""
        here = self._seat.sheets
        if not here[way.row.sources[0].segment].is_leaf(way.row.sources[0]):
            return False
        others = [
            one.row.sources[0]
            for one in self._one.ways
            if one.key == way.key and one is not way and one.row.sources and not one.row.call
        ]
        return any(one.segment in here and not here[one.segment].is_leaf(one) for one in others)

    def _may(self, conditions: Conditions, into: Path) -> bool:
        # what is written into a field is all that stands there
        unwanted = (
            path._replace(component=0) if path[:2] == into[:2] else path
            for path, wanted in conditions.present
            if not wanted
        )
        return not any(map(self._seat.is_valued, unwanted)) and all(
            self._seat.text(path) in ("", *among)
            for path, among in conditions.texts
            if path.segment in self._seat.sheets
        )

    def _written(self, way: Way, values: list[Found], codes: Mapping[Path, str]) -> bool:
        row = way.row
        target = way.segment
        if row.call:
            inverse = INVERSES.get(row.call)
            if inverse is None:
                self._filler.told.values(values if row.call in SILENT else ())
                return row.call in SILENT
            taken = inverse(self._seat, row.sources, values, self._out)
            self._filler.told.values(taken)
            self._done |= {(target, one.at) for one in taken}
            return bool(taken)
        wrote = False
        for one in values:
            for path, written in self._forms(way, one, codes):
                if self._seat.put(path, written):
                    self._done.add((target, one.at))
                    self._filler.told.values([one])
                    wrote = True
        return wrote

    def _forms(
        self, way: Way, found: Found, codes: Mapping[Path, str]
    ) -> Iterator[tuple[Path, Written]]:
        """Return what a row writes of a value, and where."""
        row, path = way.row, way.row.sources[0]
        if row.table:
            table, kind = self._out.table(row.table), str(row.kind or "code")
            sources = table_sources(found.value, table)
            chosen = codes.get(path, "")
            if way.key == "status" and sources and chosen and chosen not in sources:
                return
            source = chosen if chosen in sources else (sources or [""])[0]
            if kind == "Timing":
                written = WRITERS[kind](found.value, self._out)
            else:
                written = table_written(found.value, table, kind, source, self._out)
            if written:
                yield path, written
        elif isinstance(row.kind, Mapping):
            for name, kind in row.kind.items():
                written = WRITERS[kind](found.value, self._out) if name != "by" else None
                if written:
                    yield parse_path(row.kind["by"]), [name]
                    yield path, written
                    return
        elif written := WRITERS[row.kind](found.value, self._out):
            yield path, written
