"""The file of imported terminology: its tables, and how it is opened.

It lies beside the hub's database and is no part of it: it can be thrown away and imported
again. An import is one transaction, so a crash leaves what was there before, and readers see
the new content when it is whole.

Names are in a full-text index by word. Chinese has no spaces, so each of its characters counts
as a word there, and a word of a query as those characters in a row.
"""

import re
from pathlib import Path

import apsw

from fhir_hub.store.base import CannotOpen

_VERSION = 1
_SCHEMA = """
CREATE TABLE system (
  id INTEGER PRIMARY KEY, url TEXT NOT NULL, version TEXT NOT NULL, facts TEXT NOT NULL,
  concepts INTEGER NOT NULL, imported TEXT NOT NULL, UNIQUE (url, version)
);
CREATE TABLE concept (
  id INTEGER PRIMARY KEY, system INTEGER NOT NULL, code TEXT NOT NULL, display TEXT NOT NULL,
  definition TEXT NOT NULL, status TEXT NOT NULL, inactive INTEGER NOT NULL,
  abstract INTEGER NOT NULL, UNIQUE (system, code)
);
CREATE TABLE designation (
  concept INTEGER NOT NULL, language TEXT NOT NULL, used TEXT NOT NULL, value TEXT NOT NULL
);
CREATE INDEX designation_concept ON designation (concept);
CREATE TABLE property (
  concept INTEGER NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, kind TEXT NOT NULL
);
CREATE INDEX property_concept ON property (concept);
CREATE INDEX property_value ON property (name, value, concept);
CREATE TABLE link (
  child INTEGER NOT NULL, parent INTEGER NOT NULL, PRIMARY KEY (child, parent)
) WITHOUT ROWID;
CREATE INDEX link_parent ON link (parent, child);
CREATE TABLE resource (
  kind TEXT NOT NULL, url TEXT NOT NULL, version TEXT NOT NULL, content BLOB NOT NULL,
  imported TEXT NOT NULL, PRIMARY KEY (kind, url, version)
) WITHOUT ROWID;
CREATE VIRTUAL TABLE name USING fts5 (
  words, content = '', contentless_delete = 1, prefix = '1 2 3', tokenize = 'unicode61'
);
"""
_IDEOGRAPH = re.compile(r"([\u2e80-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])")


def open_to_write(path: Path) -> apsw.Connection:
    """Return a connection that writes; it makes the file and its tables. Raises `CannotOpen`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = apsw.Connection(str(path))
        connection.set_busy_timeout(10_000)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA cache_size = -65536")
        version = connection.pragma("user_version")
        if version == 0:
            connection.execute(f"BEGIN; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT")
    except (OSError, apsw.Error) as error:
        raise _no_database(path, type(error).__name__) from None
    if version not in (0, _VERSION):
        raise _no_database(path, f"version {version}")
    connection.create_scalar_function("spaced", _spaced, 1, deterministic=True)
    return connection


def open_to_read(path: Path) -> apsw.Connection | None:
    """Return a connection that reads, None without a file. Raises `CannotOpen`."""
    if not path.is_file():
        return None
    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        connection.set_busy_timeout(10_000)
        connection.execute("PRAGMA cache_size = -8192")
        version = connection.pragma("user_version")
    except apsw.Error as error:
        raise _no_database(path, type(error).__name__) from None
    if version != _VERSION:
        raise _no_database(path, f"version {version}")
    return connection


def spaced(text: str) -> str:
    """Return `text` with each ideograph as a word of its own.

    >>> spaced("高血压 I期")
    ' 高  血  压  I 期 '
    """
    return _IDEOGRAPH.sub(r" \1 ", text)


def _spaced(*values: object) -> str:
    return spaced(str(values[0]))


def match_of(words: list[str]) -> str:
    """Return the full-text query for all `words`, each the start of a word; empty if none is one.

    >>> match_of(["emerg", "高血压"])
    '"emerg"* AND "高 血 压"*'
    """
    found = []
    for word in words:
        tokens = " ".join(re.findall(r"\w+", spaced(word)))
        if tokens:
            found.append(f'"{tokens}"*')
    return " AND ".join(found)


def _no_database(path: Path, why: str) -> CannotOpen:
    return CannotOpen(
        f"cannot open the terminology store {path} ({why}) / 无法打开术语库 {path.name}"
    )
