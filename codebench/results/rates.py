"""What is computed over the prompts of a run together: intervals and the means of pass@k."""

from collections.abc import Mapping, Sequence

from codebench.results.parts import Interval, RateIntervals
from codebench.stats import Bounds, Count, clustered_interval, wilson_interval

CONFIDENCE = 0.95
THIS_SET = "exactly these prompts: where the rate would lie with endless samples of each"
IN_GENERAL = "prompts in general: where the rate would lie on other prompts of this kind"


def rate_intervals(whole: Count, prompts: Sequence[Count]) -> RateIntervals:
    """Return the intervals of a rate, in percent, from its counts in all and by prompt."""
    wilson = wilson_interval(whole.successes, whole.n, confidence=CONFIDENCE)
    clustered = clustered_interval(prompts, confidence=CONFIDENCE)
    return RateIntervals(
        wilson=_in_percent(wilson, THIS_SET), clustered=_in_percent(clustered, IN_GENERAL)
    )


def mean_at_k(prompts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of pass@k (or compile@k) over prompts, by k.

    Measures: the chance that one of k samples of a prompt is right, each prompt weighing the same.
    Counts: prompts that have samples.
    Undefined when: a prompt has fewer than k judged samples (that k is left out, because a mean
        over the other prompts would be a mean over other questions), or there is no prompt.
    Source: Chen et al. 2021, arXiv:2107.03374.
    """
    if not prompts:
        return {}
    return {
        k: sum(prompt[k] for prompt in prompts) / len(prompts)
        for k in max(prompts, key=len)
        if all(k in prompt for prompt in prompts)
    }


def _in_percent(bounds: Bounds | None, meaning: str) -> Interval | None:
    if bounds is None:
        return None
    return Interval(
        low=100 * bounds.low, high=100 * bounds.high, confidence=CONFIDENCE, meaning=meaning
    )
