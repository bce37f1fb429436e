"""Exceptions as plain data and back: raised in one process, raised again in the other."""

from __future__ import annotations

import builtins
import sys
import types
from collections.abc import Mapping

_MAX_CAUSES = 4
_MAX_BASES = 16
_LINE, ORIGIN = "__program_line__", "__origin__"
_OURS = {_LINE, ORIGIN}

_Error = type[BaseException]
_Made = dict[tuple[str, _Error], _Error]


def describe_error(error: BaseException, program: str, causes: int = 0) -> tuple[object, ...]:
    """Return an exception as a tuple for `make_error`.

    Args:
        error: the exception.
        program: name that the program's code was compiled under.
        causes: how many exceptions this one is the cause of.
    """
    kind = type(error)
    bases = [
        (str(base.__module__), base.__name__)
        for base in kind.__mro__[:_MAX_BASES]
        if issubclass(base, BaseException)
    ]
    attributes = {
        name: value for name, value in getattr(error, "__dict__", {}).items() if name not in _OURS
    }
    cause = None
    if error.__cause__ is not None and causes < _MAX_CAUSES:
        cause = describe_error(error.__cause__, program, causes + 1)
    return (tuple(bases), tuple(error.args), attributes, line_of(error, program), cause)


def line_of(error: BaseException, program: str) -> int | None:
    """Return the line of the program, from 1, at which an exception was raised last."""
    line, trace = getattr(error, _LINE, None), error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == program:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def program_line(error: BaseException) -> int | None:
    """Return the line that came with an exception out of the other process."""
    line = error.__dict__.get(_LINE)
    return line if type(line) is int else None


def make_error(
    described: object, namespace: Mapping[str, object], made: _Made, depth: int = 0
) -> BaseException:
    """Return the exception that a description means, of the class that is known here by that name.

    A class that is not known here is made, below the nearest of its bases that is.

    Args:
        described: what `describe_error` returned, or anything else.
        namespace: classes that the other side's own names mean here.
        made: the classes that were made already.
        depth: how many exceptions this one is the cause of.

    Raises:
        ValueError: if that is no description.
    """
    if type(described) is not tuple or len(described) != 5 or depth > _MAX_CAUSES:
        raise ValueError("not a described exception")
    bases, arguments, attributes, line, cause = described
    types_found = tuple(map(type, (bases, arguments, attributes)))
    if types_found != (tuple, tuple, dict) or type(line) not in {int, type(None)} or not bases:
        raise ValueError("not a described exception")
    error = _instance(_class(bases, namespace, made), arguments)
    for name, value in attributes.items():
        if type(name) is str and not name.startswith("__"):
            error.__dict__[name] = value
    error.__dict__[_LINE] = line
    if cause is not None:
        error.__cause__ = make_error(cause, namespace, made, depth + 1)
    return error


def _class(bases: tuple[object, ...], namespace: Mapping[str, object], made: _Made) -> _Error:
    own_name = None
    for base in bases:
        if type(base) is not tuple or [type(part) for part in base] != [str, str]:
            raise ValueError("not the name of a class")
        module, name = base
        found = _known(module, name, namespace)
        if found is not None:
            if own_name is None:
                return found
            return made.setdefault((own_name, found), type(own_name, (found,), {}))
        own_name = own_name or name
    raise ValueError("a class that is no exception")


def _known(module: str, name: str, namespace: Mapping[str, object]) -> _Error | None:
    if module == "builtins":
        found: object = getattr(builtins, name, None)
    elif name in namespace:
        found = namespace[name]
    elif name.startswith("_") or module.partition(".")[0] == "unittest":
        found = None  # `_ShouldStop` would end a test case as if it had passed
    else:
        found = getattr(sys.modules.get(module), name, None)
    return found if isinstance(found, type) and issubclass(found, BaseException) else None


def _instance(kind: type[BaseException], arguments: tuple[object, ...]) -> BaseException:
    """Make an exception; an `__init__` in Python takes other arguments than `args` shows."""
    if isinstance(kind.__init__, types.WrapperDescriptorType):
        try:
            return kind(*arguments)
        except (TypeError, ValueError):
            pass
    error = kind.__new__(kind)
    error.args = arguments
    return error
