"""Faults of ours that no other file shows: Docker restarts, and a thousand steps at once."""

import contextlib
import dataclasses
import gc
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from codebench.errors import SandboxError
from codebench.sandbox.backend import Backend
from codebench.sandbox.bubblewrap import BubblewrapBackend
from codebench.sandbox.execution import COMPILE_LIMITS, RUN_LIMITS, Stage, Step
from codebench.sandbox.pool import SlotPool

_DAEMON = "/var/run/docker.sock"
_PATIENCE_S = 30
_SLOW = Step(
    stage=Stage.RUN,
    argv=("python3", "-I", "-S", "-B", "-c", "import time; time.sleep(1); print('done')"),
    limits=RUN_LIMITS,
)


def _wait(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + _PATIENCE_S
    while not (held := condition()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return held


def _running() -> set[str]:
    import docker

    with contextlib.closing(docker.from_env()) as client:
        asked = {"label": f"codebench.owner_pid={os.getpid()}"}
        return {row["Id"] for row in client.api.containers(filters=asked)}


def _children() -> set[str]:
    tasks = Path("/proc/self/task").iterdir()
    return {pid for task in tasks for pid in (task / "children").read_text().split()}


class Relay:
    """Stands between us and Docker's daemon; as that does at a restart, it cuts every stream."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._ends: list[socket.socket] = []
        self.up()

    def up(self) -> None:
        """Listen."""
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self._path)
        self._listener.listen()
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def down(self) -> None:
        """Listen no more, and cut what is connected."""
        Path(self._path).unlink()
        for end in (self._listener, *self._ends):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._ends.clear()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                ours, _ = listener.accept()
                theirs = socket.socket(socket.AF_UNIX)
                self._ends += [ours, theirs]
                theirs.connect(_DAEMON)
                for ends in ((ours, theirs), (theirs, ours)):
                    threading.Thread(target=self._pass_on, args=ends, daemon=True).start()

    @staticmethod
    def _pass_on(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)


@pytest.fixture
def relay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Relay]:
    """A relay that is where the Docker library looks for the daemon."""
    if not Path(_DAEMON).exists():
        pytest.skip("the daemon is elsewhere")
    relay = Relay(tmp_path / "docker.sock")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path / 'docker.sock'}")
    yield relay
    relay.down()
    gc.collect()


@pytest.mark.docker
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")  # docker's, when refused
def test_daemon_restart_resumes(relay: Relay) -> None:
    """A step in flight at a restart of Docker is run again, and no container runs on.

    While Docker is away steps are errors of ours; when it is back the same sandbox goes on.
    """
    from codebench.sandbox.docker import DockerBackend

    before = _running()
    pool = SlotPool(DockerBackend(api_timeout_s=5), n_slots=1)
    try:
        with ThreadPoolExecutor(1) as executor:
            running = executor.submit(pool.run, _SLOW)
            assert _wait(lambda: bool(_running() - before))
            time.sleep(0.6)  # until the step has begun
            relay.down()
            relay.up()
            assert running.result(_PATIENCE_S).stdout == b"done\n"
        relay.down()
        with pytest.raises(SandboxError):
            pool.run(_SLOW)
        relay.up()
        assert pool.run(_SLOW).stdout == b"done\n"
    finally:
        pool.close()
        gc.collect()
    assert _wait(lambda: not _running() - before)


def _docker() -> Backend:
    from codebench.sandbox.docker import DockerBackend

    return DockerBackend()


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(BubblewrapBackend, marks=pytest.mark.bubblewrap, id="bubblewrap"),
        pytest.param(_docker, marks=pytest.mark.docker, id="docker"),
    ],
)
def test_parallel_1000_no_leaks(make: Callable[[], Backend], tmp_path: Path) -> None:
    """A thousand steps through two slots give each its own answer, and leave nothing of ours."""
    compiling = Step(
        stage=Stage.COMPILE,
        argv=("warm:compile_program",),
        limits=COMPILE_LIMITS,
    )
    is_docker = make is not BubblewrapBackend
    n_files, children = _open_files(), _children()
    running = _running() if is_docker else set()
    pool = SlotPool(make(), n_slots=2)

    def line_of_error(n: int) -> int:
        program = b"\n" * n + b"x = 1 +\n"
        result = pool.run(dataclasses.replace(compiling, files={"program.py": program}))
        return int(json.loads(result.stdout)["line"])

    try:
        with ThreadPoolExecutor(2) as executor:
            answers = list(executor.map(line_of_error, range(1000)))
    finally:
        pool.close()
    assert answers == list(range(1, 1001))
    assert _wait(lambda: _children() <= children)
    assert _open_files() <= n_files
    if is_docker:
        assert _wait(lambda: _running() <= running)
