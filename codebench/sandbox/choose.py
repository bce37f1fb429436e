"""Open the sandbox that was asked for, or the best one that is here. Never silently none.

Docker's slots come in two strengths: namespaces for each program where the host lets a container
make them, else a user for each program. Bubblewrap has the first alone: see its module.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum

from codebench.errors import EnvironmentProblem, SandboxError
from codebench.package_data import data_path
from codebench.sandbox.backend import Backend, Isolation
from codebench.sandbox.bubblewrap import BubblewrapBackend
from codebench.sandbox.pool import SlotPool
from codebench.sandbox.selftest import prove
from codebench.sandbox.slot import NamespacesRefusedError
from codebench.sandbox.unsandboxed import UnsandboxedBackend


class SandboxKind(StrEnum):
    """What --sandbox takes."""

    AUTO = "auto"
    DOCKER = "docker"
    BUBBLEWRAP = "bubblewrap"
    NONE = "none"


def _docker() -> Backend:
    from codebench.sandbox.docker import DockerBackend

    return DockerBackend(Isolation.NAMESPACES)


def _docker_by_user() -> Backend:
    from codebench.sandbox.docker import DockerBackend

    return DockerBackend(Isolation.UID)


def _bubblewrap() -> Backend:
    return BubblewrapBackend()


def _none() -> Backend:
    return UnsandboxedBackend()


_BACKENDS: Mapping[SandboxKind, tuple[Callable[[], Backend], ...]] = {
    SandboxKind.DOCKER: (_docker, _docker_by_user),
    SandboxKind.BUBBLEWRAP: (_bubblewrap,),
    SandboxKind.NONE: (_none,),
}
"""The strengths of each kind, the strongest first."""


def default_slots() -> int:
    """Return one slot per core that this process may use."""
    return len(os.sched_getaffinity(0))


def open_sandbox(
    kind: SandboxKind, *, n_slots: int | None = None, notify: Callable[[str], None]
) -> SlotPool:
    """Start and prove a sandbox; `notify` gets one line for each thing the user should know.

    Raises:
        EnvironmentProblem: if there is none, with the line that installs one.
        SandboxError: if the one that was asked for does not hold.
    """
    n_slots = n_slots or default_slots()
    if kind is SandboxKind.NONE:
        notify("WARNING: --sandbox none: programs run with your rights on this machine, unisolated")
    if kind is not SandboxKind.AUTO:
        return open_strongest(_BACKENDS[kind], n_slots=n_slots, notify=notify)
    reasons = []
    for candidate in (SandboxKind.DOCKER, SandboxKind.BUBBLEWRAP):
        try:
            pool = open_strongest(_BACKENDS[candidate], n_slots=n_slots, notify=notify)
        except (EnvironmentProblem, SandboxError) as error:
            reasons.append(f"{candidate}: {error}")
        else:
            for reason in reasons:
                notify(f"using {candidate}, because {reason}")
            return pool
    raise EnvironmentProblem("no sandbox on this machine: " + "; ".join(reasons))


def open_strongest(
    strengths: Sequence[Callable[[], Backend]], *, n_slots: int, notify: Callable[[str], None]
) -> SlotPool:
    """Start and prove the first of `strengths` whose way of isolating this machine allows.

    Raises:
        EnvironmentProblem, SandboxError: as `open_sandbox`.
    """
    *stronger, last = strengths
    for make in stronger:
        try:
            return _open(make(), n_slots)
        except NamespacesRefusedError as error:
            notify(f"{error}: isolating by user, which is weaker. {_how_to_allow()}")
    try:
        return _open(last(), n_slots)
    except NamespacesRefusedError as error:
        raise SandboxError(f"{error}. {_how_to_allow()}") from error


def _how_to_allow() -> str:
    profile = data_path("sandbox") / "apparmor-codebench"
    return (
        f"To allow them: with AppArmor see {profile}, else raise user.max_user_namespaces and "
        "kernel.unprivileged_userns_clone (sysctl)"
    )


def _open(backend: Backend, n_slots: int) -> SlotPool:
    pool = SlotPool(backend, n_slots=n_slots)
    try:
        prove(pool)
    except BaseException:
        pool.close()
        raise
    return pool
