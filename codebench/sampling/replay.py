"""Hand out completions that were made earlier: from a samples.jsonl file, or given in memory.

The shipped fake of a sampler: tests, benchmarks and the judging of foreign samples use it. It
imports neither torch nor transformers.
"""

import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from codebench.errors import EnvironmentProblem, UsageError
from codebench.sampling.completion import Completion, FinishReason, SampleRequest, SamplerTiming


class ReplayedCompletion(BaseModel):
    """What a line of samples.jsonl says about its completion; its other fields are not read."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    prompt_set: str = ""
    """Empty where the file does not say: then the prompt's id alone tells."""

    prompt_id: str
    index: int = Field(ge=0)
    completion: str
    finish_reason: FinishReason = FinishReason.EOS
    n_tokens: int = Field(default=0, ge=0)
    """0 where the file does not say."""


class ReplaySampler:
    """A `Sampler` that finds the completion of a request by prompt id and index.

    The file is read only as far as the requests need, and each completion is handed out once, so
    memory stays flat where the requests come in the order of the file.
    """

    def __init__(self, source: Path | Iterable[ReplayedCompletion]) -> None:
        self._name = str(source) if isinstance(source, Path) else "memory"
        self._lines = _read(source) if isinstance(source, Path) else iter(source)
        self._read: dict[tuple[str, str, int], ReplayedCompletion] = {}
        self._read_s = 0.0
        self._n_generated_tokens = 0

    def sample(self, requests: Iterable[SampleRequest]) -> Iterator[Completion]:
        """Yield the recorded completion of each request, in the order of the requests.

        Raises:
            UsageError: if a request's completion is not there, or a line is not a sample.
            EnvironmentProblem: if the file cannot be read.
        """
        for request in requests:
            started = time.perf_counter()
            found = self._find(request)
            self._read_s += time.perf_counter() - started
            self._n_generated_tokens += found.n_tokens
            yield Completion(
                request=request,
                text=found.completion,
                finish_reason=found.finish_reason,
                n_tokens=found.n_tokens,
                generation_ms=0.0,
            )

    def timing(self) -> SamplerTiming:
        """Return the time of reading; nothing is decoded here."""
        return SamplerTiming(
            load_s=self._read_s,
            prefill_s=0.0,
            decode_s=0.0,
            n_prompt_tokens=0,
            n_generated_tokens=self._n_generated_tokens,
            n_wasted_tokens=0,
        )

    def bound_tokens_per_second(self, *, mean_context: float) -> float | None:  # noqa: ARG002
        """Return None: nothing is decoded here."""
        return None

    def describe(self) -> dict[str, str | int | float]:
        """Return where the completions come from."""
        return {"engine": "replay", "source": self._name, "determinism": "exact"}

    def _find(self, request: SampleRequest) -> ReplayedCompletion:
        prompt_id, index = request.prompt.id, request.index
        keys = ((request.prompt_set, prompt_id, index), ("", prompt_id, index))
        while not any(key in self._read for key in keys):
            line = next(self._lines, None)
            if line is None:
                raise UsageError(f"{self._name} has no sample {index} of prompt {prompt_id!r}")
            self._read.setdefault((line.prompt_set, line.prompt_id, line.index), line)
        return self._read.pop(next(key for key in keys if key in self._read))


def _read(path: Path) -> Iterator[ReplayedCompletion]:
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                try:
                    yield ReplayedCompletion.model_validate(json.loads(line))
                except (ValueError, ValidationError) as error:
                    raise UsageError(
                        f"line {number} of {path} is not a sample: it needs prompt_id, index "
                        "and completion"
                    ) from error
    except OSError as error:
        raise EnvironmentProblem(f"cannot read {path}: {error.strerror}") from error
