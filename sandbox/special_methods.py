"""Special methods of Python by name: which a class has, and what each does."""

from __future__ import annotations

import copy
import operator
import types
from collections.abc import Callable, Iterable, Iterator

BINARY = (
    "add", "sub", "mul", "truediv", "floordiv", "mod", "divmod", "pow", "matmul", "and", "or",
    "xor",
    "lshift", "rshift",
)  # fmt: skip
ORDER = ("lt", "le", "gt", "ge")
PLAIN = (
    "len", "iter", "next", "getitem", "setitem", "delitem", "contains", "reversed", "enter", "exit",
    "neg", "pos", "abs", "invert", "int", "float", "complex", "index", "round", "trunc", "floor",
    "ceil", "bool", "bytes", "format", "length_hint",
)  # fmt: skip
SPECIAL = ("call", *PLAIN, *ORDER, *BINARY, *("i" + name for name in BINARY))
"""Special methods, without underscores, in the order of the bits of a mask."""

KINDS = (types.GeneratorType, types.CoroutineType)
"""Kinds that a Remote claims to be for `isinstance`; their bits follow those of `SPECIAL`."""


def mask_of(kind: type) -> int:
    """Return which special methods a class has, as bits."""
    mask = 0
    for bit, name in enumerate(SPECIAL):
        if getattr(kind, f"__{name}__", None) is not None:
            mask |= 1 << bit
    for bit, known in enumerate(KINDS, len(SPECIAL)):
        if kind is known:
            mask |= 1 << bit
    return mask


def methods_of(kinds: Iterable[type]) -> Iterator[str]:
    """Yield the public attributes of classes, and what they have of operators and comparisons.

    An operator comes with its reflected and its in-place form, a comparison of order with the rest;
    what `object` has does not count.
    """
    for kind in kinds:
        yield from (name for name in dir(kind) if not name.startswith("_"))
    groups = [(name, "r" + name, "i" + name) for name in BINARY]
    for group in (*groups, ORDER, ("eq",), ("contains",)):
        names = [f"__{name}__" for name in group]
        bases = [base for kind in kinds for base in kind.__mro__[:-1]]
        if any(name in vars(base) for base in bases for name in names):
            yield from names


def apply_special(name: str, target: object, arguments: tuple[object, ...]) -> object:
    """Do what Python does for a special method, the reflected operand tried as usual.

    Raises:
        ValueError: if there is no such special method.
        Exception: what the method raises.
    """
    known = _FUNCTIONS.get(name)
    if known is not None:
        return known(target, *arguments)
    raise ValueError(f"no special method {name!r}")


def _exit(target: object, error: object) -> object:
    kind = None if error is None else type(error)
    return type(target).__exit__(target, kind, error, None)  # type: ignore[attr-defined]


def _reflected(function: Callable[..., object]) -> Callable[..., object]:
    return lambda target, other: function(other, target)


_FUNCTIONS: dict[str, Callable[..., object]] = {
    "len": len, "iter": iter, "next": next, "reversed": reversed, "abs": abs, "int": int,
    "float": float, "complex": complex, "round": round, "bool": bool, "bytes": bytes,
    "format": format, "eq": operator.eq, "ne": operator.ne, "hash": hash, "str": str, "repr": repr,
    "divmod": divmod, "pow": pow, "isinstance": lambda target, value: isinstance(value, target),
    "issubclass": lambda target, value: issubclass(value, target), "copy": copy.copy,
    "deepcopy": copy.deepcopy, "dir": dir,
    "enter": lambda target: type(target).__enter__(target), "exit": _exit,
    "trunc": lambda target: type(target).__trunc__(target),
    "floor": lambda target: type(target).__floor__(target),
    "ceil": lambda target: type(target).__ceil__(target),
    "rdivmod": _reflected(divmod), "rpow": _reflected(pow), "length_hint": operator.length_hint,
}  # fmt: skip
for _name in ("getitem", "setitem", "delitem", "contains", "neg", "pos", "invert", "index", *ORDER):
    _FUNCTIONS[_name] = getattr(operator, f"__{_name}__")
for _name in BINARY:
    if _name not in _FUNCTIONS:
        _FUNCTIONS[_name] = getattr(operator, f"__{_name}__")
        _FUNCTIONS["r" + _name] = _reflected(_FUNCTIONS[_name])
    _FUNCTIONS["i" + _name] = getattr(operator, f"__i{_name}__", _FUNCTIONS[_name])
