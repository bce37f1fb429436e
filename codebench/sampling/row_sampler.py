"""The `Sampler` over one loaded model, whatever the format of its checkpoint."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Protocol

import torch
import transformers

from codebench.sampling.bound import decode_bound, measure_machine, model_facts
from codebench.sampling.completion import (
    Completion,
    SampleRequest,
    SamplerTiming,
    SamplingParams,
)
from codebench.sampling.loaded_model import LoadedModel
from codebench.sampling.prompt_ids import ChatPrompts
from codebench.sampling.rows.batch_engine import BatchEngine
from codebench.sampling.rows.engine import RowEngine
from codebench.sampling.rows.memory import free_bytes, plan_rows, usual_prompt_tokens

Notify = Callable[[str], None]
"""Takes one line for the user's stderr."""


class Engine(Protocol):
    """Draws samples from one model."""

    n_rows: int

    def run(self, requests: Iterable[SampleRequest]) -> Iterator[Completion]:
        """Yield the completions as they finish."""
        ...

    def timing(self) -> SamplerTiming:
        """Return where the time went."""
        ...


class RowSampler:
    """A `Sampler` over one loaded checkpoint."""

    def __init__(
        self,
        loaded: LoadedModel,
        params: SamplingParams,
        *,
        batch_size: int | None = None,
        load_s: float = 0.0,
        notify: Notify = lambda _: None,
        chat: ChatPrompts | None = None,
    ) -> None:
        n_rows = batch_size or plan_rows(
            loaded,
            params,
            n_prompt_tokens=usual_prompt_tokens(loaded),
            n_free_bytes=free_bytes(loaded.device),
        )
        self._load_s = load_s
        self._loaded = loaded
        self._chat = chat
        kind = RowEngine if loaded.keeps_columns else BatchEngine
        self._engine: Engine = kind(loaded, params, n_rows=n_rows, prompts=chat, notify=notify)

    def sample(self, requests: Iterable[SampleRequest]) -> Iterator[Completion]:
        """Yield one completion per request, as they finish; pulls requests lazily.

        Raises:
            UsageError: if a prompt has no tokens.
            EnvironmentProblem: if there is too little memory for one sample.
        """
        yield from self._engine.run(requests)

    def timing(self) -> SamplerTiming:
        """Return where the time went so far."""
        return replace(self._engine.timing(), load_s=self._load_s)

    def bound_tokens_per_second(self, *, mean_context: float) -> float | None:
        """Return what memory bandwidth and arithmetic would allow; None for models without rows."""
        loaded, n_rows = self._loaded, self._engine.n_rows
        facts = model_facts(loaded) if loaded.keeps_columns else None
        if facts is None:
            return None
        rates = measure_machine(
            loaded.device,
            dtype=loaded.dtype,
            n_rows=n_rows,
            step_bytes=facts.step_bytes(n_rows=n_rows, mean_context=mean_context),
        )
        return decode_bound(facts, rates, n_rows=n_rows, mean_context=mean_context)

    def describe(self) -> dict[str, str | int | float]:
        """Return facts for results.json."""
        chat = {"chat_template": self._chat.fingerprint} if self._chat is not None else {}
        return {
            "engine": "rows" if self._loaded.keeps_columns else "batches",
            "model_type": self._loaded.model_type,
            "n_parameters": self._loaded.n_parameters,
            "device": _device_name(self._loaded.device),
            "dtype": str(self._loaded.dtype).removeprefix("torch."),
            "rows": self._engine.n_rows,
            "chat": self._chat is not None,
            "n_threads": torch.get_num_threads(),
            "determinism": "token-level: independent of batch, order and shard up to rounding",
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            **chat,
        }


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return str(device)
