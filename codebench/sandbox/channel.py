"""Bytes to and from one supervisor, whatever it runs in."""

import contextlib
import os
import select
import subprocess
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Protocol

from codebench.errors import SandboxError

_SHOWN_STDERR_BYTES = 2000


class Channel(Protocol):
    """A started supervisor. Every method has a deadline; none of them hangs."""

    def send(self, data: bytes, *, deadline: float) -> None:
        """Write all of `data`; `deadline` is in time.monotonic() seconds.

        Raises:
            SandboxError: if the supervisor is gone or the deadline passes.
        """
        ...

    def receive(self, size: int, *, deadline: float) -> bytes:
        """Return exactly `size` bytes; `deadline` as above.

        Raises:
            SandboxError: if the supervisor is gone or the deadline passes.
        """
        ...

    def close(self) -> None:
        """End the supervisor and everything in it. May be called twice."""
        ...


class ProcessChannel:
    """A supervisor that is a child process of ours, spoken to through pipes.

    Args:
        argv: the command.
        env: its whole environment.
        cores: the only ones it and its children run on; none: all that this process has.
        at_end: called when it has ended, or could not be started.

    Raises:
        SandboxError: if it cannot be started.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cores: Collection[int] = (),
        at_end: Callable[[], None] = lambda: None,
    ) -> None:
        self._at_end = at_end
        with contextlib.ExitStack() as undo:
            undo.callback(at_end)
            try:
                self._stderr = undo.enter_context(tempfile.TemporaryFile())
                with _only_on(cores):
                    self._process = subprocess.Popen(
                        argv,
                        stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE,
                        stderr=self._stderr,
                        env=dict(env),
                        bufsize=0,
                        start_new_session=True,  # Ctrl-C is for the harness: it closes its slots
                    )
                assert self._process.stdin is not None
                os.set_blocking(self._process.stdin.fileno(), False)
            except OSError as error:
                raise SandboxError(f"cannot start {argv[0]}: {error.strerror}") from error
            undo.pop_all()  # from here on `close` does it

    def send(self, data: bytes, *, deadline: float) -> None:
        """See `Channel`."""
        assert self._process.stdin is not None
        view = memoryview(data)
        try:
            fd = self._process.stdin.fileno()
            while view:
                left = deadline - time.monotonic()
                if not _is_ready(fd, select.POLLOUT, left):
                    raise SandboxError("a slot did not take its step in time")
                view = view[os.write(fd, view) :]
        except (OSError, ValueError) as error:
            raise SandboxError(f"a slot went away: {self._last_words()}") from error

    def receive(self, size: int, *, deadline: float) -> bytes:
        """See `Channel`."""
        assert self._process.stdout is not None
        fd = self._process.stdout.fileno()
        chunks: list[bytes] = []
        while size:
            left = deadline - time.monotonic()
            if not _is_ready(fd, select.POLLIN, left):
                raise SandboxError("a slot did not answer in time")
            chunk = os.read(fd, min(size, 1 << 20))
            if not chunk:
                raise SandboxError(f"a slot went away: {self._last_words()}")
            chunks.append(chunk)
            size -= len(chunk)
        return b"".join(chunks)

    def _last_words(self) -> str:
        if self._stderr.closed:
            return "it was closed"
        end = self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, end - _SHOWN_STDERR_BYTES))
        lines = self._stderr.read().decode(errors="backslashreplace").split("\n")
        return next((line for line in reversed(lines) if line.strip()), "it said nothing")

    def close(self) -> None:
        """See `Channel`. End of file ends the supervisor; a kill follows if it does not."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        try:
            self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._stderr.close()
        self._at_end()


@contextlib.contextmanager
def _only_on(cores: Collection[int]) -> Iterator[None]:
    """Let this thread, and what it starts, run on some cores alone; on all where that is refused.

    (A function to be called in the child would keep `subprocess` from its fast way to start one.)
    """
    before = os.sched_getaffinity(0)
    if cores:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, before)


def _is_ready(fd: int, event: int, left_s: float) -> bool:
    """Wait `left_s` seconds at most; unlike select(2), for a descriptor of any number."""
    poll = select.poll()
    poll.register(fd, event)
    return left_s > 0 and bool(poll.poll(left_s * 1000))
