"""No isolation at all, for trusted programs on a machine that has no sandbox. Loud, and recorded.

Time, memory and output limits hold; files, network and other processes are open to the program.
"""

import os
import sys
from collections.abc import Collection, Mapping
from pathlib import Path

from codebench.package_data import data_path
from codebench.sandbox.backend import Isolation
from codebench.sandbox.channel import Channel, ProcessChannel
from codebench.sandbox.toolchain import find_python_prefix, find_rust_sysroot


class UnsandboxedBackend:
    """Starts a supervisor as an ordinary process.

    Raises:
        EnvironmentProblem: if there is no rustc.
    """

    kind = "none"
    isolation = Isolation.NONE
    shortfall: str | None = "programs run without isolation"
    image: str | None = None

    def __init__(self) -> None:
        folders = [find_rust_sysroot() / "bin", find_python_prefix() / "bin", Path("/usr/bin")]
        self.env: Mapping[str, str] = {"PATH": os.pathsep.join(map(str, folders))}

    def start(self, cores: Collection[int] = ()) -> Channel:
        """See `Backend`."""
        supervisor = str(data_path("sandbox") / "supervisor.py")
        argv = [sys.executable, "-s", "-S", "-B", supervisor, "--isolation", "none"]
        return ProcessChannel(argv, env={**self.env, "PYTHONHASHSEED": "0"}, cores=cores)

    def close(self) -> None:
        """See `Backend`."""
