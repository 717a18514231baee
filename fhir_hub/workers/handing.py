"""What workers that died have left is handed to others: what they had begun, by itself.

One of the messages that a worker did may be why it died. So the worker that takes its place does
them first, one at a time, and nothing else; how often a message was begun so stands in the journal
(`suspects.py`). A message that was kept for a worker which died before it heard so was not begun:
any worker does it, beside whatever else it does.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

from fhir_hub.store.journal import Selection
from fhir_hub.store.open import Backend
from fhir_hub.workers.holding import Holding
from fhir_hub.workers.member import Member

_AGAIN_S = 5.0  # before what a worker could not do is asked of it again
_MOST_LEFT = 10_000  # are looked at, to know whether a worker died of one


class Handing:
    """Hands messages over: `alive` finds a worker that takes connections, `run` does work."""

    def __init__(
        self,
        backend: Backend,
        log: Any,
        alive: Callable[[], Member | None],
        run: Callable[[Coroutine[Any, Any, Any]], object],
    ) -> None:
        self._backend, self._log, self._alive, self._run = backend, log, alive, run
        self.holding = Holding()
        self._unbegun: list[int] = []

    def hold(self, worker: Member, number: int) -> None:
        """Remember who does a message; one whose worker is gone meanwhile goes to another."""
        self.holding.take(worker, number)
        if worker.is_gone:
            self._unbegun.append(number)
            self.hand_out()

    def hand_out(self) -> None:
        """Give what nobody has begun to a live worker, if there is one."""
        alive = self._alive()
        if alive is None or not self._unbegun:
            return
        numbers, self._unbegun = sorted(self._unbegun), []
        for number in numbers:
            self.holding.take(alive, number)
        self._log.info("messages_replayed", messages=len(numbers))
        self._run(self._replay(alive, numbers))

    async def do_what_was_left(self, worker: Member, limit_s: float) -> bool:
        """Have a worker that takes no connections do what others had begun.

        Return whether it died, and of one of these messages, as the journal knows.
        """
        numbers = self.holding.take_over(worker)
        if not numbers:
            return False
        await self._write()
        known = await self.known()
        self._log.info("messages_replayed", messages=len(numbers))
        try:
            asked = worker.ask("replay", (numbers, True))
            await worker.feeling_pulse(asked, limit_s, self._log.error)
        except Exception as fault:
            if worker.is_gone:
                return await self.known() != known
            self._log.error("messages_not_replayed", messages=len(numbers), fault=fault)
            self._run(self._replay(worker, numbers))
        return False

    async def known(self) -> list[tuple[int, str]]:
        """Return what is noted of the messages that have not ended."""
        with contextlib.suppress(Exception):
            selection = Selection(states=("received",))
            found = await self._backend.journal.select(selection, count=_MOST_LEFT)
            return [(one.number, one.error) for one in found]
        return []

    async def _replay(self, alive: Member, numbers: list[int]) -> None:
        await self._write()
        while not alive.is_gone:  # of one that died another has them already
            try:
                await alive.ask("replay", (numbers, False))
                return
            except Exception as fault:
                self._log.error("messages_not_replayed", messages=len(numbers), fault=fault)
            await asyncio.sleep(_AGAIN_S)

    async def _write(self) -> None:
        with contextlib.suppress(Exception):  # what was kept early is there then, or was lost
            await self._backend.store.write(())
