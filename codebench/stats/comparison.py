"""Is one run better than another? Tests, and intervals for the change; fractions of 1.

Two questions, answered apart. *On exactly these prompts*: Cochran-Mantel-Haenszel with prompts as
strata, McNemar where samples are pairs, and an interval for the change that belongs to each. *On
prompts in general*: the paired bootstrap over prompts, for pass@k and other means.

scipy and statsmodels take a second to import, which only a comparison pays. What they do not have
is written here: intervals of a stratified and of a paired difference, by inverting a score test.
"""

from collections.abc import Callable, Sequence
from math import isfinite, sqrt
from typing import TYPE_CHECKING, NamedTuple

from codebench.stats.intervals import Bounds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CONFIDENCE = 0.95
_N_RESAMPLES = 9999


class Table(NamedTuple):
    """What one prompt says about two runs."""

    base: int
    """Successes of the base."""

    n_base: int
    """Judged samples of the base."""

    other: int
    """Successes of the other run."""

    n_other: int
    """Judged samples of the other run."""


class Pairs(NamedTuple):
    """Samples that both runs drew with the same seed, or the only sample of each prompt."""

    better: int
    """Pairs where only the other run succeeded."""

    worse: int
    """Pairs where only the base succeeded."""

    n: int
    """All pairs."""


class MeanChange(NamedTuple):
    """The change of a mean over prompts."""

    change: float
    bounds: Bounds | None
    """None below two prompts, and where every prompt changed alike."""

    p: float | None
    """None where the bounds are."""

    standard_error: float


def cmh_p(tables: Sequence[Table]) -> float | None:
    """Return the p value of Cochran, Mantel and Haenszel, prompts being the strata.

    Measures: how surprising the counts are if both runs have the same rate on every prompt.
    Undefined when: no prompt has both a success and a failure (None).
    Known problems: without continuity correction: 4.4 to 5.2 % false alarms where 5 are meant, at
        16 prompts with 6 or 20 samples (with the correction 3.1 %); where samples are pairs that
        agree it is too cautious: see `mcnemar_p`.
    Source: Mantel and Haenszel 1959, by statsmodels' StratifiedTable.
    """
    from statsmodels.stats.contingency_tables import (  # type: ignore[import-untyped]
        StratifiedTable,
    )

    telling = [
        [[t.other, t.n_other - t.other], [t.base, t.n_base - t.base]]
        for t in tables
        if t.n_base and t.n_other and 0 < t.base + t.other < t.n_base + t.n_other
    ]
    if not telling:
        return None
    # as float: statsmodels multiplies four counts, which overflows whole numbers of 64 bits
    table = StratifiedTable([[[float(n) for n in row] for row in rows] for rows in telling])
    return float(table.test_null_odds(correction=False).pvalue)


def mcnemar_p(pairs: Pairs) -> float | None:
    """Return the exact p value of McNemar.

    Measures: how surprising the pairs that differ are if a change for the better is as likely as
        one for the worse.
    Undefined when: no pair differs (None).
    Known problems: cautious for few pairs that differ (2.5 to 4 % false alarms instead of 5).
    Source: McNemar 1947, by scipy's binomtest, which equals statsmodels' mcnemar(exact=True).
    """
    from scipy.stats import binomtest

    n_differ = pairs.better + pairs.worse
    return float(binomtest(pairs.better, n_differ).pvalue) if n_differ else None


def stratified_bounds(
    tables: Sequence[Table], *, even: bool = False, confidence: float = CONFIDENCE
) -> Bounds | None:
    """Return the range of the change of a rate on exactly these prompts, -1 to 1.

    Measures: other minus base, as a weighted mean of the changes of the prompts.
    Counts: each prompt weighs n_base * n_other / (n_base + n_other), which makes the change the
        difference of the two pooled rates where samples are shared out alike; with `even` each
        weighs the same, as in pass@1. At no change the test inside is `cmh_p`, so that the range
        leaves out 0 exactly when p < 1 - confidence (unless `even`).
    Undefined when: no prompt has samples of both runs (None).
    Known problems: the variance assumes that prompts change about alike; otherwise a little wide.
    Source: Miettinen and Nurminen 1985, Stat. Med. 4:213-226, formulas (8) to (10) and appendix 1.
    """
    import numpy as np

    counts = np.array([t for t in tables if t.n_base and t.n_other], dtype=float)
    if not len(counts):
        return None
    base, n_base, other, n_other = counts.T
    weights = np.ones(len(counts)) if even else n_base * n_other / (n_base + n_other)
    weights = weights / weights.sum()
    seen = float(weights @ (other / n_other - base / n_base))
    n = n_base + n_other

    def surprise(change: float) -> float:
        under = _likeliest_base_rates(counts, change)
        above = np.clip(under + change, 0, 1)
        spread = above * (1 - above) / n_other + under * (1 - under) / n_base
        return _ratio(seen - change, float(weights**2 @ (spread * n / (n - 1))))

    return _inverted(surprise, seen, confidence)


def paired_bounds(pairs: Pairs, *, confidence: float = CONFIDENCE) -> Bounds | None:
    """Return the range of the change of a rate over pairs, -1 to 1.

    Measures: (better - worse) / n.
    Undefined when: there is no pair (None).
    Known problems: pairs count as independent; those of one prompt resemble each other, which
        makes the range a little wide for these prompts and too narrow for prompts in general.
    Source: Tango 1998, Stat. Med. 17:891-908; at no change the test inside is McNemar's without
        correction.
    """
    better, worse, n = pairs
    if not n:
        return None
    seen = (better - worse) / n

    def surprise(change: float) -> float:
        # the likeliest chance of a change for the worse, given the change
        b = -better - worse + (2 * n - better + worse) * change
        c = -worse * change * (1 - change)
        chance = (sqrt(max(0.0, b * b - 8 * n * c)) - b) / (4 * n)
        return _ratio(n * (seen - change), n * (2 * chance + change * (1 - change)))

    return _inverted(surprise, seen, confidence)


def bootstrap_change(
    base: Sequence[float], other: Sequence[float], weights: Sequence[float]
) -> MeanChange:
    """Return the change of a mean over prompts in general, by resampling prompts.

    Measures: the weighted mean over prompts of other minus base; prompts are pairs.
    Counts: one value a prompt and run. scipy resamples prompts (9,999 times, one fixed seed); the
        bootstrap's standard error, times sqrt(C / (C - 1)), with Student's t of C - 1 degrees of
        freedom for C prompts, gives range and p value.
    Undefined when: fewer than two prompts, or every prompt changed alike.
    Known problems: too narrow where most prompts do not change at all, as in pass@10 of an easy
        set: 88 % instead of 95 at 16 prompts, 94 at 40. There the bootstrap's own intervals do
        worse (percentile 82 and 91 %, BCa 79 and 88 %), which is why they are not used.
    Source: Efron and Tibshirani 1993, chapter 12; Hesterberg 2015, Am. Stat. 69:371, section 3.2.
    """
    import numpy as np
    from scipy.stats import bootstrap, t

    change = np.subtract(other, base)
    weight = np.asarray(weights, dtype=float)
    seen = float(weight @ change / weight.sum())
    n_prompts = len(change)
    if n_prompts < 2 or np.ptp(change) == 0:
        return MeanChange(seen, None, None, 0.0)

    def mean(change: np.ndarray, weight: np.ndarray, axis: int = -1) -> np.ndarray:
        result: np.ndarray = (change * weight).sum(axis=axis) / weight.sum(axis=axis)
        return result

    drawn = bootstrap(
        (change, weight),
        mean,
        paired=True,
        vectorized=True,
        n_resamples=_N_RESAMPLES,
        batch=500,
        method="percentile",
        rng=np.random.default_rng(0),
    )
    error = float(drawn.standard_error) * sqrt(n_prompts / (n_prompts - 1))
    half = float(t.ppf((1 + CONFIDENCE) / 2, n_prompts - 1)) * error
    p = float(2 * t.sf(abs(seen) / error, n_prompts - 1))
    return MeanChange(seen, Bounds(seen - half, seen + half), p, error)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p values of a family of tests, corrected so that one false alarm stays rare.

    Source: Holm 1979, by statsmodels' multipletests.
    """
    from statsmodels.stats.multitest import multipletests  # type: ignore[import-untyped]

    return [float(p) for p in multipletests(p_values, method="holm")[1]] if p_values else []


def _likeliest_base_rates(counts: "NDArray[np.float64]", change: float) -> "NDArray[np.float64]":
    """Return each prompt's likeliest base rate if its other rate is higher by `change`.

    The one root of a cubic that lies where both rates are rates. The same thing in statsmodels,
    score_test_proportions_2indep, has a wrong coefficient up to 0.15.0 (its issue 10269).
    """
    import numpy as np

    base, n_base, other, n_other = counts.T
    n: NDArray[np.float64] = n_base + n_other
    successes: NDArray[np.float64] = base + other
    if change == 0:
        return successes / n
    c2 = ((n_other + 2 * n_base) * change - n - successes) / (3 * n)
    c1 = (n_base * change - n - 2 * base) * change + successes
    c0 = base * change * (1 - change)
    q = c2**3 - c1 * c2 / (2 * n) + c0 / (2 * n)
    p = np.where(q < 0, -1.0, 1.0) * np.sqrt(np.maximum(c2**2 - c1 / (3 * n), 0))
    cosine = np.divide(q, p**3, out=np.ones_like(q), where=p != 0)
    angle = (np.pi + np.arccos(np.clip(cosine, -1, 1))) / 3
    rates: NDArray[np.float64] = 2 * p * np.cos(angle) - c2
    return np.clip(rates, max(0.0, -change), min(1.0, 1 - change))


def _ratio(distance: float, variance: float) -> float:
    """Return distance in standard errors; what cannot happen is infinitely far."""
    if variance <= 1e-15:
        return 0.0 if abs(distance) < 1e-12 else float("inf") * distance
    return distance / sqrt(variance)


def _inverted(surprise: Callable[[float], float], seen: float, confidence: float) -> Bounds:
    """Return the changes that a two-sided score test does not reject; surprise falls with them."""
    from scipy.optimize import brentq
    from scipy.stats import norm

    z = float(norm.ppf((1 + confidence) / 2))

    def end(far: float, sign: int) -> float:
        def beyond(change: float) -> float:
            value = sign * surprise(change) - z
            return value if isfinite(value) else (1e9 if value > 0 else -1e9)

        return far if beyond(far) <= 0 else float(brentq(beyond, far, seen, xtol=1e-10))

    return Bounds(end(-1.0, 1), end(1.0, -1))
