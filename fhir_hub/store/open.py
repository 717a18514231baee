"""From an address (`sqlite:hub.db`, `memory:`) to the store and the journal behind it.

One row a backend. What a backend needs is imported when it is opened, so that a hub on one
store does not pay for the driver of another.
"""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from fhir_hub.store.base import CannotOpen, Store
from fhir_hub.store.crew import Crew
from fhir_hub.store.journal import Journal
from fhir_hub.store.news import News, NoNews
from fhir_hub.store.packing import Packing, Unpacked
from fhir_hub.store.terminology.codes_seen import Codes
from fhir_hub.telemetry import described


@dataclass(frozen=True, slots=True)
class Backend:
    """An open store and its journal. `async with` closes it; so does `close`.

    With a `crew` any number of processes may write to it, each by itself. `codes` are local codes
    that came, where the store keeps them itself. `news` tells of what other processes write.
    `packing` is how a process that only reads best sends changes to the one that writes.
    """

    store: Store
    journal: Journal
    close: Callable[[], Awaitable[None]]
    crew: Crew | None = None
    codes: Codes | None = None
    news: News = field(default_factory=NoNews)
    packing: Packing = field(default_factory=Unpacked)

    async def __aenter__(self) -> Self:
        """Return the backend itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it, whatever happened."""
        await self.close()


def open_backend(url: str, mapped_mb: int = 0) -> Backend:
    """Return the backend at `url`: `memory:`, `sqlite:PATH` or `mongodb://HOST/DATABASE`.

    The folder of a path is made if need be, and so are the collections of a database. Of a file
    the first `mapped_mb` are read as memory.

    Raises `CannotOpen`, with a sentence for the person who starts the hub, if the scheme is
    unknown, the path cannot be used, or the database is not ours or newer than this program.
    """
    scheme, colon, rest = url.partition(":")
    opener = _OPENERS.get(scheme) if colon else None
    if opener is None:
        known = ", ".join(_FORMS)
        raise CannotOpen(
            f"unknown store {scheme[:20]!r}: write one of {known} / 未知的存储地址,可用:{known}"
        )
    return opener(rest, mapped_mb)


def explained(error: Exception) -> str:
    """Return of what type an error is and where it was; of a file's, why in words of people."""
    reason = ""
    if type(error).__module__ == "apsw":
        from fhir_hub.store.sqlite.connection import reason_of

        reason = reason_of(error)
    return f"{described(error)}: {reason}" if reason else described(error)


def claimed(url: str) -> AbstractAsyncContextManager[None]:
    """Be the one hub on the store at `url`, where it is for one; raises `CannotOpen` if it is not.

    For who serves: other commands may work on the store beside a hub.
    """
    scheme, _, rest = url.partition(":")
    if scheme != "sqlite" or not rest:
        return nullcontext()
    from fhir_hub.store.sqlite.claim import claimed

    return claimed(Path(rest))


def _memory(rest: str, _: int) -> Backend:
    from fhir_hub.store.memory.store import open_memory

    if rest:
        raise CannotOpen("memory: takes no path / memory: 后面不能有路径")
    store, journal = open_memory()
    return Backend(store, journal, store.close)


def _sqlite(rest: str, mapped_mb: int) -> Backend:
    from fhir_hub.store.sqlite.store import open_sqlite

    if not rest:
        raise CannotOpen("sqlite: needs a path, such as sqlite:hub.db / sqlite: 后面要写文件路径")
    store, journal = open_sqlite(Path(rest), mapped_mb=mapped_mb)
    return Backend(store, journal, store.close, packing=store.packing)


def _mongo(scheme: str) -> Callable[[str, int], Backend]:
    def opened(rest: str, _: int) -> Backend:
        from fhir_hub.store.mongo.opening import open_mongo

        parts = open_mongo(f"{scheme}:{rest}")
        kept = (parts.crew, parts.codes, parts.news)
        return Backend(parts.store, parts.journal, parts.close, *kept)

    return opened


_FORMS = ("sqlite:PATH", "mongodb://HOST:PORT/DATABASE?replicaSet=NAME", "memory:")
_OPENERS: dict[str, Callable[[str, int], Backend]] = {
    "memory": _memory,
    "sqlite": _sqlite,
    "mongodb": _mongo("mongodb"),
    "mongodb+srv": _mongo("mongodb+srv"),
}
