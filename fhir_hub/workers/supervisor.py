"""`fhir-hub serve --workers N`: one process that writes and watches, N that serve.

The supervisor holds what there is once: the ports, the connection that writes, the list of
messages under way. Workers get connections, read the file by themselves, and have their
changes written by the supervisor (`store/forward.py`). So a worker may die at any moment: what
it was answered is on the disk, what it was not, it did not answer. The messages that it had
kept and not finished are done, one at a time, by the one that is started in its stead, before
that takes connections: so if one of them ends that too, it is known which (`suspects.py`). Who
dies soon after its start is started again a little later each time. If the supervisor dies, all
end: the start after that finishes what was under way, as with one process.
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
from fhir_hub.workers.handing import Handing
from fhir_hub.workers.keeping import Keeping
from fhir_hub.workers.launch import Launch
from fhir_hub.workers.member import Member
from fhir_hub.workers.pipe import open_pipe
from fhir_hub.workers.ports import Ports, Ways
from fhir_hub.workers.reception import Reception

_PAUSES_S = (0.0, 0.5, 2.0, 10.0, 30.0)  # before a start, by how often it died young
_YOUNG_S = 60.0
_TELL_S = 5.0  # a worker that hangs is not waited for longer
_TRIES = 3  # of the first start, when workers die for no message's sake


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
        self._handing = Handing(backend, self._log, self._alive, self._run)
        self._reception, self._addresses = reception, addresses
        self._workers: dict[str, Member] = {}
        self._errands: set[asyncio.Task[None]] = set()
        self._leader: Member | None = None
        self._leading: asyncio.Task[None] | None = None
        self._is_stopping = False
        self._maps = b""  # that hold, as the leader has told
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
                *(self._start_first(name) for name in names), return_exceptions=True
            )
            for one in started:
                if isinstance(one, BaseException):
                    raise one
            await self._prepare(names[0])
            if load:
                await self._workers[names[0]].ask("prepare", str(load))
            others = [one.ask("refresh") for one in self._workers.values()]
            await asyncio.gather(*others, return_exceptions=True)  # who is gone is replaced
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._hang_up)
            watching = [asyncio.create_task(self._watch(name)) for name in names]
            watching.append(asyncio.create_task(self._reread()))
            for worker in self._workers.values():
                self._open(worker)
            if self._leading is not None:  # a new partner is told of all that is answered from here
                await self._leading
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

    def _open(self, worker: Member) -> None:
        """Let connections go to a worker that is built, and what waits for one."""
        worker.is_taking = True
        self._reception.open(worker.door)
        self._handing.hand_out()
        self._appoint()

    async def _start(self, name: str) -> Member:
        """Start a worker and wait until it is built. Raises what it cannot be built for.

        One that hangs on the way is killed: `TimeoutError`.
        """
        process, own, door = await self._launch.begin()
        self._workers[name] = worker = Member(name, process, door)

        async def handle(kind: str, value: Any) -> Any:
            return await self._handle(worker, kind, value)

        worker.pipe = await open_pipe(own, handle, worker.lost)
        ways = self._ports.ways
        await worker.build(self._settings, self._addresses.mllp, ways.numbers)
        worker.ways = ways
        while worker.ways is not self._ports.ways:  # they changed meanwhile
            await worker.tell_channels(self._ports.ways)
        return worker

    async def _start_first(self, name: str) -> Member:
        """Start a worker, and another one if it dies. Raises `Unavailable` if they all do."""
        for _ in range(_TRIES):
            try:
                return await self._start(name)
            except Exception:
                worker = self._workers.get(name)
                if worker is None or not worker.is_gone:
                    raise
                await self._gone(worker)
        raise _died()

    async def _prepare(self, name: str) -> None:
        """Have a worker do what a crash interrupted, and another one if it dies of that.

        Raises `Unavailable` if they die again and again, but of no message.
        """
        tries = 0
        while tries < _TRIES:
            worker, known = self._workers[name], await self._handing.known()
            work, limit_s = worker.ask("prepare", ""), self._settings.worker_timeout_s
            try:
                return await worker.feeling_pulse(work, limit_s, self._log.error)
            except Exception:
                if not worker.is_gone:
                    raise
            await self._gone(worker)
            tries = tries + 1 if await self._handing.known() == known else 0
            await self._start_first(name)
        raise _died()

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
        told: list[Member] = []
        built = self._workers.values
        while left := [one for one in built() if one.ways is not None and one.ways is not ways]:
            now = left if told else left[:1]  # what the first refuses no other has to take back
            told += now
            work = (one.tell_channels(ways) for one in now)
            ended = await asyncio.gather(*work, return_exceptions=True)
            for error in filter(None, ended):
                back = (one.tell_channels(self._ports.ways) for one in told)
                await asyncio.gather(*back, return_exceptions=True)
                raise error

    def _count(self, outcome: str) -> None:
        """Have a worker count how a change of the channels ended: metrics are theirs."""
        if alive := self._alive():
            self._run(alive.ask("count", outcome))

    async def _handle(self, worker: Member, kind: str, value: Any) -> Any:
        """Answer a worker's question."""
        if kind == "keep":
            answer = await self._keeping.answer(value)
            if not answer[1]:
                self._handing.hold(worker, answer[0])
            return answer
        if kind == "elsewhere":
            return await self._handing.holding.elsewhere(worker, value)
        if kind in forward.KINDS:
            answer = await forward.answer(self._backend, kind, value)
            if kind == "reopen":
                self._handing.hold(worker, value[0])
            if forward.changes_parameters(kind, value):
                await self._tell(worker)
            if number := forward.finished(kind, value):
                self._handing.holding.let_go(number)
            return answer
        if kind == "maps_hold":
            self._maps = value
            return None
        if kind == "maps":
            return self._maps
        if kind == "leave":
            self._reception.close(worker.door)
            return None
        assert kind == "figures", kind
        processes = {"supervisor": os.getpid()}
        processes |= {one.name: one.process.pid for one in self._workers.values() if one.is_taking}
        return processes, self._reception.mllp_connections

    async def _tell(self, changer: Member) -> None:
        """Let every other worker know the search parameters before the change is answered."""
        others = [one for one in self._workers.values() if one.is_taking and one is not changer]
        told = [self._run(one.ask("refresh")) for one in others]
        if told:
            await asyncio.wait(told, timeout=_TELL_S)

    def _appoint(self) -> None:
        """See to it that one worker leads: it indexes for new search parameters."""
        if self._leader not in self._workers.values():
            self._leader = self._alive()
            if self._leader is not None:
                self._leading = self._run(self._leader.ask("lead"))

    def _run(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[None]:
        async def quiet() -> None:
            with contextlib.suppress(Exception):  # the worker died: another gets the work
                await work

        task = asyncio.create_task(quiet())
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)
        return task

    def _alive(self) -> Member | None:
        return next((one for one in self._workers.values() if one.is_taking), None)

    async def _watch(self, name: str) -> None:
        """Start a worker again whenever it ends."""
        early, elapsed, limit_s = 0, stopwatch(), self._settings.worker_timeout_s
        while True:
            worker = self._workers[name]
            await worker.feeling_pulse(self._gone(worker), limit_s, self._log.error)
            early = early + 1 if elapsed() < _YOUNG_S else 0
            while True:
                await asyncio.sleep(_PAUSES_S[min(early, len(_PAUSES_S) - 1)])
                elapsed = stopwatch()
                try:
                    worker = await self._start(name)
                except Exception as error:
                    wrong = getattr(error, "problems", ())  # of a file that it reads
                    told = {"problems": "; ".join(wrong)} if wrong else {}
                    self._log.error("worker_not_started", fault=error, **told)
                    if name in self._workers:
                        await self._end(self._workers[name])
                    early += 1
                    continue
                has_died_of_one = await self._handing.do_what_was_left(worker, limit_s)
                if not worker.is_gone:
                    break
                await self._gone(worker)
                early = 0 if has_died_of_one else early + 1
            self._open(worker)
            self._log.info("worker_started", pid=worker.process.pid)

    async def _gone(self, worker: Member) -> None:
        """Wait until a worker has ended, and let go of it."""
        status = await worker.process.wait()
        self._forget(worker)
        self._log.error("worker_lost", pid=worker.process.pid, status=status)

    def _forget(self, worker: Member) -> None:
        """Let go of a worker that has ended; what it had kept goes to another."""
        if self._workers.get(worker.name) is worker:
            del self._workers[worker.name]
            forget_process(worker.process.pid, Path(self._launch.folder))
        self._reception.close(worker.door)
        worker.door.own.close()
        if worker.pipe is not None:
            worker.pipe.close()
        self._handing.holding.leave(worker)
        if not self._is_stopping:
            self._appoint()

    async def _end(self, worker: Member) -> None:
        """Have a worker drain and end."""
        await worker.end(self._settings.drain_s)
        self._forget(worker)


def _died() -> Unavailable:
    return Unavailable(
        f"{_TRIES} workers ended while they started, see the log: is there memory enough? / "
        f"{_TRIES} 个工作进程在启动时终止,请查看日志(内存是否足够)"
    )
