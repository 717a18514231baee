"""All Subscriptions of a hub: one process looks which there are and lets each go its own pace.

Spec: https://hl7.org/fhir/R4/subscription.html
"""

import asyncio
from contextlib import suppress

from fhir_hub.search.plan import Has, Is, Query
from fhir_hub.store.base import Stored
from fhir_hub.store.ending import end_tasks
from fhir_hub.store.notes import set_notes
from fhir_hub.subscriptions.courier import PREFIX, Courier, Work
from fhir_hub.subscriptions.order import LIVE

_EVERY_S, _DRAIN_S = 0.25, 0.01
_AT_ONCE = 500
_PLAN = Has("status", "token", tuple(Is(one) for one in LIVE))


class Notifications:
    """The couriers; nobody is notified before `lead` is called."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._store = work.repository.store
        self._couriers: dict[str, tuple[Courier, asyncio.Task[None]]] = {}
        self._watching: asyncio.Task[None] | None = None
        self._last = self._own = -1
        self._woken = asyncio.Event()

    def lead(self) -> None:
        """Let this process notify, if the hub may call anybody: one of several does."""
        if self._watching is None and self._work.orders.allowed:
            self._work.news.hear(self._woken.set)
            self._watching = asyncio.create_task(self._watch())

    async def rest(self) -> None:
        """Notify no more; what is on its way goes again, from where somebody leads."""
        tasks = [task for _, task in self._couriers.values()]
        tasks += [self._watching] if self._watching else []
        self._couriers, self._watching, self._last, self._own = {}, None, -1, -1
        await end_tasks(*tasks)

    async def close(self, drain_s: float) -> None:
        """Stop; what is on its way is waited for so long, and noted: it does not go again."""
        couriers = [courier for courier, _ in self._couriers.values()]
        for courier in couriers:
            courier.stop()
        loop = asyncio.get_running_loop()
        until = loop.time() + drain_s
        while any(one.is_busy for one in couriers) and loop.time() < until:
            await asyncio.sleep(_DRAIN_S)
        await self.rest()

    async def _watch(self) -> None:
        """See what was written. Endless."""
        while True:
            self._woken.clear()
            try:
                await self._look()
            except Exception as error:  # the store does not answer: go on later
                self._work.log("subscription_fault", fault=error)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._work.news.pause_s(_EVERY_S)):
                    await self._woken.wait()

    async def _look(self) -> None:
        last = await self._newest("")
        if last != self._last:
            own = await self._newest("Subscription")
            if own != self._own:
                await self._read()
            self._last, self._own = last, own
            for courier, _ in self._couriers.values():
                courier.wake()
        now = self._work.clock() if self._couriers else None
        for courier, _ in list(self._couriers.values()):
            assert now is not None
            await courier.end(now)

    async def _newest(self, resource_type: str) -> int:
        page = await self._store.history(resource_type, count=1)
        return page.matches[0].sequence if page.matches else 0

    async def _read(self) -> None:
        """Begin with the Subscriptions that are new, stop those that are off or gone."""
        live = {one.logical_id: one for one in await self._live()}
        for logical_id in self._couriers.keys() - live.keys():
            _, task = self._couriers.pop(logical_id)
            await end_tasks(task)
            await set_notes(self._store, {PREFIX + logical_id: ""})
        for logical_id, stored in live.items():
            if logical_id in self._couriers:
                self._couriers[logical_id][0].read(stored)
            else:
                courier = Courier(self._work, logical_id)
                courier.read(stored)
                self._couriers[logical_id] = courier, asyncio.create_task(courier.run())

    async def _live(self) -> list[Stored]:
        found: list[Stored] = []
        cursor = ""
        while True:
            query = Query(("Subscription",), _PLAN, count=_AT_ONCE, after=cursor)
            page = await self._store.search(query)
            found += page.matches
            cursor = page.cursor
            if not cursor:
                return found
