"""Docker's daemon hangs or goes away: each call ends at its deadline, as an error of ours."""

import contextlib
import gc
import socket
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from codebench.errors import SandboxError
from codebench.sandbox.backend import Backend
from codebench.sandbox.channel import Channel
from codebench.sandbox.docker import DockerBackend
from codebench.sandbox.execution import RUN_LIMITS, Stage, Step
from codebench.sandbox.slot import Slot

_QUICK = Step(stage=Stage.RUN, argv=("python3", "-I", "-S", "-c", "print(1)"), limits=RUN_LIMITS)
in_docker = pytest.mark.parametrize(
    "backend", [pytest.param("docker-namespaces", marks=pytest.mark.docker)], indirect=True
)


class _Proxy:
    """Stands between us and Docker's daemon, and falls silent when it is told to."""

    def __init__(self, path: Path) -> None:
        self.silent = threading.Event()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._sockets: list[socket.socket] = [self._listener]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                ours, _ = self._listener.accept()
                theirs = socket.socket(socket.AF_UNIX)
                theirs.connect("/var/run/docker.sock")
                self._sockets += [ours, theirs]
                for source, target in ((ours, theirs), (theirs, ours)):
                    threading.Thread(
                        target=self._pass_on, args=(source, target), daemon=True
                    ).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if self.silent.is_set():
                    return
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close everything; threads that wait on it end."""
        for end in self._sockets:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@pytest.fixture
def proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[_Proxy]:
    """A proxy that is where the Docker library looks for the daemon."""
    if not Path("/var/run/docker.sock").exists():
        pytest.skip("the daemon is elsewhere")
    proxy = _Proxy(tmp_path / "docker.sock")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path / 'docker.sock'}")
    yield proxy
    proxy.close()


@in_docker
def test_a_daemon_that_hangs_at_a_start(backend: Backend, proxy: _Proxy) -> None:
    """Docker falls silent: starting a slot fails after its deadline, as an error of ours."""
    hung = DockerBackend(api_timeout_s=1)
    try:
        proxy.silent.set()
        with pytest.raises(SandboxError, match="docker failed starting a slot"):
            hung.start()
    finally:
        hung.close()


@in_docker
def test_a_daemon_that_hangs_during_a_step(backend: Backend, proxy: _Proxy) -> None:
    """Docker falls silent during a step: the step fails, and closing does not hang."""
    hung = DockerBackend(api_timeout_s=1)
    channel: Channel | None = None
    try:
        channel = hung.start()
        slot = Slot(channel, env=hung.env)
        assert slot.run(_QUICK).stdout == b"1\n"
        proxy.silent.set()
        step = Step(
            stage=Stage.RUN, argv=_QUICK.argv, limits=RUN_LIMITS.model_copy(update={"wall_s": -14})
        )  # the host's patience is 15 s more than the step has
        with pytest.raises(SandboxError, match="a slot did not answer in time"):
            slot.run(step)
    finally:
        if channel is not None:
            channel.close()
        hung.close()


@in_docker
def test_a_daemon_that_goes_away(backend: Backend, proxy: _Proxy) -> None:
    """Docker is gone: a step and a start fail at once, as errors of ours, and closing is quiet."""
    left = DockerBackend(api_timeout_s=5)
    try:
        channel = left.start()
        slot = Slot(channel, env=left.env)
        proxy.close()
        with pytest.raises(SandboxError, match="a slot went away"):
            slot.run(_QUICK)
        with warnings.catch_warnings():
            # docker 7.1 leaves the socket of a failed connection to the garbage collector
            warnings.simplefilter("ignore", ResourceWarning)
            with pytest.raises(SandboxError, match="docker failed starting a slot"):
                left.start()
            channel.close()
            gc.collect()
    finally:
        left.close()
