"""Does a server honour the seed of a request? Asked, not believed.

Some ignore it, some (transformers serve) have one random state for all requests, so that a seed
holds only while nothing else is asked, and some do not sample at all unless told so in their own
words. Each of these would be reported as samples that can be repeated, or as diversity that is
not there.
"""

import functools
from collections.abc import Callable
from enum import StrEnum

from codebench.sampling.server.threads import as_finished

_MOST_BESIDE = 3
"""Other requests that are under way at the same time."""


class SeedCheck(StrEnum):
    """What was found; the text is what results.json says under `determinism`."""

    HONOURED = "server's seed, checked"
    ALONE_ONLY = "server's seed, only while one request is under way"
    IGNORED = "none, the server ignores the seed"
    CONSTANT = "the server writes the same text for every seed"
    GREEDY = "greedy"
    NOT_CHECKED = "server's seed, not checked"


ADVICE = {
    SeedCheck.ALONE_ONLY: "give --concurrency 1 for samples that can be drawn again",
    SeedCheck.IGNORED: "these samples cannot be drawn again",
    SeedCheck.CONSTANT: "several samples of a prompt will be one; does the server sample at all?",
}


def check_seed(ask: Callable[[int], str], *, concurrency: int) -> SeedCheck:
    """Ask for one text twice, then once more beside requests with other seeds.

    Args:
        ask: Returns what the server writes for a seed; called from several threads.
        concurrency: Requests that the run will have under way; 1 asks one by one.
    """
    seed = 1
    others = range(seed + 1, seed + 1 + _MOST_BESIDE)
    alone = ask(seed)
    if ask(seed) != alone:
        return SeedCheck.IGNORED
    texts = dict(
        as_finished(
            functools.partial(_pair, ask),
            (seed, *others),
            n_at_once=min(concurrency, 1 + _MOST_BESIDE),
        )
    )
    if texts[seed] != alone:
        return SeedCheck.ALONE_ONLY if concurrency > 1 else SeedCheck.IGNORED
    if len(set(texts.values())) == 1:
        return SeedCheck.CONSTANT
    return SeedCheck.HONOURED


def _pair(ask: Callable[[int], str], seed: int) -> tuple[int, str]:
    return seed, ask(seed)
