"""Every error that codebench raises on purpose, and the exit code that each one ends with.

CodebenchError            anything we can name in one line
├── UsageError            exit 2: the command, an option or an input file is wrong
├── EnvironmentProblem    exit 3: this machine lacks something, or a file cannot be used
└── SandboxError          exit 3 at start; later it costs one sample, which is tried again

What a program under test does (rejected, crashed, over a limit) is never an exception: it is an
`Execution`. Only our own failures are raised.
"""


class CodebenchError(Exception):
    """An error whose message is one line: what was tried, on what, what was found, what to do."""

    exit_code = 1


class UsageError(CodebenchError):
    """The user's words or files are wrong; the message names the thing and the fix."""

    exit_code = 2


class EnvironmentProblem(CodebenchError):
    """The machine lacks something, or a file cannot be read or written; the message has the fix."""

    exit_code = 3


class SandboxError(CodebenchError):
    """The instrument failed (daemon, image, slot, disk): never counted against the model."""

    exit_code = 3
