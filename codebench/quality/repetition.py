"""Does one text repeat itself, and what does it repeat?

Thresholds, measured on real Rust and on loops: honest code compresses 1.1 to 2.1 times and at
least 70 % of its runs of four words are distinct; `{ { {` and loops of a line compress 8 to 10
times, with 1 to 5 % distinct.
"""

import zlib
from collections import Counter
from collections.abc import Sequence

from codebench.quality.words import distinct_n, words_of

MAX_CHARS = 4096
"""The end of a text that is looked at: a loop, once begun, goes on to the end."""

MAX_COMPRESSION = 4.0
MIN_DISTINCT = 0.2
_NGRAM = 4
_MAX_PERIOD = 12
_MIN_WORDS = 8
_MAX_UNITS = 400
"""The last words (or characters) in which the repeated group is looked for."""

_MAX_SHOWN = 40


def compression_ratio(text: str) -> float | None:
    """Return by how much zlib shrinks a text, bytes before / bytes after; None when it is empty."""
    content = text.encode("utf-8", "surrogatepass")
    return len(content) / len(zlib.compress(content)) if content else None


def repeated_in(text: str) -> str | None:
    """Return what a text repeats, on one line and at most 40 characters; None when it does not.

    A text repeats itself when it shrinks more than 4 times, or when fewer than 20 % of its runs of
    four words are distinct. What it repeats is the group of up to 12 words that comes again and
    again, else its most frequent word.
    """
    text = text[-MAX_CHARS:]
    words = words_of(text)
    distinct = distinct_n([words], _NGRAM)
    if (compression_ratio(text) or 0.0) <= MAX_COMPRESSION and (
        distinct is None or distinct >= MIN_DISTINCT
    ):
        return None
    if len(words) < _MIN_WORDS:  # "aaaa..." is one word, and blank lines are none
        return "".join(_repeated_group(list(text)))[:_MAX_SHOWN]
    return " ".join(_repeated_group(words))[:_MAX_SHOWN]


def escaped(text: str) -> str:
    r"""Return a text as it can be shown in a terminal: what is not printable becomes `\n`, `\x1b`.

    Long texts are cut.
    """
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[:_MAX_SHOWN])
    return f"{shown}..." if len(text) > _MAX_SHOWN else shown


def _repeated_group(units: Sequence[str]) -> Sequence[str]:
    """Return the group whose repetition covers most of the text; its rotations are one group."""
    units = units[-_MAX_UNITS:]
    best, best_length, best_end = 1, 0, 0
    for period in range(1, min(_MAX_PERIOD, len(units) // 2) + 1):
        length, end = _longest_run(units, period)
        if length > best_length:
            best, best_length, best_end = period, length, end
    if 2 * best_length < len(units):
        return [Counter(units).most_common(1)[0][0]]
    group = list(units[best_end - best : best_end])
    rotations = [group[start:] + group[:start] for start in range(best)]
    return min(rotations, key=lambda words: (not words[0].isidentifier(), words))


def _longest_run(units: Sequence[str], period: int) -> tuple[int, int]:
    """Return length and end of the longest stretch whose units equal those `period` before."""
    longest = run = end = 0
    for position in range(period, len(units)):
        run = run + 1 if units[position] == units[position - period] else 0
        if run > longest:
            longest, end = run, position + 1
    return longest, end
