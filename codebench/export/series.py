"""The numbers of a picture: one point a run, with its interval."""

from collections.abc import Sequence
from math import sqrt
from typing import NamedTuple

from codebench.export.order import by_step
from codebench.results.model import Results
from codebench.results.reading import Loaded
from codebench.stats import t_quantile

_MAX_LABEL_CHARS = 18


class Point(NamedTuple):
    """One run."""

    value: float
    """Percent 0-100."""

    low: float | None
    high: float | None
    whole: bool
    """Whether every sample that was asked for was judged."""

    collapsed: bool


class Line(NamedTuple):
    """One number over the runs; None where a run does not have it."""

    name: str
    points: list[Point | None]


class Picture(NamedTuple):
    """What is drawn."""

    places: list[float]
    """Where the runs stand on the axis: their steps, or 0, 1, 2 ..."""

    labels: list[str]
    has_steps: bool
    compiles: Line
    passes: list[Line]
    """pass@k for the smallest and the largest k that every tested run has."""

    about: str
    """The samples and prompts behind the points."""


def picture_of(loaded: Sequence[Loaded]) -> Picture:
    """Return the picture of some runs, lowest step first."""
    runs = [one.results for one in by_step(loaded)]
    steps = [results.step for results in runs if results.step is not None]
    has_steps = len(set(steps)) == len(runs)
    return Picture(
        places=[float(step) for step in steps]
        if has_steps
        else [float(i) for i in range(len(runs))],
        labels=[f"{step:,}" for step in steps] if has_steps else [_short(r) for r in runs],
        has_steps=has_steps,
        compiles=Line("compiles", [_compile_point(results) for results in runs]),
        passes=[Line(f"pass@{k}", [_pass_point(r, k) for r in runs]) for k in _ks(runs)],
        about=_about(runs),
    )


def mean_bounds(values: Sequence[float]) -> tuple[float, float] | None:
    """Return the 95 % interval of a mean over prompts, for prompts in general; Student's t.

    Undefined when: there are fewer than two prompts, or all are equal: their spread says nothing.
    """
    n = len(values)
    if n < 2 or len(set(values)) == 1:
        return None
    mean = sum(values) / n
    variance = sum((value - mean) ** 2 for value in values) / (n - 1)
    half = t_quantile(0.975, df=n - 1) * sqrt(variance / n)
    return max(0.0, mean - half), min(1.0, mean + half)


def _compile_point(results: Results) -> Point | None:
    wilson = results.intervals.compile_success_rate.wilson
    if results.compile_success_rate is None:
        return None
    return Point(
        value=results.compile_success_rate,
        low=wilson.low if wilson else None,
        high=wilson.high if wilson else None,
        whole=_whole(results),
        collapsed=bool(results.degeneration.collapse),
    )


def _pass_point(results: Results, k: str) -> Point | None:
    value = results.pass_at_k.get(k)
    if value is None:
        return None
    prompts = [p.pass_at_k[k] for p in results.samples_by_prompt if k in p.pass_at_k]
    low, high = mean_bounds(prompts) or (None, None)
    return Point(
        value=100 * value,
        low=None if low is None else 100 * low,
        high=None if high is None else 100 * high,
        whole=_whole(results),
        collapsed=False,
    )


def _whole(results: Results) -> bool:
    return results.judged >= results.sampling.n_samples


def _ks(runs: Sequence[Results]) -> list[str]:
    tested = [set(map(int, results.pass_at_k)) for results in runs if results.pass_at_k]
    common = sorted(set.intersection(*tested)) if tested else []
    return [str(k) for k in dict.fromkeys([*common[:1], *common[-1:]])]


def _short(results: Results) -> str:
    """Return the end of the checkpoint's name, by which names usually differ."""
    name = results.checkpoint.rstrip("/").rpartition("/")[2]
    return name if len(name) <= _MAX_LABEL_CHARS else f"…{name[1 - _MAX_LABEL_CHARS :]}"


def _about(runs: Sequence[Results]) -> str:
    counts = sorted({results.judged for results in runs})
    samples = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    n_prompts = sorted({len(results.samples_by_prompt) for results in runs})
    prompts = f"{n_prompts[0]}" if len(n_prompts) == 1 else f"{n_prompts[0]} to {n_prompts[-1]}"
    sets = ", ".join(dict.fromkeys(one.name for r in runs for one in r.prompt_sets))
    hollow = "" if all(map(_whole, runs)) else "; hollow: not all were judged"
    return f"{samples} samples over {prompts} prompts ({sets}){hollow}"
