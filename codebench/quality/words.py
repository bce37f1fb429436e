"""The words of a text, and what can be said of them: n-grams, vocabulary, overlap.

A word is a run of letters, digits and `_`, or one other character; white space is none. The same
for every language, tokenizer and model, so that numbers of different models can be compared.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

_WORD = re.compile(r"\w+|[^\w\s]")


def words_of(text: str) -> list[str]:
    """Return the words of a text in their order."""
    return _WORD.findall(text)


def ngrams(words: Sequence[str], n: int) -> Iterable[tuple[str, ...]]:
    """Yield every run of n words."""
    return zip(*(words[start:] for start in range(n)), strict=False)


def distinct_n(texts: Iterable[Sequence[str]], n: int) -> float | None:
    """Return the share of distinct n-grams among all n-grams of the texts, 0-1.

    Measures: how seldom the texts say again what one of them has said.
    Undefined when: no text has n words (None).
    Known problems: falls with the number of texts, so only equal numbers can be compared.
    Source: Li et al. 2016, arXiv:1510.03055.
    """
    seen: set[tuple[str, ...]] = set()
    total = 0
    for words in texts:
        grams = list(ngrams(words, n))
        seen.update(grams)
        total += len(grams)
    return len(seen) / total if total else None


def word_overlap(left: Sequence[str], right: Sequence[str]) -> float | None:
    """Return the share of words that two texts have in common, 0-1, their order set aside.

    Measures: 2 * |common| / (|left| + |right|) over words with their counts (Dice).
    Undefined when: both are empty (None).
    """
    total = len(left) + len(right)
    if not total:
        return None
    return 2 * (Counter(left) & Counter(right)).total() / total
