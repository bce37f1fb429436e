"""The commands that build a Rust program together with tests, and run it.

Linked with the toolchain's own lld where it has one (GNU ld takes 60-100 ms more), found by name in
the work directory: rustc's and gcc's usual ways to it lead through /proc and /etc, which are not
there. `codegen-units=1` and `strip=symbols` save 20 ms each of 120 (rustc 1.95, medians of 7).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from codebench.languages.rust import ENV
from codebench.sandbox.execution import COMPILE_LIMITS, RUN_LIMITS, Stage, Step

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
# what a macro of the program includes while the driver is compiled is not the driver
_HIDE = "exec <driver.rs && rm driver.rs || exit 70\n"

HIDING_FAILED = 70
"""Exit status of a driver step that could not hide its text: a failure of ours."""


def answers_step(crate: str) -> Step:
    """Build the crate that drivers send answers with; its name is part of its symbols."""
    return _library(
        Path(__file__).with_name("rust_answers.rs").read_bytes(),
        ["--edition=2021", f"--crate-name={crate}", f"-Cmetadata={crate}"],
    )


def candidate_step(program: bytes, edition: str) -> Step:
    """Build a program whose items are public."""
    return _library(program, [f"--edition={edition}", "--crate-name=candidate", *_CHECKED])


def _library(source: bytes, arguments: Sequence[str]) -> Step:
    return Step(
        stage=Stage.COMPILE,
        argv=(
            *("rustc", "--crate-type=rlib", *arguments, _QUIET, _JSON, *_FAST),
            *("-o", "lib.rlib", "program.rs"),
        ),
        files={"program.rs": source},
        limits=COMPILE_LIMITS,
        env=ENV,
        collect=("lib.rlib",),
    )


def driver_step(driver: str, libraries: Mapping[str, bytes]) -> Step:
    """Build a driver that uses libraries, given by the names of their crates."""
    externs = [f"--extern={name}=lib{name}.rlib" for name in libraries]
    arguments = ["--edition=2021", "--crate-name=driver", *externs, "-Ccodegen-units=1"]
    return Step(
        stage=Stage.COMPILE,
        argv=_linked(_HIDE + _LINK, [*arguments, *_CHECKED, _QUIET, "-", "-odriver"]),
        files={
            "driver.rs": driver.encode(),
            **{f"lib{name}.rlib": content for name, content in libraries.items()},
        },
        limits=COMPILE_LIMITS,
        env=ENV,
        collect=("driver",),
    )


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


def _linked(script: str, arguments: Sequence[str]) -> tuple[str, ...]:
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
