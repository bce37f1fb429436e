"""The curves over the steps, as the charts of the page want them."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, TypedDict

from codebench.export.series import mean_bounds
from codebench.report.headline import rate_of
from codebench.report.runs import Run
from codebench.results.model import Results


class Curve(TypedDict):
    """One curve; null where a run does not tell."""

    name: str
    values: list[float | None]
    low: list[float | None]
    """Lower ends of the intervals; all null where the number has none."""

    high: list[float | None]
    said: list[str]
    """The counts behind each value, in words."""


class Chart(TypedDict):
    """One chart."""

    id: str
    title: str
    about: str
    unit: str
    top: float | None
    """Upper end of the axis; null where it follows the values."""

    least: float
    """The axis reaches up to this at least."""

    digits: int
    curves: list[Curve]


class Trend(TypedDict):
    """The charts and their common axis."""

    steps: list[int] | None
    """Where each run stands on the axis; null where steps do not tell the runs apart."""

    target: float | None
    """Compile rate that is aimed at, percent."""

    charts: list[Chart]


class Told(NamedTuple):
    """What one run tells for a curve."""

    value: float | None
    low: float | None = None
    high: float | None = None
    counts: str = ""


Tell = Callable[[Run], Told]


def trend_of(runs: Sequence[Run], target: float | None) -> Trend:
    """Return the charts that have something to show."""
    shapes = (
        _Shape(
            "compile", "Compile rate", "95 % interval for exactly these prompts", top=100, digits=1
        ),
        _Shape("pass", "Tests passed", "95 % interval for prompts in general", "", top=1, digits=2),
        _Shape("tokens", "Speed", "tokens per second while sampling", ""),
        _Shape("unique", "Diversity", "share of distinct programs", top=100),
        _Shape("worn", "Degeneration", "share of samples", least=10),
    )
    curves: dict[str, dict[str, Tell]] = {
        "compile": {"compile": _compiled},
        "pass": _passes(runs),
        "tokens": {"tokens/s": lambda run: Told(run.results.tokens_per_second)},
        "unique": {
            "programs": _share(lambda r: r.diversity.unique_share),
            "shapes": _share(lambda r: r.diversity.unique_shapes_share),
        },
        "worn": {
            "repeat": _share(_repetitive),
            "cut off": _share(lambda r: r.degeneration.truncated_share),
            "empty": _share(lambda r: r.degeneration.empty_share),
        },
    }
    steps = [run.results.step for run in runs if run.results.step is not None]
    charts = (_chart(runs, shape, curves[shape.id]) for shape in shapes)
    return {
        "steps": steps if len(set(steps)) == len(runs) else None,
        "target": target,
        "charts": [chart for chart in charts if chart["curves"]],
    }


class _Shape(NamedTuple):
    """What a chart is but for its curves; see `Chart`."""

    id: str
    title: str
    about: str
    unit: str = "%"
    top: float | None = None
    least: float = 0
    digits: int = 0


def _chart(runs: Sequence[Run], shape: _Shape, curves: dict[str, Tell]) -> Chart:
    told = {name: [tell(run) for run in runs] for name, tell in curves.items()}
    return {
        **shape._asdict(),  # type: ignore[typeddict-item]  # the fields are those of Chart
        "curves": [
            {
                "name": name,
                "values": [one.value for one in points],
                "low": [one.low for one in points],
                "high": [one.high for one in points],
                "said": [one.counts for one in points],
            }
            for name, points in told.items()
            if any(one.value is not None for one in points)
        ],
    }


def _compiled(run: Run) -> Told:
    rate = rate_of(run)
    return Told(rate.percent, rate.low, rate.high, f"{rate.successes} of {rate.n}")


def _passes(runs: Sequence[Run]) -> dict[str, Tell]:
    """Return the smallest and the largest k that any run has."""
    ks = sorted({int(k) for run in runs for k in run.results.pass_at_k})
    return {f"pass@{k}": partial(_passed, str(k)) for k in dict.fromkeys([*ks[:1], *ks[-1:]])}


def _passed(k: str, run: Run) -> Told:
    results = run.results
    prompts = [p.pass_at_k[k] for p in results.samples_by_prompt if k in p.pass_at_k]
    return Told(results.pass_at_k.get(k), *(mean_bounds(prompts) or (None, None)))


def _repetitive(results: Results) -> float | None:
    found = results.degeneration
    return found.repetition_share if found.repetitive_share is None else found.repetitive_share


def _share(tell: Callable[[Results], float | None]) -> Tell:
    """Return a curve in percent of a share 0-1."""

    def told(run: Run) -> Told:
        share = tell(run.results)
        return Told(None if share is None else 100 * share)

    return told
