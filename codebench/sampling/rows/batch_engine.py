"""Decode batch after batch, for models that keep more than keys and values: recurrent states.

Such a state cannot be copied into the middle of a running batch, so a row that is done waits for
the longest of its batch. The noise is that of the row engine: a sample does not depend on its
batch. Prompts of unlike length share a batch by padding on the left where the model proves, on its
own weights, that padding changes nothing; otherwise a batch holds prompts of one length.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from codebench.sampling.completion import Completion, SampleRequest, SamplerTiming, SamplingParams
from codebench.sampling.loaded_model import LoadedModel
from codebench.sampling.prompt_ids import PlainPrompts, PromptIds
from codebench.sampling.rows.engine_clock import EngineClock
from codebench.sampling.rows.memory import Halving
from codebench.sampling.rows.noise import draw
from codebench.sampling.rows.request_queue import RequestQueue
from codebench.sampling.rows.row import Row, no_room, start_row

_TOLERANCE = {torch.float32: 1e-4}
"""How far padding may move a logit, as a share of the largest one; elsewhere `_COARSE`."""

_COARSE = 3e-2


@dataclass(slots=True)
class _Memory:
    """What the model has read: its own cache object, whatever it is."""

    cache: object
    mask: torch.Tensor
    """(B, columns), 0 where a row is padded."""


class BatchEngine:
    """Samples from one model with one set of parameters."""

    def __init__(
        self,
        loaded: LoadedModel,
        params: SamplingParams,
        *,
        n_rows: int,
        prompts: PromptIds | None = None,
        notify: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._loaded = loaded
        self._params = params
        self._prompts = prompts or PlainPrompts(loaded.codec)
        self._notify = notify
        self._clock = EngineClock()
        model: Any = loaded.model  # its cache has a name and a type of its own
        self._model = model
        names = inspect.signature(model.forward).parameters
        self._cache_name = "cache_params" if "cache_params" in names else "past_key_values"
        self._takes_positions = "position_ids" in names
        self._can_pad: bool | None = None
        self.n_rows = n_rows
        """Rows that decode together; fewer after the memory did not hold them."""

        self._rows: list[Row | None] = []
        self._last: list[int] = []
        self._memory: _Memory | None = None
        self._halving = Halving(loaded.device, notify)

    def timing(self) -> SamplerTiming:
        """Return where the time went since the model was there (`load_s` is 0)."""
        return self._clock.timing()

    def run(self, requests: Iterable[SampleRequest]) -> Iterator[Completion]:
        """Yield the completions as they finish; pull the requests of a batch together.

        Raises:
            UsageError: if a prompt has no tokens.
            EnvironmentProblem: if the memory does not hold one row.
        """
        queue = RequestQueue(requests)
        self._end_batch()
        while (completions := self._turn(queue)) is not None:
            yield from completions

    def _end_batch(self) -> None:
        self._rows, self._memory = [], None
        self._clock.n_living_tokens = 0

    def _turn(self, queue: RequestQueue) -> list[Completion] | None:
        """Start a batch or decode one token in each of its rows; None at the end."""
        try:
            return self._go_on(queue)
        except RuntimeError as error:
            self._halving.check(error, n_rows=len(self._rows))
        n_before = len(self._rows)  # out of the handler: the error holds on to the step's tensors
        queue.put_back([row.request for row in self._rows if row is not None])
        self.n_rows = max(1, n_before // 2)
        self._end_batch()
        self._halving.go_on(self.n_rows, n_before=n_before)
        return []

    def _go_on(self, queue: RequestQueue) -> list[Completion] | None:
        if any(self._rows):
            return self._advance(has_more=not queue.is_empty)
        self._end_batch()
        refused = self._start_batch(queue)
        return refused if refused or self._rows else None

    def _start_batch(self, queue: RequestQueue) -> list[Completion]:
        """Take the requests of a batch; return those whose prompts leave no room, empty."""
        refused: list[Completion] = []
        later: list[SampleRequest] = []
        rows: list[Row] = []
        for request in queue.take(self.n_rows):
            prompt_ids = self._prompts.encode(request.prompt)
            row = start_row(
                request,
                prompt_ids,
                self._loaded,
                self._params,
                started_s=self._clock.busy_s,
                ends_at_item=not self._prompts.is_chat,
            )
            if row is None:
                refused.append(no_room(request))
            elif rows and len(rows[0].prompt_ids) != len(prompt_ids) and not self._pads():
                later.append(request)
            else:
                rows.append(row)
        queue.put_back(later)
        self._rows = list(rows)
        self._last = []
        return refused

    def _pads(self) -> bool:
        if self._can_pad is None:
            self._can_pad = self._padding_changes_nothing()
            if not self._can_pad:
                self._notify(
                    f"{self._loaded.model_type} does not read padded prompts as it reads others: "
                    "only prompts of one length are sampled together"
                )
        return self._can_pad

    def _advance(self, *, has_more: bool) -> list[Completion]:
        clock, rows = self._clock, self._rows
        if self._memory is None:
            with clock.prefilling():
                prompts = [row.prompt_ids for row in rows if row is not None]
                logits, self._memory = self._read(prompts)
            clock.n_prompt_tokens += sum(map(len, prompts))
        else:
            with clock.decoding():
                logits = self._read_next(self._last, self._memory)
        finished = []
        with clock.decoding():
            self._last = self._draw(logits)
            clock.count_step(len(rows), has_more=has_more)
            for i, (row, token_id) in enumerate(zip(rows, self._last, strict=True)):
                if row is None:
                    continue
                clock.n_living_tokens += 1
                clock.n_occupied_row_steps += has_more
                reason = row.take(token_id)
                if reason is not None:
                    finished.append((row, reason))
                    rows[i] = None
        for row, _ in finished:
            clock.n_living_tokens -= len(row.new_ids)
            clock.n_generated_tokens += len(row.new_ids)
        with clock.decoding():
            return [
                row.completion(self._loaded.codec, self._params, reason, now_s=clock.busy_s)
                for row, reason in finished
            ]

    @torch.inference_mode()
    def _draw(self, logits: torch.Tensor) -> list[int]:
        device = self._loaded.device
        state = [(row.request.seed, len(row.new_ids)) if row else (0, 0) for row in self._rows]
        seeds, drawn = torch.tensor(state, device=device).unbind(1)
        token_ids: list[int] = draw(
            logits[:, : self._loaded.n_ids], seeds, drawn, self._params
        ).tolist()
        return token_ids

    @torch.inference_mode()
    def _read(self, prompts: Sequence[Sequence[int]]) -> tuple[torch.Tensor, _Memory]:
        """Read whole prompts; return the logits after them, (B, V), and what the model keeps."""
        longest = max(map(len, prompts))
        device = self._loaded.device
        ids = torch.tensor([[0] * (longest - len(p)) + list(p) for p in prompts], device=device)
        lengths = torch.tensor([len(p) for p in prompts], device=device)
        mask = (torch.arange(longest, device=device) >= (longest - lengths)[:, None]).long()
        # Without padding there is no mask: some models take a slower way as soon as there is one.
        is_padded = any(len(p) != longest for p in prompts)
        output = self._call(ids, mask if is_padded else None, mask.cumsum(1) - 1, None)
        return output.logits[:, -1], _Memory(getattr(output, self._cache_name), mask)

    @torch.inference_mode()
    def _read_next(self, last: Sequence[int], memory: _Memory) -> torch.Tensor:
        """Read one more token per row and return the logits after it, (B, V)."""
        ids = torch.tensor(last, device=self._loaded.device)[:, None]
        memory.mask = torch.cat([memory.mask, torch.ones_like(ids)], 1)
        # A pure state space model has nothing left to mask.
        mask = None if self._cache_name == "cache_params" else memory.mask
        output = self._call(ids, mask, memory.mask.sum(1, keepdim=True) - 1, memory.cache)
        memory.cache = getattr(output, self._cache_name)
        return torch.as_tensor(output.logits[:, -1])

    def _call(
        self,
        ids: torch.Tensor,
        mask: torch.Tensor | None,
        positions: torch.Tensor,
        cache: object,
    ) -> Any:  # noqa: ANN401  (each model has an output type of its own)
        given: dict[str, object] = {"attention_mask": mask, self._cache_name: cache}
        if self._takes_positions:
            given["position_ids"] = positions.clamp(min=0)
        return self._model(input_ids=ids, use_cache=True, logits_to_keep=1, **given)

    def _padding_changes_nothing(self) -> bool:
        """Read a short text alone and beside a long one, and one token more: the same logits?"""
        n_ids = self._loaded.n_ids
        short = [i % n_ids for i in (3, 1, 4, 1)]
        long = [i % n_ids for i in range(5, 16)]
        alone, alone_memory = self._read([short])
        padded, padded_memory = self._read([long, short])
        alone_next = self._read_next([2 % n_ids], alone_memory)
        padded_next = self._read_next([7 % n_ids, 2 % n_ids], padded_memory)
        share = _TOLERANCE.get(self._loaded.dtype, _COARSE)
        pairs = ((alone[0], padded[1]), (alone_next[0], padded_next[1]))
        return all(
            bool((one - other).abs().max() <= share * one.abs().max()) for one, other in pairs
        )
