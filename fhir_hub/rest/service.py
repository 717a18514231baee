"""What every interaction is given: the parts that `app.py` built, in one frozen record."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any, NamedTuple

from fhir_hub.errors import NotFound
from fhir_hub.nearest import did_you_mean
from fhir_hub.r4.checks.run import Checks
from fhir_hub.r4.checks.site_rules import SiteRules
from fhir_hub.r4.definitions import Definitions
from fhir_hub.r4.packages import Packages
from fhir_hub.r4.terminology.engine import Terminology
from fhir_hub.repository.repository import Repository
from fhir_hub.repository.stored_terminology import SearchTerms, StoredTerminology
from fhir_hub.rest.message import FhirRequest, FhirResponse, Pairs
from fhir_hub.search.parameters import Parameters
from fhir_hub.settings.care import PoolSettings
from fhir_hub.store.base import Stored


class Operation(NamedTuple):
    """An operation: its name with `$`, its definition, the types it is of (none: of all).

    `definition` is a canonical, or `OperationDefinition/[id]` of one of ours. `is_of_system`,
    `is_of_type` and `is_of_instance` say at which levels it is answered, `affects_state` whether
    it writes resources.
    """

    name: str
    definition: str
    resource_types: tuple[str, ...]
    is_of_system: bool
    is_of_type: bool
    is_of_instance: bool
    affects_state: bool


@dataclass(frozen=True, slots=True)
class Service:
    """The parts of the REST API. `zone` is that of times without an offset.

    `reminders` are the site's own windows of `$remind`, in days.

    `dispatch`, `interactions` and `operations` are those of `routes.py`, so that a
    bundle can ask for any interaction and the CapabilityStatement can name them without importing
    the table. `shown` is told which Tasks a search showed. `organization` runs the hub, as an
    Organization.
    """

    repository: Repository
    definitions: Definitions
    checks: Checks
    site_rules: SiteRules
    parameters: Parameters
    terminology: Terminology
    stored_terminology: StoredTerminology
    zone: tzinfo
    dispatch: Callable[[FhirRequest, "Service"], Awaitable[FhirResponse]]
    interactions: tuple[str, ...]
    operations: tuple[Operation, ...]
    started: datetime
    version: str
    aliases: Mapping[str, str] = field(default_factory=dict)
    page_size: int = 20
    max_page_size: int = 1000
    expansion_limit: int = 1000
    reminders: Mapping[str, int] = field(default_factory=dict)
    profiles: Packages = field(default_factory=Packages)
    shown: Callable[[Pairs, Sequence[Stored]], Awaitable[None]] | None = None
    pools: Mapping[str, PoolSettings] = field(default_factory=dict)
    organization: dict[str, Any] | None = None

    def terms(self, base: str) -> SearchTerms:
        """Return what knows the codes that a search means; `base` is the server's own address."""
        return SearchTerms(self.terminology, self.stored_terminology, base)

    def known_type(self, name: str) -> str:
        """Return `name` if it is a resource type of R4; raises `NotFound` with the nearest."""
        known = self.definitions.resource_types
        if name not in known:
            near = did_you_mean(name, known, "see /metadata", most=1)
            raise NotFound(
                f"the address names no resource type of R4 (they are case-sensitive){near}"
            )
        return name
