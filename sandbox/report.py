"""How a step says what becomes of it: one pipe from its first two processes to the supervisor.

First who its init is, then one end: the facts of the program, or why it could not be started. End
of file means that nothing of the step is left.
"""

import contextlib
import errno
import os
import resource
import struct
from collections.abc import Iterator
from typing import NamedTuple

_INIT = struct.Struct("!c?i")
_END = struct.Struct("!cidddq")
_ERROR = struct.Struct("!c?I")
_MAX_ERROR = 1024
"""Bytes; with it every record is written and read whole, as pipes promise up to PIPE_BUF."""


class RefusedError(OSError):
    """This host does not let a container make namespaces and mounts of its own."""


_REFUSALS = {errno.EPERM, errno.EACCES, errno.ENOSPC, errno.EINVAL, errno.ENOSYS}
"""What the kernel, its limits, seccomp and AppArmor answer; any other error is a fault."""


class End(NamedTuple):
    """How a program ended."""

    status: int
    """As from wait."""

    user_s: float
    system_s: float
    wall_s: float
    peak_bytes: int


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """Tell a host that forbids what the block does from a fault.

    Raises:
        RefusedError: in place of an OSError that says so.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _REFUSALS:
            where = f"{error.filename}: " if error.filename else ""
            raise RefusedError(f"{where}{error.strerror}") from error
        raise


def tell_init(fd: int, pid: int, *, is_program: bool = False) -> None:
    """Say from whom all of the step descends, and whether that is the program itself."""
    os.write(fd, _INIT.pack(b"I", is_program, pid))


def tell_end(fd: int, status: int, usage: resource.struct_rusage, wall_s: float) -> None:
    """Say how the program ended."""
    peak = usage.ru_maxrss * 1024
    os.write(fd, _END.pack(b"S", status, usage.ru_utime, usage.ru_stime, wall_s, peak))


def tell_error(fd: int, error: Exception) -> None:
    """Say that the step could not be started."""
    text = str(error).encode(errors="replace")[:_MAX_ERROR]
    refused = isinstance(error, RefusedError)
    os.write(fd, _ERROR.pack(b"E", refused, len(text)) + text)


class Report:
    """The supervisor's end of the pipe."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.init = 0
        self.init_is_program = False
        self.end: End | None = None
        self.error: OSError | None = None
        self.closed = False
        self._said = b""

    def read(self) -> None:
        """Take what is there; blocks when nothing is."""
        chunk = os.read(self.fd, 65536)
        if not chunk:
            self.closed = True
        self._said += chunk
        while self._said and (size := self._take(self._said)):
            self._said = self._said[size:]

    def _take(self, said: bytes) -> int:
        """Read the record that stands first, and return its size; init's own may come behind."""
        if said[:1] == b"I":
            _, self.init_is_program, self.init = _INIT.unpack(said[: _INIT.size])
            return _INIT.size
        if said[:1] == b"S":
            self.end = End(*_END.unpack(said[: _END.size])[1:])
            return _END.size
        _, refused, size = _ERROR.unpack(said[: _ERROR.size])
        text = said[_ERROR.size : _ERROR.size + size].decode(errors="replace")
        self.error = RefusedError(text) if refused else OSError(text)
        return _ERROR.size + int(size)

    @property
    def ended(self) -> bool:
        """Whether the program has ended, however it did."""
        return self.end is not None or self.closed
