"""A conversion as a transaction Bundle: what `fhir-hub convert` prints.

Spec: https://hl7.org/fhir/R4/http.html#transaction
"""

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fhir_hub.hl7v2.making.drafts import keys_of

if TYPE_CHECKING:
    from fhir_hub.hl7v2.conversion.convert import Conversion, Converted


def to_bundle(conversion: "Conversion") -> dict[str, Any]:
    """Return the transaction Bundle of a conversion: an entry a resource.

    What may be stored already is a conditional update by its strongest identifier, or where it
    is to be left as it is a conditional create; anything else is a create. What only changes what
    is stored has no entry: no Bundle can say that.
    """
    entries = [_entry(one) for one in conversion.resources if one.mode != "change"]
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "transaction"}
    return bundle | ({"entry": entries} if entries else {})


def _entry(converted: "Converted") -> dict[str, Any]:
    resource_type = converted.resource["resourceType"]
    request = {"method": "POST", "url": resource_type}
    if converted.match:
        system, value = converted.match[0]
        parameter = "_tag" if converted.match[0] in keys_of(converted.resource) else "identifier"
        token = f"{parameter}={quote(f'{_escaped(system)}|{_escaped(value)}', safe=':/|')}"
        if converted.mode == "update":
            request = {"method": "PUT", "url": f"{resource_type}?{token}"}
        else:
            request["ifNoneExist"] = token
    return {"fullUrl": converted.full_url, "resource": converted.resource, "request": request}


def _escaped(text: str) -> str:
    # R4 search.html#escaping: these separate, unless a backslash stands before them
    for mark in ("\\", "|", ",", "$"):
        text = text.replace(mark, f"\\{mark}")
    return text
