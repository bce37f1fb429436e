"""What a foreign file holds: one sample as it was found, and the whole file as a run needs it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from codebench.sampling.completion import FinishReason
from codebench.sampling.replay import ReplayedCompletion

ExtractName = Literal["auto", "raw", "chat"]
"""A value of `ExtractMode`, which belongs to a room after this one."""


class ForeignFormat(StrEnum):
    """Whose file it is; the value is what the user is told."""

    HUMAN_EVAL = "human-eval"
    """JSONL with `task_id` and `completion`, the text after the prompt."""

    EVALPLUS = "evalplus"
    """JSONL with `task_id` and `solution`, a whole program."""

    MULTIPL_E = "multipl-e"
    """JSON of one problem: `name` and `completions`, or `results` with whole programs."""

    BIGCODE = "bigcode"
    """JSON list with one list of whole programs per problem, known by its position only."""

    CODEBENCH = "codebench"
    """The samples.jsonl of a run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundSample:
    """One sample as its file has it, not yet matched with a prompt."""

    name: str
    """The file's name of the prompt."""

    text: str
    """Completion, or whole program; without lone surrogates."""

    whole: bool = False
    """The text is a whole program, the prompt included."""

    prompt_set: str | None = None
    """Name of the set, where the file says it."""

    prompt_text: str | None = None
    """The prompt that the model was given, where the file says it."""

    brace_cut: bool = False
    """The closing brace was taken as a stop, and the file's tests begin with it."""

    index: int | None = None
    """Number among the samples of its prompt, where the file says it."""

    extraction: str | None = None
    """How its own run cut the program out, where the file says it."""

    finish_reason: FinishReason = FinishReason.EOS
    n_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignSamples:
    """Every sample of a foreign file that belongs to the prompts asked for."""

    format: ForeignFormat
    completions: tuple[ReplayedCompletion, ...]
    """In the order of the file; the indexes of each prompt go from 0 without gaps."""

    counts: Mapping[tuple[str, str], int]
    """Samples by (name of the prompt set, prompt id); prompts without samples are not in it."""

    extract: ExtractName
    """How programs are to be cut out of the completions."""

    fingerprint: str
    """SHA-256 (hex) of the bytes of the file; of a folder: of the names and bytes of its files."""

    n_skipped: int
    """Samples in the file for prompts that were not asked for."""

    warnings: tuple[str, ...] = field(default=())
    """What the user should know, a line each."""
