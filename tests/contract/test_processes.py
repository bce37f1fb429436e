"""A program cannot outlive its end, nor reach what runs it."""

from collections.abc import Callable

import pytest

from codebench.sandbox.backend import Isolation
from codebench.sandbox.execution import StepResult

Run = Callable[..., StepResult]
_LISTEN = """
import os, socket, time
{detach}
listener = socket.socket(socket.AF_UNIX)
listener.bind("\\0left-behind")
listener.listen()
os.write(1, b"listening\\n")
os.close(w)
time.sleep(600)
"""
_KNOCK = """
import socket
try:
    socket.socket(socket.AF_UNIX).connect("\\0left-behind")
    print("alive")
except ConnectionRefusedError:
    print("gone")
"""
_PARENT = """
r, w = os.pipe()
if os.fork():
    os.close(w)
    os.read(r, 1)
    os._exit(0)
"""
_DETACH = {
    "child": _PARENT,
    "setsid": _PARENT + "os.setsid()",
    "daemon": _PARENT + "os.setsid()\nif os.fork(): os._exit(0)",
    "ignores signals": _PARENT
    + "import signal\nfor s in (1, 2, 3, 13, 15): signal.signal(s, signal.SIG_IGN)",
}


@pytest.mark.parametrize("detach", _DETACH.values(), ids=_DETACH)
def test_nothing_is_left_running(python: Run, detach: str) -> None:
    """What a program started ends with it, however it was detached."""
    first = python(_LISTEN.format(detach=detach))
    assert (first.execution.exit_code, first.stdout) == (0, b"listening\n")
    assert python(_KNOCK).stdout == b"gone\n"


def test_stopped_children_are_removed(python: Run) -> None:
    """A child that is stopped (SIGSTOP) when the program ends is removed as well."""
    first = python(
        "import os, signal\npid = os.fork()\n"
        "if pid == 0: os.kill(os.getpid(), signal.SIGSTOP)\n"
        "os.waitpid(pid, os.WUNTRACED)\nos._exit(0)"
    )
    assert first.execution.exit_code == 0
    assert python(_KNOCK).stdout == b"gone\n"


@pytest.mark.parametrize("number", [6, 9, 11, 15])
def test_end_by_signal_is_reported(python: Run, number: int) -> None:
    """A program that a signal ends has that signal and no exit code; it is no limit of ours."""
    execution = python(f"import os; os.kill(os.getpid(), {number})").execution
    assert (execution.exit_code, execution.signal, execution.stopped_by) == (None, number, None)


def test_no_core_dump(python: Run) -> None:
    """A crash leaves no core file."""
    result = python(
        "import os\nif os.fork() == 0: os.abort()\n"
        "print(os.WCOREDUMP(os.wait()[1]), os.listdir('.'))"
    )
    assert result.stdout == b"False ['program.py']\n"


@pytest.mark.parametrize("number", [1, 2, 9, 10, 15, 19])
@pytest.mark.parametrize("target", ["1", "os.getppid()"])
def test_signal_to_the_init(python: Run, target: str, number: int) -> None:
    """The process that waits for the program cannot be ended or stopped by it."""
    result = python(
        f"import os\ntry: os.kill({target}, {number})\nexcept OSError: pass\nprint('goes on')"
    )
    assert (result.execution.exit_code, result.stdout) == (0, b"goes on\n")


def test_kill_everything(python: Run) -> None:
    """Killing all processes that a program can see kills its own children, no more."""
    result = python(
        "import os, time\nif os.fork() == 0: time.sleep(600)\n"
        "os.kill(-1, 9)\nprint(os.WTERMSIG(os.wait()[1]))"
    )
    assert (result.execution.exit_code, result.stdout) == (0, b"9\n")


def test_other_processes_are_out_of_reach(python: Run, isolation: Isolation) -> None:
    """A program can signal itself and its init; there are no other process numbers.

    Where steps are users, there are others, init among them, and it may signal none of them.
    """
    result = python(
        """
import os
found = []
for pid in range(1, 5000):
    try:
        os.kill(pid, 0)
        found.append(pid)
    except (ProcessLookupError, PermissionError):
        pass
found.remove(os.getpid())
print(found)
"""
    )
    assert result.stdout == (b"[]\n" if isolation is Isolation.UID else b"[1]\n")


def test_many_zombies(python: Run) -> None:
    """A program may leave many ended children behind; they are cleared away."""
    result = python(
        "import os\nfor _ in range(300):\n if os.fork() == 0:\n"
        "  if os.fork() == 0: os._exit(0)\n  os._exit(0)\n os.wait()\nprint('done')"
    )
    assert (result.execution.exit_code, result.stdout) == (0, b"done\n")


def test_the_filter_is_not_in_the_way(python: Run) -> None:
    """What ordinary programs need works: threads, children, pipes, maps, clocks, unix pairs."""
    result = python(
        """
import mmap, os, socket, subprocess, threading, time
thread = threading.Thread(target=time.time)
thread.start()
thread.join()
a, b = socket.socketpair()
a.send(b"x")
mmap.mmap(-1, 4096)
print(b.recv(1), subprocess.run(["python3", "-I", "-S", "-c", "print(1)"]).returncode)
""",
    )
    assert (result.execution.exit_code, result.stdout) == (0, b"1\nb'x' 0\n")
