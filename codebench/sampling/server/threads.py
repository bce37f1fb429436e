"""Threads that wait for a server: many at once, none keeps the process alive; their busy time."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TypeVar

_A = TypeVar("_A")
_B = TypeVar("_B")


def as_finished(
    function: Callable[[_A], _B], items: Iterable[_A], *, n_at_once: int
) -> Iterator[_B]:
    """Yield `function(item)` of every item as soon as it is there.

    Items are pulled only when a thread is free for them, so at most `n_at_once` are under way or
    wait to be taken. The threads are daemons, unlike those of a ThreadPoolExecutor: Ctrl-C must not
    wait for a server that has ten minutes to answer.

    Raises:
        Exception: the first one that `function` raised; what was under way is dropped.
    """
    pending = iter(items)
    finished: SimpleQueue[Future[_B]] = SimpleQueue()
    n_under_way = 0
    is_dry = False
    while True:
        while not is_dry and n_under_way < n_at_once:
            try:
                item = next(pending)
            except StopIteration:
                is_dry = True
                break
            n_under_way += 1
            thread = threading.Thread(target=_work, args=(function, item, finished), daemon=True)
            thread.start()
        if not n_under_way:
            return
        future = finished.get()
        n_under_way -= 1
        yield future.result()


def _work(function: Callable[[_A], _B], item: _A, finished: "SimpleQueue[Future[_B]]") -> None:
    future: Future[_B] = Future()
    try:
        future.set_result(function(item))
    except Exception as error:  # noqa: BLE001  # raised again where the result is taken
        future.set_exception(error)
    finished.put(future)


class BusyClock:
    """Measures the wall time during which at least one request is under way."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._n = 0
        self._since = 0.0
        self._total_s = 0.0

    def __enter__(self) -> None:
        with self._lock:
            if not self._n:
                self._since = time.perf_counter()
            self._n += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._n -= 1
            if not self._n:
                self._total_s += time.perf_counter() - self._since

    @property
    def total_s(self) -> float:
        """Seconds so far, those of a request under way included."""
        with self._lock:
            running = time.perf_counter() - self._since if self._n else 0.0
            return self._total_s + running
