"""Metrics asked for when they are read (store, processes), and those of the channels.

Spec: https://prometheus.io/docs/instrumenting/writing_clientlibs/
"""

import struct
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

_TIMES = 3
_TORN = (OSError, RuntimeError, ValueError, struct.error)
ANSWER_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60)


class Gauges:
    """What is asked for when it is read, not counted as it happens."""

    def __init__(self, version: str) -> None:
        self._version = version
        self.resources: Mapping[str, int] = {}
        self.messages: Mapping[str, int] = {}
        self.numbers: Mapping[str, tuple[str, float]] = {}

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
        by_state = GaugeMetricFamily(
            "fhir_hub_journal_messages", "HL7v2 messages that are not done", labels=["state"]
        )
        for state, count in self.messages.items():
            by_state.add_metric([state], count)
        yield by_state
        for name, (told, value) in self.numbers.items():
            yield GaugeMetricFamily(name, told, value=value)

    def describe(self) -> list[Metric]:
        """Return nothing: what there is, is known only when it is read."""
        return []


class Processes:
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


class Counts(MultiProcessCollector):
    """What all processes have counted: the sums of the files of each.

    A file is there before anything is in it, and what a process writes is not seen all at once: a
    file that cannot be read is read again, and is left out if it is another time.
    """

    def collect(self) -> Iterable[Metric]:
        """Return the metrics."""
        for _ in range(_TIMES):
            with suppress(*_TORN):
                return self._sums(self._files())
        return self._sums(filter(self._is_whole, self._files()))

    def _files(self) -> list[str]:
        return [str(one) for one in Path(self._path).glob("*.db")]

    def _is_whole(self, file: str) -> bool:
        with suppress(*_TORN):
            self._sums((file,))
            return True
        return False

    def _sums(self, files: Iterable[str]) -> Iterable[Metric]:
        metrics: Iterable[Metric] = self.merge(files)  # type: ignore[no-untyped-call]  # without types
        return metrics


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
            buckets=ANSWER_SECONDS,
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
            "When a channel last answered a message, or began to take them, seconds since 1970",
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
        self._begun: set[str] = set()

    def observe_message(self, channel: str, ack_code: str, seconds: float) -> None:
        """Count an answered message."""
        found = self._found.get((channel, ack_code))
        if found is None:
            every, own = self._every.labels(ack_code), self._messages.labels(channel, ack_code)
            found = self._found[channel, ack_code] = (every, own, self._last.labels(channel))
            self._begun.add(channel)
        every, own, last = found
        every.inc()
        own.inc()
        last.set_to_current_time()
        self._seconds.observe(seconds)

    def begin(self, channel: str) -> None:
        """Have a channel be silent since now, unless it has answered something already."""
        if channel not in self._begun:
            self._begun.add(channel)
            self._last.labels(channel).set_to_current_time()

    def observe_connection(self, channel: str, change: int) -> None:
        """Count a connection that begins (1) or ends (-1)."""
        self._connections.labels(channel).inc(change)


def forget_process(pid: int, folder: Path) -> None:
    """Let the gauges of a process that ended count no more; `folder` is where it kept them."""
    mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]  # without types
