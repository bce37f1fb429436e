"""The samples of a run, read line by line for the formats that hold one entry a sample."""

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ValidationError

from codebench.errors import UsageError
from codebench.languages.verdict import Diagnostic, DiagnosticLevel, Outcome
from codebench.results.reading import Loaded
from codebench.store.disk import disk_errors


class Result(StrEnum):
    """What a sample counts as, where a format knows only that."""

    OK = "ok"
    FAILED = "failed"
    ERRORED = "errored"
    """We could not judge it."""


class _Times(BaseModel, frozen=True, extra="ignore"):
    generation_ms: float = 0.0
    compile_ms: float = 0.0


class ExportedSample(BaseModel, frozen=True, extra="ignore"):
    """The fields of a line of samples.jsonl that are exported; see `codebench.store.record`."""

    prompt_set: str
    prompt_id: str
    language: str
    index: int
    seed: int
    prompt: str
    completion: str
    finish_reason: str
    n_tokens: int = 0
    program: str
    outcome: Outcome
    flags: tuple[str, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    times: _Times = _Times()
    error: str | None = None

    @property
    def result(self) -> Result:
        """Whether it did all that was asked: it passed, or it compiled where nothing was run."""
        if not self.outcome.judged:
            return Result.ERRORED
        ok = self.outcome in {Outcome.PASSED, Outcome.COMPILED}
        return Result.OK if ok else Result.FAILED

    @property
    def written(self) -> str:
        """The model's part of the program: prompt + written is the program, where it continues."""
        continues = self.program.startswith(self.prompt)
        return self.program[len(self.prompt) :] if continues else self.completion

    @property
    def reason(self) -> str:
        """Why it did not do what was asked, in a line; the outcome where nothing else is known."""
        if self.error is not None:
            return self.error
        errors = [d.headline for d in self.diagnostics if d.level is DiagnosticLevel.ERROR]
        return errors[0] if errors else self.outcome.value


def samples_of(loaded: Loaded, what: str) -> Iterator[ExportedSample]:
    """Yield the samples of a run in the order in which they were judged.

    A torn last line is left out, and of a sample that was tried again the later line counts.

    Args:
        loaded: The run.
        what: The format that wants them, for the message.

    Raises:
        UsageError: if the results stand alone, or a line is no sample; names the file.
        EnvironmentProblem: if the file cannot be read.
    """
    file = loaded.samples
    if file is None or not file.is_file():
        raise UsageError(
            f"{what} needs the samples, and {loaded.path} stands alone: give the run directory"
            " (the run said where it is: runs/<run_id>)"
        )
    last = _last_lines(file)
    for number, sample in _lines(file):
        if last[_key(sample)] == number:
            yield sample


def _key(sample: ExportedSample) -> tuple[str, str, int]:
    return (sample.prompt_set, sample.prompt_id, sample.index)


def _last_lines(file: Path) -> dict[tuple[str, str, int], int]:
    return {_key(sample): number for number, sample in _lines(file)}


def _lines(file: Path) -> Iterator[tuple[int, ExportedSample]]:
    with disk_errors("read the samples", file), file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                yield number, ExportedSample.model_validate_json(line)
            except ValidationError as error:
                first = error.errors(include_url=False, include_input=False)[0]
                place = ".".join(map(str, first["loc"])) or "content"
                raise UsageError(
                    f"{file}, line {number} is no sample: {place}: {first['msg']}"
                ) from error
