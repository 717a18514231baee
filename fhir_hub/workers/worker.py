"""One worker: a hub that is handed its connections, and has its changes written for it.

It begins (`launch.py`) as a copy, or as `python -m fhir_hub.workers.worker PIPE DOOR FOLDER`, two
descriptors of socket pairs and a folder for metrics. It is told what to do over the first: `build`
with the settings, `prepare` (one worker does: finish what a crash interrupted, load a file), `lead`
(one indexes for new search parameters, and delivers), `refresh` what it knows of those, `replay`
some messages, take other `channels`, `count` how that ended, give a sign of life (`pulse`), or do
what was `left` and nothing else (`apart.py`). SIGTERM makes it drain and end; the end of who began
it makes it end at once.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from functools import partial
from pathlib import Path
from typing import Any

from fhir_hub.app import Known, build
from fhir_hub.collector import calm_collector, collect_rarely
from fhir_hub.errors import Unavailable
from fhir_hub.hl7v2.channels.rereading import become
from fhir_hub.hl7v2.maps.mappings import Mappings
from fhir_hub.hub import Hub
from fhir_hub.server import new_event_loop
from fhir_hub.settings import load_settings
from fhir_hub.store.forward import forwarding
from fhir_hub.store.open import Backend, open_backend
from fhir_hub.telemetry import LIBRARIES, Figures, Logs, share_metrics
from fhir_hub.workers.apart import Apart
from fhir_hub.workers.doorway import HTTP, Adopt, Doorway, mllp_kind
from fhir_hub.workers.maps import known_of, packed
from fhir_hub.workers.pipe import Pipe, open_pipe

HELD = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}  # while copies are made


class Worker:
    """What the supervisor's questions are about."""

    def __init__(self, door: socket.socket, known: Known | None) -> None:
        self.stop = asyncio.Event()
        self.pipe: Pipe | None = None
        self._door, self._known = door, known
        self._backend: Backend | None = None
        self._hub: Hub | None = None
        self._options: dict[str, Any] = {}
        self._doorway: Doorway | None = None
        self._numbers: tuple[int, ...] = ()
        self._serving: asyncio.Task[None] | None = None
        self._telling: asyncio.Future[Any] | None = None
        self._ending = contextlib.ExitStack()

    async def handle(self, kind: str, value: Any) -> Any:
        """Do what the supervisor says."""
        if kind == "build":
            await self._build(*value)
            return None
        if kind == "pulse":
            return None
        assert self._hub is not None
        if kind == "prepare":
            return await self._hub.prepare(Path(value) if value else None)
        if kind == "lead":
            self._hub.reloading.tell(self._tell_maps)
            await self._hub.lead()
            return None
        if kind == "refresh":
            await self._hub.indexing.refresh()
            return None
        if kind == "left":
            await self._hub.prepare(None)
            await self._hub.finish_left()
            return None
        if kind == "channels":
            await self._become(*value)
            return None
        if kind == "count":
            self._hub.metrics.observe_channels(value)
            return None
        assert kind == "replay", kind
        numbers, is_alone = value
        return await self._hub.receiver.replay(numbers, is_alone=is_alone)

    async def close(self) -> None:
        """Let go of everything, once requests and messages under way are answered."""
        if self._serving is not None:
            await self._serving
        elif self._hub is not None:
            await self._hub.receiver.close()
        if self._backend is not None:
            await self._backend.close()
        if self.pipe is not None:
            self.pipe.close()
        self._ending.close()

    async def _build(
        self, options: dict[str, Any], mllp_port: int, numbers: tuple[int, ...] | None
    ) -> None:
        assert self.pipe is not None
        settings = load_settings(None, options, {})
        logs = Logs(settings.log_level, settings.log_format)
        self._ending.enter_context(logs.taking_over(*LIBRARIES))
        near = open_backend(settings.store, settings.sqlite_mapped_mb)
        # where every process may write there is nothing to forward
        self._backend = near if near.crew else forwarding(near, self.pipe.ask)
        known = self._known or await known_of(settings, partial(self.pipe.ask, "maps"))
        parts = (settings, self._backend, logs, self._figures)
        apart = Apart(settings, logs, known.mappings)
        self._hub = build(*parts, known=known, apart=apart.finish_left)
        calm_collector()
        if numbers is not None:
            self._options, self._numbers = options, numbers
            await self._attend(self._hub, mllp_port)

    async def _attend(self, hub: Hub, mllp_port: int) -> None:
        ready = asyncio.Event()
        serving = hub.attend(self.stop, mllp_port, self._take, ready.set)
        self._serving = asyncio.create_task(serving)
        self._serving.add_done_callback(lambda _: ready.set())
        await ready.wait()
        if self._serving.done():  # it could not begin
            failed, self._serving = self._serving, None
            await failed

    def _take(self, hub: Hub, server: Any) -> Doorway:
        self._adopt_http = server.adopt
        self._doorway = Doorway(
            self._door, self._adopters(hub), hub.logs.get_logger("worker").warning
        )
        return self._doorway

    def _adopters(self, hub: Hub) -> dict[bytes, Adopt]:
        mllp = zip(map(mllp_kind, self._numbers), hub.intake.adopters(), strict=True)
        return {HTTP: self._adopt_http, **dict(mllp)}

    async def _become(self, channels: dict[str, Any], numbers: tuple[int, ...]) -> None:
        """Take messages by other channels; raises `InvalidSettings`, and nothing has changed."""
        assert self._hub is not None
        settings = load_settings(None, self._options | {"channels": channels}, {})
        await become(self._hub.intake, self._hub.receiver.reading, settings)
        self._numbers = numbers
        if self._doorway is not None:
            self._doorway.become(self._adopters(self._hub))

    def _tell_maps(self, mappings: Mappings) -> None:
        """Have the supervisor keep the maps in force, for whoever starts while others are wrong."""
        assert self.pipe is not None
        self._telling = asyncio.ensure_future(self.pipe.ask("maps_hold", packed(mappings)))
        self._telling.add_done_callback(lambda told: told.cancelled() or told.exception())

    async def _figures(self) -> Figures:
        assert self.pipe is not None
        return Figures(*await self.pipe.ask("figures"))


async def serve(pipe: socket.socket, door: socket.socket, known: Known | None) -> None:
    """Serve until told to stop."""
    worker = Worker(door, known)
    leaving: list[asyncio.Task[None]] = []

    async def leave() -> None:
        assert worker.pipe is not None
        with contextlib.suppress(Unavailable):
            await worker.pipe.ask("leave")  # from now on nobody is sent here
        worker.stop.set()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, lambda: leaving.append(loop.create_task(leave())))
    hear()
    worker.pipe = await open_pipe(pipe, worker.handle, _give_up)
    await worker.stop.wait()
    await worker.close()


def hear() -> None:
    """Hear from now on that we are to stop, and what came of it while it was held back."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD)


def _give_up() -> None:
    """End at once: without a supervisor nobody knows what of the last changes was written.

    A client that gets no answer asks again, and then finds out; an error might be wrong.
    """
    os._exit(1)


def work(pipe: socket.socket, door: socket.socket, folder: str, known: Known | None = None) -> None:
    """Be the worker with these ends of socket pairs; `known` is what was read for it already."""
    collect_rarely()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the supervisor, which tells us
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the hub is built that reads maps anew
    share_metrics(folder)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(serve(pipe, door, known))


if __name__ == "__main__":
    *_, pipe, door, folder = sys.argv
    work(socket.socket(fileno=int(pipe)), socket.socket(fileno=int(door)), folder)
