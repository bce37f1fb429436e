"""results.json: the contract. Adding a key is allowed; a key never changes its name or meaning.

Every key that ends in `_rate` is percent 0-100, and so is its interval; `_at_k` and `_share` are
0-1; `_ms` and `_s` are time. What is undefined is null beside its counts, never NaN and never 0.
"""

import orjson
from pydantic import Field

from codebench.results.parts import (
    Clippy,
    Degeneration,
    Described,
    Diversity,
    Intervals,
    LanguageResults,
    PromptResults,
    Ratings,
    RunWarning,
    Sampling,
    Similarity,
    Tests,
    Timing,
)
from codebench.store.manifest import ISO_UTC, CheckpointInfo, Environment, PromptSetInfo


class Results(Described):
    """The results of one run of codebench."""

    checkpoint: str
    """The checkpoint as the user named it."""

    timestamp: str = Field(pattern=ISO_UTC)
    """When the run ended, UTC, ISO 8601 with Z."""

    total_samples: int
    """Number of samples, judged or not."""

    compile_success_rate: float | None
    """100 * compiled / judged, percent 0-100; a number once one sample was judged, else null."""

    compile_errors: tuple[str, ...]
    """Distinct messages of the compiler, as `error[E0308]: mismatched types`, by the number of
    judged samples that show them, most frequent first, at most 50."""

    avg_lines: float | None
    """Mean number of non-empty lines of a program; null without samples."""

    avg_functions: float | None
    """Mean number of functions of a program; null when none could be analysed."""

    avg_complexity: float | None
    """Mean complexity (1 + branches) of a program; null when none could be analysed."""

    avg_generation_time_ms: float | None
    """Mean wall time from the first step of a sample to its last, milliseconds; samples that are
    drawn together overlap. Null without samples."""

    tokens_per_second: float | None
    """Generated tokens per second that the sampler was busy, in the last invocation; null when it
    drew nothing."""

    samples_by_prompt: tuple[PromptResults, ...]
    """The prompts in the order of their sets."""

    schema_version: int
    """Version of the shape of this file."""

    metric_version: int
    """Version of what the numbers mean; unlike versions cannot be compared."""

    run_id: str
    """Name of the run; the same command gives the same name."""

    step: int | None
    """Training step of the checkpoint; null when nothing tells it."""

    judged: int
    """Number of samples in the denominator of every rate: all but infra_error."""

    compiled: int
    """Number of judged samples whose program compiled."""

    outcomes: dict[str, int]
    """Number of samples by outcome; outcomes that did not occur are left out."""

    error_codes: dict[str, int]
    """Number of judged samples that show each error code, most frequent first."""

    warnings_per_sample: float | None
    """Mean number of compiler warnings of a judged sample; null when nothing was judged."""

    intervals: Intervals
    """How far the rates may be from the truth, percent."""

    pass_at_k: dict[str, float]
    """By k: chance 0-1 that one of k samples passes every test, mean over the sampled prompts with
    tests; left out where one of them has fewer than k judged samples; empty when no tests ran."""

    compile_at_k: dict[str, float]
    """By k: chance 0-1 that one of k samples compiles, mean over the sampled prompts; left out
    where one of them has fewer than k judged samples."""

    pass_rate: float | None
    """100 * passed / judged over the prompts with tests, percent 0-100; null when no tests ran."""

    tests: Tests | None
    """What the tests said; null when none ran."""

    error_classes: dict[str, int]
    """Number of programs that do not compile, by the class of their first error: syntax, resolve,
    type, borrow, other; most frequent first."""

    extractions: dict[str, int]
    """Number of samples by the way their program was cut out of the completion."""

    languages: dict[str, LanguageResults]
    """The samples by language; languages without prompts are left out."""

    diversity: Diversity
    """How much the programs differ."""

    degeneration: Degeneration
    """Signs that the model has stopped writing code."""

    similarity: Similarity | None
    """How near the programs are to the references of their prompts; null in older files."""

    clippy: Clippy | None
    """What clippy says about the programs that compile; null where it was not asked or none
    was looked at."""

    ratings: Ratings | None
    """What people said of the programs; null where nobody has rated any."""

    timing: Timing
    """Where the time went, seconds."""

    sampling: Sampling
    """How completions were drawn."""

    environment: Environment
    """What the last invocation ran on and with."""

    checkpoint_info: CheckpointInfo
    """What was found under the checkpoint's name."""

    prompt_sets: tuple[PromptSetInfo, ...]
    """The prompt sets of the run."""

    warnings: tuple[RunWarning, ...]
    """What a reader of the numbers must know; empty when nothing."""

    def to_json(self) -> bytes:
        """Return the file's content: JSON in UTF-8, indented by 2, newline at the end."""
        options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
        return orjson.dumps(self.model_dump(mode="json"), option=options)


def results_schema() -> dict[str, object]:
    """Return the JSON Schema (draft 2020-12) of results.json."""
    schema = Results.model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
