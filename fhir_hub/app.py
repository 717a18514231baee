"""A hub, built once and from the bottom up: read this first, it names every part.

`build` makes the parts and passes each what it needs; there is no other place where parts
meet. `Hub.run` serves until it is told to stop, and then drains: it takes nothing new, lets what
is under way finish and be answered, and closes the store last.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from socket import socket
from typing import Any

from fhir_hub import __version__
from fhir_hub.channel_settings import DEFAULT_MLLP
from fhir_hub.clock import Clock, new_logical_id, now
from fhir_hub.duties import HubDuties
from fhir_hub.hl7v2.answers.answers import Answers
from fhir_hub.hl7v2.channels.channel import Channel, Configured, configured
from fhir_hub.hl7v2.channels.intake import Intake, PortTaken
from fhir_hub.hl7v2.deliver.deliveries import Deliveries
from fhir_hub.hl7v2.deliver.desk import Desk
from fhir_hub.hl7v2.journal.desk import JournalDesk
from fhir_hub.hl7v2.journal.patience import Patience
from fhir_hub.hl7v2.journal.retention import Retention
from fhir_hub.hl7v2.mappings import Mappings, load_mappings
from fhir_hub.hl7v2.processing import SOURCE
from fhir_hub.hl7v2.receive import Receiver
from fhir_hub.hl7v2.reports.trial import Trials
from fhir_hub.hl7v2.senders.codes_seen import CodesSeen
from fhir_hub.hl7v2.senders.reloading import Reloading
from fhir_hub.identity.blocks import DERIVED
from fhir_hub.identity.rules import IDENTIFIER_RULES
from fhir_hub.identity.systems import ALIASES
from fhir_hub.ops.journal import add_journal
from fhir_hub.ops.probe import Probe
from fhir_hub.ops.routes import ops_app
from fhir_hub.r4.checks.required import requirement
from fhir_hub.r4.checks.run import Checks
from fhir_hub.r4.checks.site_rules import SiteRules
from fhir_hub.r4.definitions import load_definitions
from fhir_hub.r4.packages import Packages, built_in_profiles, load_profiles
from fhir_hub.r4.placeholders import placeholder
from fhir_hub.referral.conduct import conduct, own_rules
from fhir_hub.referral.deadlines import Deadlines
from fhir_hub.referral.delivery import Delivery
from fhir_hub.repository.indexing import Indexing
from fhir_hub.repository.repository import Repository
from fhir_hub.repository.stored_terminology import StoredTerminology, hub_terminology
from fhir_hub.repository.unit import Rules
from fhir_hub.rest.http import FhirApp
from fhir_hub.rest.load import load_bundle
from fhir_hub.rest.parts import service_of
from fhir_hub.rest.service import Service
from fhir_hub.search.extract import Extractor
from fhir_hub.search.parameters import Parameters
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
from fhir_hub.settings import Settings, Validation
from fhir_hub.store.open import Backend
from fhir_hub.subscriptions.courier import Work
from fhir_hub.subscriptions.notifications import Notifications
from fhir_hub.subscriptions.order import Orders
from fhir_hub.telemetry import Figures, Log, Logs, Metrics

Ask = Callable[[], Awaitable[Figures]]

_SOURCES = ("rest", SOURCE, "load")
_SEVERITIES = {"warn": "warning", "refuse": "error"}


def build(
    settings: Settings,
    backend: Backend,
    logs: Logs,
    figures: Ask | None = None,
    clock: Clock = now,
) -> "Hub":
    """Return the hub over an open store; `clock` says what time it is to it.

    `figures` asks how the processes of the hub are, where there are several. Raises
    `InvalidMapping` if a map is no good, `InvalidPackage` if a profile is not.
    """
    definitions = load_definitions()
    profiles = load_profiles([built_in_profiles(), *settings.profiles_folder])
    stored, terminology = hub_terminology(backend.store, settings.terminology_path, profiles.all())
    unknown = _SEVERITIES[settings.unknown_profiles]
    checks = Checks(definitions, profiles, terminology, unknown=unknown)
    parameters = Parameters(definitions, full_text=settings.full_text)
    mappings = load_mappings(definitions, settings.mappings_folders)
    sources = (*_SOURCES, *mappings.senders)
    settings.require_sources(sources)
    site_rules = SiteRules(definitions, IDENTIFIER_RULES, profiles.schemas, sources)
    warn = logs.get_logger("hub").warning
    if missing := profiles.missing():
        warn("packages_missing", needed="; ".join(missing))
    require_of = partial(requirement, checks, site_rules, definitions)
    rules = (require_of, clock)
    repository, indexing = _repository(settings, backend, rules, parameters, stored, warn)
    definers = (profiles, terminology, stored)
    service = service_of(settings, definers, checks, site_rules, parameters, repository.of("rest"))
    metrics = Metrics(__version__, is_shared=figures is not None)
    channels = configured(settings)
    codes = CodesSeen(settings.local_codes_path, mappings, stored, settings.trusted_facilities)
    outer = (settings, backend, logs, metrics)
    receiver = _receiver(outer, repository, parameters, (mappings, codes), channels)
    warn = logs.get_logger("mllp").warning
    answers = Answers(receiver, backend.store, parameters, mappings, settings.zone, warn, clock)
    intake = Intake(channels, settings, answers.take, receiver.refuse, backend, metrics, warn)
    trials = Trials(mappings, checks, settings.zone, settings.mllp_max_message_bytes)
    deliveries = _deliveries(outer, parameters, mappings, service.repository)
    reloading = Reloading(mappings, definitions, settings, logs, metrics.observe_reload)
    parts = (service, receiver, intake, trials, codes, deliveries, profiles)
    return Hub(settings, backend, logs, metrics, *parts, indexing, reloading, figures)


def _receiver(
    hub: tuple[Settings, Backend, Logs, Metrics],
    repository: Repository,
    parameters: Parameters,
    known: tuple[Mappings, CodesSeen],
    channels: Sequence[Configured],
) -> Receiver:
    """Return what takes the messages of every channel."""
    settings, backend, logs, metrics = hub
    mappings, codes = known
    return Receiver(
        repository,
        backend.journal,
        codes.convert,
        parameters=parameters,
        channel=Channel(DEFAULT_MLLP, settings.zone),
        channels=[one.channel for one in channels],
        clock=repository.clock,
        new_id=new_logical_id,
        settings_of=mappings.settings,
        senders_of=mappings.senders_of,
        maps=lambda: mappings.version,
        patience=Patience(settings.message_answer_s),
        log=logs.get_logger("hl7v2").warning,
        on_invalid=metrics.observe_invalid,
    )


def _deliveries(
    hub: tuple[Settings, Backend, Logs, Metrics],
    parameters: Parameters,
    mappings: Mappings,
    repository: Repository,
) -> Deliveries:
    """Return what delivers messages to the partners."""
    settings, backend, logs, metrics = hub
    base = settings.base_url or address(settings.host, settings.port)
    desk = Desk(backend.store, parameters, settings.zone, base, ALIASES)
    log = logs.get_logger("outbound").warning
    told = Delivery(repository, settings.referral).acknowledged
    parts = (repository.clock, new_logical_id, log, metrics, told)
    return Deliveries(settings.partners, mappings, desk, *parts)


def _repository(
    settings: Settings,
    backend: Backend,
    rules: tuple[Callable[[Validation, Sequence[str]], Callable[[Any], None]], Clock],
    parameters: Parameters,
    terminology: StoredTerminology,
    log: Log,
) -> tuple[Repository, Indexing]:
    """Return the one repository; what comes from a source obeys that source's rules."""
    require_of, clock = rules
    base = settings.base_url or address(settings.host, settings.port)
    extractor = Extractor(parameters, settings.zone, base=base, aliases=ALIASES, derived=DERIVED)

    own = own_rules(settings)
    orders = _orders(settings, parameters)

    @cache
    def rules_of(*sources: str) -> Rules:
        chosen = settings.rules_of(*sources)
        check = require_of(chosen.validation, sources)
        return Rules(
            check,
            extractor.entries,
            extractor.targets,
            clock,
            new_logical_id,
            chosen.references,
            parameters,
            partial(placeholder, parameters.definitions, check) if SOURCE in sources else None,
            conduct(chosen.business_rules, own),
            settings.zone,
            None if chosen.validation == "off" else orders.complete,
        )

    indexing = Indexing(backend.store, parameters, extractor, log)
    parts = (backend.store, rules_of(), extractor, rules_of, indexing, terminology)
    return Repository(*parts), indexing


def _orders(settings: Settings, parameters: Parameters) -> Orders:
    """Return what reads Subscriptions."""
    base = settings.base_url or address(settings.host, settings.port)
    return Orders(parameters, settings.zone, base, ALIASES, settings.subscriptions_allow)


@dataclass(slots=True)
class Hub:
    """A hub that is built. `is_taking` says whether it takes requests now."""

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
    indexing: Indexing
    reloading: Reloading
    figures: Ask | None = None
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
        orders = _orders(self.settings, service.parameters)
        warn = self.logs.get_logger("subscriptions").warning
        work = Work(service.repository, orders, pause_s, clock, warn)
        self.notifications = Notifications(work)
        log = self.logs.get_logger("journal").info
        self.retention = Retention(self.backend.journal, self.settings, clock, log)

    async def run(
        self, stop: asyncio.Event, on_ready: Callable[[Addresses], None], load: Path | None = None
    ) -> None:
        """Serve until `stop` is set, then drain; `load` is a Bundle to store before.

        Messages that a crash interrupted are finished first. Raises `CannotListen`, and
        `FhirError` if the Bundle of `load` cannot be stored.
        """
        settings = self.settings
        await self.prepare(load)
        self.lead()
        with open_socket(settings.host, settings.port) as listening:
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
        await self.indexing.refresh()
        await self.service.stored_terminology.refresh()
        server = Server(self._application(mllp_port), self.settings)
        attendances: list[Attendance] = []

        def ready() -> None:
            attendances.append(take(self, server))
            on_ready()

        async def close() -> None:
            for attendance in attendances:
                await attendance.close()

        await self._serve(stop, server, [], ready, close)

    def lead(self) -> None:
        """Do what one of several processes does for all, unless a crew agrees on who does."""
        if self.backend.crew is None:
            self._duties().lead()

    def _duties(self) -> HubDuties:
        parts = (self.indexing, self.deliveries, self.intake, self.retention, self.deadlines)
        all_parts = (*parts, self.notifications)
        return HubDuties(all_parts, self.receiver.replay, self.logs.get_logger("hub").info)

    def desk(self) -> JournalDesk:
        """Return where received messages are looked after."""
        log = self.logs.get_logger("journal").info
        return JournalDesk(self.backend.journal, self.receiver, log)

    async def prepare(self, load: Path | None) -> None:
        """Finish the messages that a crash interrupted; store the Bundle in the file `load`."""
        log = self.logs.get_logger("hub")
        await self.indexing.refresh()
        await self.service.stored_terminology.refresh()
        is_alone = self.backend.crew is None  # else what is pending may be another process's
        if is_alone and (replayed := await self.receiver.replay()):
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
            await self.deliveries.close(self.settings.drain_s)
            await self.notifications.rest()

        def ready() -> None:
            self.is_taking = True
            on_ready()

        task = asyncio.create_task(closing())
        parts = (self.indexing, self.reloading, self.retention, self.deadlines, self.codes)
        watching = [asyncio.create_task(one.watch()) for one in parts]
        if crew := self.backend.crew:
            serving = crew.serve(self._duties(), self.settings.lease_s)
            watching.append(asyncio.create_task(serving))
        try:
            await server.serve_until(stop, listening, ready)
        finally:
            stop.set()
            await task
            for one in watching:
                one.cancel()
            await asyncio.wait(watching)
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
            lambda: self.is_taking,
            mllp_port,
            lambda: self.indexing.left,
            self.figures,
        )
        pages = ops_app(probe, self.trials, self.codes, version=__version__, prefix=PREFIX)
        add_journal(pages, self.desk(), settings.zone)
        return Front(fhir, pages, settings.request_timeout_s, observe)
