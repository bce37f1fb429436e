"""Did the compile rate change from one step to another? The words of `codebench compare`, in short.

Every pair of runs is judged as if it were compared alone.
"""

import re
from collections.abc import Sequence
from itertools import combinations, pairwise
from typing import NamedTuple

from codebench.compare.changes import change_of, shared_prompts
from codebench.compare.metrics import METRICS
from codebench.compare.model import MetricChange
from codebench.compare.pairing import paired_outcomes
from codebench.compare.settings import changed_settings
from codebench.report.runs import Run
from codebench.stats.power import smallest_difference

_ALPHA = 0.05
_MOST_RUNS = 10
"""Up to this many runs every pair is judged; beyond, each run with the one before it."""

_MOST_SAMPLES = 100_000
_RATE = next(metric for metric in METRICS if metric.name == "compile_success_rate")


class Change(NamedTuple):
    """The change of the compile rate between two runs, in words."""

    base: str
    """Key of the earlier run."""

    other: str
    points: str
    """`+5 points`."""

    tone: str
    """better, worse, or same where the samples cannot tell."""

    verdict: str
    """What can be said, one sentence without its subject."""


def changes_of(runs: Sequence[Run]) -> list[Change]:
    """Return the changes between the runs, the earlier one as the base."""
    pairs = combinations(runs, 2) if len(runs) <= _MOST_RUNS else pairwise(runs)
    return [change for base, other in pairs if (change := _change(base, other))]


def detectable_points(run: Run) -> float | None:
    """Return the change that two such runs would show in 4 of 5 comparisons, points."""
    results = run.results
    if results.compile_success_rate is None:
        return None
    found = smallest_difference(
        results.compile_success_rate / 100, n_base=results.judged, n_other=results.judged
    )
    return None if found is None else 100 * found


def _change(base: Run, other: Run) -> Change | None:
    if not shared_prompts(base.results, other.results):
        return None
    mine, theirs = base.results.compile_success_rate, other.results.compile_success_rate
    if mine is None or theirs is None:
        return None
    points = f"{signed(theirs - mine)} points"
    if any(setting.fatal for setting in changed_settings(base.results, other.results)):
        verdict = f"but {base.label} was measured differently: see the warnings"
        return Change(base.key, other.key, points, "same", verdict)
    pairs = paired_outcomes(base.loaded, other.loaded)
    found = change_of(_RATE, base.results, other.results, pairs)
    return Change(base.key, other.key, points, *_judged(found, base)) if found else None


def _judged(found: MetricChange, base: Run) -> tuple[str, str]:
    """Return tone and verdict; the rule is that of `codebench compare`."""
    if found.change == 0:
        return "same", f"the same rate as {base.label}"
    interval = found.interval
    if interval is None or found.p is None or found.change is None:
        return "same", "the samples allow no test"
    span = f"95\u202f% interval {signed(interval.low)} to {signed(interval.high)}"
    if found.p < _ALPHA and interval.low * interval.high > 0:
        p = "<\u00a00.0001" if found.p < 0.0001 else f"=\u00a0{found.p:.2g}"
        tone = "better" if interval.low > 0 else "worse"
        return tone, f"{tone} than {base.label} ({span}, p\u00a0{p})"
    needed = _samples_needed(base, abs(found.change) / 100)
    more = f"; some {needed} samples each would show a change of this size" if needed else ""
    return "same", f"no difference from {base.label} that these samples can show ({span}){more}"


def _samples_needed(base: Run, change: float) -> str:
    """Return how many samples of each run would show the change, rounded; empty beyond reason."""
    rate = (base.results.compile_success_rate or 0.0) / 100
    n = max(base.results.judged, 1)
    while change and n <= _MOST_SAMPLES:
        smallest = smallest_difference(rate, n_base=n, n_other=n)
        if smallest is not None and smallest <= change:
            return re.sub(r"(?<=\d)(?=(\d{3})+$)", "\u202f", str(round(n, 1 - len(str(n)) + 1)))
        n = n * 5 // 4 + 1
    return ""


def signed(points: float) -> str:
    """Return `+5.2`, `−3` or `±0`: whole numbers without digits, a real minus."""
    text = f"{abs(points):.1f}".removesuffix(".0")
    return f"{'±' if text == '0' else '+' if points > 0 else '−'}{text}"
