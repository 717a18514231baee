"""One worker process, as the supervisor sees it: what is asked of it, and whether it lives."""

import asyncio
import contextlib
from collections.abc import Awaitable
from typing import Any

from fhir_hub.errors import Unavailable
from fhir_hub.settings import Settings
from fhir_hub.telemetry import Log
from fhir_hub.workers.begin import Process
from fhir_hub.workers.pipe import Pipe
from fhir_hub.workers.ports import Ways
from fhir_hub.workers.reception import Door

_PULSES = 4  # questions to a worker within the time in which it must answer one
_BUILT_S = 300.0  # a worker that is not built then hangs: 4 s of CPU, on a machine that is busy
_LAST_S = 10.0  # beyond the time to drain, before a worker that does not end is killed


class Member:
    """A worker. It takes connections when it `is_taking`; its process has ended if it `is_gone`."""

    def __init__(self, name: str, process: Process, door: Door) -> None:
        self.name, self.process, self.door = name, process, door
        self.pipe: Pipe | None = None
        self.is_taking = self.is_gone = False
        self.ways: Ways | None = None  # the channels that it has, once it is built

    async def ask(self, kind: str, value: Any = None) -> Any:
        """Return the worker's answer."""
        assert self.pipe is not None
        return await self.pipe.ask(kind, value)

    async def build(
        self, settings: Settings, mllp_port: int = 0, numbers: tuple[int, ...] | None = None
    ) -> None:
        """Have it build its hub, which serves the channels of these numbers if there are any.

        Raises what it cannot be built for. One that hangs on the way is killed: `TimeoutError`.
        """
        options = settings.model_dump(mode="json")
        try:
            async with asyncio.timeout(_BUILT_S):
                await self.ask("build", (options, mllp_port, numbers))
        except TimeoutError:
            self.process.kill()
            raise

    def lost(self) -> None:
        """Remember that its end of the pipe is closed."""
        self.is_gone = True

    async def tell_channels(self, ways: Ways) -> None:
        """Have it take other channels; if it is gone the next has what holds when it starts."""
        with contextlib.suppress(Unavailable):
            await self.ask("channels", tuple(ways))
        self.ways = ways

    async def feeling_pulse(self, work: Awaitable[None], limit_s: float, log: Log) -> None:
        """Wait for `work` that it does, or for its end, and kill it if it hangs meanwhile."""
        pulse = asyncio.create_task(self._feel_pulse(limit_s, log))
        try:
            await work
        finally:
            pulse.cancel()

    async def _feel_pulse(self, limit_s: float, log: Log) -> None:
        while True:
            try:
                async with asyncio.timeout(limit_s):
                    await self.ask("pulse")
            except TimeoutError:
                log("worker_hangs", pid=self.process.pid)
                self.process.kill()
                return
            except Unavailable:  # it has ended
                return
            await asyncio.sleep(limit_s / _PULSES)

    async def end(self, drain_s: float) -> None:
        """Ask it to drain, wait until it has ended, and kill it if it does not."""
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        try:
            async with asyncio.timeout(drain_s + _LAST_S):
                await self.process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()
