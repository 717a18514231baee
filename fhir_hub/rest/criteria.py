"""The criteria of a conditional interaction, as a plan.

Criteria that say nothing, or that say something unknown, would touch the wrong resources: they
are always read strictly.

Spec: https://hl7.org/fhir/R4/http.html#ccreate
"""

from urllib.parse import urlencode

from fhir_hub.errors import InvalidParameter
from fhir_hub.rest.message import FhirRequest
from fhir_hub.rest.service import Service
from fhir_hub.search.parse import criteria_plan
from fhir_hub.search.plan import Plan


def criteria(resource_type: str, query: str, base: str, service: Service) -> Plan:
    """Return what `query` (`identifier=system|value`, with or without `Type?`) asks for.

    Raises `UnknownParameter`, `InvalidParameter`.
    """
    text = query.removeprefix(f"{resource_type}?").removeprefix("?")
    return criteria_plan(
        resource_type,
        text,
        parameters=service.parameters,
        zone=service.zone,
        base=base,
        aliases=service.aliases,
        terms=service.terms(base),
    )


def if_none_exist(request: FhirRequest) -> str:
    """Return the criteria of `If-None-Exist`, `""` without one; raises `InvalidParameter`.

    An empty one is a client's lost criteria: to create all the same would make a second resource.
    """
    said = request.headers.get("if-none-exist")
    if said is not None and not said.strip():
        raise InvalidParameter("If-None-Exist needs criteria, as in identifier=system|value")
    return said or ""


def query_text(request: FhirRequest) -> str:
    """Return the criteria in the address; raises `InvalidParameter` if there are none."""
    if not request.query:
        raise InvalidParameter(
            "a conditional interaction needs criteria, as in ?identifier=system|value"
        )
    return urlencode(request.query)
