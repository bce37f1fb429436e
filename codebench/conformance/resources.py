"""Programs that want more than their share of processor, memory, disk or processes."""

from codebench.conformance.case import (
    Bench,
    Case,
    Group,
    first,
    promise,
    said,
    stopped,
    stopped_twice,
    unless,
)
from codebench.sandbox.backend import Isolation
from codebench.sandbox.execution import COMPILE_LIMITS, MIB, StepResult, StoppedBy

CASES: list[Case] = []
_promise = promise(Group.RESOURCES, CASES)
_ANY_BUT_OUTPUT = (
    StoppedBy.CPU_TIME,
    StoppedBy.WALL_TIME,
    StoppedBy.PROCESSES,
    StoppedBy.MEMORY,
)
_LONG_S = 3
"""Without their limit, programs that wait or compute end by themselves after this."""

_EATS = """
import os, time
for _ in range({n_children}):
    if os.fork() == 0:
        break
kept = bytearray(b"x") * ({mib} << 20)
time.sleep(3)
"""


@_promise
def test_forkbomb_python(bench: Bench) -> str | None:
    """A program that forks without end is ended whole, by a limit."""
    bomb = "import os\nwhile True:\n try: os.fork()\n except OSError: pass"
    return stopped(bench.python(bomb, n_processes=16, cpu_s=0.5, wall_s=3), *_ANY_BUT_OUTPUT)


@_promise
def test_forkbomb_rust_command(bench: Bench) -> str | None:
    """A Rust program that starts itself without end is ended whole, by a limit."""
    bomb = 'fn main() { loop { drop(std::process::Command::new("./driver").spawn()); } }'
    return stopped(bench.run_rust(bomb, n_processes=16, cpu_s=0.5, wall_s=3), *_ANY_BUT_OUTPUT)


@_promise
def test_thread_bomb(bench: Bench) -> str | None:
    """Threads run out before the machine does."""
    result = bench.python(
        """
import os, threading, time
try:
    for _ in range(2000):
        threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
except RuntimeError:
    print("refused", flush=True)
os._exit(0)
"""
    )
    refused = result.stdout == b"refused\n"
    return unless(refused or result.execution.stopped_by is StoppedBy.PROCESSES, result)


def _eats(bench: Bench, n_children: int, mib: int) -> StepResult:
    return bench.python(_EATS.format(n_children=n_children, mib=mib), memory_bytes=64 * MIB)


@_promise
def test_membomb_single(bench: Bench) -> str | None:
    """A process that takes more memory than it may is ended, and the peak says how much."""
    result = _eats(bench, 0, 200)
    peak = result.execution.peak_memory_bytes
    return first(stopped(result, StoppedBy.MEMORY), unless(peak > 64 * MIB, f"peak {peak}"))


@_promise
def test_membomb_children(bench: Bench) -> str | None:
    """Memory is counted over all processes of a program."""
    return stopped(_eats(bench, 4, 30), StoppedBy.MEMORY)


@_promise
def test_membomb_does_not_poison_next(bench: Bench) -> str | None:
    """After a memory bomb the next program has all its memory, and its own peak."""
    fits = "kept = bytearray(b'x') * (40 << 20); print('fits')"
    for _ in range(2):
        _eats(bench, 0, 200)
        result = bench.python(fits, memory_bytes=64 * MIB)
        peak = result.execution.peak_memory_bytes
        if seen := first(said(result, "fits\n"), unless(peak < 64 * MIB, f"peak {peak}")):
            return seen
    return None


@_promise
def test_tmpfs_fill_does_not_kill_supervisor(bench: Bench) -> str | None:
    """Full file systems and the widest memory limit together end the program, not the slot."""
    result = bench.python(
        """
import time
for folder in (".", "/tmp", "/dev/shm"):
    try:
        with open(folder + "/big", "wb", buffering=0) as file:
            while True:
                file.write(bytes(1 << 20))
    except OSError:
        print("full", flush=True)
kept = [bytearray(b"x") * (64 << 20) for _ in range(24)]
time.sleep(3)
""",
        disk_bytes=COMPILE_LIMITS.disk_bytes,
        memory_bytes=COMPILE_LIMITS.memory_bytes,
    )
    return first(unless(result.stdout == b"full\n" * 3, result), stopped(result, StoppedBy.MEMORY))


@_promise
def test_disk_fill_big_file(bench: Bench) -> str | None:
    """No folder that a program can write to takes a file above the disk limit."""
    result = bench.python(
        """
import errno
for folder in (".", "/tmp", "/dev/shm"):
    with open(folder + "/big", "wb", buffering=0) as file:
        try:
            for _ in range(512):
                file.write(bytes(65536))
        except OSError as error:
            print(error.errno in (errno.ENOSPC, errno.EFBIG), 0 < file.tell() <= 1 << 20)
""",
        disk_bytes=MIB,
    )
    return said(result, "True True\n" * 3)


@_promise
def test_sparse_and_fallocate(bench: Bench) -> str | None:
    """A file above the limit can be neither claimed as a hole nor set aside."""
    result = bench.python(
        """
import errno, os
with open("f", "wb") as file:
    for claim in (lambda: file.truncate(1 << 40),
                  lambda: os.posix_fallocate(file.fileno(), 0, 1 << 30)):
        try:
            claim()
            print("claimed")
        except OSError as error:
            print(errno.errorcode[error.errno] in ("EFBIG", "ENOSPC"))
print(os.stat("f").st_blocks * 512 <= 1 << 20)
""",
        disk_bytes=MIB,
    )
    return said(result, "True\n" * 3)


@_promise
def test_inode_fill(bench: Bench) -> str | None:
    """The number of files is limited; where steps are users, to what the slot has."""
    most = COMPILE_LIMITS.n_files if bench.isolation is Isolation.UID else 64
    result = bench.python(
        f"""
import errno
try:
    for n in range(5000):
        open(f"f{{n}}", "w").close()
except OSError as error:
    print(errno.errorcode[error.errno], n < {most})
""",
        n_files=64,
    )
    return said(result, "ENOSPC True\n")


@_promise
def test_sleep_forever(bench: Bench) -> str | None:
    """A program that does nothing is ended by the clock on the wall, after a second try alone."""
    source = f"import time; time.sleep({_LONG_S})"
    return stopped_twice(bench.python(source, wall_s=0.3), StoppedBy.WALL_TIME)


@_promise
def test_busy_loop_cpu_limit(bench: Bench) -> str | None:
    """A program that computes is ended by the processor time of all its processes together."""
    source = f"import os, time\nos.fork(); os.fork()\nwhile time.process_time() < {_LONG_S}: pass"
    return stopped_twice(bench.python(source, cpu_s=0.4), StoppedBy.CPU_TIME)


@_promise
def test_c_loop_ignores_sigalrm(bench: Bench) -> str | None:
    """A loop in C with every signal ignored and blocked ends all the same."""
    source = (
        "import signal\nfor s in range(1, 32):\n try: signal.signal(s, signal.SIG_IGN)\n"
        " except OSError: pass\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\nsum(range(10**9))"
    )
    return stopped_twice(bench.python(source, cpu_s=0.3), StoppedBy.CPU_TIME)


@_promise
def test_deadlocked_threads(bench: Bench) -> str | None:
    """Threads that wait for each other are ended by the clock on the wall."""
    source = (
        "import threading\na, b = threading.Lock(), threading.Lock()\nmet = threading.Barrier(2)\n"
        f"def take(x, y):\n with x: met.wait(); y.acquire(timeout={_LONG_S})\n"
        "threading.Thread(target=take, args=(a, b)).start()\ntake(b, a)"
    )
    return stopped_twice(bench.python(source, wall_s=0.3), StoppedBy.WALL_TIME)


@_promise
def test_stack_overflow_is_signal(bench: Bench) -> str | None:
    """A program that runs out of stack ends by SIGSEGV, and that is what is reported."""
    result = bench.python(
        "import resource, sys\nsys.setrecursionlimit(10**9)\nx = []\n"
        "for _ in range(5000): x = [x]\n"
        "resource.setrlimit(resource.RLIMIT_STACK, (1 << 16, 1 << 16))\nrepr(x)"
    )
    execution = result.execution
    return unless((execution.signal, execution.stopped_by) == (11, None), result)


@_promise
def test_no_core_dump(bench: Bench) -> str | None:
    """A crash leaves no core file."""
    result = bench.python(
        "import os\nif os.fork() == 0: os.abort()\n"
        "print(os.WCOREDUMP(os.wait()[1]), os.listdir('.'))"
    )
    return said(result, "False ['program.py']\n")
