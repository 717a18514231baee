"""Makers of profiles for tests, and of checks that know them."""

from typing import Any

import parts

from fhir_hub.r4.checks.run import Checks
from fhir_hub.r4.packages import Defined, Packages

BASE = "http://hl7.org/fhir/StructureDefinition/"
OWN = "https://a.example/StructureDefinition/"
Json = dict[str, Any]


def profile(name: str, of: str, *rows: Json, base: str = "", **more: Any) -> Json:
    """Return a StructureDefinition of the type `of` that changes what `rows` say."""
    return {
        "resourceType": "StructureDefinition",
        "url": OWN + name,
        "name": name,
        "status": "active",
        "kind": "resource",
        "abstract": False,
        "type": of,
        "baseDefinition": base or BASE + of,
        "derivation": "constraint",
        "differential": {"element": list(rows)},
        **more,
    }


def row(path: str, **facts: Any) -> Json:
    """Return a row of a differential; `path` may be an id (`Patient.name:official.given`)."""
    plain = ".".join(step.partition(":")[0] for step in path.split("."))
    slice_name = path.rpartition(".")[2].partition(":")[2]
    named = {"sliceName": slice_name} if slice_name else {}
    return {"id": path, "path": plain, **named, **facts}


def slicing(*discriminators: tuple[str, str], **facts: Any) -> Json:
    """Return how an element is sliced."""
    rows = [{"type": kind, "path": path} for kind, path in discriminators]
    return {"discriminator": rows, "rules": "open", **facts}


def checks(*definitions: Json, **more: Any) -> Checks:
    """Return checks that know `definitions` besides R4's own."""
    defined = [Defined(each, "test.json") for each in definitions]
    return Checks(parts.definitions(), Packages(defined), **more)


def found(
    resource: Json, *definitions: Json, asked: str = "", **more: Any
) -> list[tuple[str, str]]:
    """Return code and expression of what the first of `definitions` finds in `resource`."""
    url = asked or definitions[0]["url"]
    issues = checks(*definitions, **more).check_profiles(resource, [url])
    return [(issue.code, issue.expression) for issue in issues]
