"""Tests of Python programs: one step in the sandbox, and a verdict from what came out of it.

The program is compiled and run in one process; the tests run in another, the checker, against
proxies of what the program defines (`sandbox/checker.py`), and the checker alone says what came of
it. So `exit(0)`, patched builtins, objects that equal everything, forged frames and markers on
stdout gain nothing: a program can only choose its own answers.

What remains: tests that compare two answers of the program with each other ask the program's own
`==`. Instances of the class that was asked for, or of a class of the context, are asked whatever a
class of the reference and the context can be asked (`==` only if one defines it); without a
reference, everything.
With `isolation = "shared"` the tests run in the program's process, which can do with them what it
likes; results carry that flag.

A step is judged from its facts and its answers alone. A limit that is hit before the checker heard
that the program compiled is the compiler's.
"""

import ast
import functools
import re
import secrets
from collections.abc import Mapping
from typing import Any

import orjson

from codebench.languages.verdict import (
    RUN_STOPPED,
    CheckFailure,
    Diagnostic,
    DiagnosticLevel,
    Graded,
    Outcome,
    TestReport,
)
from codebench.prompts.model import Isolation, Prompt
from codebench.sandbox.execution import (
    RUN_LIMITS,
    Checker,
    Execution,
    Stage,
    Step,
    StepResult,
    StoppedBy,
)

_NAME = re.compile(r"(\w+)\W*$")
_TASK = "task.json"
_WHILE_COMPILING: Mapping[StoppedBy, Outcome] = {
    StoppedBy.CPU_TIME: Outcome.COMPILE_TIMEOUT,
    StoppedBy.WALL_TIME: Outcome.COMPILE_TIMEOUT,
    StoppedBy.MEMORY: Outcome.COMPILE_OOM,
}


def grading_step(prompt: Prompt, program: bytes) -> Step:
    """Return the step that runs the tests of a prompt against a program."""
    nonce, shared = secrets.token_hex(16), prompt.isolation is Isolation.SHARED
    found = _NAME.search(prompt.item)
    tests = {"nonce": nonce, "setup": prompt.setup, "tests": prompt.tests}
    task = {
        **tests,
        "trusted": trusted_source(prompt),
        "names": [found.group(1)] if found else [],
        "shared": shared,
        "complete": prompt.reference is not None or not prompt.item.startswith("class "),
    }
    files = {"program.py": program}
    if shared:
        files["tests.json"] = orjson.dumps(tests)
    return Step(
        stage=Stage.RUN,
        argv=("warm:candidate",),
        files=files,
        limits=RUN_LIMITS,
        answers=True,
        checker=Checker(module="checker", files={_TASK: orjson.dumps(task)}),
    )


def trusted_source(prompt: Prompt) -> str:
    """Return what the checker runs before the tests: the program that the prompt's author wrote.

    Its helpers, imports and classes of exceptions are what the tests mean by those names. Without a
    reference the item gets an empty body; where even that is no program, the context stands alone.
    """
    if prompt.reference is not None:
        return prompt.prefix + prompt.reference
    source = f"{prompt.prefix.rstrip()}\n    pass\n"
    return source if _is_python(source) else prompt.context


def _is_python(source: str) -> bool:
    try:
        ast.parse(source)
    except (SyntaxError, ValueError):
        return False
    return True


def read_grading(step: Step, result: StepResult) -> Graded:
    """Judge a step of `grading_step` from what it gave."""
    assert step.checker is not None
    task = orjson.loads(step.checker.files[_TASK])
    frames = _frames(result.answers, task["nonce"])
    outcome = _outcome(frames, result.execution)
    compiled = frames.get("compile_error") or frames.get("compiled") or {}
    return Graded(
        outcome=outcome,
        executions=(result.execution,),
        tests=_report(outcome, frames, tuple(task["tests"]), result.execution),
        diagnostics=tuple(map(_diagnostic, compiled.get("diagnostics", ()))),
        flags=("shared",) if task["shared"] else (),
    )


def _frames(answers: bytes, nonce: str) -> dict[str, dict[str, Any]]:
    """Return what the checker said, by kind; each kind comes once."""
    frames: dict[str, dict[str, Any]] = {}
    for line in answers.split(b"\n"):
        try:
            frame = orjson.loads(line)
        except ValueError:
            continue
        if isinstance(frame, dict) and frame.get("nonce") == nonce:
            frames.setdefault(str(frame.get("kind")), frame)
    return frames


def _outcome(frames: Mapping[str, Mapping[str, Any]], execution: Execution) -> Outcome:
    result = frames.get("final", {}).get("result")
    if "error" in frames:
        return Outcome.INFRA_ERROR
    if "compile_error" in frames:
        return Outcome.COMPILE_ERROR
    if result == "passed":
        return Outcome.PASSED
    if result == "failed" or "import_error" in frames:
        return Outcome.FAILED_TESTS
    stopped = execution.stopped_by
    if "compiled" not in frames:
        return _WHILE_COMPILING.get(stopped or StoppedBy.PROCESSES, Outcome.COMPILE_CRASH)
    if stopped is not None:
        return RUN_STOPPED[stopped]
    return Outcome.NO_RESULT if execution.signal is None else Outcome.RUN_CRASH


def _report(
    outcome: Outcome,
    frames: Mapping[str, Mapping[str, Any]],
    tests: tuple[str, ...],
    execution: Execution,
) -> TestReport:
    final, planned = frames.get("final", {}), _planned(tests)
    failure = final.get("failure")
    if "import_error" in frames:
        said = frames["import_error"]
        failure = {"check": "import program", "message": said["message"], "line": said["line"]}
    elif "error" in frames:
        failure = {"check": "the tests themselves", "message": frames["error"]["message"]}
    elif outcome is Outcome.NO_RESULT:
        seen = failure or {"check": "import program"}
        failure = {**seen, "message": _why_no_result(final, execution)}
    return TestReport(
        planned=planned,
        passed=planned if outcome is Outcome.PASSED else min(final.get("passed", 0), planned),
        built="compile_error" not in frames,
        failure=CheckFailure(**failure) if failure else None,
    )


def _why_no_result(final: Mapping[str, Any], execution: Execution) -> str:
    if execution.exit_code is not None:
        return f"the program ended with exit status {execution.exit_code} before it answered"
    said = (final.get("failure") or final).get("message")
    return str(said or "the program left without an answer")


@functools.lru_cache(maxsize=1024)
def _planned(tests: tuple[str, ...]) -> int:
    """Return how many checks there are: blocks, or the assert statements of a single block."""
    if len(tests) != 1 or not _is_python(tests[0]):
        return len(tests)
    return sum(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(tests[0]))) or 1


def _diagnostic(row: Mapping[str, Any]) -> Diagnostic:
    return Diagnostic(
        level=DiagnosticLevel(row["level"]),
        code=row["code"],
        message=row["message"],
        line=row["line"],
        column=row["column"],
    )
