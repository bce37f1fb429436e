"""Check a checkpoint of the user's own format, which `--loader package.module:function` opens.

The checkpoint may be any file or folder. Its fingerprint covers every regular file of it, the
tokenizer if one is given, and the source file of the loader, so that another loader is another
model. Nothing of the user's is imported here.
"""

import importlib.util
import re
import sys
from pathlib import Path

from codebench.checkpoints.checkpoint import CheckpointFiles
from codebench.checkpoints.formats.tokenizer_files import given_tokenizer
from codebench.errors import EnvironmentProblem, UsageError

_LOADER = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")
_MOST_FILES = 10_000


def loader_source(loader: str) -> Path:
    """Return the file of the module in `package.module:function`; the current folder counts.

    Raises:
        UsageError: if it is not written like that, or there is no such module.
    """
    if not _LOADER.fullmatch(loader):
        raise UsageError(f"--loader {loader!r}: write it as package.module:function")
    module = loader.partition(":")[0]
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        spec = importlib.util.find_spec(module)
    except ImportError as error:
        raise UsageError(f"--loader {loader}: cannot import its package: {error}") from error
    if spec is None or spec.origin is None:
        raise UsageError(f"--loader {loader}: no module {module} here or on PYTHONPATH")
    return Path(spec.origin)


def check_custom(path: Path, tokenizer: Path | None, loader: str) -> CheckpointFiles:
    """List the files of `path`, with the loader's source.

    Raises:
        UsageError: if the loader or the tokenizer is not there, or the folder has no files.
        EnvironmentProblem: if the folder cannot be listed.
    """
    source = loader_source(loader)
    try:
        files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    except OSError as error:
        raise EnvironmentProblem(f"cannot list {path}: {error.strerror}") from error
    if not 0 < len(files) <= _MOST_FILES:
        raise UsageError(f"{path} holds {len(files)} files: name the checkpoint itself")
    return CheckpointFiles(
        weights=tuple(files),
        tokenizer=() if tokenizer is None else given_tokenizer(tokenizer),
        config=(source,),
        n_tokenizer_ids=None,
        n_embedding_rows=None,
    )
