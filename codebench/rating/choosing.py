"""Which programs are rated, and in which order each rater sees them.

All raters get the same programs, so that their agreement can be computed, each in an order of their
own. The choice is spread: a second program of a prompt and run comes only after every prompt and
run has its first, and of a prompt that is chosen the programs of every run are.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import astuple
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from codebench.export.samples import ExportedSample, samples_of
from codebench.results.reading import Loaded
from codebench.store import SampleKey


class Shown(NamedTuple):
    """A program to be rated."""

    run_dir: Path
    key: SampleKey
    program: str
    language: str


def chosen(runs: Sequence[Loaded], *, n: int, seed: int) -> list[Shown]:
    """Return at most `n` judged programs of some runs; the same seed gives the same.

    Raises:
        UsageError: if results stand alone, without their samples.
    """
    ranked = []
    for run in runs:
        judged = [one for one in samples_of(run, "rating") if one.outcome.judged]
        by_prompt = sorted(judged, key=lambda one: (_prompt(one), _draw(seed, astuple(_key(one)))))
        for prompt, samples in groupby(by_prompt, key=_prompt):
            for nth, sample in enumerate(samples):
                place = (nth, _draw(seed, prompt), run.results.run_id)
                ranked.append((place, _shown(run, sample)))
    ranked.sort(key=lambda entry: entry[0])
    return [shown for _, shown in ranked[:n]]


def order_for(rater: str, programs: Sequence[Shown], *, seed: int) -> list[Shown]:
    """Return the programs in the order in which this rater sees them, runs mixed."""
    return sorted(
        programs, key=lambda one: _draw(seed, (rater, one.run_dir.name, *astuple(one.key)))
    )


def _shown(run: Loaded, sample: ExportedSample) -> Shown:
    assert run.run_dir is not None, "samples_of has refused it"
    return Shown(run.run_dir, _key(sample), sample.program, sample.language)


def _key(sample: ExportedSample) -> SampleKey:
    return SampleKey(sample.prompt_set, sample.prompt_id, sample.index)


def _prompt(sample: ExportedSample) -> tuple[str, str]:
    return (sample.prompt_set, sample.prompt_id)


def _draw(seed: int, name: tuple[object, ...]) -> bytes:
    """Return what sorts names at random, the same way each time and whatever else is there."""
    return hashlib.sha256(repr((seed, *name)).encode("utf-8", "surrogatepass")).digest()
