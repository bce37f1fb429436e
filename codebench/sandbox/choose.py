"""Open the sandbox that was asked for, or the best one that is here. Never silently none."""

import os
from collections.abc import Callable, Mapping
from enum import StrEnum

from codebench.errors import EnvironmentProblem, SandboxError
from codebench.sandbox.backend import Backend
from codebench.sandbox.bubblewrap import BubblewrapBackend
from codebench.sandbox.pool import SlotPool
from codebench.sandbox.selftest import prove
from codebench.sandbox.unsandboxed import UnsandboxedBackend


class SandboxKind(StrEnum):
    """What --sandbox takes."""

    AUTO = "auto"
    DOCKER = "docker"
    BUBBLEWRAP = "bubblewrap"
    NONE = "none"


def _docker() -> Backend:
    from codebench.sandbox.docker import DockerBackend

    return DockerBackend()


def _bubblewrap() -> Backend:
    return BubblewrapBackend()


def _none() -> Backend:
    return UnsandboxedBackend()


_BACKENDS: Mapping[SandboxKind, Callable[[], Backend]] = {
    SandboxKind.DOCKER: _docker,
    SandboxKind.BUBBLEWRAP: _bubblewrap,
    SandboxKind.NONE: _none,
}


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
        return _open(kind, n_slots)
    reasons = []
    for candidate in (SandboxKind.DOCKER, SandboxKind.BUBBLEWRAP):
        try:
            pool = _open(candidate, n_slots)
        except (EnvironmentProblem, SandboxError) as error:
            reasons.append(f"{candidate}: {error}")
        else:
            for reason in reasons:
                notify(f"using {candidate}, because {reason}")
            return pool
    raise EnvironmentProblem("no sandbox on this machine: " + "; ".join(reasons))


def _open(kind: SandboxKind, n_slots: int) -> SlotPool:
    pool = SlotPool(_BACKENDS[kind](), n_slots=n_slots)
    try:
        prove(pool)
    except BaseException:
        pool.close()
        raise
    return pool
