"""Rust. A program compiles if rustc builds it as a library, which is exit status 0 of this.

    rustc --edition=2021 --crate-type=lib --error-format=json -o out.rlib program.rs

Code generation included: `--emit=metadata` would accept `[1, 2, 3][5]`, `1 / 0` and errors that
show only after monomorphisation. No `--cap-lints` (it turns deny-by-default lints into successes)
and no `--crate-name` (it clashes with `#![crate_name]`). The environment is fixed, so that neither
RUSTC_BOOTSTRAP nor anything else of ours leaks into the build.
"""

from collections.abc import Iterator
from typing import Any

import orjson

from codebench.languages.verdict import Diagnostic, DiagnosticLevel
from codebench.sandbox.execution import COMPILE_LIMITS, Stage, Step, StepResult

EDITION = "2021"
_MAX_DIAGNOSTICS = 100
_MAX_MESSAGE_CHARS = 500
ENV = {
    "LD_LIBRARY_PATH": "/opt/rust/lib",  # $ORIGIN needs /proc, which samples do not have
    "RUSTC_ICE": "0",
    "RUST_BACKTRACE": "0",
    "RUST_MIN_STACK": "16777216",
}
_SUMMARIES = ("aborting due to ", "could not compile ")
# rustc's own words where it does not speak JSON (rustc 1.63 to 1.95); matched at the line's start
_CRASH_LINES = (
    "memory allocation of ",
    "error: internal compiler error",
    "error: the compiler unexpectedly panicked",
    "error: rustc interrupted by SIGSEGV",
    "failed to spawn",
)
_NO_THREAD = "Os { code: 11, kind: WouldBlock"  # within a line; what stands before it differs


class RustRules:
    """How Rust is compiled; see the module's docstring for what "compiles" means."""

    def compile_step(self, program: bytes, *, edition: str = EDITION) -> Step:
        """See `Rules`."""
        return Step(
            stage=Stage.COMPILE,
            argv=(
                "rustc",
                f"--edition={edition}",
                "--crate-type=lib",
                "--error-format=json",
                "-o",
                "out.rlib",
                "program.rs",
            ),
            files={"program.rs": program},
            limits=COMPILE_LIMITS,
            env=ENV,
        )

    def read_diagnostics(self, result: StepResult) -> tuple[Diagnostic, ...]:
        """See `Rules`. Of lines that are no JSON only those that say why rustc died are read."""
        found: list[Diagnostic] = []
        for line in result.stderr.split(b"\n"):
            found += _read_line(line)
            if len(found) >= _MAX_DIAGNOSTICS:
                break
        return tuple(found)


def _read_line(line: bytes) -> Iterator[Diagnostic]:
    if line.startswith(b"{"):
        try:
            message = orjson.loads(line)
        except ValueError:
            return  # cut off by the byte cap
        if isinstance(message, dict):
            yield from _read_message(message)
        return
    text = line.decode(errors="backslashreplace").strip()
    if text.startswith(_CRASH_LINES) or _NO_THREAD in text:
        yield Diagnostic(
            level=DiagnosticLevel.ERROR,
            code=None,
            message=text[:_MAX_MESSAGE_CHARS],
            line=None,
            column=None,
        )


def _read_message(message: dict[str, Any]) -> Iterator[Diagnostic]:
    text, level = str(message.get("message", "")), message.get("level")
    if level == "error: internal compiler error":
        level, text = "error", f"error: internal compiler error: {text}"
    if level not in {"error", "warning"}:
        return
    if not message.get("spans") and (level == "warning" or text.startswith(_SUMMARIES)):
        return  # "2 warnings emitted", "aborting due to 1 previous error"
    code = message.get("code")
    spans = [span for span in message.get("spans", []) if span.get("is_primary")]
    place = spans[0] if spans else {}
    yield Diagnostic(
        level=DiagnosticLevel(level),
        code=str(code["code"]) if code else None,
        message=text[:_MAX_MESSAGE_CHARS],
        line=place.get("line_start"),
        column=place.get("column_start"),
    )
