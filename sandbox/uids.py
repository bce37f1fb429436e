"""The second level of isolation, where nested namespaces are refused: every step is its own user.

The supervisor is root in its container, with CAP_SETUID, CAP_SETGID, CAP_KILL and CAP_CHOWN alone.
A step runs as a user that nobody is or was, and owns the three folders that can be written to. When
it ends, its init kills that user's processes, becomes the user and removes its files and queues;
the supervisor then looks that nothing is left. README.md says what this level cannot hide.
"""

import contextlib
import ctypes
import os
import signal
import stat
import time

FOLDERS = ("/w", "/tmp", "/dev/shm")  # noqa: S108 - file systems of the slot's own, nothing else
PER_SLOT = 64
_QUEUES = "/dev/mqueue"
_IPC = "/proc/sysvipc"
_TRIES = 50
_PR_SET_CHILD_SUBREAPER = 36
_IPC_RMID = 0
_libc = ctypes.CDLL(None, use_errno=True)


def choose_first() -> int:
    """Return the first of this slot's users: the checkers', followed by one for each step.

    The kernel counts a user's processes (RLIMIT_NPROC) on the whole host, so slots must differ: at
    random out of numbers that systemd's table leaves unused, or of those that the container has.
    """
    with open("/proc/self/uid_map") as file:  # noqa: PTH123
        n_users = int(file.read().split()[2])
    low, high = (0x70000000, 0x78000000) if n_users > 0x78000000 else (1000, min(n_users, 60000))
    block = int.from_bytes(os.urandom(8), "big") % ((high - low) // PER_SLOT)
    return low + block * PER_SLOT


def become(uid: int) -> None:
    """Turn this process into `uid` for good, with no groups beside its own.

    Raises:
        OSError: if the kernel refuses.
    """
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def hand_over(uid: int) -> None:
    """Give the empty folders to `uid`, and take in as children what its programs leave behind."""
    for folder in FOLDERS:
        os.chmod(folder, 0o700)  # noqa: PTH101 - runc gives a mount the mode of what it covers
        os.chown(folder, uid, uid)
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_all(uid: int) -> None:
    """Kill every process of `uid` and become that user; only for the init of its step.

    As root first, whom the programs cannot signal; then at once (kill(-1)) what forks faster than
    it can be listed. Should that too be disturbed, the supervisor finds what is left.
    """
    for _ in range(_TRIES):
        pids = _processes_of(uid)
        if not pids:
            break
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.001)
    become(uid)
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)


def _processes_of(uid: int) -> list[int]:
    line, found = f"Uid:\t{uid}\t".encode(), []
    for name in os.listdir("/proc"):  # noqa: PTH208
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/status", "rb") as file:  # noqa: PTH123
                if line in file.read():
                    found.append(int(name))
    return found


def wipe() -> None:
    """Remove every file, queue, semaphore and segment that this process's user owns.

    Raises:
        OSError: if something cannot be removed.
    """
    for folder in FOLDERS:
        os.chmod(folder, 0o700)  # noqa: PTH101
    for folder in (*FOLDERS, _QUEUES):
        _empty(folder)
    for folder in FOLDERS:
        for name in os.listxattr(folder):
            os.removexattr(folder, name)
    for kind, remove in (("shm", _libc.shmctl), ("msg", _libc.msgctl)):
        for identity in _ipc(kind):
            remove(identity, _IPC_RMID, None)
    for identity in _ipc("sem"):
        _libc.semctl(identity, 0, _IPC_RMID)


def _empty(folder: str) -> None:
    """Remove all that is in `folder`, however deep: what a folder in it holds is moved up first."""
    n_moved, mark = 0, os.urandom(8).hex()
    while names := os.listdir(folder):  # noqa: PTH208
        for name in names:
            path = f"{folder}/{name}"
            if not stat.S_ISDIR(os.lstat(path).st_mode):
                os.unlink(path)  # noqa: PTH108
                continue
            os.chmod(path, 0o700)  # noqa: PTH101
            for child in os.listdir(path):  # noqa: PTH208
                inner, n_moved = f"{path}/{child}", n_moved + 1
                if stat.S_ISDIR(os.lstat(inner).st_mode):
                    os.chmod(inner, 0o700)  # noqa: PTH101 - its link to its parent is written too
                os.rename(inner, f"{folder}/{mark}{n_moved}")  # noqa: PTH104
            os.rmdir(path)  # noqa: PTH106


def _ipc(kind: str) -> list[int]:
    with open(f"{_IPC}/{kind}") as file:  # noqa: PTH123
        return [int(line.split()[1]) for line in file.readlines()[1:]]


def nothing_is_left() -> bool:
    """Take the folders back and return whether they, and all queues of the slot, are empty."""
    for folder in FOLDERS:
        os.chown(folder, 0, 0)
        os.chmod(folder, 0o700)  # noqa: PTH101
        if os.listdir(folder) or os.listxattr(folder):  # noqa: PTH208
            return False
    return not os.listdir(_QUEUES) and not any(_ipc(kind) for kind in ("shm", "sem", "msg"))  # noqa: PTH208
