"""How far raters agree, corrected for chance; pure Python, because numpy is slow to import."""

from collections import Counter
from collections.abc import Sequence


def ordinal_alpha(units: Sequence[Sequence[int]]) -> float | None:
    """Return Krippendorff's alpha for ranked scores: 1 is agreement, 0 is chance.

    Measures: observed over expected disagreement, subtracted from 1; two scores disagree by the
        number of scores that were given between them.
    Counts: `units` are programs, each with the scores of its raters; programs with fewer than two
        scores do not count, and not every rater need have rated every program.
    Undefined when: no program has two scores, or all scores are the same (None).
    Known problems: low where nearly all scores are alike, though raters agree.
    Source: Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", University of
        Pennsylvania; his example gives 0.815.
    """
    paired = [Counter(scores) for scores in units if len(scores) > 1]
    given = sum(paired, Counter[int]())
    n = given.total()
    distances = {
        (low, high): _distance(given, low, high) for low in given for high in given if low < high
    }
    expected = sum(given[low] * given[high] * d for (low, high), d in distances.items())
    if expected == 0:
        return None
    observed = sum(
        scores[low] * scores[high] * d / (scores.total() - 1)
        for scores in paired
        for (low, high), d in distances.items()
    )
    return 1 - (n - 1) * observed / expected


def _distance(given: Counter[int], low: int, high: int) -> float:
    """Return the squared distance of two scores: how many were given between their middles."""
    between = sum(count for score, count in given.items() if low <= score <= high)
    return (between - (given[low] + given[high]) / 2) ** 2
