"""Leases without clocks: each process counts its heartbeats, the others watch whether they go on.

A process that writes has a document in `process` and counts up in it. Who sees a count stand
still for as long as that process's lease, by his own clock that never jumps, removes the document
if it is still at that count: from then on the process is gone, and finds so at its next beat. It
then goes on under a new name, without what it held. One on this machine whose process id is no
more is removed at once.

The document `leader` of `hub` names who leads; when that process is gone, who first puts his own
name there leads. The leader has a process of its own take over the messages of those who are gone:
while that is at work nobody else does them, and if it dies they are left once more. A process that
could not beat for as long as its lease stops leading before another may begin.

Nothing here is what makes an effect happen once: that is the state of the message and of the
versions, in one transaction. Were two to lead for a moment, one of them would be refused.
"""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from secrets import token_hex

from bson import Binary
from pymongo.errors import DuplicateKeyError

from fhir_hub.store.crew import Duties
from fhir_hub.store.ending import end_tasks
from fhir_hub.store.mongo.driver import Connection, Refused, told
from fhir_hub.store.mongo.messages import MESSAGE, PROCESS, UNDER_WAY
from fhir_hub.store.mongo.schema import HUB

LEADER = "leader"
_LEASE_S = 10.0
_BEATS = 5  # within a lease
_SAFE = 3 / 5  # of a lease without a beat: then it leads no more, before another may begin
_SESSIONS = 256  # named in a document: the last


class MongoCrew:
    """This process among those on a database. `time` is a clock in seconds that never jumps."""

    def __init__(self, connection: Connection, clock: Callable[[], float] = time.monotonic) -> None:
        self._connection, self._clock = connection, clock
        self._machine, self._lease_s = _machine(), _LEASE_S
        self.name = self._new_name()
        self.is_leading, self._leads_as, self.extraction = False, "", ""
        self._joining: asyncio.Task[None] | None = None
        self._beating: asyncio.Task[None] | None = None
        self._last = clock()
        self._seen: dict[str, tuple[int, float]] = {}
        self.finishing: set[asyncio.Task[None]] = set()
        self._taken: set[int] = set()  # messages of those who are gone, until they have ended
        self._has_looked = False
        connection.on_session = self._note

    async def join(self) -> None:
        """Be at work: the others then know that what this process holds is not lost."""
        if self._joining is None:
            self._joining = asyncio.create_task(self._join())
        try:
            await asyncio.shield(self._joining)
        except Exception:
            self._joining = None  # it is tried again by who comes next
            raise

    async def serve(self, duties: Duties, lease_s: float) -> None:
        """Be one that may lead, until cancelled."""
        self._lease_s = lease_s
        while True:
            with contextlib.suppress(Exception):  # the database does not answer now
                await self.join()
                await self.look(duties)
            if self.is_leading and self._clock() - self._last >= self._lease_s * _SAFE:
                self.is_leading = False
                await duties.rest()
            await asyncio.sleep(self._lease_s / _BEATS)

    async def look(self, duties: Duties) -> None:
        """Beat, remove who is gone, lead if nobody does, have what was left finished."""
        await self._beat()
        if self.is_leading and self.name != self._leads_as:
            self.is_leading = False
            await duties.rest()
        await self._bury()
        name = self.name
        if not self.is_leading and await self._takes_lead():
            self.is_leading, self._leads_as = True, name
            duties.lead()
        if self.is_leading and not self.finishing and await self._left():
            task = asyncio.create_task(self._finish_left(duties))
            self.finishing.add(task)
            task.add_done_callback(self.finishing.discard)

    async def take_over(self) -> list[int]:
        """Have this process hold the messages of those who are gone; return them, by turn.

        Those too that it held before and that have not ended: it may have failed on the way.
        """
        await self.join()
        taken = []
        for number, holder in await self._left():
            self._taken.add(number)  # first: it may be so though the answer is lost
            with told():
                found = await self._connection[UNDER_WAY].update_one(
                    {"_id": number, "holder": holder}, {"$set": {"holder": self.name}}
                )
            if found.matched_count:
                taken.append(number)
        return await self._unfinished(taken)

    async def extractions(self) -> frozenset[str]:
        """Return by which extractions the others index; empty: one does not say."""
        await self.join()  # so that they know of this one before it says anything of the store
        others = {"_id": {"$ne": self.name}}
        found = await self._connection.find(PROCESS, others, fields=["extraction"])
        return frozenset(one.get("extraction", "") for one in found)

    async def leave(self) -> None:
        """Tell the others that this process is no more at work."""
        # waited for: a transaction that is cut off would keep its locks for a minute
        await end_tasks(*self.finishing, *filter(None, (self._joining,)))
        if self._beating is not None:  # who joined to the last has begun it only now
            await end_tasks(self._beating)
        if self._joining is not None:
            with contextlib.suppress(Exception):  # if it cannot, the lease tells them later
                await self._connection[PROCESS].delete_one({"_id": self.name})
        self.is_leading = False

    def _new_name(self) -> str:
        return f"{self._machine}/{os.getpid()}/{token_hex(4)}"

    async def _note(self, session: Binary) -> None:
        """Name a session that this process is to write in."""
        with contextlib.suppress(Exception):  # then MongoDB ends it, if need be, after a minute
            if not self._has_looked:
                self._has_looked = True
                await self._bury()
            if self._joining is not None:
                last = {"$each": [session], "$slice": -_SESSIONS}
                await self._connection[PROCESS].update_one(
                    {"_id": self.name}, {"$push": {"sessions": last}}
                )

    async def _join(self) -> None:
        await self._enroll()
        self._beating = asyncio.create_task(self._beat_on())

    async def _enroll(self) -> None:
        own = {
            "_id": self.name,
            "machine": self._machine,
            "pid": os.getpid(),
            "beat": 0,
            "lease_s": self._lease_s,
            "extraction": self.extraction,
            "sessions": list(self._connection.sessions),
        }
        with told(), contextlib.suppress(DuplicateKeyError):  # an answer was lost
            await self._connection[PROCESS].insert_one(own)
        self._last = self._clock()

    async def _beat_on(self) -> None:
        while True:
            await asyncio.sleep(self._lease_s / _BEATS)
            with contextlib.suppress(Exception):  # the database does not answer now
                await self._beat()

    async def _beat(self) -> None:
        """Show life; if this process was taken for gone it has a new name from now on."""
        beat = {"$inc": {"beat": 1}, "$set": {"lease_s": self._lease_s}}
        now = self._clock()
        with told():
            found = await self._connection[PROCESS].update_one({"_id": self.name}, beat)
        if found.matched_count:
            self._last = now
            return
        self.name = self._new_name()
        await self._enroll()

    async def _bury(self) -> None:
        """Remove the processes that are gone."""
        seen, now = self._seen, self._clock()
        self._seen = {}
        for other in await self._connection.find(PROCESS, {"_id": {"$ne": self.name}}):
            name, beat = other["_id"], other["beat"]
            last, since = seen.get(name, (beat, now))
            self._seen[name] = (beat, since if last == beat else now)
            is_still = last == beat and now - since >= other["lease_s"]
            if is_still or (other["machine"] == self._machine and not _is_alive(other["pid"])):
                with contextlib.suppress(Refused):  # some services do not have it
                    await self._connection.kill_sessions(other.get("sessions", []))
                with told():
                    await self._connection[PROCESS].delete_one({"_id": name, "beat": beat})

    async def _takes_lead(self) -> bool:
        """Return whether this process leads from now on."""
        hub = self._connection[HUB]
        found = await self._connection.find_one(HUB, {"_id": LEADER})
        with told():
            if found is None:
                try:
                    await hub.insert_one({"_id": LEADER, "name": self.name})
                except DuplicateKeyError:
                    return False
                return True
            if found["name"] == self.name:
                return True
            if await self._connection.find_one(PROCESS, {"_id": found["name"]}) is not None:
                return False
            taken = await hub.update_one(
                {"_id": LEADER, "name": found["name"]}, {"$set": {"name": self.name}}
            )
        return bool(taken.modified_count)

    async def _left(self) -> list[tuple[int, str]]:
        """Return the messages of those who are gone, with who holds them, by turn.

        Not those that come after one that somebody is at, or will be known to have left: to wait
        for it may take longer than a message is waited for.
        """
        fields = ["holder", "words"]
        under_way = await self._connection.find(UNDER_WAY, {}, fields=fields, sort=[("turn", 1)])
        holders = {one["holder"] for one in under_way}
        # who holds a message was there before it: who is not there now is gone for good
        there = await self._connection.find(
            PROCESS, {"_id": {"$in": list(holders)}}, fields=["_id"]
        )
        gone = holders - {one["_id"] for one in there} - {self.name}
        self._taken.intersection_update(one["_id"] for one in under_way)
        left, awaited = list[tuple[int, str]](), set[str]()
        for one in under_way if gone or self._taken else ():
            is_own = one["holder"] == self.name and one["_id"] in self._taken
            if (is_own or one["holder"] in gone) and not awaited.intersection(one["words"]):
                left.append((one["_id"], one["holder"]))
            else:
                awaited.update(one["words"])
        return left

    async def _finish_left(self, duties: Duties) -> None:
        with contextlib.suppress(Exception):  # the next look finds what is still left
            await duties.finish_left()

    async def _unfinished(self, numbers: list[int]) -> list[int]:
        """Return those that are not finished; of a done one that was to be done again, let go."""
        if not numbers:
            return []
        open_ones = await self._connection.find(
            MESSAGE, {"_id": {"$in": numbers}, "state": "received"}, fields=["_id"]
        )
        unfinished = {one["_id"] for one in open_ones}
        over = [number for number in numbers if number not in unfinished]
        if over:
            with told():
                await self._connection[UNDER_WAY].delete_many({"_id": {"$in": over}})
        return [number for number in numbers if number in unfinished]


def _machine() -> str:
    """Return what tells a set of process ids from another: host, and container if it is one."""
    try:
        space = str(Path("/proc/self/ns/pid").stat().st_ino)
    except OSError:
        space = ""
    return f"{socket.gethostname()}:{space}"


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is another user's
        return True
    return True
