"""What the terminology of this server is: its code systems, and what its operations take.

It is asked as `metadata?mode=terminology`, and generated from what there is, like the other one.

Spec: https://hl7.org/fhir/R4/terminologycapabilities.html
"""

from typing import Any

from fhir_hub.clock import instant
from fhir_hub.r4.terminology.canonical import order
from fhir_hub.rest.operations import expand, translate, validate_code
from fhir_hub.rest.service import Service

# how each parameter of an expansion is told; the others are the request's own business
_SAID = {
    "filter": "only codes with all words of this text in a name",
    "offset": "how many codes to leave out before the page",
    "count": "how many codes the page has",
    "includeDesignations": "with the names in other languages",
    "includeDefinition": "with the compose of the value set",
    "activeOnly": "without inactive codes",
    "excludeNested": "as a flat list",
    "excludeNotForUI": "without abstract codes",
    "displayLanguage": "names in this language, where there are such",
    "exclude-system": "without the codes of this system",
    "system-version": "the version of a system where the value set leaves it open",
    "check-system-version": "the version that a system must have",
    "force-system-version": "the version of a system whatever the value set says",
    "property": "with this property of each code",
}


async def terminology_statement(base: str, service: Service) -> dict[str, Any]:
    """Return the TerminologyCapabilities of a server at `base`."""
    await service.stored_terminology.refresh()
    versions: dict[str, set[str]] = {}
    for source in service.terminology.catalogue.sources:
        for one in source.systems():
            versions.setdefault(one.url, set()).add(one.version)
    return {
        "resourceType": "TerminologyCapabilities",
        "status": "active",
        "date": instant(service.started),
        "kind": "instance",
        "software": {"name": "fhir-hub", "version": service.version},
        "implementation": {"description": "fhir-hub", "url": base},
        "codeSystem": [_system(url, versions[url]) for url in sorted(versions)],
        "expansion": {
            "hierarchical": True,
            "paging": True,
            "incomplete": False,
            "parameter": [
                {"name": name, "documentation": _SAID[name]}
                for name in expand.PARAMETERS
                if name in _SAID
            ],
            "textFilter": "all words of the text stand in one name of the code, in any case",
        },
        "codeSearch": "all",
        "validateCode": {"translations": "displayLanguage" in validate_code.OF_VALUE_SET},
        "translation": {"needsMap": "url" not in translate.PARAMETERS},
        "closure": {"translation": False},
    }


def _system(url: str, versions: set[str]) -> dict[str, Any]:
    named = sorted((one for one in versions if one), key=order)
    shown: dict[str, Any] = {"uri": url}
    if named:
        rows: list[dict[str, Any]] = [{"code": one} for one in named]
        rows[-1]["isDefault"] = True
        shown["version"] = rows
    shown["subsumption"] = True
    return shown
