"""Has the model stopped writing code (or not begun)? Rules over the counts of one run.

A low compile rate alone never is a collapse: a model that is merely wrong writes programs that
differ, end and parse. Each sign stands by itself, because a collapsed model shows one or two.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from codebench.quality.repetition import escaped

MIN_SAMPLES = 5
"""Fewer samples are no pattern."""

REPETITION_SHARE = 0.5
ONE_TEXT_SHARE = 0.5
EMPTY_SHARE = 0.5
ENDLESS_SHARE = 0.9
BROKEN_SHARE = 0.8
MIN_DISTINCT_WORDS = 8
MIN_TOKENS_TO_END = 64
"""A limit below this many new tokens cuts honest code too."""


class Sign(StrEnum):
    """Something that a model which writes code does not show."""

    REPETITION = "repetition"
    """Half of the completions repeat themselves."""

    ONE_TEXT = "one_text"
    """More than half of the completions, of several prompts, are one text."""

    EMPTY = "empty"
    """Half of the completions are empty."""

    ENDLESS = "endless"
    """More than 90 % of the completions run into the limit of new tokens, 64 or more."""

    FEW_WORDS = "few_words"
    """The median completion has fewer than 8 distinct words, and fewer than half of those of the
    median reference."""

    BROKEN = "broken"
    """More than 80 % of the programs that were not cut off are no syntax of their language."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The counts that the signs are looked for in; all over the samples of one run."""

    total: int
    n_repetitive: int
    repeated: Sequence[tuple[str, int]]
    """What is repeated and in how many completions, most frequent first."""

    n_empty: int
    n_endless: int
    """Completions that the limit of tokens cut off before the end of what was asked for."""

    max_tokens: int
    """Most new tokens of a completion."""

    one_text: tuple[str, int]
    """The most frequent completion (its beginning) and how often it came."""

    most_of_a_prompt: int
    """Samples of the prompt that has most."""

    median_distinct_words: float | None
    reference_distinct_words: float | None
    """Median over the references of the prompts; None without references."""

    n_whole: int
    """Programs that were not cut off and that the parser gave an answer for."""

    n_broken: int
    """Of these, those that are no syntax."""


def signs_of(evidence: Evidence) -> tuple[Sign, ...]:
    """Return the signs of a collapse, the most telling first; empty below 5 samples."""
    if evidence.total < MIN_SAMPLES:
        return ()
    return tuple(_signs(evidence))


def _signs(evidence: Evidence) -> Iterator[Sign]:
    total = evidence.total
    if evidence.n_repetitive >= REPETITION_SHARE * total:
        yield Sign.REPETITION
    if evidence.n_empty >= EMPTY_SHARE * total:
        yield Sign.EMPTY
    _, count = evidence.one_text
    # More than one prompt can have: else one prompt asked greedily would be a collapse.
    if count > ONE_TEXT_SHARE * total and count > evidence.most_of_a_prompt:
        yield Sign.ONE_TEXT
    if evidence.max_tokens >= MIN_TOKENS_TO_END and evidence.n_endless > ENDLESS_SHARE * total:
        yield Sign.ENDLESS
    median, reference = evidence.median_distinct_words, evidence.reference_distinct_words
    enough = MIN_DISTINCT_WORDS if reference is None else min(MIN_DISTINCT_WORDS, reference / 2)
    if median is not None and median < enough:
        yield Sign.FEW_WORDS
    if evidence.n_whole >= MIN_SAMPLES and evidence.n_broken > BROKEN_SHARE * evidence.n_whole:
        yield Sign.BROKEN


def describe(signs: Sequence[Sign], evidence: Evidence) -> str:
    """Return the warning in one line: the two most telling signs, and what is repeated.

    Texts of the model are safe for a terminal.
    """
    told = "; ".join(_told(sign, evidence) for sign in signs[:2])
    return f"collapse: the model does not write code: {told}"


def _told(sign: Sign, evidence: Evidence) -> str:
    total = evidence.total
    match sign:
        case Sign.REPETITION:
            text, count = evidence.repeated[0]
            what = f"mostly `{escaped(text)}` ({count})" if count > 1 else f"as `{escaped(text)}`"
            return f"{evidence.n_repetitive} of {total} completions repeat themselves, {what}"
        case Sign.ONE_TEXT:
            text, count = evidence.one_text
            return f"{count} of {total} completions are the same text, `{escaped(text)}`"
        case Sign.EMPTY:
            return f"{evidence.n_empty} of {total} completions are empty"
        case Sign.ENDLESS:
            return (
                f"{evidence.n_endless} of {total} completions do not end within "
                f"{evidence.max_tokens} tokens"
            )
        case Sign.FEW_WORDS:
            return (
                f"half of the completions have {evidence.median_distinct_words:g} distinct words "
                "or fewer"
            )
        case Sign.BROKEN:
            return (
                f"{evidence.n_broken} of {evidence.n_whole} programs that came to an end are not "
                "even syntax"
            )
