"""The second level of isolation: every step is a user of its own, out of reach of others."""

from collections.abc import Callable

import pytest

from codebench.languages.python_tests import grading_step, read_grading
from codebench.languages.verdict import Outcome
from codebench.prompts.model import Language, Prompt
from codebench.sandbox.backend import Isolation
from codebench.sandbox.docker import DockerBackend
from codebench.sandbox.execution import RUN_LIMITS, Stage, Step, StepResult, StoppedBy
from codebench.sandbox.pool import SlotPool

Run = Callable[..., StepResult]
by_users = pytest.mark.parametrize(
    "backend", [pytest.param("docker-uid", marks=pytest.mark.docker)], indirect=True
)
_REACH = """
import os, signal
def reach():
    found = []
    def attempt(name, act):
        try:
            act()
            found.append((pid, name))
        except OSError:
            pass
    numbers = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    for pid in numbers:
        if pid == os.getpid():
            continue
        for name in ("environ", "maps", "mem", "auxv", "io", "stack", "syscall", "pagemap"):
            attempt(name, lambda: open(f"/proc/{pid}/{name}", "rb").read(1))
        for name in ("fd", "fdinfo", "map_files"):
            attempt(name, lambda: os.listdir(f"/proc/{pid}/{name}"))
        attempt("ns", lambda: os.readlink(f"/proc/{pid}/ns/user"))
        for name in ("cwd", "root", "exe"):
            attempt(name, lambda: os.readlink(f"/proc/{pid}/{name}"))
        for name in ("oom_score_adj", "comm", "clear_refs", "mem"):
            attempt("write " + name, lambda: open(f"/proc/{pid}/{name}", "wb").write(b"1"))
        for number in (0, signal.SIGSTOP, signal.SIGKILL):
            attempt(f"signal {number}", lambda: os.kill(pid, number))
        attempt("priority", lambda: os.setpriority(os.PRIO_PROCESS, pid, 19))
        attempt("affinity", lambda: os.sched_setaffinity(pid, {0}))
        attempt("limits", lambda: __import__("resource").prlimit(pid, 7, (3, 3)))
        if hasattr(os, "pidfd_open"):
            attempt("pidfd", lambda: signal.pidfd_send_signal(os.pidfd_open(pid), signal.SIGKILL))
    return found, len(numbers)
"""


@by_users
def test_processes_are_out_of_reach(python: Run) -> None:
    """Supervisor, launcher, checkers and init cannot be read, signalled or changed."""
    assert python(_REACH + "print(reach())").stdout == b"([], 5)\n"


@by_users
@pytest.mark.parametrize(("before", "n_processes"), [("", 5), ("import os\n", 6)])
def test_a_checker_is_out_of_reach(pool: SlotPool, before: str, n_processes: int) -> None:
    """Nor can the checker that is grading the very program, in a process of its own or not."""
    prompt = Prompt.model_validate(
        {
            "id": "square",
            "language": Language.PYTHON,
            "category": "math",
            "item": "def square",
            "prompt": "def square(n):\n",
            "reference": "    return n * n\n",
            "tests": (f"{before}assert square(3) == 9",),
        }
    )
    program = _REACH + "def square(n):\n    print(reach(), flush=True)\n    return n * n\n"
    step = grading_step(prompt, program.encode())
    result = pool.run(step)
    assert result.stdout == f"([], {n_processes})\n".encode()
    assert read_grading(step, result).outcome is Outcome.PASSED


@by_users
def test_what_is_to_be_seen_says_nothing(python: Run) -> None:
    """The command lines in /proc are those of the supervisor and of the program itself."""
    result = python(
        """
import os
for name in os.listdir("/proc"):
    if name.isdigit() and int(name) != os.getpid():
        print(open(f"/proc/{name}/cmdline").read().split(chr(0)))
"""
    )
    words = (
        "['/usr/bin/python3', '-s', '-S', '-B', '/sandbox/supervisor.py', '--isolation', 'uid', '']"
    )
    assert set(result.stdout.decode().splitlines()) == {words}


@by_users
def test_no_user_comes_twice(python: Run) -> None:
    """Every step has a user and a group that no step before it had, and no other groups."""
    source = "import os; print(*os.getresuid(), *os.getresgid(), os.getgroups())"
    seen = [python(source).stdout.decode().split(" ") for _ in range(5)]
    users = [set(words[:6]) for words in seen]
    assert all(len(user) == 1 for user in users)
    assert len(set.union(*users)) == 5
    assert {words[6] for words in seen} == {"[]\n"}


_CHAIN = """
import os, signal
for number in (1, 2, 15): signal.signal(number, signal.SIG_IGN)
r, w = os.pipe()
if os.fork():
    os.read(r, 1)
    os._exit(0)
os.setsid()
os.write(w, b"x")
while True:
    if os.fork():
        os._exit(0)
"""
_KILLERS = """
import os
r, w = os.pipe()
for _ in range(4):
    if os.fork() == 0:
        os.setsid()
        os.write(w, b"x")
        while True:
            os.kill(-1, {number})
for _ in range(4):
    {wait}
os._exit(0)
"""


@by_users
@pytest.mark.parametrize(
    "hostile",
    [
        _CHAIN,
        _KILLERS.format(number=0, wait="os.read(r, 1)"),
        _KILLERS.format(number=9, wait="pass"),
        _KILLERS.format(number=19, wait="pass"),
    ],
    ids=["forks and ends", "asks", "kills its killers", "stops its killers"],
)
def test_who_does_not_want_to_end(hostile: str) -> None:
    """Processes that flee, or attack whoever ends them, are gone at the next step."""
    pool = SlotPool(DockerBackend(Isolation.UID), n_slots=1)

    def run(source: str, **limits: float) -> StepResult:
        argv = ("python3", "-I", "-S", "-B", "program.py")
        limited = RUN_LIMITS.model_copy(update=limits)
        files = {"program.py": source.encode()}
        return pool.run(Step(stage=Stage.RUN, argv=argv, files=files, limits=limited))

    try:
        for _ in range(3):
            execution = run(hostile, cpu_s=1, wall_s=2).execution
            assert execution.exit_code == 0 or execution.signal or execution.stopped_by is not None
            assert execution.stopped_by is not StoppedBy.MEMORY
            assert run(_REACH + "print(reach())").stdout == b"([], 5)\n"
    finally:
        pool.close()
