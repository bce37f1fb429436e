"""The test at the start fails closed: what does not hold ends the run, and is named."""

import os
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from codebench.conformance.case import python_step
from codebench.errors import SandboxError
from codebench.sandbox.backend import Backend, Isolation
from codebench.sandbox.bubblewrap import BubblewrapBackend
from codebench.sandbox.channel import Channel
from codebench.sandbox.choose import open_strongest
from codebench.sandbox.docker import DockerBackend
from codebench.sandbox.execution import MIB, Step, StepResult
from codebench.sandbox.pool import SlotPool
from codebench.sandbox.selftest import prove
from codebench.sandbox.slot import NamespacesRefusedError, Slot
from tests.contract.counting import CountingBackend


class LenientPool(SlotPool):
    """A real pool that replaces one limit of every step by one that lets everything through."""

    def __init__(self, backend: Backend, **lenient: float) -> None:
        super().__init__(backend, n_slots=1)
        self._lenient = lenient

    def run(self, step: Step) -> StepResult:
        """See `Sandbox`."""
        return super().run(replace(step, limits=step.limits.model_copy(update=self._lenient)))


@pytest.mark.parametrize(
    ("name", "lenient"),
    [
        ("memory limit", {"memory_bytes": 512 * MIB}),
        ("CPU time limit", {"cpu_s": 60}),
        ("wall time limit", {"wall_s": 60}),
        ("output limit", {"output_kill_bytes": 64 * MIB}),
        ("process limit", {"n_processes": 64}),
        ("file size limit", {"disk_bytes": 16 * MIB}),
    ],
)
def test_limits_selfcheck_fails_closed(
    backend: CountingBackend, name: str, lenient: dict[str, float]
) -> None:
    """Each limit in turn is not there: no run starts, and the limit is named."""
    pool = LenientPool(backend.make(), **lenient)
    try:
        with pytest.raises(SandboxError, match=f"the {name} does not hold on this machine"):
            prove(pool)
    finally:
        pool.close()


class WritableDocker(DockerBackend):
    """Containers in which /etc is a folder of the host that everybody can write to."""

    def __init__(self, isolation: Isolation, folder: Path) -> None:
        self._folder = folder
        super().__init__(isolation)

    def host_config(self, security: tuple[str, ...]) -> dict[str, Any]:
        """See `DockerBackend`."""
        return {**super().host_config(security), "binds": [f"{self._folder}:/etc:rw"]}


class RefusingDocker(DockerBackend):
    """Containers under Docker's own filter, which refuses namespaces as AppArmor's profile does."""

    def host_config(self, security: tuple[str, ...]) -> dict[str, Any]:
        """See `DockerBackend`."""
        return {**super().host_config(security), "security_opt": ["no-new-privileges:true"]}


class RefusingBubblewrap(BubblewrapBackend):
    """Slots that may not make user namespaces."""

    def __init__(self) -> None:
        super().__init__()
        nobody = ["--unshare-user", "--uid", "65534", "--gid", "65534"]
        self._argv[1:1] = [*(() if nobody[0] in self._argv else nobody), "--disable-userns"]
        self.n_starts = 0

    def start(self, cores: Collection[int] = ()) -> Channel:
        """See `Backend`."""
        self.n_starts += 1
        return super().start(cores)


_only = {
    name: pytest.mark.parametrize(
        "backend", [pytest.param(name, marks=getattr(pytest.mark, kind))], indirect=True
    )
    for name, kind in (
        ("docker-namespaces", "docker"),
        ("docker-uid", "docker"),
        ("bubblewrap", "bubblewrap"),
    )
}


@_only["docker-uid"]
@pytest.mark.parametrize("isolation_asked", [Isolation.NAMESPACES, Isolation.UID])
def test_a_writable_folder_is_found(
    backend: Backend, isolation_asked: Isolation, tmp_path: Path
) -> None:
    """A container that is not read-only as it should be is not used."""
    tmp_path.chmod(0o777)
    pool = SlotPool(WritableDocker(isolation_asked, tmp_path), n_slots=1)
    try:
        with pytest.raises(SandboxError, match="root file system is writable at /etc/x"):
            prove(pool)
    finally:
        pool.close()


@_only["docker-uid"]
def test_the_second_level_is_taken_where_the_first_is_refused(backend: Backend) -> None:
    """A host that refuses namespaces gets the level `uid`; one line says so, with the fix."""
    said: list[str] = []
    levels = (RefusingDocker, lambda: DockerBackend(Isolation.UID))
    pool = open_strongest(levels, n_slots=1, notify=said.append)
    try:
        assert pool.info().isolation == Isolation.UID
    finally:
        pool.close()
    (line,) = said
    assert line.startswith(
        "this machine refuses namespaces inside a slot (clone into namespaces: Operation not "
        "permitted): isolating by user, which is weaker. To allow them: with AppArmor see "
    )
    assert "apparmor-codebench" in line


@_only["docker-namespaces"]
def test_the_first_level_is_taken_where_it_can_be_had(backend: Backend) -> None:
    """Where namespaces can be made nothing is said, and the weaker level is not looked at."""
    said: list[str] = []

    def weaker() -> Backend:
        raise AssertionError("not asked for")

    pool = open_strongest((DockerBackend, weaker), n_slots=1, notify=said.append)
    try:
        assert pool.info().isolation == Isolation.NAMESPACES
    finally:
        pool.close()
    assert said == []


class ArmoredDocker(DockerBackend):
    """A daemon that enforces AppArmor profiles and knows only some; this machine's does not."""

    def __init__(self, *, known: bool) -> None:
        super().__init__()
        self._asks_apparmor, self._known = True, known
        self.asked: list[tuple[str, ...]] = []

    def _start(self, cores: Collection[int], security: tuple[str, ...]) -> Channel:
        self.asked.append(security)
        if security and not self._known:
            raise SandboxError("docker refused starting a slot: apparmor failed to apply profile")
        return super()._start(cores, security)


@_only["docker-namespaces"]
def test_a_daemon_with_other_cores_has_its_own(
    backend: CountingBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the daemon does not see this machine's cores, none are named to it."""
    monkeypatch.setattr("os.cpu_count", lambda: 10_000)
    channel = backend.make().start([0])
    try:
        step = python_step("import os; print(len(os.sched_getaffinity(0)))")
        seen = int(Slot(channel, env={}).run(step).stdout)
    finally:
        channel.close()
    assert seen == len(os.sched_getaffinity(0))


@_only["docker-namespaces"]
@pytest.mark.parametrize("known", [True, False])
def test_the_apparmor_profile_is_asked_for(backend: Backend, known: bool) -> None:  # noqa: FBT001
    """Slots run under our profile where it is loaded, else without; that is found out once."""
    armored = ArmoredDocker(known=known)
    for _ in range(2):
        armored.start().close()
    armored.close()
    ours: tuple[str, ...] = ("apparmor=codebench",)
    assert armored.asked == ([ours, ours] if known else [ours, (), ()])


@_only["bubblewrap"]
def test_bubblewrap_that_may_not_nest_is_refused(backend: Backend) -> None:
    """Bubblewrap has no second level: where slots may not make namespaces no run starts."""
    with pytest.raises(SandboxError, match=r"refuses namespaces inside a slot .*To allow them"):
        open_strongest((RefusingBubblewrap,), n_slots=1, notify=print)


@_only["bubblewrap"]
def test_bubblewrap_holds_as_nobody_too(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root that may not make other users of its steps is nobody in a user namespace, as all are."""
    monkeypatch.setattr("codebench.sandbox.bubblewrap._has", lambda capabilities: False)
    pool = SlotPool(BubblewrapBackend(), n_slots=1)
    try:
        prove(pool)
    finally:
        pool.close()


@_only["bubblewrap"]
def test_a_refusal_is_not_tried_again(backend: Backend) -> None:
    """What this machine forbids it forbids the second time too: one slot is started, not three."""
    refusing = RefusingBubblewrap()
    pool = SlotPool(refusing, n_slots=1)
    try:
        with pytest.raises(NamespacesRefusedError):
            prove(pool)
    finally:
        pool.close()
    assert refusing.n_starts == 1
