"""`fhir-hub serve --workers N`: one process that writes and watches, N that serve.

The supervisor holds what there is once: the ports, the connection that writes, the list of
messages under way. Workers get connections, read the file by themselves, and have their
changes written by the supervisor (`store/forward.py`). So a worker may die at any moment: what
it was answered is on the disk, what it was not, it did not answer. The messages that it had
kept and not finished go to another worker at once; it is started again, each time it dies
soon after its start a little later. If the supervisor dies, all end: the start after that
finishes what was under way, as with one process.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

from fhir_hub.collector import calm_collector
from fhir_hub.errors import Unavailable
from fhir_hub.hl7v2.channels.intake import PortTaken
from fhir_hub.hl7v2.channels.rereading import Rereading
from fhir_hub.hl7v2.journal.patience import Patience
from fhir_hub.metric_sources import forget_process
from fhir_hub.server import Addresses, address, not_listening, open_socket
from fhir_hub.settings import Given, Settings
from fhir_hub.settings.channels import DEFAULT_MLLP
from fhir_hub.store import forward
from fhir_hub.store.open import Backend, open_backend
from fhir_hub.telemetry import Logs, stopwatch
from fhir_hub.workers.doorway import HTTP
from fhir_hub.workers.keeping import Keeping
from fhir_hub.workers.launch import Launch, Process
from fhir_hub.workers.pipe import Pipe, open_pipe
from fhir_hub.workers.ports import Ports, Ways
from fhir_hub.workers.reception import Door, Reception

_PAUSES_S = (0.0, 0.5, 2.0, 10.0, 30.0)  # before a start, by how often it died young
_YOUNG_S = 60.0
_PULSES = 4  # questions to a worker within the time in which it must answer one
_BUILT_S = 300.0  # a worker that is not built then hangs: 4 s of CPU, on a machine that is busy
_TELL_S = 5.0  # a worker that hangs is not waited for longer
_AGAIN_S = 5.0  # before what a worker could not do is asked of it again
_LAST_S = 10.0  # beyond `drain_s`, before a worker that does not end is killed


class Worker:
    """One worker process, as the supervisor sees it."""

    def __init__(self, name: str, process: Process, door: Door) -> None:
        self.name, self.process, self.door = name, process, door
        self.pipe: Pipe | None = None
        self.held: set[int] = set()
        self.is_taking = False
        self.ways: Ways | None = None  # the channels that it has, once it is built

    async def ask(self, kind: str, value: Any = None) -> Any:
        """Return the worker's answer."""
        assert self.pipe is not None
        return await self.pipe.ask(kind, value)


async def run_workers(
    settings: Settings,
    given: Given,
    logs: Logs,
    stop: asyncio.Event,
    on_ready: Callable[[Addresses], None],
    load: Path | None,
    launch: Launch,
) -> None:
    """Serve with the workers of `launch` until `stop` is set, then drain.

    Raises `CannotOpen`, `CannotListen`, `InvalidMapping`, or `FhirError` for the file `load`.
    """
    async with open_backend(settings.store, settings.sqlite_mapped_mb) as backend:
        with contextlib.ExitStack() as opened:
            http = opened.enter_context(open_socket(settings.host, settings.port))
            try:
                ports = Ports().changed(settings)
            except PortTaken as taken:
                raise not_listening(*taken.args) from None
            opened.callback(ports.close)
            settings = settings.on_port(http.getsockname()[1])
            here, numbers = address(settings.host, settings.port), ports.by_channel()
            addresses = Addresses(here, numbers.get(DEFAULT_MLLP, 0), channels=numbers)
            warn = logs.get_logger("supervisor").warning
            reception = Reception({HTTP: http, **ports.listening()}, ports.most(), warn)
            parts = (logs, backend, launch, reception, addresses, ports)
            supervisor = Supervisor(settings, given, *parts)
            calm_collector()
            await supervisor.run(stop, on_ready, load)


class Supervisor:
    """Starts the workers, writes for them, and starts again who dies."""

    def __init__(
        self,
        settings: Settings,
        given: Given,
        logs: Logs,
        backend: Backend,
        launch: Launch,
        reception: Reception,
        addresses: Addresses,
        ports: Ports,
    ) -> None:
        self._settings, self._ports = settings, ports
        self._backend, self._launch = backend, launch
        self._keeping = Keeping(backend, Patience(settings.message_answer_s))
        self._log = logs.get_logger("supervisor")
        self._reception, self._addresses = reception, addresses
        self._workers: dict[str, Worker] = {}
        self._orphans: set[int] = set()
        self._errands: set[asyncio.Task[None]] = set()
        self._leader: Worker | None = None
        self._is_stopping = False
        self._asked = asyncio.Event()
        warn = logs.get_logger("channels").warning
        self._rereading = Rereading(given, settings, self._become, warn, self._count)

    async def run(
        self, stop: asyncio.Event, on_ready: Callable[[Addresses], None], load: Path | None
    ) -> None:
        """Serve until `stop` is set, then drain."""
        names = [f"worker-{number}" for number in range(1, self._launch.workers + 1)]
        watching: list[asyncio.Task[None]] = []
        try:
            started = await asyncio.gather(
                *(self._start(name) for name in names), return_exceptions=True
            )
            for one in started:
                if isinstance(one, BaseException):
                    raise one
            first = self._workers[names[0]]
            await first.ask("prepare", str(load) if load else "")
            await asyncio.gather(*(one.ask("refresh") for one in self._workers.values()))
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._hang_up)
            watching = [asyncio.create_task(self._watch(name)) for name in names]
            watching.append(asyncio.create_task(self._reread()))
            for worker in self._workers.values():
                self._open(worker)
            pids = tuple(worker.process.pid for worker in self._workers.values())
            on_ready(replace(self._addresses, workers=pids))
            await stop.wait()
        finally:
            self._is_stopping = True
            self._reception.shut()
            for task in watching:
                task.cancel()
            await asyncio.gather(*(self._end(one) for one in list(self._workers.values())))
        self._log.info("stopped")

    def _hang_up(self) -> None:
        """Let every worker look for new maps, and us for new channels, as one process would."""
        self._asked.set()
        for worker in self._workers.values():
            with contextlib.suppress(ProcessLookupError):
                worker.process.send_signal(signal.SIGHUP)

    def _open(self, worker: Worker) -> None:
        """Let connections go to a worker that is built, and what waits for one."""
        worker.is_taking = True
        self._reception.open(worker.door)
        self._hand_out()
        self._appoint()

    async def _start(self, name: str) -> Worker:
        """Start a worker and wait until it is built. Raises what it cannot be built for.

        One that hangs on the way is killed: `TimeoutError`.
        """
        process, own, door = await self._launch.begin()
        self._workers[name] = worker = Worker(name, process, door)

        async def handle(kind: str, value: Any) -> Any:
            return await self._handle(worker, kind, value)

        worker.pipe = await open_pipe(own, handle, lambda: None)
        settings, ways = self._settings.model_dump(mode="json"), self._ports.ways
        try:
            async with asyncio.timeout(_BUILT_S):
                await worker.ask("build", (settings, self._addresses.mllp, ways.numbers))
        except TimeoutError:
            worker.process.kill()
            raise
        worker.ways = ways
        while worker.ways is not self._ports.ways:  # they changed meanwhile
            await _tell_channels(worker, self._ports.ways)
        return worker

    async def _reread(self) -> None:
        """Look for other channels now and then, and when we are told to."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._settings.mappings_watch_s or None):
                    await self._asked.wait()
            is_asked = self._asked.is_set()
            self._asked.clear()
            try:
                await self._rereading.look(is_asked)
            except Exception as error:  # a worker failed: the channels are as they were
                self._log.error("channels_not_taken", fault=error)

    async def _become(self, settings: Settings) -> None:
        """Have every worker take the channels of these settings; then open and close the ports.

        Raises `InvalidSettings` or `PortTaken`, and then everything is as before.
        """
        ports = self._ports.changed(settings, self._reception.busy())
        try:
            await self._tell_all(ports.ways)
        except BaseException:
            ports.close(self._ports)
            raise
        self._ports = ports
        self._settings = self._settings.model_copy(update={"channels": settings.channels})
        self._reception.become(ports.listening(), ports.most())

    async def _tell_all(self, ways: Ways) -> None:
        """Tell the workers that are built of other channels; if one refuses, all have the old."""
        told: list[Worker] = []
        built = self._workers.values
        while left := [one for one in built() if one.ways is not None and one.ways is not ways]:
            now = left if told else left[:1]  # what the first refuses no other has to take back
            told += now
            work = (_tell_channels(one, ways) for one in now)
            ended = await asyncio.gather(*work, return_exceptions=True)
            for error in filter(None, ended):
                back = (_tell_channels(one, self._ports.ways) for one in told)
                await asyncio.gather(*back, return_exceptions=True)
                raise error

    def _count(self, outcome: str) -> None:
        """Have a worker count how a change of the channels ended: metrics are theirs."""
        if alive := next((one for one in self._workers.values() if one.is_taking), None):
            self._run(alive.ask("count", outcome))

    async def _handle(self, worker: Worker, kind: str, value: Any) -> Any:
        """Answer a worker's question."""
        if kind == "keep":
            answer = await self._keeping.answer(value)
            if not answer[1]:
                self._hold(worker, answer[0])
            return answer
        if kind in forward.KINDS:
            answer = await forward.answer(self._backend, kind, value)
            if kind == "reopen":
                self._hold(worker, value[0])
            if forward.changes_parameters(kind, value):
                await self._tell(worker)
            if number := forward.finished(kind, value):
                self._let_go(number)
            return answer
        if kind == "leave":
            self._reception.close(worker.door)
            return None
        assert kind == "figures", kind
        processes = {"supervisor": os.getpid()}
        processes |= {one.name: one.process.pid for one in self._workers.values() if one.is_taking}
        return processes, self._reception.mllp_connections

    async def _tell(self, changer: Worker) -> None:
        """Let every other worker know the search parameters before the change is answered."""
        others = [one for one in self._workers.values() if one.is_taking and one is not changer]
        told = [asyncio.create_task(one.ask("refresh")) for one in others]
        if told:
            await asyncio.wait(told, timeout=_TELL_S)

    def _appoint(self) -> None:
        """See to it that one worker leads: it indexes for new search parameters."""
        if self._leader not in self._workers.values():
            self._leader = next((one for one in self._workers.values() if one.is_taking), None)
            if self._leader is not None:
                self._run(self._leader.ask("lead"))

    def _run(self, work: Coroutine[Any, Any, Any]) -> None:
        async def quiet() -> None:
            with contextlib.suppress(Exception):  # the worker died: another gets the work
                await work

        task = asyncio.create_task(quiet())
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    def _hold(self, worker: Worker, number: int) -> None:
        """Remember who works on a message; one whose worker is gone meanwhile goes to another."""
        worker.held.add(number)
        if self._workers.get(worker.name) is not worker:
            self._orphans.add(number)
            self._hand_out()

    def _let_go(self, number: int) -> None:
        self._orphans.discard(number)
        for worker in self._workers.values():
            worker.held.discard(number)

    def _hand_out(self) -> None:
        """Give the messages of dead workers to a live one."""
        alive = next((one for one in self._workers.values() if one.is_taking), None)
        if alive is None or not self._orphans or self._is_stopping:
            return
        numbers = sorted(self._orphans)
        self._orphans.clear()
        alive.held.update(numbers)

        self._log.info("messages_replayed", messages=len(numbers))
        self._run(self._replay(alive, numbers))

    async def _replay(self, alive: Worker, numbers: list[int]) -> None:
        with contextlib.suppress(Exception):  # what was kept early is there then, or was lost
            await self._backend.store.write(())
        while True:
            try:
                await alive.ask("replay", numbers)
                return
            except Exception as fault:  # of one that died another has them already
                if self._workers.get(alive.name) is not alive:
                    return
                self._log.error("messages_not_replayed", messages=len(numbers), fault=fault)
            await asyncio.sleep(_AGAIN_S)

    async def _watch(self, name: str) -> None:
        """Start a worker again whenever it ends."""
        early = 0
        elapsed = stopwatch()
        while True:
            worker = self._workers[name]
            pulse = asyncio.create_task(self._feel_pulse(worker))
            status = await worker.process.wait()
            pulse.cancel()
            self._forget(worker)
            self._log.error("worker_lost", pid=worker.process.pid, status=status)
            early = early + 1 if elapsed() < _YOUNG_S else 0
            while True:
                await asyncio.sleep(_PAUSES_S[min(early, len(_PAUSES_S) - 1)])
                elapsed = stopwatch()
                try:
                    worker = await self._start(name)
                    break
                except Exception as error:
                    self._log.error("worker_not_started", fault=error)
                    if name in self._workers:
                        await self._end(self._workers[name])
                    early += 1
            self._open(worker)
            self._log.info("worker_started", pid=worker.process.pid)

    async def _feel_pulse(self, worker: Worker) -> None:
        """Kill a worker that answers nothing any more: it hangs, and another takes its place."""
        limit = self._settings.worker_timeout_s
        while True:
            try:
                async with asyncio.timeout(limit):
                    await worker.ask("pulse")
            except TimeoutError:
                self._log.error("worker_hangs", pid=worker.process.pid)
                worker.process.kill()
                return
            except Unavailable:  # it has ended
                return
            await asyncio.sleep(limit / _PULSES)

    def _forget(self, worker: Worker) -> None:
        """Let go of a worker that has ended; what it had kept goes to another."""
        if self._workers.get(worker.name) is worker:
            del self._workers[worker.name]
            forget_process(worker.process.pid, Path(self._launch.folder))
        self._reception.close(worker.door)
        worker.door.own.close()
        if worker.pipe is not None:
            worker.pipe.close()
        self._orphans |= worker.held
        self._hand_out()
        if not self._is_stopping:
            self._appoint()

    async def _end(self, worker: Worker) -> None:
        """Ask a worker to drain, wait until it has, and kill it if it does not."""
        with contextlib.suppress(ProcessLookupError):
            worker.process.terminate()
        try:
            async with asyncio.timeout(self._settings.drain_s + _LAST_S):
                await worker.process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                worker.process.kill()
            await worker.process.wait()
        self._forget(worker)


async def _tell_channels(worker: Worker, ways: Ways) -> None:
    """Have a worker take other channels; one that is gone has what holds when it starts again."""
    with contextlib.suppress(Unavailable):
        await worker.ask("channels", tuple(ways))
    worker.ways = ways
