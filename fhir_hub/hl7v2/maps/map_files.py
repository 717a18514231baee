"""The files of `mappings/` as they are written: read once, checked for shape, not yet understood.

A site's folder has the same shape as the built-in one; a file there replaces that of the same
name. Every problem is told with its file and row, all at once.

Spec: DESIGN 2a; https://toml.io/en/v1.0.0
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from fhir_hub import fhirjson
from fhir_hub.errors import FhirError
from fhir_hub.hl7v2.datatypes.code_tables import read_table
from fhir_hub.hl7v2.datatypes.context import Table
from fhir_hub.hl7v2.maps.chinese import WRONG, in_both
from fhir_hub.r4.checks.chinese import with_chinese
from fhir_hub.r4.checks.run import Checks
from fhir_hub.r4.checks.schema import Schema
from fhir_hub.r4.definitions import load_definitions
from fhir_hub.settings.toml import NotToml, read_toml

_PACKAGE = Path(__file__).resolve().parents[2]
_SENDERS_PART = re.compile(r" (?:row (\d+)|/(settings|match|table|field))\b").match
_ROW = re.compile(r"/(field|resource)/(\d+)((?:/.*)?)")
Document = Mapping[str, Any]
HUB = {"resourceType": "Organization", "name": "fhir-hub"}  # in a map: who runs this hub


class InvalidMapping(Exception):
    """The mapping files cannot be used; `problems` are all that is wrong, by file and row."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(map(in_both, problems))
        super().__init__("\n".join(self.problems))


@dataclass(slots=True)
class MapFiles:
    """What is written: segment maps, message maps and what those share (`parts`), senders by file
    name, and the code tables.

    `structures` says which message structure an event has, `ranks` in which of the folders a
    sender's file is. `version` is what a folder's `version.toml` says; `read` has the name and
    hash of what was read. `organization` runs the hub: it stands where a segment map says `HUB`.
    All of it is plain data, which one process may give to another.
    """

    segments: dict[str, Document] = field(default_factory=dict)
    messages: dict[str, Document] = field(default_factory=dict)
    parts: dict[str, Document] = field(default_factory=dict)
    senders: dict[str, Document] = field(default_factory=dict)
    ranks: dict[str, int] = field(default_factory=dict)
    concept_maps: list[Document] = field(default_factory=list)
    tables: dict[str, Table] = field(default_factory=dict)
    structures: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    version: str = ""
    organization: Document | None = None
    read: list[str] = field(default_factory=list)

    @property
    def digest(self) -> str:
        """The hash of all that was read."""
        return hashlib.sha256("\n".join(self.read).encode()).hexdigest()

    def note(self, name: str, octets: bytes) -> None:
        """Have what was read count."""
        self.read.append(f"{hashlib.sha256(octets).hexdigest()} {name}")


def built_in_folder() -> Path:
    """Return the folder of the maps that come with the hub: in the wheel, or the repository's."""
    inside = _PACKAGE / "mappings"
    return inside if inside.is_dir() else _PACKAGE.parent / "mappings"


def read_files(folders: Sequence[Path], organization: Document | None = None) -> MapFiles:
    """Return what the folders hold, later ones before earlier ones; problems are collected.

    `organization` is the Organization that runs the hub, None if nobody says which.
    """
    files = MapFiles(organization=organization)
    for rank, folder in enumerate(folders):
        if not folder.is_dir():
            files.problems.append(f"{folder.absolute()}: there is no such folder / 没有该目录")
        files.problems += _misspelt(folder)
        for path, document in _documents(folder, "segments/*.toml", _schema("segment"), files):
            files.segments[path.stem] = _with_hub(document, organization)
        for path, document in _documents(folder, "messages/*/map.toml", _schema("message"), files):
            files.messages[path.parent.name] = document
        for path, document in _documents(folder, "parts/*.toml", _schema("part"), files):
            files.parts[path.stem] = document
        pattern = "senders/*.toml"
        for path, document in _documents(folder, pattern, _schema("sender"), files, _in_order):
            files.senders[path.stem] = document
            files.ranks[path.stem] = rank
        files.concept_maps += _concept_maps(folder, files)
        for _, document in _documents(folder, "version.toml", _schema("version"), files):
            files.version = document["version"]
        pattern = "messages/structures.toml"
        for _, document in _documents(folder, pattern, _schema("structures"), files):
            files.structures |= document["structure"]
        for path, document in _documents(folder, "tables/*.toml", None, files):
            try:
                files.tables[path.stem] = read_table(path.stem, document)
            except ValueError as error:
                files.problems.append(f"{_shown(path)}: {error}")
    if organization is not None:
        files.note("organization", fhirjson.canonical(organization))
    return files


def _misspelt(folder: Path) -> Iterator[str]:
    """Yield of each file that is not read because its name ends in capitals that it is so."""
    for path in sorted((*folder.glob("*/*"), *folder.glob("messages/*/*"))):
        ending = path.suffix.lower()
        if path.suffix != ending and ending in (".toml", ".json"):
            yield f"{_shown(path)}: write {ending} in small letters / 扩展名请用小写 {ending}"


def _with_hub(document: Document, organization: Document | None) -> Document:
    """Return a segment map with the Organization that runs the hub in its place."""
    rows = document["field"]
    if organization is None or all(row.get("value") != HUB for row in rows):
        return document
    own = {"value": organization}
    return {
        **document,
        "field": [{**row, **own} if row.get("value") == HUB else row for row in rows],
    }


def _concept_maps(folder: Path, files: MapFiles) -> Iterator[Document]:
    """Yield the ConceptMaps of a folder that are in order."""
    for path in sorted(folder.glob("conceptmaps/*.json")):
        try:
            octets = path.read_bytes()
            files.note(_shown(path), octets)
            resource = fhirjson.loads(octets)
        except (OSError, ValueError, FhirError) as error:
            files.problems.append(f"{_shown(path)}: no JSON: {error}")
            continue
        problems = [
            f"{_shown(path)} {issue.expression}: {issue.diagnostics} / {issue.chinese or WRONG}"
            for issue in with_chinese(_checks().check(resource))
            if issue.severity == "error"
        ]
        if not problems and resource.get("resourceType") != "ConceptMap":
            problems = [f"{_shown(path)}: no ConceptMap"]
        files.problems += problems
        if not problems:
            yield resource


@cache
def _checks() -> Checks:
    return Checks(load_definitions())


def entries_of(name: str, files: MapFiles) -> list[tuple[str, Document]]:
    """Return the entries of the message map in a folder, those of its parts first.

    Each comes with the place where it is written. Raises `KeyError` for a part that is not there.
    """
    document = files.messages[name]
    found = [
        (f"parts/{part}.toml resource {number}", written)
        for part in document.get("parts", ())
        for number, written in enumerate(files.parts[part]["resource"], start=1)
    ]
    found += [
        (f"messages/{name}/map.toml resource {number}", written)
        for number, written in enumerate(document.get("resource", ()), start=1)
    ]
    return found


@cache
def _schema(kind: str) -> Schema:
    """Return the schema of one kind of files."""
    written = (built_in_folder() / f"{kind}.schema.json").read_text("utf-8")
    return Schema(json.loads(written))


def _documents(
    folder: Path,
    pattern: str,
    schema: Schema | None,
    files: MapFiles,
    rest: Callable[[Document, Sequence[str]], Document | None] = lambda document, found: None,
) -> Iterator[tuple[Path, Document]]:
    """Yield the files that are in order; of the others what is told is the `rest`, if anything."""
    for path in sorted(folder.glob(pattern)):
        octets = path.read_bytes()
        files.note(_shown(path), octets)
        document, found = parsed(octets, schema)
        files.problems += [f"{_shown(path)}{problem}" for problem in found]
        in_order = rest(document, found) if found else document
        if in_order is not None:
            yield path, in_order


def _in_order(document: Document, found: Sequence[str]) -> Document | None:
    """Return a sender's file without what its form forbids, so that the rest is looked at too."""
    wrong = [match for match in map(_SENDERS_PART, found) if match]
    if len(wrong) < len(found):
        return None
    rows, parts = {match[1] for match in wrong}, {match[2] for match in wrong}
    left = {key: value for key, value in document.items() if key not in parts}
    numbered = enumerate(left.get("field", ()), start=1)
    return left | {"field": [{} if str(number) in rows else row for number, row in numbered]}


def rows_of(document: Document) -> list[tuple[int, Document]]:
    """Return the rows of a sender's file with their numbers, without those of no good form."""
    return [(at, row) for at, row in enumerate(document.get("field", ()), start=1) if row]


@lru_cache(maxsize=1024)
def parsed(octets: bytes, schema: Schema | None) -> tuple[Document, tuple[str, ...]]:
    """Return what a file says, and what is wrong with it by its schema.

    A file that did not change is read once, however often maps are loaded; nobody changes what
    is returned.
    """
    try:
        document = read_toml(octets)
    except NotToml as error:
        return {}, (error.told,)
    found = schema.problems(document) if schema else []
    return document, tuple(f" {_place(_bracketed(problem, document))}" for problem in found)


def _bracketed(problem: str, document: Document) -> str:
    """Return the problem in TOML's own words where a key has the brackets of the other kind."""
    pointer, _, text = problem.partition(": ")
    name = pointer.removeprefix("/")
    value = document.get(name)
    if text.endswith("is not of type 'array'") and isinstance(value, dict):
        return f"{pointer}: write [[{name}]], not [{name}]"
    if text.endswith("is not of type 'object'") and isinstance(value, list):
        return f"{pointer}: write [{name}], not [[{name}]]"
    return problem


def _shown(path: Path) -> str:
    """Return a file as `segments/PID-Patient.toml`."""
    parts = path.parts[-3:] if path.name == "map.toml" else path.parts[-2:]
    return "/".join(parts)


def _place(problem: str) -> str:
    pointer, _, text = problem.partition(": ")
    match = _ROW.fullmatch(pointer)
    if not match:
        return f"{pointer}: {text}"
    kind = "row" if match[1] == "field" else "resource"
    return f"{kind} {int(match[2]) + 1}: {match[3]} {text}".replace(":  ", ": ")
