"""The parts of the REST API, put together once: `app.py` has the rest of the hub.

Spec: https://hl7.org/fhir/R4/http.html
"""

from typing import Any

from fhir_hub import __version__
from fhir_hub.identity.systems import ALIASES
from fhir_hub.r4.checks.run import Checks
from fhir_hub.r4.checks.site_rules import SiteRules
from fhir_hub.r4.packages import Packages
from fhir_hub.r4.terminology.engine import Terminology
from fhir_hub.referral.delivery import Delivery
from fhir_hub.repository.repository import Repository
from fhir_hub.repository.stored_terminology import StoredTerminology
from fhir_hub.rest import routes
from fhir_hub.rest.service import Service
from fhir_hub.search.parameters import Parameters
from fhir_hub.settings import Settings


def service_of(
    settings: Settings,
    definers: tuple[Packages, Terminology, StoredTerminology],
    checks: Checks,
    site_rules: SiteRules,
    parameters: Parameters,
    repository: Repository,
    organization: dict[str, Any] | None,
) -> Service:
    """Return the parts of the REST API; `organization` runs the hub."""
    profiles, terminology, stored = definers
    return Service(
        repository=repository,
        definitions=parameters.definitions,
        checks=checks,
        site_rules=site_rules,
        parameters=parameters,
        terminology=terminology,
        stored_terminology=stored,
        zone=settings.zone,
        dispatch=routes.dispatch,
        interactions=routes.INTERACTIONS,
        operations=routes.OPERATIONS,
        started=repository.clock(),
        version=__version__,
        aliases=ALIASES,
        page_size=settings.page_size,
        max_page_size=settings.max_page_size,
        expansion_limit=settings.expansion_limit,
        reminders=settings.reminders,
        profiles=profiles,
        pools=settings.pools,
        organization=organization,
        shown=Delivery(repository, settings.referral).shown,
    )
