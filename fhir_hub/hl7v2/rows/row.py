"""A map's row as it is written: `to` which element, `from` which field, `as` which FHIR value.

Instead of a field it may have a constant `value`, a reference by `links`, or a `call`.
`compiler.py` makes a function of it.

Spec: DESIGN 2a
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fhir_hub.hl7v2.datatypes.context import Table
from fhir_hub.hl7v2.parsing.path import Path, parse_path
from fhir_hub.hl7v2.senders.settings import Settings
from fhir_hub.r4.definitions import Definitions

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it is written; `where` is its file and number."""

    where: str
    to: str
    sources: tuple[Path, ...] = ()
    kind: str | Mapping[str, str] = ""
    table: str = ""
    value: Any = None
    links: str = ""
    call: str = ""
    when: Any = None
    unless: Any = None

    @property
    def is_resource(self) -> bool:
        """Say whether the value is a resource, to which the element is to refer."""
        return isinstance(self.value, Mapping) and "resourceType" in self.value


@dataclass(frozen=True, slots=True)
class Scope:
    """What rows are compiled against: the definitions, the code tables, the sender's settings.

    `compiled` keeps each row that is compiled, and `entries` each entry by where it is written:
    maps share their segments' rows, messages the entries of their parts. `plans` has what entries
    do for the shapes that came, `reads` what is read where certain of them run. A sender's scope
    takes from its `base`, that of no sender, the entries that are the same there; those of the maps
    in `changed` have rows of his own.
    """

    definitions: Definitions
    tables: Mapping[str, Table]
    settings: Settings
    compiled: dict[Any, Any] = field(default_factory=dict)
    entries: dict[str, Any] = field(default_factory=dict)
    plans: dict[Any, Any] = field(default_factory=dict)
    reads: dict[Any, Any] = field(default_factory=dict)
    base: "Scope | None" = None
    changed: frozenset[str] = frozenset()

    def as_in_base(self, where: str, maps: str | Sequence[str]) -> Any:
        """Return the base's entry there if it is the same for the sender, else None.

        It is unless he has rows of his own for one of its `maps`, or reads names or a table's codes
        otherwise.
        """
        base = self.base
        entry = base.entries.get(where) if base else None
        if base is None or entry is None or self.settings.name_order != base.settings.name_order:
            return None
        if not self.changed.isdisjoint([maps] if isinstance(maps, str) else maps):
            return None
        tables = {one.row.table for one in (*entry.rows, *entry.late, *entry.last)} - {""}
        return entry if all(self.tables[name] is base.tables[name] for name in tables) else None


def read_row(where: str, document: Mapping[str, Any]) -> Row:
    """Return the row that a file has; raises `ValueError` for a path that is none."""
    sources = document.get("from", ())
    sources = [sources] if isinstance(sources, str) else sources
    return Row(
        where,
        document["to"],
        tuple(parse_path(source) for source in sources),
        document.get("as", ""),
        document.get("table", ""),
        document.get("value"),
        document.get("links", ""),
        document.get("call", ""),
        document.get("when"),
        document.get("unless"),
    )
