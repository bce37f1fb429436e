"""The samples of a run as the report shows them: read line by line, every text bounded and visible.

Reads what samples.jsonl holds today and what it held before: only the fields that are shown, each
with a stand-in. A torn last line is left out, as the store does it. A sample that was tried again
after an infra_error has two lines; the later one counts.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ValidationError

from codebench.errors import UsageError
from codebench.visible import shortened, visible

MAX_PROGRAM_CHARS = 20_000
MAX_MESSAGE_CHARS = 600
_MAX_DIAGNOSTICS = 12
_CUT_CHARS = 2 * MAX_PROGRAM_CHARS
"""A text is cut here before anything is done with it, and at its own limit after."""


def _program(value: object) -> object:
    return _bounded(value, MAX_PROGRAM_CHARS)


def _message(value: object) -> object:
    return _bounded(value, MAX_MESSAGE_CHARS)


def _bounded(value: object, limit: int) -> object:
    if not isinstance(value, str):
        return value
    text = visible(value[:_CUT_CHARS])
    cut = text[:limit]
    missing = len(value) - len(value[:_CUT_CHARS]) + len(text) - len(cut)
    return f"{cut}… ({missing:,} more characters)" if missing else cut


ProgramText = Annotated[str, BeforeValidator(_program)]
Message = Annotated[str, BeforeValidator(_message)]


class _Shown(BaseModel, frozen=True, extra="ignore"):
    """A part of a line; fields that the report does not show are passed over."""


class ShownDiagnostic(_Shown):
    """One message of the compiler."""

    level: Message
    code: Message | None = None
    message: Message
    line: int | None = None


class ShownFailure(_Shown):
    """The first check that failed."""

    check: Message
    arguments: Message | None = None
    expected: Message | None = None
    got: Message | None = None
    message: Message | None = None
    line: int | None = None


class ShownTests(_Shown):
    """What the tests said."""

    planned: int
    passed: int
    built: bool = True
    failure: ShownFailure | None = None


class _Times(_Shown):
    generation_ms: float = 0.0
    compile_ms: float = 0.0


def _tests(value: object) -> object:
    return value if isinstance(value, dict) and "planned" in value else None


def _few(value: object) -> object:
    return value[:_MAX_DIAGNOSTICS] if isinstance(value, list) else value


class ShownSample(_Shown):
    """One sample."""

    prompt_set: Message
    prompt_id: Message
    language: Message
    index: int
    seed: int
    prompt: ProgramText = ""
    completion: ProgramText = ""
    finish_reason: Message = ""
    n_tokens: int = 0
    loop: Message | None = None
    program: ProgramText = ""
    outcome: Message
    flags: tuple[Message, ...] = ()
    diagnostics: Annotated[tuple[ShownDiagnostic, ...], BeforeValidator(_few)] = ()
    tests: Annotated[ShownTests | None, BeforeValidator(_tests)] = None
    times: _Times = _Times()
    error: Message | None = None


def read_samples(path: Path) -> list[ShownSample]:
    """Return the samples of a samples.jsonl, in the order of their first lines.

    Raises:
        UsageError: if it cannot be read, or a line before the last is no sample; names the line.
    """
    samples: dict[tuple[str, str, int], ShownSample] = {}
    for sample in _lines(path):
        samples[sample.prompt_set, sample.prompt_id, sample.index] = sample
    return list(samples.values())


def _lines(path: Path) -> Iterator[ShownSample]:
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    fields = json.loads(line)
                    yield ShownSample.model_validate(fields)
                except (ValidationError, ValueError, RecursionError) as error:
                    if not line.endswith(b"\n"):
                        return
                    what = shortened(visible(" ".join(str(error).split())), 120)
                    raise UsageError(
                        f"{path}, line {number} is no sample that can be shown ({what});"
                        " delete that line, or give the results.json outside the run directory"
                    ) from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error
