"""Whether the resident agreed that the institution that is asked sees the data of the referral.

A referral names its Consent (`supportingInfo`, by reference or by number), or the resident has
given one that covers it: it permits, is active, within its period, and names nobody or the
institution or the contract that it belongs to.

Spec: DOMAIN 2.2, 2.5a, 2.5b; https://hl7.org/fhir/R4/consent.html
"""

from fhir_hub.errors import FhirError, Issue, NotAllowed
from fhir_hub.referral.contracts import contract_on, overlaps
from fhir_hub.referral.finding import find, read
from fhir_hub.referral.institutions import institution_of, resource_at
from fhir_hub.referral.reading import at, each, key_of
from fhir_hub.referral.routes import recipient_of
from fhir_hub.repository.unit import Resource, Unit
from fhir_hub.search.plan import Is
from fhir_hub.store.base import Key

_NUMBER = "consent"


async def no_consent(
    unit: Unit, task: Resource, order: Resource, patient: Key | None
) -> FhirError | None:
    """Return that the resident has not agreed, None if he has."""
    named = [await resource_at(unit, key_of(one)) for one in each(order, "supportingInfo")]
    consents = [one for one in named if one is not None and one["resourceType"] == "Consent"]
    for number in _numbers(order):
        found = await find(unit, "Consent", identifier=Is(number))
        if not found:
            return None  # it is kept elsewhere
        consents += map(read, found)
    if patient is not None:
        consents += map(read, await find(unit, "Consent", patient=patient, status="active"))
    asked = await _asked(unit, task, patient)
    denied = [one for one in consents if at(one, "provision", "type") == "deny"]
    is_denied = any(_is_live(unit, one, patient) and asked & _actors(one) for one in denied)
    if not is_denied and any(_covers(unit, one, patient, asked) for one in consents):
        return None
    text = "the resident has not agreed that this institution sees the data"
    chinese = "缺少居民对转入机构的有效知情同意，不能共享"
    issue = Issue("suppressed", text, "ServiceRequest.supportingInfo", chinese=chinese)
    return NotAllowed(text, issue)


def _numbers(order: Resource) -> list[str]:
    """Return the numbers of consents that an order names."""
    found = (str(at(one, "identifier", "value") or "") for one in each(order, "supportingInfo"))
    return [number for number in found if number.lower().startswith(_NUMBER)]


async def _asked(unit: Unit, task: Resource, patient: Key | None) -> set[Key]:
    """Return whom a consent may name for the one who is asked to be among them."""
    found = {key_of(recipient_of(task)), await institution_of(unit, recipient_of(task))}
    if patient is not None:
        contract = await contract_on(unit, patient, unit.today)
        if contract is not None:
            found.add(Key("CareTeam", contract["id"]))
    return {key for key in found if key is not None}


def _covers(unit: Unit, consent: Resource, patient: Key | None, asked: set[Key]) -> bool:
    if at(consent, "provision", "type") == "deny" or not _is_live(unit, consent, patient):
        return False
    actors = _actors(consent)
    return not actors or bool(actors & asked)


def _is_live(unit: Unit, consent: Resource, patient: Key | None) -> bool:
    period = {"period": at(consent, "provision", "period")}
    is_his = patient is None or key_of(consent.get("patient")) in (patient, None)
    return consent.get("status") == "active" and is_his and overlaps(period, unit.today, unit.today)


def _actors(consent: Resource) -> set[Key]:
    found = (key_of(one.get("reference")) for one in each(consent, "provision", "actor"))
    return {key for key in found if key is not None}
