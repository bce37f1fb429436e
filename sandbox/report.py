"""How a step says what becomes of it: one pipe from its first two processes to the supervisor.

First who its init is, then one end: the facts of the program, or why it could not be started. End
of file means that nothing of the step is left.
"""

import json
import os
import resource
import struct
from typing import NamedTuple, NoReturn

_INIT = struct.Struct("!c?i")
_END = struct.Struct("!cidddq")


class End(NamedTuple):
    """How a program ended."""

    status: int
    """As from wait."""

    user_s: float
    system_s: float
    wall_s: float
    peak_bytes: int


def tell_init(fd: int, pid: int, *, has_namespace: bool) -> None:
    """Say whose death ends the step; without a PID namespace, whose family must be killed."""
    os.write(fd, _INIT.pack(b"I", has_namespace, pid))


def tell_end(fd: int, status: int, usage: resource.struct_rusage, wall_s: float) -> None:
    """Say how the program ended."""
    peak = usage.ru_maxrss * 1024
    os.write(fd, _END.pack(b"S", status, usage.ru_utime, usage.ru_stime, wall_s, peak))


def tell_error(fd: int, error: OSError) -> NoReturn:
    """Say that the step could not be started, and end."""
    os.write(fd, b"E" + json.dumps(str(error)).encode())
    os._exit(1)


class Report:
    """The supervisor's end of the pipe."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.init = 0
        self.has_namespace = False
        self.end: End | None = None
        self.error: str | None = None
        self.closed = False
        self._said = b""

    def read(self) -> None:
        """Take what is there; blocks when nothing is."""
        chunk = os.read(self.fd, 65536)
        if not chunk:
            self.closed = True
        self._said += chunk
        if self._said[:1] == b"I" and len(self._said) >= _INIT.size:
            _, self.has_namespace, self.init = _INIT.unpack(self._said[: _INIT.size])
            self._said = self._said[_INIT.size :]
        if self._said[:1] == b"S" and len(self._said) >= _END.size:
            self.end = End(*_END.unpack(self._said[: _END.size])[1:])
        elif self._said[:1] == b"E" and self.closed:
            self.error = str(json.loads(self._said[1:]))

    @property
    def ended(self) -> bool:
        """Whether the program has ended, however it did."""
        return self.end is not None or self.closed
