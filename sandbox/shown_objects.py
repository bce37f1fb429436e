"""What the program may do with objects of the tests that it is handed.

Functions are called, iterators asked for more; instances of classes that the tests define show
their public attributes. Expected answers must not be found by way of them.
"""

from __future__ import annotations

import io

TESTS = "tests"
"""`__module__` of what the tests and the trusted source define."""

_NAMES = {"__name__", "__qualname__", "__doc__", "__module__"}
_SPECIAL = {
    "iter", "next", "len", "getitem", "contains", "bool", "reversed", "length_hint", "hash", "eq",
    "ne", "lt", "le", "gt", "ge", "str", "repr", "isinstance", "issubclass", "enter", "exit",
}  # fmt: skip
_FILES = (io.StringIO, io.BytesIO)


def is_shown(operation: str, target: object, arguments: tuple[object, ...]) -> bool:
    """Return whether the program may do this to an object of the tests.

    Attributes are those of instances of the tests' own classes and of files in memory, by public
    names: a generator has `gi_frame`, a function has its globals.
    """
    if operation == "call":
        return [type(part) for part in arguments] == [tuple, dict]
    own = type(target).__module__ == TESTS
    if operation in {"getattr", "setattr", "delattr"}:
        name = arguments[0] if arguments else None
        if type(name) is not str:
            return False
        if operation == "getattr" and name in _NAMES:
            return True
        return not name.startswith("_") and (own or type(target) in _FILES)
    return own or operation in _SPECIAL
