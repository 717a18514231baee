"""A hub removes the bytes of old messages by itself, each hour, and gives their disk back.

Spec: docs/journal.md, what time removes
"""

import asyncio
from datetime import timedelta
from pathlib import Path

from fhir_hub.clock import now

FIRST = Path(__file__).parents[2] / "examples" / "messages" / "01_ADT_A04_chc_register.hl7"
MESSAGE = FIRST.read_bytes().replace(b"\n", b"\r") + b"ZZZ|" + b"x" * 1_500_000 + b"\r"


async def test_old_bytes_go_the_disk_is_given_back_and_a_duplicate_is_still_known(
    start, tmp_path, monkeypatch
):
    path = tmp_path / "hub.sqlite"
    days, waited_s = 0.0, 0.0  # what the clock says more, and what the loop takes for waited
    loop = asyncio.get_running_loop()
    plain = loop.time
    monkeypatch.setattr(loop, "time", lambda: plain() + waited_s)
    options = {"store": f"sqlite:{path}", "journal_days": 1, "duplicate_days": 3}

    async def hourly(text: str) -> None:
        """Let hours pass until the log has a text."""
        nonlocal waited_s
        while text not in hub.logged.getvalue():
            waited_s += 3600
            await asyncio.sleep(0)

    async with (
        start(**options, clock=lambda: now() + timedelta(days=days)) as hub,
        hub.client() as client,
    ):
        first = await hub.send(MESSAGE)
        assert b"MSA|AA|" in first

        days = 1.1
        await hourly('"emptied": 1')
        shown = (await client.get("/ops/messages/1")).json()
        assert (shown["state"], shown["text"]) == ("done", "")
        assert await hub.send(MESSAGE) == first
        other = await hub.send(FIRST.read_bytes())
        assert b"MSA|AE|" in other
        assert b"205" in other

        days = 3.1
        await hourly('"forgotten": 1')
        assert b"MSA|AA|" in await hub.send(FIRST.read_bytes() + b"NTE|1||new")
    assert path.stat().st_size < len(MESSAGE)
