"""Turn what the user typed into a checked checkpoint.

A name is a path, or, below the root (default `./checkpoints`): a directory's or file's name, a step
number ("10000", "step_10000", "model_010000") or `latest`. A folder that holds the steps of one
training, as files (nanochat's base_checkpoints/d20) or as folders, means its newest. Imports
neither torch nor transformers.
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
from codebench.checkpoints.formats.custom import check_custom
from codebench.checkpoints.formats.huggingface import (
    check_huggingface,
    explain_what_is_missing,
    looks_like_huggingface,
)
from codebench.checkpoints.formats.nanochat import (
    check_nanochat,
    looks_like_nanochat,
    nanochat_step,
)
from codebench.checkpoints.formats.nanogpt import (
    CKPT,
    check_nanogpt,
    is_named_like_nanogpt,
    looks_like_nanogpt,
    nanogpt_step,
)
from codebench.checkpoints.formats.peft import check_adapter, looks_like_adapter
from codebench.checkpoints.formats.settings import Settings, check_names
from codebench.checkpoints.formats.ternary import check_ternary, looks_like_ternary, ternary_step
from codebench.errors import EnvironmentProblem, UsageError

DEFAULT_ROOT = Path("checkpoints")
LATEST = "latest"

_RECOGNISERS: Mapping[CheckpointFormat, Callable[[Path], bool]] = {
    CheckpointFormat.HUGGINGFACE: looks_like_huggingface,
    CheckpointFormat.PEFT: looks_like_adapter,
    CheckpointFormat.NANOCHAT_TERNARY: looks_like_ternary,
    CheckpointFormat.NANOCHAT: looks_like_nanochat,
    CheckpointFormat.NANOGPT: looks_like_nanogpt,
}
_CHECKS: Mapping[CheckpointFormat, Callable[[Path, Path | None, Settings], CheckpointFiles]] = {
    CheckpointFormat.HUGGINGFACE: check_huggingface,
    CheckpointFormat.PEFT: check_adapter,
    CheckpointFormat.NANOCHAT_TERNARY: check_ternary,
    CheckpointFormat.NANOCHAT: check_nanochat,
    CheckpointFormat.NANOGPT: check_nanogpt,
}
_STEPS: Mapping[CheckpointFormat, Callable[[Path], int | None]] = {
    CheckpointFormat.NANOCHAT_TERNARY: ternary_step,
    CheckpointFormat.NANOCHAT: nanochat_step,
    CheckpointFormat.NANOGPT: nanogpt_step,
}
"""How a format says its step where the name of the directory does not."""

_STEP = re.compile(r"(?:(?:.*[-_.])?(?:step|checkpoint|ckpt|iter)[-_.]?)?(\d{1,18})")
_MODEL_STEP = re.compile(r"model_(\d{1,18})(?:\.pt)?")
_N_LISTED = 8


def resolve_checkpoint(
    name: str,
    *,
    root: Path | None = None,
    tokenizer: Path | None = None,
    settings: Settings | None = None,
    loader: str | None = None,
) -> Checkpoint:
    """Find the checkpoint called `name` and check that it is whole.

    Args:
        name: As the user typed it.
        root: Where names are looked up; by default `./checkpoints`.
        tokenizer: A tokenizer file, or a folder that holds one, instead of the one found.
        settings: What the user decides where the files leave it open, by name.
        loader: `package.module:function` that opens it, whatever its format is.

    Raises:
        UsageError: if there is none, it is ambiguous, or its tokenizer is missing or does not fit.
        EnvironmentProblem: if its files are incomplete, damaged or not readable.
    """
    root = DEFAULT_ROOT if root is None else root
    settings = {} if settings is None else dict(settings)
    if loader is not None:
        path, found = _find_any(name, root), CheckpointFormat.CUSTOM
        check_names(settings, (), owner="--loader")
        files = check_custom(path, tokenizer, loader)
    else:
        path = _find(name, root)
        recognised = _format_of(path)
        if recognised is None:
            raise UsageError(f"{path} is no checkpoint: {_why_not(path)}")
        found = recognised
        files = _CHECKS[found](path, tokenizer, settings)
    decided = settings if loader is None else {"loader": loader}
    digest, kind = fingerprint((*files.weights, *files.tokenizer, *files.config), settings=decided)
    return Checkpoint(
        name=name,
        path=path,
        format=found,
        step=step_of(path) if files.step is None else files.step,
        fingerprint=digest,
        fingerprint_kind=kind,
        files=files,
        settings=settings,
        loader=loader,
    )


def list_checkpoints(root: Path | None = None) -> tuple[CheckpointEntry, ...]:
    """List what looks like a checkpoint below `root`, lowest step first, unchecked.

    That is: directories and files directly in it, and the files of a training in a folder of it.

    Raises:
        EnvironmentProblem: if `root` is there and cannot be read.
    """
    entries: list[CheckpointEntry] = []
    for path in _children(DEFAULT_ROOT if root is None else root):
        entry = _entry(path)
        if entry is not None:
            entries.append(entry)
        elif path.is_dir():
            entries += _file_entries(path)
    return tuple(sorted(entries, key=_age))


def step_of(path: Path) -> int | None:
    """Return the training step from the name of a directory, else from `trainer_state.json`."""
    match = _STEP.fullmatch(path.resolve().name)
    if match:
        return int(match[1])
    try:
        step = json.loads((path / "trainer_state.json").read_bytes())["global_step"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return step if isinstance(step, int) else None


def _entry(path: Path) -> CheckpointEntry | None:
    found = _format_of(path)
    if found is None or (found is CheckpointFormat.NANOGPT and not is_named_like_nanogpt(path)):
        return None
    step = step_of(path) if path.is_dir() else None
    if step is None and found in _STEPS:
        step = _STEPS[found](path)
    return CheckpointEntry(path=path, format=found, step=step)


def _file_entries(folder: Path) -> list[CheckpointEntry]:
    """List the checkpoints that are single files in `folder`; none where it cannot be read."""
    try:
        files = [path for path in folder.iterdir() if path.is_file()]
    except OSError:
        return []
    return [entry for path in files if (entry := _entry(path)) is not None]


def _age(entry: CheckpointEntry) -> tuple[int, float, str]:
    step = -1 if entry.step is None else entry.step
    return step, entry.path.stat().st_mtime, entry.path.name


def _format_of(path: Path) -> CheckpointFormat | None:
    return next((kind for kind, is_kind in _RECOGNISERS.items() if is_kind(path)), None)


def _children(root: Path) -> list[Path]:
    try:
        return list(root.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise EnvironmentProblem(f"cannot list {root}: {error.strerror}") from error


def _find_any(name: str, root: Path) -> Path:
    """Return the file or folder called `name`, whatever it holds."""
    for path in (Path(name).expanduser(), root / name):
        if name and path.exists():
            return path
    raise UsageError(f"no checkpoint {name!r} here or below {root}")


def _find(name: str, root: Path) -> Path:
    for path in (Path(name).expanduser(), root / name):
        if name and path.is_dir():
            return _newest_step(path)
        if name and path.is_file():
            if _format_of(path) is not None:
                return path
            raise UsageError(f"{path} is a file: name the checkpoint's directory, {path.parent}")
    entries = list_checkpoints(root)
    if name == LATEST and entries:
        return entries[-1].path
    match = _STEP.fullmatch(name) or _MODEL_STEP.fullmatch(name)
    same_step = [entry.path for entry in entries if match and entry.step == int(match[1])]
    if len(same_step) > 1:
        names = ", ".join(sorted(_shown(path, root) for path in same_step))
        raise UsageError(f"checkpoint {name!r} is ambiguous below {root}: {names}; name one")
    if same_step:
        return same_step[0]
    raise UsageError(f"no checkpoint {name!r} here or below {root}: {_listing(entries)}")


def _newest_step(folder: Path) -> Path:
    """Return the newest of the steps that are files or folders in `folder`, or `folder` itself."""
    if _format_of(folder) is not None:
        return folder
    if (folder / CKPT).is_file():
        return folder / CKPT
    entries = _file_entries(folder)
    if not entries:
        entries = [entry for entry in list_checkpoints(folder) if entry.step is not None]
    return max(entries, key=_age).path if entries else folder


def _shown(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) if path.is_relative_to(root) else path.name


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
