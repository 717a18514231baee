"""The order of which results have the filler's number alone: the one that is stored under it.

A laboratory that answers an order (ORL, ORR …) tells its own number of it, and may name its results
by that alone. Results without a placer's number make no order; they are of one that is known.

Spec: HL7v2 chapter 4, ORC-3; chapter 7, OBR-3
"""

from collections.abc import Mapping, Sequence

from fhir_hub import fhirjson
from fhir_hub.hl7v2.conversion.convert import Converted
from fhir_hub.hl7v2.conversion.matches import code_of, pairs_of_type
from fhir_hub.hl7v2.meaning.teller import Teller
from fhir_hub.hl7v2.storing.merge import Resource
from fhir_hub.hl7v2.storing.things import Thing, numbers_of, patients_of
from fhir_hub.identity import match
from fhir_hub.repository.unit import Unit

_OF_RESULTS = ("ORU", "OUL")


async def find(unit: Unit, things: list[Thing], teller: Teller) -> None:
    """Have each report that names no order be of the patient's one of its filler's number.

    Of several orders of the number it is that of its code; where that does not tell one, none.
    """
    if teller.message_type not in _OF_RESULTS:
        return
    patients = {
        url: one for one in things if one.resource_type == "Patient" for url in one.full_urls
    }
    orders = {one.address: one for one in things if one.resource_type == "ServiceRequest"}
    for report in [one for one in things if one.resource_type == "DiagnosticReport"]:
        if "basedOn" in report.resource or pairs_of_type(report.resource, "PLAC"):
            continue
        order = await _order_of(unit, report, patients)
        if order is None:
            continue
        address = f"ServiceRequest/{order['id']}"
        report.say({**report.resource, "basedOn": [{"reference": address}]})
        if address not in orders:
            orders[address] = _named(report, order, address)
            things.append(orders[address])
            _say(things, address)
        elif address not in orders[address].full_urls:
            orders[address].full_urls.append(address)


async def _order_of(unit: Unit, report: Thing, patients: Mapping[str, Thing]) -> Resource | None:
    """Return the stored order of the filler's number of a report."""
    numbers = set(numbers_of(pairs_of_type(report.resource, "FILL")))
    theirs = {patients[url].address for url in patients_of(report.resource) if url in patients}
    if not numbers or not theirs:
        return None
    held = await unit.find("ServiceRequest", match.plan_of(sorted(numbers)))
    orders = [
        order
        for order in (fhirjson.loads(stored.content) for stored in held)
        if order.get("status") != "entered-in-error"
        and not theirs.isdisjoint(patients_of(order))
        and not numbers.isdisjoint(numbers_of(pairs_of_type(order, "FILL")))
    ]
    if len(orders) > 1:
        orders = [one for one in orders if code_of(one) == code_of(report.resource)]
    return orders[0] if len(orders) == 1 else None


def _named(report: Thing, order: Resource, address: str) -> Thing:
    """Return an order as results name it: they tell its state, and what it is if nobody knew."""
    kept = ("resourceType", "identifier", "intent", "subject")
    told = {name: order[name] for name in kept if name in order} | {"status": "unknown"}
    told["code"] = order.get("code") or report.resource["code"]
    named = Converted(address, told, mode="create", segment=report.converted.segment)
    thing = Thing(named, "ServiceRequest", [address])
    thing.found(order)
    return thing


def _say(things: Sequence[Thing], address: str) -> None:
    """Say in the message's Provenance that it is about the order too."""
    for thing in things:
        if thing.resource_type == "Provenance" and thing.converted.segment == "MSH":
            thing.refer_to([address])
