"""Finding what is related to a staged record, by the names that R4 gives search parameters.

Spec: https://hl7.org/fhir/R4/searchparameter-registry.html
"""

from collections.abc import Mapping
from datetime import datetime
from functools import cache, lru_cache
from typing import NamedTuple

from fhir_hub import fhirjson
from fhir_hub.clock import microseconds
from fhir_hub.r4.definitions import load_definitions
from fhir_hub.referral.reading import at, each, key_of
from fhir_hub.repository.familiar import Asked
from fhir_hub.repository.unit import Resource, Unit
from fhir_hub.search.parameters import Parameters
from fhir_hub.search.plan import And, Compare, Has, Is, Plan, Range
from fhir_hub.store.base import Key, Stored

_SHORT = 500  # what is longer is not kept, so that what is kept is small
Wanted = Key | str | Is | tuple[str, ...] | tuple[Key, ...] | tuple[Is, ...]


class Followed(NamedTuple):
    """A staged record: which, what it was before (None: new), what it is (None: deleted)."""

    key: Key
    before: Resource | None
    after: Resource | None


@cache
def _parameters() -> Parameters:
    return Parameters(load_definitions())


@cache
def _index(resource_type: str, parameter: str) -> str:
    return _parameters().of(resource_type)[parameter].index


async def find(unit: Unit, resource_type: str, **wanted: Wanted) -> list[Stored]:
    """Return what matches all of `wanted`, by parameter: a resource, a code, one of several codes.

    An underscore in a name stands for its hyphen. What the unit staged counts; the commit
    holds only if the answer stays as it is.
    """
    return await unit.answer(_asked_for(resource_type, wanted))


async def find_again(unit: Unit, resource_type: str, **wanted: Wanted) -> list[Stored]:
    """Return what `find` does, of what is asked again and again of the same patient."""
    return await unit.answer(_asked_for(resource_type, wanted), familiar="whole")


def plan_for(resource_type: str, **wanted: Wanted) -> Plan:
    """Return the plan that `find` asks."""
    return _asked_for(resource_type, wanted).plan


def _asked_for(resource_type: str, wanted: Mapping[str, Wanted]) -> Asked:
    is_short = sum(map(_length, wanted.values())) < _SHORT
    return (_asked if is_short else _asked.__wrapped__)(resource_type, *wanted.items())


def _length(wanted: Wanted) -> int:
    if isinstance(wanted, str):
        return len(wanted)
    if isinstance(wanted, Key):
        return len(wanted.logical_id)
    return len(wanted.code or "") if isinstance(wanted, Is) else sum(map(_length, wanted))


@lru_cache(maxsize=4096, typed=True)  # the rules ask the same of each of a patient's results
def _asked(resource_type: str, *wanted: tuple[str, Wanted]) -> Asked:
    plans = []
    for name, value in wanted:
        index = _index(resource_type, name.replace("_", "-"))
        tests = value if isinstance(value, tuple) and not isinstance(value, Key) else (value,)
        keys = [one for one in tests if isinstance(one, Key)]
        if keys:
            found = tuple(Is("/".join(key)) for key in keys)
            plans.append(Has(index, "reference", found))
        else:
            found = tuple(one if isinstance(one, Is) else Is(str(one)) for one in tests)
            plans.append(Has(index, "token", found))
    return Asked(resource_type, And(tuple(plans)))


async def find_naming(unit: Unit, resource_type: str, parameter: str, number: Is) -> list[Stored]:
    """Return what refers to something by its number alone, under a parameter of references."""
    index = _index(resource_type, parameter)
    return await unit.find(resource_type, Has(f"{index}:identifier", "token", (number,)))


async def bookings_naming(unit: Unit, task: Resource) -> list[Stored]:
    """Return the patient's Appointments that name a referral by a number of its Task alone.

    Some name it without whose the number is: it counts if no other referral has it.
    """
    found: dict[str, Stored] = {}
    for number in each(task, "identifier"):
        value, system = number.get("value"), number.get("system")
        if not isinstance(value, str) or not isinstance(system, str):
            continue
        for one in await find_naming(unit, "Appointment", "based-on", Is(value)):
            appointment = read(one)
            actors = [key_of(part.get("actor")) for part in each(appointment, "participant")]
            if key_of(task.get("for")) not in actors:
                continue
            said = [number_in(reference) for reference in each(appointment, "basedOn")]
            others = [named for named in said if named.code == value and named.system != system]
            if Is(value, system) in said or (
                others and not await find(unit, "ServiceRequest", identifier=tuple(others))
            ):
                found[one.logical_id] = one
    return list(found.values())


def number_in(reference: Resource) -> Is:
    """Return the number by which a Reference names something."""
    return Is(at(reference, "identifier", "value"), at(reference, "identifier", "system"))


def ended_between(resource_type: str, first: datetime, last: datetime, date: str = "date") -> Plan:
    """Return the plan of what has a date parameter that ended after one moment, until another."""
    bounds = Compare("high", ">", microseconds(first)), Compare("high", "<=", microseconds(last))
    index = _index(resource_type, date)
    return Has(index, "date", (Range((bounds,)),))


def plan_between(
    resource_type: str,
    date: str,
    first: datetime,
    end: datetime,
    **wanted: Wanted,
) -> And:
    """Return the plan of `plan_for` whose date parameter begins from `first` to before `end`."""
    low, high = (float(microseconds(moment)) for moment in (first, end))
    bounds = (Compare("low", ">=", low), Compare("low", "<", high))
    index = _index(resource_type, date)
    within = Has(index, "date", (Range((bounds,)),))
    return And((plan_for(resource_type, **wanted), within))


def read(stored: Stored) -> Resource:
    """Return the resource of a stored version."""
    resource: Resource = fhirjson.reread(stored.content)
    return resource
