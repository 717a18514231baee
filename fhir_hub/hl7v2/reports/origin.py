"""Where a resource came from: the message's number in the journal, in its Provenance.

A message writes a Provenance of what it is about, whose `entity` is the message by its control
id. The number in the journal is a tag of it: so both lead to the resources, and they to both,
with nothing more to write.

Spec: https://hl7.org/fhir/R4/provenance.html
"""

from fhir_hub.hl7v2.convert import Conversion
from fhir_hub.identity.systems import BASE

JOURNAL = f"{BASE}/sid/journal"


def mark(conversion: Conversion, number: int) -> None:
    """Write the message's number in the journal into the Provenance of its resources."""
    for one in conversion.resources:
        resource = one.resource
        if resource["resourceType"] == "Provenance":
            tags = resource.setdefault("meta", {}).setdefault("tag", [])
            tags.append({"system": JOURNAL, "code": str(number)})
