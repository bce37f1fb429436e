"""The objects that two processes know of each other, by number, and how they stand in a message."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import Any

from carried_errors import ORIGIN, describe_error, make_error
from exact_reading import Decoder
from exact_values import Encoder
from remote_objects import Peer, Remote, remote_class
from special_methods import mask_of

PROGRAM = "program.py"
"""Name that the program's code is compiled under."""

_MAX_NAME = 200
_MAX_PLAIN_DEPTH = 2
_MAX_KINDS = 256
"""Classes of the other side that are told apart; a hostile one could show a new one each time."""

_DATA_TYPES = (
    str, int, float, complex, bytes, bytearray, tuple, list, dict, set, frozenset,
)  # fmt: skip


class ObjectTable:
    """Objects of ours that the other side holds, and objects of the other side that we hold.

    Args:
        peer: who asks for what is done to an object of the other side.
    """

    def __init__(self, peer: Peer) -> None:
        self.guarded = peer.guarded
        self.namespace: Mapping[str, object] = {}
        """What the names of the other side's exceptions mean here."""

        self.own: dict[int, object] = {}
        """Objects of ours by number."""

        self._peer = peer
        self._dropped: set[int] = set()
        self._numbers: dict[int, int] = {}
        self._n_own = 0
        self._errors: list[BaseException] = []
        self._made: dict[tuple[str, type[BaseException]], type[BaseException]] = {}
        self._remotes: weakref.WeakValueDictionary[int, Remote] = weakref.WeakValueDictionary()
        self._abouts: dict[type, tuple[str, int, type | None]] = {}
        self._plain_depth = 0
        self._masks: set[int] = set()

    def drop(self, number: int) -> None:
        """Note that an object of the other side is not needed any more."""
        self._dropped.add(number)

    def take_dropped(self) -> tuple[int, ...]:
        """Return the numbers that the other side can forget, once."""
        dropped = tuple(self._dropped)
        self._dropped.difference_update(dropped)
        return dropped

    def forget(self, numbers: tuple[object, ...]) -> None:
        """Let go of objects of ours that the other side dropped."""
        for number in numbers:
            self._numbers.pop(id(self.own.pop(number, None)), None)  # type: ignore[call-overload]

    def sent_object(self, decoder: Decoder, tag: bytes, number: int) -> object:
        """Return the object for what we wrote ourselves; None where it is gone."""
        if tag == b"Y":
            return self._remotes.get(number)
        for _ in range(3 if tag == b"H" else 1):
            decoder.take()
        return self.own.get(number) if tag == b"H" else self._errors[number - 1]

    def write(self, encoder: Encoder, value: object) -> None:
        """Write what is not data: H an object of ours, Y one of theirs, X an exception."""
        kind = type(value)
        if issubclass(kind, Remote):
            encoder.add_raw(b"Y", value._remote_number)  # type: ignore[attr-defined]
        elif issubclass(kind, BaseException):
            self._write_error(encoder, value)  # type: ignore[arg-type]
        else:
            about, mask, base = self._about(kind)
            encoder.add_raw(b"H", self._number_of(value))
            encoder.add(about)
            encoder.add(mask)
            self._plain_depth += 1
            deep = self._plain_depth > _MAX_PLAIN_DEPTH
            encoder.add(None if base is None or deep else _plain(base, value))
            self._plain_depth -= 1

    def _write_error(self, encoder: Encoder, error: BaseException) -> None:
        origin = error.__dict__.get(ORIGIN)
        if self.guarded:
            self._errors.append(error)
            origin = len(self._errors)
        encoder.add_raw(b"X", origin if type(origin) is int else 0)
        encoder.add(describe_error(error, PROGRAM))

    def _about(self, kind: type) -> tuple[str, int, type | None]:
        found = self._abouts.get(kind)
        if found is None:
            base = next((base for base in kind.__mro__ if base in _DATA_TYPES), None)
            base = None if base is kind or self.guarded else base
            name = str(kind.__name__)[:_MAX_NAME]
            found = self._abouts[kind] = name, mask_of(kind), base
        return found

    def _number_of(self, value: object) -> int:
        number = self._numbers.get(id(value))
        if number is None:
            self._n_own += 1
            number = self._numbers[id(value)] = self._n_own
            self.own[number] = value
        return number

    def read(self, decoder: Decoder, tag: bytes, number: int) -> object:
        """Return the object for what `write` wrote.

        Raises:
            ValueError: if there is none.
        """
        if tag == b"Y":
            if number not in self.own:
                raise ValueError("an object that was never shown")
            return self.own[number]
        if tag == b"X":
            described = decoder.take()
            if self.guarded and 0 < number <= len(self._errors):
                return self._errors[number - 1]
            error = make_error(described, self.namespace, self._made)
            error.__dict__[ORIGIN] = number
            return error
        if tag != b"H" or (self.guarded and decoder.hashing):
            raise ValueError("an object where none can be")
        return self._remote(number, decoder.take(), decoder.take(), decoder.take())

    def _remote(self, number: int, about: object, mask: object, plain: object) -> Remote:
        if type(about) is not str or len(about) > _MAX_NAME or type(mask) is not int:
            raise ValueError("not an object")
        if plain is not None and type(plain) not in _DATA_TYPES:
            raise ValueError("not what an object holds")
        self._dropped.discard(number)
        found = self._remotes.get(number)
        if found is None:
            self._masks.add(mask)
            if len(self._masks) > _MAX_KINDS:
                raise ValueError("too many kinds of objects")
            found = remote_class(mask)(self._peer, number, about, plain)
            self._remotes[number] = found
        return found


def _plain(base: Any, value: object) -> object:  # noqa: ANN401 - one of the data types
    """Return what an object holds as a `base`, which it is a subclass of, past its own methods."""
    if base is str:
        return str.__str__(value)
    if base in {int, float}:
        return base.__add__(value, base(0))
    if base is complex:
        return complex(complex.real.__get__(value), complex.imag.__get__(value))
    if base is dict:
        return dict(base.items(value))  # type: ignore[arg-type]
    return base(base.__iter__(value))
