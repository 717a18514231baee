"""Which of a person's allergies, covers, relatives and diagnoses are told: those that are so.

NK1, AL1 and IN1 cannot say that something is over; DG1 can since 2.5. They are lists of what
there is, so what has ended, was refuted or entered in error is not in them, and a fact that two
records tell stands in them once. Where all that there was is over, one segment of `""` says that
there are none: a list that is not there would say nothing. Who is told of each change is told so
once: later on it would take away what he knows himself.

Spec: HL7v2 chapter 2, 2.10.4 (snapshot mode); chapter 3, AL1; chapter 6, IN1
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from fhir_hub.clock import instant
from fhir_hub.hl7v2.emit.outbound import Outbound
from fhir_hub.hl7v2.emit.resources import numbers
from fhir_hub.hl7v2.emit.shapes import NOTHING
from fhir_hub.hl7v2.emit.spots import Spot
from fhir_hub.hl7v2.emit.written import Written
from fhir_hub.hl7v2.meaning.teller import microseconds_of
from fhir_hub.hl7v2.parsing.structure import fields
from fhir_hub.hl7v2.storing.alike import newest_of_each
from fhir_hub.identity import systems

Json = dict[str, Any]
_OVER = {
    "verificationStatus": ("entered-in-error", "refuted"),
    "clinicalStatus": ("inactive", "resolved"),
}
_ACTION = 21  # DG1, since 2.5; beside it, DG1-20, is the number
_NOTHING: Mapping[str, Written] = MappingProxyType({})
_NO_COVER = ("cancelled", "entered-in-error", "draft")


def in_force(found: list[Json]) -> list[Json]:
    """Return those that are so, of resources of one type, each fact once.

    >>> in_force([{"resourceType": "Coverage", "status": "cancelled"}])
    []
    """
    return newest_of_each(one for one in found if not _is_over(one))


def listed(found: list[Json], segment: str, group: str, out: Outbound) -> Iterator[Spot]:
    """Return the segments of those that are so; if all are over one that says so."""
    told = in_force(found)
    for one in told if segment != "AL1" else _with_substance(told, out):
        yield Spot(segment, group, {one["resourceType"]: one})
    if found and not told and any(_is_news(one, out) for one in found):
        yield none_of(segment, group, out)


def _is_news(one: Json, out: Outbound) -> bool:
    """Say whether a record ended by what is told now, or nobody told it to the receiver."""
    at = microseconds_of(str(one.get("meta", {}).get("lastUpdated", "")))
    return not out.is_kept_told or not at or at >= microseconds_of(instant(out.moment))


def none_of(segment: str, group: str, out: Outbound) -> Spot:
    """Return the one segment that says that there are none: `""` in all fields of the version."""
    shapes = fields(segment, out.version)
    numbers = (at for at, shape in enumerate(shapes, start=1) if at > 1 and shape.most != 0)
    fixed: dict[str, Written] = {f"{segment}-{at}": NOTHING for at in numbers}
    return Spot(segment, group, {}, fixed)


def _with_substance(allergies: list[Json], out: Outbound) -> Iterator[Json]:
    """Return allergies of which is known to what: AL1-3 is demanded; a reaction may tell it."""
    for one in allergies:
        reacted = (reaction.get("substance") for reaction in one.get("reaction", ()))
        codes = (code for code in (one.get("code"), *reacted) if code and _says(code))
        if (code := next(codes, None)) is None:
            out.issue("an allergy to what is not known is not told: AL1-3 is demanded")
            continue
        yield one | {"code": code}


def _says(code: Json) -> bool:
    return bool(code.get("text")) or any(
        one.get("code") or one.get("display") for one in code.get("coding", ())
    )


def diagnosed(found: list[Json], out: Outbound) -> Iterator[Spot]:
    """Return the segments of a visit's diagnoses: those that are so, and which are so no more.

    What was an error is deleted (DG1-21), where the version has that; what else left the list is
    not in it. Where the list is empty now one segment says so.
    """
    told = [one for one in found if not _is_wrong(one)]
    gone = [one for one in found if _is_wrong(one) and _was_told(one, out)]
    for one in told:
        yield diagnosis(one, out)
    if len(fields("DG1", out.version)) >= _ACTION and any(map(_is_error, gone)):
        for one in gone:
            yield diagnosis(one, out, {f"DG1-{_ACTION}": ["D"]})
    elif gone and not told:
        yield none_of("DG1", "", out)


def diagnosis(
    one: Json,
    out: Outbound,
    fixed: Mapping[str, Written] = _NOTHING,
    *,
    is_contained: bool = False,
) -> Spot:
    """Return DG1 of a Condition; by its number, or its id in the hub, it is known again.

    What `is_contained` in another resource has no id in the hub.
    """
    if len(fields("DG1", out.version)) >= _ACTION and not is_contained:
        one = _numbered(one)
    tells = tuple(_OVER) if fixed else ()
    return Spot("DG1", "", {"Condition": one}, fixed, tells=tells)


def _numbered(one: Json) -> Json:
    """Return a Condition with its id in the hub where it has no number."""
    if any(number.get("value") for number in numbers(one)) or "id" not in one:
        return one
    own = {"system": systems.authority_system("FHIRHUB"), "value": one["id"]}
    return one | {"identifier": [own]}


def _was_told(one: Json, out: Outbound) -> bool:
    """Say whether what is told now ended a record that the receiver may know."""
    meta = one.get("meta", {})
    at = microseconds_of(str(meta.get("lastUpdated", "")))
    is_news = not at or at >= microseconds_of(instant(out.moment))
    return is_news and meta.get("versionId") != "1"


def _is_error(one: Json) -> bool:
    return not _codes(one, "verificationStatus").isdisjoint(_OVER["verificationStatus"])


def _is_wrong(diagnosis: Json) -> bool:
    """Say whether a Condition was refuted, entered in error, or listed no more by who told it."""
    return _is_error(diagnosis) or "inactive" in _codes(diagnosis, "clinicalStatus")


def _is_over(one: Json) -> bool:
    kind = one["resourceType"]
    if kind == "AllergyIntolerance":
        return any(_codes(one, element) & set(codes) for element, codes in _OVER.items())
    if kind == "Coverage":
        return one.get("status") in _NO_COVER
    return one.get("active") is False


def _codes(one: Json, element: str) -> set[str]:
    return {coding.get("code", "") for coding in one.get(element, {}).get("coding", ())}
