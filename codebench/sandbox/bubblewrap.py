"""Slots made by bubblewrap: no daemon, no image; the machine's own toolchain, bound read-only.

Promises what the docker backend promises, where it can make a control group (`cgroup.py`). Where it
cannot, mostly without root, memory is limited by rlimits and by the supervisor's watch (20 times a
second): a step can overshoot for an instant, and memory that no process holds is not seen.

It has no second level of isolation: where nested namespaces are refused, bubblewrap mostly is too
(Ubuntu 24.04 refuses both), and without root it has one user only. Where bubblewrap may and its
children may not (Ubuntu 25.04's profile bwrap-userns-restrict), the self-test says so: use Docker,
whose second level works there, or load the profile of `sandbox/apparmor-codebench`.

Of the host only these are visible, all read-only: /usr/bin, /usr/lib*, the Rust toolchain, the
interpreter and the supervisor; nothing of /home, /root, /etc, /var, /proc or /sys.
"""

import os
import shutil
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from codebench.errors import EnvironmentProblem
from codebench.package_data import data_path
from codebench.sandbox import cgroup
from codebench.sandbox.backend import SLOT_MEMORY_BYTES, SLOT_PROCESSES, Isolation
from codebench.sandbox.channel import Channel, ProcessChannel
from codebench.sandbox.toolchain import find_python_prefix, find_rust_sysroot

_GIVEN = ("CAP_KILL", "CAP_SETGID", "CAP_SETUID")
_NEEDED = 1 << 5 | 1 << 6 | 1 << 7 | 1 << 12 | 1 << 18 | 1 << 21
"""Those, and what bubblewrap itself needs of root: NET_ADMIN, SYS_CHROOT, SYS_ADMIN."""

_SHORTFALL = (
    "memory is limited by a look 20 times a second, not by the kernel: no control group can be "
    "made here (docker has one; so has root, mostly)"
)
_SYSTEM = ("bin", "lib", "lib32", "lib64", "libx32")


class BubblewrapBackend:
    """Starts slots with `bwrap`.

    Raises:
        EnvironmentProblem: if bwrap or rustc is missing.
    """

    kind = "bubblewrap"
    isolation = Isolation.NAMESPACES
    image: str | None = None

    def __init__(self) -> None:
        bwrap = shutil.which("bwrap")
        if bwrap is None:
            raise EnvironmentProblem(
                "bubblewrap is missing: `apt-get install bubblewrap` (or your system's package)"
            )
        prefix = find_python_prefix()
        self.env: Mapping[str, str] = (
            {} if prefix == Path("/usr") else {"PYTHONHOME": "/opt/python"}
        )
        self._argv = [bwrap, *_arguments(find_rust_sysroot(), prefix)]

        cgroup.remove_orphans()
        trial = _make_group()
        self._has_groups = trial is not None and trial.can_be_joined()
        self.shortfall = None if self._has_groups else _SHORTFALL
        if trial:
            trial.remove()

    def start(self, cores: Collection[int] = ()) -> Channel:
        """See `Backend`."""
        group = _make_group() if self._has_groups else None
        if group is None:
            return ProcessChannel(self._argv, env={}, cores=cores)
        counters = ["--ro-bind", str(group.folders[0]), group.inside]
        argv = group.joined([self._argv[0], *counters, *self._argv[1:]])
        return ProcessChannel(argv, env={}, cores=cores, at_end=group.remove)

    def close(self) -> None:
        """See `Backend`."""


def _make_group() -> cgroup.SlotGroup | None:
    return cgroup.make_group(memory_bytes=SLOT_MEMORY_BYTES, n_processes=SLOT_PROCESSES)


def _arguments(sysroot: Path, python: Path) -> list[str]:
    supervisor = data_path("sandbox")
    argv = _user([sysroot, python, supervisor])
    argv += ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"]
    argv += ["--unshare-cgroup-try", "--hostname", "sandbox", "--as-pid-1", "--new-session"]
    argv += ["--clearenv", "--setenv", "PYTHONHASHSEED", "0"]
    argv += ["--dir", "/usr"]  # a folder that bubblewrap makes unasked is closed to others
    for name in _SYSTEM:
        argv += _bind_system(name)
    argv += ["--dev", "/dev", "--proc", "/proc", "--dir", "/tmp", "--dir", "/w", "--dir", "/opt"]  # noqa: S108
    if sysroot == Path("/usr"):
        argv += ["--symlink", "/usr", "/opt/rust"]
    else:
        argv += ["--ro-bind", str(sysroot), "/opt/rust"]
    interpreter = "/usr/bin/python3"
    if python != Path("/usr"):
        argv += ["--ro-bind", str(python), "/opt/python"]
        argv += ["--setenv", "PYTHONHOME", "/opt/python"]
        interpreter = "/opt/python/bin/python3"
    argv += ["--ro-bind", str(supervisor), "/sandbox"]
    argv += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/"]
    return [*argv, interpreter, "-s", "-S", "-B", "/sandbox/supervisor.py"]


def _user(folders: Iterable[Path]) -> list[str]:
    """Return who the supervisor is: nobody; or, where that can be, root who makes others of steps.

    As nobody in a user namespace of root's, programs would still be the machine's root to the
    kernel, which does not count root's processes. Root in a container often may not do more, and
    what lies in `folders` may be root's alone.
    """
    if os.geteuid() == 0 and _has(_NEEDED) and all(map(_is_for_all, folders)):
        added = [word for name in _GIVEN for word in ("--cap-add", name)]
        return ["--cap-drop", "ALL", *added]
    return ["--unshare-user", "--uid", "65534", "--gid", "65534", "--cap-drop", "ALL"]


def _has(capabilities: int) -> bool:
    """Whether this process has all of some capabilities, one bit each."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16) & capabilities == capabilities
    return False


def _is_for_all(folder: Path) -> bool:
    return folder.stat().st_mode & 0o005 == 0o005


def _bind_system(name: str) -> list[str]:
    """Bind /usr/NAME, and /NAME as it is on this system (a link into /usr, or a folder)."""
    argv: list[str] = []
    if Path("/usr", name).is_dir():
        argv += ["--ro-bind", f"/usr/{name}", f"/usr/{name}"]
    top = Path("/", name)
    if top.is_symlink():
        argv += ["--symlink", f"usr/{name}", f"/{name}"]
    elif top.is_dir():
        argv += ["--ro-bind", f"/{name}", f"/{name}"]
    return argv
