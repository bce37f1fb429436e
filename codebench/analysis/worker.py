"""The child process that parses: `python -m codebench.analysis.worker`, driven by `client`.

It says `ready`, then answers frames until its stdin ends, so it never outlives its harness. A frame
is a length (4 bytes, big-endian) and that many bytes. A request to measure holds one byte of
language (`r` or `p`), to expose a Rust program `e`; then the byte at which the model began to
write (4 bytes, big-endian) and the program. The answer holds JSON. Memory is limited for good,
CPU time anew for each program. A parser that overflows its stack or its memory ends this process
and nothing else.

It imports no pydantic and no torch: it is started again after each crash.
"""

import json
import resource
import struct
import sys
from typing import BinaryIO

MEMORY_BYTES = 512 * 1024**2
CPU_S = 30
"""For one program; the client's deadline comes first, this one stands behind it."""

LANGUAGES = {b"r": "rust", b"p": "python"}
EXPOSE = b"e"
LENGTH = struct.Struct(">I")


def main() -> None:
    """Serve requests until stdin ends."""
    from codebench.analysis.syntax import expose_syntax, measure_syntax

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    _send(answers, b"ready")
    while header := requests.read(LENGTH.size):
        frame = requests.read(LENGTH.unpack(header)[0])
        _limit_cpu()
        tag, source = frame[:1], frame[1 + LENGTH.size :]
        written_from = LENGTH.unpack_from(frame, 1)[0]
        if tag == EXPOSE:
            said = expose_syntax(source, written_from)._asdict()
        else:
            said = measure_syntax(source, LANGUAGES[tag], written_from=written_from)._asdict()
        _send(answers, json.dumps(said).encode())


def _send(answers: BinaryIO, payload: bytes) -> None:
    answers.write(LENGTH.pack(len(payload)) + payload)
    answers.flush()


def _limit_cpu() -> None:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used = int(usage.ru_utime + usage.ru_stime)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (used + 1 + CPU_S, hard))


if __name__ == "__main__":
    main()
