"""Every limit holds, says which one it was, and takes nothing from the program after."""

import os
from collections.abc import Callable

import pytest

from codebench.conformance.case import python_step
from codebench.sandbox.backend import Isolation
from codebench.sandbox.execution import COMPILE_LIMITS, MIB, StepResult, StoppedBy
from codebench.sandbox.slot import Slot
from tests.contract.counting import CountingBackend

Run = Callable[..., StepResult]


_EATS = """
import os, sys, time
n_children, mib = {n_children}, {mib}
for _ in range(n_children):
    if os.fork() == 0:
        break
kept = bytearray(b"x") * (mib << 20)
time.sleep(60)
"""

_MOVES = """
import os
os.fork() and os.wait()
try:
    os.sched_setaffinity(0, range(os.cpu_count()))
except PermissionError:
    print(os.sched_getaffinity(0), flush=True)
"""


@pytest.mark.parametrize(
    ("source", "limits", "reason"),
    [
        ("import time; time.sleep(600)", {"wall_s": 0.3}, StoppedBy.WALL_TIME),
        ("while True: pass", {"cpu_s": 0.3}, StoppedBy.CPU_TIME),
        (
            "import signal\nfor s in range(1, 32):\n try: signal.signal(s, signal.SIG_IGN)\n"
            " except OSError: pass\nwhile True: pass",
            {"cpu_s": 0.3},
            StoppedBy.CPU_TIME,
        ),
        (
            "import threading\nlock = threading.Lock()\nlock.acquire()\nlock.acquire()",
            {"wall_s": 0.3},
            StoppedBy.WALL_TIME,
        ),
        (
            "import os\nos.fork(); os.fork()\nwhile True: pass",
            {"cpu_s": 0.3},
            StoppedBy.CPU_TIME,
        ),
        ("import os, signal; os.kill(0, signal.SIGSTOP)", {"wall_s": 0.3}, StoppedBy.WALL_TIME),
    ],
    ids=["sleep", "loop", "loop that ignores signals", "deadlock", "loops in children", "sigstop"],
)
def test_time_limits(python: Run, source: str, limits: dict[str, float], reason: StoppedBy) -> None:
    """A program that does not end is ended, and was given a second chance alone before."""
    execution = python(source, **limits).execution
    assert (execution.stopped_by, execution.retried_alone) == (reason, True)
    assert (execution.exit_code, execution.signal) == (None, None)


def test_a_slot_keeps_to_its_cores(backend: CountingBackend) -> None:
    """What runs in a slot that was given one core runs there, and may not go elsewhere."""
    core = max(os.sched_getaffinity(0))
    channel = backend.make().start([core])
    try:
        result = Slot(channel, env=backend.env).run(python_step(_MOVES))
        assert result.stdout == f"{{{core}}}\n".encode() * 2
    finally:
        channel.close()


@pytest.mark.parametrize(("n_children", "mib"), [(0, 200), (4, 30)], ids=["one", "children"])
def test_memory_limit(python: Run, n_children: int, mib: int) -> None:
    """Memory is counted over all processes of a program; above the limit they all end."""
    source = _EATS.format(n_children=n_children, mib=mib)
    execution = python(source, memory_bytes=64 * MIB).execution
    assert execution.stopped_by is StoppedBy.MEMORY
    assert (execution.exit_code, execution.signal) == (None, None)
    assert execution.peak_memory_bytes > 64 * MIB


_HIDES = {
    "shared map": """
import mmap
kept = mmap.mmap(-1, 300 << 20)
for _ in range(300):
    kept.write(b"x" * (1 << 20))
""",
    "memory files": """
import os
for _ in range(30):
    fd = os.memfd_create("x")
    for _ in range(10):
        os.write(fd, b"x" * (1 << 20))
""",
    "detached segments": """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p
libc.shmdt.argtypes = [ctypes.c_void_p]
for _ in range(30):
    if (segment := libc.shmget(0, 10 << 20, 0o1600)) < 0:
        raise MemoryError
    start = libc.shmat(segment, None, 0)
    ctypes.memset(start, 1, 10 << 20)
    libc.shmdt(start)
""",
}


@pytest.mark.parametrize("source", _HIDES.values(), ids=_HIDES)
def test_memory_cannot_be_hidden(python: Run, source: str) -> None:
    """Memory that is shared, or held by no process at all, is counted or refused."""
    execution = python(source + "import time; time.sleep(1)", memory_bytes=64 * MIB).execution
    assert execution.stopped_by is StoppedBy.MEMORY or execution.exit_code == 1


def test_memory_under_the_limit(python: Run) -> None:
    """A program that stays below the limit is left alone."""
    execution = python("x = bytearray(b'x') * (40 << 20)", memory_bytes=64 * MIB).execution
    assert (execution.exit_code, execution.stopped_by) == (0, None)


def test_memory_in_its_files(python: Run) -> None:
    """No folder that a program can write to takes more than the disk limit."""
    result = python(
        """
import errno
for folder in (".", "/tmp", "/dev/shm"):
    with open(folder + "/big", "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(65536))
        except OSError as error:
            print(error.errno in (errno.ENOSPC, errno.EFBIG), 0 < file.tell() <= 1 << 20)
""",
        disk_bytes=MIB,
    )
    assert result.stdout == b"True True\n" * 3


def test_many_files_do_not_add_up(python: Run, isolation: Isolation) -> None:
    """The limit is on all files of a folder together; where steps are users, it is the slot's."""
    most = COMPILE_LIMITS.disk_bytes if isolation is Isolation.UID else MIB
    result = python(
        f"""
import errno
n = 0
try:
    while True:
        with open(f"f{{n}}", "wb", buffering=0) as file:
            file.write(bytes(1 << 18))
        n += 1
except OSError as error:
    print(error.errno == errno.ENOSPC, n <= {most} >> 18)
""",
        disk_bytes=MIB,
    )
    assert result.stdout == b"True True\n"


def test_sparse_file(python: Run) -> None:
    """A file larger than the disk limit cannot even be claimed."""
    result = python(
        "import signal\nfile = open('f', 'wb')\n"
        "try: file.truncate(1 << 40)\nexcept OSError as error: print(error.errno, flush=True)\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_DFL)\nfile.truncate(1 << 40)",
        disk_bytes=MIB,
    )
    assert (result.stdout, result.execution.signal) == (b"27\n", 25)  # EFBIG, SIGXFSZ


def test_inodes(python: Run, isolation: Isolation) -> None:
    """The number of files is limited too; where steps are users, the limit is the slot's."""
    most = COMPILE_LIMITS.n_files if isolation is Isolation.UID else 64
    result = python(
        f"""
n = 0
try:
    while True:
        open(f"f{{n}}", "w").close()
        n += 1
except OSError as error:
    print(error.errno, n < {most})
""",
        n_files=64,
    )
    assert result.stdout == b"28 True\n"


def test_open_files(python: Run) -> None:
    """A program cannot hold descriptors without end."""
    result = python(
        """
kept = []
try:
    while True:
        kept.append(open("program.py"))
except OSError as error:
    print(error.errno)
"""
    )
    assert result.stdout == b"24\n"


@pytest.mark.parametrize("then", ["pass", "break"])
def test_fork_bomb(python: Run, then: str) -> None:
    """A fork bomb is stopped, by whichever limit it meets first, or dies of refused forks."""
    execution = python(
        f"import os\nwhile True:\n  try: os.fork()\n  except OSError: {then}",
        n_processes=16,
        cpu_s=0.5,
        wall_s=3,
    ).execution
    assert execution.stopped_by is not None or then == "break"
    assert execution.stopped_by is not StoppedBy.OUTPUT


def test_thread_bomb(python: Run) -> None:
    """Threads run out before the machine does."""
    result = python(
        """
import os, threading, time
n = 0
try:
    while n < 5000:
        threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
        n += 1
except RuntimeError:
    print("refused", flush=True)
os._exit(0)
"""
    )
    assert result.stdout == b"refused\n" or result.execution.stopped_by is StoppedBy.PROCESSES


def test_kernel_memory_that_no_process_holds(python: Run) -> None:
    """The buffers of a socket cannot be made larger: no process would be seen to hold them."""
    result = python(
        "import socket\ntry: socket.socketpair()[0].setsockopt(1, 7, 1 << 24)\n"
        "except OSError as error: print(error.errno)"
    )
    assert result.stdout == b"1\n"


def test_counters_are_per_sample(python: Run) -> None:
    """What one program used is not on the account of the next."""
    first = python("x = bytearray(b'x') * (120 << 20)\nfor _ in range(3000000): pass").execution
    second = python("pass").execution
    assert first.peak_memory_bytes > 120 * MIB
    assert second.peak_memory_bytes < 60 * MIB
    assert second.cpu_s < first.cpu_s


def test_children_are_on_the_account(python: Run) -> None:
    """Memory of a child that was waited for is in the peak."""
    execution = python(
        "import os\nif os.fork() == 0:\n x = bytearray(b'x') * (80 << 20); os._exit(0)\nos.wait()"
    ).execution
    assert execution.peak_memory_bytes > 80 * MIB
