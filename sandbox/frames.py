"""Frames over a stream socket: length, running number, kind, bytes; one side speaks at a time.

Whoever writes into the stream beside the process that it belongs to breaks the running number.
"""

from __future__ import annotations

import os
import struct

from exact_types import MAX_BYTES

_HEADER = struct.Struct("!IIc")


class Gone(BaseException):
    """The other process left, or closed its end."""


class Broken(BaseException):
    """The other process sent what the protocol does not allow."""


class Channel:
    """One end of the socket; `failure` says why nothing can be read or written any more."""

    def __init__(self, descriptor: int) -> None:
        self.failure: BaseException | None = None
        self.descriptor = descriptor
        self._sent = self._received = 0
        self._buffer = b""

    def fail(self, failure: BaseException) -> BaseException:
        """Note the first failure and return the one that is given, to be raised."""
        self.failure = self.failure or failure
        return failure

    def send(self, kind: bytes, data: bytes) -> None:
        """Write one frame.

        Raises:
            Gone: if nobody reads it.
        """
        self._sent += 1
        view = memoryview(_HEADER.pack(len(data), self._sent & 0xFFFFFFFF, kind) + data)
        try:
            while view:
                view = view[os.write(self.descriptor, view) :]
        except OSError:
            raise self.fail(Gone("the other process left")) from None

    def receive(self) -> tuple[bytes, bytes]:
        """Read one frame: its kind and its bytes.

        Raises:
            Gone: if there is none to come.
            Broken: if it is too large or not the next one.
        """
        length, number, kind = _HEADER.unpack(self._read(_HEADER.size))
        self._received += 1
        if number != self._received & 0xFFFFFFFF:
            raise self.fail(Broken("a frame out of turn"))
        if length > MAX_BYTES:
            raise self.fail(Broken("a frame that is too large"))
        return kind, self._read(length)

    def _read(self, size: int) -> bytes:
        chunks, missing = [self._buffer], size - len(self._buffer)
        try:
            while missing > 0:
                chunk = os.read(self.descriptor, max(missing, 65536))
                if not chunk:
                    raise self.fail(Gone("the other process left"))
                chunks.append(chunk)
                missing -= len(chunk)
        except OSError:
            raise self.fail(Gone("the other process left")) from None
        data = b"".join(chunks)
        self._buffer = data[size:]
        return data[:size]
