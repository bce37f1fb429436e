"""A line of samples.jsonl: one sample with everything that is needed to judge it again.

Texts hold no lone surrogates: JSON in UTF-8 cannot carry them, and neither can a source file that
a compiler reads. They become U+FFFD, as in any decoder. `valid_text` does that; the run loop calls
it on a completion before the program is cut, so that the stored program is byte for byte the one
that was compiled. The record does it again for whoever forgot.
"""

from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field

from codebench import SCHEMA_VERSION
from codebench.analysis.metrics import CodeMetrics
from codebench.extract import Extraction
from codebench.languages.verdict import Diagnostic, Outcome, TestReport
from codebench.prompts.model import Language
from codebench.sampling.completion import FinishReason
from codebench.sandbox.execution import Execution


def valid_text(text: str) -> str:
    """Return the text with every lone surrogate replaced by U+FFFD; other text is unchanged."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


Text = Annotated[str, AfterValidator(valid_text)]
"""A text that UTF-8 can carry."""


def _valid_diagnostics(diagnostics: tuple[Diagnostic, ...]) -> tuple[Diagnostic, ...]:
    return tuple(d.model_copy(update={"message": valid_text(d.message)}) for d in diagnostics)


def _valid_tests(tests: TestReport | None) -> TestReport | None:
    if tests is None or tests.failure is None:
        return tests
    said = tests.failure
    texts = {name: getattr(said, name) for name in type(said).model_fields if name != "line"}
    mended = {name: valid_text(text) for name, text in texts.items() if text is not None}
    return tests.model_copy(update={"failure": said.model_copy(update=mended)})


@dataclass(frozen=True, slots=True)
class SampleKey:
    """What tells the samples of one run apart."""

    prompt_set: str
    prompt_id: str
    index: int


class SampleTimes(BaseModel, frozen=True, extra="forbid", allow_inf_nan=False):
    """Where the time of one sample went, wall time in milliseconds."""

    generation_ms: float = Field(ge=0)
    """From the sampler's first step of this sample to its last."""

    compile_ms: float = Field(ge=0)
    """The compiler's wall time in the sandbox; 0 when an earlier execution was reused, and for
    Python with tests, which compiles in the step that tests."""

    test_ms: float = Field(default=0.0, ge=0)
    """Wall time of building with tests and running them, all steps; 0 when it was reused."""

    queue_ms: float = Field(ge=0)
    """Between the end of the sampling and the start of judging."""


class SampleRecord(BaseModel, frozen=True, extra="forbid", allow_inf_nan=False):
    """One sample: its prompt, completion, program, executions and verdict."""

    schema_version: int = SCHEMA_VERSION
    """Version of the shape of this line."""

    prompt_set: str
    """Name of the prompt set."""

    prompt_id: str
    """Name of the prompt, unique in its set."""

    language: Language
    """Language of the program."""

    index: int = Field(ge=0)
    """Number of the sample among those of its prompt, from 0."""

    seed: int = Field(ge=0)
    """Seed that this sample was drawn with."""

    prompt: Text
    """The text that the model continued, context included."""

    completion: Text
    """What the model wrote, uncut."""

    finish_reason: FinishReason
    """Why the sampler stopped writing."""

    n_tokens: int = Field(ge=0)
    """Tokens of the completion."""

    loop: Text | None = None
    """The text that the model repeated until it was stopped; None where it did not."""

    extraction: Extraction
    """How the program was cut out of the completion."""

    program: Text
    """The text that was compiled."""

    outcome: Outcome
    """The judgement."""

    flags: tuple[str, ...] = ()
    """What else is to be known, beside the outcome (truncated, repetition, empty ...)."""

    executions: tuple[Execution, ...] = ()
    """Facts of each step that ran, in order; empty when nothing ran."""

    diagnostics: Annotated[tuple[Diagnostic, ...], AfterValidator(_valid_diagnostics)] = ()
    """Messages of the compiler, bounded in number and length by the language."""

    n_warnings: int = Field(default=0, ge=0)
    """All warnings of the compiler, those not kept included."""

    tests: Annotated[TestReport | None, AfterValidator(_valid_tests)] = None
    """What the prompt's tests said; None when none were run."""

    lints: dict[str, int] | None = None
    """How often clippy showed each lint; None where it did not look."""

    metrics: CodeMetrics
    """Counts over the text of the program."""

    times: SampleTimes
    """Where the time went, in milliseconds."""

    execution_key: str | None = None
    """SHA-256 (hex) of program, flags, toolchain and limits; None when nothing was executed."""

    reused: bool = False
    """The executions are those of an identical program, not run again for this sample."""

    error: Text | None = None
    """Why we failed, for an infra_error; None otherwise."""

    @property
    def key(self) -> SampleKey:
        """What tells this sample from the others of the run."""
        return SampleKey(self.prompt_set, self.prompt_id, self.index)

    def to_line(self) -> bytes:
        """Return the record as one line of JSON, newline included."""
        return self.model_dump_json().encode() + b"\n"
