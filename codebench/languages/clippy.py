"""Clippy's opinion of a program that compiles: which lints it shows, and how often.

    clippy-driver --edition=2021 --crate-type=lib --error-format=json --emit=metadata ...

The lints are those of the toolchain's clippy that are on by default; lints of rustc itself are
counted with rustc's warnings. An opinion changes no outcome.
"""

from collections import Counter

from codebench.errors import EnvironmentProblem, SandboxError
from codebench.languages.rust import EDITION, ENV, RustRules
from codebench.sandbox.execution import COMPILE_LIMITS, Sandbox, Stage, Step, StepResult

DRIVER = "clippy-driver"
NOT_THERE = f"{DRIVER} is not in the sandbox"
"""What the sandbox says of a command that it does not have."""

_PREFIX = "clippy::"


def clippy_step(program: bytes, *, edition: str = EDITION) -> Step:
    """Return the step that lints a program."""
    return Step(
        stage=Stage.COMPILE,
        argv=(
            DRIVER,
            f"--edition={edition}",
            "--crate-type=lib",
            "--error-format=json",
            "--emit=metadata",
            "-o",
            "out.rmeta",
            "program.rs",
        ),
        files={"program.rs": program},
        limits=COMPILE_LIMITS,
        env=ENV,
    )


def read_lints(result: StepResult) -> dict[str, int] | None:
    """Return how often each lint is shown, without `clippy::`; None where clippy did not finish.

    A program that rustc builds may be refused by clippy, whose gravest lints are errors: that is an
    opinion too (exit status 1). A crash or a limit is none.
    """
    if result.execution.exit_code not in (0, 1):
        return None
    codes = [diagnostic.code for diagnostic in RustRules().read_diagnostics(result)]
    lints = Counter(code.removeprefix(_PREFIX) for code in codes if code and _PREFIX in code)
    return dict(sorted(lints.items()))


def require_clippy(sandbox: Sandbox) -> None:
    """Fail if the sandbox's toolchain has no clippy.

    Raises:
        EnvironmentProblem: with what to do.
        SandboxError: if the sandbox fails for another reason.
    """
    try:
        found = sandbox.run(clippy_step(b"pub fn f() {}\n"))
    except SandboxError as error:
        if NOT_THERE not in str(error):
            raise
    else:
        if found.execution.exit_code == 0:
            return
    raise EnvironmentProblem(
        "--clippy: the sandbox's Rust toolchain has no clippy-driver that works: `rustup component "
        "add clippy` and --sandbox bubblewrap, or add that line to the Dockerfile's RUN"
    )
