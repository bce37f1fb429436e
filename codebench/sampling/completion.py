"""What goes into a sampler and what comes out of it."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

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
    """Tokens decoded and thrown away (past a stop, empty rows)."""


class Sampler(Protocol):
    """A source of completions. Completions come out in any order, as they are finished."""

    def sample(self, requests: Iterable[SampleRequest]) -> Iterator[Completion]:
        """Yield one completion per request; pulls requests lazily."""
        ...

    def timing(self) -> SamplerTiming:
        """Return where the time went so far."""
        ...

    def describe(self) -> dict[str, str | int | float]:
        """Return facts for results.json: device, dtype, rows, determinism."""
        ...
