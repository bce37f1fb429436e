"""What `exact_values` wrote, read back: from bytes that anybody may have written.

Nothing is evaluated, depth and length are bounded, and ValueError is all that is ever raised.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable

from exact_types import (
    CLASSES,
    CONTAINER_TYPES,
    DOUBLE,
    DOUBLES,
    MAKERS,
    MAX_DEPTH,
    SEQUENCES,
    fit,
)


class Decoder:
    """Reads values one after the other from bytes that anybody may have written.

    Args:
        data: what an `Encoder` wrote, or not.
        opaque: makes the object for a tag that is not data, given the decoder, the tag and its
            number; raises ValueError where there is none.
        containers: mutable containers that the writer knows by number.
    """

    def __init__(
        self,
        data: bytes,
        opaque: Callable[[Decoder, bytes, int], object],
        containers: list[object] | None = None,
    ) -> None:
        self.containers = [] if containers is None else list(containers)
        self.hashing = 0
        """Above 0 while the members of a set or the keys of a dict are read."""

        self._data, self._at = data, 0
        self._opaque = opaque
        self._depth = 0

    def take(self) -> object:
        """Read the next value.

        Raises:
            ValueError: if there is none.
        """
        try:
            return self._take(content=False)
        except (TypeError, ArithmeticError, RecursionError, MemoryError) as error:
            raise ValueError(f"not a value: {type(error).__name__}") from None

    def take_content(self) -> object:
        """Read what a container holds, into a fresh one without a number.

        Raises:
            ValueError: if that is not what follows.
        """
        try:
            return self._take(content=True)
        except (TypeError, ArithmeticError, RecursionError, MemoryError) as error:
            raise ValueError(f"not a value: {type(error).__name__}") from None

    def end(self) -> None:
        """Check that everything was read.

        Raises:
            ValueError: if it was not.
        """
        if self._at != len(self._data):
            raise ValueError("bytes are left")

    def _number(self) -> int:
        end = self._data.find(b";", self._at)
        if end < 0:
            raise ValueError("a number without end")
        number = int(self._data[self._at : end], 16)
        self._at = end + 1
        return number

    def _bytes(self, size: int) -> bytes:
        if not 0 <= size <= len(self._data) - self._at:
            raise ValueError("cut off")
        self._at += size
        return self._data[self._at - size : self._at]

    def _take(self, *, content: bool) -> object:
        tag = self._bytes(1).decode("latin-1")
        if tag in CONTAINER_TYPES or tag == "a":
            return self._container(tag, numbered=not content)
        if content:
            raise ValueError("not a container")
        read = _READERS.get(tag)
        if read is not None:
            return read(self)
        if tag in MAKERS:
            make, kinds = MAKERS[tag]
            parts = tuple(self._take(content=False) for _ in kinds)
            if not fit(parts, kinds):
                raise ValueError("parts of the wrong type")
            return make(*parts)
        return self._opaque(self, tag.encode("latin-1"), self._number())

    def _reference(self) -> object:
        number = self._number()
        if not 0 <= number < len(self.containers):
            raise ValueError("a reference to nothing")
        return self.containers[number]

    def _class(self) -> type:
        name = self._take(content=False)
        if type(name) is not str or name not in CLASSES:
            raise ValueError("a class that is not known")
        return CLASSES[name]

    def _enter(self) -> int:
        self._depth += 1
        size = self._number()
        if self._depth > MAX_DEPTH or not 0 <= size <= len(self._data) - self._at:
            raise ValueError("too deep or too long")
        return size

    def _list(self, size: int) -> list[object]:
        items = [self._take(content=False) for _ in range(size)]
        self._depth -= 1
        return items

    def _hashed(self, size: int) -> list[object]:
        self.hashing += 1
        items = self._list(size)
        self.hashing -= 1
        return items

    def _container(self, tag: str, *, numbered: bool) -> object:
        if tag == "a":
            made: object = bytearray(self._bytes(self._number()))
            if numbered:
                self.containers.append(made)
            return made
        kind, size = CONTAINER_TYPES[tag], self._enter()
        made = deque(maxlen=self._take_maxlen(size)) if kind is deque else kind()
        if numbered:
            self.containers.append(made)
        if kind is set:
            made |= set(self._hashed(size))  # type: ignore[operator]
        elif kind in SEQUENCES:
            made.extend(self._list(size))  # type: ignore[attr-defined]
        else:
            self._fill(made, size)  # type: ignore[arg-type]
        return made

    def _take_maxlen(self, size: int) -> int | None:
        maxlen = self._take(content=False)
        if maxlen is None or (type(maxlen) is int and maxlen >= size):
            return maxlen
        raise ValueError("a deque that is too long for itself")

    def _fill(self, made: dict[object, object], size: int) -> None:
        if type(made) is defaultdict:
            made.default_factory = self._take(content=False)  # type: ignore[assignment]
            if made.default_factory is not None and not callable(made.default_factory):
                raise ValueError("a default_factory that cannot be called")
        for _ in range(size):
            self.hashing += 1
            key = self._take(content=False)
            self.hashing -= 1
            made[key] = self._take(content=False)
        self._depth -= 1


_READERS: dict[str, Callable[[Decoder], object]] = {
    "i": Decoder._number,
    "s": lambda self: self._bytes(self._number()).decode("utf-8", "surrogatepass"),
    "1": lambda self: True,  # noqa: ARG005
    "0": lambda self: False,  # noqa: ARG005
    "n": lambda self: None,  # noqa: ARG005
    "f": lambda self: DOUBLE.unpack(self._bytes(8))[0],
    "c": lambda self: complex(*DOUBLES.unpack(self._bytes(16))),
    "b": lambda self: self._bytes(self._number()),
    ".": lambda self: ...,  # noqa: ARG005
    "t": lambda self: tuple(self._list(self._enter())),
    "Z": lambda self: frozenset(self._hashed(self._enter())),
    "r": Decoder._reference,
    "T": Decoder._class,
}


def write_back(target: object, content: object) -> None:
    """Make a mutable container hold what another one of its type holds.

    Raises:
        ValueError: if they are not of one type.
    """
    if type(target) is not type(content):
        raise ValueError("a container changed its type")
    if isinstance(target, (list, bytearray)):
        target[:] = content  # type: ignore[call-overload]
        return
    target.clear()  # type: ignore[attr-defined]
    if isinstance(target, deque):
        target.extend(content)  # type: ignore[arg-type]
    else:
        target.update(content)  # type: ignore[attr-defined]
