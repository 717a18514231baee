"""Lives of a hub that forks for each, so that a message may really end the process that does it."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import parts
from apply_parts import conversion, identifier, observation, patient

from fhir_hub.clock import now
from fhir_hub.hl7v2.channels.channel import Channel
from fhir_hub.hl7v2.journal.patience import Patience
from fhir_hub.hl7v2.receive import Receiver
from fhir_hub.store.journal import Journal
from fhir_hub.store.open import open_backend

DEADLY = "DEADLY"


def message(control_id: str, patient_number: str) -> bytes:
    header = f"MSH|^~\\&|LIS|SHTH01|HUB|X|20250314||ORU^R01|{control_id}|P|2.4"
    return f"{header}\rPID|1||{patient_number}\r".encode()


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Lives:
    """A hub on one file. `is_mended`: what was deadly is so no more."""

    def __init__(self, path: Path) -> None:
        self.path, self.is_mended = path, False

    async def run(
        self,
        work: Callable[[Receiver, Journal], Awaitable[None]],
        on_convert: Callable[[str], None] = lambda control_id: None,
        on_pause: Callable[[], None] = lambda: None,
    ) -> None:
        """Do `work` in this process."""

        def convert(read, received, zone):
            control_id = read.header.value(10)
            if control_id.startswith(DEADLY) and not self.is_mended:
                die()
            on_convert(control_id)
            number = read.first("PID").value(3)
            return conversion(patient(identifier(number)), observation(control_id))

        async def pause(seconds: float) -> None:
            on_pause()

        async with open_backend(f"sqlite:{self.path}") as backend:
            ids, prefix = parts.ids(), f"{os.getpid()}-"
            receiver = Receiver(
                parts.repository(backend.store, now, lambda: prefix + ids()),
                backend.journal,
                convert,
                parameters=parts.parameters(),
                channel=Channel("mllp", parts.ZONE),
                clock=now,  # a real hub on the file forgets what is old
                new_id=lambda: prefix + ids(),
                patience=Patience(pause=pause),
            )
            await receiver.begin()
            await work(receiver, backend.journal)

    def dies(self, work: Callable[[Receiver, Journal], Awaitable[None]], **hooks: Callable) -> bool:
        """Do `work` in a process of its own; return whether that was killed."""
        pid = os.fork()
        if not pid:
            try:
                asyncio.run(self.run(work, **hooks))
            except BaseException as error:
                sys.stderr.write(f"{type(error).__name__}: {error}\n")
                os._exit(1)
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert status in (0, -signal.SIGKILL)
        return status != 0


def nobody(number, acknowledgment):
    """Be told that a message is kept."""


async def replay(receiver, journal):
    await receiver.replay(is_alone=True)


def receiving(*messages):
    """Return work that takes messages, each durable before it is done."""

    async def work(receiver, journal):
        await asyncio.gather(*(receiver.receive(one, on_kept=nobody) for one in messages))

    return work
