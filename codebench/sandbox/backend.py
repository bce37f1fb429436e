"""What a backend must offer: a way to start slots, and facts about them."""

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Protocol

from codebench.sandbox.channel import Channel
from codebench.sandbox.execution import COMPILE_LIMITS, MIB, RUN_LIMITS

SLOT_DISK_BYTES = max(COMPILE_LIMITS.disk_bytes, RUN_LIMITS.disk_bytes)
"""Of each of a step's three file systems."""

SLOT_MEMORY_BYTES = (
    max(COMPILE_LIMITS.memory_bytes, RUN_LIMITS.memory_bytes) + 3 * SLOT_DISK_BYTES + 96 * MIB
)
"""What the kernel lets a whole slot have: a step, its file systems, the supervisor."""

SLOT_PROCESSES = COMPILE_LIMITS.n_processes + 32


class Isolation(StrEnum):
    """What keeps one step apart from the next, in a slot that is itself isolated."""

    NAMESPACES = "namespaces"
    """New user, pid, mount, ipc and uts namespaces for each step."""

    UID = "uid"
    """A new user for each step, killed and wiped: for hosts that refuse nested namespaces."""

    NONE = "none"


class Backend(Protocol):
    """A way to isolate: docker, bubblewrap, or none at all."""

    kind: str
    isolation: Isolation
    image: str | None
    env: Mapping[str, str]
    """Added to the environment of every step."""

    shortfall: str | None
    """What it cannot promise on this machine, in one line; None where nothing is missing."""

    def start(self, cores: Collection[int] = ()) -> Channel:
        """Start a supervisor in a new slot, on these cores alone where that can be; none: on all.

        Raises:
            SandboxError: if the slot does not come up.
        """
        ...

    def close(self) -> None:
        """Let go of what the backend itself holds; slots are closed before."""
        ...
