"""A backend that notes when a slot ends before its time."""

from collections.abc import Collection, Mapping

from codebench.sandbox.backend import Backend
from codebench.sandbox.channel import Channel
from codebench.sandbox.pool import STEPS_PER_SLOT


class _CountingChannel:
    """A channel that counts the steps that it has taken."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self.n_steps = 0

    def send(self, data: bytes, *, deadline: float) -> None:
        """See `Channel`."""
        self.n_steps += 1
        self._channel.send(data, deadline=deadline)

    def receive(self, size: int, *, deadline: float) -> bytes:
        """See `Channel`."""
        return self._channel.receive(size, deadline=deadline)

    def close(self) -> None:
        """See `Channel`."""
        self._channel.close()


class WatchedBackend:
    """Another backend, for a pool of one slot, and how many of its slots ended early."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.kind, self.isolation, self.image = backend.kind, backend.isolation, backend.image
        self.env: Mapping[str, str] = backend.env
        self.shortfall = backend.shortfall
        self.n_early_ends = 0
        self._slot: _CountingChannel | None = None

    def start(self, cores: Collection[int] = ()) -> Channel:
        """See `Backend`."""
        if self._slot is not None and self._slot.n_steps < STEPS_PER_SLOT[self.isolation]:
            self.n_early_ends += 1
        self._slot = _CountingChannel(self._backend.start(cores))
        return self._slot

    def close(self) -> None:
        """See `Backend`."""
        self._backend.close()
