"""Where a resource came from: the message's number in the journal, in its Provenance.

A message writes a Provenance of what it is about, whose `entity` is the message by its control
id. The number in the journal is a tag of it: so both lead to the resources, and they to both,
with nothing more to write.

Spec: https://hl7.org/fhir/R4/provenance.html
"""

from fhir_hub import fhirjson
from fhir_hub.hl7v2.conversion.convert import Conversion
from fhir_hub.identity.systems import BASE
from fhir_hub.search.plan import Has, Is, Query
from fhir_hub.store.base import Key, Store

_MOST = 500
JOURNAL = f"{BASE}/sid/journal"


def mark(conversion: Conversion, number: int) -> None:
    """Write the message's number in the journal into the Provenance of its resources."""
    for one in conversion.resources:
        resource = one.resource
        if resource["resourceType"] == "Provenance":
            tags = resource.setdefault("meta", {}).setdefault("tag", [])
            tags.append({"system": JOURNAL, "code": str(number)})


async def numbers(store: Store, key: Key) -> list[int]:
    """Return the numbers of the messages that were about a resource, the first first.

    Those of the first 500 that the store knows.
    """
    about = Has("target", "reference", (Is(f"{key.resource_type}/{key.logical_id}"),))
    page = await store.search(Query(("Provenance",), about, count=_MOST))
    tags = [
        tag
        for stored in page.matches
        for tag in fhirjson.loads(stored.content).get("meta", {}).get("tag", ())
    ]
    return [int(tag["code"]) for tag in tags if tag.get("system") == JOURNAL]
