"""Statistics against values that were worked by hand or read from published tables."""

from math import isclose, sqrt, tan

import pytest

from codebench.stats import Count, clustered_interval, pass_at_k, t_quantile, wilson_interval


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(45, 100, 35.6, 54.8), (0, 100, 0.0, 3.7), (4, 6, 30.0, 90.3), (0, 16, 0.0, 19.4)],
)
def test_wilson_gives_the_values_of_scipy(successes: int, n: int, low: float, high: float) -> None:
    """The bounds are those of scipy's binomtest(...).proportion_ci(method="wilson"), in percent."""
    bounds = wilson_interval(successes, n)
    assert bounds is not None
    assert (round(100 * bounds.low, 1), round(100 * bounds.high, 1)) == (low, high)


def test_wilson_ends_are_exact_at_none_and_all() -> None:
    """With 0 of n the low end is exactly 0, with n of n the high end is exactly 1."""
    none, everything = wilson_interval(0, 7), wilson_interval(7, 7)
    assert none is not None
    assert everything is not None
    assert (none.low, everything.high) == (0.0, 1.0)
    assert isclose(none.high, 1 - everything.low)


def test_wilson_is_undefined_without_samples() -> None:
    """Nothing judged has no interval, rather than 0 to 1."""
    assert wilson_interval(0, 0) is None


@pytest.mark.parametrize(("successes", "n"), [(-1, 3), (4, 3)])
def test_wilson_refuses_impossible_counts(successes: int, n: int) -> None:
    """More successes than samples is our bug, and said."""
    with pytest.raises(ValueError, match="successes must lie"):
        wilson_interval(successes, n)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0])
def test_a_confidence_is_a_fraction(confidence: float) -> None:
    """A confidence in percent is refused."""
    with pytest.raises(ValueError, match="confidence"):
        wilson_interval(1, 2, confidence=confidence)
    with pytest.raises(ValueError, match="confidence"):
        clustered_interval([Count(1, 2), Count(2, 2)], confidence=confidence)


@pytest.mark.parametrize(
    ("df", "quantile"),
    [(1, 12.7062), (2, 4.3027), (3, 3.1824), (4, 2.7764), (15, 2.1314), (16, 2.1199), (100, 1.984)],
)
def test_t_quantile_is_that_of_the_tables(df: int, quantile: float) -> None:
    """The 97.5 % points are those printed in every t table."""
    assert round(t_quantile(0.975, df=df), 4) == quantile


def test_t_quantile_has_its_closed_forms() -> None:
    """For 1 and 2 degrees of freedom the quantile has a formula."""
    p = 0.9
    assert isclose(t_quantile(p, df=1), tan(3.141592653589793 * (p - 0.5)), rel_tol=1e-12)
    assert isclose(t_quantile(p, df=2), (2 * p - 1) * sqrt(2 / (4 * p * (1 - p))), rel_tol=1e-12)


@pytest.mark.parametrize(("probability", "df"), [(0.4, 3), (1.0, 3), (0.9, 0)])
def test_t_quantile_refuses_what_it_cannot_know(probability: float, df: int) -> None:
    """Outside its range it raises instead of guessing."""
    with pytest.raises(ValueError, match="need df"):
        t_quantile(probability, df=df)


def test_clustered_interval_by_hand() -> None:
    """Rates 0.2 and 0.6 over 10 samples each: rate 0.4, standard error 0.2, t(1) = 12.706.

    Residuals -2 and +2, so the variance is 2/1 * 8 / 20^2 = 0.04.
    """
    bounds = clustered_interval([Count(2, 10), Count(6, 10)], confidence=0.5)
    assert bounds is not None
    # t(1) at 75 % is exactly 1.
    assert isclose(bounds.low, 0.2)
    assert isclose(bounds.high, 0.6)


def test_clustered_interval_weighs_prompts_by_their_samples() -> None:
    """Counts 1/1, 1/2, 0/3: rate 1/3, residuals 2/3, 1/3, -1, variance 3/2 * 14/9 / 36."""
    bounds = clustered_interval([Count(1, 1), Count(1, 2), Count(0, 3)], confidence=0.5)
    assert bounds is not None
    half = t_quantile(0.75, df=2) * sqrt(3 / 2 * 14 / 9 / 36)
    assert isclose(bounds.high, 1 / 3 + half)
    assert isclose(bounds.low, 1 / 3 - half)


def test_clustered_interval_stays_inside_the_unit() -> None:
    """A wide interval is clipped to 0..1."""
    assert clustered_interval([Count(0, 10), Count(10, 10)]) == (0.0, 1.0)


@pytest.mark.parametrize(
    "counts",
    [
        [],
        [Count(3, 6)],
        [Count(3, 6), Count(0, 0)],
        [Count(0, 6), Count(0, 7)],
        [Count(1, 3), Count(2, 6)],
    ],
)
def test_clustered_interval_is_undefined_without_spread(counts: list[Count]) -> None:
    """One prompt, or prompts that all have the same rate, give no interval, not one of width 0."""
    assert clustered_interval(counts) is None


def test_clustered_interval_refuses_impossible_counts() -> None:
    """More successes than samples is our bug, and said."""
    with pytest.raises(ValueError, match="successes must lie"):
        clustered_interval([Count(1, 2), Count(3, 2)])


def test_pass_at_k_by_hand() -> None:
    """Of 4 samples 1 is right: 3 of the 6 pairs contain it."""
    assert pass_at_k(n=4, c=1, k=2) == 0.5


def test_pass_at_1_is_the_rate() -> None:
    """With k = 1 it is the share of correct samples."""
    assert pass_at_k(n=100, c=45, k=1) == pytest.approx(0.45)


def test_pass_at_k_is_certain_only_when_it_must_be() -> None:
    """With fewer wrong samples than k every draw holds a right one; with none right, none."""
    assert pass_at_k(n=10, c=8, k=3) == 1.0
    assert pass_at_k(n=10, c=0, k=3) == 0.0


def test_pass_at_k_stays_exact_for_many_samples() -> None:
    """Ten thousand samples neither overflow nor lose the answer."""
    assert pass_at_k(n=10_000, c=1, k=100) == pytest.approx(0.01)


@pytest.mark.parametrize(("n", "c", "k"), [(3, 4, 1), (3, -1, 1), (3, 1, 4), (3, 1, 0), (0, 0, 1)])
def test_pass_at_k_refuses_what_it_cannot_know(n: int, c: int, k: int) -> None:
    """Impossible counts, and k above n, raise instead of giving 0 or 1."""
    with pytest.raises(ValueError, match="must lie in"):
        pass_at_k(n=n, c=c, k=k)
