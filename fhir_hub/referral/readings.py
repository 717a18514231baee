"""The values of an Observation by LOINC code, and whether they are within limits.

A value stands in the Observation itself or in one of its components (blood pressure). Units of
one dimension are compared in their canonical unit; a value in another dimension meets nothing.

Spec: https://hl7.org/fhir/R4/observation.html
"""

from collections.abc import Iterable, Sequence, Set
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from fhir_hub.r4.units import unit_of
from fhir_hub.referral.reading import at, codings, each
from fhir_hub.repository.unit import Resource
from fhir_hub.settings.programmes import About, Limit, Plausible, Tables

Value = tuple[str, Resource]  # a LOINC code and the Quantity under it

LOINC = "http://loinc.org"
_FINAL = ("final", "amended", "corrected")


class Reading(NamedTuple):
    """What an Observation tells: its `values`, the tables that are `about` its codes.

    `programmes` are those that its own codes, not its components', are a reading for. Without
    `is_told` it is none that holds, with `is_implausible` none that can be true.
    """

    values: list[Value]
    about: About
    programmes: Set[str]
    is_told: bool
    is_implausible: bool


def reading_of(observation: Resource, tables: Tables, *, is_there: bool) -> Reading:
    """Return what an Observation tells, or told before it was deleted: then it `is_there` not."""
    own = codes_of(observation)
    found = _values(observation, own)
    about = tables.about({code for code, _ in found} | own)
    programmes = tables.about(own).programmes if about.programmes else about.programmes
    is_told = is_there and is_final(observation)
    is_wrong = is_told and is_implausible(found, about.plausible)
    return Reading(found, about, programmes, is_told, is_wrong)


def is_final(observation: Resource | None) -> bool:
    """Say whether an Observation tells a result that holds."""
    return at(observation, "status") in _FINAL


def codes_of(observation: Resource) -> set[str]:
    """Return the LOINC codes of an Observation itself."""
    return {code for system, code in codings(observation.get("code")) if system == LOINC}


def is_told_under(observation: Resource, codes: Set[str]) -> bool:
    """Say whether one of the codes is the Observation's own, or a component's."""
    components = each(observation, "component") if "component" in observation else ()
    for holder in (observation, *components):
        for _, code in codings(holder.get("code")):
            if code in codes:
                return True
    return False


def values(observation: Resource) -> list[Value]:
    """Return each LOINC code with its Quantity, of the Observation and of its components."""
    return _values(observation, codes_of(observation))


def _values(observation: Resource, own: Set[str]) -> list[Value]:
    found: list[Value] = []
    if isinstance(quantity := observation.get("valueQuantity"), dict):
        found += [(code, quantity) for code in own]
    for component in each(observation, "component") if "component" in observation else ():
        if isinstance(quantity := component.get("valueQuantity"), dict):
            found += [(code, quantity) for code in codes_of(component)]
    return found


def effective(observation: Resource) -> datetime | None:
    """Return when a reading was taken, None if it is not said to the second with an offset."""
    told = observation.get("effectiveDateTime") or at(observation, "effectivePeriod", "start")
    try:
        moment = datetime.fromisoformat(str(told))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


def meets(found: Sequence[Value], limits: Iterable[Limit]) -> bool:
    """Say whether one of the values meets one of the limits."""
    for limit in limits:
        for code, quantity in found:
            if code == limit.code and _is_within(quantity, limit):
                return True
    return False


def is_on_target(found: Sequence[Value], targets: Iterable[Limit]) -> bool:
    """Say whether all values that a target is about meet it."""
    return all(
        code != target.code or _is_within(quantity, target)
        for target in targets
        for code, quantity in found
    )


def is_implausible(found: Sequence[Value], plausible: Iterable[Plausible]) -> bool:
    """Say whether a value is outside of what can be true."""
    for bounds in plausible:
        for code, quantity in found:
            number = _in_unit(quantity, bounds.unit) if code == bounds.code else None
            if number is not None and not bounds.least <= number <= bounds.most:
                return True
    return False


def _is_within(quantity: Resource, limit: Limit) -> bool:
    number = _in_unit(quantity, limit.unit)
    if number is None:
        return False
    return (
        (limit.at_least is None or number >= limit.at_least)
        and (limit.above is None or number > limit.above)
        and (limit.at_most is None or number <= limit.at_most)
        and (limit.below is None or number < limit.below)
    )


def _in_unit(quantity: Resource, unit: str) -> Decimal | None:
    """Return the value in a unit, None if it cannot be told in it; a comparator is not a value."""
    value, code = quantity.get("value"), quantity.get("code") or quantity.get("unit")
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    number = value if type(value) is Decimal else Decimal(str(value))
    if code == unit:
        return number
    own, other = unit_of(str(code)), unit_of(unit)
    if own is None or other is None or own.canonical != other.canonical:
        return None
    return other.scale.written(own.scale.canonical(number))
