"""Python. A program compiles if the sandbox's interpreter compiles it, whole, to byte code.

Nothing of the program is run. Warnings are those of the compiler (`SyntaxWarning` and the like).
"""

from typing import Any

import orjson

from codebench.languages.verdict import Diagnostic, DiagnosticLevel
from codebench.sandbox.execution import COMPILE_LIMITS, Stage, Step, StepResult

_MAX_DIAGNOSTICS = 100
_MAX_MESSAGE_CHARS = 500
_PYTHON = ("python3", "-I", "-S", "-B")
_COMPILE = """
import json, sys, warnings

def say(level, error, kind, line, column):
    row = {"level": level, "code": kind, "line": line, "column": column}
    print(json.dumps({**row, "message": str(error)[:500]}))

status = 0
with open("program.py", "rb") as file:
    source = file.read()
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    try:
        compile(source, "program.py", "exec", dont_inherit=True)
    except SyntaxError as error:
        column = error.offset if error.lineno else None  # line 0, column -1: no place
        say("error", error.msg, type(error).__name__, error.lineno or None, column)
        status = 1
    except (ValueError, MemoryError, RecursionError, OverflowError) as error:
        say("error", error, type(error).__name__, None, None)
        status = 1
for warning in caught:
    say("warning", warning.message, warning.category.__name__, warning.lineno, None)
sys.exit(status)
"""
_ORACLE = """
import sys, traceback
space = {"__name__": "program"}
with open("program.py") as file:
    exec(compile(file.read(), "program.py", "exec"), space)
with open("checks.json") as file:
    import json
    checks = json.load(file)
failed = 0
for i, check in enumerate(checks):
    try:
        exec(compile(check, f"check {i}", "exec"), space)
    except Exception:
        failed = 1
        print(f"check {i}: {check}", file=sys.stderr)
        traceback.print_exc()
    else:
        print(i)
sys.exit(failed)
"""


class PythonRules:
    """How Python is compiled; see the module's docstring for what "compiles" means."""

    def compile_step(self, program: bytes) -> Step:
        """See `Rules`."""
        return Step(
            stage=Stage.COMPILE,
            argv=(*_PYTHON, "compile.py"),
            files={"compile.py": _COMPILE.encode(), "program.py": program},
            limits=COMPILE_LIMITS,
        )

    def read_diagnostics(self, result: StepResult) -> tuple[Diagnostic, ...]:
        """See `Rules`."""
        found = []
        for line in result.stdout.split(b"\n")[:_MAX_DIAGNOSTICS]:
            try:
                row: Any = orjson.loads(line)
            except ValueError:
                continue
            found.append(
                Diagnostic(
                    level=DiagnosticLevel(row["level"]),
                    code=row["code"],
                    message=row["message"][:_MAX_MESSAGE_CHARS],
                    line=row["line"],
                    column=row["column"],
                )
            )
        return tuple(found)

    def oracle_step(self, program: str, checks: tuple[str, ...]) -> Step:
        """See `Rules`."""
        return Step(
            stage=Stage.RUN,
            argv=(*_PYTHON, "oracle.py"),
            files={
                "oracle.py": _ORACLE.encode(),
                "program.py": program.encode(),
                "checks.json": orjson.dumps(checks),
            },
            limits=COMPILE_LIMITS,
        )
