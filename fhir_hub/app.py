"""A hub, built once and from the bottom up: read this first, it names every part.

`build` makes the parts and passes each what it needs; there is no other place where parts
meet. `hub.py` has the hub itself: how it serves, and how it stops.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

from fhir_hub import __version__
from fhir_hub.clock import Clock, new_logical_id, now
from fhir_hub.hl7v2.answers.answers import Answers
from fhir_hub.hl7v2.answers.standing import Standing
from fhir_hub.hl7v2.channels.channel import (
    Channel,
    Configured,
    configured,
    require_ack_channels,
)
from fhir_hub.hl7v2.channels.intake import Hear, Intake
from fhir_hub.hl7v2.channels.rereading import Rereading, become
from fhir_hub.hl7v2.deliver.deferred import Deferred
from fhir_hub.hl7v2.deliver.deliveries import Deliveries
from fhir_hub.hl7v2.deliver.desk import Desk
from fhir_hub.hl7v2.journal.patience import Patience
from fhir_hub.hl7v2.maps.map_files import MapFiles
from fhir_hub.hl7v2.maps.mappings import Mappings, load_mappings
from fhir_hub.hl7v2.processing import SOURCE
from fhir_hub.hl7v2.receive import Receiver
from fhir_hub.hl7v2.reports.trial import Trials
from fhir_hub.hl7v2.senders.codes_seen import CodesSeen
from fhir_hub.hl7v2.senders.reloading import Reloading
from fhir_hub.hub import Finish, Hub
from fhir_hub.identity.blocks import DERIVED
from fhir_hub.identity.organization import own_organization
from fhir_hub.identity.rules import IDENTIFIER_RULES
from fhir_hub.identity.systems import ALIASES
from fhir_hub.r4.checks.required import requirement
from fhir_hub.r4.checks.run import Checks
from fhir_hub.r4.checks.site_rules import SiteRules
from fhir_hub.r4.definitions import Definitions, load_definitions
from fhir_hub.r4.packages import Packages, built_in_profiles, load_profiles
from fhir_hub.r4.placeholders import placeholder
from fhir_hub.referral.conduct import conduct, own_rules
from fhir_hub.referral.delivery import Delivery
from fhir_hub.repository.indexing import Indexing, Others, nobody
from fhir_hub.repository.repository import Repository
from fhir_hub.repository.rules import Rules
from fhir_hub.repository.stored_terminology import StoredTerminology, hub_terminology
from fhir_hub.rest.parts import service_of
from fhir_hub.rest.service import Service
from fhir_hub.search.extract import Extractor
from fhir_hub.search.extraction import extraction
from fhir_hub.search.parameters import Parameters
from fhir_hub.server import (
    address,
)
from fhir_hub.settings import Given, Settings, Validation
from fhir_hub.settings.channels import DEFAULT_MLLP
from fhir_hub.store.open import Backend
from fhir_hub.store.terminology.codes_seen import CodesFile
from fhir_hub.subscriptions.order import Orders
from fhir_hub.telemetry import Figures, Log, Logs, Metrics

Ask = Callable[[], Awaitable[Figures]]

_SOURCES = ("rest", SOURCE, "load")
_SEVERITIES = {"warn": "warning", "refuse": "error"}


class Known(NamedTuple):
    """What a hub reads before it is built: the half of its start, and of its memory."""

    definitions: Definitions
    profiles: Packages
    own: dict[str, Any] | None
    mappings: Mappings


def read(
    settings: Settings, definitions: Definitions | None = None, maps: MapFiles | None = None
) -> Known:
    """Return what a hub of these settings reads, and the organization that runs it.

    `definitions` are those of R4, `maps` those to have, where they were read already. Raises
    `InvalidPackage`, `InvalidSettings`, `InvalidMapping`.
    """
    definitions = definitions or load_definitions()
    profiles = load_profiles([built_in_profiles(), *settings.profiles_folder])
    own = own_organization(settings, Checks(definitions))
    if maps is not None:
        mappings = Mappings(maps, definitions)
    else:
        mappings = load_mappings(definitions, settings.mappings_folders, own)
    return Known(definitions, profiles, own, mappings)


def build(
    settings: Settings,
    backend: Backend,
    logs: Logs,
    figures: Ask | None = None,
    clock: Clock = now,
    given: Given | None = None,
    known: Known | None = None,
    apart: Finish | None = None,
) -> Hub:
    """Return the hub over an open store; `clock` says what time it is to it.

    `figures` asks how the processes are, where there are several; `given` is what the settings
    were read from; `known` what was read already; `apart` has another process finish what was left.
    Raises `InvalidMapping` if a map is no good, `InvalidPackage` if a profile is not.
    """
    definitions, profiles, own, mappings = known or read(settings)
    stored, terminology = hub_terminology(backend.store, settings.terminology_path, profiles.all())
    unknown = _SEVERITIES[settings.unknown_profiles]
    checks = Checks(definitions, profiles, terminology, unknown=unknown)
    parameters = Parameters(definitions, full_text=settings.full_text)
    sources = (*_SOURCES, *mappings.senders)
    settings.require_sources(sources)
    site_rules = SiteRules(definitions, IDENTIFIER_RULES, profiles.schemas, sources)
    warn = logs.get_logger("hub").warning
    if missing := profiles.missing():
        warn("packages_missing", needed="; ".join(missing))
    rules = (partial(requirement, checks, site_rules, definitions), clock)
    base = settings.base_url or address(settings.host, settings.port)
    orders = Orders(parameters, settings.zone, base, ALIASES, settings.subscriptions_allow)
    repository, indexing = _repository(settings, backend, rules, (parameters, stored, orders), warn)
    definers, of_rest = (profiles, terminology, stored), (parameters, repository.of("rest"), own)
    service = service_of(settings, definers, checks, site_rules, *of_rest)
    metrics = Metrics(__version__, is_shared=figures is not None)
    channels = configured(settings)
    kept = backend.codes or CodesFile(settings.local_codes_path)
    codes = CodesSeen(kept, mappings, stored, settings.trusted_facilities)
    outer = (settings, backend, logs, metrics)
    desk = Desk(backend.store, parameters, settings.zone, base, ALIASES, repository.entries)
    receiver = _receiver(outer, repository, desk, (mappings, codes), channels)
    deliveries, hear = _deliveries(outer, desk, mappings, service, receiver, channels)
    warn, stores = logs.get_logger("mllp").warning, (backend.store, backend.journal)
    answers = Answers(receiver, *stores, parameters, mappings, settings.zone, warn, clock)
    intake = Intake(channels, settings, answers.take, receiver.refuse, backend, metrics, warn, hear)
    limits = (settings.mllp_max_message_bytes, settings.mllp_max_message_parts)
    trials = Trials(mappings, checks, settings.zone, clock, *limits)
    also = _rereading(outer, given, intake, receiver).look
    reloading = Reloading(mappings, definitions, settings, logs, metrics.observe_reload, (also,))
    parts = (service, receiver, intake, trials, codes, deliveries, profiles, orders)
    return Hub(settings, backend, logs, metrics, *parts, indexing, reloading, figures, apart)


def _rereading(
    hub: tuple[Settings, Backend, Logs, Metrics],
    given: Given | None,
    intake: Intake,
    receiver: Receiver,
) -> Rereading:
    """Return what looks for other channels."""
    settings, _, logs, metrics = hub

    log = logs.get_logger("channels").warning
    taking = partial(become, intake, receiver.reading)
    return Rereading(given or Given(None, {}, {}), settings, taking, log, metrics.observe_channels)


def _receiver(
    hub: tuple[Settings, Backend, Logs, Metrics],
    repository: Repository,
    desk: Desk,
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
        parameters=desk.parameters,
        channel=Channel(DEFAULT_MLLP, settings.zone),
        channels=[one.channel for one in channels],
        clock=repository.clock,
        new_id=new_logical_id,
        settings_of=mappings.settings,
        senders_of=mappings.senders_of,
        maps=codes.version,
        patience=Patience(settings.message_answer_s),
        log=logs.get_logger("hl7v2").warning,
        on_invalid=metrics.observe_invalid,
        on_retry=metrics.observe_retry,
        on_done=codes.count,
        standing=Standing(desk, mappings, repository.clock).of,
    )


def _deliveries(
    hub: tuple[Settings, Backend, Logs, Metrics],
    desk: Desk,
    mappings: Mappings,
    service: Service,
    receiver: Receiver,
    channels: Sequence[Configured],
) -> tuple[Deliveries, Hear]:
    """Return what delivers messages to the partners, and what hears what became of them."""
    settings, backend, logs, metrics = hub
    repository = service.repository
    log = logs.get_logger("outbound").warning
    require_ack_channels(settings, channels)
    heard = (repository.clock, log, metrics.observe_refused_acknowledgment)
    hear = Deferred(receiver.commit, settings.partners, desk, *heard).answer
    told = Delivery(repository, settings.referral).acknowledged
    parts = (repository.clock, new_logical_id, log, metrics, told, hear)
    return Deliveries(settings.partners, mappings, desk, *parts, news=backend.news), hear


def _others(backend: Backend, made: str) -> Others:
    """Return what says by which extractions other processes on the store index."""
    if backend.crew is None:
        return nobody
    backend.crew.extraction = made
    return backend.crew.extractions


def _repository(
    settings: Settings,
    backend: Backend,
    rules: tuple[Callable[[Validation, Sequence[str]], Callable[..., bool]], Clock],
    known: tuple[Parameters, StoredTerminology, Orders],
    log: Log,
) -> tuple[Repository, Indexing]:
    """Return the one repository; what comes from a source obeys that source's rules."""
    (require_of, clock), (parameters, terminology, orders) = rules, known
    base = settings.base_url or address(settings.host, settings.port)
    extractor = Extractor(parameters, settings.zone, base=base, aliases=ALIASES, derived=DERIVED)

    own = own_rules(settings)

    @cache
    def rules_of(*sources: str) -> Rules:
        chosen = settings.rules_of(*sources)
        check = require_of(chosen.validation, sources)
        return Rules(
            check,
            extractor,
            clock,
            new_logical_id,
            chosen.references,
            parameters,
            partial(placeholder, parameters.definitions, check) if SOURCE in sources else None,
            conduct(chosen.business_rules, own),
            settings.zone,
            None if chosen.validation == "off" else orders.complete,
        )

    made = extraction(parameters.definitions, settings.zone, settings.base_url, ALIASES)
    told = (log, backend.news, made)
    indexing = Indexing(backend.store, parameters, extractor, *told, _others(backend, made))
    parts = (backend.store, rules_of(), extractor, rules_of, indexing, terminology)
    return Repository(*parts), indexing
