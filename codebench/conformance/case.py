"""One case: a name, a sentence, and a function that tries it and says what does not hold."""

import dataclasses
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from codebench.errors import SandboxError
from codebench.languages.rust import RustRules
from codebench.languages.rust_steps import published_step, run_step
from codebench.languages.verdict import Outcome, compile_outcome
from codebench.sandbox.backend import Isolation
from codebench.sandbox.execution import (
    COMPILE_LIMITS,
    RUN_LIMITS,
    Sandbox,
    Stage,
    Step,
    StepResult,
    StoppedBy,
)

_SHOWN = 200
_RULES = RustRules()


class Group(StrEnum):
    """What a case attacks."""

    RESOURCES = "Resources"
    PROCESSES = "Process control"
    ESCAPE = "Escape"
    LEAKS = "State leak"
    COMPILING = "Compile-time"
    PARSERS = "Parsers"
    FAULTS = "Faults"
    PYTHON_TAMPERING = "Tampering (Python)"
    RUST_TAMPERING = "Tampering (Rust)"


class NotTestableHereError(Exception):
    """This machine, toolchain or backend cannot show whether the promise holds; says why."""


class Bench:
    """What a case tries its programs on: one sandbox of one slot."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        info = sandbox.info()
        self.kind, self.isolation = info.kind, Isolation(info.isolation)
        found = re.match(r"rustc (\d+)\.(\d+)", info.rustc or "")
        self.rustc_version = tuple(map(int, found.groups())) if found else (0, 0)
        """As (1, 95)."""

    def run(self, step: Step) -> StepResult:
        """Run one step.

        Raises:
            SandboxError: if the instrument failed.
        """
        return self.sandbox.run(step)

    def python(self, source: str, **limits: float) -> StepResult:
        """Run a Python program; keywords change the limits."""
        return self.run(python_step(source, **limits))

    def rust(self, source: str | bytes, **limits: float) -> StepResult:
        """Compile a Rust program as a benchmark does; keywords change the limits."""
        program = source.encode() if isinstance(source, str) else source
        step = _RULES.compile_step(program)
        return self.run(dataclasses.replace(step, limits=COMPILE_LIMITS.model_copy(update=limits)))

    def run_rust(self, source: str, **limits: float) -> StepResult:
        """Build a Rust program with a `main` and run it.

        Raises:
            NotTestableHereError: if the sandbox has no linker.
            SandboxError: if the instrument failed.
        """
        built = self.run(published_step(source.encode(), "2021"))
        if b"linker" in built.stderr and b"not found" in built.stderr:
            raise NotTestableHereError("there is no linker in the sandbox: install gcc")
        if "driver" not in built.collected:
            raise SandboxError(f"rustc does not build the attack: {told(built)}")
        step = run_step(built.collected["driver"])
        return self.run(dataclasses.replace(step, limits=RUN_LIMITS.model_copy(update=limits)))


def python_step(source: str, **limits: float) -> Step:
    """Return the step that runs a Python program; keywords change the limits."""
    return Step(
        stage=Stage.RUN,
        argv=("python3", "-I", "-S", "-B", "program.py"),
        files={"program.py": source.encode()},
        limits=RUN_LIMITS.model_copy(update=limits),
    )


def rust_outcome(result: StepResult) -> Outcome:
    """Return the verdict over a compiled Rust program."""
    return compile_outcome(result.execution, _RULES.read_diagnostics(result), declares_item=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One attack."""

    group: Group
    name: str
    """With the `test_` that pytest wants."""

    shows: str
    """The promise, in one sentence."""

    attempt: Callable[[Bench], str | None]
    """Try it: None if the promise holds, else what was seen.

    Raises CodebenchError if our side failed, NotTestableHereError if nothing can be said.
    """


def promise(
    group: Group, cases: list[Case]
) -> Callable[[Callable[[Bench], str | None]], Callable[[Bench], str | None]]:
    """Add the decorated function to `cases`; its docstring is what the case shows."""

    def add(attempt: Callable[[Bench], str | None]) -> Callable[[Bench], str | None]:
        shows = " ".join((attempt.__doc__ or "").split())
        cases.append(Case(group=group, name=attempt.__name__, shows=shows, attempt=attempt))
        return attempt

    return add


def unless(holds: bool, seen: object) -> str | None:  # noqa: FBT001 - it reads as a sentence
    """Return None if it holds, else what was seen instead."""
    return None if holds else told(seen)


def told(seen: object) -> str:
    """Return what was seen in a line; of a result, its end and the head of its output."""
    if not isinstance(seen, StepResult):
        return str(seen)[:_SHOWN]
    execution = seen.execution
    ended = (
        f"stopped by {execution.stopped_by}"
        if execution.stopped_by
        else f"signal {execution.signal}"
        if execution.signal
        else f"exit {execution.exit_code}"
    )
    said = seen.stdout or seen.stderr[-_SHOWN:]
    return f"{ended}, {len(seen.stdout)} + {len(seen.stderr)} bytes, {said[:_SHOWN]!r}"


def said(result: StepResult, expected: str) -> str | None:
    """Return None if the program ended by itself, well, and printed just `expected`."""
    holds = result.execution.exit_code == 0 and result.stdout == expected.encode()
    return unless(holds, result)


def stopped(result: StepResult, *reasons: StoppedBy) -> str | None:
    """Return None if one of these limits ended the program, and nothing else did."""
    execution = result.execution
    ended_by_us = (execution.exit_code, execution.signal) == (None, None)
    return unless(execution.stopped_by in reasons and ended_by_us, result)


def stopped_twice(result: StepResult, reason: StoppedBy) -> str | None:
    """Return None if this limit ended the program, and its second try alone too."""
    return first(
        stopped(result, reason), unless(result.execution.retried_alone, "it was not tried again")
    )


def first(*seen: str | None) -> str | None:
    """Return the first that does not hold, or None."""
    return next((what for what in seen if what is not None), None)
