"""Open a connection as the hub needs it: durable, write-ahead, small log.

Every commit is synced (`FULL`). When the log goes back into the database is `checkpoints.py`'s.
"""

import os
from pathlib import Path

import apsw

from fhir_hub.store.base import CannotOpen
from fhir_hub.store.sqlite.compacting import keep_track

_PAGE_BYTES = 4096
LOG_PAGES = 16_384  # a page of it that is written again before it goes back goes back once
_LOG_BYTES = 2 * LOG_PAGES * _PAGE_BYTES
_REASONS = (
    (apsw.FullError, "the disk is full"),
    (apsw.IOError, "the disk takes no more"),
    (apsw.ReadOnlyError, "it is read-only"),
    (apsw.CorruptError, "the file is damaged; fhir-hub check says where"),
    (apsw.NotADBError, "it is no file of SQLite"),
    (apsw.CantOpenError, "it is a folder, or there are no rights to it"),
)
_STATEMENTS = 256  # kept compiled, by SQL text
# of the writer: what is kept is a ring, and each use of any statement moves it one place on
_WRITER_STATEMENTS = 512  # apsw takes no more


def open_writer(path: Path) -> apsw.Connection:
    """Return the connection that writes, one thread at a time; it makes the file.

    Raises `CannotOpen`.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = _open(
            path, apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE, _WRITER_STATEMENTS
        )
        connection.set_busy_timeout(10_000)
        connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
        keep_track(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES}")
        connection.execute("PRAGMA cache_size = -32768")
    except (OSError, apsw.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else reason_of(error)
        reason = reason or type(error).__name__
        raise CannotOpen(
            f"cannot open the database {path}: {reason} / 无法打开数据库文件"
        ) from None
    return connection


def reason_of(error: Exception) -> str:
    """Return why SQLite could not, in words of people; empty if there are none."""
    return next((told for kind, told in _REASONS if isinstance(error, kind)), "")


def free_bytes(file: str) -> int | None:
    """Return what the disk of a file still takes from this process, None if it does not say.

    Spec: statvfs(3)
    """
    try:
        disk = os.statvfs(file)
    except (AttributeError, OSError):  # it is not there on every system
        return None
    blocks = disk.f_bavail if os.geteuid() else disk.f_bfree  # root may fill what is held back
    return blocks * disk.f_frsize if disk.f_blocks else None


def open_reader(path: Path, cache_kib: int, mapped_mb: int = 0) -> apsw.Connection:
    """Return a connection that only reads, with a page cache of its own; one thread at a time.

    The first `mapped_mb` of the file are read as memory, not through that cache.

    Spec: https://www.sqlite.org/mmap.html
    """
    connection = _open(path, apsw.SQLITE_OPEN_READONLY)
    connection.execute(f"PRAGMA mmap_size = {mapped_mb << 20}")
    connection.set_busy_timeout(10_000)
    connection.execute(f"PRAGMA cache_size = -{cache_kib}")
    connection.execute("PRAGMA query_only = ON")
    return connection


def _open(path: Path, flags: int, statements: int = _STATEMENTS) -> apsw.Connection:
    # a lock and its release for each column of each row were 3 % of a search and of a write
    flags |= apsw.SQLITE_OPEN_NOMUTEX
    connection = apsw.Connection(str(path), flags=flags, statementcachesize=statements)
    # else a statement that binds its LIMIT is compiled anew whenever that is bound
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection
