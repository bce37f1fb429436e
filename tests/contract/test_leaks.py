"""Nothing that one program leaves is found by the next."""

import random
from collections.abc import Callable

import pytest

from codebench.languages.python_tests import grading_step, read_grading
from codebench.languages.verdict import Outcome
from codebench.prompts.model import Language, Prompt
from codebench.sandbox.execution import StepResult
from codebench.sandbox.pool import SlotPool

Run = Callable[..., StepResult]
_IPC = "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\n"
_CASES = {
    "work directory": ("open('x', 'w')", "import os; print(os.path.exists('x'))"),
    "hidden file": ("open('.x', 'w')", "import os; print(os.path.exists('.x'))"),
    "tmp": ("open('/tmp/x', 'w')", "import os; print(os.listdir('/tmp') != [])"),
    "shared memory file": (
        "open('/dev/shm/x', 'w')",
        "import os; print(os.listdir('/dev/shm') != [])",
    ),
    "shared memory": (
        _IPC + "libc.shmget(4660, 4096, 0o1666)",
        _IPC + "print(libc.shmget(4660, 4096, 0o666) >= 0)",
    ),
    "semaphore": (
        _IPC + "libc.semget(4660, 1, 0o1666)",
        _IPC + "print(libc.semget(4660, 1, 0o666) >= 0)",
    ),
    "message queue": (
        _IPC + "libc.msgget(4660, 0o1666)",
        _IPC + "print(libc.msgget(4660, 0o666) >= 0)",
    ),
    "posix message queue": (
        _IPC + "libc.mq_open(b'/x', 0o102, 0o666, None)",
        _IPC + "print(libc.mq_open(b'/x', 0o2) >= 0)",
    ),
    "many folders deep": (
        "import os\nfor _ in range(200): os.mkdir('d' * 200); os.chdir('d' * 200)",
        "import os; print(os.listdir('.') != ['program.py'])",
    ),
    "closed folders": (
        "import os\nos.makedirs('/tmp/a/b/c')\nopen('/tmp/a/b/c/x', 'w')\n"
        "for path in ('/tmp/a/b/c', '/tmp/a/b', '/tmp/a', '/tmp', '.'): os.chmod(path, 0)",
        "import os; print(os.listdir('/tmp') != [])",
    ),
    "odd names": (
        "import os, socket\nfor name in (b'\\xff', b'\\n', b'-rf', b'..x', b'x' * 255):\n"
        " open(b'/tmp/' + name, 'w')\n os.link(b'/tmp/' + name, b'/tmp/2' + name[:9])\n"
        "os.symlink('/', '/tmp/link'); os.mkfifo('/tmp/pipe')\n"
        "socket.socket(1).bind('/tmp/socket')",
        "import os; print(os.listdir('/tmp') != [])",
    ),
    "attributes of a folder": (
        "import contextlib, os\nfor folder in ('.', '/tmp', '/dev/shm'):\n"
        " with contextlib.suppress(OSError): os.setxattr(folder, 'user.x', b'x')\n"
        " with contextlib.suppress(OSError): os.setxattr(folder, 'system.posix_acl_default',"
        " b'\\2\\0\\0\\0' + b''.join(bytes([t, 0, 0, 0, 255, 255, 255, 255])"
        " for t in (1, 4, 32)))",
        "import os; print([x for f in ('.', '/tmp', '/dev/shm') for x in os.listxattr(f)] != [])",
    ),
    "umask and directory": (
        "import os; os.umask(0o777); os.chdir('/')",
        "import os; print((os.umask(0), os.getcwd()) != (0o022, '/w'))",
    ),
    "host name": (
        _IPC + "libc.sethostname(b'x', 1)",
        "import os; print(os.uname().nodename == 'x')",
    ),
    "changed program": (
        "import os; os.chmod('program.py', 0); os.unlink('program.py')",
        "import os; print(os.stat('program.py').st_mode & 0o777 != 0o755)",
    ),
}


@pytest.mark.parametrize(("leave", "look"), _CASES.values(), ids=_CASES)
def test_nothing_is_left(python: Run, leave: str, look: str) -> None:
    """One program leaves something of this kind; the next does not find it."""
    first, second = python(leave), python(look)
    assert first.execution.exit_code == 0, first.stderr
    assert second.stdout == b"False\n", second.stderr


def test_keyrings_are_closed(python: Run) -> None:
    """Keys, which live in no namespace, cannot be made at all."""
    result = python(
        _IPC + "print(libc.syscall(248, b'user', b'x', b'y', 1, -5), ctypes.get_errno())\n"
        "print(libc.syscall(250, 0, -5, 1), ctypes.get_errno())"
    )
    assert result.stdout == b"-1 1\n-1 1\n"


def test_a_lock_is_let_go(python: Run) -> None:
    """A lock on a file that all programs can open ends with the program that took it."""
    take = (
        "import fcntl, os\nlock = open('/usr/bin/python3', 'rb')\n"
        "fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)\nprint('taken')\n"
        "if os.fork() == 0: os.setsid(); os.read(0, 1); __import__('time').sleep(600)\n"
    )
    assert [python(take).stdout, python(take).stdout] == [b"taken\n", b"taken\n"]


DRAWS = """
import os, random
first = random.random()
reader, writer = os.pipe()
if os.fork() == 0:
    os.write(writer, str(random.random()).encode())
    os._exit(0)
in_a_child = float(os.read(reader, 99))
os.wait()
"""


def test_random_begins_alike(pool: SlotPool) -> None:
    """What a program draws unseeded is the same in every program; its own forks draw anew."""
    draws = random.Random(0)
    expected, without_hook = draws.random(), draws.random()
    prompt = Prompt(
        id="f",
        language=Language.PYTHON,
        category="any",
        item="def f",
        prompt="def f():\n",
        reference="    return first, in_a_child\n",
        tests=(
            f"assert f()[0] == {expected}",
            f"assert f()[1] != {without_hook}",
        ),
    )
    step = grading_step(prompt, f"{DRAWS}\ndef f():\n    return first, in_a_child\n".encode())
    for _ in range(2):
        graded = read_grading(step, pool.run(step))
        assert graded.outcome is Outcome.PASSED, graded.tests.failure
