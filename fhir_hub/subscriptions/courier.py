"""One Subscription's notifications, in the order of the commits, until each is answered.

How far it is stands in a note of the store, so a restart loses nothing and skips nothing; a
notification that was on its way then goes again. While notifications fail the Subscription says
`error` and why, and `active` when they go again: a new version only when that changes.
"""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from fhir_hub import fhirjson
from fhir_hub.clock import Clock
from fhir_hub.errors import FhirError
from fhir_hub.repository.criteria import is_met
from fhir_hub.repository.repository import Repository
from fhir_hub.repository.unit import Resource, Unit
from fhir_hub.store.base import Key, Stored
from fhir_hub.store.feed import Feed
from fhir_hub.store.news import News
from fhir_hub.store.notes import set_notes
from fhir_hub.subscriptions.hook import notify
from fhir_hub.subscriptions.order import LIVE, Order, Orders

PREFIX = "subscription/"
_MAX_PAUSE_S, _FAULT_S = 300.0, 1.0
_UNSAVED = 500  # versions of which there was nothing to tell, looked at again after a restart


@dataclass(frozen=True, slots=True)
class Work:
    """What every courier works with; `pause_s` is the first pause after a failure.

    `news` tells of what other processes write.
    """

    repository: Repository
    orders: Orders
    pause_s: float
    clock: Clock
    log: Callable[..., None]
    news: News


class Courier:
    """Notifies by one Subscription until it is cancelled."""

    def __init__(self, work: Work, logical_id: str) -> None:
        self.key = Key("Subscription", logical_id)
        self._work = work
        self._feed = Feed(work.repository.store)
        self._news, self._changed = asyncio.Event(), asyncio.Event()
        self._order: Order | None = None
        self._refusal = self._status = ""
        self._sequence = self._saved = 0
        self.is_busy = self._is_stopping = False
        self._is_on = True  # as of `_sequence`: it may have been off and on again meanwhile

    def wake(self) -> None:
        """Look at what was written."""
        self._news.set()

    def stop(self) -> None:
        """Notify of nothing more; what is on its way is still answered and noted."""
        self._is_stopping = True

    def read(self, stored: Stored) -> None:
        """Take the Subscription as it is now; what failed is tried at once if he changed it."""
        resource = fhirjson.loads(stored.content)
        order, self._refusal = None, ""
        try:
            order = self._work.orders.order(resource)
        except FhirError as error:
            self._refusal = str(error)
        if (order, resource["status"]) != (self._order, self._status):
            self._order, self._status = order, resource["status"]
            self._changed.set()

    async def end(self, now: datetime) -> None:
        """Turn the Subscription off if its end has passed."""
        if self._order and self._order.end and self._order.end <= now:
            await self._say("off")

    async def run(self) -> None:
        """Notify of what there is and what comes. Endless."""
        while True:
            try:
                await self._open()
                while True:
                    await self._step()
            except Exception as error:  # the store does not answer, or a fault of ours: go on
                self.is_busy = False
                self._work.log("subscription_fault", fault=error)
                await asyncio.sleep(_FAULT_S)

    async def _open(self) -> None:
        """Find out how far it is: as the note says, at least since it was asked for."""
        await self._valid()
        if self._status == "requested":
            await self._say("active")
        store = self._work.repository.store
        noted = json.loads((await store.notes()).get(PREFIX + self.key.logical_id, "0"))
        last = (await store.status()).sequence
        self._sequence = min(await self._since(noted), last)
        self._saved, self._is_on = self._sequence, True

    async def _since(self, noted: int) -> int:
        """Return up to where it is done: `noted`, later if it was off since."""
        since, before = noted, 0
        while True:
            page = await self._work.repository.store.history(*self.key, before=before)
            for stored in page.matches:
                if not _is_on(stored):
                    return since
                if stored.sequence <= noted:
                    return noted
                since = stored.sequence
            if not page.cursor:
                return since
            before = int(page.cursor)

    async def _step(self) -> None:
        """Tell of the next commit, or wait until there is one."""
        self._news.clear()
        order = await self._valid()
        commit = await self._feed.commit(self._sequence)
        for stored in commit:
            if (stored.resource_type, stored.logical_id) == self.key:
                self._is_on = _is_on(stored)
            if self._is_on and await self._is_wanted(stored, order):
                await self._deliver(stored)
                await self._save(stored.sequence)
                self.is_busy = False
            self._sequence = stored.sequence
        if self._sequence - self._saved >= _UNSAVED:
            await self._save(self._sequence)
        if not commit:
            await self._news.wait()

    async def _save(self, sequence: int) -> None:
        note = {PREFIX + self.key.logical_id: json.dumps(sequence)}
        await set_notes(self._work.repository.store, note)
        self._saved = self._sequence = sequence

    async def _valid(self) -> Order:
        """Return what is asked for, when it is something that can be done."""
        while self._order is None:
            self._changed.clear()
            await self._say("error", self._refusal)
            await self._changed.wait()
        return self._order

    async def _is_wanted(self, stored: Stored, order: Order) -> bool:
        """Say whether a version meets the criteria.

        What they ask of other resources is asked as it is now: of the current version.
        """
        if stored.resource_type != order.resource_type or stored.is_deleted:
            return False
        if (stored.resource_type, stored.logical_id) == self.key:
            return False  # what the hub says in it is no news, and would make more of it
        repository = self._work.repository
        return await is_met(order.plan, stored, repository.store, repository.entries)

    async def _deliver(self, stored: Stored) -> None:
        """Notify until it is answered with success."""
        pause_s = self._work.pause_s
        while True:
            order = await self._valid()
            self._changed.clear()
            if self._is_stopping:
                await asyncio.Event().wait()  # until it is cancelled
            self.is_busy = True
            if not (failure := await notify(order, stored)):
                return await self._say("active")
            self.is_busy = False
            self._work.log("subscriber_silent", reason=failure)
            await self._say("error", failure)
            is_changed = False
            with suppress(TimeoutError):
                is_changed = await asyncio.wait_for(self._changed.wait(), pause_s)
            pause_s = self._work.pause_s if is_changed else min(pause_s * 2, _MAX_PAUSE_S)

    async def _say(self, status: str, error: str = "") -> None:
        """Make the Subscription say how it is, if it says something else."""
        if self._status == status:
            return
        self._status = status

        async def work(unit: Unit) -> None:
            current = await unit.current(self.key)
            if current is None or current.is_deleted:
                return
            resource: Resource = fhirjson.loads(current.content)
            if resource["status"] in LIVE and resource["status"] != status:
                resource.pop("error", None)
                told = {"error": error} if error else {}
                await unit.update(resource | {"status": status} | told, self.key.logical_id)

        try:
            await self._work.repository.commit(work)
        except FhirError as fault:  # that it cannot be said stops no notification
            self._work.log("subscription_fault", fault=fault)


def _is_on(stored: Stored) -> bool:
    """Say whether a version of a Subscription asks for notifications."""
    is_there = not stored.is_deleted
    return is_there and fhirjson.loads(stored.content).get("status") in ("active", "error")
