"""Change streams: who waits hears of what other processes write, where MongoDB can tell.

A stream that breaks is opened again; meanwhile, and on a server without change streams, who
waits asks at his own pace.

Spec: https://www.mongodb.com/docs/manual/changeStreams/
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from pymongo.errors import PyMongoError

from fhir_hub.errors import Unavailable
from fhir_hub.store.ending import end_tasks
from fhir_hub.store.mongo.driver import Connection, Document, Filter, Refused
from fhir_hub.store.mongo.schema import HUB, ORDER
from fhir_hub.store.news import Heard

LOOK_S = 2.0  # where changes are heard of: for what was missed while a stream was broken
_REFUSED_S = 60.0  # until a server that refused a stream is asked for it again
_AWAIT_MS = 1000


class Stream:
    """The changes of a collection that meet `stages`; `heard` is called after each."""

    def __init__(
        self, connection: Connection, collection: str, stages: Sequence[Filter], heard: Heard
    ) -> None:
        self._connection, self._collection = connection, collection
        self._stages, self._heard = stages, heard
        self._task: asyncio.Task[None] | None = None
        self.is_open = self._is_over = False

    def start(self) -> None:
        """Listen from now on, if it does not yet."""
        if self._task is None:
            self._task = asyncio.create_task(self._listen())

    async def close(self) -> None:
        """Listen no more."""
        self._is_over = True
        if self._task is not None:
            await end_tasks(self._task)

    async def _listen(self) -> None:
        """Hear of changes until it is closed."""
        while not self._is_over:
            pause_s = LOOK_S
            try:
                stream = await self._connection.watch(
                    self._collection, self._stages, max_await_time_ms=_AWAIT_MS
                )
                async with stream:  # Motor asks for it here, so it is open no earlier
                    self.is_open = True
                    self._heard()  # what came before is not in the stream
                    async for _ in stream:
                        self._heard()
            except Refused:  # there are none, or not now: a right that was not given yet
                pause_s = _REFUSED_S
            except (Unavailable, PyMongoError):
                pass
            finally:
                self.is_open = False
            await asyncio.sleep(pause_s)


def _commits(field: str) -> list[Document]:
    """Return the stages of the commits that change a field of the document `order`."""
    changed = {f"updateDescription.updatedFields.{field}": {"$exists": True}}
    return [
        {"$match": {"documentKey._id": ORDER, "operationType": "update", **changed}},
        {"$project": {"_id": 1}},  # the token to go on by
    ]


class MongoNews:
    """What a database tells of commits: two streams, each begun when somebody listens."""

    def __init__(self, connection: Connection) -> None:
        self._heard: dict[str, list[Callable[[], None]]] = {"s": [], "g": []}
        self._streams = {
            field: Stream(connection, HUB, _commits(field), partial(self._tell, field))
            for field in self._heard
        }

    def hear(self, heard: Heard, *, of_parameters: bool = False) -> None:
        """Call `heard` after each commit, or after those that change search parameters."""
        field = "g" if of_parameters else "s"
        if heard not in self._heard[field]:
            self._heard[field].append(heard)
        self._streams[field].start()

    def pause_s(self, poll_s: float) -> float:
        """Return how long to wait for being woken before asking."""
        return max(poll_s, LOOK_S) if self._streams["s"].is_open else poll_s

    async def close(self) -> None:
        """Listen no more."""
        for stream in self._streams.values():
            await stream.close()

    def _tell(self, field: str) -> None:
        for heard in self._heard[field]:
            heard()
