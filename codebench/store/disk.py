"""Write files so that a reader never sees half of one, and say in one line why a disk refused."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from codebench.errors import EnvironmentProblem

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_REFUSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


@contextlib.contextmanager
def disk_errors(doing: str, path: Path) -> Iterator[None]:
    """Turn every OSError of the block into one line with the path and the fix.

    Args:
        doing: what is tried, as "write the results".
        path: the file or directory that it is tried on.

    Raises:
        EnvironmentProblem: in place of any OSError.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            fix = "free some space and run the same command again: it goes on where it stopped"
        elif error.errno in _REFUSED:
            fix = "make it writable, or name another place (--run-dir, --output)"
        else:
            fix = "check the path, or name another place (--run-dir, --output)"
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise EnvironmentProblem(f"cannot {doing} at {path}: {reason}; {fix}") from error


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: a temporary file beside it, synced, then renamed.

    A link is followed. What exists and is no plain file (`/dev/stdout`, a pipe) is written to
    directly, because renaming would replace it.

    Raises:
        EnvironmentProblem: if it cannot be written; a file that was there is as it was.
    """
    with disk_errors("write", path):
        target = path.resolve()
        if target.exists() and not target.is_file():
            target.write_bytes(content)
            return
        temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
