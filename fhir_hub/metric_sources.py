"""Metrics that are asked for when they are read: what the store says, how the processes are.

Spec: https://prometheus.io/docs/instrumenting/writing_clientlibs/
"""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from prometheus_client import ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import mark_process_dead


class Gauges:
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


def forget_process(pid: int, folder: Path) -> None:
    """Let the gauges of a process that ended count no more; `folder` is where it kept them."""
    mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]
