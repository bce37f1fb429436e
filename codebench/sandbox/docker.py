"""Slots that are long-lived, hardened Docker containers, spoken to over attached stdin and stdout.

The container parameters and why each is as it is: research on Docker hardening, summed up in
`sandbox/README.md`. The daemon's API is only called to start, stop and clean up, never per sample.
"""

import contextlib
import hashlib
import os
import select
import socket
import struct
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import docker
import docker.errors
import requests.exceptions
import urllib3.exceptions
from docker.types import LogConfig, Ulimit

from codebench.errors import EnvironmentProblem, SandboxError
from codebench.package_data import data_path
from codebench.sandbox.channel import Channel
from codebench.sandbox.execution import COMPILE_LIMITS, MIB, RUN_LIMITS

_API_TIMEOUT_S = 60
_PING_TIMEOUT_S = 5
_OWNER_LABEL, _BOOT_LABEL = "codebench.owner_pid", "codebench.boot_id"
_SUPERVISOR_BYTES = 96 * MIB
_STREAM_HEADER = struct.Struct("!BxxxL")
_STDERR = 2
_FOREIGN = (
    docker.errors.DockerException,
    docker.errors.StreamParseError,  # the one class of docker's that is no DockerException
    requests.exceptions.RequestException,
    urllib3.exceptions.HTTPError,  # a stream that breaks off while it is read
    OSError,
)


@contextlib.contextmanager
def _docker_errors(doing: str) -> Iterator[None]:
    """Map everything that the docker library raises onto SandboxError, with what was being done."""
    try:
        yield
    except docker.errors.ImageNotFound as error:
        raise SandboxError(f"docker: no such image while {doing}") from error
    except docker.errors.APIError as error:
        reason = str(error.explanation or error).replace("\n", " ")
        raise SandboxError(f"docker refused {doing}: {reason}") from error
    except _FOREIGN as error:
        raise SandboxError(f"docker failed {doing}: {error}".replace("\n", " ")) from error


def image_name() -> str:
    """Return the tag of the image that this version needs: a hash over all that goes into it."""
    digest = hashlib.sha256(data_path("Dockerfile").read_bytes())
    for path in sorted(data_path("sandbox").rglob("*")):
        if path.suffix in {".py", ".json"}:
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return f"codebench-sandbox:{digest.hexdigest()[:12]}"


def build_image(*, network: str | None = None) -> Iterator[str]:
    """Build the image from the Dockerfile, yielding the builder's lines.

    Args:
        network: network of the build steps; None is Docker's default.

    Raises:
        SandboxError: if Docker does not answer or the build fails.
    """
    context = data_path("Dockerfile").parent
    with _docker_errors("a build"):
        client = docker.from_env(timeout=1800)
        stream = client.api.build(
            path=str(context),
            tag=image_name(),
            rm=True,
            forcerm=True,
            decode=True,
            network_mode=network,
        )
        for event in stream:
            if "error" in event:
                raise SandboxError(f"docker build failed: {str(event['error']).strip()}")
            if text := str(event.get("stream", "")).strip():
                yield text


class DockerBackend:
    """Starts slots as containers.

    Raises:
        EnvironmentProblem: if no daemon answers, or the image is not there.
    """

    kind = "docker"
    isolation = "namespaces"

    def __init__(self) -> None:
        self.env: Mapping[str, str] = {}
        try:
            with _docker_errors("a ping"):
                docker.from_env(timeout=_PING_TIMEOUT_S).ping()
                self._client = docker.from_env(timeout=_API_TIMEOUT_S)
        except SandboxError as error:
            if "PermissionError" in str(error):
                reason = "this user may not talk to the Docker daemon: join the group docker"
            else:
                reason = "no Docker daemon answers: start it (`systemctl start docker`)"
            raise EnvironmentProblem(f"{reason}, or use --sandbox bubblewrap") from error
        name = image_name()
        try:
            with _docker_errors("looking for the image"):
                image = self._client.images.get(name)
        except SandboxError as error:
            raise EnvironmentProblem(
                f"the image {name} is not built: `codebench doctor --build-image`"
            ) from error
        self._name = name
        self.image: str | None = f"{name}@{image.id}"
        remove_orphans(self._client)

    def start(self) -> Channel:
        """See `Backend`."""
        with _docker_errors("starting a slot"):
            api = self._client.api
            created = api.create_container(
                self._name,
                stdin_open=True,
                detach=False,
                user="65534:65534",
                hostname="sandbox",
                network_disabled=True,
                labels={_OWNER_LABEL: str(os.getpid()), _BOOT_LABEL: _boot_id()},
                healthcheck={"test": ["NONE"]},
                host_config=_host_config(self._client),
            )
            container = str(created["Id"])
            try:
                params = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
                attached = api.attach_socket(container, params=params)
                api.start(container)
            except BaseException:
                api.remove_container(container, force=True, v=True)
                raise
        return _ContainerChannel(self._client, container, attached)

    def close(self) -> None:
        """See `Backend`."""
        self._client.close()


def _host_config(client: docker.DockerClient) -> dict[str, Any]:
    widest = max(COMPILE_LIMITS.memory_bytes, RUN_LIMITS.memory_bytes)
    disk = 3 * max(COMPILE_LIMITS.disk_bytes, RUN_LIMITS.disk_bytes)
    memory = widest + disk + _SUPERVISOR_BYTES
    profile = (data_path("sandbox") / "seccomp.json").read_text()
    config: dict[str, Any] = client.api.create_host_config(
        network_mode="none",
        read_only=True,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges:true", f"seccomp={profile}"],
        pids_limit=COMPILE_LIMITS.n_processes + 32,
        mem_limit=memory,
        memswap_limit=memory,
        ulimits=[
            Ulimit(name="core", soft=0, hard=0),
            Ulimit(name="nofile", soft=1024, hard=1024),
        ],
        ipc_mode="private",
        shm_size=str(MIB),
        log_config=LogConfig(type="none"),
        restart_policy={"Name": "no"},
        oom_score_adj=500,
    )
    return config


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def remove_orphans(client: docker.DockerClient) -> int:
    """Remove slots whose harness is gone from this machine; return how many there were."""
    removed = 0
    with _docker_errors("looking for orphans"):
        for container in client.api.containers(all=True, filters={"label": _OWNER_LABEL}):
            labels = container["Labels"]
            if labels.get(_BOOT_LABEL) != _boot_id() or not _alive(int(labels[_OWNER_LABEL])):
                with contextlib.suppress(docker.errors.APIError):  # another harness was faster
                    client.api.remove_container(container["Id"], force=True, v=True)
                    removed += 1
    return removed


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class _ContainerChannel:
    """The attached streams of one container; stdout and stderr come interleaved in small frames."""

    def __init__(self, client: docker.DockerClient, container: str, attached: Any) -> None:  # noqa: ANN401 - docker's own
        self._client, self._container, self._attached = client, container, attached
        self._socket: socket.socket = getattr(attached, "_sock", attached)
        self._socket.settimeout(_API_TIMEOUT_S)
        self._stdout = bytearray()
        self._stderr = b""
        self._raw = bytearray()
        self._closed = False

    def send(self, data: bytes) -> None:
        """See `Channel`."""
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise SandboxError(f"a slot went away: {self._last_words()}") from error

    def receive(self, size: int, *, deadline: float) -> bytes:
        """See `Channel`."""
        while len(self._stdout) < size:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._socket], [], [], left)[0]:
                raise SandboxError("a slot did not answer in time")
            try:
                chunk = self._socket.recv(1 << 20)
            except OSError as error:
                raise SandboxError(f"a slot went away: {error}") from error
            if not chunk:
                raise SandboxError(f"a slot went away: {self._last_words()}")
            self._raw += chunk
            self._demultiplex()
        data = bytes(self._stdout[:size])
        del self._stdout[:size]
        return data

    def _demultiplex(self) -> None:
        at = 0
        while len(self._raw) - at >= _STREAM_HEADER.size:
            stream, size = _STREAM_HEADER.unpack_from(self._raw, at)
            end = at + _STREAM_HEADER.size + size
            if len(self._raw) < end:
                break
            payload = self._raw[at + _STREAM_HEADER.size : end]
            if stream == _STDERR:
                self._stderr = (self._stderr + payload)[-2000:]
            else:
                self._stdout += payload
            at = end
        del self._raw[:at]

    def _last_words(self) -> str:
        lines = self._stderr.decode(errors="backslashreplace").split("\n")
        return next((line for line in reversed(lines) if line.strip()), "it said nothing")

    def close(self) -> None:
        """See `Channel`."""
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._attached.close()
        self._socket.close()
        # without a daemon there is nothing to remove now; the next start's reaper does it
        with contextlib.suppress(SandboxError), _docker_errors("removing a slot"):
            self._client.api.remove_container(self._container, force=True, v=True)
