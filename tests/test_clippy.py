"""Clippy is an opinion about programs that compile, where the toolchain has it."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from codebench.errors import EnvironmentProblem, SandboxError
from codebench.languages.clippy import DRIVER, NOT_THERE, clippy_step, read_lints, require_clippy
from codebench.sandbox.choose import SandboxKind, open_sandbox
from codebench.sandbox.execution import Sandbox, Step, StepResult, StoppedBy
from codebench.sandbox.scripted import ScriptedSandbox, scripted_result

# Of clippy 0.1.95, shortened to the fields that are read.
LINT = (
    b'{"$message_type":"diagnostic","message":"unneeded `return` statement","code":{"code":'
    b'"clippy::needless_return","explanation":null},"level":"warning","spans":[{"is_primary":true,'
    b'"line_start":1,"column_start":86}]}\n'
)
OF_RUSTC = LINT.replace(b"clippy::needless_return", b"dead_code")
DENIED = LINT.replace(b"clippy::needless_return", b"clippy::eq_op").replace(b"warning", b"error")
SUMMARY = b'{"message":"2 warnings emitted","code":null,"level":"warning","spans":[]}\n'
STEP = clippy_step(b"fn f() {}")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """Give a real sandbox with the machine's own toolchain."""
    opened = open_sandbox(SandboxKind.BUBBLEWRAP, n_slots=1, notify=lambda _: None)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("stderr", "exit_code", "lints"),
    [
        (b"", 0, {}),
        (LINT + LINT + OF_RUSTC + SUMMARY, 0, {"needless_return": 2}),
        (DENIED + LINT, 1, {"eq_op": 1, "needless_return": 1}),
        (LINT[:-20], 0, {}),
        (b"error: internal compiler error\n", 101, None),
    ],
)
def test_lints_are_read(stderr: bytes, exit_code: int, lints: dict[str, int] | None) -> None:
    """Lints of clippy count, those of rustc do not; a lint that refuses the program is one too."""
    assert read_lints(scripted_result(STEP, exit_code=exit_code, stderr=stderr)) == lints


def test_a_clippy_that_was_stopped_has_no_opinion() -> None:
    """At a limit nothing is known, whatever was said before."""
    stopped = scripted_result(STEP, exit_code=None, stopped_by=StoppedBy.CPU_TIME, stderr=LINT)
    assert read_lints(stopped) is None


def _raising(message: str) -> ScriptedSandbox:
    def answer(_: Step) -> StepResult:
        raise SandboxError(message)

    return ScriptedSandbox(answer)


@pytest.mark.parametrize(
    "sandbox",
    [
        _raising(f"a slot could not start the step: [Errno 2] {NOT_THERE}"),
        ScriptedSandbox(lambda step: scripted_result(step, exit_code=1)),
    ],
)
def test_a_toolchain_without_clippy_is_named(sandbox: ScriptedSandbox) -> None:
    """Missing or broken, the message says what to do."""
    with pytest.raises(EnvironmentProblem, match="`rustup component add clippy`"):
        require_clippy(sandbox)
    assert sandbox.steps[0].argv[0] == DRIVER


def test_a_sandbox_that_fails_is_not_taken_for_a_missing_clippy() -> None:
    """A dead daemon stays a failure of the sandbox."""
    with pytest.raises(SandboxError, match="the daemon is gone"):
        require_clippy(_raising("the daemon is gone"))


@pytest.mark.bubblewrap
def test_the_sandbox_says_what_it_lacks(sandbox: Sandbox) -> None:
    """The words that a missing command is told by are those of a real sandbox."""
    missing = replace(STEP, argv=("no-such-driver", *STEP.argv[1:]))
    with pytest.raises(SandboxError, match=NOT_THERE.replace(DRIVER, "no-such-driver")):
        sandbox.run(missing)


@pytest.mark.bubblewrap
@pytest.mark.rustc
def test_clippy_runs_in_the_sandbox(sandbox: Sandbox) -> None:
    """Where the toolchain has clippy it sees a needless return and nothing in clean code."""
    try:
        require_clippy(sandbox)
    except EnvironmentProblem as problem:
        pytest.skip(str(problem))
    found = read_lints(sandbox.run(clippy_step(b"pub fn f(x: i32) -> i32 { return x + 1; }\n")))
    assert found == {"needless_return": 1}
    assert read_lints(sandbox.run(clippy_step(b"pub fn f(x: i32) -> i32 {\n    x + 1\n}\n"))) == {}
