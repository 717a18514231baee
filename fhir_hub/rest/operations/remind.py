"""`$remind`: what was done already, before a test, an examination or a drug is ordered again.

The order need not be stored: `POST Patient/[id]/$remind`, `POST ServiceRequest/$remind` and `POST
MedicationRequest/$remind` take it in the body, several as `order` of Parameters; a stored one is
asked about by its own address.

Spec: WS/T 790.18; DOMAIN 1.3 S4; https://hl7.org/fhir/R4/detectedissue.html
"""

from typing import Any

from fhir_hub import fhirjson
from fhir_hub.documents.archive import Archive
from fhir_hub.documents.people import Person, person_of
from fhir_hub.documents.reminders import Reminder, detected
from fhir_hub.documents.reminders import remind as reminders_of
from fhir_hub.documents.wording import name_of
from fhir_hub.errors import InvalidParameter, MethodNotAllowed
from fhir_hub.referral.reading import key_of
from fhir_hub.repository.unit import Resource
from fhir_hub.rest.message import FhirRequest, FhirResponse, answer
from fhir_hub.rest.operations.inputs import only_on, read_inputs
from fhir_hub.rest.operations.summary import archive_of
from fhir_hub.rest.service import Service
from fhir_hub.store.base import Key

ORDERS = ("ServiceRequest", "MedicationRequest")
ON = ("Patient", *ORDERS)
_NONE = "nothing of the kind was done within its window / 期限内没有重复项目"


async def remind(request: FhirRequest, service: Service) -> FhirResponse:
    """Return Parameters: `result`, and a `reminder` for each that was done already.

    Raises `NotFound`, `Gone`, `InvalidParameter` for what is no order of the patient,
    `InvalidResource`, `UnknownParameter`.
    """
    is_instance = len(request.path) == 3
    resource_type = only_on(request, service, *(ON if is_instance else ORDERS))
    patient = ""
    if resource_type == "Patient":
        if request.method == "GET":
            raise MethodNotAllowed("Patient/[id]/$remind takes POST, with the order", ["POST"])
        patient = request.path[1]
    if is_instance and not patient:
        read_inputs(request, "$remind", ("",))
        stored = await service.repository.read(Key(resource_type, request.path[1]))
        orders = [fhirjson.loads(stored.content)]
    else:
        inputs = read_inputs(request, "$remind", ("order",), bare="order")
        orders = [_order(one, patient, service) for one in inputs.values("order")]
        if not orders:
            raise InvalidParameter("$remind needs an order: a ServiceRequest or MedicationRequest")
    archive = archive_of(request, service)
    rows: list[Resource] = []
    for order in orders:
        rows += await _rows(archive, service, order, patient)
    head: list[Resource] = [{"name": "result", "valueBoolean": bool(rows)}]
    if not rows:
        head.append({"name": "message", "valueString": _NONE})
    return answer(200, {"resourceType": "Parameters", "parameter": [*head, *rows]})


def _order(given: Any, patient: str, service: Service) -> Resource:
    """Return an order as it would be stored: the patient of the address is its subject."""
    if not isinstance(given, dict) or given.get("resourceType") not in ORDERS:
        raise InvalidParameter("$remind: order is a ServiceRequest or a MedicationRequest")
    order: Resource = dict(given)
    if patient and "subject" not in order:
        order["subject"] = {"reference": f"Patient/{patient}"}
    service.checks.require(order)
    return order


async def _rows(
    archive: Archive, service: Service, order: Resource, patient: str
) -> list[Resource]:
    person = await _person(archive, order, patient)
    stored = service.stored_terminology
    await stored.refresh()
    maps = stored.shelf.concept_maps()
    found = await reminders_of(archive, person, order, maps, service.reminders)
    return [_row(one, archive, person, order) for one in found]


async def _person(archive: Archive, order: Resource, patient: str) -> Person:
    key = key_of(order.get("subject"))
    if key is None or key.resource_type != "Patient":
        raise InvalidParameter("$remind: the order's subject is a Patient of this server")
    person = await person_of(archive.store, key.logical_id)
    if patient and patient not in person.ids:
        raise InvalidParameter("$remind: the order is of another patient than the address")
    return person


def _row(reminder: Reminder, archive: Archive, person: Person, order: Resource) -> Resource:
    """Return a reminder in parts: words, where, when, by which rule, and as a DetectedIssue."""
    english, chinese = reminder.text()
    done = reminder.done
    where: Resource = {"display": "; ".join(reminder.institutions) or "unknown / 不详"}
    if reminder.organization is not None:
        where = {
            "reference": f"Organization/{reminder.organization['id']}",
            "display": name_of(reminder.organization),
        }
    days = {"value": reminder.window.days, "unit": "d", "code": "d"}
    parts: list[Resource] = [
        {"name": "text", "valueString": english},
        {"name": "text", "valueString": chinese},
        {"name": "done", "valueDateTime": reminder.moment},
        {"name": "institution", "valueReference": where},
        {"name": "of", "valueReference": {"reference": f"{done['resourceType']}/{done['id']}"}},
        {"name": "rule", "valueString": reminder.window.rule},
        {"name": "window", "valueDuration": days | {"system": "http://unitsofmeasure.org"}},
        {"name": "until", "valueDate": reminder.until},
        {"name": "issue", "resource": detected(reminder, person, order, archive.clock())},
    ]
    return {"name": "reminder", "part": parts}
