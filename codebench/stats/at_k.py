"""pass@k and compile@k of one prompt."""

from math import comb


def pass_at_k(*, n: int, c: int, k: int) -> float:
    """Chance that at least one of k samples is correct, estimated without bias.

    Measures: one prompt.
    Counts: n judged samples, c of them correct; errored samples are in neither.
    Undefined when: k > n.
    Known problems: the estimate of one prompt is coarse for n near k; average over prompts.
    Source: Chen et al. 2021, arXiv:2107.03374.

    Raises:
        ValueError: if not 0 <= c <= n, or if k is outside 1..n.
    """
    if not 0 <= c <= n:
        raise ValueError(f"c must lie in 0..n, got c={c}, n={n}")
    if not 1 <= k <= n:
        raise ValueError(f"k must lie in 1..n, got k={k}, n={n}")
    return 1.0 - comb(n - c, k) / comb(n, k)
