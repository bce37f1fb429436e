"""What a program prints: counted in full, kept up to a cap, never in the way."""

from collections.abc import Callable

import pytest

from codebench.sandbox.execution import MIB, StepResult, StoppedBy

Run = Callable[..., StepResult]


def test_exit_code_is_reported(python: Run) -> None:
    """The program's own exit status is the exit code."""
    execution = python("import sys; sys.exit(7)").execution
    assert (execution.exit_code, execution.signal, execution.stopped_by) == (7, None, None)


def test_streams_are_kept_apart(python: Run) -> None:
    """Stdout and stderr come back each on its own, with their sizes."""
    result = python("import os; os.write(1, b'to out'); os.write(2, b'to stderr')")
    assert (result.stdout, result.stderr) == (b"to out", b"to stderr")
    assert (result.execution.n_stdout_bytes, result.execution.n_stderr_bytes) == (6, 9)


def test_nothing_printed_is_nothing(python: Run) -> None:
    """A silent program has empty streams and exit code 0."""
    result = python("pass")
    assert (result.execution.exit_code, result.stdout, result.stderr) == (0, b"", b"")


def test_stdin_is_at_its_end(python: Run) -> None:
    """A program that reads its input meets the end of file at once."""
    assert python("import sys; print(sys.stdin.buffer.read())").stdout == b"b''\n"


@pytest.mark.parametrize("fd", [1, 2])
def test_endless_output_is_stopped(python: Run, fd: int) -> None:
    """A flood on either stream ends the program, and only its head is kept."""
    result = python(
        f"import os\nwhile True: os.write({fd}, b'x' * 65536)",
        output_bytes=1000,
        output_kill_bytes=MIB,
    )
    assert result.execution.stopped_by is StoppedBy.OUTPUT
    assert (result.execution.exit_code, result.execution.signal) == (None, None)
    assert (result.stdout, result.stderr)[fd - 1] == b"x" * 1000
    counts = (result.execution.n_stdout_bytes, result.execution.n_stderr_bytes)
    assert counts[fd - 1] > MIB


def test_output_larger_than_a_pipe(python: Run) -> None:
    """Output that fills both pipes many times over does not block the program."""
    result = python(
        "import os\nfor _ in range(20): os.write(1, b'o' * 40000); os.write(2, b'e' * 40000)"
    )
    assert result.execution.exit_code == 0
    assert (result.stdout, result.stderr) == (b"o" * 800_000, b"e" * 800_000)


def test_output_over_the_cap_is_counted(python: Run) -> None:
    """Above the cap bytes are dropped but counted, and the program goes on."""
    result = python("print('x' * 99999)", output_bytes=100)
    assert (result.execution.exit_code, result.execution.n_stdout_bytes) == (0, 100_000)
    assert result.stdout == b"x" * 100


@pytest.mark.parametrize(
    "data", [b"\xff\xfe\x80", b"a\0b\0", b"\x1b[2J\x1b]0;title\x07", "é".encode() * 3]
)
def test_output_is_bytes(python: Run, data: bytes) -> None:
    """Bytes that are no text come back as they were."""
    assert python(f"import os; os.write(1, {data!r})").stdout == data


def test_character_split_at_the_cap(python: Run) -> None:
    """The cap counts bytes and may cut a character in two."""
    assert python("print('é' * 10)", output_bytes=3).stdout == "é".encode() + b"\xc3"


def test_forged_answers_are_only_output(python: Run) -> None:
    """A program that prints what a supervisor would say has printed it, no more."""
    frame = b"\0\0\0\x11\0\0\0\0" + b'{"exit_code": 42}'
    result = python(f"import os, sys; os.write(1, {frame!r}); sys.exit(3)")
    assert (result.stdout, result.execution.exit_code) == (frame, 3)


def test_no_other_descriptor_is_open(python: Run) -> None:
    """Beside its three streams a program has no descriptor, so none to the host."""
    source = """
import os
found = []
for fd in range(3, 256):
    try:
        os.fstat(fd)
        found.append(fd)
    except OSError:
        pass
print(found)
"""
    assert python(source).stdout == b"[]\n"


def test_stdout_closed_then_sleep(python: Run) -> None:
    """A program that closes its streams and sleeps is still watched, and stopped in the end."""
    result = python("import os, time; os.close(1); os.close(2); time.sleep(60)", wall_s=0.3)
    assert result.execution.stopped_by is StoppedBy.WALL_TIME


def test_stdout_closed_then_exit(python: Run) -> None:
    """Closing the streams early is not the end of the program."""
    result = python("import os, time; os.close(1); os.close(2); time.sleep(0.2); os._exit(5)")
    assert result.execution.exit_code == 5


def test_pipe_held_by_grandchild(python: Run) -> None:
    """The program's end is the end: a child that still holds its streams is not waited for."""
    result = python(
        """
import os, time
if os.fork() == 0:
    os.setsid()
    time.sleep(600)
print("done", flush=True)
os._exit(0)
"""
    )
    assert (result.execution.exit_code, result.execution.stopped_by) == (0, None)
    assert result.stdout == b"done\n"
