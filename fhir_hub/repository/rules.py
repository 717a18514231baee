"""What every write obeys: checks, extraction, clock, and what records must obey beyond content.

Spec: https://hl7.org/fhir/R4/http.html
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any, Protocol

from fhir_hub.clock import Clock, IdMaker
from fhir_hub.r4.checks.issues import Unknown
from fhir_hub.search.extract import Extractor
from fhir_hub.search.parameters import Parameters
from fhir_hub.search.plan import Plan
from fhir_hub.settings import References
from fhir_hub.settings.types import CHINA
from fhir_hub.store.base import Key

if TYPE_CHECKING:
    from fhir_hub.repository.unit import Unit

Resource = dict[str, Any]


class Conduct(Protocol):
    """What records of some `types` must obey beyond their own content: states, contracts, pools."""

    types: Collection[str]
    versioned: Collection[str]  # of these a client may have to say on which version he builds

    def complete(self, before: Resource | None, after: Resource, now: datetime) -> Resource:
        """Return `after` with what the house adds to it: the same if nothing. Pure."""

    def number_of(self, resource: Resource) -> Plan | None:
        """Return what finds a record by its number, of a type that has one for each; else None."""

    def require_version(self, current: Resource) -> None:
        """Raise a `FhirError` if who changes this record must say on which version he builds."""

    async def follow(self, unit: "Unit") -> None:
        """Hold all that is staged to the rules, and stage what follows from it.

        Raises `NotInThisState`, `RuleBroken`.
        """


@dataclass(frozen=True, slots=True)
class Rules:
    """What every write obeys: the checks, the extraction, the clock.

    `require` raises `InvalidResource` for a resource that must not be stored; it may pass over
    elements but those named, which R4 finds right, and says whether R4 finds those right too.
    `references` says what happens to a reference that points to nothing. With `parameters` a
    SearchParameter must be one that can work, and what is written is indexed by all there are.
    Where there is a `placeholder`, it makes what is missing (None where it cannot), given the key
    and the Reference.
    `zone` is where a day begins and ends. `subscription` says what a Subscription becomes, given
    the one before, and raises a `FhirError` if it cannot be done.
    """

    require: Callable[[Any, Unknown | None], bool]
    extractor: Extractor
    clock: Clock
    new_id: IdMaker
    references: References = "off"
    parameters: Parameters | None = None
    placeholder: Callable[[Key, Resource], Resource | None] | None = None
    conduct: Conduct | None = None
    zone: tzinfo = CHINA
    subscription: Callable[[Resource | None, Resource], Resource] | None = None
