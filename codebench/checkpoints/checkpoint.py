"""What a checkpoint is: weights and a tokenizer that were found, checked and named."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


class CheckpointFormat(StrEnum):
    """A layout of files that codebench can load."""

    HUGGINGFACE = "huggingface"
    PEFT = "peft"
    NANOGPT = "nanogpt"
    NANOCHAT = "nanochat"
    NANOCHAT_TERNARY = "nanochat-rs-ternary"
    CUSTOM = "custom"
    """Opened by a function of the user's."""


class FingerprintKind(StrEnum):
    """How much of the files a fingerprint has read."""

    FULL = "full"
    """Every byte."""

    SAMPLED = "sampled"
    """Sizes, safetensors headers and evenly spaced blocks; the files are too large for more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointEntry:
    """A directory or file that looks like a checkpoint; nothing in it is checked."""

    path: Path
    format: CheckpointFormat
    step: int | None
    """Training step, from the name or from what the trainer wrote; None when neither says."""


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

    step: int | None = None
    """Training step that the files say; None where only the name may tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A whole checkpoint: every file is there and the safetensors files are complete."""

    name: str
    """As the user typed it."""

    path: Path
    """The directory, or the file where a format keeps several checkpoints in one."""

    format: CheckpointFormat
    step: int | None
    fingerprint: str
    """SHA-256 (hex) over weights, tokenizer, configuration and settings: what the model is."""

    fingerprint_kind: FingerprintKind
    files: CheckpointFiles

    settings: Mapping[str, str] = field(default_factory=dict)
    """What the user decided with `--set` where the files leave it open."""

    loader: str | None = None
    """`package.module:function` that opens a checkpoint of the format `custom`."""
