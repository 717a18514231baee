"""`Observation/$lastn`: the latest Observations of each kind, the newest first.

Two Observations are of one kind if their codes share a coding, directly or through others:
a hospital's own code and LOINC beside each other tie the two together.

Spec: https://hl7.org/fhir/R4/observation-operation-lastn.html
"""

from typing import NamedTuple

from fhir_hub.errors import InvalidParameter
from fhir_hub.repository.links import Included
from fhir_hub.rest.message import FhirRequest, FhirResponse
from fhir_hub.rest.operations.inputs import only_on, read_inputs
from fhir_hub.rest.operations.observations import concepts, observations
from fhir_hub.rest.search import searchset
from fhir_hub.rest.service import Service
from fhir_hub.search.parse import parse_search
from fhir_hub.search.plan import Query, SortKey
from fhir_hub.store.base import Page, Stored

ON = ("Observation",)
_PATIENTS = ("patient", "subject")
_KINDS = ("category", "code", "combo-code")
_OWN = "max"

Concept = tuple[str, str]


async def lastn(request: FhirRequest, service: Service) -> FhirResponse:
    """Return the last `max` (1 if not said) Observations of each kind as a searchset.

    Of several with the same time as the last one all are returned. Raises `InvalidParameter`
    without a patient or subject, and a category or code: it would mean everything.
    """
    only_on(request, service, *ON)
    inputs = read_inputs(request, "$lastn", ())
    most = inputs.number(_OWN, 1, 1000)
    pairs = [pair for pair in inputs.query() if pair[0] != _OWN]
    codes = {name.partition(":")[0].partition(".")[0] for name, _ in pairs}
    if codes.isdisjoint(_PATIENTS) or codes.isdisjoint(_KINDS):
        raise InvalidParameter("$lastn needs patient or subject, and category or code")
    if not codes.isdisjoint(("_sort", "_count", "_total")):
        raise InvalidParameter("$lastn sorts by date, newest first, and answers in one page")
    if any(":" in name for name, _ in pairs):
        await service.stored_terminology.refresh()
    asked = parse_search(
        ON,
        pairs,
        parameters=service.parameters,
        zone=service.zone,
        base=request.base,
        aliases=service.aliases,
        terms=service.terms(request.base),
    )
    by_date = service.parameters.of("Observation")["date"]
    latest_first = (SortKey(by_date.index, "date", descending=True),)
    query = Query(ON, asked.query.plan, latest_first)
    everyone = [
        _Seen(stored, concepts(observation), str(observation.get("effectiveDateTime", "")))
        async for stored, observation in observations(query, service)
    ]
    found = [seen.stored for kind in _kinds(everyone) for seen in _last(kind, most)]
    page = Page(found, total=len(found))
    path = "/".join(request.path)
    return FhirResponse(200, searchset(request.base, path, asked, page, Included([]), service))


class _Seen(NamedTuple):
    """An Observation that matches, its codings, its time as written."""

    stored: Stored
    codes: frozenset[Concept]
    moment: str


def _kinds(everyone: list[_Seen]) -> list[list[_Seen]]:
    """Return the Observations by kind, each in the order given."""
    leads: dict[Concept, Concept] = {}

    def lead(code: Concept) -> Concept:
        while leads.setdefault(code, code) != code:
            code = leads[code]
        return code

    for seen in everyone:
        first, *others = sorted(seen.codes)
        for code in others:
            leads[lead(code)] = lead(first)
    kinds: dict[Concept, list[_Seen]] = {}
    for seen in everyone:
        kinds.setdefault(lead(min(seen.codes)), []).append(seen)
    return list(kinds.values())


def _last(kind: list[_Seen], most: int) -> list[_Seen]:
    """Return the first `most`, and what has the same time as the last of them."""
    moment = kind[min(most, len(kind)) - 1].moment
    return kind[:most] + [seen for seen in kind[most:] if seen.moment == moment != ""]
