"""What fails on our side is our failure: tried again, or said; and nothing of it stays."""

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import docker
import pytest

from codebench.errors import SandboxError
from codebench.sandbox.backend import Backend, Isolation
from codebench.sandbox.docker import DockerBackend
from codebench.sandbox.execution import RUN_LIMITS, Stage, Step
from codebench.sandbox.pool import SlotPool
from tests.contract.counting import CountingBackend

_PATIENCE_S = 30
_SLOW = Step(
    stage=Stage.RUN,
    argv=("python3", "-I", "-S", "-B", "-c", "import time; time.sleep(1); print('done')"),
    limits=RUN_LIMITS,
)
_QUICK = Step(stage=Stage.RUN, argv=("python3", "-I", "-S", "-c", "print(1)"), limits=RUN_LIMITS)
in_docker = pytest.mark.parametrize(
    "backend", [pytest.param("docker-namespaces", marks=pytest.mark.docker)], indirect=True
)


def _wait(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + _PATIENCE_S
    while not (held := condition()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return held


def _containers(owner: int, *, running: bool) -> set[str]:
    with contextlib.closing(docker.from_env()) as client:
        asked = {"label": f"codebench.owner_pid={owner}"}
        return {row["Id"] for row in client.api.containers(all=not running, filters=asked)}


def _children(pid: int) -> set[str]:
    found: set[str] = set()
    with contextlib.suppress(FileNotFoundError):  # it ended meanwhile
        for task in Path(f"/proc/{pid}/task").iterdir():
            found |= set((task / "children").read_text().split())
    return found


def _slots(kind: str) -> set[str]:
    """Return the slots of this process: containers, or supervisors below bubblewrap."""
    if kind == "docker":
        return _containers(os.getpid(), running=True)
    return {pid for child in _children(os.getpid()) for pid in _children(int(child))}


def _kill(kind: str, slot: str) -> None:
    if kind == "docker":
        with contextlib.closing(docker.from_env()) as client:
            client.api.kill(slot)
    else:
        os.kill(int(slot), signal.SIGKILL)


@pytest.mark.parametrize("n_kills", [1, 3])
def test_slot_killed_midrun(backend: CountingBackend, n_kills: int) -> None:
    """A slot that is killed from outside costs a second try; three in a row are our error."""
    before = _slots(backend.kind)
    pool = SlotPool(backend.make(), n_slots=1)
    try:
        with ThreadPoolExecutor(1) as executor:
            running = executor.submit(pool.run, _SLOW)
            killed: set[str] = set()
            for _ in range(n_kills):
                assert _wait(lambda: bool(_slots(backend.kind) - before - killed))
                (slot,) = _slots(backend.kind) - before - killed
                time.sleep(0.6)  # until the step has begun
                _kill(backend.kind, slot)
                killed.add(slot)
            if n_kills == 1:
                assert running.result(_PATIENCE_S).stdout == b"done\n"
            else:
                with pytest.raises(SandboxError, match="a slot went away"):
                    running.result(_PATIENCE_S)
        assert pool.run(_QUICK).stdout == b"1\n"
    finally:
        pool.close()
    assert _wait(lambda: not _slots(backend.kind) - before)


@pytest.mark.parametrize(
    "change",
    [
        {"argv": ("no-such-program",)},
        {"argv": ("python3", "a\0b")},
        {"files": {"../x": b""}},
        {"files": {"x": b"x" * 10_000}, "limits": RUN_LIMITS.model_copy(update={"disk_bytes": 10})},
    ],
    ids=["no program", "no argument", "no file name", "no room"],
)
def test_a_step_that_cannot_be_started(backend: CountingBackend, change: dict[str, Any]) -> None:
    """What keeps a program from being started at all is our error, not its exit code."""
    pool = SlotPool(backend.make(), n_slots=1)
    try:
        with pytest.raises(SandboxError, match="could not start the step"):
            pool.run(dataclasses.replace(_QUICK, **change))
    finally:
        pool.close()


_ENDLESS = "import time\nwhile True: time.sleep(1)\n"


@in_docker
@pytest.mark.parametrize("n_interrupts", [1, 2])
def test_ctrl_c(backend: Backend, tmp_path: Path, n_interrupts: int) -> None:
    """Ctrl-C once ends a run tidily; twice, at once. Neither leaves a slot or a process running."""
    samples = tmp_path / "samples.jsonl"
    lines = [{"task_id": "count_vowels", "solution": f"{_ENDLESS}x = {n}"} for n in range(8)]
    samples.write_text("\n".join(map(json.dumps, lines)))
    process = subprocess.Popen(
        [sys.executable, "-m", "codebench", "score", str(samples), "--prompts", "python-basics",
         "--sandbox", "docker", "--slots", "2", "--output", str(tmp_path / "results.json"),
         "--run-dir", str(tmp_path / "run")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )  # fmt: skip
    try:
        assert _wait(lambda: len(_containers(process.pid, running=True)) == 2)
        children = _children(process.pid)
        for _ in range(n_interrupts):
            process.send_signal(signal.SIGINT)
            time.sleep(0.3)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode in ({130} if n_interrupts == 1 else {130, -signal.SIGINT}), said
    assert "Traceback" not in said
    assert _wait(lambda: not _containers(process.pid, running=True))
    assert _wait(lambda: not any(Path("/proc", child).exists() for child in children))
    DockerBackend(Isolation.UID).close()  # the next start clears away what an abrupt end left lying
    assert not _containers(process.pid, running=False)
