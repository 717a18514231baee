"""A hub removes the bytes of old messages by itself and gives their disk back.

Spec: docs/journal.md, what time removes
"""

import asyncio
from pathlib import Path

import apsw

FIRST = Path(__file__).parents[2] / "examples" / "messages" / "01_ADT_A04_chc_register.hl7"
MESSAGE = FIRST.read_bytes().replace(b"\n", b"\r") + b"ZZZ|" + b"x" * 1_500_000 + b"\r"
TWO_DAYS_US = 2 * 86_400_000_000


async def test_old_bytes_go_the_disk_is_given_back_and_a_duplicate_is_still_known(start, tmp_path):
    path = tmp_path / "hub.sqlite"
    options = {"store": f"sqlite:{path}", "journal_days": 1}
    async with start(**options) as hub:
        first = await hub.send(MESSAGE)
        assert b"MSA|AA|" in first
    connection = apsw.Connection(str(path))
    connection.execute("UPDATE message SET received = received - ?", (TWO_DAYS_US,))
    connection.close()
    size = path.stat().st_size
    assert size > len(MESSAGE)

    async with start(**options) as hub, hub.client() as client:
        while '"disk_freed"' not in hub.logged.getvalue():
            await asyncio.sleep(0)
        assert '"emptied": 1' in hub.logged.getvalue()
        shown = (await client.get("/ops/messages/1")).json()
        assert (shown["state"], shown["text"]) == ("done", "")
        assert await hub.send(MESSAGE) == first
        other = await hub.send(FIRST.read_bytes())
        assert b"MSA|AE|" in other
        assert b"205" in other
    assert path.stat().st_size < size - 1_000_000
