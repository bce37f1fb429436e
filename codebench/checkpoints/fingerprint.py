"""Identify a model by the content of its files, never by their path or time."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from codebench.checkpoints.checkpoint import FingerprintKind
from codebench.checkpoints.formats.settings import Settings
from codebench.errors import EnvironmentProblem

FULL_LIMIT_BYTES = 1 << 30
"""Files of at most this much together are read whole: about one second."""

_BLOCK_BYTES = 1 << 20
_N_BLOCKS = 64
"""Blocks read of each larger file, beside its first block, where the safetensors header is."""


def fingerprint(
    paths: Iterable[Path],
    *,
    settings: Settings | None = None,
    full_limit_bytes: int = FULL_LIMIT_BYTES,
) -> tuple[str, FingerprintKind]:
    """Return the SHA-256 (hex) over names and content of `paths`, and how much of them it read.

    What the user decided with `--set` is part of it.

    Known problem: a sampled fingerprint misses a change that lies between the blocks. Two steps of
    a training differ nearly everywhere, so it tells checkpoints apart.

    Raises:
        EnvironmentProblem: if a file cannot be read.
    """
    files = set(paths)
    try:
        total_bytes = sum(path.stat().st_size for path in files)
        is_full = total_bytes <= full_limit_bytes
        kind = FingerprintKind.FULL if is_full else FingerprintKind.SAMPLED
        lines = []
        for path in files:
            digest = _full_digest(path) if is_full else _sampled_digest(path)
            lines.append(f"\n{path.name} {path.stat().st_size} {digest}")
    except OSError as error:
        raise EnvironmentProblem(f"cannot read {error.filename}: {error.strerror}") from error
    lines.sort()  # by name; files of one name, in several folders, by content
    lines += [f"\n{name}={value}" for name, value in sorted((settings or {}).items())]
    return hashlib.sha256("".join((kind, *lines)).encode()).hexdigest(), kind


def _full_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sampled_digest(path: Path) -> str:
    size_bytes = path.stat().st_size
    if size_bytes <= _BLOCK_BYTES * _N_BLOCKS:
        return _full_digest(path)
    digest = hashlib.sha256()
    with path.open("rb") as file:
        digest.update(file.read(_BLOCK_BYTES))
        for i in range(_N_BLOCKS):
            file.seek((size_bytes - _BLOCK_BYTES) * i // (_N_BLOCKS - 1))
            digest.update(file.read(_BLOCK_BYTES))
    return digest.hexdigest()
