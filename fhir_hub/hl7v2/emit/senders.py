"""Whose message it is: MSH-4 and MSH-6, as the maps read them.

A referral is sent by who asks and received by who is asked, its answer the other way; a result
is its laboratory's, a booking that of who gave it a number. Numbers and codes that belong to
that facility need no authority then, and come back the same.

Spec: HL7v2 chapter 2, MSH-4 and MSH-6; DOMAIN 2.9
"""

from typing import TYPE_CHECKING, Any

from fhir_hub.hl7v2.emit.resources import Resources, numbers
from fhir_hub.hl7v2.emit.write_codes import authority_of
from fhir_hub.hl7v2.emit.write_identifiers import type_of
from fhir_hub.hl7v2.emit.write_places import organization_code

if TYPE_CHECKING:
    from fhir_hub.hl7v2.emit.events import About

Json = dict[str, Any]


def facility_of(about: "About", resources: Resources) -> str:
    """Return the code of the facility in whose name a message is sent, `""` if none shows."""
    main = about.main
    if about.code == "REF":
        task = about.task or {}
        return institution(task.get("requester"), resources) or _placer(main)
    if about.code == "RRI":
        return institution(main.get("owner"), resources) or _authority(main, "FILL")
    if about.code == "SIU":
        return _authority(main, "FILL")
    if about.code == "ORU":
        parties = main.get("performer", ())
        found = (institution(one, resources) for one in parties)
        return next(filter(None, found), "") or _authority(main, "FILL")
    encounter = about.encounter or {}
    return (
        institution(encounter.get("serviceProvider"), resources)
        or institution(main.get("managingOrganization"), resources)
        or _patient_authority(main)
    )


def receiver_of(about: "About", resources: Resources) -> str:
    """Return the code of the facility that a message is for, as far as its resources say."""
    if about.code == "REF":
        return institution((about.task or {}).get("owner"), resources)
    if about.code == "RRI":
        return institution(about.main.get("requester"), resources)
    return ""


def institution(reference: Any, resources: Resources) -> str:
    """Return the code of who is referred to: an institution, or whose number a person has."""
    found = resources.resolve(reference)
    if found is None:
        held = reference.get("identifier") if isinstance(reference, dict) else None
        is_one = held and reference.get("type") == "Organization"
        return str(held.get("value", "")) if held and is_one else ""
    if found["resourceType"] == "Organization":
        return organization_code(found)
    if found["resourceType"] == "PractitionerRole":
        return institution(found.get("organization"), resources)
    authorities = (authority_of(one.get("system", ""))[0] for one in numbers(found))
    return next(filter(None, authorities), "")


def _authority(resource: Json, kind: str) -> str:
    return next(
        (
            authority_of(one.get("system", ""))[0]
            for one in numbers(resource)
            if type_of(one) == kind
        ),
        "",
    )


def _placer(resource: Json) -> str:
    return _authority(resource, "PLAC")


def _patient_authority(patient: Json) -> str:
    found = (authority_of(one.get("system", ""))[0] for one in numbers(patient))
    return next(filter(None, found), "")
