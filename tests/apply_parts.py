"""What the tests of applying and merging share: conversions made by hand."""

from typing import Any

from fhir_hub.hl7v2.conversion.convert import Conversion, Converted

RESIDENT = "urn:oid:2.16.156.10011.1.3"
LOCAL = "https://fhir-hub.example/sid/SHTH01/patient-id"
GUIFANG = "310229195304129989"
OTHER = "330421199108179964"


def url(name: str) -> str:
    return f"urn:uuid:{name}"


def converted(
    resource: dict[str, Any],
    *match: tuple[str, str],
    name: str = "",
    mode: str = "update",
    nulls: tuple[str, ...] = (),
    removes: dict[str, list[Any]] | None = None,
) -> Converted:
    return Converted(
        full_url=url(name or resource["resourceType"].lower()),
        resource=resource,
        match=match,
        mode=mode,
        nulls=nulls,
        removes=removes or {},
    )


def identifier(value: str, system: str = LOCAL) -> dict[str, str]:
    return {"system": system, "value": value}


def patient(*identifiers: dict[str, str], name: str = "patient", **elements: Any) -> Converted:
    resource: dict[str, Any] = {"resourceType": "Patient", "active": True, **elements}
    if identifiers:
        resource["identifier"] = list(identifiers)
    return converted(resource, name=name)


def replaced(*identifiers: dict[str, str], by: str = "patient") -> Converted:
    """Return the prior Patient of a merge."""
    link = {"other": {"reference": url(by)}, "type": "replaced-by"}
    return patient(*identifiers, name="prior", active=False, link=[link])


def observation(value: str = "", subject: str = "patient", **elements: Any) -> Converted:
    resource = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "glucose"},
        "subject": {"reference": url(subject)},
        **elements,
    }
    match = (("urn:orders", value),) if value else ()
    if value:
        resource["identifier"] = [{"system": "urn:orders", "value": value}]
    return converted(resource, *match, name=f"observation-{value}")


def conversion(*resources: Converted) -> Conversion:
    return Conversion(resources=resources, report=None)
