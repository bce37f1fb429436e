"""A bounded sample of a stream that does not depend on the order of the stream."""

import hashlib
from typing import Generic, TypeVar

Value = TypeVar("Value")


class HashSample(Generic[Value]):
    """Keeps the k values whose names have the lowest hashes: each name as likely as another.

    The same names give the same sample, in whatever order they come and however often.
    """

    def __init__(self, k: int) -> None:
        self._k = k
        self._kept: dict[bytes, Value] = {}

    def offer(self, name: str, value: Value) -> None:
        """Keep the value if its name's hash is among the k lowest so far."""
        self._kept[hashlib.blake2b(name.encode(), digest_size=8).digest()] = value
        if len(self._kept) > self._k:
            del self._kept[max(self._kept)]

    def values(self) -> list[Value]:
        """Return the kept values, lowest hash first."""
        return [self._kept[key] for key in sorted(self._kept)]
