"""Bytes to and from a supervisor in a container: the attached streams of Docker's API."""

import contextlib
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

from codebench.errors import SandboxError

_STREAM_HEADER = struct.Struct("!BxxxL")
_STDERR, _SHOWN_STDERR_BYTES = 2, 2000
_SHORTEST_WAIT_S = 0.001
_SILENT = "a slot did not answer in time"


class ContainerChannel:
    """The attached streams of one container; stdout and stderr come interleaved in small frames."""

    def __init__(self, attached: Any, *, remove: Callable[[], None]) -> None:  # noqa: ANN401 - docker's own
        self._attached, self._remove = attached, remove
        self._socket: socket.socket = getattr(attached, "_sock", attached)
        self._stderr = b""
        self._left = 0
        """Bytes to come of the frame of stdout that is being read."""

        self._closed = False

    def send(self, data: bytes, *, deadline: float) -> None:
        """See `Channel`."""
        try:
            self._socket.settimeout(max(deadline - time.monotonic(), _SHORTEST_WAIT_S))
            self._socket.sendall(data)  # the timeout is for all of it
        except TimeoutError as error:
            raise SandboxError("a slot did not take its step in time") from error
        except OSError as error:
            raise SandboxError(f"a slot went away: {self._last_words()}") from error

    def receive(self, size: int, *, deadline: float) -> bytes:
        """See `Channel`."""
        data = memoryview(bytearray(size))  # files are large: what arrives is not copied about
        at = 0
        while at < size:
            while not self._left:
                self._begin_frame(deadline)
            n_read = self._read(data[at : at + self._left], deadline)
            at, self._left = at + n_read, self._left - n_read
        return data.tobytes()

    def _begin_frame(self, deadline: float) -> None:
        """Read up to the content of the next frame of stdout; what stderr says is kept.

        Raises:
            SandboxError: as `receive`.
        """
        stream, size = _STREAM_HEADER.unpack(self._read_all(_STREAM_HEADER.size, deadline))
        if stream != _STDERR:
            self._left = size
        else:
            said = self._read_all(size, deadline)
            self._stderr = (self._stderr + said)[-_SHOWN_STDERR_BYTES:]

    def _read_all(self, size: int, deadline: float) -> bytes:
        data = memoryview(bytearray(size))
        at = 0
        while at < size:
            at += self._read(data[at:], deadline)
        return data.tobytes()

    def _read(self, into: memoryview, deadline: float) -> int:
        left = deadline - time.monotonic()
        if left <= 0:
            raise SandboxError(_SILENT)
        try:
            self._socket.settimeout(left)
            n_read = self._socket.recv_into(into)
        except TimeoutError as error:
            raise SandboxError(_SILENT) from error
        except OSError as error:
            raise SandboxError(f"a slot went away: {error}") from error
        if not n_read:
            raise SandboxError(f"a slot went away: {self._last_words()}")
        return n_read

    def _last_words(self) -> str:
        lines = self._stderr.decode(errors="backslashreplace").split("\n")
        return next((line for line in reversed(lines) if line.strip()), "it said nothing")

    def close(self) -> None:
        """See `Channel`."""
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._attached.close()
        self._socket.close()
        self._remove()
