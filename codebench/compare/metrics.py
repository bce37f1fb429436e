"""Which numbers are compared: which way is good, and what tells whether a change is real.

A new number is one line of `METRICS`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from codebench.languages.verdict import Outcome
from codebench.results.model import Results
from codebench.results.parts import PromptResults


class Good(StrEnum):
    """Which way is good."""

    HIGHER = "higher"
    LOWER = "lower"
    NEITHER = "neither"


class Unit(StrEnum):
    """What a number is measured in."""

    PERCENT = "percent"
    FRACTION = "fraction"
    NUMBER = "number"


@dataclass(frozen=True, slots=True)
class PromptCounts:
    """Successes and judged samples of each prompt; None where the prompt does not count."""

    of: Callable[[PromptResults], tuple[int, int] | None]
    outcomes: frozenset[Outcome]
    """The outcomes that are successes, to find them in samples that pair."""

    even: bool = False
    """Every prompt weighs the same."""


@dataclass(frozen=True, slots=True)
class PromptMeans:
    """A value of each prompt; None where it is undefined."""

    of: Callable[[PromptResults], float | None]
    even: bool = False
    """Every prompt weighs the same; else as many as it has samples."""


@dataclass(frozen=True, slots=True)
class Totals:
    """Cases over all samples of the run."""

    of: Callable[[Results], tuple[int | None, int | None]]
    """Cases and all; None where an older file does not say."""


Evidence = PromptCounts | PromptMeans | Totals | None


@dataclass(frozen=True, slots=True)
class Metric:
    """A number of results.json."""

    name: str
    label: str
    value: Callable[[Results], float | None]
    good: Good = Good.NEITHER
    unit: Unit = Unit.NUMBER
    evidence: Evidence = None
    main: bool = field(default=False, kw_only=True)
    """Belongs to the few that decide; Holm corrects them apart from the others."""


_PASSED = frozenset({Outcome.PASSED})
_COMPILED = frozenset(outcome for outcome in Outcome if outcome.compiles)


def _tested(prompt: PromptResults) -> tuple[int, int] | None:
    return (prompt.tests.passed, prompt.tests.judged) if prompt.tests else None


def _pass_at(k: str) -> Metric:
    evidence = PromptMeans(lambda prompt: prompt.pass_at_k.get(k), even=True)
    return Metric(
        f"pass@{k}", f"pass@{k}", lambda r: r.pass_at_k.get(k), Good.HIGHER, Unit.FRACTION, evidence
    )


def _compile_at(k: str) -> Metric:
    evidence = PromptMeans(lambda prompt: prompt.compile_at_k.get(k), even=True)
    return Metric(
        f"compile@{k}",
        f"compile@{k}",
        lambda r: r.compile_at_k.get(k),
        Good.HIGHER,
        Unit.FRACTION,
        evidence,
    )


def _bad_share(
    name: str,
    label: str,
    value: Callable[[Results], float | None],
    counts: Callable[[Results], tuple[int | None, int | None]],
) -> Metric:
    return Metric(name, label, value, Good.LOWER, Unit.FRACTION, Totals(counts))


METRICS: tuple[Metric, ...] = (
    Metric(
        "compile_success_rate",
        "compile rate, %",
        lambda r: r.compile_success_rate,
        Good.HIGHER,
        Unit.PERCENT,
        PromptCounts(lambda prompt: (prompt.compile_success, prompt.judged), _COMPILED),
        main=True,
    ),
    Metric(
        "pass@1",
        "pass@1",
        lambda r: r.pass_at_k.get("1"),
        Good.HIGHER,
        Unit.FRACTION,
        PromptCounts(_tested, _PASSED, even=True),
        main=True,
    ),
    _pass_at("10"),
    _pass_at("100"),
    _compile_at("10"),
    _compile_at("100"),
    _bad_share(
        "truncated_share",
        "truncated",
        lambda r: r.degeneration.truncated_share,
        lambda r: (r.degeneration.n_truncated, r.total_samples),
    ),
    _bad_share(
        "repetition_share",
        "repetition",
        lambda r: r.degeneration.repetition_share,
        lambda r: (r.degeneration.n_repetition, r.total_samples),
    ),
    _bad_share(
        "empty_share",
        "empty",
        lambda r: r.degeneration.empty_share,
        lambda r: (r.degeneration.n_empty, r.total_samples),
    ),
    _bad_share(
        "repetitive_share",
        "repetitive",
        lambda r: r.degeneration.repetitive_share,
        lambda r: (r.degeneration.n_repetitive, r.total_samples),
    ),
    _bad_share(
        "broken_share",
        "no syntax",
        lambda r: r.degeneration.broken_share,
        lambda r: (r.degeneration.n_broken, r.degeneration.n_whole),
    ),
    Metric(
        "unique_share",
        "distinct programs",
        lambda r: r.diversity.unique_share,
        Good.HIGHER,
        Unit.FRACTION,
    ),
    Metric(
        "unique_shapes_share",
        "distinct shapes",
        lambda r: r.diversity.unique_shapes_share,
        Good.HIGHER,
        Unit.FRACTION,
    ),
    Metric(
        "ast_similarity",
        "like the reference",
        lambda r: r.similarity.ast_similarity if r.similarity else None,
        unit=Unit.FRACTION,
        evidence=PromptMeans(lambda p: p.similarity.ast_similarity if p.similarity else None),
    ),
    Metric("warnings_per_sample", "warnings", lambda r: r.warnings_per_sample, Good.LOWER),
    Metric(
        "avg_lines", "lines", lambda r: r.avg_lines, evidence=PromptMeans(lambda p: p.avg_lines)
    ),
    Metric(
        "avg_functions",
        "functions",
        lambda r: r.avg_functions,
        evidence=PromptMeans(lambda p: p.avg_functions),
    ),
    Metric(
        "avg_complexity",
        "complexity",
        lambda r: r.avg_complexity,
        evidence=PromptMeans(lambda p: p.avg_complexity),
    ),
    Metric("tokens_per_second", "tokens/s", lambda r: r.tokens_per_second, Good.HIGHER),
)

NAMES = tuple(metric.name for metric in METRICS)
MAIN = tuple(metric.name for metric in METRICS if metric.main)
LABELS = {metric.name: metric.label for metric in METRICS}
