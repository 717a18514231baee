"""`Patient/$match`: which stored Patients a given one may be, each with a score and a grade.

This one is deterministic: a valid resident ID or the same number of the same issuer is certain;
name, birth date and a phone together are probable; two of them are possible. A name alone never
matches, and neither does one who holds another valid resident ID.

Spec: https://hl7.org/fhir/R4/patient-operation-match.html
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from fhir_hub import fhirjson
from fhir_hub.errors import InvalidParameter
from fhir_hub.identity.match import numbers, plan_of, same_person
from fhir_hub.rest.links import full_url
from fhir_hub.rest.message import FhirRequest, FhirResponse, answer
from fhir_hub.rest.operations.inputs import only_on, read_inputs
from fhir_hub.rest.service import Service
from fhir_hub.search.condition import Conditions
from fhir_hub.search.context import Context
from fhir_hub.search.plan import And, Plan, Query
from fhir_hub.store.base import Stored

ON = ("Patient",)
_NAMES = ("resource", "onlyCertainMatches", "count")
_GRADE = "http://hl7.org/fhir/StructureDefinition/match-grade"
_AT_MOST = 100

Patient = dict[str, Any]


class Grade(NamedTuple):
    """How sure: the score from 0 to 1, and its name in R4."""

    score: Decimal
    name: str


CERTAIN = Grade(Decimal("1.0"), "certain")
PROBABLE = Grade(Decimal("0.8"), "probable")
POSSIBLE = Grade(Decimal("0.5"), "possible")


async def match(request: FhirRequest, service: Service) -> FhirResponse:
    """Return a searchset of the Patients that may be the one given, the surest first.

    `onlyCertainMatches` leaves out the rest, `count` limits. Raises `InvalidParameter`,
    `InvalidResource`.
    """
    only_on(request, service, *ON)
    inputs = read_inputs(request, "$match", _NAMES, bare="resource")
    wanted = inputs.resource("resource")
    if wanted is None or wanted.get("resourceType") != "Patient":
        raise InvalidParameter("$match needs a Patient: as the body, or as resource in Parameters")
    service.checks.require(wanted)
    found = await _graded(wanted, request, service)
    if inputs.flag("onlyCertainMatches"):
        found = [row for row in found if row[1] == CERTAIN]
    found = found[: inputs.number("count", _AT_MOST, _AT_MOST)]
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset", "total": len(found)}
    if found:
        bundle["entry"] = [_entry(request.base, *row) for row in found]
    return answer(200, bundle)


async def _graded(
    wanted: Patient, request: FhirRequest, service: Service
) -> list[tuple[Stored, Grade]]:
    """Return the candidates that match, the surest first."""
    candidates: dict[str, Stored] = {}
    plans = [
        plan_of(numbers(wanted.get("identifier", ()))),
        *_described(wanted, request, service),
    ]
    for plan in plans:
        page = await service.repository.store.search(Query(ON, plan, count=_AT_MOST))
        candidates |= {stored.logical_id: stored for stored in page.matches}
    found = []
    for stored in candidates.values():
        grade = _grade(wanted, fhirjson.loads(stored.content))
        if grade is not None:
            found.append((stored, grade))
    return sorted(found, key=lambda row: (-row[1].score, row[0].logical_id))


def _described(wanted: Patient, request: FhirRequest, service: Service) -> Iterable[Plan]:
    """Yield what finds people by two of name, birth date and phone."""
    context = Context(service.zone, service.aliases, request.base)
    conditions = Conditions(service.parameters, context)
    known: list[list[Plan]] = []
    for code, values in (
        ("name", [text.strip() for text in _first_parts(wanted)]),
        ("birthdate", [wanted.get("birthDate")]),
        ("phone", _phones(wanted)),
    ):
        texts = sorted({value for value in values if isinstance(value, str) and value})[:5]
        known.append([conditions.plan("Patient", code, _literal(text)) for text in texts])
    for place, first in enumerate(known):
        for second in known[place + 1 :]:
            yield from (And((one, other)) for one in first for other in second)


def _first_parts(wanted: Patient) -> list[str]:
    """Return what a stored name may begin with: the texts and the family names."""
    names = wanted.get("name", ())
    return [name.get(part, "") for name in names for part in ("text", "family")]


def _literal(text: str) -> str:
    """Return the text as a value of a query that means just it."""
    for sign in "\\,|$":
        text = text.replace(sign, f"\\{sign}")
    return text


def _grade(wanted: Patient, candidate: Patient) -> Grade | None:
    """Return how surely both are one person, None if they are not."""
    if not same_person(wanted, candidate):
        return None
    held = frozenset(numbers(candidate.get("identifier", ())))
    if held.intersection(numbers(wanted.get("identifier", ()))):
        return CERTAIN
    same = [
        not set(_names(wanted)).isdisjoint(_names(candidate)),
        bool(wanted.get("birthDate")) and wanted.get("birthDate") == candidate.get("birthDate"),
        not set(_phones(wanted)).isdisjoint(_phones(candidate)),
    ]
    if wanted.get("gender", candidate.get("gender")) != candidate.get(
        "gender", wanted.get("gender")
    ):
        return POSSIBLE if all(same) else None
    return PROBABLE if all(same) else POSSIBLE if sum(same) > 1 else None


def _names(patient: Patient) -> list[str]:
    """Return the names as one text each: as written, and as family and given name make it."""
    return ["".join(text.split()).casefold() for text in _spelled(patient) if text.strip()]


def _spelled(patient: Patient) -> list[str]:
    found = []
    for name in patient.get("name", ()):
        given = [part for part in name.get("given", ()) if part]
        found += [name.get("text", ""), " ".join([name.get("family", ""), *given])]
    return found


def _phones(patient: Patient) -> list[str]:
    found = []
    for telecom in patient.get("telecom", ()):
        value = telecom.get("value")
        if telecom.get("system") in ("phone", "sms") and isinstance(value, str):
            digits = "".join(sign for sign in value if sign.isdigit())
            found.append(digits.removeprefix("0086").removeprefix("86"))
    return [digits for digits in found if len(digits) > 6]


def _entry(base: str, stored: Stored, grade: Grade) -> dict[str, Any]:
    extension = {"url": _GRADE, "valueCode": grade.name}
    return {
        "fullUrl": full_url(base, stored.resource_type, stored.logical_id),
        "resource": msgspec.Raw(stored.content),
        "search": {"extension": [extension], "mode": "match", "score": grade.score},
    }
