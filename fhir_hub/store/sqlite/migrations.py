"""The tables, as numbered steps: a database says how many it has had, and gets the rest.

A resource is a short row; its versions, contents included, are a log that only grows, in the
order of the commit sequence, so nothing is stored twice and history needs no sorting. What a
resource says stands in `entry`, in the order of resources. The same once more, in the order of
values, are the indexes that searches walk: `by_code`, and of intervals `by_point`, `by_low` and
`by_high` (`points.py`). Their keys end with the resource's number, so that new rows go to the
right edge of each value.

`shape` is the set of parameters under which a resource has entries. There are few shapes, so
"has no birth date", the number of a type's resources and statistics cost next to nothing.
"""

from typing import Any

import apsw

from fhir_hub.store.base import CannotOpen
from fhir_hub.store.sqlite import beside, points

APPLICATION_ID = 0x46484952  # "FHIR"

_FIRST = """
CREATE TABLE type (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE parameter (
  id INTEGER PRIMARY KEY,
  type INTEGER NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL,
  width REAL NOT NULL DEFAULT 0,  -- no interval under it is wider
  -- 1: some resource has had two intervals under it, or one code of two systems
  many INTEGER NOT NULL DEFAULT 0,
  UNIQUE (type, name, kind)
);
CREATE TABLE system (id INTEGER PRIMARY KEY, uri TEXT NOT NULL UNIQUE);
CREATE TABLE shape (
  id INTEGER PRIMARY KEY,
  type INTEGER NOT NULL, parameters TEXT NOT NULL,
  resources INTEGER NOT NULL,
  UNIQUE (type, parameters)
);
CREATE TABLE shape_parameter (
  parameter INTEGER NOT NULL, shape INTEGER NOT NULL,
  PRIMARY KEY (parameter, shape)
) WITHOUT ROWID;

CREATE TABLE resource (
  rid INTEGER PRIMARY KEY,
  type INTEGER NOT NULL, logical_id TEXT NOT NULL,
  version_id INTEGER NOT NULL, sequence INTEGER NOT NULL,
  last_updated INTEGER NOT NULL,
  shape INTEGER NOT NULL  -- 0: deleted
);
CREATE UNIQUE INDEX resource_key ON resource (type, logical_id);
CREATE INDEX resource_type ON resource (type) WHERE shape <> 0;
CREATE INDEX resource_updated ON resource (type, last_updated) WHERE shape <> 0;
CREATE INDEX resource_shape ON resource (shape) WHERE shape <> 0;

CREATE TABLE version (
  sequence INTEGER PRIMARY KEY,
  type INTEGER NOT NULL, rid INTEGER NOT NULL, version_id INTEGER NOT NULL,
  last_updated INTEGER NOT NULL,
  newest INTEGER NOT NULL,  -- the greatest last_updated up to this sequence
  method TEXT NOT NULL, content BLOB NOT NULL
);
CREATE INDEX version_type ON version (type);
CREATE UNIQUE INDEX version_resource ON version (rid, version_id);

CREATE TABLE entry (
  rid INTEGER NOT NULL, parameter INTEGER NOT NULL, place INTEGER NOT NULL,
  code TEXT NOT NULL, system INTEGER NOT NULL,
  low, high,
  text TEXT NOT NULL, grouped INTEGER NOT NULL,
  PRIMARY KEY (rid, parameter, place)
) WITHOUT ROWID;
CREATE TABLE by_code (
  parameter INTEGER NOT NULL, code TEXT NOT NULL, rid INTEGER NOT NULL, system INTEGER NOT NULL,
  PRIMARY KEY (parameter, code, rid, system)
) WITHOUT ROWID;
CREATE TABLE by_low (
  parameter INTEGER NOT NULL, low NOT NULL, rid INTEGER NOT NULL,
  PRIMARY KEY (parameter, low, rid)
) WITHOUT ROWID;
CREATE TABLE by_high (
  parameter INTEGER NOT NULL, high NOT NULL, rid INTEGER NOT NULL,
  PRIMARY KEY (parameter, high, rid)
) WITHOUT ROWID;

CREATE TABLE message (
  number INTEGER PRIMARY KEY,
  channel TEXT NOT NULL, key TEXT NOT NULL, digest TEXT NOT NULL, received INTEGER NOT NULL,
  state TEXT NOT NULL, ack BLOB NOT NULL, error TEXT NOT NULL, links TEXT NOT NULL,
  raw BLOB NOT NULL
);
CREATE INDEX message_key ON message (key, digest);
CREATE INDEX message_state ON message (state);
"""

_NOTES = """
CREATE TABLE note (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""

# words stand with blanks between them, so no letters need be known; they are of no use but to find
_FULL_TEXT = """
CREATE VIRTUAL TABLE full_text USING fts5(
  type, narrative, content, tokenize = 'ascii', content = '', contentless_delete = 1
);
"""

# what the first tables did not watch for codes may have been
_WATCHED = """
UPDATE parameter SET many = 1 WHERE kind IN ('token', 'string', 'reference', 'uri');
"""

# the bytes of messages for themselves; what their header says, to find them by
_MESSAGES = """
DROP INDEX message_key;
DROP INDEX message_state;
ALTER TABLE message RENAME TO old_message;
CREATE TABLE message (
  number INTEGER PRIMARY KEY,
  channel TEXT NOT NULL, key TEXT NOT NULL, digest TEXT NOT NULL, received INTEGER NOT NULL,
  type TEXT NOT NULL, application TEXT NOT NULL, facility TEXT NOT NULL, control_id TEXT NOT NULL,
  direction TEXT NOT NULL, replaces INTEGER NOT NULL,
  state TEXT NOT NULL, ack BLOB NOT NULL DEFAULT x'', error TEXT NOT NULL DEFAULT '',
  links TEXT NOT NULL DEFAULT '[]',
  finished INTEGER NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0,
  maps TEXT NOT NULL DEFAULT '', replaced_by INTEGER NOT NULL DEFAULT 0, size INTEGER NOT NULL
);
CREATE TABLE message_raw (number INTEGER PRIMARY KEY, raw BLOB NOT NULL);
INSERT INTO message_raw SELECT number, raw FROM old_message;
INSERT INTO message
  (number, channel, key, digest, received, type, application, facility, control_id, direction,
   replaces, state, ack, error, links, size)
  SELECT number, channel, key, digest, received, '',
    substr(key, 1, instr(key, '|') - 1),
    substr(substr(key, instr(key, '|') + 1), 1, instr(substr(key, instr(key, '|') + 1), '|') - 1),
    substr(substr(key, instr(key, '|') + 1), instr(substr(key, instr(key, '|') + 1), '|') + 1),
    'in', 0, state, ack, error, links, length(raw) FROM old_message;
DROP TABLE old_message;
CREATE INDEX message_key ON message (key, digest);
CREATE INDEX message_state ON message (state);
"""

# messages whose end is still to be told to their sender
_OWED = """
CREATE TABLE owed_answer (number INTEGER PRIMARY KEY);
"""

MIGRATIONS: tuple[str, ...] = (
    _FIRST,
    _NOTES,
    _FULL_TEXT,
    _WATCHED,
    _MESSAGES,
    _OWED,
    beside.MIGRATION,
    beside.MIGRATION_OF_VERSIONS,
    points.MIGRATION,
)


def migrate(connection: apsw.Connection) -> None:
    """Bring the database up to this program's tables.

    A new one gets them at once; else each step is a transaction.

    Raises `CannotOpen` for a database that is not ours or that a newer program has migrated.
    """
    version, application = _mark(connection)
    if application != APPLICATION_ID and (version or _has_tables(connection)):
        raise CannotOpen("the file is a database of another program / 该文件是其他程序的数据库")
    while version < len(MIGRATIONS):
        connection.execute("BEGIN IMMEDIATE")
        try:
            version, _ = _mark(connection)  # another process may have been here meanwhile
            steps = MIGRATIONS[version : version + 1 if version else None]
            for step in steps:
                connection.execute(step)
                version += 1
            if steps:
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {version}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
    if version > len(MIGRATIONS):
        raise CannotOpen(
            f"the database is of a newer version ({version}; this program knows "
            f"{len(MIGRATIONS)}): upgrade the program / 数据库版本较新,请升级程序"
        )


def _mark(connection: apsw.Connection) -> tuple[int, int]:
    version: Any = connection.pragma("user_version")
    application: Any = connection.pragma("application_id")
    return version, application


def _has_tables(connection: apsw.Connection) -> bool:
    return bool(connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall())
