"""A hub that is built, and how it runs: it serves until it is told to stop, then drains.

Draining takes nothing new, lets what is under way finish and be answered, and closes the
store last.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from socket import socket

from fhir_hub import __version__
from fhir_hub.duties import HubDuties
from fhir_hub.errors import Unavailable
from fhir_hub.hl7v2.channels.intake import Intake, PortTaken
from fhir_hub.hl7v2.deliver.deliveries import Deliveries
from fhir_hub.hl7v2.journal.desk import JournalDesk
from fhir_hub.hl7v2.journal.retention import Retention
from fhir_hub.hl7v2.receive import Receiver
from fhir_hub.hl7v2.reports.trial import Trials
from fhir_hub.hl7v2.senders.codes_seen import CodesSeen
from fhir_hub.hl7v2.senders.reloading import Reloading
from fhir_hub.ops.codes import add_codes
from fhir_hub.ops.journal import add_journal
from fhir_hub.ops.probe import Probe
from fhir_hub.ops.pulse import Pulse
from fhir_hub.ops.routes import ops_app
from fhir_hub.r4.packages import Packages
from fhir_hub.referral.conduct import own_rules
from fhir_hub.referral.deadlines import Deadlines
from fhir_hub.repository.indexing import Indexing
from fhir_hub.rest.http import FhirApp
from fhir_hub.rest.load import load_bundle
from fhir_hub.rest.service import Service
from fhir_hub.server import (
    PREFIX,
    Addresses,
    Attendance,
    Front,
    Server,
    address,
    not_listening,
    observer,
    open_socket,
)
from fhir_hub.settings import Settings
from fhir_hub.settings.channels import DEFAULT_MLLP, ChannelSettings
from fhir_hub.store.ending import end_tasks
from fhir_hub.store.open import Backend
from fhir_hub.subscriptions.courier import Work
from fhir_hub.subscriptions.notifications import Notifications
from fhir_hub.subscriptions.order import Orders
from fhir_hub.telemetry import Figures, Logs, Metrics

_OPEN_S = 5.0

Ask = Callable[[], Awaitable[Figures]]
Finish = Callable[[Mapping[str, ChannelSettings]], Awaitable[None]]


@dataclass(slots=True)
class Hub:
    """A hub that is built. `is_taking` says whether it takes requests now.

    `apart` has another process `finish_left`, by the channels of now; without it this one does so.
    """

    settings: Settings
    backend: Backend
    logs: Logs
    metrics: Metrics
    service: Service
    receiver: Receiver
    intake: Intake
    trials: Trials
    codes: CodesSeen
    deliveries: Deliveries
    profiles: Packages
    orders: Orders
    indexing: Indexing
    reloading: Reloading
    figures: Ask | None = None
    apart: Finish | None = None
    is_taking: bool = field(default=False, init=False)
    retention: Retention = field(init=False)
    deadlines: Deadlines = field(init=False)
    notifications: Notifications = field(init=False)

    def __post_init__(self) -> None:
        """Make what goes on by itself: removing messages, expiring referrals, notifying."""
        warn = self.logs.get_logger("referral").warning
        clock = self.service.repository.clock
        rules = own_rules(self.settings)
        self.deadlines = Deadlines(self.service.repository, clock, warn, rules)
        service, pause_s = self.service, self.settings.subscriptions_pause_s
        warn = self.logs.get_logger("subscriptions").warning
        work = Work(service.repository, self.orders, pause_s, clock, warn, self.backend.news)
        self.notifications = Notifications(work)
        log = self.logs.get_logger("journal").info
        self.retention = Retention(self.backend.journal, self.settings, clock, log)

    async def run(
        self,
        stop: asyncio.Event,
        on_ready: Callable[[Addresses], None],
        load: Path | None = None,
        opened: socket | None = None,
    ) -> None:
        """Serve until `stop` is set, then drain; `load` is a Bundle to store before.

        `opened` is the socket to serve HTTP on, if that of the settings is not to be opened.
        Messages that a crash interrupted are finished first. Raises `CannotListen`, and
        `FhirError` if the Bundle of `load` cannot be stored.
        """
        settings = self.settings
        await self.prepare(load)
        await self.lead()
        with opened or open_socket(settings.host, settings.port) as listening:
            here = address(settings.host, listening.getsockname()[1])
            try:
                await self.intake.start()
            except PortTaken as taken:
                raise not_listening(*taken.args) from None
            ports = self.intake.ports()
            addresses = Addresses(here, ports.get(DEFAULT_MLLP, 0), channels=ports)
            server = Server(self._application(addresses.mllp), settings)
            await self._serve(stop, server, [listening], lambda: on_ready(addresses))

    async def attend(
        self,
        stop: asyncio.Event,
        mllp_port: int,
        take: Callable[["Hub", Server], Attendance],
        on_ready: Callable[[], None],
    ) -> None:
        """Serve the connections that `take` brings, as one process of several, until `stop`."""
        await self._begin()
        server = Server(self._application(mllp_port), self.settings)
        attendances: list[Attendance] = []

        def ready() -> None:
            attendances.append(take(self, server))
            on_ready()

        async def close() -> None:
            for attendance in attendances:
                await attendance.close()

        await self._serve(stop, server, [], ready, close)

    async def _begin(self) -> None:
        """Read what the store has: search parameters, terminology, when the last message came."""
        await self.indexing.refresh()
        await self.service.stored_terminology.refresh()
        await self.receiver.begin()

    async def lead(self) -> None:
        """Do what one of several processes does for all, unless a crew agrees on who does.

        Returns when each partner is told of all that is written from here on, or soon in any case:
        it is to serve though the store takes nothing.
        """
        self.reloading.lead()
        if self.backend.crew is None:
            self._duties().lead()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_OPEN_S):
                    await self.deliveries.opened()

    def _duties(self) -> HubDuties:
        rounds = (self.retention.rounds, self.deadlines.rounds)
        parts = (self.indexing, self.deliveries, self.intake, *rounds)
        all_parts = (*parts, self.notifications)
        return HubDuties(all_parts, self._finish, self.logs.get_logger("hub").info)

    async def _finish(self) -> None:
        if self.apart:
            await self.apart(self.intake.tables)
        else:
            await self.finish_left()

    async def finish_left(self) -> None:
        """Take over what processes that are gone have left; do it a message at a time.

        Raises `Unavailable` if some of it has not ended: the next one had better wait a little.
        """
        crew, log = self.backend.crew, self.logs.get_logger("hub").info
        taken = set[int]()
        while crew and (numbers := [one for one in await crew.take_over() if one not in taken]):
            log("messages_replayed", messages=len(numbers))
            taken.update(numbers)
            await self.receiver.replay(numbers, is_alone=True)
        pending = await self.backend.journal.pending() if taken else ()
        if not taken.isdisjoint(one.number for one in pending):
            raise Unavailable("some of what was left could not be finished")

    def desk(self) -> JournalDesk:
        """Return where received messages are looked after."""
        log = self.logs.get_logger("journal").info
        return JournalDesk(self.backend.journal, self.receiver, log)

    async def prepare(self, load: Path | None) -> None:
        """Finish the messages that a crash interrupted; store the Bundle in the file `load`."""
        log = self.logs.get_logger("hub")
        await self._begin()
        is_alone = self.backend.crew is None  # else what is pending may be another process's
        if is_alone and (replayed := await self.receiver.replay(is_alone=True)):
            log.info("messages_replayed", messages=replayed)
        if load is not None:
            log.info(
                "loaded", file=load.name, entries=await load_bundle(load.read_bytes(), self.service)
            )

    async def _serve(
        self,
        stop: asyncio.Event,
        server: Server,
        listening: list[socket],
        on_ready: Callable[[], None],
        close: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        async def closing() -> None:
            await stop.wait()
            self.is_taking = False
            if close:
                await close()
            await self.intake.close()
            await self.receiver.close()
            drain_s = self.settings.drain_s
            await asyncio.gather(self.deliveries.close(drain_s), self.notifications.close(drain_s))

        def ready() -> None:
            self.is_taking = True
            on_ready()

        task = asyncio.create_task(closing())
        rounds = (self.retention.rounds, self.deadlines.rounds)
        parts = (self.indexing, self.reloading, self.codes, *rounds)
        watching = [asyncio.create_task(one.watch()) for one in parts]
        if crew := self.backend.crew:
            serving = crew.serve(self._duties(), self.settings.lease_s)
            watching.append(asyncio.create_task(serving))
        try:
            await server.serve_until(stop, listening, ready)
        finally:
            stop.set()
            await task
            await end_tasks(*watching)
        self.logs.get_logger("hub").info("stopped")

    def _application(self, mllp_port: int) -> "Front":
        settings = self.settings
        log = self.logs.get_logger("fhir")
        observe = observer(self.metrics, log, is_debug=settings.log_level == "debug")
        fhir = FhirApp(
            self.service,
            observe,
            PREFIX,
            settings.base_url,
            settings.max_body_bytes,
        )
        probe = Probe(
            self.backend.store,
            self.backend.journal,
            self.intake,
            self.metrics,
            Pulse(self.backend.store, self.service.repository.clock),
            lambda: self.is_taking,
            mllp_port,
            lambda: self.indexing.left,
            self.figures,
        )
        pages = ops_app(probe, self.trials, self.codes, version=__version__, prefix=PREFIX)
        add_codes(pages, self.codes, self.backend.journal, self.receiver.reading)
        add_journal(pages, self.desk(), settings.zone, settings.mllp_max_message_bytes)
        return Front(fhir, pages, settings.request_timeout_s, observe)
