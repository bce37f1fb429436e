"""Runs the sandbox's steps without a sandbox: the same commands in temporary folders.

The toolchain is the machine's own, found where the sandbox has /opt/rust. What a step collects or
answers is written, and not read: a chain of steps is replayed with the files of the first time.
"""

import os
import subprocess
import tempfile
import threading
from pathlib import Path

from codebench.sandbox.execution import Step
from codebench.sandbox.toolchain import find_rust_sysroot

_SYSROOT = "/opt/rust"
_WITH_ANSWERS = ("sh", "-c", 'exec "$@" 3>answers', "sh")


class BareSteps:
    """Runs steps as plain processes of this user."""

    def __init__(self) -> None:
        self._sysroot = str(find_rust_sysroot())
        self._path = os.pathsep.join([f"{self._sysroot}/bin", "/usr/bin", "/bin"])
        # a child that starts while another thread writes a program would hold it open for writing
        # for an instant more, and then that program cannot be executed ("Text file busy")
        self._forking = threading.Lock()

    def run(self, step: Step) -> int:
        """Run one step to its end, without limits, and return its exit status, below 0 a signal."""
        with tempfile.TemporaryDirectory() as folder:
            with self._forking:
                for name, content in step.files.items():
                    file = Path(folder, name)
                    file.write_bytes(content)
                    if step.argv[0] == f"./{name}":
                        file.chmod(0o700)
            argv = [word.replace(_SYSROOT, self._sysroot) for word in step.argv]
            env = {name: text.replace(_SYSROOT, self._sysroot) for name, text in step.env.items()}
            with self._forking:
                process = subprocess.Popen(
                    [*(_WITH_ANSWERS if step.answers else ()), *argv],
                    cwd=folder,
                    env={"PATH": self._path, "TMPDIR": folder, **env},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                )
            process.communicate()
        return process.returncode
