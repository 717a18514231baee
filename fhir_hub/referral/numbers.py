"""The number of a referral: who sends one twice under it gets the first, and makes no second.

Spec: DOMAIN 2.5b (duplicate submission)
"""

from fhir_hub.referral.finding import plan_for
from fhir_hub.referral.reading import codings, each
from fhir_hub.referral.states import is_referral
from fhir_hub.referral.tasks import is_referral_order
from fhir_hub.repository.unit import Resource
from fhir_hub.search.plan import Is, Plan

_FILLER = "FILL"


def number_of(resource: Resource) -> Plan | None:
    """Return the plan of what has the sender's number of a referral's order or Task, else None."""
    kind = resource.get("resourceType")
    if kind == "Task":
        is_one = is_referral(resource)
    else:
        is_one = kind == "ServiceRequest" and is_referral_order(resource)
    if not is_one:
        return None
    for one in each(resource, "identifier"):
        system, value = one.get("system"), one.get("value")
        is_filler = any(code == _FILLER for _, code in codings(one.get("type")))
        if isinstance(system, str) and isinstance(value, str) and not is_filler:
            return plan_for(str(kind), identifier=Is(value, system))
    return None
