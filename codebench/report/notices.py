"""What a reader must know before the numbers: warnings of the runs, and runs that are unlike."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from codebench.compare.model import Setting
from codebench.compare.settings import changed_settings
from codebench.report.changes import detectable_points
from codebench.report.runs import Run
from codebench.visible import shortened, visible

_WIDE_POINTS = 15.0
"""An interval wider than this hides every change that one more checkpoint usually brings."""

_TIMEOUT_PERCENT = 5.0
_ALARMS = frozenset({"collapse", "infra_errors", "unlike_runs", "unsandboxed", "shared"})
_MAX_CHARS = 400
ALARM, CAUTION = True, False


class Notice(NamedTuple):
    """One line at the top of the page."""

    alarm: bool
    """Whether the numbers cannot be taken as they are."""

    where: str
    """The run or the runs it is about; empty for all of them."""

    text: str


def notices_of(runs: Sequence[Run], broken: Sequence[str]) -> list[Notice]:
    """Return what must be known, the gravest first; the latest run before the earlier ones."""
    found = [
        *_of_run(runs[-1]),
        *_unlike(runs),
        *(notice for run in reversed(runs[:-1]) for notice in _of_run(run)),
        *_precision(runs[-1]),
        *(Notice(CAUTION, "", f"left out: {shortened(line, _MAX_CHARS)}") for line in broken),
    ]
    return sorted(_joined(found, runs), key=lambda notice: not notice.alarm)


def _of_run(run: Run) -> Iterator[Notice]:
    for warning in run.results.warnings:
        text = shortened(visible(warning.message), _MAX_CHARS)
        yield Notice(warning.code in _ALARMS, run.label, text)
    judged = run.results.judged
    timeouts = sum(n for name, n in run.results.outcomes.items() if name.endswith("_timeout"))
    if judged and 100 * timeouts / judged > _TIMEOUT_PERCENT:
        share = f"{timeouts} of {judged} samples hit a time limit"
        yield Notice(CAUTION, run.label, f"{share}; a busy machine can be the reason")


def _precision(latest: Run) -> Iterator[Notice]:
    interval = latest.results.intervals.compile_success_rate.wilson
    if interval is None:
        yield Notice(ALARM, latest.label, "no sample was judged, so there is no rate")
    elif interval.high - interval.low > _WIDE_POINTS:
        points = detectable_points(latest)
        text = (
            f"{latest.results.judged} samples are few: the interval is"
            f" {interval.high - interval.low:.0f} points wide"
        )
        if points:
            text += f"; two such runs must differ by {points:.0f} points to be told apart"
        text += ". A larger --n-samples adds to what is there."
        yield Notice(CAUTION, latest.label, text)


def _unlike(runs: Sequence[Run]) -> Iterator[Notice]:
    """Yield a line for every setting in which an earlier run differs from the latest."""
    *earlier, latest = runs
    found: dict[Setting, list[str]] = {}
    for run in earlier:
        for setting in changed_settings(run.results, latest.results):
            found.setdefault(setting, []).append(run.label)
    for setting, labels in found.items():
        said = f"{setting.name} is {setting.base} there, {setting.other} at {latest.label}"
        more = ": these runs cannot be compared as they stand" if setting.fatal else ""
        text = shortened(visible(said), _MAX_CHARS) + more
        yield from (Notice(setting.fatal, label, text) for label in labels)


def _joined(notices: Sequence[Notice], runs: Sequence[Run]) -> Iterator[Notice]:
    """Yield the notices, those joined that say the same of several runs."""
    joined: dict[tuple[bool, str], set[str]] = {}
    for alarm, where, text in notices:
        joined.setdefault((alarm, text), set()).add(where)
    for (alarm, text), places in joined.items():
        labels = [run.label for run in runs if run.label in places]
        some = f"{len(labels)} runs, {labels[0]} to {labels[-1]}" if len(labels) > 3 else ""
        yield Notice(alarm, some or ", ".join(labels), text)
