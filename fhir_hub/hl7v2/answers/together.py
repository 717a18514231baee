"""The messages of a batch, taken at once as far as their patients let them.

A message waits for those before it in the batch that have a patient's number in common with it,
and so a merge, which has two patients' numbers, for what came before about either; what comes
after waits for it. Whoever takes the messages hears of them in that order, and of those that do
not wait for each other at the same time. The answers come in the order of the messages.

Spec: HL7v2 chapter 2, 2.10.3
"""

import asyncio
from collections.abc import Awaitable, Callable

from fhir_hub.errors import FhirError
from fhir_hub.hl7v2 import ack
from fhir_hub.hl7v2.journal.order import patient_numbers
from fhir_hub.hl7v2.wire import charset
from fhir_hub.store.ending import end_tasks

Take = Callable[[bytes], Awaitable[bytes]]
AT_ONCE = 16


class Together:
    """Takes messages, at most `AT_ONCE` at a time; `take` answers one."""

    def __init__(self, take: Take) -> None:
        self._take = take
        self._last: dict[str, asyncio.Task[bytes]] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._tasks: set[asyncio.Task[bytes]] = set()

    async def begin(self, raw: bytes) -> "asyncio.Task[bytes]":
        """Return the task that answers a message, when there is room for one more."""
        await self._slots.acquire()
        numbers = _numbers(raw)
        before = {self._last[number] for number in numbers if number in self._last}
        task = asyncio.create_task(self._one(raw, before))
        self._last.update(dict.fromkeys(numbers, task))
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._ended(done, numbers))
        return task

    async def close(self) -> None:
        """Let go of what nobody waits for any more."""
        await end_tasks(*self._tasks)

    async def _one(self, raw: bytes, before: "set[asyncio.Task[bytes]]") -> bytes:
        if before:
            await asyncio.wait(before)
        return await self._take(raw)

    def _ended(self, task: "asyncio.Task[bytes]", numbers: tuple[str, ...]) -> None:
        self._slots.release()
        self._tasks.discard(task)
        for number in numbers:
            if self._last.get(number) is task:
                del self._last[number]


def _numbers(raw: bytes) -> tuple[str, ...]:
    """Return the numbers of a message's patients, without knowing its sender."""
    try:
        text = charset.decode(raw).text
    except FhirError:
        text = raw.decode("latin-1")
    return patient_numbers(text, ack.read_header(text))
