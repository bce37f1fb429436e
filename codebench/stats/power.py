"""What a comparison could have shown: the smallest difference that this n detects."""

from math import asin, sin, sqrt

POWER = 0.8
ALPHA = 0.05


def smallest_difference(rate: float, *, n_base: int, n_other: int) -> float | None:
    """Return the smallest change of a rate that would be found in 4 of 5 such comparisons.

    Measures: two independent runs, two-sided test at 5 %, power 80 %; fraction of 1, above 0. The
        change goes towards one half, where it has to be larger than in the other direction.
    Undefined when: a run has no samples (None).
    Known problems: prompts are not told apart, so it is a little large where they differ much in
        difficulty, and too large for runs whose samples are pairs that agree.
    Source: Cohen 1988, chapter 6, by statsmodels' NormalIndPower.

    Raises:
        ValueError: if the rate is outside 0..1.
    """
    if not 0 <= rate <= 1:
        raise ValueError(f"a rate lies in 0..1, got {rate}")
    if n_base < 1 or n_other < 1:
        return None
    from statsmodels.stats.power import NormalIndPower  # type: ignore[import-untyped]

    effect = float(
        NormalIndPower().solve_power(
            nobs1=n_base, ratio=n_other / n_base, alpha=ALPHA, power=POWER, alternative="two-sided"
        )
    )
    near = min(rate, 1 - rate)
    angle = min(2 * asin(sqrt(near)) + effect, 2 * asin(1.0))  # a rate of 1 is the largest
    return sin(angle / 2) ** 2 - near


def smallest_mean_change(standard_error: float) -> float:
    """Return the smallest change of a mean that would be found in 4 of 5 such comparisons.

    Source: Miller 2024, arXiv:2411.00640, section 5: (z_0.975 + z_0.8) standard errors.
    """
    from scipy.stats import norm

    return standard_error * float(norm.ppf(1 - ALPHA / 2) + norm.ppf(POWER))
