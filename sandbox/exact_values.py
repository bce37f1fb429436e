"""Values as bytes and back, each with its exact type: what crosses between program and checker.

Covers: None, bool, int of any size, float and complex bit by bit, str (lone surrogates too), bytes,
bytearray, list, tuple, set, frozenset, dict in its order, deque, OrderedDict, defaultdict, Counter,
Decimal, Fraction, date, time, datetime, timedelta, range, slice, Ellipsis, and the classes of
`builtins`. `type(x) is T` decides: an object of a subclass is never written as its base. Everything
else is opaque and left to the caller.

Mutable containers are numbered in the order in which they are met, and met again they are written
as a reference: aliases and cycles survive, and an answer can point into the arguments of its call.
The encoding of a value is canonical: equal bytes mean that nothing changed.
The way back is `exact_reading`.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable

from exact_types import (
    BUILT,
    CLASS_NAMES,
    CONTAINERS,
    DOUBLE,
    DOUBLES,
    KEYED,
    MAX_BYTES,
    MAX_DEPTH,
    SEQUENCES,
    fit,
)


class Encoder:
    """Writes values one after the other; `data()` is all of them.

    Args:
        opaque: writes what is not data, given the encoder and the object; raises ValueError where
            that is not allowed.
        containers: mutable containers that the reader has already, by number.
        opaque_keys: whether members of sets and keys of dicts may be opaque; where they may not, a
            container of such is opaque itself.
    """

    def __init__(
        self,
        opaque: Callable[[Encoder, object], None],
        containers: list[object] | None = None,
        *,
        opaque_keys: bool = False,
    ) -> None:
        self._opaque_keys = opaque_keys
        self.containers = [] if containers is None else list(containers)
        self._numbers = {id(found): at for at, found in enumerate(self.containers)}
        self._opaque = opaque
        self._out: list[bytes] = []
        self._depth = 0

    def data(self) -> bytes:
        """Return everything that was added.

        Raises:
            ValueError: if it is larger than `MAX_BYTES`.
        """
        data = b"".join(self._out)
        if len(data) > MAX_BYTES:
            raise ValueError(f"larger than {MAX_BYTES} bytes")
        return data

    def add(self, value: object) -> None:
        """Write one value.

        Raises:
            ValueError: if it is nested too deeply, too large, or opaque where that may not be.
        """
        kind = type(value)
        write = _WRITERS.get(kind)
        if write is not None:
            self._out.append(write(value))
        elif kind in KEYED and not self._opaque_keys and not all(map(_is_key, value)):  # type: ignore[call-overload]
            self._opaque(self, value)
        elif kind in CONTAINERS or kind is bytearray:
            number = self._numbers.get(id(value))
            if number is None:
                self._numbers[id(value)] = len(self.containers)
                self.containers.append(value)  # kept alive: its id stays its own
                self.add_content(value)
            else:
                self._out.append(b"r%x;" % number)
        elif kind is tuple:
            self._items("t", value)
        elif kind is frozenset:
            self._members("Z", value)
        else:
            self._add_rare(kind, value)

    def add_raw(self, tag: bytes, number: int) -> None:
        """Write a tag of the caller's own with a number."""
        self._out.append(b"%b%x;" % (tag, number))

    def add_content(self, value: object) -> None:
        """Write what a mutable container holds, even if the reader knows the container."""
        kind = type(value)
        if kind is bytearray:
            self._out.append(b"a%x;%b" % (len(value), bytes(value)))  # type: ignore[arg-type,call-overload]
        elif kind in SEQUENCES:
            self._items(CONTAINERS[kind], value)
        elif kind is set:
            self._members("S", value)
        else:
            self._pairs(CONTAINERS[kind], value)

    def _add_rare(self, kind: type, value: object) -> None:
        name = CLASS_NAMES.get(value) if isinstance(value, type) else None
        built = BUILT.get(kind)
        if name is not None:
            self._out.append(b"T")
            self.add(name)
        elif built is not None:
            try:
                parts = built[1](value)
            except TypeError:
                self._opaque(self, value)
                return
            if not fit(parts, built[3]):
                self._opaque(self, value)
                return
            self._out.append(built[0].encode())
            for part in parts:
                self.add(part)
        else:
            self._opaque(self, value)

    def _open(self, tag: str, value: object) -> None:
        size = len(value)  # type: ignore[arg-type]
        if size > MAX_BYTES:
            raise ValueError(f"larger than {MAX_BYTES} bytes")
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ValueError(f"nested more than {MAX_DEPTH} deep")
        self._out.append(b"%b%x;" % (tag.encode(), size))

    def _items(self, tag: str, value: object) -> None:
        self._open(tag, value)
        if type(value) is deque:
            self.add(value.maxlen)
        for item in value:  # type: ignore[attr-defined]
            write = _WRITERS.get(type(item))
            if write is None:
                self.add(item)
            else:
                self._out.append(write(item))
        self._depth -= 1

    def _members(self, tag: str, value: object) -> None:
        """Write a set in the order of its members' encodings, which no hash seed changes."""
        self._open(tag, value)
        outer, members = self._out, []
        for member in value:  # type: ignore[attr-defined]
            self._out = []
            self.add(member)
            members.append(b"".join(self._out))
        self._out = outer
        self._out += sorted(members)
        self._depth -= 1

    def _pairs(self, tag: str, value: object) -> None:
        self._open(tag, value)
        if type(value) is defaultdict:
            self.add(value.default_factory)
        for key, item in value.items():  # type: ignore[attr-defined]
            self.add(key)
            self.add(item)
        self._depth -= 1


def _is_key(value: object) -> bool:
    """Return whether a member of a set or a key of a dict is data all through."""
    kind = type(value)
    if kind is tuple or kind is frozenset:
        return all(map(_is_key, value))  # type: ignore[call-overload]
    return kind in _WRITERS or kind in BUILT or (kind is type and value in CLASS_NAMES)


def _write_str(value: str) -> bytes:
    text = value.encode("utf-8", "surrogatepass")
    return b"s%x;%b" % (len(text), text)


_WRITERS: dict[type, Callable[..., bytes]] = {
    int: lambda value: b"i%x;" % value,
    str: _write_str,
    bool: lambda value: b"1" if value else b"0",
    type(None): lambda value: b"n",  # noqa: ARG005
    float: lambda value: b"f" + DOUBLE.pack(value),
    complex: lambda value: b"c" + DOUBLES.pack(value.real, value.imag),
    bytes: lambda value: b"b%x;%b" % (len(value), value),
    type(...): lambda value: b".",  # noqa: ARG005
}
