"""A harness that dies leaves nothing running, and the next one cleans up what still lies there."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from codebench.sandbox.backend import Backend

_PATIENCE_S = 20
_HARNESS = """
import sys
from codebench.sandbox.backend import Isolation
from codebench.sandbox.bubblewrap import BubblewrapBackend
from codebench.sandbox.docker import DockerBackend
from codebench.sandbox.execution import RUN_LIMITS, Stage, Step
from codebench.sandbox.pool import SlotPool
kind, isolation = sys.argv[1:]
backend = DockerBackend(Isolation(isolation)) if kind == "docker" else BubblewrapBackend()
pool = SlotPool(backend, n_slots=1)
step = Step(
    stage=Stage.RUN,
    argv=("python3", "-I", "-S", "-B", "-c", "import os, time; os.fork(); time.sleep(600)"),
    limits=RUN_LIMITS.model_copy(update={"wall_s": 600}),
)
print("ready", flush=True)
pool.run(step)
"""


def _wait(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + _PATIENCE_S
    while not (held := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return held


def _descendants(pid: int) -> set[int]:
    found: set[int] = set()
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (thread / "children").read_text().split()):
            found |= {child} | _descendants(child)
    return found


def _running_containers(owner: int) -> list[str]:
    import docker

    client = docker.from_env()
    try:
        rows = client.api.containers(filters={"label": f"codebench.owner_pid={owner}"})
    finally:
        client.close()
    return [row["Id"] for row in rows]


def test_a_killed_harness_leaves_nothing_running(backend: Backend) -> None:
    """SIGKILL of the harness during a step ends its slots and all that runs in them."""
    harness = subprocess.Popen(
        [sys.executable, "-c", _HARNESS, backend.kind, str(backend.isolation)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert harness.stdout is not None
    try:
        assert harness.stdout.readline() == "ready\n"
        in_docker = backend.kind == "docker"
        n_expected = 1 if in_docker else 5  # bwrap, supervisor, init and its parent, the program

        def slots() -> list[str]:
            if in_docker:
                return _running_containers(harness.pid)
            return [str(pid) for pid in _descendants(harness.pid)]

        assert _wait(lambda: len(slots()) >= n_expected)
        left = slots()
        os.kill(harness.pid, signal.SIGKILL)
    finally:
        harness.kill()
        harness.wait()
        harness.stdout.close()
    if in_docker:
        assert _wait(lambda: not _running_containers(harness.pid))
    else:
        assert _wait(lambda: not any(Path("/proc", pid).exists() for pid in left))


@pytest.mark.parametrize(
    "backend", [pytest.param("docker-namespaces", marks=pytest.mark.docker)], indirect=True
)
def test_only_dead_owners_lose_their_containers(backend: Backend) -> None:
    """Slots of a dead process or of an earlier boot are removed; those of a living one stay."""
    import docker
    import docker.errors

    from codebench.sandbox.docker import image_name, remove_orphans

    ended = subprocess.Popen([sys.executable, "-I", "-S", "-c", ""])
    ended.wait()
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    owners = {
        "dead": {"codebench.owner_pid": str(ended.pid), "codebench.boot_id": boot},
        "earlier boot": {"codebench.owner_pid": str(os.getpid()), "codebench.boot_id": "earlier"},
        "no boot": {"codebench.owner_pid": str(os.getpid())},
        "alive": {"codebench.owner_pid": str(os.getpid()), "codebench.boot_id": boot},
        "not ours": {"somebody.else": "1"},
    }
    client = docker.from_env()
    made: dict[str, str] = {}
    try:
        for name, labels in owners.items():
            container = client.containers.run(
                image_name(),
                entrypoint=["/usr/bin/python3", "-c", "import time; time.sleep(600)"],
                labels=labels,
                network_mode="none",
                detach=True,
            )
            made[name] = str(container.id)
        remove_orphans(client)  # or another harness of this machine, which starts just now
        left = {row["Id"] for row in client.api.containers(all=True)}
        assert {name for name, identity in made.items() if identity in left} == {
            "alive",
            "not ours",
        }
    finally:
        for identity in made.values():
            try:
                client.api.remove_container(identity, force=True)
            except docker.errors.NotFound:
                continue
        client.close()
