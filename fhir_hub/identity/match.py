"""Which stored Patient a message or a request is about: decided by numbers, never by a name.

A valid resident ID decides alone; after it other national cards, then the sender's own number.
When a weaker number leads to a Patient who holds a different valid resident ID, the two sides
are two persons: that is an error for a human, not a match. A Patient merged away leads to the
survivor. There is no I/O here: the caller runs `plan_of` and hands over what was found.

Spec: https://hl7.org/fhir/R4/patient.html#merge; DOMAIN 0.12 and 3.1
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from fhir_hub.errors import VersionConflict
from fhir_hub.identity import resident_id, systems
from fhir_hub.search.plan import Has, Is, Or, Plan

Json = Mapping[str, Any]
_NONE: frozenset[str] = frozenset()
DIFFERENT_PERSONS = "identifiers point to different persons / 各号码指向不同的人"


class Number(NamedTuple):
    """An identifier that may match: its canonical `system` and its `value`."""

    system: str
    value: str


# `Number` of both, without a call of Python's own
number_of: Callable[[tuple[str, str]], Number] = partial(tuple.__new__, Number)


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided: the Patient, and the number by which; both `None`: it is a new one.

    `merged` are the logical ids of records merged away through which it was found, `others`
    those of records that weaker numbers name: probably the same person twice.
    """

    patient: Json | None = None
    by: Number | None = None
    merged: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


def numbers(identifiers: Iterable[Json]) -> tuple[Number, ...]:
    """Return the identifiers that may match, strongest first.

    Left out: a resident ID that cannot be right, `use` temp or old, the number of a visit or an
    account, and what lacks a system.
    """
    found: dict[Number, int] = {}
    for identifier in identifiers:
        system, value = identifier.get("system"), identifier.get("value")
        if not (isinstance(system, str) and isinstance(value, str) and value):
            continue
        if identifier.get("use") in ("temp", "old") or _is_of_visit(identifier):
            continue
        number = number_of((systems.canonical(system), value))
        if number.system == systems.RESIDENT_ID:
            verdict = resident_id.examine(value)
            if not verdict.is_valid:
                continue
            number = Number(number.system, verdict.value)
        found.setdefault(number, _rank(number.system))
    return tuple(sorted(found, key=found.__getitem__) if len(found) > 1 else found)


def own(wanted: Sequence[Number]) -> Sequence[Number]:
    """Return the numbers of a record of its own, without national ones; all if all are such."""
    return [one for one in wanted if one.system not in systems.STRONG] or wanted


def visit_numbers(identifiers: Iterable[Json]) -> frozenset[Number]:
    """Return the numbers of visits and accounts that a Patient holds (住院号, 门诊号)."""
    held = (one for one in identifiers if _is_of_visit(one) and one.get("use") != "temp")
    told = ((one.get("system"), one.get("value")) for one in held)
    return frozenset(
        Number(systems.canonical(system), value)
        for system, value in told
        if isinstance(system, str) and isinstance(value, str) and value
    )


def plan_of(wanted: Iterable[Number]) -> Plan:
    """Return the plan that finds every Patient who holds one of the numbers; of none: nothing."""
    tests = tuple(
        Is(number.value, system) for number in wanted for system in systems.aliases(number.system)
    )
    return Has("identifier", "token", tests) if tests else Or()


def _is_of_visit(identifier: Json) -> bool:
    kind = identifier.get("type")
    codings = kind.get("coding") if kind is not None and _is_object(kind) else None
    if isinstance(codings, list):
        for one in codings:
            if _is_object(one) and one.get("code") in ("VN", "AN"):
                return True
    return False


def _rank(system: str) -> int:
    if system == systems.RESIDENT_ID:
        return 0
    return 1 if system in systems.STRONG else 2


def resident_ids(patient: Json) -> frozenset[str]:
    """Return the valid resident IDs that a Patient holds."""
    cards = [one for one in _identifiers(patient) if _is_resident_id(one.get("system"))]
    return frozenset([number.value for number in numbers(cards)]) if cards else _NONE


def _is_resident_id(system: Any) -> bool:
    return isinstance(system, str) and systems.canonical(system) == systems.RESIDENT_ID


def _identifiers(patient: Json) -> list[Json]:
    found = patient.get("identifier", [])
    return [one for one in found if _is_object(one)] if isinstance(found, list) else []


def _is_object(value: Any) -> bool:
    return type(value) is dict or isinstance(value, Mapping)


def same_person(one: Json, other: Json) -> bool:
    """Say whether two Patients may be one: they do not hold different valid resident IDs."""
    return same_person_as(resident_ids(one), other)


def same_person_as(valid: frozenset[str], other: Json) -> bool:
    """Say whether `other` may be who has these valid resident IDs."""
    second = resident_ids(other)
    return not valid or not second or bool(valid & second)


def decide(incoming: Json, candidates: Sequence[Json], survivors: Sequence[Json] = ()) -> Decision:
    """Return which of the stored `candidates` the `incoming` Patient is, or that it is new.

    `survivors` are the Patients to which merged-away candidates link. Raises `VersionConflict`
    when the numbers lead to different persons, or one number to several.
    """
    by_id = {str(one.get("id")): one for one in (*candidates, *survivors)}
    held = [(frozenset(numbers(_identifiers(one))), one) for one in candidates]
    found: list[tuple[Number, list[Json]]] = []
    merged: dict[str, None] = {}
    for number in numbers(_identifiers(incoming)):
        holders = [one for numbers_held, one in held if number in numbers_held]
        alive = {str(one.get("id")): one for one in (_survivor(one, by_id) for one in holders)}
        merged |= {str(one.get("id")): None for one in holders if str(one.get("id")) not in alive}
        if alive:
            found.append((number, list(alive.values())))
    if not found:
        return Decision()
    by, rivals = found[0]
    patient = _one_of(rivals)
    everyone = {str(one.get("id")): one for _, holders in found for one in holders}
    valid = resident_ids(incoming)
    for one in everyone.values():
        if not same_person_as(valid, one) or (one is not patient and not same_person(patient, one)):
            raise VersionConflict(DIFFERENT_PERSONS, expression="Patient.identifier")
    others = tuple(logical_id for logical_id, one in everyone.items() if one is not patient)
    return Decision(patient, by, tuple(merged), others)


def _one_of(rivals: list[Json]) -> Json:
    """Return the only Patient, or the only one among several whose resident ID is known."""
    if len(rivals) > 1:
        rivals = [one for one in rivals if resident_ids(one)] or rivals
    if len(rivals) > 1:
        raise VersionConflict(
            f"one identifier is held by {len(rivals)} patients / 同一号码属于 {len(rivals)} 个患者",
            expression="Patient.identifier",
        )
    return rivals[0]


def _survivor(patient: Json, by_id: Mapping[str, Json]) -> Json:
    seen = set()
    while (following := survivor_id(patient)) in by_id and following not in seen:
        seen.add(following)
        patient = by_id[following]
    return patient


def survivor_id(patient: Json) -> str:
    """Return the logical id of the Patient that replaced this one, `""` if none did."""
    links = patient.get("link", [])
    for link in links if isinstance(links, list) else []:
        is_by = isinstance(link, Mapping) and link.get("type") == "replaced-by"
        reference = str(link.get("other", {}).get("reference", "")) if is_by else ""
        if reference:
            return reference.rpartition("Patient/")[2].partition("/")[0]
    return ""


def same_number(one: Json, other: Json) -> bool:
    """Say whether two Identifiers are one: same value, systems that mean the same."""
    first, second = one.get("system", ""), other.get("system", "")
    return one.get("value") == other.get("value") and (
        systems.canonical(str(first)) == systems.canonical(str(second))
    )
