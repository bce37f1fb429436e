"""The words of a comparison, alike in terminal and Markdown; foreign text cannot act in them."""

from collections.abc import Iterator
from typing import NamedTuple

from codebench.compare.metrics import LABELS, MAIN, Unit
from codebench.compare.model import Comparison, ComparisonReport, MetricChange, PromptFlip, Verdict
from codebench.visible import visible

MAX_SHOWN = 6
_HIDDEN_WHEN_ZERO = frozenset(
    {"truncated_share", "repetition_share", "repetitive_share", "empty_share", "broken_share"}
)
COLUMNS = ("", "base", "other", "change", "relative", "95 % interval", "p", "detectable", "")


class Row(NamedTuple):
    """One number, as it is shown."""

    label: str
    base: str
    other: str
    change: str
    relative: str
    interval: str
    p: str
    smallest: str
    verdict: str
    tone: Verdict


def one_line(text: str) -> str:
    """Return foreign text on one line, with nothing in it that a terminal obeys."""
    return " ".join(visible(text).split())


def rows(comparison: Comparison) -> Iterator[Row]:
    """Yield the numbers; signs of degeneration that neither run shows are left out."""
    for metric in comparison.metrics:
        if metric.name not in _HIDDEN_WHEN_ZERO or metric.base or metric.other:
            yield _row(metric)


def _row(metric: MetricChange) -> Row:
    interval, relative = metric.interval, metric.relative_change
    smallest = metric.smallest_difference
    return Row(
        label=LABELS[metric.name],
        base=_number(metric.base, metric),
        other=_number(metric.other, metric),
        change=_number(metric.change, metric, sign="+"),
        relative="" if relative is None else f"{relative:+.0f} %",
        interval=""
        if interval is None
        else f"{_number(interval.low, metric, sign='+')} to "
        f"{_number(interval.high, metric, sign='+')}",
        p=_p(metric.p_holm),
        smallest="" if smallest is None else _number(smallest, metric),
        verdict=_verdict(metric),
        tone=metric.verdict,
    )


def _number(value: float | None, metric: MetricChange, *, sign: str = "") -> str:
    if value is None:
        return "-"
    digits = 1 if metric.unit == Unit.PERCENT else 3 if metric.unit == Unit.FRACTION else 2
    if max(abs(metric.base or 0), abs(metric.other or 0)) >= 1000:
        digits = 0
    return f"{round(value, digits) + 0.0:{sign}.{digits}f}"  # + 0.0: no minus before a zero


def _p(p: float | None) -> str:
    if p is None:
        return ""
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}" if p < 0.01 else f"{p:.2f}"


def _verdict(metric: MetricChange) -> str:
    if metric.verdict is Verdict.NOT_SHOWN:
        return "≈"
    if metric.verdict is Verdict.UNTESTED:
        return ""
    return f"{'↑' if (metric.change or 0) > 0 else '↓'} {metric.verdict}"


class OverviewRow(NamedTuple):
    """One run against the base, in its main numbers."""

    label: str
    samples: str
    row: Row


def overview(report: ComparisonReport) -> Iterator[OverviewRow]:
    """Yield the main numbers of each run; nothing where there is only one comparison."""
    if len(report.comparisons) > 1:
        for name in MAIN:
            for comparison in report.comparisons:
                for metric in comparison.metrics:
                    if metric.name == name:
                        other = comparison.other
                        yield OverviewRow(one_line(other.label), str(other.judged), _row(metric))


def samples_line(comparison: Comparison) -> str:
    """Return what the two runs could have shown together."""
    rate = next(m for m in comparison.metrics if m.name == "compile_success_rate")
    if rate.smallest_difference is None:
        return "one of the runs has no judged sample"
    line = (
        f"Compile rates must differ by {rate.smallest_difference:.1f} points to be told apart"
        " in 4 of 5 such comparisons"
    )
    pairs = comparison.pairs
    if pairs:
        line += (
            f" (by fewer where seeds pair: of {pairs.n} pairs {pairs.better} got better,"
            f" {pairs.worse} worse)"
        )
    return line + "."


def legend(report: ComparisonReport, comparison: Comparison) -> str:
    """Return how the table is to be read."""
    tests = dict.fromkeys(m.test for m in comparison.metrics if m.test and m.p is not None)
    return (
        "≈ no difference that these samples can show. "
        f"p: {'; '.join(tests) or 'no test'}; corrected (Holm) over {report.n_tests} main and "
        f"{report.n_other_tests} other tests."
    )


def flip(prompt: PromptFlip) -> str:
    """Return `factorial 1/7 → 5/7`."""
    return (
        f"{one_line(prompt.id)} {prompt.base[0]}/{prompt.base[1]} → "
        f"{prompt.other[0]}/{prompt.other[1]}"
    )


def is_gain(prompt: PromptFlip) -> bool:
    """Whether the prompt is solved now."""
    return prompt.other[0] * prompt.base[1] > prompt.base[0] * prompt.other[1]


def flips(comparison: Comparison) -> Iterator[tuple[str, bool]]:
    """Yield a line for the prompts that are solved now, and one for those that no longer are."""
    for gain in (True, False):
        found = [p for p in comparison.prompts_flipped if is_gain(p) is gain]
        if found:
            verb = "Now solved by half of the samples" if gain else "No longer solved by half"
            yield f"{verb}: {_some([flip(p) for p in found])}", gain


def codes(comparison: Comparison) -> Iterator[str]:
    """Yield a line for the error codes that grew and one for those that shrank."""
    for sign, verb in ((1, "grew"), (-1, "shrank")):
        found = [c for c in comparison.error_codes if c.change * sign > 0]
        if found:
            yield f"Errors that {verb}: " + _some(
                [
                    f"{one_line(c.code)} {c.base} → {c.other}"
                    f"{' (≈)' if c.verdict is Verdict.NOT_SHOWN else ''}"
                    for c in found
                ]
            )


def _some(texts: list[str]) -> str:
    more = len(texts) - MAX_SHOWN
    return ", ".join(texts[:MAX_SHOWN]) + (f" and {more} more" if more > 0 else "")
