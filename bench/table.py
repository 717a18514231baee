"""One row of figures a work, the table, and where it is kept."""

import statistics
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.load import Result
from bench.works import Work

RESULTS = Path(__file__).parent / "results"
_OVER = 1.3  # a budget is over from here on

HEAD = (
    "| work | clients | target | per second | p50 ms | p99 ms | hub CPU µs | budget µs "
    "| memory MB | failed | met |\n|---|---|---|---|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True)
class Row:
    """The figures of one work; a second and CPU are of one resource."""

    work: Work
    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    memory_mb: float
    failed: int

    @property
    def is_met(self) -> bool:
        return not self.failed and self.work.target.is_met(
            self.per_second, self.p50_ms, self.p99_ms
        )

    @property
    def is_over(self) -> bool:
        """Whether the processor time is more than 30 % over its budget."""
        return bool(self.work.budget_us) and self.cpu_us > _OVER * self.work.budget_us

    def __str__(self) -> str:
        work, target = self.work, str(self.work.target)
        met = ("yes" if self.is_met else "**no**") if target else ""
        return (
            f"| {work.name} | {work.clients} | {target} | {self.per_second:,.0f} "
            f"| {self.p50_ms:.2f} | {self.p99_ms:.2f} | {self.cpu_us:,.0f} "
            f"| {work.budget_us or ''} | {self.memory_mb:.0f} | {self.failed} | {met} |"
        )


def row(work: Work, result: Result, cpu_s: float, memory_mb: float) -> Row:
    """Return the figures of one run."""
    if result.failed:
        said = f"{work.name}: {result.failed} failed, first: {result.first_failure}"
        print(said, file=sys.stderr)
    done = max(1, result.done) * work.each
    return Row(
        work,
        result.done * work.each / result.elapsed,
        result.percentile(0.5) * 1000,
        result.percentile(0.99) * 1000,
        cpu_s / done * 1e6,
        memory_mb,
        result.failed,
    )


def middle(rows: list[Row]) -> Row:
    """Return the medians of several runs of one work; failures add up."""

    def of(name: str) -> float:
        return statistics.median(getattr(one, name) for one in rows)

    figures = (of(n) for n in ("per_second", "p50_ms", "p99_ms", "cpu_us", "memory_mb"))
    return Row(rows[0].work, *figures, sum(one.failed for one in rows))


def keep(name: str, text: str) -> None:
    """Write what was measured to `bench/results/`, under the time."""
    path = RESULTS / f"{datetime.now(UTC):%Y-%m-%d-%H%M%S}-{name}.md"
    path.write_text(text, encoding="utf-8")
    print(f"kept in {path}", file=sys.stderr)
