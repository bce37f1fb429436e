"""What goes into a sampler and what comes out of it."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Protocol

from pydantic import BaseModel, Field

from codebench.prompts.model import Prompt


class FinishReason(StrEnum):
    """Why the sampler stopped writing."""

    EOS = "eos"
    STOP = "stop"
    BALANCED = "balanced"
    REPETITION = "repetition"
    LENGTH = "length"


class SamplingParams(BaseModel, frozen=True, extra="forbid"):
    """How tokens are drawn; applied in the order temperature, top-k, top-p."""

    temperature: float = Field(default=0.8, ge=0)
    """0 is greedy."""

    top_k: int = Field(default=50, ge=0)
    """Keep the k likeliest tokens; 0 keeps all."""

    top_p: float = Field(default=1.0, gt=0, le=1)
    """Keep the smallest set of tokens whose probability reaches this; 1 keeps all."""

    max_tokens: int = Field(default=200, ge=1)
    """Most new tokens of one completion."""

    stop: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Texts that end a completion; it is kept up to and including the first of them."""


def sample_seed(*, run_seed: int, prompt: Prompt, index: int) -> int:
    """Return the seed of one sample, 63 bits: a hash of what identifies it, never of its batch."""
    text = f"{run_seed}|{prompt.id}|{prompt.text_sha256}|{index}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRequest:
    """One completion to be drawn."""

    prompt: Prompt
    index: int
    """Number of the sample among those of its prompt, from 0."""

    seed: int

    prompt_set: str = ""
    """Name of the set that the prompt belongs to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """What the model wrote for one request."""

    request: SampleRequest
    text: str
    """The new text only, the prompt not included, the stop included."""

    finish_reason: FinishReason
    n_tokens: int
    generation_ms: float
    """Wall time from the first step of this sample to its last, in milliseconds."""

    loop: str | None = None
    """The text that a collapsed model repeats, at most 40 characters; None where none was seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplerTiming:
    """Where the sampler's time went; seconds and token counts since it was opened."""

    load_s: float
    prefill_s: float
    decode_s: float
    n_prompt_tokens: int
    n_generated_tokens: int
    """Tokens of the completions that were handed out."""

    n_wasted_tokens: int
    """Tokens decoded and thrown away (past a stop, empty rows, drawn again after a failure)."""

    n_steps: int = 0
    """Times that the model was run over all rows for one token each."""

    n_row_steps: int = 0
    """Rows times steps, counted while requests were left to be taken."""

    n_occupied_row_steps: int = 0
    """Of `n_row_steps`, those that wrote a token of a completion: the rest stood empty or over."""


class Sampler(Protocol):
    """A source of completions. Completions come out in any order, as they are finished."""

    def sample(self, requests: Iterable[SampleRequest]) -> Iterator[Completion]:
        """Yield one completion per request; pulls requests lazily."""
        ...

    def timing(self) -> SamplerTiming:
        """Return where the time went so far."""
        ...

    def bound_tokens_per_second(self, *, mean_context: float) -> float | None:
        """Return the most tokens per second that this machine could decode; None if unknown.

        Measures for some 0.2 s, so it is asked once, when the machine has nothing else to do.

        Args:
            mean_context: Tokens that a new token sees on average.
        """
        ...

    def describe(self) -> dict[str, str | int | float]:
        """Return facts for results.json: device, dtype, rows, determinism."""
        ...
