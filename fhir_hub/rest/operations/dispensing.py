"""`Task/$dispensing-list`: what volunteers fetch for special residents, hospital by hospital.

A request is a Task of the code `proxy-dispensing` whose `focus` is a MedicationRequest and whose
`owner` is the community centre that screens it. The list of a night has one List for each hospital
that prescribed, with what is long, extended or controlled shown at each drug, and one List of what
is screened out, with the reason: the centre's own (`rejected`), or that the prescription is not
active, or controlled, which only the resident may fetch.

Spec: DOMAIN 1.3 S19; https://hl7.org/fhir/R4/list.html
"""

from typing import NamedTuple
from urllib.parse import urlencode

from fhir_hub import fhirjson
from fhir_hub.clock import instant
from fhir_hub.errors import InvalidParameter
from fhir_hub.referral.institutions import institution_of, resource_at
from fhir_hub.referral.prescription_rules import ingredients, kind_of
from fhir_hub.referral.reading import at, codings, key_of
from fhir_hub.referral.special import TASKS
from fhir_hub.repository.unit import Resource, Unit
from fhir_hub.rest.criteria import criteria
from fhir_hub.rest.message import FhirRequest, FhirResponse, answer
from fhir_hub.rest.operations.inputs import only_on, read_inputs
from fhir_hub.rest.service import Service
from fhir_hub.settings.care import PrescriptionSettings
from fhir_hub.store.base import Key

ON = ("Task",)
_CODE = "proxy-dispensing"
_CONTROLLED = PrescriptionSettings().controlled
_ASKED = "requested,received,accepted,rejected"


class _Item(NamedTuple):
    """A request of the round: its Task, its drug, the hospital, why it is screened out."""

    task: Resource
    drug: Resource | None
    hospital: Key | None
    reason: str


async def collect(request: FhirRequest, service: Service) -> FhirResponse:
    """Return a collection of Lists of the requests of `owner` that were made on `date`.

    Raises `InvalidParameter`.
    """
    only_on(request, service, *ON)
    inputs = read_inputs(request, "$dispensing-list", ("owner", "date"))
    owner, day = inputs.text("owner"), inputs.text("date")
    if not owner or not day:
        raise InvalidParameter("$dispensing-list needs owner (Organization/ID) and date (a day)")
    wanted = [("owner", owner), ("authored-on", day), ("code", f"{TASKS}|{_CODE}")]
    plan = criteria("Task", urlencode([*wanted, ("status", _ASKED)]), request.base, service)

    async def work(unit: Unit) -> list[Resource]:
        found = await unit.find("Task", plan)
        items = [await _item(unit, fhirjson.loads(one.content)) for one in found]
        return await _lists(unit, items)

    lists = await service.repository.commit(work)
    entries = [{"resource": one} for one in lists]
    bundle: Resource = {"resourceType": "Bundle", "type": "collection"}
    return answer(200, bundle | ({"entry": entries} if entries else {}))


async def _item(unit: Unit, task: Resource) -> _Item:
    drug = await resource_at(unit, key_of(task.get("focus")))
    if drug is None or drug["resourceType"] != "MedicationRequest":
        return _Item(task, None, None, "no prescription is named / 未注明处方")
    hospital = await _hospital(unit, drug)
    return _Item(task, drug, hospital, _screened(task, drug))


def _screened(task: Resource, drug: Resource) -> str:
    """Return why a request is screened out, empty if it is not."""
    if task.get("status") == "rejected":
        said = at(task, "statusReason", "coding", 0, "display")
        reason = at(task, "statusReason", "text") or said
        return str(reason or "screened out by the centre / 社区筛除")
    if drug.get("status") != "active":
        return f"the prescription is {drug.get('status')} / 处方已失效"
    if _is_controlled(drug):
        return "a controlled drug is handed to the resident alone / 麻精药品不得代配"
    return ""


def _is_controlled(drug: Resource) -> bool:
    return any(code.startswith(_CONTROLLED) for code in ingredients(drug))


async def _hospital(unit: Unit, drug: Resource) -> Key | None:
    """Return the institution that prescribed: of the source, where it extends another's."""
    source = await resource_at(unit, key_of(drug.get("priorPrescription")))
    for one in (source, drug):
        visit = await resource_at(unit, key_of((one or {}).get("encounter")))
        for reference in ((one or {}).get("requester"), (visit or {}).get("serviceProvider")):
            found = await institution_of(unit, reference)
            if found is not None and found.resource_type == "Organization":
                return found
    return None


async def _lists(unit: Unit, items: list[_Item]) -> list[Resource]:
    groups: dict[Key | None, list[_Item]] = {}
    for one in items:
        if not one.reason:
            groups.setdefault(one.hospital, []).append(one)
    lists = []
    for hospital, found in sorted(groups.items(), key=str):
        content = await resource_at(unit, hospital) or {}
        title = str(content.get("name") or "unknown hospital / 医院不详")
        made = _list(title, found, unit)
        lists.append(made | ({"source": {"reference": "/".join(hospital)}} if hospital else {}))
    out = [one for one in items if one.reason]
    return [*lists, *([_list("screened out / 筛除", out, unit)] if out else [])]


def _list(title: str, items: list[_Item], unit: Unit) -> Resource:
    return {
        "resourceType": "List",
        "status": "current",
        "mode": "snapshot",
        "title": title,
        "code": {"coding": [{"system": TASKS, "code": _CODE}]},
        "date": instant(unit.now),
        "entry": [_entry(one) for one in items],
    }


def _entry(item: _Item) -> Resource:
    """Return the entry of a request: what kind of drug it is, and why it is not fetched."""
    codes = []
    if item.drug is not None:
        codes = [kind_of(item.drug) or "normal"] + ["controlled"] * _is_controlled(item.drug)
    flag: Resource = (
        {"coding": [{"system": TASKS, "code": code} for code in codes]} if codes else {}
    )
    if item.reason:
        flag["text"] = item.reason
    shown: Resource = {"item": {"reference": f"Task/{item.task['id']}"}}
    if name := _name(item.drug):
        shown["item"]["display"] = name
    return shown | ({"flag": flag} if flag else {})


def _name(drug: Resource | None) -> str:
    """Return what a drug is called."""
    concept = at(drug, "medicationCodeableConcept")
    names = [str(one.get("display", "")) for one in (concept or {}).get("coding", ())]
    return str(at(concept, "text") or next((one for one in names if one), "")) or next(
        (code for _, code in codings(concept)), ""
    )
