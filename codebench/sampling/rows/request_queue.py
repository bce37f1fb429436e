"""Requests that are pulled one by one when a row is free, and can be put back."""

from collections import deque
from collections.abc import Iterable, Sequence

from codebench.sampling.completion import SampleRequest


class RequestQueue:
    """What is still to be sampled; looks no further ahead than it is asked to."""

    def __init__(self, requests: Iterable[SampleRequest]) -> None:
        self._source = iter(requests)
        self._front: deque[SampleRequest] = deque()
        self.is_dry = False
        """Whether the source is known to have ended; what was put back may still be there."""

    def peek(self) -> SampleRequest | None:
        """Return the next request and leave it there; None when there is none."""
        if not self._front and not self.is_dry:
            request = next(self._source, None)
            if request is None:
                self.is_dry = True
            else:
                self._front.append(request)
        return self._front[0] if self._front else None

    def pop(self) -> SampleRequest:
        """Take the request that `peek` returned."""
        return self._front.popleft()

    def take(self, n_most: int) -> list[SampleRequest]:
        """Take up to `n_most` requests."""
        taken: list[SampleRequest] = []
        while len(taken) < n_most and self.peek() is not None:
            taken.append(self.pop())
        return taken

    def put_back(self, requests: Sequence[SampleRequest]) -> None:
        """Let `requests` come next, in their order."""
        self._front.extendleft(reversed(requests))

    @property
    def is_empty(self) -> bool:
        """Whether it is known that nothing is left."""
        return self.is_dry and not self._front
