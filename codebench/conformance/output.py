"""Programs that print without end, print what is no text, or keep their streams."""

from codebench.conformance.case import (
    Bench,
    Case,
    Group,
    first,
    promise,
    said,
    stopped,
    stopped_twice,
    unless,
)
from codebench.sandbox.execution import MIB, StoppedBy

CASES: list[Case] = []
_promise = promise(Group.RESOURCES, CASES)


def _flood(bench: Bench, fd: int) -> str | None:
    source = f"import os\nfor _ in range(500): os.write({fd}, b'x' * 65536)"
    result = bench.python(source, output_bytes=1000, output_kill_bytes=MIB)
    counts = (result.execution.n_stdout_bytes, result.execution.n_stderr_bytes)
    return first(
        stopped(result, StoppedBy.OUTPUT),
        unless((result.stdout, result.stderr)[fd - 1] == b"x" * 1000, "the head was not kept"),
        unless(counts[fd - 1] > MIB, f"counted {counts}"),
    )


@_promise
def test_infinite_stdout(bench: Bench) -> str | None:
    """A flood on stdout ends the program at once; its head is kept and all of it counted."""
    return _flood(bench, 1)


@_promise
def test_infinite_stderr(bench: Bench) -> str | None:
    """A flood on stderr ends the program at once; its head is kept and all of it counted."""
    return _flood(bench, 2)


@_promise
def test_output_larger_than_pipe_no_deadlock(bench: Bench) -> str | None:
    """Output that fills both pipes many times over blocks nobody and comes back whole."""
    result = bench.python(
        "import os\nfor _ in range(20): os.write(1, b'o' * 40000); os.write(2, b'e' * 40000)"
    )
    whole = (result.stdout, result.stderr) == (b"o" * 800_000, b"e" * 800_000)
    return unless(whole and result.execution.exit_code == 0, result)


def _prints(bench: Bench, data: bytes) -> str | None:
    result = bench.python(f"import os; os.write(1, {data!r})")
    return unless(result.stdout == data and result.execution.exit_code == 0, result)


@_promise
def test_invalid_utf8_output(bench: Bench) -> str | None:
    """Bytes that are no text come back as they were."""
    return _prints(bench, b"\xff\xfe\x80\xed\xa0\x80")


@_promise
def test_utf8_split_at_cap(bench: Bench) -> str | None:
    """The cap counts bytes: it may cut a character in two, and what is above it is counted."""
    result = bench.python("print('é' * 10)", output_bytes=3)
    n_bytes = result.execution.n_stdout_bytes
    return unless((result.stdout, n_bytes) == (b"\xc3\xa9\xc3", 21), result)


@_promise
def test_nul_and_ansi_output(bench: Bench) -> str | None:
    """Null bytes and escape sequences come back as they were."""
    return _prints(bench, b"a\0b\0\x1b[2J\x1b]0;title\x07\r")


@_promise
def test_stdout_closed_then_sleep(bench: Bench) -> str | None:
    """A program that closes its streams is watched on, and stopped in the end."""
    source = "import os, time; os.close(1); os.close(2); time.sleep(3)"
    return stopped_twice(bench.python(source, wall_s=0.3), StoppedBy.WALL_TIME)


@_promise
def test_pipe_held_by_grandchild(bench: Bench) -> str | None:
    """The program's end is the end: a child that still holds its streams is not waited for."""
    result = bench.python(
        "import os, time\nif os.fork() == 0: os.setsid(); time.sleep(600)\n"
        "print('done', flush=True)\nos._exit(0)"
    )
    return said(result, "done\n")


@_promise
def test_stdin_is_eof(bench: Bench) -> str | None:
    """A program that reads its input meets the end of file, and there is no terminal to ask."""
    result = bench.python(
        "import sys\nprint(sys.stdin.buffer.read())\n"
        "try: print(open('/dev/tty'))\nexcept OSError: print('no terminal')"
    )
    return said(result, "b''\nno terminal\n")
