"""Messages made of FHIR and read again: the clinical facts of a conversion, to compare two."""

from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from parts import definitions

from fhir_hub.hl7v2.conversion.convert import Conversion, convert
from fhir_hub.hl7v2.emit.emit import Emitted, Receiver, emit
from fhir_hub.hl7v2.emit.resources import Resources
from fhir_hub.hl7v2.maps.mappings import Mappings, load_mappings
from fhir_hub.hl7v2.parsing import er7
from fhir_hub.hl7v2.wire import charset

OF_HER = {"reference": "Patient/p1"}
REFERRAL = {
    "resourceType": "ServiceRequest",
    "id": "s1",
    "status": "active",
    "intent": "order",
    "category": [{"coding": [{"system": "http://snomed.info/sct", "code": "3457005"}]}],
    "code": {"text": "会诊"},
    "subject": OF_HER,
}
EXAMPLES = Path(__file__).parents[1] / "examples" / "messages"
MOMENT = datetime(2025, 3, 15, 2, 30, tzinfo=UTC)
_WITNESSES = ("Provenance", "AuditEvent", "MessageHeader")


@cache
def mappings(*folders: Path) -> Mappings:
    return load_mappings(definitions(), folders)


def example(number: str) -> bytes:
    (path,) = EXAMPLES.glob(f"{number}_*.hl7")
    return path.read_bytes()


def read(raw: bytes) -> Conversion:
    decoded = charset.decode(raw)
    return convert(er7.parse(decoded.text, decoded.charset), mappings())


def resources(conversion: Conversion) -> Resources:
    return Resources((one.full_url, one.resource) for one in conversion.resources)


def written(
    made: Conversion | Resources, event: str = "", receiver: Receiver | None = None, **more: Any
) -> Emitted:
    given = resources(made) if isinstance(made, Conversion) else made
    to = receiver or Receiver()
    more = {"moment": MOMENT, "control_id": "OUT-1"} | more
    return emit(given, more.pop("mappings", mappings()), to, event=event, **more)


def facts(conversion: Conversion) -> set[tuple[str, str]]:
    """Return what is told, each with whom or what it is told of; not by whom it was sent.

    A person, institution or place that only the sender's own traces name is none of it.
    """
    by_url = {one.full_url: one.resource for one in conversion.resources}

    def named(url: str) -> str:
        resource = by_url.get(url, {"resourceType": url})
        numbers = resource.get("identifier", [])
        first = numbers[0] if isinstance(numbers, list) and numbers else {}
        called = first.get("value") or resource.get("code", {}).get("text", "")
        return f"{resource['resourceType']} {called}"

    found: set[tuple[str, str]] = set()
    used: set[str] = set()

    def walk(path: str, value: Any) -> None:
        if isinstance(value, dict):
            if "reference" in value:
                used.add(named(value["reference"]))
                found.add((path, named(value["reference"])))
                return
            for name, inner in value.items():
                walk(f"{path}.{name}", inner)
        elif isinstance(value, list):
            for inner in value:
                walk(path, inner)
        else:
            found.add((path, str(value)))

    told = [one for one in conversion.resources if one.resource["resourceType"] not in _WITNESSES]
    for one in told:
        about = {name: value for name, value in one.resource.items() if name != "meta"}
        walk(f"{named(one.full_url)}:", about)
    bare = {named(one.full_url) for one in told if one.mode == "create"} - used
    return {(path, value) for path, value in found if path.partition(":")[0] not in bare}
