"""The one door to MongoDB: a database through `motor`, or through PyMongo's own asyncio client.

The two differ in which methods are coroutines, and only this file knows. Whatever goes through
here is durable: writes wait for a majority of the replica set and its journals, reads come from
the primary and see what a majority has (docs/stores.md says when that may be old). A failure of
the driver leaves as `Unavailable` or `Refused` without its text, which may hold what a patient
said.

Spec: https://www.mongodb.com/docs/manual/core/transactions/
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Literal, TypeVar

from bson import Binary
from pymongo import AsyncMongoClient, ReadPreference
from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    DocumentTooLarge,
    ExecutionTimeout,
    InvalidOperation,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from fhir_hub.errors import Closing, TooLarge, Unavailable

T = TypeVar("T")
Document = dict[str, Any]
Filter = Mapping[str, Any]
Session = Any  # of either driver
DriverName = Literal["motor", "pymongo"]

DURABLE = WriteConcern("majority", j=True)
_PATIENCE_S = 30.0  # how long a transaction is tried again before the caller is told
_PAUSE_S, _LONGEST_PAUSE_S = 0.001, 0.05
_COMMIT_MS = 20_000
_SESSIONS = 256  # more than write at once; the driver uses the last one again
# unless the address says otherwise: how long no primary is waited for, and no answer
_TIMEOUTS_MS = {"serverSelectionTimeoutMS": 10_000, "socketTimeoutMS": 60_000}
# codes of the server: a document of more than 16 MB
_TOO_LARGE = (10334, 17419, 17420)
_MORE_THAN_16_MB = (
    "this takes more than the 16 MB that MongoDB takes in one document"
    " / 超过 MongoDB 单个文档 16 MB 的上限"
)
_TOO_MANY_KEYS = 201  # more than 100,000 keys in an index from one document
_ENDED = 11601  # the session was ended by another process, which took this one for gone (`crew.py`)
# members that stop, change places, cannot be reached or lag; cursors, snapshots and transactions
# that grew too old; chunks that move; too many who ask; no space on the disk, writes held back
_PASSING = (
    *(6, 7, 24, 43, 46, 50, 63, 64, 89, 91, 94, 100, 112, 117, 133, 134, 150, 175, 189, 202, 216),
    *(234, 237, 239, 246, 249, 251, 262, 267, 272, 290, 314, 317, 355, 365, 371, 384, 402, 406),
    *(407, 412, 433, 449, 450, 453, 462, 9001, 10107, 11600, 11602, 13388, 13435, 13436, 14031),
    *(50915, 91331, 10045600),
)


class Refused(Exception):
    """MongoDB refused a command; the text has its number only, never a value."""


class SessionEnded(Unavailable):
    """Another process has ended the session that a command was in."""


class Connection:
    """An open database. Collections of either driver come by `connection["name"]`."""

    def __init__(self, client: Any, name: str, driver: DriverName) -> None:
        self.client, self._is_motor = client, driver == "motor"
        self.database = client.get_database(
            name,
            read_preference=ReadPreference.PRIMARY,
            read_concern=ReadConcern("majority"),
            write_concern=DURABLE,
        )
        self.is_open = True
        self._took_s = 0.0  # a transaction, of late: so long is who came too late held up
        self.sessions: dict[Binary, None] = {}  # of transactions, in order
        self.on_session: Callable[[Binary], Awaitable[None]] | None = None

    def __getitem__(self, name: str) -> Any:
        """Return a collection."""
        self.check_open()
        return self.database[name]

    def check_open(self) -> None:
        """Raise `Closing` if the connection is closed."""
        if not self.is_open:
            raise Closing("the store is closed")

    async def find(
        self,
        collection: str,
        where: Filter,
        *,
        fields: Filter | Sequence[str] | None = None,
        sort: Sequence[tuple[str, int]] = (),
        limit: int = 0,
        session: Session = None,
    ) -> list[Document]:
        """Return the documents that meet a filter, all of them if `limit` is 0."""
        with told():
            cursor = self[collection].find(where, fields, limit=limit, session=session)
            if sort:
                cursor = cursor.sort(list(sort))
            found: list[Document] = await cursor.to_list(None)
        return found

    async def stream(
        self,
        collection: str,
        where: Filter,
        *,
        fields: Filter | Sequence[str] | None = None,
        sort: Sequence[tuple[str, int]],
        session: Session = None,
    ) -> AsyncIterator[Document]:
        """Yield the documents that meet a filter, in order, however many they are."""
        with told():
            cursor = self[collection].find(where, fields, session=session).sort(list(sort))
            try:
                async for one in cursor:
                    yield one
            finally:
                await cursor.close()

    async def find_one(
        self,
        collection: str,
        where: Filter,
        *,
        fields: Filter | Sequence[str] | None = None,
        session: Session = None,
    ) -> Document | None:
        """Return a document that meets a filter, or None."""
        with told():
            found: Document | None = await self[collection].find_one(where, fields, session=session)
        return found

    async def aggregate(
        self, collection: str, stages: Sequence[Filter], *, session: Session = None
    ) -> list[Document]:
        """Return what a pipeline yields."""
        with told():
            cursor = self[collection].aggregate(stages, session=session)
            if not self._is_motor:
                cursor = await cursor
            found: list[Document] = await cursor.to_list(None)
        return found

    async def command(self, *words: Any, **options: Any) -> Document:
        """Return the answer to a command of the database."""
        self.check_open()
        with told():
            answer: Document = await self.database.command(*words, **options)
        return answer

    async def watch(self, collection: str, stages: Sequence[Filter], **options: Any) -> Any:
        """Return an open change stream, which is to be closed."""
        with told():
            stream = self[collection].watch(stages, **options)
            return stream if self._is_motor else await stream

    @asynccontextmanager
    async def session(self, *, is_snapshot: bool = False) -> AsyncIterator[Session]:
        """Yield a session; with `is_snapshot` all reads in it see one state of the database."""
        self.check_open()
        with told():
            session = self.client.start_session(snapshot=is_snapshot)
            if self._is_motor:
                session = await session
        try:
            yield session
        finally:
            await session.end_session()

    async def transaction(self, work: Callable[[Session], Awaitable[T]]) -> T:
        """Return what `work` returns, once all that it wrote is durable; nothing if it raises.

        `work` is run again, from the start, if another transaction was in its way, or another
        process has ended the session because this one seemed to be gone. Raises
        `Unavailable` if that goes on for too long; what is under way may still be committed only
        if the connection is lost while the commit is answered.
        """
        until = time.monotonic() + _PATIENCE_S
        pause = max(_PAUSE_S, self._took_s / 2)
        while True:
            began = time.monotonic()
            try:
                async with self.session() as session:
                    result = await self._tried(session, work)
                self._took_s += (time.monotonic() - began - self._took_s) / 8
                return result
            except (PyMongoError, SessionEnded) as error:
                if not _is_to_be_run_again(error):
                    raise known(error) from None
                is_gone = isinstance(error, ServerSelectionTimeoutError)  # waited for long enough
                if is_gone or time.monotonic() > until:
                    raise Unavailable("the database cannot be written now") from None
            await asyncio.sleep(random.uniform(0, pause))
            pause = min(2 * pause, max(_LONGEST_PAUSE_S, 2 * self._took_s))

    async def _tried(self, session: Session, work: Callable[[Session], Awaitable[T]]) -> T:
        """Run a transaction once; its commit, which may be repeated, until it is known."""
        await self._note(session.session_id["id"])
        started = session.start_transaction(
            read_concern=ReadConcern("snapshot"),
            write_concern=DURABLE,
            read_preference=ReadPreference.PRIMARY,
            max_commit_time_ms=_COMMIT_MS,
        )
        if not self._is_motor:
            await started
        try:
            result = await work(session)
        except BaseException:
            await session.abort_transaction()
            raise
        until = time.monotonic() + _PATIENCE_S
        while True:
            try:
                await session.commit_transaction()
            except PyMongoError as error:
                is_unknown = error.has_error_label("UnknownTransactionCommitResult")
                if (is_unknown or _code(error) == _ENDED) and time.monotonic() < until:
                    await asyncio.sleep(_PAUSE_S)
                    continue
                raise
            return result

    async def _note(self, session: Binary) -> None:
        """Let it be known of a session, if it is a new one, before a transaction is in it."""
        if session in self.sessions:
            return
        self.sessions[session] = None
        if len(self.sessions) > _SESSIONS:
            del self.sessions[next(iter(self.sessions))]
        if self.on_session is not None:
            await self.on_session(session)

    async def kill_sessions(self, sessions: Sequence[Binary]) -> None:
        """End what is under way in sessions, also of another process with the same user.

        Spec: https://www.mongodb.com/docs/manual/reference/command/killSessions/
        """
        if sessions:
            await self.command({"killSessions": [{"id": one} for one in sessions]})

    async def close(self) -> None:
        """Let go of all connections."""
        self.is_open = False
        closed = self.client.close()
        if not self._is_motor:
            await closed


@contextmanager
def told() -> Iterator[None]:
    """Turn the driver's errors into ours, without their text.

    What a transaction is run again for goes through as it is.
    """
    try:
        yield
    except DocumentTooLarge as error:  # no PyMongoError: the driver sends no command of 16 MB
        raise known(error) from None
    except PyMongoError as error:
        if error.has_error_label("TransientTransactionError"):
            raise
        raise known(error) from None


def _code(error: Exception) -> int | None:
    return error.code if isinstance(error, OperationFailure) else None


def _is_to_be_run_again(error: PyMongoError | SessionEnded) -> bool:
    """Say whether a transaction that ended so did nothing, and may do it at the next try."""
    if isinstance(error, SessionEnded) or _code(error) == _ENDED:
        return True
    return error.has_error_label("TransientTransactionError")


def known(error: Exception) -> Exception:
    """Return our error for one of the driver; one of ours as it is."""
    if isinstance(error, DocumentTooLarge):
        return TooLarge(_MORE_THAN_16_MB)
    if not isinstance(error, PyMongoError):
        return error
    if isinstance(error, InvalidOperation):
        return Closing("the store is closed")
    if isinstance(error, ConnectionFailure | ExecutionTimeout):
        return Unavailable("the database cannot be reached now")
    code = _code(error)
    if code == _ENDED:
        return SessionEnded("the database cannot answer now")
    is_unknown = error.has_error_label("UnknownTransactionCommitResult")
    if is_unknown or code in _PASSING or error.has_error_label("RetryableWriteError"):
        return Unavailable("the database cannot answer now")
    if isinstance(error, BulkWriteError):
        code = next((one["code"] for one in error.details["writeErrors"]), code)
    if code in _TOO_LARGE:
        return TooLarge(_MORE_THAN_16_MB)
    if code == _TOO_MANY_KEYS:
        return TooLarge("a resource says more than MongoDB finds a document by: 100,000 keys")
    return Refused(f"MongoDB refused a command: {type(error).__name__}, code {code}")


def connect(url: str, name: str, driver: DriverName) -> Connection:
    """Return a connection to the database `name` of the servers at `url`; nothing is sent yet."""
    options: dict[str, Any] = {"appname": "fhir-hub", "tz_aware": True}
    for option, milliseconds in _TIMEOUTS_MS.items():
        if option.lower() not in url.lower():
            options[option] = milliseconds
    if driver == "pymongo":
        return Connection(AsyncMongoClient(url, **options), name, driver)
    from motor.motor_asyncio import AsyncIOMotorClient

    return Connection(AsyncIOMotorClient(url, **options), name, driver)
