"""Judges a tested Rust program from facts: how the run ended, its answers, what it said.

Does not cover: running anything (`rust_tests`), or what a right answer is (`rust_answers`).
"""

import re
from collections.abc import Sequence

from codebench.languages.rust_answers import (
    Expected,
    Reading,
    compare,
    count_checks,
    read_lines,
)
from codebench.languages.rust_driver import Driver
from codebench.languages.verdict import (
    RUN_STOPPED,
    CheckFailure,
    Diagnostic,
    DiagnosticLevel,
    Graded,
    Outcome,
    TestReport,
)
from codebench.prompts.model import Isolation
from codebench.sandbox.execution import Execution, StepResult

SHARED = "shared"
_MAX_MESSAGE_CHARS = 200
_MAX_DIAGNOSTICS = 20
_SIGABRT = 6
_THREAD = r"^thread '[^\n]*?'(?: \(\d+\))? "
_PANICS = (  # the standard library's words since rustc 1.73, and before
    re.compile(
        _THREAD + r"panicked at (?P<place>[^\n']+:\d+:\d+):\n(?P<text>[^\n]*)", re.MULTILINE
    ),
    re.compile(
        _THREAD + r"panicked at '(?P<text>.*?)', (?P<place>[^\n]+:\d+:\d+)$",
        re.MULTILINE | re.DOTALL,
    ),
)
_PLACE = re.compile(r"program\.rs:(\d+):\d+")
_OUT_OF_MEMORY = re.compile(r"^memory allocation of \d+ bytes failed", re.MULTILINE)


def judge_run(
    result: StepResult,
    driver: Driver,
    expected: Expected,
    *,
    build: Execution,
) -> Graded:
    """Judge what a driver said and how it ended.

    Args:
        result: The run.
        driver: Its driver.
        expected: What a right program says.
        build: The build that went before.
    """
    reading = compare(read_lines(result.answers, driver.key), expected.lines, driver.checks)
    if reading.finished:
        outcome = Outcome.FAILED_TESTS if reading.failure else Outcome.PASSED
    else:
        outcome = _outcome_of_end(result)
    return Graded(
        outcome=outcome,
        executions=(build, result.execution),
        tests=TestReport(
            planned=reading.planned, passed=reading.passed, failure=_explain(reading, result)
        ),
        flags=flags_of(expected.isolation),
    )


def judge_unbuilt(
    execution: Execution,
    said: Sequence[Diagnostic],
    expected: Expected,
    *,
    driver: Driver | None,
) -> Graded:
    """Judge a program that compiles, but not together with its tests.

    Args:
        execution: The build.
        said: What the compiler said.
        expected: What a right program says.
        driver: What did not build; None where it was the program with its items public.
    """
    errors = [each for each in said if each.level is DiagnosticLevel.ERROR][:_MAX_DIAGNOSTICS]
    stopped = execution.stopped_by
    check = "the build of the tests"
    message = f"stopped by {stopped}" if stopped else "the compiler gave no reason"
    if errors:
        message = errors[0].headline[:_MAX_MESSAGE_CHARS]
        if driver is not None:
            check = _source_of(driver, errors[0].line) or check
    if driver is not None:  # its lines are not the program's
        errors = [each.model_copy(update={"line": None, "column": None}) for each in errors]
    return Graded(
        outcome=Outcome.FAILED_TESTS,
        executions=(execution,),
        tests=TestReport(
            planned=count_checks(expected.lines or ()),
            passed=0,
            built=False,
            failure=CheckFailure(check=check, message=message),
        ),
        diagnostics=tuple(errors),
        flags=flags_of(expected.isolation),
    )


def judge_published(result: StepResult, before: Execution) -> Graded:
    """Judge a program with a `main` of its own as MultiPL-E does: exit status 0 passes."""
    passed = result.execution.exit_code == 0
    outcome = Outcome.PASSED if passed else Outcome.FAILED_TESTS
    if result.execution.exit_code is None:
        outcome = _outcome_of_end(result)
    failure = None if passed else _explain_end(result, CheckFailure(check="the whole program"))
    return Graded(
        outcome=outcome,
        executions=(before, result.execution),
        tests=TestReport(planned=1, passed=int(passed), failure=failure),
        flags=(SHARED,),
    )


def flags_of(isolation: Isolation) -> tuple[str, ...]:
    """Return what a result says about its isolation."""
    return (SHARED,) if isolation is Isolation.SHARED else ()


def _outcome_of_end(result: StepResult) -> Outcome:
    """Return what a run is that ended before its last answer."""
    execution = result.execution
    if execution.stopped_by is not None:
        return RUN_STOPPED[execution.stopped_by]
    if execution.signal is None:
        return Outcome.NO_RESULT
    said = result.stderr.decode(errors="replace")
    out_of_memory = execution.signal == _SIGABRT and _OUT_OF_MEMORY.search(said)
    return Outcome.RUN_OOM if out_of_memory else Outcome.RUN_CRASH


def _explain(reading: Reading, result: StepResult) -> CheckFailure | None:
    """Add to the first failure what the run said about it."""
    if reading.failure is None or reading.failure.got or reading.failure.message:
        return reading.failure
    if reading.panicked:
        return _explain_end(result, reading.failure, otherwise="panicked")
    if not reading.finished:
        return _explain_end(result, reading.failure)
    return reading.failure.model_copy(update={"message": "other checks were made than planned"})


def _explain_end(
    result: StepResult, failure: CheckFailure, *, otherwise: str | None = None
) -> CheckFailure:
    execution, said = result.execution, result.stderr.decode(errors="replace")
    line = None
    for pattern in _PANICS:
        if panic := pattern.search(said):
            place = _PLACE.fullmatch(panic["place"])
            line = int(place[1]) if place else None
            message = f"panicked: {panic['text']}"
            break
    else:
        if otherwise is not None:
            message = otherwise
        elif execution.stopped_by is not None:
            message = f"stopped by {execution.stopped_by}"
        elif execution.signal is not None:
            message = f"ended by signal {execution.signal}"
        else:
            message = f"ended with exit status {execution.exit_code}"
    return failure.model_copy(update={"message": message[:_MAX_MESSAGE_CHARS], "line": line})


def _source_of(driver: Driver, line: int | None) -> str | None:
    """Return the line of a test, as its author wrote it, that a line of the driver holds."""
    for first, test in reversed(list(zip(driver.first_lines, driver.tests, strict=True))):
        if line is not None and line >= first:
            lines = test.split("\n")
            return lines[min(line - first, len(lines) - 1)].strip()[:_MAX_MESSAGE_CHARS]
    return None
