"""Calls for allergies and problems: who told of one, and that it is active where nothing is said.

Spec: HL7v2 chapter 3, IAM; chapter 12, PRB and GOL; R4 allergyintolerance.html
"""

from typing import Any

from fhir_hub.hl7v2.datatypes import codes, people
from fhir_hub.hl7v2.datatypes.parts import compact, part
from fhir_hub.hl7v2.making.drafts import Draft, Place
from fhir_hub.hl7v2.parsing.path import Path

Json = dict[str, Any]
Paths = tuple[Path, ...]
_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"
_UPDATES = ("U", "UP", "CO", "LI", "UN")  # tables 0206 and 0287: all but to add


def allergy_active(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return that an allergy is active where no field says it; an update then leaves its state."""
    coding = {"system": f"{_TERMINOLOGY}/allergyintolerance-clinical", "code": "active"}
    return _active(place, draft, paths, {**coding, "display": "Active"})


def problem_active(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return the same of a problem."""
    coding = {"system": f"{_TERMINOLOGY}/condition-clinical", "code": "active"}
    return _active(place, draft, paths, coding)


def _active(place: Place, draft: Draft, paths: Paths, coding: Json) -> Json | None:
    if "clinicalStatus" in draft.resource:
        return None
    if place.text(paths[0]).upper() in _UPDATES:
        draft.unsaid += ("clinicalStatus",)
    return {"coding": [coding]}


def active_at_first(place: Place, draft: Draft, paths: Paths) -> str:
    """Return that what a message only names is active; a stored one keeps its state.

    So is a prescription that is supplied, given (ORC-1 RE), refilled, or of which a supply is
    taken back, and an account of which is told who answers for it (GT1).
    """
    if "status" not in draft.resource:
        draft.unsaid += ("status",)
    return "active"


def final_as_sent(place: Place, draft: Draft, paths: Paths) -> str:
    """Return that a result is final whose value was sent before (OBX-11 U): all of it stays."""
    if "status" not in draft.resource:
        draft.unsaid += ("value",)
    return "final"


def goal_active(place: Place, draft: Draft, paths: Paths) -> str:
    """Return the same of a goal."""
    if "lifecycleStatus" not in draft.resource and place.text(paths[0]).upper() in _UPDATES:
        draft.unsaid += ("lifecycleStatus",)
    return "active"


def allergy_recorder(place: Place, draft: Draft, paths: Paths) -> Json | None:
    """Return who told of an allergy (IAM-14): by IAM-15 a practitioner, the patient, a relative."""
    said, kin = place.value(paths[0]), place.value(paths[1])
    context = place.run.context
    patients = place.node.nearest_drafts("Patient")
    if not said or not place.run.by_table or not patients:
        return None
    name = people.human_name(said, context)
    names = name if isinstance(name, list) else [name] if name else []
    if kin is None:
        return {"resourceType": "Practitioner", "name": names} if names else None
    patient = {"reference": patients[0].full_url}
    if part(kin, 1) == "SEL":
        return patient
    relation = codes.table_codeable_concept(kin, context, context.table("Relationship"))
    parts = compact({"relationship": [relation] if relation else [], "name": names}) or {}
    return {"resourceType": "RelatedPerson", "patient": patient} | parts
