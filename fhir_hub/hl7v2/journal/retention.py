"""What time removes from the journal: first the bytes of messages, much later their keys.

One process of a hub does it, a little at a time, so that nobody waits for it, and what
is then free of the disk is given back. What is not finished stays.
"""

import asyncio

from fhir_hub.clock import Clock, Rounds, microseconds
from fhir_hub.hl7v2.journal.asked import STATES
from fhir_hub.settings import Settings
from fhir_hub.store.journal import Journal, Pruned
from fhir_hub.telemetry import Log

_DAY_US = 86_400_000_000
_EVERY_S = 3600.0


class Retention:
    """Removes what is older than the settings say: `prune` once, `rounds` where this hub leads."""

    def __init__(self, journal: Journal, settings: Settings, clock: Clock, log: Log) -> None:
        self._journal, self._clock, self._log = journal, clock, log
        of_states = {str(state): days for state, days in settings.journal_state_days.items()}
        days = {state: of_states.get(state, settings.journal_days) for state in STATES}
        self._days = {state: number for state, number in days.items() if number}
        self._key_days = settings.duplicate_days
        self.rounds = Rounds(
            self.prune, _EVERY_S, lambda fault: log("messages_not_pruned", fault=fault)
        )

    async def prune(self) -> Pruned:
        """Remove what is old now; return how much that was."""
        now = microseconds(self._clock())
        before = {state: now - days * _DAY_US for state, days in self._days.items()}
        forget = now - self._key_days * _DAY_US if self._key_days else 0
        emptied = forgotten = 0
        while any(pruned := await self._journal.prune(before, forget)):
            emptied += pruned.emptied
            forgotten += pruned.forgotten
            await asyncio.sleep(0)
        if emptied or forgotten:
            self._log("messages_pruned", emptied=emptied, forgotten=forgotten)
        if freed := await self.shrink():
            self._log("disk_freed", size_bytes=freed)
        return Pruned(emptied, forgotten)

    async def shrink(self) -> int:
        """Give back the disk on which nothing stands; return how many bytes that was."""
        total = 0
        while freed := await self._journal.shrink():
            total += freed
            await asyncio.sleep(0)  # who writes goes first
        return total
