"""Free pages go back to the disk: a few at a time while the hub runs, or all in one rewriting.

A database that keeps track of where its pages are used (`auto_vacuum`) can move the last page of
the file into a free one and be cut. Each step is a short transaction like any other: readers and
writers go on, and whatever is interrupted leaves the database whole. One that does not keep
track is made to by rewriting it once, which nobody else may use meanwhile.

Spec: https://www.sqlite.org/pragma.html#pragma_incremental_vacuum
"""

from pathlib import Path
from typing import Any

import apsw

_PAGES = 256  # moved in one transaction: a megabyte
_INCREMENTAL = 2


def keep_track(connection: apsw.Connection) -> None:
    """Let a database that is new be able to give pages back; of one that is there nothing."""
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")


def free_pages(connection: apsw.Connection) -> int:
    """Give some free pages back in the present transaction; return how many bytes."""
    before = _number(connection, "freelist_count")
    if before:
        connection.execute(f"PRAGMA incremental_vacuum({_PAGES})").fetchall()
    freed = before - _number(connection, "freelist_count") if before else 0
    return freed * _number(connection, "page_size") if freed else 0


def keeps_track(path: Path) -> bool:
    """Say whether pages of the database can be given back while it is used."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        connection.set_busy_timeout(10_000)
        return _number(connection, "auto_vacuum") == _INCREMENTAL
    finally:
        connection.close()


def rewrite(path: Path) -> None:
    """Write the database anew without free pages, and let it keep track from now on.

    Nobody else may use it. It is the old one until the moment when it is the new one, whatever
    is interrupted. Raises `OSError` if there is no room for both.
    """
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA journal_mode = DELETE")
        keep_track(connection)
        connection.execute("VACUUM")
        connection.execute("PRAGMA journal_mode = WAL")
    except apsw.Error as error:
        raise OSError(f"{path.name} cannot be rewritten ({type(error).__name__})") from None
    finally:
        connection.close()


def _number(connection: apsw.Connection, pragma: str) -> int:
    rows: list[Any] = connection.execute(f"PRAGMA {pragma}").fetchall()
    return int(rows[0][0])
