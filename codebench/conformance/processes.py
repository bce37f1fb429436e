"""Programs that will not end, or that reach for the processes that run them."""

from codebench.conformance.case import Bench, Case, Group, first, promise, said, unless
from codebench.sandbox.execution import StoppedBy

CASES: list[Case] = []
_promise = promise(Group.PROCESSES, CASES)
_LISTEN = """
import os, socket, time
r, w = os.pipe()
if os.fork():
    os.close(w)
    os.read(r, 1)
    os._exit(0)
{detach}
listener = socket.socket(socket.AF_UNIX)
listener.bind("\\0left-behind")
listener.listen()
os.write(1, b"listening\\n")
os.close(w)
time.sleep(5)
"""
_KNOCK = """
import socket
try:
    socket.socket(socket.AF_UNIX).connect("\\0left-behind")
    print("alive")
except ConnectionRefusedError:
    print("gone")
"""
_IGNORE = "import signal\nfor s in (1, 2, 3, 13, 15): signal.signal(s, signal.SIG_IGN)\n"


def left_running(bench: Bench, detach: str) -> str | None:
    """Leave a process behind that listens; say what is seen if the next program can reach it."""
    left = said(bench.python(_LISTEN.format(detach=detach)), "listening\n")
    return first(left, said(bench.python(_KNOCK), "gone\n"))


@_promise
def test_doublefork_daemon_reaped(bench: Bench) -> str | None:
    """A daemon (forked twice, its own session) is dead before the next program starts."""
    return left_running(bench, "os.setsid()\nif os.fork(): os._exit(0)")


@_promise
def test_setsid_escapee(bench: Bench) -> str | None:
    """A child in a session of its own that ignores signals is dead before the next program."""
    return left_running(bench, _IGNORE + "os.setsid()")


@_promise
def test_sigstop_group(bench: Bench) -> str | None:
    """A program that stops its whole group is ended by the clock; a stopped child goes too."""
    stopped = bench.python("import os, signal; os.kill(0, signal.SIGSTOP)", wall_s=0.3)
    child = bench.python(
        "import os, signal\npid = os.fork()\n"
        "if pid == 0: os.kill(os.getpid(), signal.SIGSTOP)\n"
        "os.waitpid(pid, os.WUNTRACED)\nprint('stopped', flush=True)\nos._exit(0)"
    )
    by_time = stopped.execution.stopped_by is StoppedBy.WALL_TIME
    return first(unless(by_time, stopped), said(child, "stopped\n"))


@_promise
def test_kill_minus1_contained(bench: Bench) -> str | None:
    """Killing all processes that a program can see kills its own children, no more."""
    result = bench.python(
        "import os, time\nif os.fork() == 0: time.sleep(600)\n"
        "os.kill(-1, 9)\nprint(os.WTERMSIG(os.wait()[1]))"
    )
    return said(result, "9\n")


@_promise
def test_signal_supervisor_denied(bench: Bench) -> str | None:
    """No process but a program's own can be ended, stopped or asked by a signal."""
    result = bench.python(
        """
import contextlib, os
reached = []
for pid in {1, os.getppid(), *range(2, 5000)} - {0, os.getpid()}:
    for number in (0, 1, 2, 15, 19, 9):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
            reached.append(pid)
print(set(reached) <= {1})
"""
    )
    return said(result, "True\n")


@_promise
def test_zombie_steady_state_10k(bench: Bench) -> str | None:
    """Ten thousand ended processes that nobody waits for leave room for new ones."""
    result = bench.python(
        """
import os, time
def fork():
    while True:
        try:
            return os.fork()
        except BlockingIOError:  # until those that ended are cleared away
            time.sleep(0.001)
for _ in range(2000):
    if fork() == 0:
        for _ in range(4):
            if fork() == 0:
                os._exit(0)
        os._exit(0)
    os.wait()
print("done")
""",
        cpu_s=60,
        wall_s=120,
        n_processes=256,
    )
    return said(result, "done\n")


@_promise
def test_exit_by_signal_reported(bench: Bench) -> str | None:
    """A program that a signal ends has that signal and no exit code; it is no limit of ours."""
    for number in (6, 9, 11, 15, 31):
        result = bench.python(f"import os; os.kill(os.getpid(), {number})")
        execution = result.execution
        ended = (execution.exit_code, execution.signal, execution.stopped_by)
        if ended != (None, number, None):
            return unless(holds=False, seen=result)
    return None
