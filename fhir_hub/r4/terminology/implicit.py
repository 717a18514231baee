"""Value sets that exist by their address alone: nobody has to define them.

`http://snomed.info/sct?fhir_vs=isa/404684003` is that concept and all below it;
`http://loinc.org/vs/LP14559-6` all codes below a part; and each code system may name the value
set of all of its codes.

Spec: https://hl7.org/fhir/R4/snomedct.html#implicit and loinc.html
"""

import re
from typing import Any

from fhir_hub.r4.terminology.canonical import Canonical
from fhir_hub.r4.terminology.concepts import Facts
from fhir_hub.r4.terminology.sources import Catalogue

SNOMED, LOINC, UCUM = "http://snomed.info/sct", "http://loinc.org", "http://unitsofmeasure.org"
_SNOMED = re.compile(
    r"http://snomed\.info/sct(?P<edition>/\d+(?:/version/\d+)?)?\?fhir_vs"
    r"(?:=isa/(?P<code>\d+))?"
).fullmatch
_LOINC = re.compile(r"http://loinc\.org/vs(?:/(?P<code>(?P<kind>LP|LL)?[0-9A-Z-]+))?").fullmatch


def implicit_value_set(url: str, catalogue: Catalogue) -> Facts | None:
    """Return the value set that the address implies, None if it implies none."""
    if found := _SNOMED(url):
        edition = f"{SNOMED}{found['edition']}" if found["edition"] else ""
        filters = [_filter("concept", "is-a", found["code"])] if found["code"] else []
        return _value_set(url, SNOMED, filters, edition)
    if found := _LOINC(url):
        if not found["code"]:
            return _value_set(url, LOINC, [])
        if found["kind"] == "LL":
            return _value_set(url, LOINC, [_filter("LIST", "=", found["code"])])
        return _value_set(url, LOINC, [_filter("concept", "is-a", found["code"])])
    if url == f"{UCUM}/vs":
        return _value_set(url, UCUM, [])
    return _all_of_a_system(url, catalogue)


def _all_of_a_system(url: str, catalogue: Catalogue) -> Facts | None:
    named: Canonical | None = catalogue.system_with_value_set(url)
    return _value_set(url, named.url, [], named.version) if named else None


def _filter(name: str, operator: str, value: str) -> dict[str, str]:
    return {"property": name, "op": operator, "value": value}


def _value_set(
    url: str, system: str, filters: list[dict[str, str]], version: str = ""
) -> dict[str, Any]:
    include: dict[str, Any] = {"system": system}
    include |= {"version": version} if version else {}
    include |= {"filter": filters} if filters else {}
    return {
        "resourceType": "ValueSet",
        "url": url,
        "status": "active",
        "compose": {"include": [include]},
    }
