"""Where an engine's time and tokens go, counted as it works."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from codebench.sampling.completion import SamplerTiming


@dataclass(slots=True)
class EngineClock:
    """Seconds and tokens since the model was there.

    What was computed is counted as it is computed; what became of it when it is known. A token that
    is neither handed out nor part of a living row was wasted, for whatever reason.
    """

    prefill_s: float = 0.0
    decode_s: float = 0.0
    n_prompt_tokens: int = 0
    n_generated_tokens: int = 0
    n_living_tokens: int = 0
    """Tokens of the rows that are being written."""

    n_computed_tokens: int = 0
    n_steps: int = 0
    n_row_steps: int = 0
    n_occupied_row_steps: int = 0

    @property
    def busy_s(self) -> float:
        """Seconds of prefill and decoding together."""
        return self.prefill_s + self.decode_s

    @contextmanager
    def prefilling(self) -> Iterator[None]:
        """Count what happens inside as prefill, also when it fails."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.prefill_s += time.perf_counter() - started

    @contextmanager
    def decoding(self) -> Iterator[None]:
        """Count what happens inside as decoding, also when it fails."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.decode_s += time.perf_counter() - started

    def count_step(self, n_rows: int, *, has_more: bool) -> None:
        """Count a step over `n_rows` rows; `has_more` says that requests are left to be taken."""
        self.n_steps += 1
        self.n_computed_tokens += n_rows
        if has_more:
            self.n_row_steps += n_rows

    def timing(self) -> SamplerTiming:
        """Return what was counted; `load_s` is 0."""
        return SamplerTiming(
            load_s=0.0,
            prefill_s=self.prefill_s,
            decode_s=self.decode_s,
            n_prompt_tokens=self.n_prompt_tokens,
            n_generated_tokens=self.n_generated_tokens,
            n_wasted_tokens=self.n_computed_tokens - self.n_generated_tokens - self.n_living_tokens,
            n_steps=self.n_steps,
            n_row_steps=self.n_row_steps,
            n_occupied_row_steps=self.n_occupied_row_steps,
        )
