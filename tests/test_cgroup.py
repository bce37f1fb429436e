"""A slot of bubblewrap's in a control group of its own: what no process holds is counted there."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from codebench.sandbox import cgroup
from codebench.sandbox.backend import SLOT_MEMORY_BYTES
from codebench.sandbox.bubblewrap import BubblewrapBackend
from codebench.sandbox.execution import RUN_LIMITS, Stage, Step, StoppedBy
from codebench.sandbox.pool import SlotPool

# Shared memory stays when the process lets go of it, and the watch sees only what is held.
HOARDS = """
import mmap
kept = []
while True:
    kept.append(mmap.mmap(-1, 1 << 24))
    kept[-1].write(b"x" * (1 << 24))
    kept[-1].madvise(mmap.MADV_DONTNEED)
"""


def python(program: str) -> Step:
    """Return a step that runs a program."""
    return Step(
        stage=Stage.RUN, argv=("python3", "-I", "-S", "-B", "-c", program), limits=RUN_LIMITS
    )


class Groups:
    """The groups on this machine that were not there before; other tests have slots open."""

    def __init__(self, parents: set[Path]) -> None:
        self._parents = parents
        self._before = {group for parent in parents for group in parent.glob("codebench-*")}

    def of(self, pid: int) -> list[Path]:
        """Return those of a process."""
        found = [group for parent in self._parents for group in parent.glob(f"codebench-{pid}-*")]
        return [group for group in found if group not in self._before]


@pytest.fixture
def groups() -> Iterator[Groups]:
    """Watch the folders that groups are made in, or skip; nothing of the test's may be left."""
    group = cgroup.make_group(memory_bytes=1 << 30, n_processes=64)
    if group is None:
        pytest.skip("no control group can be made on this machine by this user")
    group.remove()
    groups = Groups({folder.parent for folder in group.folders})
    yield groups
    assert not groups.of(os.getpid())


@pytest.mark.bubblewrap
def test_memory_that_no_process_holds_is_limited(groups: Groups) -> None:
    """A program that hoards unseen memory is ended for it, and the next one finds it free."""
    pool = SlotPool(BubblewrapBackend(), n_slots=1)
    try:
        assert pool.shortfall is None
        result = pool.run(python(HOARDS))
        assert result.execution.stopped_by is StoppedBy.MEMORY, result.execution
        (used,) = [
            group / name
            for group in groups.of(os.getpid())
            for name in ("memory.current", "memory.usage_in_bytes")
            if (group / name).exists()
        ]
        assert pool.run(python("print(1)")).stdout == b"1\n"
        assert int(used.read_text()) < SLOT_MEMORY_BYTES // 4
    finally:
        pool.close()


@pytest.mark.bubblewrap
def test_the_group_of_a_killed_harness_is_removed(groups: Groups) -> None:
    """What a harness that was killed left behind goes with the next start."""
    program = (
        "import time\nfrom codebench.sandbox import cgroup\n"
        "assert cgroup.make_group(memory_bytes=1 << 30, n_processes=9)\n"
        "print('made', flush=True)\ntime.sleep(600)"
    )
    harness = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    with harness:
        assert harness.stdout is not None
        assert harness.stdout.readline() == b"made\n"
        cgroup.remove_orphans()
        assert groups.of(harness.pid)
        harness.kill()
    BubblewrapBackend().close()
    assert not groups.of(harness.pid)


def test_version_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A group of version 2 stands beside our own, with swap shut off where there is any."""
    (tmp_path / "app.slice").mkdir()
    monkeypatch.setattr(cgroup, "_own_groups", lambda: {"": "/app.slice/ours.scope"})
    monkeypatch.setattr(cgroup, "_mounts", lambda: {"": (str(tmp_path), "/")})
    group = cgroup.make_group(memory_bytes=1 << 30, n_processes=64)
    assert group is not None
    (folder,) = group.folders
    assert folder.parent == tmp_path / "app.slice"
    written = {path.name: path.read_text() for path in folder.iterdir()}
    assert written == {"memory.max": str(1 << 30), "pids.max": "64"}
    assert group.inside == "/sys/fs/cgroup"


@pytest.mark.bubblewrap
@pytest.mark.usefixtures("groups")
def test_a_group_that_nobody_can_join(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is made but takes no process is no group: slots start without one."""
    group = cgroup.make_group(memory_bytes=1 << 30, n_processes=9)
    assert group is not None
    assert group.can_be_joined()
    group.remove()
    assert not group.can_be_joined()
    monkeypatch.setattr(cgroup, "_own_groups", lambda: {"": "/ours.scope"})
    monkeypatch.setattr(cgroup, "_mounts", lambda: {"": (str(tmp_path), "/")})
    false_group = cgroup.make_group(memory_bytes=1 << 30, n_processes=9)
    assert false_group is not None
    assert not false_group.can_be_joined()


def test_units_of_others_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the folders named codebench only those go that a harness made which is gone."""
    names = ["codebench-nightly-eval-1.scope", f"codebench-{os.getpid()}-1-0", "codebench.service"]
    for name in names:
        (tmp_path / name).mkdir()
    monkeypatch.setattr(cgroup, "_own_groups", lambda: {"": "/ours.scope"})
    monkeypatch.setattr(cgroup, "_mounts", lambda: {"": (str(tmp_path), "/")})
    assert cgroup.remove_orphans() == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [names[0], names[2]]


def test_a_kernel_without_control_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the kernel tells nothing about groups there is none, and that is no error."""
    monkeypatch.setattr(cgroup, "_OWN", "/proc/self/no-such-file")
    assert cgroup.remove_orphans() == 0
    assert cgroup.make_group(memory_bytes=1 << 30, n_processes=9) is None


def test_where_none_can_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a folder to make it in there is none, and that is no error."""
    monkeypatch.setattr(cgroup, "_own_groups", lambda: {"": "/a/b", "memory": "/a", "pids": "/a"})
    gone = str(tmp_path / "gone")
    monkeypatch.setattr(
        cgroup, "_mounts", lambda: dict.fromkeys(("", "memory", "pids"), (gone, "/"))
    )
    assert cgroup.make_group(memory_bytes=1 << 30, n_processes=64) is None
