"""Prefilled prompts: each is read once, and its keys and values are kept for the rows to come."""

from collections import OrderedDict
from dataclasses import dataclass

import torch
from transformers.cache_utils import DynamicCache

from codebench.prompts.model import Language, Prompt
from codebench.sampling.loaded_model import LoadedModel
from codebench.sampling.prompt_ids import PromptIds
from codebench.sampling.rows.engine_clock import EngineClock
from codebench.sampling.rows.row_steps import Layers

_MOST_BYTES = 1 << 30
"""Prefilled prompts kept at hand; the least recently used goes first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefix:
    """A prefilled prompt."""

    ids: list[int]
    layers: Layers
    size_bytes: int


class Prefixes:
    """The prompts that were read lately."""

    def __init__(self, loaded: LoadedModel, prompts: PromptIds, clock: EngineClock) -> None:
        self._loaded = loaded
        self._prompts = prompts
        self._clock = clock
        self._kept: OrderedDict[tuple[Language, str], Prefix] = OrderedDict()

    def get(self, prompt: Prompt) -> Prefix:
        """Return the prefilled prompt; its last token is left for the row's first step.

        Raises:
            UsageError: if the prompt has no tokens.
        """
        key = (prompt.language, prompt.prefix)
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
            return found
        with self._clock.prefilling():
            ids = self._prompts.encode(prompt)
            limit = self._loaded.max_positions
            layers = self._prefill(ids if limit is None else ids[:limit])
        size_bytes = sum(k.nbytes + v.nbytes for k, v in layers)
        found = Prefix(ids=ids, layers=layers, size_bytes=size_bytes)
        self._kept[key] = found
        total_bytes = sum(prefix.size_bytes for prefix in self._kept.values())
        while total_bytes > _MOST_BYTES and len(self._kept) > 1:
            total_bytes -= self._kept.popitem(last=False)[1].size_bytes
        self._clock.n_prompt_tokens += len(ids)
        return found

    def clear(self) -> None:
        """Forget all of them; their memory is needed."""
        self._kept.clear()

    @torch.inference_mode()
    def _prefill(self, ids: list[int]) -> Layers:
        device = self._loaded.device
        output = self._loaded.model(
            input_ids=torch.tensor([ids], device=device),
            past_key_values=DynamicCache(),  # without the config: sliding layers keep all columns
            use_cache=True,
            logits_to_keep=1,
        )
        if device.type == "cuda":
            torch.cuda.synchronize(device)  # otherwise its time would be counted as decoding
        return tuple((layer.keys, layer.values) for layer in output.past_key_values.layers)
