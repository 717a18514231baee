"""What the operator's pages ask of a running hub: is it up, is it ready, what are its figures.

Ready means that a request sent now would be answered: the store can be read and written, and both
listeners take connections. A hub that is draining is live and not ready, so a balancer sends the
next client elsewhere. So is one whose disk is full, though it goes on reading: it could keep no
message. What is written to find that out may fit into the last room of SQLite's log for hours,
where no message does; so the room on the disk counts too.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fhir_hub.clock import microseconds, now
from fhir_hub.hl7v2.channels.intake import Intake
from fhir_hub.ops.pulse import Pulse
from fhir_hub.store.base import Store
from fhir_hub.store.journal import Journal, Selection
from fhir_hub.telemetry import Figures, Metrics

_TIMEOUT_S = 5.0
_PENDING = Selection(("received",))
_ROOM_BYTES = 1 << 20  # below this a disk is full: a large message needs as much
_FULL = "not writable (the database cannot be written now: the disk is full)"


@dataclass(frozen=True, slots=True)
class Probe:
    """The parts that are asked. `is_taking` says whether requests are taken, `pulse` whether the
    store can be written.

    `left` says how many resources passes have still to index. `figures` asks for those of all
    processes of the hub, where there are several.
    """

    store: Store
    journal: Journal
    intake: Intake
    metrics: Metrics
    pulse: Pulse
    is_taking: Callable[[], bool]
    mllp_port: int
    left: Callable[[], int]
    figures: Callable[[], Awaitable[Figures]] | None = None

    async def ready(self) -> dict[str, str]:
        """Return the state of each part: `ok`, or why not."""
        return {
            "store": await self._store(),
            "http": "ok" if self.is_taking() else "draining",
            "mllp": "ok" if self.is_taking() else "draining",
        }

    async def exposition(self) -> tuple[bytes, str]:
        """Return the metrics as Prometheus reads them, and the media type."""
        status = await self.store.status()
        messages = await self.journal.tally()
        figures = await self.figures() if self.figures else Figures({}, self.intake.connections)
        return self.metrics.exposition(
            status.resources,
            status.sequence,
            status.size_bytes,
            messages,
            figures,
            self.left(),
            await self._pending_s(),
        )

    async def _pending_s(self) -> float:
        """Return for how long the oldest message that is not finished has been there."""
        oldest = await self.journal.select(_PENDING, count=1, is_oldest_first=True)
        came = [one.message.received for one in oldest]
        return max(0.0, (microseconds(now()) - came[0]) / 1e6) if came else 0.0

    async def _store(self) -> str:
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                free_bytes = (await self.store.status()).free_bytes
        except Exception as error:  # whatever it is, the answer is that it does not answer
            return f"not reachable ({type(error).__name__})"
        if free_bytes is not None and free_bytes < _ROOM_BYTES:
            return _FULL
        return await self.pulse.state()
