"""Programs that look around: for the machine's files, the tests, other processes, ways to write."""

import contextlib
import secrets
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from codebench.conformance.case import Bench, Case, Group, first, promise, python_step, said, unless
from codebench.languages.python_tests import grading_step, read_grading
from codebench.languages.verdict import Outcome
from codebench.package_data import data_path
from codebench.prompts.model import Language, Prompt
from codebench.sandbox.backend import Isolation
from codebench.sandbox.execution import RUN_LIMITS, Stage, Step

CASES: list[Case] = []
_promise = promise(Group.ESCAPE, CASES)
_LONG = {"cpu_s": 60, "wall_s": 120}
"""For a look at every file: /usr of a desktop holds half a million."""


@contextlib.contextmanager
def host_secret() -> Iterator[tuple[str, str]]:
    """Give a file of this machine that everybody may read: its path, and the word in it."""
    with tempfile.TemporaryDirectory(prefix="codebench-") as folder:
        Path(folder).chmod(0o755)
        word, path = f"S{secrets.token_hex(8)}", Path(folder, "secret.rs")
        path.write_text(f"pub const {word}: u32 = 1;")
        yield str(path), word


_WALK = """
import os
found = []
for top in ("/proc", "/sys", "/sandbox", "/dev/mqueue"):
    for folder, folders, names in os.walk(top):
        found += [os.path.join(folder, name) for name in folders + names]
print(set(found) <= {"/proc/self", "/proc/self/exe"} or found[:5])
"""
_READ_OTHERS = """
import contextlib, os
found = []
with contextlib.suppress(PermissionError):
    found += os.listdir("/sandbox")
for pid in filter(str.isdigit, os.listdir("/proc")):
    with contextlib.suppress(FileNotFoundError):
        if pid != str(os.getpid()) and "codebench-secret" in open(f"/proc/{pid}/cmdline").read():
            found.append(pid)
    for name in ("environ", "maps", "mem", "auxv", "stack", "syscall", "io"):
        with contextlib.suppress(OSError):
            if pid != str(os.getpid()):
                found.append((pid, name, open(f"/proc/{pid}/{name}", "rb").read(1)))
    for name in ("fd", "map_files", "root/"):
        with contextlib.suppress(OSError):
            if pid != str(os.getpid()):
                found.append((pid, name, os.listdir(f"/proc/{pid}/{name}")))
print(not found or found[:5])
"""


@_promise
def test_proc_snoop_empty(bench: Bench) -> str | None:
    """Nothing of the kernel's and the supervisor's folders is to be seen but /proc/self/exe.

    Where steps are users, other processes are to be seen, and nothing of them can be opened.
    """
    by_users = bench.isolation is Isolation.UID
    return said(bench.python(_READ_OTHERS if by_users else _WALK), "True\n")


@_promise
def test_env_is_minimal(bench: Bench) -> str | None:
    """A program sees the fixed environment, and nothing of the machine's."""
    result = bench.python("import os; print(*sorted(os.environ))")
    names, fixed = set(result.stdout.decode().split()), {"PATH", "HOME", "TMPDIR", "LANG"}
    return unless(fixed <= names <= fixed | {"LC_CTYPE", "PYTHONHOME"}, result)


@_promise
def test_rootfs_readonly(bench: Bench) -> str | None:
    """Only the work directory, /tmp and /dev/shm can be written to.

    Where steps are users, POSIX message queues show as files; they are removed after the step.
    """
    result = bench.python(
        """
import os
found = set()
for folder, _, names in os.walk("/"):
    try:
        open(folder + "/.codebench-test", "w").close()
        os.unlink(folder + "/.codebench-test")
        found.add(folder)
    except OSError:
        pass
print(*sorted(found))
""",
        **_LONG,
    )
    queues = "/dev/mqueue " if bench.isolation is Isolation.UID else ""
    return said(result, f"{queues}/dev/shm /tmp /w\n")  # noqa: S108 - the sandbox's own


@_promise
def test_no_setuid_in_image(bench: Bench) -> str | None:
    """The image holds no program with another's rights; without one they lie on nosuid mounts."""
    without_rights = bench.kind == "bubblewrap"
    result = bench.python(
        f"""
import os
n, found = 0, []
for folder, _, names in os.walk("/"):
    for path in (os.path.join(folder, name) for name in names):
        try:
            n += 1
            if os.lstat(path).st_mode & 0o6000 and not (
                {without_rights} and os.statvfs(path).f_flag & os.ST_NOSUID
            ):
                found.append(path)
        except OSError:
            pass
print(n > 100, found)
""",
        **_LONG,
    )
    return said(result, "True []\n")


_SEARCH = """
import os, sys
def square(n):
    word, found = bytes({word}), []
    for folder, folders, names in os.walk("/"):
        if folder == "/":
            folders[:] = set(folders) - set("usr opt bin sbin lib lib32 lib64 libx32".split())
        for path in (os.path.join(folder, name) for name in names):
            try:
                if os.path.isfile(path) and word in open(path, "rb").read(1 << 20):
                    found.append(path)
            except OSError:
                pass
    if word in repr((os.environ, sys.argv)).encode():
        found.append("the environment")
    print(found, flush=True)
    return n * n
"""


@_promise
def test_read_tests_denied(bench: Bench) -> str | None:
    """A program that is graded finds its tests in no file, and prompt sets and host files not."""
    word = secrets.token_hex(16)
    prompt = Prompt(
        id="square",
        language=Language.PYTHON,
        category="math",
        item="def square",
        prompt="def square(n):\n",
        reference="    return n * n\n",
        tests=(f"assert square(3) == 9, '{word}'",),
    )
    program = _SEARCH.format(word=list(word.encode()))
    step = grading_step(prompt, program.encode())
    graded = bench.run(step)
    passed = read_grading(step, graded).outcome is Outcome.PASSED
    with host_secret() as (secret, _):
        paths = [secret, __file__, *map(str, data_path("prompts").glob("*.toml"))]
        opened = bench.python(
            f"found = []\nfor path in {paths}:\n try: found.append(open(path).name)\n"
            " except OSError: pass\nprint(found)"
        )
    return first(
        unless(passed and graded.stdout == b"[]\n", graded),
        said(opened, "[]\n"),
    )


@_promise
def test_symlink_fifo_device_copyout(bench: Bench) -> str | None:
    """Of what a program offers to be taken out only plain files of fair size are; nothing hangs."""
    names = ("link", "pipe", "socket", "folder", "device", "dangling", "plain")
    step = python_step(
        """
import os, socket
os.symlink("/usr/bin/env", "link"); os.symlink("/nowhere", "dangling")
os.mkfifo("pipe"); os.mkdir("folder")
socket.socket(1).bind("socket")
try:
    os.mknod("device", 0o020666, os.makedev(1, 5))
    print("a device was made")
except PermissionError:
    pass
open("plain", "w").write("plain")
"""
    )
    result = bench.run(replace(step, collect=names))
    return first(
        said(result, ""), unless(result.collected == {"plain": b"plain"}, result.collected)
    )


@_promise
def test_toctou_binary_swap(bench: Bench) -> str | None:
    """What runs is what was collected, whole, though a daemon swaps it at that very time."""
    scripts = [f"#!/bin/sh\n# {'x' * 100000}\necho {n}\n".encode() for n in (1, 2)]
    swap = """
import os
def swap():
    os.setsid()
    while True:
        for n in (b"1", b"2"):
            with open("new", "wb") as file:
                file.write(b"#!/bin/sh\\n# " + b"x" * 100000 + b"\\necho " + n + b"\\n")
            os.chmod("new", 0o755)
            os.rename("new", {name!r})
"""
    build = swap.format(name="driver") + "if os.fork() == 0: swap()\nwhile True:\n"
    build += " if os.path.exists('driver'): break\nos._exit(0)"
    built = bench.run(replace(python_step(build), collect=("driver",)))
    binary = built.collected.get("driver", b"")
    run = Step(stage=Stage.RUN, argv=("./driver",), files={"driver": binary}, limits=RUN_LIMITS)
    expected = f"{scripts.index(binary) + 1}\n" if binary in scripts else "no whole script"
    return first(unless(binary in scripts, built), said(bench.run(run), expected))
