"""Bytes to and from a supervisor in a container: the attached streams of Docker's API."""

import contextlib
import select
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

from codebench.errors import SandboxError

_STREAM_HEADER = struct.Struct("!BxxxL")
_STDERR = 2
_SHORTEST_WAIT_S = 0.001


class ContainerChannel:
    """The attached streams of one container; stdout and stderr come interleaved in small frames."""

    def __init__(self, attached: Any, *, remove: Callable[[], None]) -> None:  # noqa: ANN401 - docker's own
        self._attached, self._remove = attached, remove
        self._socket: socket.socket = getattr(attached, "_sock", attached)
        self._stdout = bytearray()
        self._stderr = b""
        self._raw = bytearray()
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
        while len(self._stdout) < size:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._socket], [], [], left)[0]:
                raise SandboxError("a slot did not answer in time")
            try:
                chunk = self._socket.recv(1 << 20)
            except OSError as error:
                raise SandboxError(f"a slot went away: {error}") from error
            if not chunk:
                raise SandboxError(f"a slot went away: {self._last_words()}")
            self._raw += chunk
            self._demultiplex()
        data = bytes(self._stdout[:size])
        del self._stdout[:size]
        return data

    def _demultiplex(self) -> None:
        at = 0
        while len(self._raw) - at >= _STREAM_HEADER.size:
            stream, size = _STREAM_HEADER.unpack_from(self._raw, at)
            end = at + _STREAM_HEADER.size + size
            if len(self._raw) < end:
                break
            payload = self._raw[at + _STREAM_HEADER.size : end]
            if stream == _STDERR:
                self._stderr = (self._stderr + payload)[-2000:]
            else:
                self._stdout += payload
            at = end
        del self._raw[:at]

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
