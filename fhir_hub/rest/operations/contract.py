"""`CareTeam/[id]/$renew` and `$transfer`: a contract goes on, or another one takes its place.

Both make a new contract and end the old one the day before it begins, in one write: there is no
day without a contract and none with two. Plain requests do the same.

Spec: DOMAIN 1.3 S2; https://hl7.org/fhir/R4/careteam.html
"""

from datetime import date, timedelta

from fhir_hub import fhirjson
from fhir_hub.errors import InvalidParameter, NotFound, NotInThisState, RuleBroken
from fhir_hub.referral.contracts import is_contract, period_of
from fhir_hub.referral.reading import key_of
from fhir_hub.repository.unit import Resource, Unit
from fhir_hub.rest.message import FhirRequest, FhirResponse, answer
from fhir_hub.rest.operations.inputs import only_on, read_inputs
from fhir_hub.rest.service import Service
from fhir_hub.store.base import Key

ON = ("CareTeam",)


async def renew(request: FhirRequest, service: Service) -> FhirResponse:
    """Create the contract that follows one on the day after its end, with the same parts: 201.

    `end` is its last day, without it the term is as long as before; `number` is its number.
    Raises `NotFound`, `InvalidParameter`, `RuleBroken`, `NotInThisState` for one that was ended.
    """
    only_on(request, service, *ON)
    inputs = read_inputs(request, "$renew", ("end", "number"))
    end, number = inputs.text("end"), inputs.text("number")

    async def work(unit: Unit) -> Resource:
        old = await _contract(unit, request)
        first, last = period_of(old)
        if last == date.max:
            raise RuleBroken("a contract without an end goes on by itself", expression="end")
        start = last + timedelta(days=1)
        until = _day(end) if end else start + (last - first)
        kept = {name: value for name, value in old.items() if name not in _NOT_RENEWED}
        period = {"start": start.isoformat(), "end": until.isoformat()}
        new = kept | {"status": "active", "period": period}
        if number:
            system = next((one.get("system") for one in old.get("identifier", ())), None)
            new["identifier"] = [({"system": system} if system else {}) | {"value": number}]
        return await _created(unit, new)

    return answer(201, await service.repository.commit(work))


async def transfer(request: FhirRequest, service: Service) -> FhirResponse:
    """Create the given `contract` of the same resident, and end this one the day before: 201.

    Raises `NotFound`, `InvalidParameter`, `RuleBroken`, `NotInThisState` for one that was ended.
    """
    only_on(request, service, *ON)
    inputs = read_inputs(request, "$transfer", ("contract",), bare="contract")
    new = inputs.resource("contract")
    if new is None or not is_contract(new):
        raise InvalidParameter("$transfer needs contract: the new 1+1+1 contract, a CareTeam")
    service.checks.require(new)
    start = period_of(new)[0]

    async def work(unit: Unit) -> Resource:
        old = await _contract(unit, request)
        if key_of(old.get("subject")) != key_of(new.get("subject")):
            raise RuleBroken("both contracts are of one resident", expression="CareTeam.subject")
        first, last = period_of(old)
        if not first < start <= last:
            text = "the new contract begins within the term of the old one"
            raise RuleBroken(text, expression="CareTeam.period.start")
        before = start - timedelta(days=1)
        ended = old | {"period": old["period"] | {"end": before.isoformat()}}
        if before < unit.today:
            ended["status"] = "inactive"
        await unit.update(ended, old["id"])
        return await _created(unit, new)

    return answer(201, await service.repository.commit(work))


_NOT_RENEWED = ("id", "meta", "identifier", "period")


async def _contract(unit: Unit, request: FhirRequest) -> Resource:
    """Return the contract of the address; raises `NotFound`, `NotInThisState`."""
    stored = await unit.current(Key(*request.path[:2]))
    if stored is None or stored.is_deleted:
        raise NotFound("there is no such CareTeam")
    contract: Resource = fhirjson.loads(stored.content)
    if not is_contract(contract) or contract.get("status") != "active":
        raise NotInThisState("this is no active 1+1+1 contract", expression="CareTeam.status")
    return contract


async def _created(unit: Unit, contract: Resource) -> Resource:
    key = unit.create({name: value for name, value in contract.items() if name != "id"})
    stored = await unit.current(key)
    assert stored is not None
    made: Resource = fhirjson.loads(stored.content)
    return made


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidParameter("end is a day, as in 2027-02-28") from None
