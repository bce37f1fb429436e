"""How alike two programs are in shape: edits between the kinds of their syntax nodes."""

from collections.abc import Sequence
from itertools import combinations


def shape_likeness(left: str, right: str) -> float:
    """Return how alike two shapes are, 0 (nothing in common) to 1 (equal).

    Measures: 1 - Levenshtein distance / length of the longer shape; a shape is the pre-order
    list of node kinds (`codebench.analysis.shape`), so that an edit is a node put in, taken out or
    changed to another kind. Two empty shapes are equal.
    Known problems: an order of nodes, not a tree: a node that moves to another parent may cost
        nothing. Tree edit distances (apted, zss) take 1,000 times as long.
    """
    from rapidfuzz.distance import Levenshtein

    return float(Levenshtein.normalized_similarity(left, right))


def mean_likeness(shapes: Sequence[str]) -> float | None:
    """Return the mean likeness of all pairs, 0-1; None below two shapes."""
    pairs = [shape_likeness(left, right) for left, right in combinations(shapes, 2)]
    return sum(pairs) / len(pairs) if pairs else None
