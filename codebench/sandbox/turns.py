"""Whose turn it is to use a slot: first tries beside each other, second tries undisturbed.

A step that ran out of time is tried again with nothing beside it. Were that done at once, every
slot would stand still for it; so second tries wait until no first try wants a slot, or until too
many of them wait. Either way the ones that wait go one after the other.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator

from codebench.errors import SandboxError

MOST_PUT_OFF = 8
"""Second tries that may wait; as many callers more than slots keep the slots at work meanwhile."""

_UNDISTURBED_SHARE = 4


class Turns:
    """Lets callers pass, by how many slots are there. For any number of threads."""

    def __init__(self, n_slots: int) -> None:
        self._n_slots = n_slots
        self._most_second = max(1, n_slots // _UNDISTURBED_SHARE)
        """Second tries at the same time: one, and on a large machine one for each four slots."""

        self._changed = threading.Condition()
        self._n_first_waiting = self._n_first = 0
        self._n_put_off = self._n_second = 0
        self._clearing = False
        """Whether too many second tries waited, and first tries wait until all are done."""

        self._closed = False

    def close(self) -> None:
        """Give no more turns; whoever waits is told."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @contextlib.contextmanager
    def first(self) -> Iterator[None]:
        """Wait for a free slot, and hold it.

        Raises:
            SandboxError: if there are no more turns.
        """
        with self._changed:
            self._n_first_waiting += 1
            self._wait_for(
                lambda: self._n_first < self._n_slots and not (self._n_second or self._clearing)
            )
            self._n_first_waiting -= 1
            self._n_first += 1
        try:
            yield
        finally:
            with self._changed:
                self._n_first -= 1
                self._changed.notify_all()

    @contextlib.contextmanager
    def second(self) -> Iterator[None]:
        """Wait until all slots are free and no first try is to come, or many second ones wait.

        Raises:
            SandboxError: if there are no more turns.
        """
        with self._changed:
            self._n_put_off += 1
            self._clearing |= self._n_put_off >= MOST_PUT_OFF
            self._wait_for(self._is_quiet)
            self._n_put_off -= 1
            self._n_second += 1
            self._clearing &= self._n_put_off > 0
        try:
            yield
        finally:
            with self._changed:
                self._n_second -= 1
                self._changed.notify_all()

    def _wait_for(self, condition: Callable[[], bool]) -> None:
        self._changed.wait_for(lambda: self._closed or condition())
        if self._closed:
            raise SandboxError("the sandbox is closed")

    def _is_quiet(self) -> bool:
        wanted = self._n_first_waiting and not self._clearing
        return not (self._n_first or wanted) and self._n_second < self._most_second
