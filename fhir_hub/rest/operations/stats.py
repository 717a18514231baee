"""`Observation/$stats`: average, extremes, median and the like, one Observation a code.

Values are compared in one unit: two units under one code are an error and no average. Decimals
are counted exactly; what cannot be written exactly is rounded to twelve digits.

Spec: https://hl7.org/fhir/R4/observation-operation-stats.html
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal, localcontext
from typing import Any, NamedTuple

from fhir_hub import fhirjson
from fhir_hub.clock import from_microseconds, instant, microseconds
from fhir_hub.errors import InvalidParameter, NotSupported
from fhir_hub.r4.dates import date_interval
from fhir_hub.r4.references import parse_reference
from fhir_hub.rest.message import FhirRequest, FhirResponse, answer
from fhir_hub.rest.operations.inputs import Inputs, only_on, read_inputs
from fhir_hub.rest.operations.observations import Observation, observations
from fhir_hub.rest.service import Service
from fhir_hub.search.plan import And, Compare, Has, Is, Plan, Query, Range, SortKey
from fhir_hub.store.base import Key, Stored

ON = ("Observation",)
_NAMES = (
    "subject",
    "code",
    "system",
    "coding",
    "duration",
    "period",
    "start",
    "end",
    "statistic",
    "include",
    "limit",
)
_SYSTEM = "http://terminology.hl7.org/CodeSystem/observation-statistics"
_DIGITS = 12

Values = Sequence[Decimal]


def _average(values: Values) -> Decimal:
    return sum(values, Decimal(0)) / len(values)


def _percentile(share: Decimal) -> Callable[[Values], Decimal]:
    """Return what finds the value below which `share` of the values lie, between two linearly."""

    def statistic(values: Values) -> Decimal:
        place = (len(values) - 1) * share
        low = int(place)
        high = min(low + 1, len(values) - 1)
        return values[low] + (values[high] - values[low]) * (place - low)

    return statistic


def _variance(values: Values) -> Decimal | None:
    if len(values) < 2:
        return None
    mean = _average(values)
    return sum(((value - mean) ** 2 for value in values), Decimal(0)) / (len(values) - 1)


def _deviation(values: Values) -> Decimal | None:
    variance = _variance(values)
    return None if variance is None else variance.sqrt()


# each takes the values in ascending order; None: too few values to say
STATISTICS: Mapping[str, Callable[[Values], Decimal | None]] = {
    "average": _average,
    "maximum": lambda values: values[-1],
    "minimum": lambda values: values[0],
    "count": lambda values: Decimal(len(values)),
    "median": _percentile(Decimal("0.5")),
    "std-dev": _deviation,
    "sum": lambda values: sum(values, Decimal(0)),
    "variance": _variance,
    "20-percent": _percentile(Decimal("0.2")),
    "80-percent": _percentile(Decimal("0.8")),
    "4-lower": _percentile(Decimal("0.25")),
    "4-upper": _percentile(Decimal("0.75")),
}
TOTAL = "total-count"
_WITHOUT_UNIT = ("count", TOTAL)
_SQUARED = ("variance",)


class _Code(NamedTuple):
    system: str | None
    code: str


class _Group(NamedTuple):
    """What was found under one code: the values, their unit, how many Observations there were."""

    values: list[Decimal]
    unit: Mapping[str, str]
    total: int
    sources: list[Stored]


async def stats(request: FhirRequest, service: Service) -> FhirResponse:
    """Return the statistics asked for, one Observation a code, in Parameters.

    `subject`, one `code` (or `coding`) and one `statistic` at least; `period` (or `start` and
    `end`), or `duration` in hours until now. Raises `InvalidParameter`, `NotSupported` for a
    statistic that is not computed and for values in several units.
    """
    only_on(request, service, *ON)
    inputs = read_inputs(request, "$stats", _NAMES)
    subject = _subject(inputs, request.base)
    codes = _codes(inputs)
    wanted = _statistics(inputs)
    period = _period(inputs, service)
    rows: list[dict[str, Any]] = []
    for code in codes:
        group = await _group(subject, code, period, service)
        shown = _observation(subject, code, group, wanted, period)
        rows.append({"name": "statistics", "resource": shown})
        if inputs.flag("include"):
            most = inputs.number("limit", len(group.sources) or 1, 20_000)
            rows += [
                {"name": "source", "resource": fhirjson.loads(stored.content)}
                for stored in group.sources[:most]
            ]
    return answer(200, {"resourceType": "Parameters", "parameter": rows})


def _subject(inputs: Inputs, base: str) -> Key:
    literal = parse_reference(inputs.text("subject"), base)
    if not literal.logical_id:
        raise InvalidParameter("$stats needs subject: a reference such as Patient/1")
    return Key(literal.resource_type, literal.logical_id)


def _codes(inputs: Inputs) -> list[_Code]:
    system = inputs.text("system") or None
    codes = [_Code(system, str(code)) for code in inputs.values("code")]
    for coding in inputs.values("coding"):
        if isinstance(coding, str):  # in a query: system|code
            before, bar, after = coding.rpartition("|")
            coding = {"system": before, "code": after} if bar else {"code": coding}
        code = coding.get("code") if isinstance(coding, dict) else None
        if not isinstance(code, str):
            raise InvalidParameter("$stats: coding is a Coding with a code")
        codes.append(_Code(coding.get("system"), code))
    if not codes or not all(code.code for code in codes):
        raise InvalidParameter("$stats needs a code or a coding")
    return list(dict.fromkeys(codes))


def _statistics(inputs: Inputs) -> list[str]:
    wanted = [name for value in inputs.values("statistic") for name in str(value).split(",")]
    if not wanted:
        raise InvalidParameter("$stats needs a statistic, such as average")
    for name in wanted:
        if name not in STATISTICS and name != TOTAL:
            known = ", ".join([*STATISTICS, TOTAL])
            raise NotSupported(f"$stats computes {known}, not {name[:40]!r}")
    return list(dict.fromkeys(wanted))


def _period(inputs: Inputs, service: Service) -> tuple[int | None, int | None]:
    """Return the bounds in microseconds, the end not within, None where there is none."""
    given = inputs.value("period")
    period = given if isinstance(given, dict) else {}
    start = period.get("start") or inputs.text("start")
    end = period.get("end") or inputs.text("end")
    if given is not None and not (isinstance(given, dict) and isinstance(start + end, str)):
        raise InvalidParameter("$stats: period is a Period")
    duration = inputs.value("duration")
    if duration is not None:
        if start or end:
            raise InvalidParameter("$stats takes duration or period, not both")
        now = microseconds(service.repository.clock())
        return now - _hours(duration), now
    return (
        date_interval(start, service.zone).start if start else None,
        date_interval(end, service.zone).end if end else None,
    )


def _hours(value: Any) -> int:
    try:
        hours = Decimal(str(value))
    except ArithmeticError:
        hours = Decimal(0)
    if isinstance(value, bool) or not hours.is_finite() or not 0 < hours < 10_000_000:
        raise InvalidParameter("$stats: duration is a number of hours above 0")
    return int(hours * 3600 * 1_000_000)


async def _group(
    subject: Key, code: _Code, period: tuple[int | None, int | None], service: Service
) -> _Group:
    known = service.parameters.of("Observation")
    plans: list[Plan] = [
        Has(known["subject"].index, "reference", (Is("/".join(subject)),)),
        Has(known["code"].index, "token", (Is(code.code, code.system),)),
    ]
    date = known["date"].index
    start, end = period
    if start is not None:
        plans.append(Has(date, "date", (Range(((Compare("low", ">=", start),),)),)))
    if end is not None:
        plans.append(Has(date, "date", (Range(((Compare("low", "<", end),),)),)))
    group = _Group([], {}, 0, [])
    total = 0
    query = Query(ON, And(tuple(plans)), (SortKey(date, "date"),))
    async for stored, observation in observations(query, service):
        if observation.get("status") in ("entered-in-error", "cancelled"):
            continue
        total += 1
        quantity = observation.get("valueQuantity", {})
        if "value" not in quantity or "comparator" in quantity:
            continue  # "<5" is no number to add
        unit = {name: quantity[name] for name in ("unit", "system", "code") if name in quantity}
        if group.values and _same_unit(unit) != _same_unit(group.unit):
            raise NotSupported("the values of one code are in several units")
        group = group._replace(unit=unit)
        group.values.append(Decimal(quantity["value"]))
        group.sources.append(stored)
    group.values.sort()
    return group._replace(total=total)


def _same_unit(unit: Mapping[str, str]) -> tuple[str, str]:
    return (unit.get("system", ""), unit.get("code") or unit.get("unit", ""))


def _observation(
    subject: Key,
    code: _Code,
    group: _Group,
    wanted: Sequence[str],
    period: tuple[int | None, int | None],
) -> Observation:
    coding = {"code": code.code} | ({"system": code.system} if code.system else {})
    shown: Observation = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [coding]},
        "subject": {"reference": "/".join(subject)},
    }
    if bounds := _shown_period(period):
        shown["effectivePeriod"] = bounds
    components = [_component(name, group) for name in wanted]
    shown["component"] = components
    return shown


def _shown_period(period: tuple[int | None, int | None]) -> dict[str, str]:
    bounds = {}
    for name, moment in zip(("start", "end"), period, strict=True):
        if moment is not None:
            last = timedelta(microseconds=0 if name == "start" else 1000)
            bounds[name] = instant(from_microseconds(moment) - last)
    return bounds


def _component(name: str, group: _Group) -> dict[str, Any]:
    component: dict[str, Any] = {"code": {"coding": [{"system": _SYSTEM, "code": name}]}}
    value = Decimal(group.total) if name == TOTAL else _computed(name, group.values)
    if value is None:
        unknown = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
        component["dataAbsentReason"] = {"coding": [{"system": unknown, "code": "not-applicable"}]}
        return component
    unit = {} if name in (*_WITHOUT_UNIT, *_SQUARED) else group.unit
    component["valueQuantity"] = {"value": value, **unit}
    return component


def _computed(name: str, values: Values) -> Decimal | None:
    if not values and name != "count":
        return None
    with localcontext(prec=50):
        value = STATISTICS[name](values)
    if value is None:
        return None
    with localcontext(prec=_DIGITS):
        return (+value).normalize() + 0 if value else Decimal(0)
