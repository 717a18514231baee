"""What the tests of the package `cn-yangtze` share: the package, its folder, its examples."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from fhir_hub import fhirjson
from fhir_hub.identity.systems import BASE
from fhir_hub.r4.packages import Packages, built_in_profiles, load_profiles

ROOT = Path(__file__).parents[2]
FOLDER = built_in_profiles() / "cn-yangtze"
EXAMPLES = FOLDER / "examples"
PROFILES = f"{BASE}/StructureDefinition/"


@cache
def package() -> Packages:
    return load_profiles([FOLDER])


def profiles() -> list[dict[str, Any]]:
    """Return the StructureDefinitions of resources that a resource may claim."""
    found = package().all("StructureDefinition")
    return [each for each in found if each["kind"] == "resource" and not each["abstract"]]


def examples(kind: str) -> list[Path]:
    """Return the examples of `valid` or `invalid`."""
    paths = (EXAMPLES / kind).glob("*/*.json")
    return sorted(path for path in paths if path.name != "expected.json")


def read(path: Path) -> Any:
    return fhirjson.loads(path.read_bytes())


def walk(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every object in `value`."""
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from walk(each)
    elif isinstance(value, list):
        for each in value:
            yield from walk(each)
