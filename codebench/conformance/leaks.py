"""Programs that leave something behind for the next one, or whose use is put on its account."""

import random

from codebench.conformance.case import Bench, Case, Group, first, promise, python_step, said, unless
from codebench.conformance.processes import left_running
from codebench.sandbox.execution import MIB

CASES: list[Case] = []
_promise = promise(Group.LEAKS, CASES)
_IPC = "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\n"


def _left(bench: Bench, leave: str, look: str) -> str | None:
    """Leave something (and say so), then look for it from the next program."""
    made = said(bench.python(f"{leave}\nprint('left')"), "left\n")
    return first(made, said(bench.python(look), "nothing\n"))


def _folder(bench: Bench, folder: str) -> str | None:
    """Leave files of every kind, odd names and closed folders in `folder`."""
    leave = f"""
import os, socket
os.chdir({folder!r})
for name in (b"plain", b".hidden", b"\\xff", b"\\n", b"-rf", b"x" * 255):
    open(name, "w").write("x")
os.symlink("/", "link"); os.mkfifo("pipe")
os.makedirs("a/b/c"); open("a/b/c/deep", "w")
for path in ("a/b/c", "a/b", "a"): os.chmod(path, 0)
os.chmod(".", 0)"""
    look = f"""
import os
found = set(os.listdir({folder!r})) - {{"program.py"}}
print(found or "nothing")"""
    return _left(bench, leave, look)


@_promise
def test_leak_tmp(bench: Bench) -> str | None:
    """Nothing that was put into /tmp is there for the next program."""
    return _folder(bench, "/tmp")  # noqa: S108 - the sandbox's own


@_promise
def test_leak_workdir(bench: Bench) -> str | None:
    """The next program finds its own files in the work directory, fresh, and nothing else."""
    changed = _left(
        bench,
        "import os; os.chmod('program.py', 0); os.unlink('program.py'); os.umask(0o777)",
        "import os; mode = os.stat('program.py').st_mode & 0o777, os.umask(0)\n"
        "print('nothing' if mode == (0o755, 0o022) else mode)",
    )
    return first(changed, _folder(bench, "."))


@_promise
def test_leak_shm(bench: Bench) -> str | None:
    """Nothing that was put into /dev/shm is there for the next program."""
    return _folder(bench, "/dev/shm")  # noqa: S108 - the sandbox's own


@_promise
def test_leak_sysv_ipc(bench: Bench) -> str | None:
    """Segments, semaphores and queues of System V are refused, or gone for the next program."""
    return _left(
        bench,
        _IPC + "libc.shmget(4660, 4096, 0o1666)\n"
        "libc.semget(4660, 1, 0o1666)\nlibc.msgget(4660, 0o1666)",
        _IPC + "found = [libc.shmget(4660, 4096, 0), libc.semget(4660, 1, 0),"
        " libc.msgget(4660, 0)]\nprint('nothing' if max(found) < 0 else found)",
    )


@_promise
def test_leak_mqueue(bench: Bench) -> str | None:
    """A POSIX message queue is refused, or gone for the next program."""
    return _left(
        bench,
        _IPC + "libc.mq_open(b'/x', 0o102, 0o666, None)",
        _IPC + "print('nothing' if libc.mq_open(b'/x', 0o2) < 0 else 'a queue')",
    )


@_promise
def test_leak_keyring(bench: Bench) -> str | None:
    """Keys, which live in no namespace, cannot be made at all."""
    result = bench.python(
        _IPC
        + """
import errno, platform
add, control = {"x86_64": (248, 250), "aarch64": (217, 219)}[platform.machine()]
for arguments in ((add, b"user", b"x", b"y", 1, -5), (control, 0, -5, 1)):
    print(libc.syscall(*arguments), errno.errorcode.get(ctypes.get_errno()))
"""
    )
    return said(result, "-1 EPERM\n" * 2)


@_promise
def test_leak_abstract_socket(bench: Bench) -> str | None:
    """A name in the abstract namespace is free again for the next program."""
    bind = "import socket\ns = socket.socket(1)\ns.bind('\\0codebench')\ns.listen()"
    return _left(bench, bind, f"{bind}\nprint('nothing')")


@_promise
def test_leak_flock(bench: Bench) -> str | None:
    """A lock on a file that all programs see ends with the program that took it."""
    take = (
        "import fcntl, os, time\nlock = open('/usr/bin/env', 'rb')\n"
        "fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)\nprint('taken', flush=True)\n"
        "if os.fork() == 0: os.setsid(); time.sleep(5)\nos._exit(0)"
    )
    return first(said(bench.python(take), "taken\n"), said(bench.python(take), "taken\n"))


@_promise
def test_leak_background_process(bench: Bench) -> str | None:
    """A child that was left in the background is not there for the next program."""
    return left_running(bench, "")


@_promise
def test_cpu_and_peak_counters_are_per_sample(bench: Bench) -> str | None:
    """What one program used, its children included, is not on the account of the next."""
    heavy = bench.python(
        "import os\nif os.fork() == 0:\n kept = bytearray(b'x') * (120 << 20)\n"
        " for _ in range(3000000): pass\n os._exit(0)\nos.wait()"
    ).execution
    light = bench.python("pass").execution
    return first(
        unless(heavy.peak_memory_bytes > 120 * MIB, f"peak {heavy.peak_memory_bytes}"),
        unless(light.peak_memory_bytes < 60 * MIB, f"next peak {light.peak_memory_bytes}"),
        unless(heavy.cpu_s > light.cpu_s, f"CPU {heavy.cpu_s}, next {light.cpu_s}"),
    )


_PROGRAMS = {
    "import os; open('/tmp/x', 'w'); print(os.listdir('/tmp'))": b"['x']\n",
    "import os; print(os.listdir('/tmp'), os.listdir('.'))": b"[] ['program.py']\n",
    "import os; os.environ['X'] = '1'; print(len(os.environ['X']))": b"1\n",
    "import os; print(os.environ.get('X'))": b"None\n",
    "import os; os.kill(os.getpid(), 9)": b"",
    "import os; os.chdir('/'); os.umask(0); print(os.getcwd())": b"/\n",
    "import os; print(os.getcwd(), oct(os.umask(0)))": b"/w 0o22\n",
    "print('x' * 70000)": b"x" * 70000 + b"\n",
}


@_promise
def test_order_independence_shuffled(bench: Bench) -> str | None:
    """The same programs in any order give the same answers."""
    order = list(_PROGRAMS)
    for seed in range(3):
        random.Random(seed).shuffle(order)  # noqa: S311 - an order, no secret
        for source in order:
            result = bench.run(python_step(source))
            if result.stdout != _PROGRAMS[source]:
                return unless(holds=False, seen=result)
    return None
