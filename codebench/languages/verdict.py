"""Outcomes and diagnostics: the judgement over the facts of an execution."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from pydantic import BaseModel

from codebench.sandbox.execution import Execution, StoppedBy


class Outcome(StrEnum):
    """What became of a sample. Exactly one each."""

    PASSED = "passed"
    COMPILED = "compiled"
    FAILED_TESTS = "failed_tests"
    NO_RESULT = "no_result"
    COMPILE_ERROR = "compile_error"
    COMPILE_TIMEOUT = "compile_timeout"
    COMPILE_OOM = "compile_oom"
    COMPILE_CRASH = "compile_crash"
    VACUOUS = "vacuous"
    RUN_TIMEOUT = "run_timeout"
    RUN_OOM = "run_oom"
    RUN_CRASH = "run_crash"
    OUTPUT_LIMIT = "output_limit"
    INVALID_SOURCE = "invalid_source"
    INFRA_ERROR = "infra_error"

    @property
    def judged(self) -> bool:
        """Whether the sample is in the denominator: everything but our own failures is."""
        return self is not Outcome.INFRA_ERROR

    @property
    def compiles(self) -> bool:
        """Whether the program compiled, whatever its tests said."""
        return self in _COMPILED


_COMPILED = frozenset(
    {
        Outcome.PASSED,
        Outcome.COMPILED,
        Outcome.FAILED_TESTS,
        Outcome.NO_RESULT,
        Outcome.RUN_TIMEOUT,
        Outcome.RUN_OOM,
        Outcome.RUN_CRASH,
        Outcome.OUTPUT_LIMIT,
    }
)


class DiagnosticLevel(StrEnum):
    """How bad the compiler finds it."""

    ERROR = "error"
    WARNING = "warning"


class Diagnostic(BaseModel, frozen=True, extra="forbid"):
    """One message of a compiler, bounded in length."""

    level: DiagnosticLevel
    code: str | None
    """`E0308`, a lint's name, `SyntaxError`; None where the compiler gives none."""

    message: str
    line: int | None
    """Line of the program, from 1."""

    column: int | None

    @property
    def headline(self) -> str:
        """`error[E0308]: mismatched types`, as rustc prints it."""
        code = f"[{self.code}]" if self.code else ""
        return f"{self.level}{code}: {self.message}"


class CheckFailure(BaseModel, frozen=True, extra="forbid"):
    """The first check that failed, every text bounded in length."""

    check: str
    """Source of the check, as `assert factorial(5) == 120`."""

    arguments: str | None = None
    """Arguments of the call whose answer was looked at, as source; None where that is not known."""

    expected: str | None = None
    got: str | None = None
    message: str | None = None
    """What was raised or panicked instead of an answer."""

    line: int | None = None
    """Line of the program, from 1, in which that happened."""


class TestReport(BaseModel, frozen=True, extra="forbid"):
    """What the tests of one prompt said about one program."""

    __test__ = False  # not a test of pytest's

    planned: int
    """Checks that a program which passes answers."""

    passed: int
    """Checks that held, in order, up to the end or the first that did not."""

    built: bool = True
    """Whether the program builds together with its tests."""

    failure: CheckFailure | None = None


class Graded(NamedTuple):
    """What grading one program gave."""

    outcome: Outcome
    executions: tuple[Execution, ...]
    tests: TestReport
    diagnostics: tuple[Diagnostic, ...] = ()
    """Of a program that does not compile or does not build with its tests."""

    flags: tuple[str, ...] = ()
    """`shared` when program and tests ran in one process."""


RUN_STOPPED: Mapping[StoppedBy, Outcome] = {
    StoppedBy.CPU_TIME: Outcome.RUN_TIMEOUT,
    StoppedBy.WALL_TIME: Outcome.RUN_TIMEOUT,
    StoppedBy.MEMORY: Outcome.RUN_OOM,
    StoppedBy.OUTPUT: Outcome.OUTPUT_LIMIT,
    StoppedBy.PROCESSES: Outcome.RUN_CRASH,
}
"""What a limit that ends a program makes of it, once it runs."""

_TIME = {StoppedBy.CPU_TIME, StoppedBy.WALL_TIME}
_OUT_OF_MEMORY = "memory allocation of "
_STARVED = "Os { code: 11, kind: WouldBlock"
_PANICKED, _SIGABRT = 101, 6


def compile_outcome(
    execution: Execution, diagnostics: Sequence[Diagnostic], *, declares_item: bool
) -> Outcome:
    """Judge a compile step from its stored facts.

    A build whose flood of messages was cut off had messages to give: it counts as rejected.
    A compiler that found no room for its threads was starved by us, not by the program.

    Args:
        execution: facts of the compile step.
        diagnostics: what the compiler said.
        declares_item: whether the program holds the item that the prompt asked for.
    """
    stopped = execution.stopped_by
    said = [diagnostic.message for diagnostic in diagnostics]
    # the words alone prove nothing: a program has `compile_error!` for saying them, in some line
    own = [diagnostic.message for diagnostic in diagnostics if diagnostic.line is None]
    if execution.exit_code == _PANICKED and any(_STARVED in text for text in own):
        return Outcome.INFRA_ERROR
    if stopped in _TIME:
        return Outcome.COMPILE_TIMEOUT
    aborted = execution.signal == _SIGABRT
    if stopped is StoppedBy.MEMORY or (
        aborted and any(text.startswith(_OUT_OF_MEMORY) for text in said)
    ):
        return Outcome.COMPILE_OOM
    if stopped is StoppedBy.OUTPUT:
        return Outcome.COMPILE_ERROR
    if execution.exit_code == 0:
        return Outcome.COMPILED if declares_item else Outcome.VACUOUS
    return Outcome.COMPILE_ERROR if execution.exit_code == 1 else Outcome.COMPILE_CRASH
