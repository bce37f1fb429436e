"""Samples of two runs that are pairs: drawn for the same prompt, with the same index and seed.

Noise belongs to the seed (README, "the same samples again"), so two checkpoints that are alike
write alike: what differs within pairs says more than two independent piles of samples.
"""

from collections.abc import Mapping
from pathlib import Path

import orjson

from codebench.languages.verdict import Outcome
from codebench.results.model import Results
from codebench.results.reading import Loaded

Key = tuple[str, str, int, int]
"""Prompt set, prompt, index and seed of a sample."""

PairedOutcomes = tuple[tuple[Outcome, Outcome], ...]
"""The outcomes of each pair, base first."""


def paired_outcomes(base: Loaded, other: Loaded) -> PairedOutcomes | None:
    """Return the outcomes of the pairs that both runs judged.

    None where samples do not pair: a run without its samples.jsonl, one that holds other samples
    than its results.json counts, other seeds, or samples without a partner.
    """
    if base.samples is None or other.samples is None:
        return None
    mine, theirs = _outcomes(base.samples), _outcomes(other.samples)
    if mine is None or theirs is None or mine.keys() != theirs.keys():
        return None
    if not (_fits(mine, base.results) and _fits(theirs, other.results)):
        return None
    pairs = ((mine[key], theirs[key]) for key in mine)
    return tuple((one, two) for one, two in pairs if one.judged and two.judged)


def _outcomes(samples: Path) -> dict[Key, Outcome] | None:
    """Return the latest outcome of each sample; None for a file that we cannot read so."""
    outcomes: dict[Key, Outcome] = {}
    try:
        with samples.open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    r = orjson.loads(line)
                    key = (r["prompt_set"], r["prompt_id"], r["index"], r["seed"])
                    outcomes[key] = Outcome(r["outcome"])
    except (OSError, KeyError, TypeError, ValueError):
        return None
    return outcomes


def _fits(outcomes: Mapping[Key, Outcome], results: Results) -> bool:
    judged = [outcome for outcome in outcomes.values() if outcome.judged]
    return (len(outcomes), len(judged), sum(o.compiles for o in judged)) == (
        results.total_samples,
        results.judged,
        results.compiled,
    )
