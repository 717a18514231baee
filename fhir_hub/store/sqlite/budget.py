"""A statement that is stopped if it takes long: cheaper than to look before how long it will take.

SQLite calls back after every so many steps of its machine, counted over all runs of a statement.
So nothing happens in a short search, and a long one is stopped after between once and twice as
many steps; whoever asked then asks another way.

Spec: https://www.sqlite.org/c3ref/progress_handler.html
"""

from collections.abc import Sequence
from typing import Any

import apsw

from fhir_hub.store.sqlite.sql import Bound


class Budget:
    """What a statement of a connection may take: about `steps` of SQLite's machine."""

    def __init__(self, connection: apsw.Connection, steps: int) -> None:
        self._connection = connection
        self._calls: int | None = None
        connection.set_progress_handler(self._is_spent, steps)

    def rows(self, text: str, values: Sequence[Bound]) -> list[Any] | None:
        """Return all rows of a statement that reads, or None if it was stopped."""
        self._calls = 0
        try:
            return self._connection.execute(text, values).fetchall()
        except apsw.InterruptError:
            return None
        finally:
            self._calls = None

    def _is_spent(self) -> bool:
        if self._calls is None:  # another statement of the connection
            return False
        self._calls += 1
        return self._calls > 1
