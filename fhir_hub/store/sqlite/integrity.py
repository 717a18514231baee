"""What references hold: is their target there, and who still refers to what is to be deleted.

A target is found by its key. Who refers to a resource is found in `by_code`, once for each
parameter that holds references: there are few, and each is one step into an index.

Spec: https://hl7.org/fhir/R4/references.html
"""

import json
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import apsw

from fhir_hub.r4.references import ENVELOPES, RECORDS
from fhir_hub.store.base import (
    Broken,
    Change,
    Key,
    Referrer,
    Referrers,
    Target,
    version_number,
)
from fhir_hub.store.sqlite.names import Names

_FIND = "SELECT rid, shape FROM resource WHERE type = ? AND logical_id = ?"
_VERSION = "SELECT 1 FROM version WHERE rid = ? AND version_id = ? AND method <> 'DELETE'"
_REFERRERS = (
    " FROM parameter p CROSS JOIN by_code b ON b.parameter = p.id AND b.code = ?"
    " WHERE p.kind = 'reference' AND p.type NOT IN (SELECT value FROM json_each(?))"
    " AND b.rid NOT IN (SELECT value FROM json_each(?))"
)
_ANY = f"SELECT 1{_REFERRERS} LIMIT 1"
_COUNT = f"SELECT count(DISTINCT b.rid){_REFERRERS}"
_FIRST = (
    "SELECT r.type, r.logical_id, f.name FROM"
    f" (SELECT b.rid, min(p.name) AS name{_REFERRERS} GROUP BY b.rid ORDER BY b.rid LIMIT ?) f"
    " CROSS JOIN resource r ON r.rid = f.rid ORDER BY f.rid"
)


def _key(change: Change) -> Key:
    return Key(change.resource_type, change.logical_id)


class Integrity:
    """References as one connection sees them."""

    def __init__(
        self,
        connection: apsw.Connection,
        names: Names,
        there: set[tuple[int | None, str]] | None = None,
    ) -> None:
        """Look up no target of `there`: by type and id, those that surely are not deleted."""
        self._connection, self._names = connection, names
        self._there = set() if there is None else there

    def check(self, changes: Sequence[Change], targets: Collection[Target]) -> None:
        """Raise `Broken` unless references stay whole when `changes` are stored."""
        missing = [target for target in targets if not self._is_there(target)]
        held = []
        if deleted := [_key(change) for change in changes if change.method == "DELETE"]:
            gone = set(deleted)
            missing += [t for t in targets if Key(*t[:2]) in gone and not t.may_be_deleted]
            without = self._numbers(map(_key, changes))
            for key in deleted:
                if self._connection.execute(_ANY, self._bound(key, without)).fetchone():
                    held.append(key)
        if missing or held:
            raise Broken(missing, held)

    def referrers(self, key: Key, most: int, without: Collection[Key]) -> Referrers:
        """Return who refers to a resource, without some and without records."""
        bound = self._bound(key, self._numbers(without))
        rows: list[Any] = self._connection.execute(_FIRST, (*bound, most)).fetchall()
        total: Any = self._connection.execute(_COUNT, bound).fetchall()[0][0]
        names = self._names
        first = [Referrer(names.type_name(number), *rest) for number, *rest in rows]
        return Referrers(first, total)

    def _is_there(self, target: Target) -> bool:
        resource_type, logical_id, version_id, may_be_deleted = target
        key = (self._names.type(resource_type), logical_id)
        if not version_id and key in self._there:
            return True
        row: Any = key[0] and self._connection.execute(_FIND, key).fetchone()
        if not row or not (row[1] or may_be_deleted):  # shape 0: deleted
            return False
        if not version_id:
            if row[1]:
                self._there.add(key)
            return True
        version = (row[0], version_number(version_id))
        return self._connection.execute(_VERSION, version).fetchone() is not None

    def _numbers(self, keys: Iterable[Key]) -> str:
        """Return the numbers of resources as a JSON list."""
        found = []
        for resource_type, logical_id in keys:
            number = self._names.type(resource_type)
            row: Any = self._connection.execute(_FIND, (number, logical_id)).fetchone()
            if row:
                found.append(row[0])
        return json.dumps(found)

    def _bound(self, key: Key, without: str) -> tuple[str, str, str]:
        own = [self._names.type(name) for name in (*RECORDS, *ENVELOPES)]
        return "/".join(key), json.dumps([number for number in own if number]), without
