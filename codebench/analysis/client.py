"""Measures programs in a child process that can be killed: the harness never hangs, never crashes.

Covers: the child's life (started once, started again after a crash, a hang or a kill from outside)
and the deadline of each program. Does not cover: what is counted (`syntax`).
"""

import json
import os
import select
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from codebench.analysis.metrics import CodeMetrics, Exposed, count_lines
from codebench.analysis.worker import EXPOSE, LENGTH
from codebench.errors import EnvironmentProblem
from codebench.prompts.model import Language

MAX_PROGRAM_BYTES = 1024**2
"""Larger programs get their lines counted and nothing else."""

START_DEADLINE_S = 60.0

_TAGS = {Language.RUST: b"r", Language.PYTHON: b"p"}


class _ChildLostError(Exception):
    """The child ended, or was silent past the deadline."""


class Analyzer:
    """A parser process behind a lock; a context manager, to be used from any thread.

    Args:
        deadline_s: Wall-clock seconds for one program; then the child is killed.
    """

    def __init__(self, *, deadline_s: float = 5.0) -> None:
        self._deadline_s = deadline_s
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start the child.

        Raises:
            EnvironmentProblem: if it does not start, as when tree-sitter is not installed.
        """
        with self._lock:
            try:
                self._running_child()
            except (_ChildLostError, OSError) as error:
                raise EnvironmentProblem(
                    "the parser process does not start: reinstall codebench "
                    "(tree-sitter, tree-sitter-rust, tree-sitter-python)"
                ) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the child."""
        with self._lock:
            self._end_child()

    @property
    def pid(self) -> int | None:
        """Process id of the child, None while there is none."""
        return self._child.pid if self._child is not None else None

    def measure(self, text: str, language: Language, *, written_from: int = 0) -> CodeMetrics:
        """Return the metrics of one program; never raises and never waits past the deadline.

        A program that hangs the parser, crashes it twice or is too large has its lines counted,
        and None for the rest.

        Args:
            text: The program.
            language: Its language.
            written_from: Byte at which the model began to write; only the shape depends on it.
        """
        lines = count_lines(text)
        source = text.encode("utf-8", "surrogatepass")
        counts = None
        if len(source) <= MAX_PROGRAM_BYTES:
            counts = self._answer(_TAGS[language] + LENGTH.pack(written_from) + source)
        if counts is None:
            return CodeMetrics(
                lines=lines, functions=None, complexity=None, items=None, parses=None
            )
        return CodeMetrics.model_validate({"lines": lines, **json.loads(counts)})

    def expose(self, program: str, *, head: str) -> Exposed | None:
        """Return a Rust program with its items public; None where the parser gave no answer.

        Args:
            program: The whole program.
            head: What it begins with that is the prompt's; its names are returned.
        """
        source, length = program.encode("utf-8", "replace"), len(head.encode("utf-8", "replace"))
        if len(source) > MAX_PROGRAM_BYTES:
            return None
        answer = self._answer(EXPOSE + LENGTH.pack(length) + source)
        return None if answer is None else Exposed.model_validate_json(answer)

    def _answer(self, payload: bytes) -> bytes | None:
        with self._lock:
            for _attempt in range(2):  # the child may have been killed from outside
                try:
                    child = self._running_child()
                    return _exchange(child, payload, deadline=time.monotonic() + self._deadline_s)
                except TimeoutError:
                    self._end_child()
                    return None
                except (_ChildLostError, OSError):
                    self._end_child()
        return None

    def _running_child(self) -> subprocess.Popen[bytes]:
        if self._child is not None and self._child.poll() is None:
            return self._child
        self._end_child()
        root = str(Path(__file__).resolve().parents[2])
        paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
        self._child = subprocess.Popen(
            [sys.executable, "-P", "-m", "codebench.analysis.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            start_new_session=True,  # Ctrl-C is for the harness, which ends the child itself
        )
        for pipe in (self._child.stdin, self._child.stdout):
            assert pipe is not None, "both are pipes"
            os.set_blocking(pipe.fileno(), False)
        _exchange(self._child, None, deadline=time.monotonic() + START_DEADLINE_S)
        return self._child

    def _end_child(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                pipe.close()


def _exchange(child: subprocess.Popen[bytes], payload: bytes | None, *, deadline: float) -> bytes:
    """Send one frame (None: none) and return the next one that comes.

    Raises:
        TimeoutError: at the deadline (a reading of `time.monotonic`).
        _ChildLostError: if the child closed its end.
        OSError: if it cannot be written to.
    """
    assert child.stdin is not None, "a pipe"
    assert child.stdout is not None, "a pipe"
    writer, reader = child.stdin.fileno(), child.stdout.fileno()
    if payload is not None:
        unsent = memoryview(LENGTH.pack(len(payload)) + payload)
        while unsent:
            _wait(writer, select.POLLOUT, deadline)
            unsent = unsent[os.write(writer, unsent) :]
    return _read(reader, LENGTH.unpack(_read(reader, LENGTH.size, deadline))[0], deadline)


def _read(reader: int, size: int, deadline: float) -> bytes:
    received = bytearray()
    while len(received) < size:
        _wait(reader, select.POLLIN, deadline)
        piece = os.read(reader, size - len(received))
        if not piece:
            raise _ChildLostError
        received += piece
    return bytes(received)


def _wait(descriptor: int, event: int, deadline: float) -> None:
    poll = select.poll()
    poll.register(descriptor, event)
    if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
        raise TimeoutError
