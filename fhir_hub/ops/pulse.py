"""Whether the store can be written: a note is, and who asks again soon hears the same.

A full disk, or one that has become read-only, is read as before; only a write tells. It is a note
of a few bytes, made durable as every write is, and no more often than every few seconds, however
often it is asked for. So what a hub says of itself is true also while nobody writes, and becomes
so again by itself when there is room.

Spec: docs/operations.md, health
"""

import asyncio

from fhir_hub.clock import Clock, instant
from fhir_hub.errors import Unavailable
from fhir_hub.store.base import Conflict, Store

_NOTE = "ready"
_TIMEOUT_S = 5.0
_EVERY_S = 5.0


class Pulse:
    """Says of a store whether it can be written now."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._asking = asyncio.Lock()
        self._state, self._until = "", 0.0

    async def state(self) -> str:
        """Return `ok`, or why it cannot be written."""
        async with self._asking:
            now = asyncio.get_running_loop().time
            if not self._state or now() >= self._until:
                self._state = await self._asked()
                self._until = now() + _EVERY_S
            return self._state

    async def _asked(self) -> str:
        notes = {_NOTE: instant(self._clock())}
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                await self._store.reindex((), notes, await self._store.generation())
        except Conflict:  # who says so could write
            return "ok"
        except Unavailable as error:
            return f"not writable ({error})"
        except Exception as error:  # whatever it is, nothing was written
            return f"not writable ({type(error).__name__})"
        return "ok"
