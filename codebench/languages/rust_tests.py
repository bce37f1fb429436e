"""Tests of Rust programs: two steps in the sandbox, and a verdict from what came out of them.

    rustc program.rs -> rlib         items public; debug assertions and overflow checks are on
    rustc driver.rs  -> driver       in the same step: a crate of ours, linked with that rlib
    ./driver                         answers leave through descriptor 3

The driver judges nothing, and the program's process holds no expected answer: `rust_driver` says
what is asked, `rust_answers` compares. So there is nothing to gain from `exit(0)`, `.init_array`,
an own `main`, macros, types or operators named as std's, replaced libc functions, a panic hook, or
writing to descriptor 3: lines are signed with a key made anew for each grading. The driver's text
is gone before rustc runs, so that a macro of the program, expanded inside it, cannot include it.

What remains: a program that finds the key in the memory of its own process can claim that an
`assert!` holds, that two sides are equal where neither is the test's own, and that values of its
own types are; it still has to know every other answer. Without the key, values of its own types
could be claimed equal by an `==` and a `Debug` that were written together for that. And what a
macro of the program declares stands among the tests.
"""

import secrets
from collections.abc import Callable, Sequence
from threading import Lock

from codebench.errors import SandboxError, UsageError
from codebench.languages.rust import RustRules
from codebench.languages.rust_answers import (
    Expected,
    Kind,
    Line,
    compare,
    demand,
    read_lines,
    settle,
)
from codebench.languages.rust_driver import Driver, Questions, write_driver
from codebench.languages.rust_steps import (
    HIDING_FAILED,
    answers_step,
    build_step,
    candidate_is_built,
    published_step,
    run_step,
)
from codebench.languages.rust_verdict import SHARED, judge_published, judge_run, judge_unbuilt
from codebench.languages.verdict import Diagnostic, Graded, Outcome, TestReport, compile_outcome
from codebench.prompts.model import Isolation, Prompt
from codebench.sandbox.execution import Execution, Step, StepResult


class _NotBuiltError(Exception):
    """The program does not build with its tests."""

    def __init__(
        self, execution: Execution, said: Sequence[Diagnostic], driver: Driver | None
    ) -> None:
        super().__init__()
        self.execution, self.said, self.driver = execution, said, driver


class RustTester:
    """Tests programs in a sandbox; safe for as many threads as it has slots.

    Args:
        run: The sandbox's `run`.
    """

    def __init__(self, run: Callable[[Step], StepResult]) -> None:
        self._run = run
        self._crate = f"answers_{secrets.token_hex(8)}"  # its symbols are not to be guessed
        self._answers: bytes | None = None
        self._lock = Lock()

    def expect(self, prompt: Prompt, trusted: str, names: Sequence[str]) -> Expected:
        """Return what a right program says to the tests of a prompt.

        Args:
            prompt: The prompt.
            trusted: Its reference program, or `stub_program` where it has none; items public.
            names: What the prompt's part of that declares; see `Exposed`.

        Raises:
            UsageError: if the reference does not pass the tests.
            SandboxError: if the instrument failed.
        """
        stub = prompt.reference is None
        shared = Expected(isolation=Isolation.SHARED, names=tuple(names), lines=None)
        questions = Questions.EXPECTED if stub else Questions.BOTH_SIDES
        try:
            driver, result, _ = self._execute(prompt, trusted, names, questions)
        except _NotBuiltError as error:
            if stub:
                return shared
            raise _unfit(prompt, f"does not build with them: {_first(error.said)}") from error
        lines = read_lines(result.answers, driver.key)
        settled = settle(lines, driver.checks, stub=stub)
        separate = shared.model_copy(update={"isolation": Isolation.SEPARATE, "lines": settled})
        if stub:
            alone = prompt.isolation is Isolation.SEPARATE and _is_complete(lines)
            return separate if alone else shared
        failure = compare(lines, None, driver.checks).failure
        if failure is not None:
            raise _unfit(prompt, f"fails `{failure.check}`")
        if prompt.isolation is Isolation.SHARED:
            return shared.model_copy(update={"lines": demand(lines)})
        if self.grade(prompt, trusted, separate).outcome is not Outcome.PASSED:
            raise _unfit(prompt, "does not answer them twice alike")
        return separate

    def grade(self, prompt: Prompt, program: str, expected: Expected) -> Graded:
        """Test a program that compiles.

        Args:
            prompt: Its prompt.
            program: Its text with public items; see `Exposed`.
            expected: What a right program says.

        Raises:
            SandboxError: if the instrument failed.
        """
        separate = expected.isolation is Isolation.SEPARATE
        questions = Questions.ANSWERS if separate else Questions.BOTH_SIDES
        try:
            driver, result, build = self._execute(prompt, program, expected.names, questions)
        except _NotBuiltError as error:
            return judge_unbuilt(error.execution, error.said, expected, driver=error.driver)
        return judge_run(result, driver, expected, build=build)

    def grade_published(self, prompt: Prompt, program: str) -> Graded:
        """Test a program as MultiPL-E does: it ends in its tests, and exit status 0 is a pass.

        Args:
            prompt: Its prompt, for the edition.
            program: Prompt, completion and the tests as they are published, in one text.

        Raises:
            SandboxError: if the instrument failed.
        """
        result = self._run(published_step(program.encode(), prompt.edition))
        if (binary := result.collected.get("driver")) is None:
            said = _read_build(result)
            outcome = compile_outcome(result.execution, said, declares_item=True)
            tests = TestReport(planned=1, passed=0, built=False)
            return Graded(outcome, (result.execution,), tests, said, (SHARED,))
        return judge_published(self._run(run_step(binary)), result.execution)

    def _execute(
        self, prompt: Prompt, program: str, names: Sequence[str], questions: Questions
    ) -> tuple[Driver, StepResult, Execution]:
        """Build a program and its driver, and run it; return the execution of the build, too.

        Raises:
            _NotBuiltError: if one of them does not build.
            SandboxError: if the instrument failed.
        """
        key = (secrets.randbits(64), secrets.randbits(64))
        driver = write_driver(prompt, names, questions, crate=self._crate, key=key)
        answers = self._answers_library()
        build = self._run(
            build_step(
                program.encode(), prompt.edition, driver.text, crate=self._crate, answers=answers
            )
        )
        if (binary := build.collected.get("driver")) is None:
            failed = driver if candidate_is_built(build) else None
            raise _NotBuiltError(build.execution, _read_build(build), failed)
        return driver, self._run(run_step(binary)), build.execution

    def _answers_library(self) -> bytes:
        with self._lock:
            if self._answers is None:
                result = self._run(answers_step(self._crate))
                self._answers = result.collected.get("lib.rlib")
                if self._answers is None:
                    said = _first(RustRules().read_diagnostics(result))
                    raise SandboxError(f"the crate of the Rust tests does not build: {said}")
            return self._answers


def stub_program(prompt: Prompt) -> str:
    """Return a program with the prompt's signature and no body, for prompts without a reference."""
    return f"{prompt.prefix}\n    todo!()\n}}\n"


def _read_build(result: StepResult) -> tuple[Diagnostic, ...]:
    """Return what the compiler said in a build that gave nothing.

    Raises:
        SandboxError: if that was no fault of the program.
    """
    said, execution = RustRules().read_diagnostics(result), result.execution
    if compile_outcome(execution, said, declares_item=True) is Outcome.INFRA_ERROR:
        raise SandboxError("rustc found no room for its threads: raise the limit of processes")
    if execution.exit_code == 0:
        raise SandboxError("rustc built a program that did not come back from the sandbox")
    if execution.exit_code == HIDING_FAILED or any(map(_is_about_linker, said)):
        raise SandboxError("Rust tests need `gcc`, `sh` and `rm` in the sandbox: install gcc")
    return said


def _is_about_linker(said: Diagnostic) -> bool:
    """Whether rustc has no linker; what a program makes it say has a code or a line."""
    return said.message.startswith("linker `") and said.code is None and said.line is None


def _is_complete(lines: Sequence[Line]) -> bool:
    """Whether every test went to its end."""
    ends = [line.texts for line in lines if line.kind is Kind.TEST]
    return bool(lines) and lines[-1].kind is Kind.END and set(ends) == {("done",)}


def _first(said: Sequence[Diagnostic]) -> str:
    return next((each.headline for each in said), "rustc gave no reason")


def _unfit(prompt: Prompt, what: str) -> UsageError:
    return UsageError(f"prompt {prompt.id!r}: the tests do not fit: the reference {what}")
