"""What of an Observation stands in one OBX, and what in others of its own.

Two pressures are one text (`148/92`), components that only repeat the Observation's code are
repetitions of OBX-5. Every other component is a result of its own behind it, under its own code:
OBX-4 tells them apart, and is the same each time. The members of a panel follow it too.

Spec: HL7v2 chapter 7, OBX; https://hl7.org/fhir/R4/observation.html#obsgrouping
"""

from collections.abc import Iterable
from dataclasses import replace
from itertools import chain
from typing import Any

from fhir_hub.hl7v2.calls.related import SUB_ID, SUB_ID_PARTS
from fhir_hub.hl7v2.datatypes.observed import DIASTOLIC, SYSTOLIC, read_pressure
from fhir_hub.hl7v2.emit import write_quantities
from fhir_hub.hl7v2.emit.outbound import Outbound, no_issue
from fhir_hub.hl7v2.emit.resources import Resources
from fhir_hub.hl7v2.emit.written import Written

Json = dict[str, Any]
_SHARED = ("status", "category", "subject", "performer", "device", "issued")
_REPEATED = frozenset({"NM", "SN", "CE", "CWE", "TS", "DTM", "TM", "DR"})
_LONGEST_CODE = 14  # OBX-4 has 20 characters
_DEEP = 3


def with_members(found: Iterable[Json], resources: Resources) -> list[Json]:
    """Return Observations, each once, with the members of the panels among them behind these."""
    told: dict[int, Json] = {}

    def take(observation: Json, depth: int) -> None:
        if id(observation) in told:
            return
        told[id(observation)] = observation
        for member in resources.resolved(observation.get("hasMember", [])):
            if depth and member["resourceType"] == "Observation":
                take(member, depth - 1)

    for one in found:
        take(one, _DEEP)
    return list(told.values())


def apart(observation: Json, out: Outbound) -> tuple[Json, list[tuple[str, Json]]]:
    """Return what of an Observation its own OBX says, and its other components, with their OBX-4.

    Each of these is an Observation, with the state, time and makers of the whole.
    """
    observation = _timed(observation, out)
    components = observation.get("component", [])
    if not components or repeats(observation, out):
        return observation, []
    pair = [one for one in components if _codes(one) & {SYSTOLIC, DIASTOLIC}]
    if pressure_text(pair) is None:
        pair = []
    own = {name: value for name, value in observation.items() if name != "component"}
    shared = {
        name: value
        for name, value in own.items()
        if name in _SHARED or name.startswith("effective")
    }
    code = next(iter(sorted(_codes(observation))), "")[:_LONGEST_CODE]
    others = (one for one in components if all(one is not held for held in pair))
    parts = [
        (f"{code}.{at}", {"resourceType": "Observation", **shared, **one})
        for at, one in enumerate(others, start=1)
    ]
    return own | ({"component": pair} if pair else {}), parts


def _timed(observation: Json, out: Outbound) -> Json:
    """Return an Observation with the moment that OBX-14 is: of a Period its start."""
    period = observation.get("effectivePeriod", {})
    moment = observation.get("effectiveInstant") or period.get("start")
    if not moment:
        return observation
    if period.get("end", moment) != moment:
        out.issue("OBX-14 is a moment: the end of a result's period was left out")
    kept = {name: one for name, one in observation.items() if not name.startswith("effective")}
    return kept | {"effectiveDateTime": moment}


def sub_id(observation: Json) -> dict[str, Written]:
    """Return OBX-4 of an Observation that says with which it belongs together."""
    told = [one for one in observation.get("extension", ()) if one.get("url") == SUB_ID]
    parts = {
        part.get("url"): next((str(v) for name, v in part.items() if name != "url"), "")
        for part in (told[0].get("extension", ()) if told else ())
    }
    written: Written = [parts.get(name, "") for name in SUB_ID_PARTS]
    while written and not written[-1]:
        written.pop()
    return {"OBX-4": written} if written else {}


def repeats(observation: Json, out: Outbound) -> bool:
    """Say whether all components are mere values of the Observation's own code, of one type.

    What is usual is the same for all, or said of none: OBX-7 is of all repetitions.
    """
    components = observation.get("component", [])
    if any(name.startswith("value") for name in observation) or len(components) < 2:
        return False
    kinds: set[Any] = set()
    values: list[Any] = []
    for one in components:
        names = [name for name in one if name not in ("id", "code", "referenceRange")]
        if one.get("code") != observation.get("code") or len(names) != 1:
            return False
        if one.get("referenceRange") != components[0].get("referenceRange"):
            return False
        seen = _observed(names[0], one[names[0]], out)
        if seen is None or seen.kind not in _REPEATED or seen.value in values:
            return False
        values.append(seen.value)
        kinds.add((seen.kind, str(seen.unit)))
    return len(kinds) == 1


def _observed(name: str, value: Any, out: Outbound) -> write_quantities.Observed | None:
    kind = name.removeprefix("value")
    if kind == name:
        return None
    return write_quantities.observed(kind, value, replace(out, issue=no_issue))


def pressure_text(components: list[Json]) -> tuple[str, str] | None:
    """Return OBX-5 and OBX-7 of two components that are the parts of a blood pressure.

    None for others, and where the two texts cannot say all that there is.
    """
    by_code = {code: one for one in components for code in _codes(one)}
    both = [by_code.get(code, {}) for code in (SYSTOLIC, DIASTOLIC)]
    if len(components) != 2 or any(one.keys() - _SAID for one in both):
        return None
    amounts = [one.get("valueQuantity", {}) for one in both]
    if not _alike(amounts):
        return None
    text = "/".join(str(one.get("value", "")) for one in amounts)
    if read_pressure(text) is None:
        return None
    bounds = _ranges(both, amounts[0])
    return None if bounds is None else (text, bounds)


_SAID = {"id", "code", "valueQuantity", "referenceRange"}


def _alike(amounts: list[Json]) -> bool:
    """Say whether two Quantities differ in their number alone, which a text can say."""
    first, second = ({**one, "value": ""} for one in amounts)
    return first == second and "comparator" not in first


def _ranges(both: list[Json], amount: Json) -> str | None:
    held = [one.get("referenceRange", []) for one in both]
    if held == [[], []]:
        return ""
    if any(len(one) != 1 for one in held):
        return None
    first, second = (one[0] for one in held)
    ends = chain(first.values(), second.values())
    if first.keys() != second.keys() or first.keys() - {"low", "high"}:
        return None
    if not all(_alike([one, amount]) for one in ends):
        return None
    texts = {end: f"{first[end]['value']}/{second[end]['value']}" for end in first}
    if len(texts) == 2:
        return f"{texts['low']}-{texts['high']}"
    return f">={texts['low']}" if "low" in texts else f"<={texts['high']}"


def _codes(part: Json) -> set[str]:
    return {str(one.get("code", "")) for one in part.get("code", {}).get("coding", ())} - {""}
