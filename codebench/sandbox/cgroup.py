"""A control group around a slot that is no container, where this machine lets us make one.

Version 1: a folder in each of the hierarchies `memory` and `pids`, below the group of this process.
Version 2: one beside the group of this process (a group with processes hands out no controllers),
where the folder above hands out both. Root may mostly do that, a user where systemd delegates.
Formats: the kernel's Documentation/admin-guide/cgroup-v1/memory.rst and cgroup-v2.rst.

A group bears its owner's PID and start, so that what a killed harness left is known as such.
"""

import contextlib
import itertools
import os
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_NAME = re.compile(r"codebench-(\d+)-(\d+)-\d+")
_OWN = "/proc/self/cgroup"
_REMOVE_S = 5.0
_OF_SWAP = {"memory.memsw.limit_in_bytes", "memory.swap.max"}
"""Limits that are not there where the machine has no swap, or does not count it."""

_JOIN = (
    'while [ "$1" != -- ]; do echo $$ >"$1/cgroup.procs" || exit 1; shift; done; shift; exec "$@"'
)
_numbers = itertools.count()


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotGroup:
    """The group of one slot."""

    folders: tuple[Path, ...]
    """Where it lives: one folder, or one in each hierarchy, that of memory first."""

    inside: str
    """Where the supervisor looks for the memory's counters, in the slot."""

    def joined(self, argv: Sequence[str]) -> list[str]:
        """Return `argv` behind a shell that joins the group first, before anything is forked."""
        return ["/bin/sh", "-c", _JOIN, "sh", *map(str, self.folders), "--", *argv]

    def can_be_joined(self) -> bool:
        """Whether a process of ours comes to be in it: not where ours may not leave its group."""
        try:
            argv = self.joined(["cat", _OWN])
            said = subprocess.run(argv, capture_output=True, text=True, timeout=_REMOVE_S).stdout
        except (OSError, subprocess.TimeoutExpired):
            return False
        lines = said.splitlines()
        return sum(line.endswith(f"/{self.folders[0].name}") for line in lines) >= len(self.folders)

    def remove(self) -> None:
        """Remove the group as soon as its last process is gone; gives up after seconds."""
        deadline = time.monotonic() + _REMOVE_S
        left = list(self.folders)
        while left and time.monotonic() < deadline:
            left = [folder for folder in left if not _removed(folder)]
            if left:
                time.sleep(0.005)


def make_group(*, memory_bytes: int, n_processes: int) -> SlotGroup | None:
    """Return a new group with these limits (swap counts as memory); None where there is none."""
    name = f"codebench-{os.getpid()}-{_started(os.getpid())}-{next(_numbers)}"
    for parents, inside, limits in _places():
        values = {
            **{(0, file): memory_bytes for file in limits},
            **({(0, "memory.swap.max"): 0} if len(parents) == 1 else {}),
            (len(parents) - 1, "pids.max"): n_processes,
        }
        group = SlotGroup(folders=tuple(parent / name for parent in parents), inside=inside)
        try:
            for folder in group.folders:
                folder.mkdir()
            for (place, file), value in values.items():
                path = group.folders[place] / file
                if path.exists() or file not in _OF_SWAP:
                    path.write_text(str(value))
        except OSError:
            group.remove()
        else:
            return group
    return None


def remove_orphans() -> int:
    """Remove the groups whose harness is gone from this machine; return how many there were."""
    removed = 0
    for folder in {folder for parents, _, _ in _places() for folder in parents}:
        for group in folder.glob("codebench-*"):
            found = _NAME.fullmatch(group.name)
            if found and _started(int(found[1])) != found[2]:
                removed += _removed(group)
    return removed


def _places() -> Iterator[tuple[tuple[Path, ...], str, tuple[str, ...]]]:
    """Yield where a group could be made, where its counters are looked for, its files of limits."""
    own, mounts = _own_groups(), _mounts()
    if {"memory", "pids"} <= own.keys() & mounts.keys():
        folders = tuple(_folder(mounts[name], own[name]) for name in ("memory", "pids"))
        files = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes")
        yield folders, "/sys/fs/cgroup/memory", files
    if "" in own and "" in mounts:
        folder = _folder(mounts[""], own[""])
        above = folder if own[""] == "/" else folder.parent
        yield (above,), "/sys/fs/cgroup", ("memory.max",)


def _own_groups() -> dict[str, str]:
    """Return the group of this process by controller; version 2's is called ``""``."""
    groups = {}
    for line in _lines(_OWN):
        _, controllers, path = line.split(":", 2)
        groups.update(dict.fromkeys(controllers.split(","), path))
    return groups


def _mounts() -> dict[str, tuple[str, str]]:
    """Return by controller where its hierarchy is mounted, and which group that folder is."""
    mounts = {}
    for line in _lines("/proc/self/mountinfo"):
        first, _, second = line.partition(" - ")
        root, place = first.split()[3:5]
        kind, _, options = second.split(" ", 2)
        if kind == "cgroup2":
            mounts[""] = place, root
        elif kind == "cgroup":
            mounts.update(dict.fromkeys(options.split(","), (place, root)))
    return mounts


def _lines(path: str) -> list[str]:
    """Return the lines of a file; none where the kernel does not have it."""
    with contextlib.suppress(OSError):
        return Path(path).read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    return []


def _folder(mount: tuple[str, str], group: str) -> Path:
    place, root = mount
    path = PurePosixPath(group)
    return Path(place, path.relative_to(root)) if path.is_relative_to(root) else Path(place)


def _started(pid: int) -> str | None:
    """Return when a process began, in ticks since this machine's start; None where it is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    return None


def _removed(folder: Path) -> bool:
    with contextlib.suppress(OSError):
        folder.rmdir()
    return not folder.exists()
