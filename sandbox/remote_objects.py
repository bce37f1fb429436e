"""Objects that live in the other process: a `Remote` forwards what is done to it.

A Remote has exactly the special methods that the class of its object has, so that `callable`,
`iter` and `len` answer as they would there. Where the other process is not trusted, expected values
must not reach it: see `Remote.__eq__` and `_refuse`.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Container, Iterator
from typing import Any, Protocol

from special_methods import BINARY, KINDS, PLAIN, SPECIAL, apply_special

FOREIGN, DERIVED, OWN = range(3)
"""What a Remote stands for: some answer; what came of working with an own one; an instance that the
test itself made of a class that was asked for."""


class Peer(Protocol):
    """What a Remote needs of its session."""

    guarded: bool
    known: Container[str]
    """Words of the trusted source, and the special methods of its classes."""

    def request(self, operation: str, number: int, *arguments: object) -> Any:  # noqa: ANN401 - anything
        """Have something done to an object of the other side."""

    def drop(self, number: int) -> None:
        """Note that an object is not needed any more."""


_PREDICATES = {"startswith", "endswith", "issubset", "issuperset", "isdisjoint", "index", "count"}
_MISSING = object()


class Remote:
    """One object of the other process.

    `plain` is what an object of a subclass of a data type holds, as data: such an answer is
    compared and computed with by what it holds, whatever its own methods would say.
    """

    _remote_session: Peer
    _remote_number: int
    _remote_about: str
    _remote_plain: object
    _remote_trust: int
    __slots__ = (
        "__weakref__",
        "_remote_about",
        "_remote_number",
        "_remote_plain",
        "_remote_session",
        "_remote_trust",
    )

    def __init__(self, session: Peer, number: int, about: str, plain: object) -> None:
        values = zip(Remote.__slots__[1:], (about, number, plain, session, FOREIGN))  # noqa: B905 - 3.9
        for name, value in values:
            object.__setattr__(self, name, value)

    def __del__(self) -> None:
        self._remote_session.drop(self._remote_number)

    def __getattr__(self, name: str) -> object:
        if self._remote_session.guarded:
            foreign = self._remote_trust == FOREIGN
            if foreign and self._remote_plain is not None and not name.startswith("_"):
                found = getattr(self._remote_plain, name, _MISSING)
                if found is not _MISSING:
                    return found
            if name in _PREDICATES and (foreign or name not in self._remote_session.known):
                raise AttributeError(
                    f"{self._remote_about!r} object: {name!r} is not asked of an answer"
                )
        return _derive(self, self._remote_session.request("getattr", self._remote_number, name))

    def __setattr__(self, name: str, value: object) -> None:
        self._remote_session.request("setattr", self._remote_number, name, value)

    def __delattr__(self, name: str) -> None:
        self._remote_session.request("delattr", self._remote_number, name)

    @property
    def __doc__(self) -> object:  # type: ignore[override]
        return self._remote_session.request("getattr", self._remote_number, "__doc__")

    @property
    def __module__(self) -> object:  # type: ignore[override]
        return self._remote_session.request("getattr", self._remote_number, "__module__")

    def __repr__(self) -> str:
        return _text(self._remote_session.request("repr", self._remote_number))

    def __str__(self) -> str:
        return _text(self._remote_session.request("str", self._remote_number))

    def __hash__(self) -> int:
        found = self._remote_session.request("hash", self._remote_number)
        if type(found) is not int:
            raise TypeError("a hash that is not a number")
        return found

    def __eq__(self, other: object) -> bool:
        """Compare; plain data is shown to an instance only, and only if its class compares itself.

        Everything else would hand the expected value to the program and believe its word.
        """
        return _equal(self, other)

    def __ne__(self, other: object) -> bool:
        if _asks(self, other):
            return _truth(self._remote_session.request("ne", self._remote_number, other))
        return not _equal(self, other)

    def __instancecheck__(self, instance: object) -> bool:
        return _truth(self._remote_session.request("isinstance", self._remote_number, instance))

    def __subclasscheck__(self, cls: object) -> bool:
        return _truth(self._remote_session.request("issubclass", self._remote_number, cls))

    def __copy__(self) -> object:
        return _derive(self, self._remote_session.request("copy", self._remote_number))

    def __deepcopy__(self, memo: object) -> object:
        return _derive(self, self._remote_session.request("deepcopy", self._remote_number))

    def __dir__(self) -> list[str]:
        return list(self._remote_session.request("dir", self._remote_number))


def _text(found: object) -> str:
    if type(found) is not str:
        raise TypeError("a text that is not a str")
    return found


def _truth(found: object) -> bool:
    if isinstance(found, Remote):
        found = found._remote_plain
    return bool(found)


def _derive(source: Remote, found: object) -> object:
    if source._remote_trust != FOREIGN and isinstance(found, Remote):
        trust(found, DERIVED)
    return found


def trust(remote: Remote, level: int) -> None:
    """Raise what a Remote stands for."""
    if remote._remote_trust < level:
        object.__setattr__(remote, "_remote_trust", level)


def _asks(left: Remote, right: object) -> bool:
    """Return whether the other process is asked to compare these two."""
    session = left._remote_session
    if not session.guarded:
        return True
    if isinstance(right, Remote):
        return left._remote_trust != FOREIGN or right._remote_trust != FOREIGN
    return left._remote_trust == OWN and "__eq__" in session.known


def _content(value: object) -> object:
    return value._remote_plain if isinstance(value, Remote) else value


def _equal(left: Remote, right: object) -> bool:
    if left is right:
        return True
    if _asks(left, right):
        return _truth(left._remote_session.request("eq", left._remote_number, right))
    plain = _content(left)
    return plain is not None and bool(plain == _content(right))


def _refuse(remote: Remote, name: str, arguments: tuple[object, ...]) -> bool:
    """Return whether an operator would hand an expected value to the program.

    It may to instances, and what came of them, where a class of the trusted source has it too.
    """
    session = remote._remote_session
    if not session.guarded or name in _SAFE:
        return False
    if remote._remote_trust != FOREIGN and f"__{name}__" in session.known:
        return False
    return any(not isinstance(value, Remote) for value in arguments)


_SAFE = set(PLAIN) - {"contains"}


def _forward(name: str) -> Callable[..., object]:
    def method(self: Remote, *arguments: object) -> object:
        if _refuse(self, name, arguments):
            if self._remote_plain is None:
                return NotImplemented
            return apply_special(name, self._remote_plain, tuple(map(_content, arguments)))
        return _derive(self, self._remote_session.request(name, self._remote_number, *arguments))

    return method


def _call(self: Remote, *arguments: object, **keywords: object) -> object:
    return _derive(
        self, self._remote_session.request("call", self._remote_number, arguments, keywords)
    )


def _contains(self: Remote, value: object) -> bool:
    if _refuse(self, "contains", (value,)):
        # asking would tell the program which value is looked for
        members: Any = self if self._remote_plain is None else self._remote_plain
        return any(member is value or member == value for member in members)
    return _truth(self._remote_session.request("contains", self._remote_number, value))


def _exact(name: str, kind: type) -> Callable[..., object]:
    def method(self: Remote, *arguments: object) -> object:
        found = self._remote_session.request(name, self._remote_number, *arguments)
        if type(found) is not kind:
            raise TypeError(f"__{name}__ gave no {kind.__name__}")
        return found

    return method


def _iter(self: Remote) -> Iterator[object]:
    found = self._remote_session.request("iter", self._remote_number)
    if self._remote_trust != FOREIGN and isinstance(found, Remote):
        trust(found, DERIVED)
    return found if isinstance(found, Remote) else iter(found)  # type: ignore[return-value]


def _claimed(kind: type) -> property:
    return property(lambda self: kind)  # noqa: ARG005


def _leave(self: Remote, _: object, error: object, __: object) -> bool:
    return _truth(self._remote_session.request("exit", self._remote_number, error))


def _send(self: Remote, value: object) -> object:  # noqa: ARG001
    raise StopIteration(self._remote_session.request("run", self._remote_number))


def _await(self: Remote) -> Iterator[object]:
    return self._remote_session.request("run", self._remote_number)  # type: ignore[no-any-return]
    yield  # a generator, as `await` wants it


def _body(mask: int) -> dict[str, object]:
    body: dict[str, object] = {"__slots__": ()}
    for bit, name in enumerate(SPECIAL):
        if mask >> bit & 1:
            body[f"__{name}__"] = _METHODS.get(name) or _forward(name)
            if name in BINARY:
                body[f"__r{name}__"] = _forward("r" + name)
    if mask >> len(SPECIAL) & 1:
        body["__class__"] = _claimed(types.GeneratorType)
    if mask >> len(SPECIAL) + 1 & 1:
        body.update(__class__=_claimed(types.CoroutineType), __await__=_await, send=_send)
        body.update(throw=_send, close=lambda self: None)  # noqa: ARG005
    return body


_METHODS: dict[str, Callable[..., object]] = {
    "call": _call, "exit": _leave, "contains": _contains, "iter": _iter, "len": _exact("len", int),
    "int": _exact("int", int), "float": _exact("float", float), "bool": _exact("bool", bool),
    "complex": _exact("complex", complex), "index": _exact("index", int),
    "bytes": _exact("bytes", bytes), "format": _exact("format", str),
    "length_hint": _exact("length_hint", int),
}  # fmt: skip


@functools.lru_cache(maxsize=256)
def remote_class(mask: int) -> type[Remote]:
    """Return the class of Remotes with these special methods.

    Raises:
        ValueError: if the mask is not one.
    """
    if not 0 <= mask < 1 << len(SPECIAL) + len(KINDS):
        raise ValueError("no such mask")
    return type("Remote", (Remote,), _body(mask))
