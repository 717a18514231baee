"""What FHIR has defined, read from files: R4 itself, compiled, and packages of profiles.

R4's definitions are compiled by `tools/compile_definitions.py` (which tells what is in them): 215
files of which a hub needs twenty, so each is read when it is asked for; a type that nobody stores
costs nothing. Packages (`profiles/`, a site's own) are read once, at start, so that a wrong file
stops the start and is told by its name. Beyond this room nothing reads definitions from disk.

Spec: https://hl7.org/fhir/R4/packages.html; https://hl7.org/fhir/R4/references.html#canonical
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from fhir_hub import fhirjson
from fhir_hub.errors import InvalidResource
from fhir_hub.r4.package_files import MANIFEST, InvalidPackage, PackageFiles, packages_at

T = TypeVar("T")
Json = dict[str, Any]

_DATA = Path(__file__).parent / "data"
_HUB = Path(__file__).resolve().parents[1]
_R4_CORE = "hl7.fhir.r4.core"
SCHEMA = ".schema.json"

# What a package may define; a resource of another type in it is an example.
DEFINITIONS = frozenset(
    [
        *("ActivityDefinition", "CapabilityStatement", "CodeSystem", "CompartmentDefinition"),
        *("ConceptMap", "EventDefinition", "ExampleScenario", "GraphDefinition"),
        *("ImplementationGuide", "Library", "Measure", "MessageDefinition", "NamingSystem"),
        *("OperationDefinition", "PlanDefinition", "Questionnaire", "SearchParameter"),
        *("StructureDefinition", "StructureMap", "TerminologyCapabilities", "TestScript"),
        "ValueSet",
    ]
)


class Package:
    """The compiled definitions in one folder; files are read anew at each call."""

    def __init__(self, folder: Path = _DATA) -> None:
        self._folder = folder

    def index(self) -> dict[str, Any]:
        """Return the FHIR version and the kind, base and abstractness of every type."""
        return self._read("index.json", dict[str, Any])

    def structure(self, name: str) -> dict[str, Any]:
        """Return the facts of the type `name`, which the index must know."""
        return self._read(f"types/{name}.json", dict[str, Any])

    def search_parameters(self) -> list[dict[str, Any]]:
        """Return the facts of every search parameter, sorted by url."""
        return self._read("search-parameters.json", list[dict[str, Any]])

    def codes(self) -> dict[str, dict[str, list[str]]]:
        """Return value set url → system → codes."""
        return self._read("codes.json", dict[str, dict[str, list[str]]])

    def compartments(self) -> dict[str, dict[str, list[str]]]:
        """Return compartment → resource type → codes of the parameters that put it there."""
        return self._read("compartments.json", dict[str, dict[str, list[str]]])

    def profiles(self) -> dict[str, bytes]:
        """Return url → JSON of each profile and extension of R4, as a StructureDefinition."""
        raw = self._read("profiles.json", dict[str, msgspec.Raw])
        return {url: bytes(content) for url, content in raw.items()}

    def terminology(self, name: str) -> dict[str, bytes]:
        """Return url → JSON, of `name`: `code-systems`, `value-sets` or `concept-maps`."""
        raw = self._read(f"terminology/{name}.json", dict[str, msgspec.Raw])
        return {url: bytes(content) for url, content in raw.items()}

    def _read(self, path: str, shape: type[T]) -> T:
        return msgspec.json.decode((self._folder / path).read_bytes(), type=shape)


class Manifest(NamedTuple):
    """What `package.json` says; `dependencies` are name → version, noted and not fetched."""

    name: str
    version: str
    canonical: str
    dependencies: Mapping[str, str]


class Defined(NamedTuple):
    """A resource of a package, and the file that it stands in."""

    resource: Json
    file: str


class SchemaFile(NamedTuple):
    """A JSON Schema of a package (`*.schema.json`), and the file that it stands in."""

    schema: Json
    file: str


class Packages:
    """What packages define, by canonical. All resources are shared: do not change them."""

    def __init__(
        self,
        defined: Sequence[Defined] = (),
        schemas: Sequence[SchemaFile] = (),
        manifests: Sequence[Manifest] = (),
    ) -> None:
        self.defined, self.schemas, self.manifests = defined, schemas, manifests
        self._versions: dict[str, dict[str, Defined]] = {}
        for each in sorted(defined, key=lambda one: _order(one.resource.get("version", ""))):
            if url := each.resource.get("url"):
                self._versions.setdefault(url, {})[each.resource.get("version", "")] = each

    def missing(self) -> list[str]:
        """Return `name version` of the packages that others depend on and that are not loaded.

        R4 itself is not missing: its definitions are compiled in. Versions are not compared.
        """
        known = {each.name for each in self.manifests} | {_R4_CORE}
        return sorted(
            f"{name} {version}"
            for each in self.manifests
            for name, version in each.dependencies.items()
            if name not in known
        )

    def find(self, canonical: str) -> Json | None:
        """Return the definition of `canonical`, `None` if there is none.

        `url|version` is that version alone; without a version the latest is meant.

        Spec: https://hl7.org/fhir/R4/references.html#canonical
        """
        url, _, version = canonical.partition("|")
        versions = self._versions.get(url)
        if not versions:
            return None
        if not version:
            return next(reversed(versions.values())).resource
        found = versions.get(version)
        return found.resource if found else None

    def structure_definition(self, canonical: str) -> Json | None:
        """Return the StructureDefinition of `canonical`, `None` if there is none."""
        return self._of_type("StructureDefinition", canonical)

    def value_set(self, canonical: str) -> Json | None:
        """Return the ValueSet of `canonical`, `None` if there is none."""
        return self._of_type("ValueSet", canonical)

    def concept_maps(self) -> list[Json]:
        """Return every ConceptMap, in the order of packages and files."""
        return self.all("ConceptMap")

    def all(self, resource_type: str = "") -> list[Json]:
        """Return all definitions, or those of a type, in the order of packages and files."""
        resources = (each.resource for each in self.defined)
        return [one for one in resources if resource_type in ("", one["resourceType"])]

    def _of_type(self, resource_type: str, canonical: str) -> Json | None:
        found = self.find(canonical)
        return found if found and found["resourceType"] == resource_type else None


def built_in_profiles() -> Path:
    """Return the folder of the packages that come with the hub: in the wheel or the repository."""
    inside = _HUB / "profiles"
    return inside if inside.is_dir() else _HUB.parent / "profiles"


def load_profiles(folders: Iterable[Path]) -> Packages:
    """Return what the packages at `folders` define: each a folder, or a `.tgz` of the NPM form.

    Raises `InvalidPackage` with every file that is not JSON, is no definition of R4 or defines a
    canonical that another file defines in the same version.
    """
    reading = _Reading()
    for folder in folders:
        try:
            for files in packages_at(folder):
                reading.take(files)
        except InvalidPackage as error:
            reading.problems += error.problems
    if reading.problems:
        raise InvalidPackage(*reading.problems)
    return Packages(reading.defined, reading.schemas, reading.manifests)


class _Reading:
    def __init__(self) -> None:
        self.defined: list[Defined] = []
        self.schemas: list[SchemaFile] = []
        self.manifests: list[Manifest] = []
        self.problems: list[str] = []
        self._first: dict[tuple[str, str], str] = {}

    def take(self, files: PackageFiles) -> None:
        known = len(self.manifests)
        for name, content in sorted(files.files.items(), key=lambda each: each[0] != MANIFEST):
            shown = files.shown(name)
            if name != MANIFEST and self._is_known(known, shown):
                return
            try:
                document = fhirjson.loads(content.removeprefix(b"\xef\xbb\xbf"))
            except InvalidResource as error:
                self.problems.append(f"{shown}: {error} / 不是有效的 JSON")
                continue
            if not isinstance(document, dict):
                self.problems.append(f"{shown}: write a JSON object / 应为 JSON 对象")
            elif name == MANIFEST:
                self._manifest(document, shown)
            elif name.endswith(SCHEMA):
                self.schemas.append(SchemaFile(document, shown))
            else:
                self._definition(document, shown)

    def _is_known(self, known: int, shown: str) -> bool:
        """Say whether the package that is being read was read before, and tell it once."""
        if len(self.manifests) == known:
            return False
        package, before = self.manifests[-1], self.manifests[:known]
        if (package.name, package.version) not in {(each.name, each.version) for each in before}:
            return False
        named, source = f"{package.name} {package.version}", shown.partition("/")[0]
        self.problems.append(f"{source}: {named} is loaded already: leave one out / 包重复加载")
        return True

    def _manifest(self, document: Json, shown: str) -> None:
        name, version, canonical = (
            document.get(key, "") for key in ("name", "version", "canonical")
        )
        dependencies = document.get("dependencies", {})
        versions = document.get("fhirVersions", document.get("fhir-version-list", ["4.0.1"]))
        if not (name and all(isinstance(text, str) for text in (name, version, canonical))):
            self.problems.append(f"{shown}: name, version and canonical are strings / 清单有误")
        elif not isinstance(dependencies, dict) or not isinstance(versions, list):
            self.problems.append(
                f"{shown}: dependencies is an object, fhirVersions an array / 清单有误"
            )
        elif not any(str(version).startswith("4.0") for version in versions):
            self.problems.append(f"{shown}: not for FHIR 4.0: {versions} / 不是 R4 的包")
        else:
            self.manifests.append(Manifest(name, version, canonical, dependencies))

    def _definition(self, document: Json, shown: str) -> None:
        resource_type = document.get("resourceType")
        if not isinstance(resource_type, str):
            self.problems.append(f"{shown}: no resource: resourceType is missing / 缺少资源类型")
            return
        if resource_type not in DEFINITIONS:
            return
        url, version = document.get("url", ""), document.get("version", "")
        if not isinstance(url, str) or not isinstance(version, str):
            self.problems.append(f"{shown}: url and version are strings / url 应为字符串")
            return
        if url:
            first = self._first.setdefault((url, version), shown)
            if first != shown:
                self.problems.append(f"{shown}: {url} is defined in {first} too / 重复定义")
                return
        self.defined.append(Defined(document, shown))


def _order(version: str) -> list[tuple[int, str]]:
    """Return a key by which 1.10 is later than 1.9."""
    parts = re.split(r"[.\-+]", version)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
