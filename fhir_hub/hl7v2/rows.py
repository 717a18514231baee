"""A map's row as one function: condition, read, convert, put. Made once, when maps are loaded.

A row says `to` which element, `from` which field, `as` which FHIR value or through which
`table`; instead of a field it may have a constant `value`, a reference by `links`, or a `call`.
Whatever is wrong with a row is told here, before any message comes.

Spec: DESIGN 2a; https://build.fhir.org/ig/HL7/v2-to-fhir/mapping_guidelines.html
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from fhir_hub.hl7v2 import conditions, structure
from fhir_hub.hl7v2.calls import CALLS
from fhir_hub.hl7v2.datatypes.context import Table
from fhir_hub.hl7v2.datatypes.table import CODED, DATATYPES, FHIR_TYPES
from fhir_hub.hl7v2.drafts import Draft, Place
from fhir_hub.hl7v2.elements import Target, target
from fhir_hub.hl7v2.er7 import Value
from fhir_hub.hl7v2.path import Path, parse_path
from fhir_hub.hl7v2.setters import Put, decorator, setter
from fhir_hub.hl7v2.settings import Settings
from fhir_hub.r4.definitions import Definitions

Json = dict[str, Any]
Act = Callable[[Place, Draft], None]
Convert = Callable[[Value, Place], Any]
_TEXTS = frozenset(
    {"string", "code", "id", "markdown", "uri", "url", "canonical", "oid", "uuid"}
    | {"date", "dateTime", "instant"}
)
_NUMBERS = frozenset(["integer", "positiveInt", "unsignedInt", "decimal"])
_QUANTITIES = frozenset(["Quantity", "Duration", "Age", "Distance", "Count"])
_CODES = frozenset({"CodeableConcept", "Coding", "code", "CodeText"})
_MOMENTS = frozenset({"date", "dateTime", "instant"})
_WHOLE = ("string", "markdown", "Annotation")
_NAMED = {"HumanName": 0, "PersonName": 1, "Practitioner": 1, "CodedPractitioner": 1}


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it is written; `where` is its file and number."""

    where: str
    to: str
    sources: tuple[Path, ...] = ()
    kind: str | Mapping[str, str] = ""
    table: str = ""
    value: Any = None
    links: str = ""
    call: str = ""
    when: Any = None
    unless: Any = None


@dataclass(frozen=True, slots=True)
class Scope:
    """What rows are compiled against: the definitions, the code tables, the sender's settings."""

    definitions: Definitions
    tables: Mapping[str, Table]
    settings: Settings


def read_row(where: str, document: Mapping[str, Any]) -> Row:
    """Return the row that a file has; raises `ValueError` for a path that is none."""
    sources = document.get("from", ())
    sources = [sources] if isinstance(sources, str) else sources
    return Row(
        where,
        document["to"],
        tuple(parse_path(source) for source in sources),
        document.get("as", ""),
        document.get("table", ""),
        document.get("value"),
        document.get("links", ""),
        document.get("call", ""),
        document.get("when"),
        document.get("unless"),
    )


class Compiled(NamedTuple):
    """A row ready to run; `phase` 0: with its segment, 1: with all resources, 2: last.

    Without `field` of its segment it has nothing to do; 0: it may always have.
    """

    row: Row
    act: Act
    phase: int = 0
    field: int = 0


def compile_row(
    row: Row, resource_type: str, segment: str, scope: Scope, *, decorates: bool = False
) -> Compiled:
    """Return the row as a function; raises `ValueError` that says what is wrong with it.

    `segment` is the one that runs it. With `decorates` a constant goes only into items that other
    rows have made.
    """
    goal = target(scope.definitions, resource_type, row.to)
    _check(row, scope)
    test = conditions.condition(row.when, row.unless)
    if row.links:
        return Compiled(row, _linking(row, goal, test), 2 if row.links == "*" else 1)
    if row.call:
        return Compiled(row, _calling(row, goal, test))
    if row.value is not None:
        put = decorator(goal) if decorates else setter(goal, _type_of(row.value, goal))
        return Compiled(row, _constant(row, goal, put, test), 1 if decorates else 0)
    source = row.sources[0]
    field = source.field if source.segment == segment else 0
    if isinstance(row.kind, Mapping):
        return Compiled(row, _by_type(row, goal, test, scope), 0, field)
    convert, fhir_type = _converter(row.kind, row, scope)
    act = _reading(row, goal, test, _put(goal, fhir_type), convert)
    return Compiled(row, act, 0, field)


def _check(row: Row, scope: Scope) -> None:
    ways = [row.value is not None, bool(row.links), bool(row.call), bool(row.kind or row.table)]
    if sum(ways) != 1:
        raise ValueError("write one of `as`/`table`, `value`, `links`, `call`")
    if (row.kind or row.table) and len(row.sources) != 1:
        raise ValueError("`as` and `table` need one path in `from`")
    read = [*row.sources, *conditions.paths(row.when), *conditions.paths(row.unless)]
    for path in read:
        if problem := structure.problem(path):
            raise ValueError(f"no such path as {path}: {problem}")
    if row.table and row.table not in scope.tables:
        raise ValueError(f"there is no table {row.table}")
    if row.call and row.call not in CALLS:
        raise ValueError(f"there is no function {row.call} to call")


def _converter(kind: str, row: Row, scope: Scope) -> tuple[Convert, str]:
    """Return the function that makes the FHIR value, and that value's type."""
    if row.table:
        kind = kind or "code"
        coded, table = CODED.get(kind), scope.tables[row.table]
        if coded is None:
            raise ValueError(f"`table` gives {', '.join(CODED)}, not {kind}")
        return _remembering(row, lambda value, place: coded(value, place.run.context, table)), kind
    datatype = DATATYPES.get(kind)
    if datatype is None:
        raise ValueError(f"there is no datatype {kind}")
    fhir_type = FHIR_TYPES[kind]

    swap_at = _NAMED.get(kind, -1) if scope.settings.name_order == "given-first" else -1

    def made(value: Value, place: Place) -> Any:
        value = value if swap_at < 0 else _swapped(value, swap_at)
        return datatype(value, place.run.context)

    if kind in _CODES:
        return _remembering(row, made), fhir_type
    if kind in _MOMENTS:
        return _once_a_message(kind, made), fhir_type
    if scope.definitions.kind(fhir_type) == "resource":
        return _referring(kind, _remembering(row, made)), fhir_type
    return made, fhir_type


def _remembering(row: Row, make: Convert) -> Convert:
    """Return `make` with what it made of each code kept for as long as the maps are."""

    token = f"{row.where} {row.to}"

    def convert(value: Value, place: Place) -> Any:
        run = place.run
        return run.memory.get((token, value.raw), lambda: make(value, place), run.issues, row)

    return convert


def _once_a_message(kind: str, make: Convert) -> Convert:
    """Return `make` with each time of a message made once: its results share theirs."""

    def convert(value: Value, place: Place) -> Any:
        made = place.run.moments.get((kind, value.raw))
        if made is None:
            made = place.run.moments[kind, value.raw] = make(value, place)
        return made

    return convert


def _referring(kind: str, make: Convert) -> Convert:
    """Return the function that makes a Reference to what `make` makes a resource of."""

    def convert(value: Value, place: Place) -> Any:
        run = place.run
        known: Json | None = run.references.get((kind, value.raw))
        if known is None:
            resource = make(value, place)
            found = run.support(resource, place.segment) if resource else None
            if found is None:
                return None
            known = run.references[kind, value.raw] = found
        return dict(known)

    return convert


def _swapped(value: Value, at: int) -> Value:
    parts = list(value.components)
    parts += [""] * (at + 2 - len(parts))
    parts[at], parts[at + 1] = parts[at + 1], parts[at]
    return Value(value.encoding.component.join(parts), value.encoding)


def _put(goal: Target, fhir_type: str) -> Put:
    """Return the setter, with a resource or an Identifier made a Reference where one belongs."""
    if _fits(fhir_type, goal.types):
        chosen = fhir_type if fhir_type in goal.types else _similar(fhir_type, goal.types)
        return setter(goal, chosen)
    if "Reference" not in goal.types:
        raise ValueError(f"{goal.last.name} is {' or '.join(goal.types[:6])}, not {fhir_type}")
    put = setter(goal, "Reference")
    if fhir_type == "Identifier":
        only = goal.references[0] if len(goal.references) == 1 else ""
        kind = {"type": only} if only and only != "Resource" else {}
        return lambda d, p, i, value: put(d, p, i, kind | {"identifier": value})
    if fhir_type == "string":
        return lambda d, p, i, value: put(d, p, i, {"display": value})
    if not goal.may_refer_to(fhir_type):
        raise ValueError(f"{goal.last.name} may not refer to {fhir_type}")
    return put


def _fits(fhir_type: str, types: tuple[str, ...]) -> bool:
    return fhir_type in types or bool(_similar(fhir_type, types))


def _similar(fhir_type: str, types: tuple[str, ...]) -> str:
    for family in (_TEXTS, _NUMBERS, _QUANTITIES):
        if fhir_type in family:
            return next((one for one in types if one in family), "")
    return "BackboneElement" if fhir_type == "BackboneElement" and "Element" in types else ""


def _type_of(value: Any, goal: Target) -> str:
    """Return the FHIR type of a constant; raises `ValueError` where it cannot stand there."""
    if isinstance(value, bool):
        suited = [one for one in goal.types if one == "boolean"]
    elif isinstance(value, str):
        suited = [one for one in goal.types if one in _TEXTS]
    elif isinstance(value, int):
        suited = [one for one in goal.types if one in _NUMBERS]
    else:
        suited = [one for one in goal.types if one[:1].isupper()]
    if not suited or (goal.choice and len(suited) > 1 and not isinstance(value, str)):
        raise ValueError(f"{goal.last.name} cannot have such a value")
    return "string" if "string" in suited else suited[0]


def _reading(
    row: Row, goal: Target, test: conditions.Condition | None, put: Put, convert: Convert
) -> Act:
    source = row.sources[0]
    name, number = source.segment, source.field
    whole = row.kind in _WHOLE and not source.component
    is_single = not (goal.last.is_list or any(step.label for step in goal.parents))
    top = goal.last.name if not goal.parents else ""
    alone = top if is_single and not goal.choice else ""

    def act(place: Place, draft: Draft) -> None:
        if alone and alone in draft.resource:
            return
        segment = place.segment
        if segment.name != name:
            found = place.node.nearest(name)
            if found is None:
                return
            segment = found
        text = segment.field(number)
        if not text or (test is not None and not test(place)):
            return
        encoding = segment.encoding
        if whole or encoding.repetition not in text:
            values = [Value(text, encoding)]
        else:
            values = segment.repetitions(number)
        if source.component:
            values = [value.component(source.component) for value in values]
            if source.subcomponent:
                values = [value.component(source.subcomponent) for value in values]
        run = place.run
        run.row = row
        took = False
        for index, value in enumerate(values):
            if value.is_null:
                if top:
                    draft.nulls.append(top)
                continue
            made = convert(value, place)
            if made is None:
                continue
            if took and is_single:
                run.issue("repeated-value", "a field repeats where FHIR has one value; first taken")
                break
            if type(made) is list:
                for one in made:
                    took = put(draft, place, index, one) or took
            else:
                took = put(draft, place, index, made) or took
        if took:
            run.trace.append((place.segment, place.node, row, draft))

    return act


def _by_type(row: Row, goal: Target, test: conditions.Condition | None, scope: Scope) -> Act:
    """Return the function of a row whose datatype another field names: `as = { by = … }`."""
    assert isinstance(row.kind, Mapping)
    by = parse_path(row.kind.get("by", ""))
    if problem := structure.problem(by):
        raise ValueError(f"no such path as {by}: {problem}")
    acts = {}
    for name, kind in row.kind.items():
        if name != "by":
            convert, fhir_type = _converter(kind, row, scope)
            acts[name] = _reading(row, goal, test, _put(goal, fhir_type), convert)

    def act(place: Place, draft: Draft) -> None:
        chosen = acts.get(place.text(by))
        if chosen is not None:
            chosen(place, draft)

    return act


def _constant(row: Row, goal: Target, put: Put, test: conditions.Condition | None) -> Act:
    value = row.value
    values = value if isinstance(value, list) else [value]
    alone = "" if goal.parents or goal.last.is_list or goal.choice else goal.last.name

    def act(place: Place, draft: Draft) -> None:
        if alone and alone in draft.resource:
            return
        if test is not None and not test(place):
            return
        took = False
        for one in values:
            took = put(draft, place, 0, one) or took
        if took and row.sources:
            place.run.trace.append((place.segment, place.node, row, draft))

    return act


def _calling(row: Row, goal: Target, test: conditions.Condition | None) -> Act:
    call, sources = CALLS[row.call], row.sources
    put = setter(goal, "" if goal.choice else goal.types[0])
    refer = "Reference" in goal.types

    def act(place: Place, draft: Draft) -> None:
        if test is not None and not test(place):
            return
        place.run.row = row
        made = call(place, draft, sources)
        if made is None:
            return
        took = False
        for index, one in enumerate(made if type(made) is list else [made]):
            value = one
            if refer and type(one) is dict and "resourceType" in one:
                value = place.run.support(one, place.segment)
                if value is None:
                    continue
            took = put(draft, place, index, value) or took
        if took:
            place.run.trace.append((place.segment, place.node, row, draft))

    return act


def _linking(row: Row, goal: Target, test: conditions.Condition | None) -> Act:
    if "Reference" not in goal.types:
        raise ValueError(f"{goal.last.name} is no Reference")
    put, name = setter(goal, "Reference"), row.links
    is_list = goal.last.is_list or any(step.is_list and step.label for step in goal.parents)
    many = goal.last.name if goal.last.is_list and not goal.parents else ""
    kind = name.partition("[")[0]
    if name != "*" and not goal.may_refer_to(kind):
        raise ValueError(f"{goal.last.name} may not refer to {kind}")

    def act(place: Place, draft: Draft) -> None:
        if test is not None and not test(place):
            return
        if name == "*":
            found = [one for one in place.run.everything() if not one.is_witness]
        else:
            found = place.node.nearest_drafts(name)
            if len(found) > 1:
                found = [one for one in found if one.segment is place.segment] or found
        if many:
            references = [{"reference": one.full_url} for one in found if one is not draft]
            if references:
                draft.resource.setdefault(many, []).extend(references)
            return
        for index, other in enumerate(found if is_list else found[:1]):
            if other is not draft:
                put(draft, place, index, {"reference": other.full_url})

    return act
