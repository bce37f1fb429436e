"""Forks candidate and checker from one warm interpreter, without any isolation: for quick tests.

Run as a program it is that interpreter: a message on its stdin, a socket, holds descriptors only,
so that no process that is forked has ever seen a task.
"""

import contextlib
import fcntl
import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from codebench.sandbox.execution import Step, StepResult

_SANDBOX = Path(__file__).parents[1] / "sandbox"
_TIMEOUT_S = 20
_N_FDS = 6


class WarmPair:
    """A started warm interpreter."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        command = [sys.executable, "-I", "-S", "-B", __file__]
        self._process = subprocess.Popen(command, stdin=theirs.fileno())
        theirs.close()

    def close(self) -> None:
        """Stop it."""
        self._socket.close()
        self._process.wait()

    def run(self, step: "Step") -> "StepResult":
        """Run a step that has a checker; a signal that the checker's end brings is left out."""
        from codebench.sandbox.execution import Execution, StepResult

        assert step.checker is not None
        ours, theirs = socket.socketpair()
        pipes = [os.pipe() for _ in range(4)]
        (program_r, program_w), (task_r, task_w), (answers_r, answers_w), (out_r, out_w) = pipes
        given = (program_r, ours.fileno(), task_r, theirs.fileno(), answers_w, out_w)
        socket.send_fds(self._socket, [b"j"], given)
        for fd in (program_r, task_r, answers_w, out_w):
            os.close(fd)
        ours.close()
        theirs.close()
        output: list[bytes] = []
        drain = threading.Thread(target=lambda: output.append(_read(out_r)))
        drain.start()
        _write(program_w, step.files)
        _write(task_w, step.checker.files)
        answers = _read(answers_r)
        status = int(self._socket.recv(64))
        drain.join()
        signaled = os.WIFSIGNALED(status)
        number = os.WTERMSIG(status) if signaled else None
        execution = Execution(
            stage=step.stage,
            exit_code=None if signaled else os.WEXITSTATUS(status),
            signal=None if number == signal.SIGKILL else number,
            stopped_by=None,
            cpu_s=0,
            wall_s=0,
            peak_memory_bytes=0,
            n_stdout_bytes=len(output[0]),
            n_stderr_bytes=0,
        )
        return StepResult(execution, output[0], b"", answers)


def _write(fd: int, files: Mapping[str, bytes]) -> None:
    with os.fdopen(fd, "wb") as file:
        file.write(
            json.dumps({name: data.decode("latin-1") for name, data in files.items()}).encode()
        )


def _read(fd: int) -> bytes:
    with os.fdopen(fd, "rb") as file:
        return file.read()


def _files(fd: int) -> dict[str, bytes]:
    return {name: text.encode("latin-1") for name, text in json.loads(_read(fd)).items()}


def _take_streams(out: int, channel: int) -> None:
    """Keep what a program has in the sandbox: an empty stdin, its output, the channel as 3."""
    os.setsid()
    null = os.open(os.devnull, os.O_RDONLY)
    for target, fd in enumerate(
        [fcntl.fcntl(fd, fcntl.F_DUPFD, 64) for fd in (null, out, out, channel)]
    ):
        os.dup2(fd, target)
    os.closerange(4, 128)
    signal.alarm(_TIMEOUT_S)


def _serve() -> None:
    sys.path.insert(0, str(_SANDBOX))
    candidate, checker = importlib.import_module("candidate"), importlib.import_module("checker")
    gc.collect()
    gc.freeze()
    control = socket.socket(fileno=0)
    while True:
        message, fds, _, _ = socket.recv_fds(control, 1, _N_FDS)
        if not message:
            return
        program_r, channel, task_r, other, answers, out = fds
        pid = os.fork()
        if pid == 0:
            files = _files(program_r)
            _take_streams(out, channel)
            status = 1
            with contextlib.suppress(BaseException):
                status = candidate.main(files, 3)
            os._exit(status & 0xFF)
        judge = os.fork()
        if judge == 0:
            for fd in (channel, program_r, out):
                os.close(fd)
            signal.alarm(_TIMEOUT_S)
            checker.main(_files(task_r), other, answers)
            os._exit(0)
        for fd in fds:
            os.close(fd)
        os.waitpid(judge, 0)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        control.send(str(os.waitpid(pid, 0)[1]).encode())


if __name__ == "__main__":
    _serve()
