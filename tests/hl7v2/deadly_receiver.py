"""Lives of a hub that forks for each, so that a message may really end the process that does it."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable

import parts
from apply_parts import conversion, identifier, observation, patient

from fhir_hub.clock import now
from fhir_hub.errors import Unavailable
from fhir_hub.hl7v2.channels.channel import Channel
from fhir_hub.hl7v2.journal.patience import Patience
from fhir_hub.hl7v2.receive import Receiver
from fhir_hub.store.crew import Crew
from fhir_hub.store.open import Backend, open_backend

DEADLY = "DEADLY"
Work = Callable[[Receiver, Backend], Awaitable[None]]


def message(control_id: str, patient_number: str) -> bytes:
    header = f"MSH|^~\\&|LIS|SHTH01|HUB|X|20250314||ORU^R01|{control_id}|P|2.4"
    return f"{header}\rPID|1||{patient_number}\r".encode()


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Lives:
    """A hub on one store. `is_mended`: what was deadly is so no more."""

    def __init__(self, url: str) -> None:
        self.url, self.is_mended = url, False

    async def run(
        self,
        work: Work,
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
            await asyncio.sleep(0)

        async with open_backend(self.url) as backend:
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
            await work(receiver, backend)

    def dies(self, work: Work, **hooks: Callable) -> bool:
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


class Duties:
    """What a hub does for others who are gone; here the process that leads does it itself."""

    def __init__(self, receiver: Receiver, crew: Crew) -> None:
        self._receiver, self._crew = receiver, crew

    def lead(self) -> None:
        """Lead."""

    async def rest(self) -> None:
        """Rest."""

    async def finish_left(self) -> None:
        while numbers := await self._crew.take_over():
            await self._receiver.replay(numbers, is_alone=True)


async def replay(receiver, backend):
    if backend.crew is None:
        await receiver.replay(is_alone=True)
        return
    await backend.crew.look(Duties(receiver, backend.crew))
    await asyncio.gather(*backend.crew.finishing)


def receiving(*messages):
    """Return work that takes messages; all are durable before one is done."""

    async def work(receiver, backend):
        kept, convert = list[int](), receiver.processing.convert

        def convert_when_kept(*given):
            if len(kept) < len(messages):
                raise Unavailable("it is tried again")
            return convert(*given)

        def hear(number, acknowledgment):
            kept.append(number)

        receiver.processing.convert = convert_when_kept
        await asyncio.gather(*(receiver.receive(one, on_kept=hear) for one in messages))

    return work
