"""The backend that the suite runs on."""

from collections.abc import Callable

from codebench.conformance.watched import WatchedBackend
from codebench.sandbox.backend import Backend


class CountingBackend(WatchedBackend):
    """A real backend of one slot that notes when a slot ends before it has done all its steps."""

    def __init__(self, make: Callable[[], Backend]) -> None:
        super().__init__(make())
        self.make = make
        """Makes another one of the same kind."""
