"""Whether a message came before: the number of the one that says the same and counts.

One that was replaced by a corrected text counts as that one does. Of those that ended without an
effect only a dead one whose reason is `FINAL` counts: to do it once more would be as bad.
"""

from typing import Any

import apsw

from fhir_hub.store.journal import FINAL, Received

_ALIKE = (
    "SELECT number, state, replaced_by FROM message WHERE key = ? AND digest = ?"
    " AND (state IN ('received', 'done', 'replaced')"
    f" OR state = 'dead' AND substr(error, 1, {len(FINAL)}) = '{FINAL}') ORDER BY number"
)
_ONE = "SELECT number, state, replaced_by FROM message WHERE number = ?"
_MOST_REPLACED = 1000  # a chain of corrected texts is short


def number_before(connection: apsw.Connection, message: Received) -> int:
    """Return the number of the message that came before and is the same, 0 if none counts."""
    alike: list[Any] = connection.execute(_ALIKE, (message.key, message.digest)).fetchall()
    for number, state, replaced_by in alike:
        for _ in range(_MOST_REPLACED):
            if state != "replaced":
                break
            found: Any = connection.execute(_ONE, (replaced_by,)).fetchone()
            if found is None:
                break
            number, state, replaced_by = found
        if state in ("received", "done", "dead"):
            return int(number)
    return 0
