"""The hostile side of a graded step: compiles and runs one program, then does what it is asked.

Whatever the program does to this process, it can only lie about its own answers: the tests, the
expected answers and the verdict are the checker's. Tests of `isolation = "shared"` are the
exception: they run here, and their results say so.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import sys
import types
import warnings
from collections.abc import Mapping
from typing import Any

from carried_errors import line_of
from check_blocks import run_blocks
from frames import Broken, Gone
from object_table import PROGRAM
from remote_session import Session

PRELOAD = (
    "abc", "array", "ast", "base64", "bisect", "calendar", "cmath", "collections",
    "collections.abc", "contextlib", "copy", "csv", "dataclasses", "datetime", "decimal", "enum",
    "fractions", "functools", "hashlib", "heapq", "inspect", "io", "itertools", "json", "linecache",
    "math", "numbers", "operator", "pprint", "queue", "random", "re", "statistics", "string",
    "textwrap", "threading", "time", "traceback", "typing", "unicodedata", "zlib",
)  # fmt: skip
"""Modules that programs import often: loaded once, before any program is seen."""

for _name in PRELOAD:
    importlib.import_module(_name)
random.seed(0)  # of every program alike: what it does not seed must not move its verdict

_session = Session(-1, guarded=False)  # made before the fork, as all that can be
_MODULE = "program"
_MAX_MESSAGE_CHARS = 500
_MAX_DIAGNOSTICS = 100

Row = dict[str, object]


def main(files: Mapping[str, bytes], channel: int) -> int:
    """Compile, run and serve `program.py`; return the exit status.

    Args:
        files: `program.py`, and `tests.json` when the tests run here.
        channel: descriptor of the socket to the checker.
    """
    owner = os.getpid()
    session = _session
    session.adopt(channel)
    code, rows = compile_source(files["program.py"])
    session.send_status({"kind": "compiled" if code else "compile_error", "diagnostics": rows})
    if code is None:
        return 1
    module = types.ModuleType(_MODULE)
    module.__file__ = PROGRAM
    sys.modules[_MODULE] = module
    try:
        exec(code, module.__dict__)  # noqa: S102 - this is what the process is for
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 1
    except BaseException as error:  # noqa: BLE001 - any of them is the program's
        if os.getpid() != owner:
            return 1
        session.send_status({"kind": "import_error", **_last_words(error)})
        return 1
    if os.getpid() != owner:
        return 0  # a child that the program forked
    session.send_status({"kind": "ready"})
    if "tests.json" in files:
        _run_tests_here(session, json.loads(files["tests.json"]), dict(module.__dict__))
        return 0
    try:
        session.serve(module)
    except (Gone, Broken):
        return 1
    return 0


def _run_tests_here(session: Session, task: dict[str, Any], space: dict[str, object]) -> None:
    """Run the tests beside the program; it could change them, and its results are marked."""
    report = run_blocks(task["tests"], space, (), None, setup=task["setup"])
    session.send_status({"kind": "shared", "nonce": task["nonce"], "report": report})


def compile_source(source: bytes) -> tuple[types.CodeType | None, list[Row]]:
    """Compile a program to byte code, whole; return the code, None if refused, and what was said.

    Nothing of the program is run. A row has level, code, line, column and message.
    """
    code, rows = None, []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            code = compile(source, PROGRAM, "exec", dont_inherit=True)
        except SyntaxError as error:
            column = error.offset if error.lineno else None  # line 0, column -1: no place
            rows.append(_row("error", error.msg, error, error.lineno or None, column))
        except (ValueError, MemoryError, RecursionError, OverflowError) as error:
            rows.append(_row("error", error, error, None, None))
    return code, rows + [
        _row("warning", warning.message, warning.category, warning.lineno, None)
        for warning in caught[:_MAX_DIAGNOSTICS]
    ]


def _row(level: str, message: object, kind: object, line: int | None, column: int | None) -> Row:
    name = kind.__name__ if isinstance(kind, type) else type(kind).__name__
    text = str(message)[:_MAX_MESSAGE_CHARS]
    return {"level": level, "code": name, "line": line, "column": column, "message": text}


def _last_words(error: BaseException) -> Row:
    try:
        message = str(error)[:_MAX_MESSAGE_CHARS]
    except BaseException:  # noqa: BLE001 - its own `__str__` may raise anything
        message = ""
    name = str(type(error).__name__)[:_MAX_MESSAGE_CHARS]
    return {"type": name, "message": str.__str__(message), "line": line_of(error, PROGRAM)}
