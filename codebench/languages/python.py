"""Python. A program compiles if the sandbox's interpreter compiles it, whole, to byte code.

Nothing of the program is run. Warnings are those of the compiler (`SyntaxWarning` and the like).
"""

from typing import Any

import orjson

from codebench.languages.verdict import Diagnostic, DiagnosticLevel
from codebench.sandbox.execution import COMPILE_LIMITS, Stage, Step, StepResult

_MAX_DIAGNOSTICS = 100
_MAX_MESSAGE_CHARS = 500


class PythonRules:
    """How Python is compiled; see the module's docstring for what "compiles" means."""

    def compile_step(self, program: bytes, *, edition: str = "2021") -> Step:  # noqa: ARG002 - Rust's
        """See `Rules`."""
        return Step(
            stage=Stage.COMPILE,
            argv=("warm:compile_program",),
            files={"program.py": program},
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
