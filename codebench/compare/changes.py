"""One number in two runs: its change, how far that may be from the truth, and its p value."""

from collections.abc import Iterator
from typing import NamedTuple

from codebench.compare.metrics import Evidence, Metric, PromptCounts, PromptMeans, Totals, Unit
from codebench.compare.model import MetricChange, Range, Verdict
from codebench.compare.pairing import PairedOutcomes
from codebench.results.model import Results
from codebench.results.parts import PromptResults
from codebench.stats import Bounds
from codebench.stats.comparison import (
    CONFIDENCE,
    Pairs,
    Table,
    bootstrap_change,
    cmh_p,
    mcnemar_p,
    paired_bounds,
    stratified_bounds,
)
from codebench.stats.power import smallest_difference, smallest_mean_change

THESE_PROMPTS = "exactly these prompts"
IN_GENERAL = "prompts in general"
CMH = "Cochran-Mantel-Haenszel by prompt"
MCNEMAR = "McNemar, exact, over samples with the same seed"
ONE_EACH = "McNemar, exact, over prompts with one sample each"
BOOTSTRAP = "paired bootstrap over prompts"
TWO_RATES = "two rates, prompts not told apart"


class Finding(NamedTuple):
    """What the evidence says about a change."""

    test: str | None = None
    p: float | None = None
    bounds: Bounds | None = None
    smallest: float | None = None
    meaning: str = THESE_PROMPTS


class PromptPair(NamedTuple):
    """The same prompt in two runs."""

    base: PromptResults
    other: PromptResults


def shared_prompts(base: Results, other: Results) -> list[PromptPair]:
    """Return the prompts that have samples in both runs."""
    theirs = {(p.prompt_set, p.id): p for p in other.samples_by_prompt if p.n_samples}
    return [
        PromptPair(p, theirs[p.prompt_set, p.id])
        for p in base.samples_by_prompt
        if p.n_samples and (p.prompt_set, p.id) in theirs
    ]


def change_of(
    metric: Metric, base: Results, other: Results, pairs: PairedOutcomes | None
) -> MetricChange | None:
    """Return a number's change, its verdict still open; None where neither run has the number."""
    mine, theirs = metric.value(base), metric.value(other)
    if mine is None and theirs is None:
        return None
    both = mine is not None and theirs is not None
    found = _finding(metric.evidence, base, other, pairs) if both else Finding()
    scale = 100.0 if metric.unit is Unit.PERCENT else 1.0
    change = theirs - mine if mine is not None and theirs is not None else None
    return MetricChange(
        name=metric.name,
        unit=metric.unit,
        good=metric.good,
        base=mine,
        other=theirs,
        change=change,
        relative_change=100 * change / mine if change is not None and mine else None,
        interval=_range(found, scale),
        test=found.test,
        p=found.p,
        p_holm=None,
        smallest_difference=None if found.smallest is None else scale * found.smallest,
        verdict=Verdict.UNTESTED if found.test is None else Verdict.NOT_SHOWN,
    )


def _range(found: Finding, scale: float) -> Range | None:
    if found.bounds is None:
        return None
    low, high = found.bounds
    return Range(low=scale * low, high=scale * high, confidence=CONFIDENCE, meaning=found.meaning)


def _finding(
    evidence: Evidence, base: Results, other: Results, pairs: PairedOutcomes | None
) -> Finding:
    match evidence:
        case PromptCounts():
            return _from_counts(evidence, shared_prompts(base, other), pairs)
        case PromptMeans():
            return _from_means(evidence, shared_prompts(base, other))
        case Totals():
            return _from_totals(evidence, base, other)
        case None:
            return Finding()


def _from_counts(
    evidence: PromptCounts, prompts: list[PromptPair], pairs: PairedOutcomes | None
) -> Finding:
    found = ((evidence.of(pair.base), evidence.of(pair.other)) for pair in prompts)
    tables = [Table(*mine, *theirs) for mine, theirs in found if mine and theirs]
    n_base, n_other = sum(t.n_base for t in tables), sum(t.n_other for t in tables)
    if not n_base or not n_other:
        return Finding()
    rate = sum(t.base for t in tables) / n_base
    smallest = smallest_difference(rate, n_base=n_base, n_other=n_other)
    counted, test = _counted(evidence, tables, pairs)
    if counted is None:
        bounds = stratified_bounds(tables, even=evidence.even)
        return Finding(CMH, cmh_p(tables), bounds, smallest)
    return Finding(test, mcnemar_p(counted), paired_bounds(counted), smallest)


def _counted(
    evidence: PromptCounts, tables: list[Table], pairs: PairedOutcomes | None
) -> tuple[Pairs | None, str]:
    """Return the pairs behind the counts, if there are any, and the name of their test."""
    if all(t.n_base == t.n_other == 1 for t in tables):
        return _count_pairs((t.base > 0, t.other > 0) for t in tables), ONE_EACH
    if pairs is None or len(pairs) != sum(t.n_base for t in tables):
        return None, CMH  # some samples do not count: prompts without tests
    good = evidence.outcomes
    return _count_pairs((mine in good, theirs in good) for mine, theirs in pairs), MCNEMAR


def _count_pairs(successes: Iterator[tuple[bool, bool]]) -> Pairs:
    seen = list(successes)
    return Pairs(
        better=sum(theirs and not mine for mine, theirs in seen),
        worse=sum(mine and not theirs for mine, theirs in seen),
        n=len(seen),
    )


def _from_means(evidence: PromptMeans, prompts: list[PromptPair]) -> Finding:
    values = [
        (mine, theirs, 1.0 if evidence.even else float(pair.base.n_samples))
        for pair in prompts
        if (mine := evidence.of(pair.base)) is not None
        and (theirs := evidence.of(pair.other)) is not None
    ]
    if len(values) < 2:  # one prompt says nothing about others
        return Finding()
    found = bootstrap_change(*zip(*values, strict=True))
    smallest = smallest_mean_change(found.standard_error) if found.bounds else None
    return Finding(BOOTSTRAP, found.p, found.bounds, smallest, IN_GENERAL)


def _from_totals(evidence: Totals, base: Results, other: Results) -> Finding:
    (mine, n_mine), (theirs, n_theirs) = evidence.of(base), evidence.of(other)
    if mine is None or theirs is None or not n_mine or not n_theirs:
        return Finding()
    tables = [Table(mine, n_mine, theirs, n_theirs)]
    smallest = smallest_difference(mine / n_mine, n_base=n_mine, n_other=n_theirs)
    return Finding(TWO_RATES, cmh_p(tables), stratified_bounds(tables), smallest)
