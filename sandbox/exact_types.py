"""The types that `exact_values` writes and `exact_reading` reads, and their tags."""

from __future__ import annotations

import builtins
import struct
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction

MAX_DEPTH = 100
MAX_BYTES = 8 * 1024 * 1024
"""Largest encoding of one message: as objects it is some 20 times as large."""

DOUBLE, DOUBLES = struct.Struct(">d"), struct.Struct(">dd")
CLASSES = {
    name: found
    for name, found in vars(builtins).items()
    if isinstance(found, type) and found.__name__ == name
}
CLASS_NAMES = {found: name for name, found in CLASSES.items()}


def _offset(value: datetime | time) -> object:
    """Return the fixed offset from UTC in whole microseconds, None when naive.

    Raises:
        TypeError: if the time zone is more than a fixed offset.
    """
    if value.tzinfo is None:
        return None
    if type(value.tzinfo) is not timezone:
        raise TypeError("a time zone with rules")
    return value.tzinfo.utcoffset(None) // timedelta(microseconds=1)


def _zone(offset: int | None) -> timezone | None:
    return None if offset is None else timezone(timedelta(microseconds=offset))


_CLOCK = ("hour", "minute", "second", "microsecond")


def _clock(value: datetime | time) -> tuple[object, ...]:
    return (*(getattr(value, name) for name in _CLOCK), _offset(value), value.fold)


def _make_time(hour: int, minute: int, second: int, micro: int, *rest: int) -> time:
    offset, fold = rest
    return time(hour, minute, second, micro, _zone(offset), fold=fold)


def _make_datetime(year: int, month: int, day: int, *rest: int) -> datetime:
    hour, minute, second, micro, offset, fold = rest
    return datetime(year, month, day, hour, minute, second, micro, _zone(offset), fold=fold)


BUILT: dict[type, tuple[str, Callable[..., tuple[object, ...]], Callable[..., object], str]] = {
    Decimal: ("D", lambda value: (str(value),), Decimal, "s"),
    Fraction: ("Q", lambda value: (value.numerator, value.denominator), Fraction, "ii"),
    date: ("y", lambda value: (value.year, value.month, value.day), date, "iii"),
    time: ("m", _clock, _make_time, "iiiioi"),
    datetime: (
        "w", lambda value: (value.year, value.month, value.day, *_clock(value)), _make_datetime,
        "iiiiiiioi",
    ),
    timedelta: (
        "e", lambda value: (value.days, value.seconds, value.microseconds), timedelta, "iii",
    ),
    range: ("g", lambda value: (value.start, value.stop, value.step), range, "iii"),
    slice: ("j", lambda value: (value.start, value.stop, value.step), slice, "ooo"),
}  # fmt: skip
"""Type: tag, its parts, how it is made of them, their types (o: int or None)."""

_PART_TYPES: dict[str, tuple[type, ...]] = {"i": (int,), "s": (str,), "o": (int, type(None))}
MAKERS = {tag: (make, kinds) for tag, _, make, kinds in BUILT.values()}
CONTAINERS: dict[type, str] = {
    list: "l", dict: "d", set: "S", deque: "q", OrderedDict: "O", defaultdict: "V", Counter: "K",
}  # fmt: skip
CONTAINER_TYPES = {tag: kind for kind, tag in CONTAINERS.items()}
SEQUENCES = {list, deque, tuple}
KEYED = {set, frozenset, dict, OrderedDict, defaultdict, Counter}


def fit(parts: tuple[object, ...], kinds: str) -> bool:
    """Return whether parts have the types that are written for them."""
    return all(type(part) in _PART_TYPES[kind] for part, kind in zip(parts, kinds))  # noqa: B905 - 3.9
