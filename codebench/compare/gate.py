"""Did a number get worse? The question that `--fail-on-regression` asks."""

from collections.abc import Iterator, Sequence

from codebench.compare.metrics import MAIN, METRICS, NAMES, Good
from codebench.compare.model import ComparisonReport, MetricChange
from codebench.errors import UsageError

_GOOD = {metric.name: metric.good for metric in METRICS}


def regressions(report: ComparisonReport, *, metrics: Sequence[str], by: str) -> list[str]:
    """Return a line for each number that got worse.

    Args:
        report: the comparisons.
        metrics: names of the numbers that must not get worse; an empty one means the main ones.
        by: "interval" counts a change whose whole 95 % interval is on the worse side; "point" any
            change to the worse, chance included.

    Raises:
        UsageError: if a number is unknown, is neither good nor bad, or was not measured in both
            runs: a gate that cannot be judged does not pass.
    """
    wanted: dict[str, None] = {}
    for name in metrics:
        wanted |= dict.fromkeys([name] if name else _measured_main(report))
    for name in wanted:
        if name not in NAMES:
            raise UsageError(f"unknown number {name}; known: {', '.join(NAMES)}")
        if _GOOD[name] is Good.NEITHER:
            raise UsageError(f"{name} is neither good nor bad: it cannot regress")
    return [line for name in wanted for line in _regressions(report, name, by)]


def _measured_main(report: ComparisonReport) -> list[str]:
    """Return the compile rate, and of the other main numbers those that every run has."""
    measured = [{m.name for m in c.metrics if m.change is not None} for c in report.comparisons]
    return [name for name in MAIN if name == MAIN[0] or all(name in m for m in measured)]


def _regressions(report: ComparisonReport, name: str, by: str) -> Iterator[str]:
    for comparison in report.comparisons:
        label = comparison.other.label
        metric = next((m for m in comparison.metrics if m.name == name), None)
        if metric is None or metric.change is None:
            raise UsageError(f"{name} was not measured in both {report.base.label} and {label}")
        if by == "interval" and metric.interval is None:
            raise UsageError(f"{name} has no interval; --gate point compares the numbers alone")
        if _got_worse(metric, by):
            yield f"{name} of {label} is worse than that of {report.base.label}{_how(metric)}"


def _got_worse(metric: MetricChange, by: str) -> bool:
    assert metric.change is not None
    sign = 1 if _GOOD[metric.name] is Good.HIGHER else -1
    if by == "point":
        return sign * metric.change < 0
    assert metric.interval is not None
    best = metric.interval.high if sign > 0 else metric.interval.low
    return sign * best < 0


def _how(metric: MetricChange) -> str:
    said = f": {metric.base:.4g} -> {metric.other:.4g}"
    if metric.interval is None:
        return said
    return f"{said}, change {metric.interval.low:+.3g} to {metric.interval.high:+.3g}"
