"""What a hub tells of itself: log lines on standard error, and metrics.

A log line is an event's name and fields of a closed vocabulary: numbers, types, codes, ids of
requests. What is not in the vocabulary is dropped and said to be, and an error is told by its
type and its place in the code, never by its text; so patient data cannot get into a line by an
oversight. Metrics have no label that a client may choose.

Nothing here is global: `app.py` makes one `Logs` and one `Metrics` and passes them on.
"""

import logging
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import structlog
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
    values,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from structlog.typing import Processor

from fhir_hub.errors import Fault, Unavailable
from fhir_hub.metric_sources import ANSWER_SECONDS, ChannelMetrics, Counts, Gauges, Processes

Log = Callable[..., None]
Fields = MutableMapping[str, Any]

FIELDS = frozenset(
    {
        "ack_code",
        "by",
        "channel",
        "certificate",
        "channels",
        "client_ip",
        "config",
        "control_id",
        "connections",
        "dropped",
        "emptied",
        "entries",
        "event",
        "expressions",
        "fault",
        "file",
        "forgotten",
        "host",
        "inside",
        "interaction",
        "level",
        "logger",
        "messages",
        "milliseconds",
        "mllp_port",
        "names",
        "number",
        "numbers",
        "partner",
        "pid",
        "place",
        "port",
        "problems",
        "reason",
        "request_id",
        "resource_type",
        "resources",
        "seconds",
        "sender",
        "signal",
        "size_bytes",
        "status",
        "store",
        "time",
        "times",
        "type",
        "version",
        "workers",
        "who",
    }
)
LIBRARIES = ("uvicorn.error", "asyncio", "fastapi")  # whose loggers are taken over
_LONGEST = 300
_LEVELS = ("debug", "info", "warning", "error")
_PACKAGE = Path(__file__).parent


class Logs:
    """Where log lines go, and which."""

    def __init__(self, level: str = "info", form: str = "json", stream: TextIO | None = None):
        self.level = level
        self._stream = stream if stream is not None else sys.stderr
        is_json = form == "json" or (form == "auto" and not self._stream.isatty())
        self._processors: list[Processor] = [
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            closed_vocabulary,
            structlog.processors.JSONRenderer(ensure_ascii=False)
            if is_json
            else structlog.dev.ConsoleRenderer(
                colors=self._stream.isatty(), timestamp_key="time", pad_event_to=24
            ),
        ]

    def get_logger(self, name: str) -> Any:
        """Return a logger with the methods `debug` to `error`, each (event, **fields)."""
        return structlog.wrap_logger(
            structlog.WriteLogger(self._stream),
            processors=self._processors,
            wrapper_class=structlog.make_filtering_bound_logger(self.level),
            cache_logger_on_first_use=True,
        ).bind(logger=name)

    @contextmanager
    def taking_over(self, *names: str) -> Iterator[None]:
        """Let the standard library's loggers `names` write here meanwhile, warnings and worse."""
        others = [logging.getLogger(name) for name in names]
        before = [(one, one.handlers[:], one.level, one.propagate) for one in others]
        for other in others:
            other.handlers[:] = [_Bridge(self.get_logger(other.name))]
            other.setLevel(logging.WARNING)
            other.propagate = False
        try:
            yield
        finally:
            for other, handlers, level, propagate in before:
                other.handlers[:] = handlers
                other.setLevel(level)
                other.propagate = propagate


def closed_vocabulary(_logger: object, _method: str, line: Fields) -> Fields:
    """Return a log line with known fields only; the names of others stand in `dropped`."""
    kept: Fields = {}
    dropped = []
    for name, value in line.items():
        if name not in FIELDS:
            dropped.append(name)
        elif isinstance(value, str):
            kept[name] = value[:_LONGEST]
        elif isinstance(value, BaseException):
            kept[name] = type(value).__name__
            kept["place"] = place(value)
            if isinstance(value, Unavailable | Fault):  # its text is ours: what is full, or gone
                kept["reason"] = str(value)[:_LONGEST]
        else:
            kept[name] = value
    if dropped:
        kept["dropped"] = " ".join(sorted(dropped))
    return kept


def described(error: BaseException) -> str:
    """Return of what type an error is and where it was raised, in whatever process; no text."""
    if isinstance(error, Fault):
        return str(error)
    return f"{type(error).__name__} at {place(error)}"


def place(error: BaseException) -> str:
    """Return where an error was raised, innermost first: `rest/read.py:20 read < …`; no text."""
    frames = [
        (Path(frame.f_code.co_filename), line, frame.f_code.co_name)
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    return " < ".join(f"{_shown(path)}:{line} {name}" for path, line, name in frames[:-7:-1])


def _shown(path: Path) -> str:
    return str(path.relative_to(_PACKAGE) if path.is_relative_to(_PACKAGE) else path.name)


class _Bridge(logging.Handler):
    """A handler that says of a record its first line without arguments, and the fault's type."""

    def __init__(self, logger: Any) -> None:
        super().__init__()
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record's line: the text as the library wrote it, arguments left out."""
        level = record.levelname.lower()
        event = str(record.msg).partition("\n")[0]
        fault = {"fault": record.exc_info[1]} if record.exc_info else {}
        getattr(self._logger, level if level in _LEVELS else "error")(event, **fault)


class Figures(NamedTuple):
    """What no process of a hub knows alone: who the others are, by name, and their connections.

    Without `processes` there is one.
    """

    processes: Mapping[str, int]
    mllp_connections: int


def share_metrics(folder: str) -> None:
    """Have the metrics that this process makes from now on count in files in `folder`.

    prometheus_client decides that when it is imported, which may have been in another process.
    """
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
    values.ValueClass = values.get_value_class()  # type: ignore[no-untyped-call]  # without types


class Metrics:
    """The metrics of one hub; `observe_…` is cheap enough for every request.

    Where several processes serve (`is_shared`), each counts in files of its own in the folder
    that `share_metrics` was told, and any of them tells the sums.
    """

    def __init__(self, version: str, *, is_shared: bool = False) -> None:
        self.registry = CollectorRegistry()
        self._shown = shown = CollectorRegistry() if is_shared else self.registry
        self._gauges, self._processes = Gauges(version), Processes()
        PlatformCollector(registry=shown)
        shown.register(self._gauges)
        if is_shared:
            Counts(shown)  # type: ignore[no-untyped-call]  # without types
            shown.register(self._processes)
        else:
            ProcessCollector(registry=shown)
            GCCollector(registry=shown)
        self._requests = Counter(
            "fhir_hub_http_requests",
            "FHIR requests answered, by interaction and status",
            ["interaction", "status"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "fhir_hub_http_request_seconds",
            "Time to answer a FHIR request, by interaction",
            ["interaction"],
            buckets=ANSWER_SECONDS,
            registry=self.registry,
        )
        self.channels = ChannelMetrics(self.registry)
        self._invalid = Counter(
            "fhir_hub_conversion_invalid",
            "HL7v2 messages whose resources break a rule of R4 or of a profile",
            registry=self.registry,
        )
        self._reloads = Counter(
            "fhir_hub_maps_reloads",
            "Times that changed HL7v2 maps were taken, or refused for a mistake",
            ["outcome"],
            registry=self.registry,
        )
        # finding a metric by its labels costs as much as counting: each is found once
        self._counters: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
        self._hl7v2()
        self._outbound()

    def _hl7v2(self) -> None:
        """Make the metrics of how messages fare and of what is read anew."""
        self._retries = Counter(
            "fhir_hub_message_retries",
            "Times that an HL7v2 message was tried again after a fault that may pass",
            registry=self.registry,
        )
        self._channel_reloads = Counter(
            "fhir_hub_channels_reloads",
            "Times that changed channels were taken, or refused for a mistake",
            ["outcome"],
            registry=self.registry,
        )

    def _outbound(self) -> None:
        """Make the metrics of what goes to partners."""
        self._deliveries = Counter(
            "fhir_hub_outbound_messages",
            "Messages to partners, by what became of them",
            ["partner", "outcome"],
            registry=self.registry,
        )
        self._refused_acknowledgments = Counter(
            "fhir_hub_outbound_acknowledgments_refused",
            "Acknowledgments of a partner's messages that did not come from him",
            ["partner"],
            registry=self.registry,
        )
        self._breakers = Gauge(
            "fhir_hub_outbound_breaker",
            "0: a partner answers, 1: he is tried, 2: he is left alone",
            ["partner"],
            registry=self.registry,
            multiprocess_mode="livemax",
        )
        self._silent = Gauge(
            "fhir_hub_outbound_silent_seconds",
            "For how long a partner has not answered, 0 if he does",
            ["partner"],
            registry=self.registry,
            multiprocess_mode="livemax",
        )
        self._waiting = Gauge(
            "fhir_hub_outbound_waiting",
            "Versions stored after the last of which a partner was told, if he is to be",
            ["partner"],
            registry=self.registry,
            multiprocess_mode="livemax",
        )

    def observe_request(self, interaction: str, status: int, seconds: float) -> None:
        """Count an answered FHIR request; `interaction` is empty for what is none."""
        pair = self._counters.get((interaction, status))
        if pair is None:
            name = interaction or "none"
            pair = (self._requests.labels(name, str(status)), self._seconds.labels(name))
            self._counters[interaction, status] = pair
        pair[0].inc()
        pair[1].observe(seconds)

    def observe_invalid(self) -> None:
        """Count a message that was made into what breaks a rule."""
        self._invalid.inc()

    def observe_retry(self) -> None:
        """Count a message that is tried again."""
        self._retries.inc()

    def observe_delivery(self, partner: str, outcome: str) -> None:
        """Count a message to a partner: delivered, dead, skipped, again, no-answer, not-made."""
        self._deliveries.labels(partner, outcome).inc()

    def observe_refused_acknowledgment(self, partner: str) -> None:
        """Count an acknowledgment of a partner's message that another sent."""
        self._refused_acknowledgments.labels(partner).inc()

    def set_partner(self, partner: str, breaker: int, waiting: int, silent_s: float) -> None:
        """Tell how a partner stands: 0 closed, 1 half open, 2 open; how much waits for him.

        `silent_s` is for how many seconds he has not answered.
        """
        self._breakers.labels(partner).set(breaker)
        self._silent.labels(partner).set(silent_s)
        self._waiting.labels(partner).set(waiting)

    def observe_reload(self, outcome: str) -> None:
        """Count changed maps that were `taken` or `refused`."""
        self._reloads.labels(outcome).inc()

    def observe_channels(self, outcome: str) -> None:
        """Count changed channels that were `taken` or `refused`."""
        self._channel_reloads.labels(outcome).inc()

    def exposition(
        self,
        resources: Mapping[str, int],
        sequence: int,
        size_bytes: int,
        messages: Mapping[str, int],
        figures: Figures,
        left: int = 0,
        pending_s: float = 0.0,
    ) -> tuple[bytes, str]:
        """Return the text that Prometheus reads, and its media type.

        The arguments are what the store, the journal and the listener say now.
        """
        self._gauges.resources, self._gauges.messages = resources, messages
        self._gauges.numbers = {
            "fhir_hub_store_sequence": ("Versions written since the store was made", sequence),
            "fhir_hub_store_size_bytes": ("Size of the store", size_bytes),
            "fhir_hub_journal_pending": (
                "HL7v2 messages received and not finished",
                messages["received"],
            ),
            "fhir_hub_journal_pending_seconds": ("For how long the oldest of them is", pending_s),
            "fhir_hub_mllp_connections": ("Open MLLP connections", figures.mllp_connections),
            "fhir_hub_index_left": (
                "Resources still to be indexed for new search parameters",
                left,
            ),
        }
        self._processes.pids = figures.processes
        return generate_latest(self._shown), CONTENT_TYPE_LATEST


def stopwatch() -> Callable[[], float]:
    """Return a function that tells the seconds since now."""
    started = time.perf_counter()
    return lambda: time.perf_counter() - started
