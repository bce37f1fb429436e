"""Who is compared in `sampling.py`: the row engine, and `generate` of transformers.

`generate` stops by the same rules: a StoppingCriteria follows each row as the engine does. It runs
the model as transformers loads it, the engine the one that codebench loads.
"""

import contextlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any, Protocol
from unittest import mock

import torch
from transformers import GenerationConfig, PreTrainedModel, StoppingCriteria, StoppingCriteriaList

from codebench.item_end import ItemScanner
from codebench.prompts.model import Prompt
from codebench.sampling.codec import TextStream
from codebench.sampling.completion import SampleRequest, SamplingParams
from codebench.sampling.loaded_model import LoadedModel
from codebench.sampling.row_sampler import RowSampler
from codebench.sampling.rows.loop_detector import LoopDetector

ROOM = "codebench.sampling."
NO_TOKEN = -1
"""An end token that is never drawn."""


class ScannerOf(Protocol):
    """Makes what says where an item ends, as `ItemScanner` does."""

    def of(self, prompt: Prompt) -> Any:  # noqa: ANN401  (a scanner)
        """Return a new scanner for a completion of `prompt`."""
        ...


class PlannedEnd:
    """Ends an item after so many tokens, whatever they say."""

    def __init__(self, n_tokens: int) -> None:
        self._n_left = n_tokens

    def feed(self, _text: str) -> int | None:
        """Count a token."""
        self._n_left -= 1
        return 0 if self._n_left <= 0 else None


class PlannedEnds:
    """Makes scanners that end one item after the other at the planned lengths."""

    def __init__(self, lengths: Sequence[int]) -> None:
        self._left = iter(lengths)

    def of(self, _prompt: Prompt) -> PlannedEnd:
        """Return the scanner of the next sample."""
        return PlannedEnd(next(self._left))


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What every contender is to write."""

    loaded: LoadedModel
    plain: PreTrainedModel
    """The model as transformers loads it, for `generate`."""

    params: SamplingParams
    requests: tuple[SampleRequest, ...]
    lengths: tuple[int, ...] | None = None
    """Tokens of each sample in the order of the requests; None: as they fall."""

    def scanner_of(self) -> ScannerOf:
        """Return what makes the scanners; it is called once per sample, in order."""
        return ItemScanner if self.lengths is None else PlannedEnds(self.lengths)


class RowStops(StoppingCriteria):
    """The stops of the engine for a batch of `generate`."""

    def __init__(self, work: Work, scanner_of: ScannerOf, prompts: Sequence[list[int]]) -> None:
        codec = work.loaded.codec
        self._eos_ids = work.loaded.eos_ids
        self._max_tokens = work.params.max_tokens
        self._scanners = [scanner_of.of(r.prompt) for r in work.requests]
        self._streams = [TextStream(codec, ids) for ids in prompts]
        self._loops = [LoopDetector() for _ in prompts]
        self._done = torch.zeros(len(prompts), dtype=torch.bool)
        self.new_ids: list[list[int]] = [[] for _ in prompts]

    def __call__(
        self,
        input_ids: torch.Tensor,
        scores: torch.Tensor,  # noqa: ARG002  (the signature is that of transformers)
        **kwargs: object,  # noqa: ARG002
    ) -> torch.Tensor:
        """Return which rows are done, (B,) bool."""
        newest = input_ids[:, -1].tolist()
        for i, is_done in enumerate(self._done.tolist()):
            if not is_done:
                self._done[i] = self._ends(i, newest[i])
        return self._done.to(input_ids.device)

    def _ends(self, i: int, token_id: int) -> bool:
        self.new_ids[i].append(token_id)
        return (
            token_id in self._eos_ids
            or self._scanners[i].feed(self._streams[i].feed(token_id)) is not None
            or self._loops[i].feed(token_id)
            or len(self.new_ids[i]) >= self._max_tokens
        )


def generate(work: Work, scanner_of: ScannerOf) -> int:
    """Write all of `work` as one batch with transformers and return the number of tokens."""
    loaded = work.loaded
    prompts = [loaded.codec.encode(request.prompt.prefix) for request in work.requests]
    longest = max(map(len, prompts))
    padded = [[0] * (longest - len(ids)) + ids for ids in prompts]
    mask = [[0] * (longest - len(ids)) + [1] * len(ids) for ids in prompts]
    stops = RowStops(work, scanner_of, prompts)
    model: Any = work.plain  # the wrappers of transformers hide the signature
    model.generate(
        torch.tensor(padded, device=loaded.device),
        attention_mask=torch.tensor(mask, device=loaded.device),
        generation_config=GenerationConfig(  # type: ignore[no-untyped-call]
            do_sample=True,
            temperature=work.params.temperature,
            top_k=work.params.top_k,
            max_new_tokens=work.params.max_tokens,
            eos_token_id=sorted(loaded.eos_ids) or [NO_TOKEN],
            pad_token_id=0,
        ),
        stopping_criteria=StoppingCriteriaList([stops]),
    )
    for ids, new_ids in zip(prompts, stops.new_ids, strict=True):
        loaded.codec.new_text(ids, new_ids)
    return sum(map(len, stops.new_ids))


def generate_each(work: Work, scanner_of: ScannerOf) -> int:
    """Write one sample after the other with transformers and return the number of tokens."""
    return sum(generate(replace(work, requests=(r,)), scanner_of) for r in work.requests)


def engine_rows(work: Work, scanner_of: ScannerOf, *, n_rows: int) -> int:
    """Write all of `work` with the row engine and return the number of tokens."""
    sampler = RowSampler(work.loaded, work.params, batch_size=n_rows)
    with contextlib.ExitStack() as stack:
        if scanner_of is not ItemScanner:
            for module in modules_that_scan():
                stack.enter_context(mock.patch.object(module, "ItemScanner", scanner_of))
        return sum(completion.n_tokens for completion in sampler.sample(work.requests))


def modules_that_scan() -> list[ModuleType]:
    """Return the modules of the engine that make scanners.

    The engine has no option for planned lengths, and needs none but here: they are patched in.
    """
    ours = [module for name, module in sys.modules.items() if name.startswith(ROOM)]
    found = [module for module in ours if getattr(module, "ItemScanner", None) is ItemScanner]
    assert found, "the engine makes no scanners: plan the lengths of this benchmark otherwise"
    return found
