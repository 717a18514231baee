"""The maps of a hub, read and checked at its start; which of them holds for a message.

`load_mappings` fails with everything that is wrong, by file and row, before a message comes.
A program is compiled once for each structure and combination of senders' files.

Spec: DESIGN 2a
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from fhir_hub.errors import InvalidMessage
from fhir_hub.hl7v2.datatypes.code_tables import joined, read_table
from fhir_hub.hl7v2.datatypes.context import Table
from fhir_hub.hl7v2.making.completeness import Completeness
from fhir_hub.hl7v2.making.memory import Memories
from fhir_hub.hl7v2.maps.map_files import (
    InvalidMapping,
    MapFiles,
    built_in_folder,
    entries_of,
    read_files,
    rows_of,
)
from fhir_hub.hl7v2.maps.programs import GENERIC_NAME, Program, compile_program, structures_of
from fhir_hub.hl7v2.maps.table_codes import wrong_codes, wrong_properties
from fhir_hub.hl7v2.parsing.er7 import Encoding, Message, Segment
from fhir_hub.hl7v2.parsing.path import Path as FieldPath
from fhir_hub.hl7v2.parsing.path import parse_path
from fhir_hub.hl7v2.parsing.structure import problem, structure
from fhir_hub.hl7v2.rows.row import Scope
from fhir_hub.hl7v2.senders.local_codes import LocalCodes
from fhir_hub.hl7v2.senders.settings import Settings
from fhir_hub.nearest import did_you_mean
from fhir_hub.r4.definitions import Definitions


@dataclass(frozen=True, slots=True)
class Sender:
    """One sender's file: the header fields by which it is known, its settings and tables."""

    name: str
    match: Mapping[FieldPath, frozenset[str]]
    settings: Mapping[str, Any]
    tables: Mapping[str, Table]
    rank: int = 0

    def is_of(self, message: Message) -> bool:
        """Say whether the message comes from this sender; a file without `match` is by name."""
        header = message.header
        return bool(self.match) and all(
            header.value(path.field, path.component or 1) in wanted
            for path, wanted in self.match.items()
        )


class Compiled(NamedTuple):
    """What maps compile to: scopes by senders, programs by structure and senders."""

    scopes: dict[tuple[str, ...], Scope]
    programs: dict[tuple[str, tuple[str, ...]], Program]


_KEPT: dict[str, Compiled] = {}  # what maps without a fault compiled to, by their hash
_MOST_KEPT = 2
_MOST_KNOWN, _LONGEST_TOLD = 512, 500  # headers whose senders are remembered, and their length


def require_type(message: Message) -> None:
    """Raise `InvalidMessage` (AR 101) where MSH-9 names no message type."""
    if not message.header.value(9):
        raise InvalidMessage(
            "MSH-9 names no message type / MSH-9 未写消息类型",
            error_code="101",
            location="MSH-9",
            ack_code="AR",
        )


def _keep(digest: str, compiled: Compiled) -> None:
    """Keep what was compiled: maps that did not change are not compiled or checked again."""
    _KEPT.pop(digest, None)
    _KEPT[digest] = compiled
    while len(_KEPT) > _MOST_KEPT:
        del _KEPT[next(iter(_KEPT))]


class Mappings:
    """The maps in force; `files` is what they were made of.

    `of_files` names their files: what a site calls them, if it does, and a hash of all; `version`
    also, behind a `+`, the stored ConceptMaps that were learned. `refused` is what was wrong with
    newer ones that were not taken.
    """

    def __init__(self, files: MapFiles, definitions: Definitions) -> None:
        self.files = files
        self.of_files = f"{files.version}-{files.digest[:12]}".lstrip("-")
        self.version = self.of_files
        self.refused: tuple[str, ...] = ()
        self.local_codes = LocalCodes(files.concept_maps)
        self._definitions = definitions
        self.completeness = Completeness(definitions)
        problems = files.problems
        self._senders = [_sender(name, files, problems) for name in sorted(files.senders)]
        self._fields_told = sorted({path.field for one in self._senders for path in one.match})
        self._known: dict[tuple[str, Encoding, tuple[str, ...]], tuple[str, ...]] = {}
        self._structures_known: dict[tuple[str, Encoding], str] = {}
        self._settings_known: dict[tuple[str, ...], Settings] = {}
        self._structures = {one for each in files.messages.values() for one in structures_of(each)}
        self._programs: dict[tuple[str, tuple[str, ...]], Program] = {}
        self._memories: dict[tuple[str, ...], Memories] = {}
        if not all(one.startswith("senders/") for one in problems):  # nothing holds without those
            raise InvalidMapping(problems)
        digest = files.digest
        self._compiled = _KEPT.get(digest) or Compiled({}, {})
        if digest not in _KEPT:
            for senders, name in self._to_check():
                self._program(name, senders, problems)
            self._check_overlays(problems)
        if problems:
            raise InvalidMapping(tuple(dict.fromkeys(problems)))
        _keep(digest, self._compiled)

    def become(self, other: "Mappings") -> None:
        """Be these maps from the next message on, for everybody who holds them."""
        vars(self).update(vars(other))

    def learn(self, stored: Iterable[Mapping[str, Any]]) -> None:
        """Take what stored ConceptMaps say of local codes, after those of the files.

        Of a code that several map the one that was written last counts, in every process.
        """
        more = LocalCodes(sorted(stored, key=_written))
        self.local_codes = LocalCodes(self.files.concept_maps).joined(more)
        self.version = f"{self.of_files}+{more.digest()}" if more else self.of_files
        for memories in self._memories.values():
            memories.clear()

    def described(self) -> list[dict[str, Any]]:
        """Return each sender's file: its name, its version, by which fields it is known."""
        return [
            {
                "name": one.name,
                "version": self.files.senders[one.name].get("version", ""),
                "match": {str(path): sorted(wanted) for path, wanted in one.match.items()},
            }
            for one in self._senders
        ]

    @property
    def organization(self) -> Mapping[str, Any] | None:
        """The Organization that runs the hub, None if nobody says which."""
        return self.files.organization

    @property
    def structures(self) -> frozenset[str]:
        """The message structures that have a map of their own."""
        return frozenset(self._structures - {GENERIC_NAME})

    def knows_type(self, message_type: str) -> bool:
        """Say whether any event of this message type (`ADT`) has a structure."""
        prefix = f"{message_type}^"
        return any(event.startswith(prefix) for event in self.files.structures)

    def require_known(self, message: Message) -> None:
        """Raise `InvalidMessage` (AR 200, 201) for an event that neither HL7 nor a map knows.

        So it does (AR 101) where MSH-9 names neither an event nor a structure. `convert` makes of
        such a message what its segments say; a hub does not store by guess.
        """
        code, trigger, named = (message.header.value(9, number) for number in (1, 2, 3))
        event = f"{code}^{trigger}" if trigger else code
        if event in self.files.structures or named in self._structures:
            return
        require_type(message)
        if structure(f"{code}_{trigger}" if trigger else code) is None:
            is_type = self.knows_type(code)
            raise InvalidMessage(
                "the hub does not know this trigger event / 平台不支持该触发事件"
                if is_type
                else "the hub does not know this message type / 平台不支持该消息类型",
                error_code="201" if is_type else "200",
                location="MSH-9",
                ack_code="AR",
            )

    @property
    def senders(self) -> tuple[str, ...]:
        """The names of the senders' files."""
        return tuple(sender.name for sender in self._senders)

    def senders_of(self, message: Message) -> tuple[str, ...]:
        """Return the senders' files that hold for a message, those that say more last."""
        return self._chosen(message, "")

    def settings(self, message: Message, sender: str = "") -> Settings:
        """Return how the sender of a message is to be read; `sender` names its file."""
        chosen = self._chosen(message, sender)
        known = self._settings_known.get(chosen)
        if known is None:
            known = self._settings_known[chosen] = self._settings(chosen)
        return known

    def structure_of(self, message: Message) -> str:
        """Return the message structure: MSH-9.3, else that of the event; `""` if unknown.

        Some senders write the structure as the trigger (`ADT^A04^ADT_A04`).
        """
        header = message.header
        written = header.field(9)
        key = (written, header.encoding)
        known = self._structures_known.get(key)
        if known is None:
            known = self._structure_of(header)
            if len(written) <= _LONGEST_TOLD:
                if len(self._structures_known) >= _MOST_KNOWN:
                    self._structures_known.clear()
                self._structures_known[key] = known
        return known

    def _structure_of(self, header: Segment) -> str:
        code, trigger, named = (header.value(9, number) for number in (1, 2, 3))
        by_event = self.files.structures.get(f"{code}^{trigger}", "")
        if named in self._structures:
            return named
        if by_event:
            return by_event
        by_type = "" if trigger else self.files.structures.get(code, "")
        return named or by_type or f"{code}_{trigger}".strip("_")

    def program(self, message: Message, sender: str = "") -> Program:
        """Return the program for a message; one of the generic map if its structure has none."""
        name = self.structure_of(message)
        chosen = name if name in self._structures else GENERIC_NAME
        return self._program(chosen, self._chosen(message, sender), [])

    def program_of(self, name: str, sender: str = "") -> Program:
        """Return the program of a structure with the rows of one sender's file."""
        return self._program(name, (sender,) if sender else (), [])

    def structure_for(self, event: str) -> str:
        """Return the structure of an event (`ADT^A08`), `""` if none is known."""
        return self.files.structures.get(event, "")

    def _chosen(self, message: Message, sender: str) -> tuple[str, ...]:
        """Return the senders' files that hold, those that say more about the sender last.

        Of those that say as much a site's own comes after the hub's. A feed's headers say the
        same in the fields that tell a sender, so that is worked out once.
        """
        header = message.header
        told = tuple(header.field(number) for number in self._fields_told)
        key = (sender, header.encoding, told)
        known = self._known.get(key)
        if known is None:
            found = [one for one in self._senders if one.name == sender or one.is_of(message)]
            found.sort(key=lambda one: (one.name == sender, len(one.match), one.rank, one.name))
            known = tuple(one.name for one in found)
            if sum(map(len, told)) <= _LONGEST_TOLD:
                if len(self._known) >= _MOST_KNOWN:
                    self._known.clear()
                self._known[key] = known
        return known

    def _settings(self, senders: Sequence[str]) -> Settings:
        settings = Settings()
        for sender in self._named(senders):
            settings = settings.overlaid(sender.settings)
        return settings

    def _named(self, senders: Sequence[str]) -> list[Sender]:
        return [one for name in senders for one in self._senders if one.name == name]

    def _to_check(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Return what must compile before a message comes: every map, every sender's rows.

        The structures of one map differ in their groups alone; a sender matters where it has rows.
        """
        for folder in sorted(self.files.messages):
            structure = structures_of(self.files.messages[folder])[0]
            yield (), structure
            try:
                entries = [written for _, written in entries_of(folder, self.files)]
            except KeyError:
                continue
            used = {name for entry in entries for name in _listed(entry.get("map", []))}
            for sender in self._senders:
                rows = rows_of(self.files.senders[sender.name])
                if any(row["map"] in used for _, row in rows):
                    yield (sender.name,), structure

    def _scope(self, senders: tuple[str, ...]) -> Scope:
        scopes = self._compiled.scopes
        if senders not in scopes:
            tables = dict(self.files.tables)
            for one in self._named(senders):
                tables |= {at: joined(tables.get(at), more) for at, more in one.tables.items()}
            own = (row for name in senders for row in rows_of(self.files.senders[name]))
            changed = frozenset(row["map"] for _, row in own)
            base = self._scope(()) if senders else None
            parts = (self._definitions, tables, self._settings(senders))
            scopes[senders] = Scope(*parts, base=base, changed=changed)
        return scopes[senders]

    def _program(self, name: str, senders: tuple[str, ...], problems: list[str]) -> Program:
        key = (name, senders)
        if key not in self._programs:
            compiled = self._compiled.programs
            if key not in compiled:
                scope = self._scope(senders)
                compiled[key] = compile_program(name, self.files, scope, senders, problems)
            memories = self._memories.setdefault(senders, Memories())
            self._programs[key] = replace(compiled[key], memories=memories)
        return self._programs[key]

    def _check_overlays(self, problems: list[str]) -> None:
        used = {
            name
            for document in self.files.messages
            for _, entry in entries_of(document, self.files)
            for name in _listed(entry.get("map", []))
        }
        for sender, document in self.files.senders.items():
            for number, row in rows_of(document):
                if row["map"] not in used:
                    where = f"senders/{sender}.toml row {number}"
                    near = did_you_mean(row["map"], used)
                    problems.append(f"{where}: no message uses a map {row['map']}{near}")
        tables = {f"tables/{name}.toml": {name: one} for name, one in self.files.tables.items()}
        tables |= {f"senders/{one.name}.toml": dict(one.tables) for one in self._senders}
        problems += wrong_codes(self.files.segments.values(), tables, self._definitions)
        problems += wrong_properties(tables, self._definitions)
        for name in sorted(set(self.files.segments) - used):
            problems.append(f"segments/{name}.toml: no message uses this map")


def load_mappings(
    definitions: Definitions,
    folders: Sequence[Path] = (),
    organization: Mapping[str, Any] | None = None,
) -> Mappings:
    """Return the built-in maps with those of a site's `folders`; of one name the last file holds.

    `organization` is the Organization that runs the hub, None if nobody says which. Raises
    `InvalidMapping` with all that is wrong, each with file and row.
    """
    return Mappings(read_files([built_in_folder(), *folders], organization), definitions)


def _written(resource: Mapping[str, Any]) -> tuple[str, str]:
    return resource.get("meta", {}).get("lastUpdated", ""), resource.get("id", "")


def _listed(written: str | list[str]) -> list[str]:
    return [written] if isinstance(written, str) else written


def _sender(name: str, files: MapFiles, problems: list[str]) -> Sender:
    document = files.senders[name]
    where = f"senders/{name}.toml"
    match: dict[FieldPath, frozenset[str]] = {}
    for key, wanted in document.get("match", {}).items():
        try:
            path = parse_path(key)
        except ValueError as error:
            problems.append(f"{where}: {error}")
            continue
        if path.segment != "MSH" or problem(path):
            problems.append(f"{where}: a sender is known by fields of MSH, not by {key}")
        match[path] = frozenset(_listed(wanted))
    tables = {}
    known = {*files.tables, *(row["table"] for row in _rows(files) if "table" in row)}
    for table, written in document.get("table", {}).items():
        try:
            tables[table] = read_table(table, {"source": document["source"], **written})
        except ValueError as error:
            problems.append(f"{where}: {error}")
            tables[table] = read_table(table, {"source": where})
        if table not in known:
            near = did_you_mean(table, known, "see mappings/tables/")
            problems.append(f"{where}: no row reads a table {table}{near}")
    settings = dict(document.get("settings", {}))
    for key in [*settings]:
        try:
            Settings().overlaid({key: settings[key]})
        except ValueError as error:
            problems.append(f"{where}: {error}")
            del settings[key]
    return Sender(name, match, settings, tables, files.ranks[name])


def _rows(files: MapFiles) -> Iterator[Mapping[str, Any]]:
    """Yield every row of a segment's map or a sender's file."""
    for document in (*files.segments.values(), *files.senders.values()):
        yield from (row for _, row in rows_of(document))
