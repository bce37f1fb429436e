"""What a backend must offer: a way to start slots, and facts about them."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Protocol

from codebench.sandbox.channel import Channel


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

    def start(self) -> Channel:
        """Start a supervisor in a new slot.

        Raises:
            SandboxError: if the slot does not come up.
        """
        ...

    def close(self) -> None:
        """Let go of what the backend itself holds; slots are closed before."""
        ...
