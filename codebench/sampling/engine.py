"""Decode many samples together: a fixed number of rows, each refilled as soon as it is done.

A prompt is prefilled once and its keys and values are copied into every row that samples it. A row
stops by itself: end token, end of the item that the prompt opened, repetition, token limit, or the
last position of the model. Nothing here depends on which samples share a step (`noise.py`); what
does is the rounding of the matrix products, which differs with the number of rows: samples agree
token for token except where two candidates tie within that rounding.
"""

import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from transformers.cache_utils import DynamicCache

from codebench.errors import UsageError
from codebench.item_end import ItemScanner
from codebench.sampling.codec import TextStream
from codebench.sampling.completion import (
    Completion,
    FinishReason,
    SampleRequest,
    SamplerTiming,
    SamplingParams,
)
from codebench.sampling.loaded_model import LoadedModel
from codebench.sampling.loop_detector import LoopDetector
from codebench.sampling.noise import draw
from codebench.sampling.row_cache import Layers, RowCache

_PREFIX_CACHE_BYTES = 1 << 30
"""Prefilled prompts kept at hand; the least recently used goes first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prefix:
    """A prefilled prompt."""

    ids: list[int]
    layers: Layers
    size_bytes: int


@dataclass(slots=True, kw_only=True)
class _Row:
    """One sample while it is being decoded."""

    request: SampleRequest
    prompt_ids: list[int]
    max_new: int
    started_s: float
    new_ids: list[int]
    scanner: ItemScanner
    stream: TextStream
    loops: LoopDetector

    @property
    def last_id(self) -> int:
        """The token that the next step reads: the newest, at first the prompt's last."""
        return self.new_ids[-1] if self.new_ids else self.prompt_ids[-1]


class RowEngine:
    """Samples from one model with one set of parameters."""

    def __init__(self, loaded: LoadedModel, params: SamplingParams, *, n_rows: int) -> None:
        self._loaded = loaded
        self._params = params
        self._n_rows = n_rows
        self._prefixes: OrderedDict[str, _Prefix] = OrderedDict()
        self._prefill_s = 0.0
        self._decode_s = 0.0
        self._n_prompt_tokens = 0
        self._n_generated_tokens = 0
        self._n_wasted_tokens = 0

    def timing(self) -> SamplerTiming:
        """Return where the time went since the model was there (`load_s` is 0).

        The time of whoever takes the completions is not in it.
        """
        return SamplerTiming(
            load_s=0.0,
            prefill_s=self._prefill_s,
            decode_s=self._decode_s,
            n_prompt_tokens=self._n_prompt_tokens,
            n_generated_tokens=self._n_generated_tokens,
            n_wasted_tokens=self._n_wasted_tokens,
        )

    def run(self, requests: Iterable[SampleRequest]) -> Iterator[Completion]:
        """Yield the completions as they finish; pull a request whenever a row is free.

        Raises:
            UsageError: if a prompt has no tokens.
        """
        pending = iter(requests)
        cache = RowCache(n_layers=self._loaded.n_layers, n_rows=self._n_rows)
        rows: list[_Row | None] = [None] * self._n_rows
        is_dry = False
        while True:
            for i, row in enumerate(rows):
                while row is None and not is_dry and rows[i] is None:
                    request = next(pending, None)
                    is_dry = request is None
                    if request is not None:
                        rows[i] = self._admit(request, cache, i)
                        if rows[i] is None:
                            yield _no_room(request)
            alive = [i for i, row in enumerate(rows) if row is not None]
            if not alive:
                return
            if is_dry and 4 * len(alive) <= 3 * len(rows):  # a copy now, cheaper steps after it
                self._shrink(cache, alive)
                rows = [rows[i] for i in alive]
            yield from self._advance(cache, rows)

    def _admit(self, request: SampleRequest, cache: RowCache, i: int) -> _Row | None:
        """Start `request` in row `i`; None when the prompt fills the model's positions."""
        prompt = request.prompt
        prefix = self._prefix(prompt.prefix, prompt.id)
        limit = self._loaded.max_positions
        max_new = self._params.max_tokens
        if limit is not None:
            max_new = min(max_new, limit - len(prefix.ids))
        if max_new < 1:
            return None
        self._place(cache, i, prefix, max_new)
        return _Row(
            request=request,
            prompt_ids=prefix.ids,
            max_new=max_new,
            started_s=self._prefill_s + self._decode_s,
            new_ids=[],
            scanner=ItemScanner(prompt.language, prompt.prefix),
            stream=TextStream(self._loaded.codec, prefix.ids),
            loops=LoopDetector(),
        )

    def _prefix(self, text: str, prompt_id: str) -> _Prefix:
        """Return the prefilled prompt; its last token is left for the row's first step."""
        found = self._prefixes.get(text)
        if found is not None:
            self._prefixes.move_to_end(text)
            return found
        started = time.perf_counter()
        ids = self._loaded.codec.encode(text)
        if not ids:
            raise UsageError(f"prompt {prompt_id!r} has no tokens: it needs some text")
        limit = self._loaded.max_positions
        layers = self._prefill(ids if limit is None else ids[:limit])
        size_bytes = sum(k.nbytes + v.nbytes for k, v in layers)
        found = _Prefix(ids=ids, layers=layers, size_bytes=size_bytes)
        self._prefixes[text] = found
        total_bytes = sum(prefix.size_bytes for prefix in self._prefixes.values())
        while total_bytes > _PREFIX_CACHE_BYTES and len(self._prefixes) > 1:
            total_bytes -= self._prefixes.popitem(last=False)[1].size_bytes
        self._n_prompt_tokens += len(ids)
        self._prefill_s += time.perf_counter() - started
        return found

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

    @torch.inference_mode()
    def _place(self, cache: RowCache, i: int, prefix: _Prefix, max_new: int) -> None:
        cache.place(i, prefix.layers, len(prefix.ids) - 1, n_new=max_new + 1)

    @torch.inference_mode()
    def _shrink(self, cache: RowCache, alive: list[int]) -> None:
        cache.keep_rows(alive)

    def _advance(self, cache: RowCache, rows: list[_Row | None]) -> list[Completion]:
        """Decode one token in every row and return what is finished; its row is free then."""
        started = time.perf_counter()
        finished = []
        for i, token_id in enumerate(self._step(cache, rows)):
            row = rows[i]
            if row is None:
                self._n_wasted_tokens += 1
                continue
            reason = self._take(row, token_id)
            if reason is not None:
                finished.append((row, reason))
                rows[i] = None
                cache.free(i)
        texts = [self._text(row, reason) for row, reason in finished]
        self._decode_s += time.perf_counter() - started
        now_s = self._prefill_s + self._decode_s
        self._n_generated_tokens += sum(len(row.new_ids) for row, _ in finished)
        return [
            Completion(
                request=row.request,
                text=text,
                finish_reason=reason,
                n_tokens=len(row.new_ids),
                generation_ms=(now_s - row.started_s) * 1000,
            )
            for (row, reason), text in zip(finished, texts, strict=True)
        ]

    @torch.inference_mode()
    def _step(self, cache: RowCache, rows: list[_Row | None]) -> list[int]:
        """Run the model once over all rows and return the token that each one draws."""
        device = self._loaded.device
        last = [row.last_id if row else 0 for row in rows]
        drawn = [len(row.new_ids) if row else 0 for row in rows]
        positions = [
            len(row.prompt_ids) - 1 + n if row else 0 for row, n in zip(rows, drawn, strict=True)
        ]
        output = self._loaded.model(
            input_ids=torch.tensor(last, device=device)[:, None],
            attention_mask=cache.begin_step(device),
            position_ids=torch.tensor(positions, device=device)[:, None],
            past_key_values=cache.cache,
            use_cache=True,
        )
        cache.end_step()
        token_ids = draw(
            output.logits[:, -1, : self._loaded.n_ids],
            torch.tensor([row.request.seed if row else 0 for row in rows], device=device),
            torch.tensor(drawn, device=device),
            self._params,
        )
        return token_ids.tolist()

    def _text(self, row: _Row, reason: FinishReason) -> str:
        """Return the text of a finished row without its end token, marked special or not."""
        new_ids = row.new_ids[:-1] if reason is FinishReason.EOS else row.new_ids
        return self._loaded.codec.new_text(row.prompt_ids, new_ids)

    def _take(self, row: _Row, token_id: int) -> FinishReason | None:
        """Append the token that `row` drew; return why the sample ends with it, if it does."""
        row.new_ids.append(token_id)
        if token_id in self._loaded.eos_ids:
            return FinishReason.EOS
        if row.scanner.feed(row.stream.feed(token_id)) is not None:
            return FinishReason.BALANCED
        if row.loops.feed(token_id):
            return FinishReason.REPETITION
        return FinishReason.LENGTH if len(row.new_ids) >= row.max_new else None


def _no_room(request: SampleRequest) -> Completion:
    """Return the empty completion of a prompt that leaves the model no position to write at."""
    return Completion(
        request=request,
        text="",
        finish_reason=FinishReason.LENGTH,
        n_tokens=0,
        generation_ms=0.0,
    )
