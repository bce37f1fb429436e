"""How far a rate may be from the truth: Wilson's interval and the prompt-clustered one.

In fractions of 1; the rooms that write results turn rates into percent. Pure Python, because every
run needs it and scipy takes a second to import; tests compare it with scipy.
"""

from collections.abc import Sequence
from math import cos, pi, sin, sqrt, tan
from statistics import NormalDist
from typing import NamedTuple


class Bounds(NamedTuple):
    """The two ends of an interval, fractions of 1."""

    low: float
    high: float


class Count(NamedTuple):
    """What one prompt contributes to a rate."""

    successes: int
    n: int


def wilson_interval(successes: int, n: int, *, confidence: float = 0.95) -> Bounds | None:
    """Return the range that holds the true rate of these prompts, by Wilson's score.

    Measures: how far the rate of this fixed prompt set may lie from the one that was seen.
    Counts: `n` judged samples, `successes` of them; samples that we failed to judge are in neither.
    Undefined when: n is 0 (None).
    Known problems: too wide where prompts differ much in difficulty (98 % instead of 95 %
        covered), and silent about prompts outside the set: see `clustered_interval`.
    Source: Wilson 1927, JASA 22:209-212.

    Raises:
        ValueError: if not 0 <= successes <= n, or if confidence is outside 0..1.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"successes must lie in 0..n, got successes={successes}, n={n}")
    _check_confidence(confidence)
    if n == 0:
        return None
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    rate = successes / n
    scale = 1 + z * z / n
    middle = (rate + z * z / (2 * n)) / scale
    half = z * sqrt(rate * (1 - rate) / n + z * z / (4 * n * n)) / scale
    # At 0 of n and n of n one end is exact; rounding would leave 1e-17 there.
    low = 0.0 if successes == 0 else max(0.0, middle - half)
    high = 1.0 if successes == n else min(1.0, middle + half)
    return Bounds(low, high)


def clustered_interval(counts: Sequence[Count], *, confidence: float = 0.95) -> Bounds | None:
    """Return the range for prompts in general, prompts being the units that were drawn.

    Measures: how far the rate over all prompts like these may lie from the one that was seen.
    Counts: one `Count` a prompt; the rate is all successes over all samples (a ratio estimator),
        its variance is C/(C-1) * sum((successes - rate * n)^2) / N^2 over C prompts and N samples,
        the width is Student's t with C-1 degrees of freedom. Prompts without samples do not count.
    Undefined when: fewer than two prompts have samples, or every prompt has the same rate: then
        the spread says nothing, and a width of 0 would be a lie (None).
    Known problems: more samples of a prompt do not narrow it, only more prompts do; wide and rough
        below some ten prompts. Clipped to 0..1.
    Source: Miller 2024, arXiv:2411.00640, section 2.2; the t and C/(C-1) as in inspect_ai.

    Raises:
        ValueError: if a count has successes outside 0..n, or if confidence is outside 0..1.
    """
    _check_confidence(confidence)
    for count in counts:
        if not 0 <= count.successes <= count.n:
            raise ValueError(f"successes must lie in 0..n, got {count}")
    drawn = [count for count in counts if count.n > 0]
    if len(drawn) < 2:
        return None
    n_samples = sum(count.n for count in drawn)
    successes = sum(count.successes for count in drawn)
    # In whole numbers (residual * N), so that "every prompt has the same rate" is exact.
    squares = sum((c.successes * n_samples - successes * c.n) ** 2 for c in drawn)
    if squares == 0:
        return None
    variance = len(drawn) / (len(drawn) - 1) * squares / n_samples**4
    half = t_quantile((1 + confidence) / 2, df=len(drawn) - 1) * sqrt(variance)
    rate = successes / n_samples
    return Bounds(max(0.0, rate - half), min(1.0, rate + half))


def t_quantile(probability: float, *, df: int) -> float:
    """Return the value that Student's t stays below with this probability (0.5 or more).

    The distribution function has a finite form for whole degrees of freedom; it is inverted by
    halving the angle, which is exact to about 1e-14 of the angle.

    Source: Abramowitz and Stegun 1964, 26.7.3 and 26.7.4.

    Raises:
        ValueError: if df < 1, or if the probability is outside 0.5..1 (1 excluded).
    """
    if df < 1 or not 0.5 <= probability < 1:
        raise ValueError(f"need df >= 1 and 0.5 <= probability < 1, got df={df}, {probability}")
    inside = 2 * probability - 1  # chance of |t| below the value
    low, high = 0.0, pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        if _chance_inside(middle, df) < inside:
            low = middle
        else:
            high = middle
    return sqrt(df) * tan(low)


def _chance_inside(angle: float, df: int) -> float:
    """Return P(|t| <= sqrt(df) * tan(angle))."""
    cosine_squared = cos(angle) ** 2
    odd = df % 2
    term = total = (cos(angle) if odd else 1.0) if df > 1 else 0.0
    for j in range(2 + odd, df - 1, 2):
        term *= cosine_squared * (j - 1) / j
        total += term
    return 2 / pi * (angle + sin(angle) * total) if odd else sin(angle) * total


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence}")
