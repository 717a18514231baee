"""What a sender is told is on the disk by then, and what the disk did not take is kept again.

Spec: HL7v2 chapter 2, 2.9.2 and 2.9.3
"""

import asyncio
import resource
import sqlite3
from contextlib import closing, contextmanager

import pytest
from hl7v2.receiving import Log, oru, receiver_of

from fhir_hub.errors import NotSupported
from fhir_hub.hl7v2.wire.sender import read_answer
from fhir_hub.store.open import open_backend


@pytest.fixture
def path(tmp_path):
    return tmp_path / "hub.sqlite"


@contextmanager
def full(path):
    """No file grows above the size of the log, as on a full disk; yields what makes room again."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = path.with_name(f"{path.name}-wal").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class RoomAfter(Log):
    """A log that makes room when it hears of an event."""

    def __init__(self, event):
        super().__init__()
        self.event, self.make_room = event, lambda: None

    def __call__(self, event, **fields):
        super().__call__(event, **fields)
        if event == self.event:
            self.make_room()


@pytest.mark.parametrize("application", ["AL", "NE", ""])
async def test_a_commit_acknowledgment_is_of_what_is_on_the_disk(
    path, convert, clock, log, application
):
    on_disk = []

    def on_kept(number, committed):
        with closing(sqlite3.connect(path)) as connection:
            on_disk.extend(connection.execute("SELECT number FROM message").fetchall())

    raw = oru().replace(b"|P|2.4", f"|P|2.4|||AL|{application}".encode())
    async with open_backend(f"sqlite:{path}") as backend:
        receiver = receiver_of(backend, convert, clock, log, ack_mode="enhanced")
        await receiver.receive(raw, on_kept=on_kept)

    assert on_disk == [(1,)]


async def test_messages_that_a_full_disk_did_not_take_are_done_when_there_is_room(
    path, convert, clock
):
    log = RoomAfter("message_tried")
    async with open_backend(f"sqlite:{path}") as backend:
        receiver = receiver_of(backend, convert, clock, log)
        with full(path) as log.make_room:
            answers = await asyncio.gather(
                *(receiver.receive(oru(f"C{one}", f"T{one % 2}")) for one in range(4)),
                receiver.receive(oru("C0", "T0")),
            )
        states = [one.state for one in await backend.journal.recent()]

    assert [read_answer(one).ack_code for one in answers] == ["AA"] * 5
    assert states == ["done"] * 4


async def test_a_bad_message_that_a_full_disk_did_not_take_is_in_the_journal_in_the_end(
    path, convert, clock
):
    log = RoomAfter("message_not_taken")
    convert.fault = NotSupported("no map")
    async with open_backend(f"sqlite:{path}") as backend:
        receiver = receiver_of(backend, convert, clock, log)
        with full(path) as log.make_room:
            answer = await receiver.receive(oru())
        states = [one.state for one in await backend.journal.recent()]

    assert (read_answer(answer).ack_code, states) == ("AR", ["failed"])
