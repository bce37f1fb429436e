"""Where the machine's own compilers are, for the backends that have no image."""

import shutil
import subprocess
import sys
from pathlib import Path

from codebench.errors import EnvironmentProblem


def find_rust_sysroot() -> Path:
    """Return the folder whose `bin/rustc` is the toolchain's own binary, not rustup's proxy.

    Raises:
        EnvironmentProblem: if there is no working rustc.
    """
    rustc = shutil.which("rustc")
    if rustc is None:
        raise EnvironmentProblem(
            "no rustc on this machine: `apt-get install rustc` or use rustup, or use Docker"
        )
    try:
        answer = subprocess.run(
            [rustc, "--print", "sysroot"], capture_output=True, text=True, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise EnvironmentProblem(
            f"{rustc} does not run: `rustc --print sysroot` must work (rustup: set a default)"
        ) from error
    sysroot = Path(answer.stdout.strip())
    if not (sysroot / "bin" / "rustc").exists():
        raise EnvironmentProblem(
            f"{rustc} names {sysroot} as its sysroot, but that has no bin/rustc"
        )
    return sysroot


def find_python_prefix() -> Path:
    """Return the prefix of the interpreter that sandboxed Python programs use.

    The system's own where there is one, else the interpreter that runs codebench.
    """
    if Path("/usr/bin/python3").exists():
        return Path("/usr")
    return Path(sys.base_prefix)
