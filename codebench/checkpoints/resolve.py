"""Turn what the user typed into a checked checkpoint.

A name is a path, or, below the root (default `./checkpoints`): a directory's name, a step number
("10000", "step_10000") or `latest`. Imports neither torch nor transformers.
"""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from codebench.checkpoints.checkpoint import (
    Checkpoint,
    CheckpointEntry,
    CheckpointFiles,
    CheckpointFormat,
)
from codebench.checkpoints.fingerprint import fingerprint
from codebench.checkpoints.huggingface import (
    check_huggingface,
    explain_what_is_missing,
    looks_like_huggingface,
)
from codebench.errors import EnvironmentProblem, UsageError

DEFAULT_ROOT = Path("checkpoints")
LATEST = "latest"

_RECOGNISERS: Mapping[CheckpointFormat, Callable[[Path], bool]] = {
    CheckpointFormat.HUGGINGFACE: looks_like_huggingface,
}
_CHECKS: Mapping[CheckpointFormat, Callable[[Path], CheckpointFiles]] = {
    CheckpointFormat.HUGGINGFACE: check_huggingface,
}
_STEP = re.compile(r"(?:(?:.*[-_.])?(?:step|checkpoint|ckpt|iter)[-_.]?)?(\d{1,18})")
_N_LISTED = 8


def resolve_checkpoint(name: str, *, root: Path | None = None) -> Checkpoint:
    """Find the checkpoint called `name` and check that it is whole.

    Raises:
        UsageError: if there is none, it is ambiguous, or its tokenizer is missing or does not fit.
        EnvironmentProblem: if its files are incomplete, damaged or not readable.
    """
    path = _find(name, DEFAULT_ROOT if root is None else root)
    found = _format_of(path)
    if found is None:
        raise UsageError(f"{path} is no checkpoint: {_why_not(path)}")
    files = _CHECKS[found](path)
    digest, kind = fingerprint((*files.weights, *files.tokenizer, *files.config))
    return Checkpoint(
        name=name,
        path=path,
        format=found,
        step=step_of(path),
        fingerprint=digest,
        fingerprint_kind=kind,
        files=files,
    )


def list_checkpoints(root: Path | None = None) -> tuple[CheckpointEntry, ...]:
    """List what looks like a checkpoint directly below `root`, lowest step first, unchecked.

    Raises:
        EnvironmentProblem: if `root` is there and cannot be read.
    """
    entries = []
    for path in _children(DEFAULT_ROOT if root is None else root):
        found = _format_of(path)
        if found is not None:
            entries.append(CheckpointEntry(path=path, format=found, step=step_of(path)))
    return tuple(sorted(entries, key=_age))


def step_of(path: Path) -> int | None:
    """Return the training step from the directory's name, else from `trainer_state.json`."""
    match = _STEP.fullmatch(path.resolve().name)
    if match:
        return int(match[1])
    try:
        step = json.loads((path / "trainer_state.json").read_bytes())["global_step"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return step if isinstance(step, int) else None


def _age(entry: CheckpointEntry) -> tuple[int, float, str]:
    step = -1 if entry.step is None else entry.step
    return step, entry.path.stat().st_mtime, entry.path.name


def _format_of(path: Path) -> CheckpointFormat | None:
    return next((kind for kind, is_kind in _RECOGNISERS.items() if is_kind(path)), None)


def _children(root: Path) -> list[Path]:
    try:
        return [path for path in root.iterdir() if path.is_dir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise EnvironmentProblem(f"cannot list {root}: {error.strerror}") from error


def _find(name: str, root: Path) -> Path:
    for path in (Path(name).expanduser(), root / name):
        if name and path.is_dir():
            return path
        if name and path.is_file():
            raise UsageError(f"{path} is a file: name the checkpoint's directory, {path.parent}")
    entries = list_checkpoints(root)
    if name == LATEST and entries:
        return entries[-1].path
    match = _STEP.fullmatch(name)
    same_step = [entry.path for entry in entries if match and entry.step == int(match[1])]
    if len(same_step) > 1:
        names = ", ".join(sorted(path.name for path in same_step))
        raise UsageError(f"checkpoint {name!r} is ambiguous below {root}: {names}; name one")
    if same_step:
        return same_step[0]
    raise UsageError(f"no checkpoint {name!r} here or below {root}: {_listing(entries)}")


def _listing(entries: tuple[CheckpointEntry, ...]) -> str:
    if not entries:
        return "there is none; give a path, or --checkpoint-root"
    names = ", ".join(entry.path.name for entry in entries[-_N_LISTED:])
    more = len(entries) - _N_LISTED
    return f"there are {names}" + (f" and {more} older" if more > 0 else "")


def _why_not(path: Path) -> str:
    inside = list_checkpoints(path)
    if inside:
        return f"it holds checkpoints, name one of them; {_listing(inside)}"
    return explain_what_is_missing(path)
