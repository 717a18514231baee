"""What a row does when its segment comes: read, convert and put; or a constant, a link, a call.

Each is a function made once, when maps are loaded; the hot path interprets nothing.

Spec: DESIGN 2a
"""

from collections.abc import Callable, Mapping
from typing import Any

from fhir_hub.hl7v2.calls.source import kept
from fhir_hub.hl7v2.calls.table import CALLS, Call
from fhir_hub.hl7v2.datatypes import codes
from fhir_hub.hl7v2.datatypes.quantities import Typed
from fhir_hub.hl7v2.making.drafts import Draft, Place, Run
from fhir_hub.hl7v2.making.memory import maker
from fhir_hub.hl7v2.making.rules import CARING
from fhir_hub.hl7v2.parsing import structure
from fhir_hub.hl7v2.parsing.er7 import Segment, Value
from fhir_hub.hl7v2.parsing.path import Path, parse_path
from fhir_hub.hl7v2.rows import conditions
from fhir_hub.hl7v2.rows.elements import Target
from fhir_hub.hl7v2.rows.row import Row, Scope
from fhir_hub.hl7v2.rows.setters import Put, setter
from fhir_hub.hl7v2.rows.values import Convert, converter, putter
from fhir_hub.identity import systems

Json = dict[str, Any]
Act = Callable[[Place, Draft], None]
# Each with the element that it need not make where it is there.
Acts = tuple[tuple[str, Act], ...]
Each = Callable[[Place, Draft, list[Value]], None]
_FURTHER = f"{systems.BASE}/StructureDefinition/further"
_REPEATED = "a field repeats where FHIR has one value; first taken"
_EXTENDING = {"CodeableConcept": "valueCodeableConcept", "Identifier": "valueIdentifier"}
_UNREADABLE = (
    "unreadable-date",
    "unreadable-number",
    "unreadable-boolean",
    "period-reversed",
    "date-without-time",
)
_LEFT_OUT = (codes.LEFT_OUT, *_UNREADABLE)
_WHOLE = ("string", "markdown", "Annotation")


def reading(
    row: Row, goal: Target, test: conditions.Condition | None, put: Put, convert: Convert
) -> Act:
    """Return the function of a row that reads a field and puts the FHIR value that it makes."""
    source = row.sources[0]
    name, number = source.segment, source.field
    is_plain = not source.component
    read = _splitter(source, row.kind in _WHOLE and not source.component)
    is_of_own = is_plain and goal.last.is_list and not goal.parents
    is_number = is_of_own and goal.types == ("Identifier",)
    each = _each(goal, _deleted(goal, row.kind), put, convert, is_of_own=is_of_own)

    def act(place: Place, draft: Draft) -> None:
        segment = place.segment if place.segment.name == name else place.node.nearest(name)
        if segment is None:
            return
        fields = segment.fields
        text = fields[number] if number < len(fields) else ""
        if not text or (test is not None and not test(place)):
            return
        run, encoding = place.run, segment.encoding
        run.row, noted = row, len(run.issues)
        if is_plain and encoding.repetition not in text and text != '""':  # one, as nearly always
            made = convert(Value(text, encoding), place)
            if len(run.issues) > noted and _leaves_out(run, row, noted):
                run.keep(segment, number)
            if run.by_table and made is not None:
                made = _unsaid(place, draft, made) if is_number else made
                made = run.settled(made, place.segment)
            if made is None:
                return
            if type(made) is list:
                for one in made:
                    put(draft, place, 0, one)
            else:
                put(draft, place, 0, made)
            return
        each(place, draft, read(segment, text))
        if _leaves_out(run, row, noted):
            run.keep(segment, number)

    return act


def _leaves_out(run: Run, row: Row, since: int, why: tuple[str, ...] = _LEFT_OUT) -> bool:
    """Say whether a value was left out that nobody can read or no table knows: it is to be kept."""
    return any(code in why and one is row for code, _, one in run.issues[since:])


def _each(
    goal: Target, deleted: str, put: Put, convert: Convert, *, is_of_own: bool = False
) -> Each:
    """Return the function that puts what each of several values makes, or takes `deleted` out.

    Where each `is_of_own`, an item that no other row adds to, what a field says twice is said once.
    Further ones of a code or a number extend the first, where an element has one value; by the
    tables so do those to whom it cannot refer.
    """
    is_single = not (goal.last.is_list or any(step.label for step in goal.parents))
    is_alone = goal.types == ("Reference",) and not goal.parents
    further = goal.last.name if is_alone else ""
    is_number = is_of_own and goal.types == ("Identifier",)
    extending = _EXTENDING.get(goal.types[0], "") if is_single and len(goal.types) == 1 else ""

    def each(place: Place, draft: Draft, values: list[Value]) -> None:
        run, took = place.run, False
        if is_of_own:
            values = list({value.raw: value for value in values}.values())
        for index, value in enumerate(values):
            if value.is_null:
                if deleted:
                    draft.nulls.append(deleted.replace("[#]", f"[#{place.segment.index}]"))
                continue
            if took and is_single and not (further and run.by_table):
                if value:  # nothing is made of it: a doctor to whom nothing refers
                    run.issue("repeated-value", _REPEATED)
                    break
                continue
            made = convert(value, place)
            if made is None:
                continue
            if run.by_table:
                made = _unsaid(place, draft, made) if is_number else made
                made = run.settled(made, place.segment)
                if made is None:
                    continue
            if took and is_single:
                held = draft.resource[further]
                more = [*held.get("extension", ()), {"url": _FURTHER, "valueReference": made}]
                draft.resource[further] = held | {"extension": more}
            elif type(made) is list:
                for one in made:
                    took = put(draft, place, index, one) or took
            else:
                took = put(draft, place, index, made) or took

    return _extending(each, put, convert, extending) if extending else each


def _extending(each: Each, put: Put, convert: Convert, name: str) -> Each:
    """Return the function that puts the first of several values, which the others extend."""

    def together(place: Place, draft: Draft, values: list[Value]) -> None:
        values = list({value.raw: value for value in values}.values())
        found = _every(values, place, convert) if len(values) > 1 else []
        if found:
            put(draft, place, 0, _extended(found, name))
        else:
            each(place, draft, values)

    return together


def _unsaid(place: Place, draft: Draft, made: Any) -> Any:
    """Return those of one or several numbers that no other field told, `None` if there are none."""
    if type(made) is not list:  # an old resident ID makes two
        return None if _is_said(place, draft, made) else made
    return [one for one in made if not _is_said(place, draft, one)] or None


def _is_said(place: Place, draft: Draft, number: Any) -> bool:
    """Say whether another field told the same number (PID-2 and PID-3), and note that one does.

    By the tables who assigned it is a resource of each mention, so two of them never look the same.
    """
    key = (f"said {number.get('value')}", id(draft))  # a field may have very many
    said: list[Any] = place.run.moments.setdefault(key, [])
    is_there = number in said
    said.append(number)
    return is_there


def _every(values: list[Value], place: Place, convert: Convert) -> list[Json]:
    """Return what all of several values make."""
    found: list[Json] = []
    for value in values:
        made = convert(value, place) if value and not value.is_null else None
        if place.run.by_table and made is not None:
            made = place.run.settled(made, place.segment)
        if made is not None:
            found += made if type(made) is list else [made]
    return found


def _extended(made: list[Json], name: str) -> Json:
    """Return the first value with those that follow as extensions of it."""
    more = [{"url": _FURTHER, name: one} for one in made[1:] if one != made[0]]
    return made[0] | ({"extension": [*made[0].get("extension", ()), *more]} if more else {})


def _deleted(goal: Target, kind: str | Mapping[str, str]) -> str:
    """Return what `""` deletes: an element, a part (`period.end`) or an item (`name[label]`).

    Of the item that a segment makes it is a part (`items.py`), of persons and institutions in one
    list those of the row's `kind`.
    """
    if not goal.parents:
        return f"{CARING}[{kind}]" if goal.last.name == CARING else goal.last.name
    first, *inner = goal.parents
    if first.is_list and first.label:
        return f"{first.name}[{first.label}]"
    if goal.choice or any(step.is_list for step in inner):
        return ""
    head = f"{first.name}[#]" if first.is_list else first.name
    return ".".join([head, *(step.name for step in inner), goal.last.name])


def _splitter(source: Path, whole: bool) -> Callable[[Segment, str], list[Value]]:
    """Return the function that splits a field's text into the values that a row reads."""

    def read(segment: Segment, text: str) -> list[Value]:
        encoding = segment.encoding
        if whole or encoding.repetition not in text:
            values = [Value(text, encoding)]
        else:
            values = segment.repetitions(source.field)
        if source.component:
            values = [value.component(source.component) for value in values]
            if source.subcomponent:
                values = [value.component(source.subcomponent) for value in values]
        return values

    return read


def by_type(row: Row, goal: Target, test: conditions.Condition | None, scope: Scope) -> Act:
    """Return the function of a row whose datatype another field names: `as = { by = … }`."""
    assert isinstance(row.kind, Mapping)
    by = parse_path(row.kind.get("by", ""))
    if problem := structure.problem(by):
        raise ValueError(f"no such path as {by}: {problem}")
    acts = {}
    for name, kind in row.kind.items():
        if name != "by":
            convert, fhir_type = converter(kind, row, scope)
            acts[name] = reading(row, goal, test, putter(goal, fhir_type), convert)

    def act(place: Place, draft: Draft) -> None:
        chosen = acts.get(place.text(by))
        if chosen is not None:
            chosen(place, draft)

    return act


def constant(row: Row, put: Put, test: conditions.Condition | None) -> Act:
    """Return the function of a row that puts what it says, if its condition holds.

    Other rows may add to it, so each resource gets one of its own.
    """
    value = row.value
    values = value if isinstance(value, list) else [value]
    is_plain = not any(isinstance(one, dict | list) for one in values)
    made = None if is_plain else maker(values)

    def act(place: Place, draft: Draft) -> None:
        if test is not None and not test(place):
            return
        for one in values if made is None else made():
            put(draft, place, 0, one)

    return act


def calling(row: Row, goal: Target, test: conditions.Condition | None) -> Act:
    """Return the function of a row that leaves its value to a function of `calls/`."""
    return _supplied(row, goal, test, CALLS[row.call])


def supporting(row: Row, goal: Target, test: conditions.Condition | None) -> Act:
    """Return the function of a row that refers to the resource that it says."""
    name, make = row.value["resourceType"], maker(row.value)
    if "Reference" not in goal.types or not goal.may_refer_to(name):
        raise ValueError(f"{goal.last.name} may not refer to {name}")
    return _supplied(row, goal, test, lambda place, draft, paths: make())


def _supplied(row: Row, goal: Target, test: conditions.Condition | None, call: Call) -> Act:
    sources = row.sources
    put = setter(goal, "" if goal.choice else goal.types[0])
    refer = "Reference" in goal.types

    def act(place: Place, draft: Draft) -> None:
        if test is not None and not test(place):
            return
        run = place.run
        run.row, noted = row, len(run.issues)
        made = call(place, draft, sources)
        if len(run.issues) > noted and _leaves_out(run, row, noted, _UNREADABLE):
            kept(place, draft, sources)
        if made is None:
            return
        if run.by_table and type(made) is not Typed:
            made = place.run.settled(made, place.segment)
            if made is None:
                return
        if type(made) is not list and not refer:
            put(draft, place, 0, made)
            return
        for index, one in enumerate(made if type(made) is list else [made]):
            value = one
            if refer and type(one) is dict and "resourceType" in one:
                value = place.run.support(one, place.segment)
                if value is None:
                    continue
            put(draft, place, index, value)

    return act
