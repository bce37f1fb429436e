"""Comparing two runs: equal to scipy and statsmodels, and right as often as they say, by trial."""

import warnings
from math import comb

import numpy as np
import pytest
from scipy import stats as scipy_stats
from scipy.optimize import minimize_scalar
from scipy.special import xlogy
from statsmodels.stats.contingency_tables import (  # type: ignore[import-untyped]
    StratifiedTable,
    mcnemar,
)
from statsmodels.stats.proportion import proportion_confint  # type: ignore[import-untyped]

from codebench.stats import Count, clustered_interval, t_quantile, wilson_interval
from codebench.stats.comparison import (
    Pairs,
    Table,
    _likeliest_base_rates,
    bootstrap_change,
    cmh_p,
    holm,
    mcnemar_p,
    paired_bounds,
    stratified_bounds,
)
from codebench.stats.power import smallest_difference, smallest_mean_change

TABLES = [Table(1, 7, 5, 7), Table(0, 6, 3, 6), Table(4, 6, 4, 7), Table(6, 6, 6, 6)]


def draw_tables(rng: np.random.Generator, rates: np.ndarray, others: np.ndarray) -> list[Table]:
    """Return 6 samples a prompt and run."""
    base, other = rng.binomial(6, rates), rng.binomial(6, others)
    return [Table(int(one), 6, int(two), 6) for one, two in zip(base, other, strict=True)]


@pytest.mark.parametrize(("successes", "n"), [(45, 100), (0, 100), (4, 6), (16, 16)])
def test_wilson_is_that_of_scipy(successes: int, n: int) -> None:
    """Wilson's bounds equal those of scipy's binomtest to ten digits."""
    theirs = scipy_stats.binomtest(successes, n).proportion_ci(0.95, method="wilson")
    assert wilson_interval(successes, n) == pytest.approx((theirs.low, theirs.high), abs=1e-10)
    assert wilson_interval(successes, n) == pytest.approx(
        proportion_confint(successes, n, method="wilson"), abs=1e-10
    )


@pytest.mark.parametrize("df", [1, 2, 7, 15, 163])
def test_t_quantiles_are_those_of_scipy(df: int) -> None:
    """Student's quantile equals scipy's to nine digits."""
    assert t_quantile(0.975, df=df) == pytest.approx(scipy_stats.t.ppf(0.975, df), rel=1e-9)


def test_cmh_is_that_of_statsmodels() -> None:
    """The p value equals StratifiedTable's; prompts without a difference to tell are no harm."""
    rows = [[[t.other, t.n_other - t.other], [t.base, t.n_base - t.base]] for t in TABLES]
    theirs = StratifiedTable(np.array(rows, dtype=float).transpose(1, 2, 0)).test_null_odds()
    assert cmh_p(TABLES) == pytest.approx(theirs.pvalue, rel=1e-12)


def test_cmh_by_hand() -> None:
    """Two tables of 1/2 and 2/2: each expects 1.5 with variance 1/4, so z^2 is 1 / 0.5."""
    p = cmh_p([Table(1, 2, 2, 2)] * 2)
    # variance of a table: 2 * 2 * 3 * 1 / (16 * 3) = 1/4
    assert p == pytest.approx(scipy_stats.chi2.sf(1.0**2 / 0.5, 1))


def test_cmh_is_undefined_without_a_difference_to_tell() -> None:
    """All successes, all failures, or samples of one run only: no p value rather than 1."""
    assert cmh_p([Table(0, 6, 0, 6), Table(6, 6, 6, 6), Table(0, 0, 3, 6)]) is None


def test_cmh_counts_large_runs_exactly() -> None:
    """A product of four counts beyond 64 bits does not wrap around."""
    n = 400_000
    p = cmh_p([Table(n // 2, n, n // 2 + 500, n)])
    assert p == pytest.approx(scipy_stats.chi2.sf(1.25, 1), rel=1e-3)


@pytest.mark.parametrize(("better", "worse"), [(16, 11), (9, 2), (0, 5), (1, 0)])
def test_mcnemar_is_that_of_statsmodels(better: int, worse: int) -> None:
    """The p value equals mcnemar(exact=True), and the binomial sum worked by hand."""
    p = mcnemar_p(Pairs(better, worse, 100))
    assert p == pytest.approx(mcnemar([[40, worse], [better, 40]], exact=True).pvalue)
    n, fewer = better + worse, min(better, worse)
    assert p == pytest.approx(min(1, 2 * sum(comb(n, i) for i in range(fewer + 1)) / 2**n))


def test_mcnemar_is_undefined_where_no_pair_differs() -> None:
    """Pairs that all agree give no p value."""
    assert mcnemar_p(Pairs(0, 0, 100)) is None


@pytest.mark.parametrize(
    ("table", "low", "high"),
    [(Table(48, 80, 56, 70), 0.0528, 0.3382), (Table(3, 10, 9, 10), 0.1700, 0.8406)],
)
def test_one_prompt_has_the_published_interval(table: Table, low: float, high: float) -> None:
    """With one table the bounds are Miettinen and Nurminen's, as Newcombe 1998 prints them."""
    bounds = stratified_bounds([table])
    assert bounds is not None
    assert (round(bounds.low, 4), round(bounds.high, 4)) == (low, high)


def test_the_constrained_rates_are_the_likeliest() -> None:
    """The cubic's root is where a search over the likelihood ends, for 200 drawn tables."""
    rng = np.random.default_rng(2)
    for _ in range(200):
        n_base, n_other = map(int, rng.integers(1, 30, 2))
        base, other = int(rng.integers(0, n_base + 1)), int(rng.integers(0, n_other + 1))
        change = float(rng.uniform(-0.99, 0.99))

        def surprise(rate: float, counts: tuple[int, ...], change: float) -> float:
            base, n_base, other, n_other = counts
            return -float(
                xlogy(base, rate)
                + xlogy(n_base - base, 1 - rate)
                + xlogy(other, rate + change)
                + xlogy(n_other - other, 1 - rate - change)
            )

        counts = (base, n_base, other, n_other)
        ends = (max(0.0, -change), min(1.0, 1 - change))
        best = minimize_scalar(
            surprise, bounds=ends, args=(counts, change), method="bounded", options={"xatol": 1e-10}
        )
        root = _likeliest_base_rates(np.array([counts], dtype=float), change)[0]
        assert root == pytest.approx(best.x, abs=1e-5)


def test_the_interval_inverts_the_test() -> None:
    """At the confidence 1 - p an end of the interval is exactly no change."""
    p = cmh_p(TABLES)
    assert p is not None
    bounds = stratified_bounds(TABLES, confidence=1 - p)
    assert bounds is not None
    assert bounds.low == pytest.approx(0, abs=1e-8)


@pytest.mark.parametrize(
    "tables",
    [
        [Table(0, 100, 0, 100)],
        [Table(100, 100, 100, 100)],
        [Table(0, 6, 6, 6)] * 3,
        [Table(1, 100, 3, 100)],
        [Table(0, 1, 1, 1), Table(1, 1, 0, 1)],
    ],
)
def test_extreme_counts_have_an_honest_interval(tables: list[Table]) -> None:
    """None or all of the samples: the bounds are finite, hold what was seen, and have a width."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bounds = stratified_bounds(tables)
    assert bounds is not None
    n = sum(t.n_base for t in tables)
    seen = (sum(t.other for t in tables) - sum(t.base for t in tables)) / n
    assert -1 <= bounds.low <= seen <= bounds.high <= 1
    assert bounds.high - bounds.low > 0.01


def test_even_weights_follow_the_mean_over_prompts() -> None:
    """With even weights many samples of one prompt do not decide, as in pass@1."""
    tables = [Table(0, 600, 600, 600), Table(3, 6, 3, 6)]
    even, pooled = stratified_bounds(tables, even=True), stratified_bounds(tables)
    assert even is not None
    assert pooled is not None
    assert even.low < 0.5 < even.high
    assert pooled.low > 0.9


def test_paired_bounds_invert_mcnemars_test() -> None:
    """At no change the test inside is McNemar's without correction: here z^2 is 100 / 22."""
    p = mcnemar([[40, 6], [16, 38]], exact=False, correction=False).pvalue
    assert p == pytest.approx(scipy_stats.chi2.sf(100 / 22, 1))
    bounds = paired_bounds(Pairs(16, 6, 100), confidence=1 - p)
    assert bounds is not None
    assert bounds.low == pytest.approx(0, abs=1e-8)


def test_pairs_that_all_agree_still_leave_doubt() -> None:
    """No pair of 100 differs: the change is within 4 points, not exactly 0; no pairs, no bounds."""
    bounds = paired_bounds(Pairs(0, 0, 100))
    assert bounds is not None
    assert bounds.low == pytest.approx(-bounds.high)
    assert 0.03 < bounds.high < 0.04
    assert paired_bounds(Pairs(0, 0, 0)) is None


def test_bootstrap_agrees_with_the_paired_t_test() -> None:
    """For a plain mean the p value is that of scipy's ttest_rel, but for the draws."""
    rng = np.random.default_rng(3)
    base = rng.normal(size=30)
    other = base + rng.normal(0.4, 1, 30)
    found = bootstrap_change(list(base), list(other), [1.0] * 30)
    theirs = scipy_stats.ttest_rel(other, base)
    assert found.change == pytest.approx(float(np.mean(other - base)))
    assert found.p == pytest.approx(theirs.pvalue, rel=0.1)
    assert found.bounds == pytest.approx(tuple(theirs.confidence_interval()), abs=0.02)


def test_bootstrap_weighs_prompts() -> None:
    """A prompt with three times the samples counts three times."""
    assert bootstrap_change([0, 0], [1, 5], [3, 1]).change == 2


def test_bootstrap_says_the_same_twice() -> None:
    """The draws have a fixed seed: the same results give the same interval."""
    calls = [bootstrap_change([1, 2, 4], [2, 2, 7], [1, 1, 1]) for _ in range(2)]
    assert calls[0] == calls[1]


@pytest.mark.parametrize("values", [([1.0], [2.0]), ([1.0, 2.0], [2.0, 3.0])])
def test_bootstrap_is_undefined_without_spread(values: tuple[list[float], list[float]]) -> None:
    """One prompt, or prompts that changed alike: no interval rather than one without width."""
    found = bootstrap_change(*values, [1.0] * len(values[0]))
    assert (found.change, found.bounds, found.p) == (1.0, None, None)


def test_holm_by_hand() -> None:
    """The smallest of three is tripled, the next doubled, and none falls below one before it."""
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([]) == []


def test_smallest_difference_is_that_of_the_survey() -> None:
    """At 45 % and 100 samples each it takes 19.6 points; 1,600 samples each bring it to 4.9."""
    points = [smallest_difference(0.45, n_base=n, n_other=n) for n in (100, 320, 1600)]
    assert [round(100 * p, 1) for p in points if p is not None] == [19.6, 11.1, 4.9]
    assert smallest_difference(0.45, n_base=100, n_other=0) is None


def test_smallest_difference_goes_towards_the_middle() -> None:
    """A rate and its opposite need the same change, and it never leaves the range of rates."""
    low, high = (smallest_difference(r, n_base=50, n_other=50) for r in (0.1, 0.9))
    assert low == pytest.approx(high)
    assert smallest_difference(0.0, n_base=1, n_other=1) == 1.0


def test_a_smallest_difference_is_found_four_times_in_five() -> None:
    """Of 2,000 simulated comparisons with that difference 80 % are found."""
    rng = np.random.default_rng(7)
    difference = smallest_difference(0.45, n_base=100, n_other=100)
    assert difference is not None
    counts = rng.binomial(100, [0.45, 0.45 + difference], (2000, 2))
    found = [cmh_p([Table(int(a), 100, int(b), 100)]) for a, b in counts[:400]]
    assert 0.75 < np.mean([p is not None and p < 0.05 for p in found]) < 0.85
    assert smallest_mean_change(1.0) == pytest.approx(2.8016, abs=1e-4)


def test_cmh_gives_no_more_false_alarms_than_it_says() -> None:
    """16 prompts of any difficulty with 6 samples, runs alike: 5 % false alarms, to 1.5 points."""
    rng = np.random.default_rng(11)
    p_values = []
    for _ in range(1500):
        rates = rng.beta(0.8, 1, 16)
        p_values.append(cmh_p(draw_tables(rng, rates, rates)))
    assert 0.035 < np.mean([p is not None and p < 0.05 for p in p_values]) < 0.065


def test_mcnemar_gives_no_more_false_alarms_than_it_says() -> None:
    """100 pairs that agree half the time by their seed, runs alike: 5 % false alarms at most."""
    rng = np.random.default_rng(13)
    alarms = 0
    for better, worse, _ in rng.multinomial(100, [0.12, 0.12, 0.76], 1500):
        p = mcnemar_p(Pairs(int(better), int(worse), 100))
        alarms += p is not None and p < 0.05
    assert 0.02 < alarms / 1500 < 0.055


def test_the_stratified_interval_covers() -> None:
    """16 prompts, 6 samples, the other run better by half a logit: 95 % hold it, to 1 point."""
    rng = np.random.default_rng(17)
    hits = 0
    for _ in range(1500):
        rates = rng.beta(0.8, 1, 16)
        others = 1 / (1 + (1 - rates) / rates * np.exp(-0.5))
        bounds = stratified_bounds(draw_tables(rng, rates, others))
        assert bounds is not None
        hits += bounds.low <= (others - rates).mean() <= bounds.high
    assert 0.94 <= hits / 1500 <= 0.96


def test_the_paired_interval_covers() -> None:
    """100 pairs, 10 points better: 95 % of the intervals hold it, to 1 point."""
    rng = np.random.default_rng(19)
    hits = 0
    for better, worse, _ in rng.multinomial(100, [0.2, 0.1, 0.7], 2000):
        bounds = paired_bounds(Pairs(int(better), int(worse), 100))
        assert bounds is not None
        hits += bounds.low <= 0.1 <= bounds.high
    assert 0.94 <= hits / 2000 <= 0.96


def test_the_bootstrap_interval_covers() -> None:
    """Changes of 16 prompts around 0.3: 95 % of the intervals hold it, to 1 point."""
    rng = np.random.default_rng(23)
    hits = 0
    for _ in range(800):
        found = bootstrap_change([0.0] * 16, list(rng.normal(0.3, 1, 16)), [1.0] * 16)
        assert found.bounds is not None
        hits += found.bounds.low <= 0.3 <= found.bounds.high
    assert 0.94 <= hits / 800 <= 0.96


def test_wilson_covers_exactly_these_samples() -> None:
    """100 independent samples at 40 %: 95 % of Wilson's intervals hold it, to 1 point."""
    held = 0.0
    for successes in range(101):
        bounds = wilson_interval(successes, 100)
        assert bounds is not None
        if bounds.low <= 0.4 <= bounds.high:
            held += float(scipy_stats.binom.pmf(successes, 100, 0.4))
    assert 0.94 <= held <= 0.96


def test_the_clustered_interval_covers_prompts_in_general() -> None:
    """40 prompts of any difficulty, 6 samples: 95 % hold the rate of all prompts, to 1 point."""
    rng = np.random.default_rng(29)
    counts = rng.binomial(6, rng.beta(0.8, 1, (4000, 40)))
    hits = 0
    for row in counts:
        bounds = clustered_interval([Count(int(c), 6) for c in row])
        assert bounds is not None
        hits += bounds.low <= 0.8 / 1.8 <= bounds.high
    assert 0.94 <= hits / 4000 <= 0.96
