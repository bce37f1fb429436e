"""What makes one sample harmless: namespaces, file systems, limits, privileges, streams.

Namespaces and file systems are the first level of isolation; `uids.py` is the second. The rest is
common to both.

Called in the forked children of `launcher.py` and `checkers.py` only, step by step in the order of
this file. What a forked interpreter touches is copied, page by page, and what it makes is new
memory: that, not the kernel, is most of what a step costs. So constants are made here, once, what
depends on the step is made before the fork, and the children do little beside system calls.
"""

import _signal  # type: ignore[import-not-found]  # `signal` makes enums of what it is given
import contextlib
import ctypes
import fcntl
import functools
import gc
import importlib
import os
import platform
import resource
import signal
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, NoReturn

import seccomp_filter

INSIDE_UID = 1000
WORK = "/w"
PATH = "/opt/rust/bin:/usr/bin:/bin"
HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib would double the supervisor's start-up
THIRD = 3
"""The descriptor of a program's own channel, beside stdin, stdout and stderr."""

# functions are looked up here: each child would look them up, and copy memory, for itself
_libc = ctypes.CDLL(None, use_errno=True)
_mount, _prctl, _capset = _libc.mount, _libc.prctl, _libc.capset
_mount.argtypes = (
    ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p,
)  # fmt: skip
_python = ctypes.PyDLL(None, use_errno=True)
_clone = _python.syscall
_clone.argtypes = (ctypes.c_long,) * 6
_clone.restype = ctypes.c_long
_before_fork = _python.PyOS_BeforeFork
_after_fork_here, _after_fork_there = _python.PyOS_AfterFork_Parent, _python.PyOS_AfterFork_Child
_CLONE = {"x86_64": 56, "aarch64": 220}
_CLONE_NEWNS, _CLONE_NEWUTS, _CLONE_NEWIPC = 0x20000, 0x4000000, 0x8000000
_CLONE_NEWUSER, _CLONE_NEWPID = 0x10000000, 0x20000000
_NAMESPACES = _CLONE_NEWUSER | _CLONE_NEWPID | _CLONE_NEWNS | _CLONE_NEWIPC | _CLONE_NEWUTS
_CLONE_NUMBER = _CLONE[platform.machine()]
WAIT_ALL = 0x40000000
"""__WALL of wait4(2): children that end without a signal too."""

_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REMOUNT = 1, 2, 4, 8, 32
_MS_REC, _MS_PRIVATE = 0x4000, 0x40000
_CLOSED = _MS_RDONLY | _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
_CAPABILITY_VERSION_3 = 0x20080522
_PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 4, 22, 24, 38


def _call(result: int, what: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def _write(path: str, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, data)
    finally:
        os.close(fd)


def go_first_under_pressure() -> None:
    """Let the kernel kill this process before the supervisor when memory is short."""
    _write("/proc/self/oom_score_adj", b"1000")


def _note_user() -> None:
    """Note who we are; a child in new namespaces is nobody at first."""
    users, groups = (f"{INSIDE_UID} {outer} 1".encode() for outer in (os.getuid(), os.getgid()))
    _users_inside[:] = (
        ("/proc/self/setgroups", b"deny"),
        ("/proc/self/uid_map", users),
        ("/proc/self/gid_map", groups),
    )


_users_inside: list[tuple[str, bytes]] = []
_note_user()


def leave_root(uid: int) -> None:
    """Become a user that nobody else is, for good: what forks steps must not be the machine's root.

    The kernel neither counts root's processes (RLIMIT_NPROC) nor closes root's files to them.

    Raises:
        OSError: if the kernel refuses.
    """
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    _call(_prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0), "dumpable")  # else /proc/self would be root's
    _note_user()


def fork_into_namespaces(*, reaped: bool) -> int:
    """Fork a child that is init of new user, pid, mount, ipc and uts namespaces; see `os.fork`.

    One clone in place of fork, unshare and fork again: every fork of an interpreter costs more
    than a millisecond. What `os.fork` does beside the system call, CPython offers as functions.

    Args:
        reaped: whether its end is told by SIGCHLD (and the kernel reaps it where that is ignored);
            if not, it must be waited for, with `WAIT_ALL`.

    Raises:
        OSError: if the kernel or the outer sandbox refuses.
    """
    flags = _NAMESPACES | signal.SIGCHLD if reaped else _NAMESPACES
    _before_fork()
    pid = int(_clone(_CLONE_NUMBER, flags, 0, 0, 0, 0))
    if pid == 0:
        _after_fork_there()
        return 0
    code = ctypes.get_errno()
    _after_fork_here()
    if pid < 0:
        raise OSError(code, f"clone into namespaces: {os.strerror(code)}")
    return pid


def become_inner_user() -> None:
    """Give init of new namespaces a user in them.

    Raises:
        OSError: if the kernel or the outer sandbox refuses.
    """
    go_first_under_pressure()
    for path, data in _users_inside:
        _write(path, data)


Mounts = tuple[tuple[tuple[Any, ...], str], ...]
"""Arguments of mount(2), and what each call is for."""


@functools.lru_cache(maxsize=16)
def plan_file_systems(disk_bytes: int, n_files: int) -> Mounts:
    """Return how to cover everything writable or telling with fresh, small, empty file systems."""
    size = f"size={disk_bytes},nr_inodes={n_files}"
    plain = _MS_NOSUID | _MS_NODEV
    nothing = "size=4k,nr_inodes=2,mode=0555"
    wanted = (
        (WORK, plain, f"{size},mode=0755"),
        ("/tmp", plain, f"{size},mode=0777"),  # noqa: S108 - the sample's own
        ("/dev/shm", plain | _MS_NOEXEC, f"{size},mode=0777"),  # noqa: S108 - the sample's own
        ("/dev/mqueue", _CLOSED, nothing),
        ("/sys", _CLOSED, nothing),
        (HERE, _CLOSED, nothing),
        ("/proc", plain | _MS_NOEXEC, "size=4k,nr_inodes=7,mode=0555"),
    )
    return (
        ((b"none", b"/", None, _MS_REC | _MS_PRIVATE, None), "make mounts private"),
        *(
            ((b"tmpfs", target.encode(), b"tmpfs", flags, options.encode()), f"cover {target}")
            for target, flags, options in wanted
            if os.path.isdir(target)  # noqa: PTH112 - pathlib would double the supervisor's start-up
        ),
    )


_CLOSE_PROC = (b"none", b"/proc", None, _CLOSED | _MS_REMOUNT, None)


def make_file_systems(mounts: Mounts, executable: str) -> None:
    """Make what `plan_file_systems` has planned.

    /proc holds one link, self/exe to `executable`: rustc before 1.70 panics without it. For rustc
    also one setting: its memory allocator (jemalloc) takes 7 % more time where it cannot read it.

    Raises:
        OSError: if a mount is refused.
    """
    for arguments, what in mounts:
        _call(_mount(*arguments), what)
    os.mkdir("/proc/self", 0o555)  # noqa: PTH102
    os.symlink(executable, "/proc/self/exe")  # noqa: PTH211
    if executable.endswith("/rustc"):
        os.makedirs(os.path.dirname(_OVERCOMMIT), 0o555)  # noqa: PTH103, PTH120
        with open(_OVERCOMMIT, "xb") as file:  # noqa: PTH123
            file.write(_overcommit)
    _call(_mount(*_CLOSE_PROC), "close /proc")


def write_files(folder: str, files: dict[str, bytes]) -> None:
    """Write the step's files, readable and executable, into its empty work directory."""
    for name, content in files.items():
        fd = os.open(f"{folder}/{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o755)
        while content:
            content = content[os.write(fd, content) :]
        os.close(fd)


def set_limits(limits: dict[str, Any], *, count_processes: bool) -> None:
    """Set the rlimits: backstops behind the supervisor's own watch over CPU time and memory."""
    cpu = int(limits["cpu_s"]) + 2
    values = {
        resource.RLIMIT_CPU: cpu,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: 256,
        resource.RLIMIT_MEMLOCK: 0,
        # rustc maps far more than it touches: sandbox.md R4
        resource.RLIMIT_AS: 2 * limits["memory_bytes"] + 1024**3,
    }
    if count_processes:  # where nobody else is this user: the kernel counts all that it has
        values[resource.RLIMIT_NPROC] = limits["n_processes"] + 1
    for kind, value in values.items():
        hard = resource.getrlimit(kind)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))


def limit_files(size: int) -> None:
    """Set the largest size of a file, in bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


_to_myself = ctypes.byref((ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0))
_no_capabilities = ctypes.byref((ctypes.c_uint32 * 6)())
"""Effective, permitted, inheritable; low and high half."""

_filter = ctypes.byref(seccomp_filter.PROGRAM)


def drop_privileges() -> None:
    """Give up every capability for good and load the system-call filter.

    A process that made a user namespace holds every capability in it until it runs another program,
    and a warm step never does: the sets are emptied here.

    Raises:
        OSError: if the kernel refuses.
    """
    for capability in range(64):
        if _prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
            break  # past the last one that this kernel knows
    _call(_capset(_to_myself, _no_capabilities), "drop capabilities")
    _call(_prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    _call(_prctl(_PR_SET_SECCOMP, 2, _filter, 0, 0), "load seccomp filter")


def find_executable(job: dict[str, Any], folder: str) -> str:
    """Return the path of the step's argv[0]: a file of the step, or a program on the PATH.

    Raises:
        FileNotFoundError: if it is not there.
    """
    name = job["argv"][0]
    if name.startswith("./"):
        return f"{folder}/{name[2:]}"
    for entry in job["env"].get("PATH", PATH).split(":"):
        if os.path.exists(f"{entry}/{name}"):  # noqa: PTH110 - see _tmpfs
            return f"{entry}/{name}"
    raise FileNotFoundError(2, f"{name} is not in the sandbox")


_loaded: dict[str, ModuleType] = {}
_OVERCOMMIT = "/proc/sys/vm/overcommit_memory"
with open(_OVERCOMMIT, "rb") as _file:  # noqa: PTH123
    _overcommit = _file.read()

_OURS = tuple(
    map(int, (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGTERM, signal.SIGCHLD))
)
"""What Python, the supervisor or the launcher ignores; a program would go on with that."""

_put_off: list[dict[str, Callable[[], object]]] = []


def load(name: str) -> ModuleType:
    """Import a module of this folder into a process that forks.

    What is loaded is taken out of the garbage collector's sight: its looking would copy the memory
    of every child. For the same reason nothing of it runs at our own forks: see `register_hooks`.
    """
    if name not in _loaded:
        register = os.register_at_fork
        os.register_at_fork = _put_off_hooks  # type: ignore[assignment]
        sys.path.insert(0, HERE)
        try:
            _loaded[name] = importlib.import_module(name)
        finally:
            sys.path.remove(HERE)
            os.register_at_fork = register
        gc.collect()
        gc.freeze()
    return _loaded[name]


def _put_off_hooks(**hooks: Callable[[], object]) -> None:
    _put_off.append(hooks)


def register_hooks() -> None:
    """Let the modules of `load` do from now on what they want to do at a fork.

    (`random` draws a new seed and `threading` forgets the other threads: a quarter of a child's
    start, and of no use before the program has run.)
    """
    for hooks in _put_off:
        os.register_at_fork(**hooks)


def take_streams(folder: str, out: int, err: int, third: "int | None") -> None:
    """Enter the work directory with an empty stdin, our pipes, and defaults for signals."""
    os.setsid()
    null = os.open(os.devnull, os.O_RDONLY)
    # first out of the way of the numbers that they are to have
    wanted = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 64) for fd in (null, out, err)]
    if third is not None:
        wanted.append(fcntl.fcntl(third, fcntl.F_DUPFD_CLOEXEC, 64))
    for target, fd in enumerate(wanted):
        os.dup2(fd, target)
    if third is None:
        os.closerange(THIRD, THIRD + 1)
    os.chdir(folder)
    os.umask(0o022)
    for number in _OURS:
        _signal.signal(number, _signal.SIG_DFL)


def spawn_program(
    job: dict[str, Any], folder: str, streams: tuple[int, int], third: "int | None"
) -> int:
    """Start the program as `take_streams` and `start_program` would; return its PID.

    Without a fork: the kernel copies no memory of the interpreter's.

    Raises:
        OSError: if it cannot be started.
    """
    os.chdir(folder)
    os.umask(0o022)
    actions: list[tuple[Any, ...]] = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)]
    for target, fd in enumerate((*streams, third), start=1):
        if fd is not None:  # every other descriptor closes by itself
            actions.append((os.POSIX_SPAWN_DUP2, fd, target))
    return os.posix_spawn(
        find_executable(job, folder),
        job["argv"],
        environment(job, folder),
        file_actions=actions,
        setsid=True,
        setsigdef=_OURS,
    )


def keep_only_streams() -> None:
    """Close every descriptor above the program's own; a started program loses them by itself."""
    os.closerange(THIRD + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0] + 1024)


def start_program(job: dict[str, Any], folder: str) -> NoReturn:
    """Become the program of the step.

    Raises:
        OSError: if it cannot be started.
    """
    os.execve(find_executable(job, folder), job["argv"], environment(job, folder))


_environment: dict[str, str] = {}


def take_environment(env: dict[str, str]) -> None:
    """Make the whole environment of a warm program this process's own, if it is not already."""
    if env != _environment:
        os.environ.clear()
        os.environ.update(env)
        _environment.clear()
        _environment.update(env)


def environment(job: dict[str, Any], folder: str) -> dict[str, str]:
    """Return the whole environment of a program."""
    return {"PATH": PATH, "HOME": folder, "TMPDIR": folder, "LANG": "C.UTF-8", **job["env"]}


def kill_all_but_me() -> None:
    """Kill every other process of this PID namespace; only for its init."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)


def hide_from_sample() -> None:
    """Make this process, and what it forks, unreadable for other processes."""
    _call(_prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0), "undumpable")
