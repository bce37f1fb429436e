# ruff: noqa: E501 - tables
"""Values cross with their exact types, and hostile bytes give ValueError and nothing else."""

import random
import sys
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from pathlib import Path
from typing import NoReturn

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "sandbox"))

from exact_reading import Decoder, write_back
from exact_types import MAX_BYTES
from exact_values import Encoder


def _no_opaque(*_: object) -> NoReturn:
    raise ValueError("opaque")


def _encode(value: object) -> bytes:
    encoder = Encoder(_no_opaque)
    encoder.add(value)
    return encoder.data()


def _decode(data: bytes) -> object:
    decoder = Decoder(data, _no_opaque)
    value = decoder.take()
    decoder.end()
    return value


VALUES = [
    None, True, False, 0, -1, 10**6000, -(1 << 70), 0.0, -0.0, 1.5, 5e-324, float("inf"),
    float("-inf"), float("nan"), 1j, complex(-0.0, float("inf")), "", "a\x00é\U0001f600", "\ud800",
    b"", b"\xff;", bytearray(b"x"), [], [1, [2.0, ["3"]]], (), (1,), ((1, 2), [3]), set(), {1, "a"},
    frozenset(), frozenset({(1, 2)}), {}, {"b": 1, "a": {2: None}}, {(1, "x"): [0]}, Decimal("1.10"),
    Decimal("-0"), Decimal("NaN"), Fraction(-3, 7), date(2024, 2, 29), time(1, 2, 3, 4, fold=1),
    datetime(1, 1, 1), datetime(2024, 5, 6, 7, tzinfo=UTC), timedelta(-1, 5, 7),  # noqa: DTZ001
    datetime(2024, 5, 6, tzinfo=timezone(timedelta(hours=-3, minutes=-30))), range(3), range(5, -5, -2),
    slice(1, None, -1), ..., int, ValueError, deque([1, 2], 5), OrderedDict(z=1, a=2),
    defaultdict(list, a=[1]), Counter("banana"),
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_round_trip(value: object) -> None:
    """A value comes back with its type, bit by bit, and is written as the same bytes again."""
    found = _decode(_encode(value))
    assert type(found) is type(value)
    assert _encode(found) == _encode(value)
    if not isinstance(value, int):
        assert repr(found) == repr(value) or isinstance(value, (set, frozenset))
    assert found == value or value != value or "nan" in repr(value).lower()


def test_encodings_tell_types_apart() -> None:
    """Values that are equal to Python and are not the same have different encodings."""
    values = [
        1,
        True,
        1.0,
        complex(1),
        Decimal(1),
        Fraction(1),
        "1",
        b"1",
        [1],
        (1,),
        {1},
        0.0,
        -0.0,
    ]
    assert len({_encode(value) for value in values}) == len(values)


class _Text(str):
    __slots__ = ()


class _Number(IntEnum):
    ONE = 1


_Point = namedtuple("_Point", "x y")


@pytest.mark.parametrize(
    "value",
    [_Text("x"), _Number.ONE, _Point(1, 2), object(), len, [object()], type("int", (int,), {})(1)],
)
def test_subclasses_are_opaque(value: object) -> None:
    """An object of a subclass is never written as its base."""
    with pytest.raises(ValueError, match="opaque"):
        _encode(value)


def test_aliases_and_cycles_survive() -> None:
    """One list in two places is one list there too, and a list can hold itself."""
    row: list[object] = [0]
    rows = _decode(_encode([row, row]))
    assert isinstance(rows, list)
    assert rows[0] is rows[1]
    row.append(row)
    found = _decode(_encode(row))
    assert isinstance(found, list)
    assert found[1] is found


def test_sets_are_written_in_one_order() -> None:
    """The encoding of a set does not depend on how it was filled."""
    words = [f"word {i}" for i in range(50)]
    assert _encode(set(words)) == _encode({*words[25:], *words[:25]})


def test_bounds() -> None:
    """What is nested too deeply or too large is refused with a reason."""
    deep: list[object] = []
    for _ in range(500):
        deep = [deep]
    with pytest.raises(ValueError, match="deep"):
        _encode(deep)
    with pytest.raises(ValueError, match="larger"):
        _encode("x" * (MAX_BYTES + 1))


@pytest.mark.parametrize(
    "data",
    [
        b"", b"i", b"i;", b"ix;", b"s5;ab", b"s-1;", b"l9;n", b"lffffffff;n", b"S1;l0;", b"d1;l0;n",
        b"r0;", b"l1;r5;", b"Ts4;open", b"Ts3;foo", b"Ti1;", b"Di1;", b"Ds3;1.x", b"Qi1;i0;",
        b"yi0;i1;i1;", b"gi0;i1;i0;", b"q2;i1;nn", b"qi1;", b"V1;i1;", b"Z1;d0;", b"z", b"nn", b"s1;\xff",
        b"l1;" * 400 + b"n", b"t1;" * 100_000, b"mi63;i0;i0;i0;ni0;", b"H1;", b"\xff\xff", b"e" + b"i" + b"f" * 400 + b";i0;i0;",
    ],
)  # fmt: skip
def test_hostile_bytes(data: bytes) -> None:
    """What no encoder wrote is refused with ValueError."""
    with pytest.raises(ValueError):  # noqa: PT011 - any of them
        _decode(data)


def test_damaged_bytes() -> None:
    """Flipped, cut and doubled encodings give a value or ValueError, nothing else."""
    rng = random.Random(7)
    whole = b"".join(map(_encode, VALUES))
    for _ in range(3000):
        start = rng.randrange(len(whole))
        data = bytearray(whole[start : start + rng.randrange(1, 60)])
        for _ in range(rng.randrange(4)):
            data[rng.randrange(len(data))] = rng.choice(b"0123456789abcdef;ltdSZrsnTHXYqOVKDQ.\xff")
        try:
            _decode(bytes(data))
        except ValueError:
            continue


def test_write_back() -> None:
    """A container takes over the content of another of its type, and of no other."""
    for target, content in (([1], [2, 3]), ({1}, {2}), ({"a": 1}, {"b": 2, "a": 3}),
                            (bytearray(b"a"), bytearray(b"bc")), (deque([1]), deque([2])),
                            (Counter("aab"), Counter("ab"))):  # fmt: skip
        write_back(target, content)
        assert target == content
        assert list(target) == list(content)
    with pytest.raises(ValueError, match="type"):
        write_back([1], {1})
