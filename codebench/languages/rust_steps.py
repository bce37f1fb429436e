"""The commands that build a Rust program together with tests, and run it.

Program and driver are built in one step, one after the other: a step costs 5 ms beside what it
runs. The driver's text is not in the work directory while rustc runs, the program's only while it
is compiled itself: what a program includes, or one of its macros in the driver, is not the driver.

Linked with the toolchain's own lld where it has one (GNU ld takes 60-100 ms more), found by name in
the work directory: rustc's and gcc's usual ways to it lead through /proc and /etc, which are not
there. `codegen-units=1` and `strip=symbols` save 20 ms each of 120 (rustc 1.95, medians of 7);
`opt-level=s` makes the answers' crate, which every build is sent, smaller by two fifths.
"""

from pathlib import Path

from codebench.languages.rust import ENV
from codebench.sandbox.execution import COMPILE_LIMITS, RUN_LIMITS, Stage, Step, StepResult

_BUILD_LIMITS = COMPILE_LIMITS.model_copy(
    update={"cpu_s": 2 * COMPILE_LIMITS.cpu_s, "wall_s": 2 * COMPILE_LIMITS.wall_s}
)
"""Of a step that runs the compiler twice."""

_CHECKED = ("-Coverflow-checks=on", "-Cdebug-assertions=on")
_QUIET = "--cap-lints=allow"  # in a grading build lints decide nothing
_JSON = "--error-format=json"
_FAST = ("-Ccodegen-units=1", "-Cembed-bitcode=no")  # nobody asks for link-time optimisation
_LINK = """
for lld in /opt/rust/lib/rustlib/*/bin/rust-lld; do
    if [ -x "$lld" ]; then
        ln -s "$lld" ld.lld
        exec rustc "$@" -Clink-arg=-B. -Clink-arg=-fuse-ld=lld
    fi
done
exec rustc "$@" -Clink-arg=-fuse-ld=bfd
"""
HIDING_FAILED = 70
"""Exit status of a build that could not hide a text: a failure of ours."""

_BUILT = " ".join(("--crate-type=rlib", "--crate-name=candidate", *_CHECKED, _QUIET, _JSON, *_FAST))
_CANDIDATE = f"""
exec 3<driver.rs && rm driver.rs || exit {HIDING_FAILED}
rustc "$1" {_BUILT} -o libcandidate.rlib program.rs 3<&- || exit
rm program.rs && echo built || exit {HIDING_FAILED}
shift
exec <&3 3<&-
"""


def answers_step(crate: str) -> Step:
    """Build the crate that drivers send answers with; its name is part of its symbols."""
    return Step(
        stage=Stage.COMPILE,
        argv=(
            *("rustc", "--crate-type=rlib", "--edition=2021", f"--crate-name={crate}"),
            *(f"-Cmetadata={crate}", "-Copt-level=s", _QUIET, _JSON, *_FAST),
            *("-o", "lib.rlib", "program.rs"),
        ),
        files={"program.rs": Path(__file__).with_name("rust_answers.rs").read_bytes()},
        limits=COMPILE_LIMITS,
        env=ENV,
        collect=("lib.rlib",),
    )


def build_step(program: bytes, edition: str, driver: str, *, crate: str, answers: bytes) -> Step:
    """Build a program whose items are public, as `candidate`, and a driver that uses it.

    Args:
        program: The program's text.
        edition: Its edition; a driver's is 2021.
        driver: The driver's text.
        crate: Name of the crate of `answers_step`.
        answers: What that step built.
    """
    externs = ["--extern=candidate=libcandidate.rlib", f"--extern={crate}=lib{crate}.rlib"]
    arguments = ["--edition=2021", "--crate-name=driver", *externs, "-Ccodegen-units=1"]
    return Step(
        stage=Stage.COMPILE,
        argv=_linked(
            _CANDIDATE + _LINK,
            [f"--edition={edition}", *arguments, *_CHECKED, _QUIET, "-", "-odriver"],
        ),
        files={
            "program.rs": program,
            "driver.rs": driver.encode(),
            f"lib{crate}.rlib": answers,
        },
        limits=_BUILD_LIMITS,
        env=ENV,
        collect=("driver",),
    )


def candidate_is_built(result: StepResult) -> bool:
    """Whether a build came as far as the driver; rustc writes on stderr alone."""
    return bool(result.stdout)


def published_step(program: bytes, edition: str) -> Step:
    """Build a program with a `main` of its own, in the ways of MultiPL-E."""
    return Step(
        stage=Stage.COMPILE,
        argv=_linked(_LINK, [f"--edition={edition}", "program.rs", "-odriver"]),
        files={"program.rs": program},
        limits=COMPILE_LIMITS,
        env=ENV,
        collect=("driver",),
    )


def _linked(script: str, arguments: list[str]) -> tuple[str, ...]:
    return ("sh", "-c", script, "sh", *arguments, _JSON, "-Clinker=gcc", "-Cstrip=symbols")


def run_step(binary: bytes) -> Step:
    """Run what was built; its answers come through descriptor 3."""
    return Step(
        stage=Stage.RUN,
        argv=("./driver",),
        files={"driver": binary},
        limits=RUN_LIMITS,
        env={"RUST_BACKTRACE": "0"},
        answers=True,
    )
