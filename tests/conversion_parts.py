"""What the tests of conversion share: the built-in maps, the messages, a look into the result."""

import re
from functools import cache
from pathlib import Path
from typing import Any

from parts import definitions

from fhir_hub.hl7v2.conversion.convert import Conversion, Converted, convert
from fhir_hub.hl7v2.maps.mappings import Mappings, load_mappings
from fhir_hub.hl7v2.parsing import er7
from fhir_hub.r4.checks.run import Checks, make_checks
from fhir_hub.r4.packages import built_in_profiles, load_profiles

MESSAGES = Path(__file__).parent / "hl7v2" / "messages"
BASE = "https://fhir-hub.example"
LOINC = "http://loinc.org"


@cache
def mappings() -> Mappings:
    return load_mappings(definitions())


@cache
def checks() -> Checks:
    return make_checks(definitions(), load_profiles([built_in_profiles()]))


def text_of(name: str) -> str:
    """Return the text of a message by the beginning of its file's name (`08`, `quirks/q4`)."""
    (path,) = sorted(MESSAGES.glob(f"{name}*.hl7"))
    return path.read_bytes().decode("utf-8")


def converted(text: str, **options: Any) -> Conversion:
    return convert(er7.parse(text), mappings(), **options)


def story(name: str) -> Conversion:
    return converted(text_of(name))


def lines(*segments: str) -> str:
    return "\r".join(segments) + "\r"


def of_type(conversion: Conversion, resource_type: str) -> list[dict[str, Any]]:
    return [one.resource for one in every(conversion, resource_type)]


def every(conversion: Conversion, resource_type: str) -> list[Converted]:
    return [one for one in conversion.resources if one.resource["resourceType"] == resource_type]


def only(conversion: Conversion, resource_type: str) -> dict[str, Any]:
    (resource,) = of_type(conversion, resource_type)
    return resource


def target(conversion: Conversion, reference: dict[str, Any]) -> dict[str, Any]:
    """Return the resource of the same message that a reference names."""
    return next(
        one.resource for one in conversion.resources if one.full_url == reference["reference"]
    )


def identifiers(resource: dict[str, Any]) -> dict[str, str]:
    """Return value → system of a resource's identifiers."""
    return {one["value"]: one["system"] for one in resource["identifier"]}


def codes(concept: dict[str, Any]) -> dict[str, str]:
    """Return code → system of a CodeableConcept's codings."""
    return {one["code"]: one["system"] for one in concept["coding"]}


def by_code(conversion: Conversion, resource_type: str = "Observation") -> dict[str, Any]:
    return {
        code: resource
        for resource in of_type(conversion, resource_type)
        for code in codes(resource["code"])
    }


def errors(conversion: Conversion) -> list[str]:
    """Return what R4 and the hub's own profiles say against the resources of a conversion."""
    return [
        f"{one.resource['resourceType']} {issue.expression}: {issue.diagnostics}"
        for one in conversion.resources
        for issue in checks().check_profiles(one.resource, [])
        if issue.severity == "error"
    ]


def states(conversion: Conversion) -> dict[tuple[str, int], str]:
    """Return (path, segment) → state of the report."""
    return {(one.path, one.segment): one.state for one in conversion.report.fields()}


def element(conversion: Conversion, path: str) -> Any:
    """Return the value at a path of the report (`Observation[2].valueQuantity.value`)."""
    steps = re.findall(r"(_?[A-Za-z]+)|\[(\d+)\]", path)
    kind = steps.pop(0)[0]
    found = [one.resource for one in every(conversion, kind) if one.mode != "change"]
    node: Any = found[int(steps.pop(0)[1])] if len(found) > 1 else found[0]
    for name, number in steps:
        node = node[name] if name else node[int(number)]
    return node


TABLE_MSH = "MSH|^~\\&|XIS|TEST01|HUB|QPRHP|20250315101500||{}|C1|P|2.5"
PID = "PID|1||T1^^^TEST01^PI||沈^桂芳||19530412|F"


def segment(name: str, **fields: str) -> str:
    """Return a segment with `f3="x"` in its third field."""
    texts = {int(field[1:]): text for field, text in fields.items()}
    return "|".join([name, *(texts.get(at, "") for at in range(1, max(texts) + 1))])


def by_table(kind: str, *segments: str, **options: Any) -> Conversion:
    """Return a message of that kind about one patient as the standard's tables have it."""
    message = lines(TABLE_MSH.format(kind), PID, *segments)
    conversion = converted(message, by_table=True, **options)
    assert errors(conversion) == []
    return conversion


def values(resource: dict[str, Any]) -> list[str]:
    """Return the values of a resource's identifiers."""
    return [one["value"] for one in resource["identifier"]]
