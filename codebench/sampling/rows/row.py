"""One sample while it is being decoded: what it has read and written, and what ends it.

A sample ends by itself: end token, stop string, end of the item that the prompt opened, repetition,
or its token limit. Which other samples share its steps makes no difference here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from codebench.item_end import ItemScanner
from codebench.sampling.codec import Codec, TextStream
from codebench.sampling.completion import Completion, FinishReason, SampleRequest, SamplingParams
from codebench.sampling.loaded_model import LoadedModel
from codebench.sampling.rows.loop_detector import LoopDetector

_LONGEST_LOOP_CHARS = 40


class StopFinder:
    """Finds stop strings in a text that grows, also across its pieces."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = stops
        self._n_kept = max(map(len, stops), default=1) - 1
        self._tail = ""

    def feed(self, piece: str) -> bool:
        """Take the next piece; return whether a stop string ends in it."""
        text = self._tail + piece
        self._tail = text[max(0, len(text) - self._n_kept) :]
        return any(stop in text for stop in self._stops)


def cut_after_stop(text: str, stops: Sequence[str]) -> str:
    """Return `text` up to and including the stop string that ends first, or all of it."""
    ends = [at + len(stop) for stop in stops if (at := text.find(stop)) >= 0]
    return text[: min(ends)] if ends else text


@dataclass(slots=True, kw_only=True)
class Row:
    """A sample in the making."""

    request: SampleRequest
    prompt_ids: list[int]
    max_new: int
    started_s: float
    """Of the engine's busy time, when its first step began; seconds."""

    eos_ids: frozenset[int]
    stream: TextStream
    stops: StopFinder
    scanner: ItemScanner | None
    """None where the end of an item ends nothing: in a chat."""

    loops: LoopDetector
    new_ids: list[int]

    @property
    def last_id(self) -> int:
        """The token that the next step reads: the newest, at first the prompt's last."""
        return self.new_ids[-1] if self.new_ids else self.prompt_ids[-1]

    @property
    def position(self) -> int:
        """Where in its text the token stands that the next step reads."""
        return len(self.prompt_ids) + len(self.new_ids) - 1

    def take(self, token_id: int) -> FinishReason | None:
        """Append the token that was drawn; return why the sample ends with it, if it does."""
        self.new_ids.append(token_id)
        if token_id in self.eos_ids:
            return FinishReason.EOS
        piece = self.stream.feed(token_id)
        if self.stops.feed(piece):
            return FinishReason.STOP
        if self.scanner is not None and self.scanner.feed(piece) is not None:
            return FinishReason.BALANCED
        if self.loops.feed(token_id):
            return FinishReason.REPETITION
        return FinishReason.LENGTH if len(self.new_ids) >= self.max_new else None

    def completion(
        self, codec: Codec, params: SamplingParams, reason: FinishReason, *, now_s: float
    ) -> Completion:
        """Return the finished sample: its text without the end token, marked special or not."""
        new_ids = self.new_ids[:-1] if reason is FinishReason.EOS else self.new_ids
        text = codec.new_text(self.prompt_ids, new_ids)
        stops = (*params.stop, *self.request.prompt.stop)
        return Completion(
            request=self.request,
            text=cut_after_stop(text, stops) if reason is FinishReason.STOP else text,
            finish_reason=reason,
            n_tokens=len(self.new_ids),
            generation_ms=(now_s - self.started_s) * 1000,
            loop=self._loop(codec) if reason is FinishReason.REPETITION else None,
        )

    def _loop(self, codec: Codec) -> str:
        """Return the text that is repeated, or its ids where they have no text."""
        period = self.loops.period
        text = codec.new_text(self.new_ids[:-period], self.new_ids[-period:])
        named = text or " ".join(f"<{token_id}>" for token_id in self.new_ids[-period:])
        return named[:_LONGEST_LOOP_CHARS]


def start_row(
    request: SampleRequest,
    prompt_ids: list[int],
    loaded: LoadedModel,
    params: SamplingParams,
    *,
    started_s: float,
    ends_at_item: bool,
) -> Row | None:
    """Return a sample that has written nothing; None when the prompt fills the model's positions.

    Args:
        request: What is to be sampled.
        prompt_ids: The prompt as the model reads it.
        loaded: The model, for its limits and end tokens.
        params: How tokens are drawn.
        started_s: Of the engine's busy time, now; seconds.
        ends_at_item: Whether the sample ends where the item of its prompt does.
    """
    max_new = params.max_tokens
    if loaded.max_positions is not None:
        max_new = min(max_new, loaded.max_positions - len(prompt_ids))
    if max_new < 1:
        return None
    prompt = request.prompt
    return Row(
        request=request,
        prompt_ids=prompt_ids,
        max_new=max_new,
        started_s=started_s,
        eos_ids=loaded.eos_ids,
        stream=TextStream(loaded.codec, prompt_ids),
        stops=StopFinder((*params.stop, *prompt.stop)),
        scanner=ItemScanner.of(prompt) if ends_at_item and prompt.ends_at_item else None,
        loops=LoopDetector(),
        new_ids=[],
    )


def no_room(request: SampleRequest) -> Completion:
    """Return the empty completion of a prompt that leaves the model no position to write at."""
    return Completion(
        request=request,
        text="",
        finish_reason=FinishReason.LENGTH,
        n_tokens=0,
        generation_ms=0.0,
    )
