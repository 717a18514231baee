"""A database file copied while a hub writes to it, and what can be said of a copy.

The copy is made page by page under one read transaction: it is the database as it was at one
commit, however long it takes, and no writer waits for it. A copy is one file without a log
beside it, synced before anybody hears of it.

Spec: https://www.sqlite.org/backup.html
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import apsw

from fhir_hub.store.base import CannotOpen
from fhir_hub.store.sqlite.migrations import APPLICATION_ID, MIGRATIONS

_PAGES = 2000  # copied between two reports of progress
Progress = Callable[[int, int], None]


class Facts(NamedTuple):
    """What a database holds.

    `schema` counts the migrations that it has had, `sequence` is the last commit's, `newest` the
    latest `lastUpdated` (microseconds), `resources` are the current ones by type, `messages` the
    journal's by state.
    """

    schema: int
    sequence: int
    newest: int
    resources: dict[str, int]
    versions: int
    messages: dict[str, int]


def no_progress(done: int, total: int) -> None:
    """Tell nobody."""


def copy_database(source: Path, target: Path, progress: Progress = no_progress) -> None:
    """Copy the database at `source` as it is at this moment to the new file `target`.

    `progress` hears of pages: copied, of all. Raises `CannotOpen` if `source` cannot be read,
    `OSError` if `target` cannot be written.
    """
    reading = open_still(source)
    try:
        reading.execute("BEGIN")
        reading.execute("SELECT count(*) FROM sqlite_schema").fetchall()  # from here on it stands
        try:
            writing = apsw.Connection(str(target))
            try:
                writing.execute("PRAGMA synchronous = OFF")
                with writing.backup("main", reading, "main") as work:
                    while not work.done:
                        work.step(_PAGES)
                        progress(work.page_count - work.remaining, work.page_count)
                writing.execute("PRAGMA journal_mode = DELETE")  # no log beside the copy
            finally:
                writing.close()
        except apsw.Error as error:
            raise OSError(f"cannot write {target.name} ({type(error).__name__})") from None
    finally:
        reading.close()
    sync(target)


def open_still(path: Path) -> apsw.Connection:
    """Return a connection that only reads and leaves the file's log as it is.

    Raises `CannotOpen` if there is no database.
    """
    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        connection.set_busy_timeout(10_000)
        connection.execute("PRAGMA query_only = ON")
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
    except apsw.Error as error:
        raise CannotOpen(f"cannot read {path} ({type(error).__name__}) / 无法读取数据库") from None
    return connection


def gather(path: Path) -> None:
    """Bring what stands in the log beside a database into its file, and remove the log.

    Nobody else may have it open. Raises `OSError` if the log stays.
    """
    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA journal_mode = DELETE")
        finally:
            connection.close()
    except apsw.Error as error:
        raise OSError(f"cannot write {path.name} ({type(error).__name__})") from None
    sync(path)


def is_in_use(path: Path) -> bool:
    """Say whether another process has the database open."""
    connection = None
    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("ROLLBACK")
    except apsw.BusyError:
        return True
    except apsw.Error:  # damaged, or no database: nobody can work with it
        return False
    finally:
        if connection is not None:
            connection.close()
    return False


def damages(path: Path, *, is_quick: bool = False, most: int = 100) -> list[str]:
    """Return what SQLite finds wrong with the file, no content; nothing if it is whole.

    `is_quick` leaves out whether indexes agree with their tables.
    """
    connection = open_still(path)
    try:
        name = "quick_check" if is_quick else "integrity_check"
        rows: list[Any] = connection.execute(f"PRAGMA {name}({most})").fetchall()
        found = [str(row[0]) for row in rows]
        return [] if found == ["ok"] else found
    except apsw.Error as error:
        return [f"the file cannot be read to its end ({type(error).__name__})"]
    finally:
        connection.close()


def facts(path: Path) -> Facts:
    """Return what the hub's database at `path` holds. Raises `CannotOpen` if it is none of ours."""
    connection = open_still(path)
    try:
        schema = require_ours(connection)
        one = connection.execute
        resources: list[Any] = one(
            "SELECT t.name, sum(s.resources) FROM shape s JOIN type t ON t.id = s.type"
            " GROUP BY t.name HAVING sum(s.resources) > 0 ORDER BY t.name"
        ).fetchall()
        last: Any = one(
            "SELECT sequence, newest FROM version ORDER BY sequence DESC LIMIT 1"
        ).fetchone() or (0, 0)
        states: list[Any] = one(
            "SELECT state, count(*) FROM message GROUP BY state ORDER BY state"
        ).fetchall()
        versions: Any = one("SELECT count(*) FROM version").fetchall()
    except apsw.Error as error:
        raise CannotOpen(f"cannot read {path} ({type(error).__name__}) / 无法读取数据库") from None
    finally:
        connection.close()
    sequence, newest = last
    return Facts(schema, sequence, newest, dict(resources), versions[0][0], dict(states))


def require_ours(connection: apsw.Connection) -> int:
    """Return how many migrations the database has had.

    Raises `CannotOpen` if it is not a hub's, or of a newer program.
    """
    schema: Any = connection.pragma("user_version")
    if connection.pragma("application_id") != APPLICATION_ID:
        raise CannotOpen("the file is no database of a hub / 该文件不是平台的数据库")
    if schema > len(MIGRATIONS):
        raise CannotOpen(
            f"the database is of a newer version ({schema}; this program knows "
            f"{len(MIGRATIONS)}): upgrade the program / 数据库版本较新,请升级程序"
        )
    return int(schema)


def sync(path: Path) -> None:
    """Return when what is in the file, or in the folder, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
