"""What a checkpoint is: a directory of weights and tokenizer that was found, checked and named."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class CheckpointFormat(StrEnum):
    """A layout of files that codebench can load."""

    HUGGINGFACE = "huggingface"


class FingerprintKind(StrEnum):
    """How much of the files a fingerprint has read."""

    FULL = "full"
    """Every byte."""

    SAMPLED = "sampled"
    """Sizes, safetensors headers and evenly spaced blocks; the files are too large for more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointEntry:
    """A directory that looks like a checkpoint; its files are not checked."""

    path: Path
    format: CheckpointFormat
    step: int | None
    """Training step, from the directory's name or the trainer's state; None when neither says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointFiles:
    """The files of a checkpoint after their check."""

    weights: tuple[Path, ...]
    tokenizer: tuple[Path, ...]
    config: tuple[Path, ...]
    n_tokenizer_ids: int | None
    """Largest token id + 1; None when only the tokenizer's own library can tell."""

    n_embedding_rows: int | None
    """Rows of the input embedding, padding included; None when neither weights nor config say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A whole checkpoint: every file is there and the safetensors files are complete."""

    name: str
    """As the user typed it."""

    path: Path
    format: CheckpointFormat
    step: int | None
    fingerprint: str
    """SHA-256 (hex) over weights, tokenizer and configuration: what identifies the model."""

    fingerprint_kind: FingerprintKind
    files: CheckpointFiles
