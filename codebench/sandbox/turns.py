"""Whose turn it is to use a slot: first tries beside each other, second tries undisturbed.

A step that ran out of time is tried again with nothing beside it. Were that done at once, every
slot would stand still for it; so second tries wait until no first try wants a slot, or until too
many of them wait. Either way the ones that wait go one after the other.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator

from codebench.errors import SandboxError

MOST_PUT_OFF = 32
"""Second tries that may wait; as many callers more than slots keep the slots at work meanwhile."""

_UNDISTURBED_SHARE = 4


class Turns:
    """Lets callers pass, by how many slots are there. For any number of threads."""

    def __init__(self, n_slots: int) -> None:
        self._n_slots = n_slots
        self._most_second = max(1, n_slots // _UNDISTURBED_SHARE)
        """Second tries at the same time: one, and on a large machine one for each four slots."""

        self._lock = threading.Lock()
        self._first_may, self._second_may = (threading.Condition(self._lock) for _ in range(2))
        """Each wakes as many as may go: were all woken, they would wait for each other's lock."""

        self._n_first_waiting = self._n_first = 0
        self._n_put_off = self._n_second = 0
        self._clearing = False
        """Whether too many second tries waited, and first tries wait until all are done."""

        self._closed = False

    def close(self) -> None:
        """Give no more turns; whoever waits is told."""
        with self._lock:
            self._closed = True
            self._first_may.notify_all()
            self._second_may.notify_all()

    @contextlib.contextmanager
    def first(self) -> Iterator[None]:
        """Wait for a free slot, and hold it.

        Raises:
            SandboxError: if there are no more turns.
        """
        with self._lock:
            self._n_first_waiting += 1
            self._wait(self._first_may, lambda: self._n_first_free() > 0)
            self._n_first_waiting -= 1
            self._n_first += 1
        try:
            yield
        finally:
            with self._lock:
                self._n_first -= 1
                self._wake()

    @contextlib.contextmanager
    def second(self) -> Iterator[None]:
        """Wait until all slots are free and no first try is to come, or many second ones wait.

        Raises:
            SandboxError: if there are no more turns.
        """
        with self._lock:
            self._n_put_off += 1
            self._clearing |= self._n_put_off >= MOST_PUT_OFF
            self._wake()
            self._wait(self._second_may, lambda: self._n_second_free() > 0)
            self._n_put_off -= 1
            self._n_second += 1
            self._clearing &= self._n_put_off > 0
        try:
            yield
        finally:
            with self._lock:
                self._n_second -= 1
                self._wake()

    def _wait(self, may: threading.Condition, condition: Callable[[], bool]) -> None:
        may.wait_for(lambda: self._closed or condition())
        if self._closed:
            raise SandboxError("the sandbox is closed")

    def _wake(self) -> None:
        self._first_may.notify(self._n_first_free())
        self._second_may.notify(self._n_second_free())

    def _n_first_free(self) -> int:
        return 0 if self._n_second or self._clearing else self._n_slots - self._n_first

    def _n_second_free(self) -> int:
        wanted = self._n_first_waiting and not self._clearing
        return 0 if self._n_first or wanted else self._most_second - self._n_second
