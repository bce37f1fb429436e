"""Slots that are long-lived, hardened Docker containers, spoken to over attached stdin and stdout.

The container parameters and why each is as it is: research on Docker hardening, summed up in
`sandbox/README.md`. The daemon's API is only called to start, stop and clean up, never per sample.
"""

import contextlib
import hashlib
import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import docker
import docker.errors
import requests.exceptions
import urllib3.exceptions
from docker.types import LogConfig, Ulimit

from codebench.errors import EnvironmentProblem, SandboxError
from codebench.package_data import data_path
from codebench.sandbox.backend import (
    SLOT_DISK_BYTES,
    SLOT_MEMORY_BYTES,
    SLOT_PROCESSES,
    Isolation,
)
from codebench.sandbox.channel import Channel
from codebench.sandbox.container import ContainerChannel
from codebench.sandbox.execution import COMPILE_LIMITS, MIB

_API_TIMEOUT_S = 60
_PING_TIMEOUT_S = 5
_OWNER_LABEL, _BOOT_LABEL = "codebench.owner_pid", "codebench.boot_id"
_USERS = {Isolation.NAMESPACES: "65534:65534", Isolation.UID: "0:0"}
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
    shortfall: str | None = None

    def __init__(
        self, isolation: Isolation = Isolation.NAMESPACES, *, api_timeout_s: int = _API_TIMEOUT_S
    ) -> None:
        self.isolation = isolation
        self.env: Mapping[str, str] = {}
        try:
            with _docker_errors("a ping"):
                docker.from_env(timeout=_PING_TIMEOUT_S).ping()
                self._client = docker.from_env(timeout=api_timeout_s)
                info = self._client.info()
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
        options = info.get("SecurityOptions") or []
        self._asks_apparmor = isolation is Isolation.NAMESPACES and "name=apparmor" in options
        here = os.cpu_count() or 0  # a daemon elsewhere, or in a machine of its own, has its own
        self._n_cores = here if info.get("CPUSet") and info.get("NCPU") == here else 0
        remove_orphans(self._client)

    def start(self, cores: Collection[int] = ()) -> Channel:
        """See `Backend`."""
        if self._asks_apparmor:  # which profiles are loaded only root can see, and only there
            try:
                return self._start(cores, ("apparmor=codebench",))
            except SandboxError as error:
                if "apparmor" not in str(error).lower():
                    raise
                self._asks_apparmor = False  # the profile is not loaded there
        return self._start(cores, ())

    def _start(self, cores: Collection[int], security: tuple[str, ...]) -> Channel:
        config = self.host_config(security)
        if max(cores, default=self._n_cores) < self._n_cores:
            config["cpuset_cpus"] = ",".join(map(str, cores))
        with _docker_errors("starting a slot"):
            api = self._client.api
            created = api.create_container(
                self._name,
                stdin_open=True,
                detach=False,
                user=_USERS[self.isolation],
                command=["--isolation", str(self.isolation)],
                hostname="sandbox",
                network_disabled=True,
                labels={_OWNER_LABEL: str(os.getpid()), _BOOT_LABEL: _boot_id()},
                healthcheck={"test": ["NONE"]},
                host_config=self._client.api.create_host_config(**config),
            )
            container = str(created["Id"])
            try:
                params = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
                attached = api.attach_socket(container, params=params)
                api.start(container)
            except BaseException:
                api.remove_container(container, force=True, v=True)
                raise
        return ContainerChannel(attached, remove=lambda: self._remove(container))

    def _remove(self, container: str) -> None:
        # without a daemon there is nothing to remove now; the next start's reaper does it
        with contextlib.suppress(SandboxError), _docker_errors("removing a slot"):
            self._client.api.remove_container(container, force=True, v=True)

    def close(self) -> None:
        """See `Backend`."""
        self._client.close()

    def host_config(self, security: tuple[str, ...]) -> dict[str, Any]:
        """Return what the container may do, as `create_host_config` takes it."""
        return {
            "network_mode": "none",
            "read_only": True,
            "cap_drop": ["ALL"],
            "pids_limit": SLOT_PROCESSES,
            "mem_limit": SLOT_MEMORY_BYTES,
            "memswap_limit": SLOT_MEMORY_BYTES,
            "ulimits": [
                Ulimit(name="core", soft=0, hard=0),
                Ulimit(name="nofile", soft=1024, hard=1024),
            ],
            "ipc_mode": "private",
            "shm_size": str(MIB),
            "log_config": LogConfig(type="none"),
            "restart_policy": {"Name": "no"},
            "oom_score_adj": 500,
            **(_for_users() if self.isolation is Isolation.UID else _for_namespaces(security)),
        }


def _for_namespaces(security: tuple[str, ...]) -> dict[str, Any]:
    profile = (data_path("sandbox") / "seccomp.json").read_text()
    return {"security_opt": ["no-new-privileges:true", f"seccomp={profile}", *security]}


def _for_users() -> dict[str, Any]:
    """Docker's own seccomp profile, a root that can do four things, and the three file systems."""
    options = f"rw,nosuid,nodev,size={SLOT_DISK_BYTES},nr_inodes={COMPILE_LIMITS.n_files}"
    return {
        "security_opt": ["no-new-privileges:true"],
        "cap_add": ["SETUID", "SETGID", "KILL", "CHOWN"],
        "tmpfs": {
            "/w": f"{options},exec",
            "/tmp": f"{options},exec",  # noqa: S108 - the slot's own
            "/dev/shm": f"{options},noexec",  # noqa: S108
        },
    }


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
