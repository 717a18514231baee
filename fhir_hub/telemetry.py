"""What a hub tells of itself: log lines on standard error, and metrics.

A log line is an event's name and fields of a closed vocabulary: numbers, types, codes, ids of
requests. What is not in the vocabulary is dropped and said to be, and an error is told by its
type and its place in the code, never by its text; so patient data cannot get into a line by an
oversight. Metrics have no label that a client may choose.

Nothing here is global: `app.py` makes one `Logs` and one `Metrics` and passes them on.
"""

import logging
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from functools import partial
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
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from structlog.typing import Processor

Log = Callable[..., None]
Fields = MutableMapping[str, Any]

FIELDS = frozenset(
    {
        "ack_code",
        "channel",
        "config",
        "connections",
        "dropped",
        "entries",
        "event",
        "expressions",
        "fault",
        "file",
        "host",
        "inside",
        "interaction",
        "level",
        "logger",
        "messages",
        "milliseconds",
        "mllp_port",
        "number",
        "pid",
        "place",
        "port",
        "problems",
        "reason",
        "request_id",
        "resource_type",
        "seconds",
        "signal",
        "size_bytes",
        "status",
        "store",
        "time",
        "version",
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

    def take_over(self, *names: str) -> None:
        """Let the standard library's loggers `names` write here, warnings and worse."""
        for name in names:
            other = logging.getLogger(name)
            other.handlers[:] = [_Bridge(self.get_logger(name))]
            other.setLevel(logging.WARNING)
            other.propagate = False


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
        else:
            kept[name] = value
    if dropped:
        kept["dropped"] = " ".join(sorted(dropped))
    return kept


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


_HTTP_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60)


class Figures(NamedTuple):
    """What no process of a hub knows alone: who the others are, by name, and their connections.

    Without `processes` there is one.
    """

    processes: Mapping[str, int]
    mllp_connections: int


class Metrics:
    """The metrics of one hub; `observe_…` is cheap enough for every request.

    Where several processes serve (`is_shared`), each counts in files of its own in the folder
    that the variable PROMETHEUS_MULTIPROC_DIR names, and any of them tells the sums.
    """

    def __init__(self, version: str, *, is_shared: bool = False) -> None:
        self.registry = CollectorRegistry()
        self._shown = shown = CollectorRegistry() if is_shared else self.registry
        self._gauges, self._processes = _Gauges(version), _Processes()
        PlatformCollector(registry=shown)
        shown.register(self._gauges)
        if is_shared:
            MultiProcessCollector(shown)  # type: ignore[no-untyped-call]
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
            buckets=_HTTP_SECONDS,
            registry=self.registry,
        )
        self.channels = ChannelMetrics(self.registry)
        self._invalid = Counter(
            "fhir_hub_conversion_invalid",
            "HL7v2 messages whose resources break a rule of R4 or of a profile",
            registry=self.registry,
        )
        # finding a metric by its labels costs as much as counting: each is found once
        self._counters: dict[tuple[str, int], tuple[Counter, Histogram]] = {}

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

    def exposition(
        self,
        resources: Mapping[str, int],
        sequence: int,
        size_bytes: int,
        pending: int,
        figures: Figures,
        left: int = 0,
    ) -> tuple[bytes, str]:
        """Return the text that Prometheus reads, and its media type.

        The arguments are what the store, the journal and the listener say now.
        """
        self._gauges.resources = resources
        self._gauges.numbers = {
            "fhir_hub_store_sequence": ("Versions written since the store was made", sequence),
            "fhir_hub_store_size_bytes": ("Size of the store", size_bytes),
            "fhir_hub_journal_pending": ("HL7v2 messages received and not finished", pending),
            "fhir_hub_mllp_connections": ("Open MLLP connections", figures.mllp_connections),
        }
        self._gauges.numbers |= {
            "fhir_hub_index_left": ("Resources still to be indexed for new search parameters", left)
        }
        self._processes.pids = figures.processes
        return generate_latest(self._shown), CONTENT_TYPE_LATEST


class ChannelMetrics:
    """What comes in over HL7v2: by acknowledgment code, and by channel, a name of the settings."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._every = Counter(
            "fhir_hub_mllp_messages",
            "HL7v2 messages answered, by acknowledgment code",
            ["ack_code"],
            registry=registry,
        )
        self._seconds = Histogram(
            "fhir_hub_mllp_message_seconds",
            "Time to answer an HL7v2 message",
            buckets=_HTTP_SECONDS,
            registry=registry,
        )
        self._messages = Counter(
            "fhir_hub_channel_messages",
            "HL7v2 messages answered, by channel and acknowledgment code",
            ["channel", "ack_code"],
            registry=registry,
        )
        self._last = Gauge(
            "fhir_hub_channel_last_message_timestamp_seconds",
            "When a channel last answered a message, seconds since 1970",
            ["channel"],
            registry=registry,
            multiprocess_mode="max",
        )
        self._connections = Gauge(
            "fhir_hub_channel_connections",
            "Open MLLP connections, by the first channel of their port",
            ["channel"],
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._found: dict[tuple[str, str], tuple[Counter, Counter, Gauge]] = {}

    def observe_message(self, channel: str, ack_code: str, seconds: float) -> None:
        """Count an answered message."""
        found = self._found.get((channel, ack_code))
        if found is None:
            every, own = self._every.labels(ack_code), self._messages.labels(channel, ack_code)
            found = self._found[channel, ack_code] = (every, own, self._last.labels(channel))
        every, own, last = found
        every.inc()
        own.inc()
        last.set_to_current_time()
        self._seconds.observe(seconds)

    def observe_connection(self, channel: str, change: int) -> None:
        """Count a connection that begins (1) or ends (-1)."""
        self._connections.labels(channel).inc(change)


class _Gauges:
    """What is asked for when it is read, not counted as it happens."""

    def __init__(self, version: str) -> None:
        self._version = version
        self.resources: Mapping[str, int] = {}
        self.numbers: Mapping[str, tuple[str, int]] = {}

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges."""
        build = GaugeMetricFamily("fhir_hub_build_info", "1, by version", labels=["version"])
        build.add_metric([self._version], 1)
        yield build
        by_type = GaugeMetricFamily(
            "fhir_hub_store_resources", "Current resources, by type", labels=["resource_type"]
        )
        for resource_type, count in sorted(self.resources.items()):
            by_type.add_metric([resource_type], count)
        yield by_type
        for name, (told, value) in self.numbers.items():
            yield GaugeMetricFamily(name, told, value=value)

    def describe(self) -> list[Metric]:
        """Return nothing: what there is, is known only when it is read."""
        return []


class _Processes:
    """Memory, CPU and files of each process of the hub, by name."""

    def __init__(self) -> None:
        self.pids: Mapping[str, int] = {}

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics that one process has, each with the label `process`."""
        families: dict[str, Metric] = {}
        for name, pid in self.pids.items():
            for metric in ProcessCollector(pid=partial(int, pid), registry=None).collect():
                family = families.setdefault(
                    metric.name, Metric(metric.name, metric.documentation, metric.type)
                )
                for sample in metric.samples:
                    family.add_sample(sample.name, {"process": name}, sample.value)
        yield from families.values()

    def describe(self) -> list[Metric]:
        """Return nothing: what there is, is known only when it is read."""
        return []


def forget_process(pid: int, folder: Path) -> None:
    """Let the gauges of a process that ended count no more; `folder` is where it kept them."""
    mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]


def stopwatch() -> Callable[[], float]:
    """Return a function that tells the seconds since now."""
    started = time.perf_counter()
    return lambda: time.perf_counter() - started
