"""The numbers of each step in words: the headline, the figures below it, the table of steps."""

from collections.abc import Sequence
from typing import NamedTuple

from codebench.report.runs import Run
from codebench.results.parts import Interval
from codebench.visible import shortened, visible

_MAX_CHARS = 160


class Rate(NamedTuple):
    """A rate in words, with its interval; percent."""

    percent: float | None
    low: float | None
    high: float | None
    successes: int
    n: int

    @property
    def text(self) -> str:
        """Return `68 %`."""
        return "–" if self.percent is None else f"{_number(self.percent, self.n)}\u202f%"

    @property
    def interval(self) -> str:
        """Return `58–76 %`."""
        if self.low is None or self.high is None:
            return "–"
        return f"{_number(self.low, self.n)}–{_number(self.high, self.n)}\u202f%"


class Step(NamedTuple):
    """A row of the table of steps."""

    run: Run
    rate: Rate
    passed: str
    tokens: str
    unique: str
    cut_off: str
    error: str


class Figure(NamedTuple):
    """A number beside the headline."""

    name: str
    value: str
    about: str


def rate_of(run: Run) -> Rate:
    """Return the compile rate of a run with Wilson's interval."""
    results = run.results
    found: Interval | None = results.intervals.compile_success_rate.wilson
    return Rate(
        results.compile_success_rate,
        found.low if found else None,
        found.high if found else None,
        results.compiled,
        results.judged,
    )


def figures_of(run: Run) -> list[Figure]:
    """Return the numbers that stand beside the headline."""
    results = run.results
    worn, speed = results.degeneration, results.tokens_per_second
    passes = [
        Figure(f"pass@{k}", f"{value:.2f}", "chance that one of k samples passes its tests")
        for k, value in list(results.pass_at_k.items())[:2]
    ]
    rated = results.ratings
    scores = [] if rated is None else [("style", rated.style), ("idiom", rated.idiom)]
    return [
        *passes,
        *(
            Figure(f"{name}, 1 to 5", f"{score.mean:.1f}", "mean of what people said, rated blind")
            for name, score in scores
        ),
        Figure("tokens/s", "–" if speed is None else _thousands(speed), "while sampling"),
        Figure("distinct programs", _share(results.diversity.unique_share), "compared by text"),
        Figure("cut off", _share(worn.truncated_share), "ended by the limit of tokens"),
        Figure(
            "repeat themselves",
            _share(
                worn.repetition_share if worn.repetitive_share is None else worn.repetitive_share
            ),
            "completions caught in a loop",
        ),
    ]


def steps_of(runs: Sequence[Run]) -> list[Step]:
    """Return the table of steps, the latest first."""
    return [_step(run) for run in reversed(runs)]


def _step(run: Run) -> Step:
    results = run.results
    speed = results.tokens_per_second
    worn = results.degeneration
    return Step(
        run=run,
        rate=rate_of(run),
        passed=f"{results.pass_at_k['1']:.2f}" if "1" in results.pass_at_k else "–",
        tokens="–" if speed is None else _thousands(speed),
        unique=_share(results.diversity.unique_share),
        cut_off=_share(worn.truncated_share),
        error=shortened(visible(next(iter(results.compile_errors), "")), _MAX_CHARS),
    )


def _number(percent: float, n: int) -> str:
    """Return whole percents up to some hundred samples: more digits would be noise."""
    return f"{percent:.0f}" if n < 500 else f"{percent:.1f}"


def _thousands(number: float) -> str:
    return f"{number:,.0f}".replace(",", "\u202f")


def _share(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.0f}\u202f%"
