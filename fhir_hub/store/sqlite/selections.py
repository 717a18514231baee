"""A selection of messages as a condition on table `message`.

Messages come in the order of time, or nearly so: what came since a moment is found by number,
in a few steps, without an index that every message would have to be entered in. Where the clock
was once set back by more than an hour a note says so, and every message is looked at.
"""

import json

import apsw

from fhir_hub.store.journal import Selection
from fhir_hub.store.sqlite.sql import Bound

_SLACK_US = 3_600_000_000  # clocks of processes differ, and are set back
_NOTE = "journal/clock set back"
_IS_NOTED = "SELECT 1 FROM note WHERE name = ?"
_LAST = "SELECT received FROM message ORDER BY number DESC LIMIT 1"


def condition(connection: apsw.Connection, selection: Selection) -> tuple[list[str], list[Bound]]:
    """Return what must hold of a message, all of it, and the values in it."""
    where, values = list[str](), list[Bound]()
    is_in_order = connection.execute(_IS_NOTED, (_NOTE,)).fetchone() is None

    def add(text: str, *bound: Bound) -> None:
        where.append(text)
        values.extend(bound)

    if selection.states:
        add(_among("state", selection.states), *selection.states)
    if selection.numbers:
        add(_among("message.number", selection.numbers), *selection.numbers)
    if sender := selection.sender:
        add("(application = ? OR facility = ?)", sender, sender)
    if selection.facility:
        add("facility = ?", selection.facility)
    if selection.control_id:
        add("control_id = ?", selection.control_id)
    if selection.channel:
        add("channel = ?", selection.channel)
    if wanted := selection.message_type:
        add("instr('^' || type || '^', ?) > 0", f"^{wanted}^")
    if selection.since:
        add("received >= ?", selection.since)
        if is_in_order:
            add("message.number >= ?", first_since(connection, selection.since - _SLACK_US))
    if selection.until:
        add("received < ?", selection.until)
        if is_in_order:
            add("message.number < ?", first_since(connection, selection.until + _SLACK_US))
    if selection.link:
        link = json.dumps(selection.link, separators=(",", ":"), ensure_ascii=False)
        add("instr(links, ?) > 0", link)
    return where, values


def _among(column: str, values: tuple[object, ...]) -> str:
    return f"{column} IN ({', '.join('?' * len(values))})"


def first_since(connection: apsw.Connection, moment: int) -> int:
    """Return the number of the first message that came at `moment` or after, or one beyond."""
    row = connection.execute("SELECT min(number), max(number) FROM message").fetchone()
    if row is None or row[0] is None:
        return 0
    low, high = int(row[0]), int(row[1]) + 1
    while low < high:
        middle = (low + high) // 2
        found = connection.execute(
            "SELECT number, received FROM message WHERE number >= ? ORDER BY number LIMIT 1",
            (middle,),
        ).fetchone()
        assert found is not None
        if found[1] >= moment:
            high = middle
        else:
            low = int(found[0]) + 1
    return low


def latest(connection: apsw.Connection, received: int, before: int) -> int:
    """Return when the latest message came, `received` the next and `before` those until then.

    Before the first, which is 0, the database says it. Notes that the clock was set back.
    """
    if not before:
        row = connection.execute(_LAST).fetchone()
        before = int(row[0]) if row else received
    if received < before - _SLACK_US:
        connection.execute("INSERT OR REPLACE INTO note VALUES (?, '1')", (_NOTE,))
    return max(before, received)
