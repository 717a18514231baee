"""Every test of the contract runs on each backend."""

import asyncio
import marshal
from collections.abc import AsyncIterator, Callable
from itertools import count
from typing import Any

import pytest

from fhir_hub.search.entry import Entry
from fhir_hub.store import forward
from fhir_hub.store.base import Change, Method
from fhir_hub.store.open import Backend, open_backend


@pytest.fixture
async def backend(store_url, store_kind) -> AsyncIterator[Backend]:
    async with open_backend(store_url) as opened:
        yield forwarded(opened) if store_kind == "forwarded" else opened


def forwarded(opened: Backend) -> Backend:
    """A worker's backend whose changes take the form in which they travel between processes."""

    async def ask(kind: str, value: Any) -> Any:
        sent = marshal.loads(marshal.dumps(value))
        return marshal.loads(marshal.dumps(await forward.answer(opened, kind, sent)))

    return forward.forwarding(opened, ask)


@pytest.fixture
def as_worker() -> Callable[[Backend], Backend]:
    """Make of an open backend that of a worker."""
    return forwarded


@pytest.fixture
def store(backend):
    return backend.store


@pytest.fixture
def journal(backend):
    return backend.journal


@pytest.fixture
def change() -> Callable[..., Change]:
    """Make changes; each a second later than the one before."""
    seconds = count(1)

    def make(
        logical_id: str = "a",
        *entries: Entry,
        resource_type: str = "Patient",
        version_id: int = 1,
        method: Method | None = None,
        content: bytes | None = None,
        at: int | None = None,
    ) -> Change:
        moment = next(seconds) * 1_000_000 if at is None else at
        made = method or ("POST" if version_id == 1 else "PUT")
        default = b"" if made == "DELETE" else f'{{"id":"{logical_id}","v":{version_id}}}'.encode()
        return Change(
            resource_type,
            logical_id,
            version_id,
            moment,
            made,
            default if content is None else content,
            entries,
        )

    return make


@pytest.fixture
def together() -> Callable[..., "asyncio.Future[list[object]]"]:
    """Run coroutines at once; return what each returned or raised."""

    def run(*work):
        return asyncio.gather(*work, return_exceptions=True)

    return run
