"""The one trusted process inside a slot: takes steps as frames, watches them run, reports facts.

A frame, both ways: two unsigned 32-bit lengths (network order), a JSON header, a body of bytes.
Request header: argv, env, files [[name, size], ...], limits, collect [name, ...], answers (bool),
checker (null, or {"module", "files"}); body: the files one after the other, then the checker's.
Answer header: facts of the step (see `_Watch.facts`), or {"error": text} when the step could not be
run; body: the kept head of stdout, of stderr and of the answers, then the collected files. Nothing
that a sample prints is ever parsed.

The supervisor starts nothing itself: `launcher.py` forks each step, `checkers.py` each checker, and
neither has ever seen a sample. End of file on stdin ends the supervisor and everything it started:
a killed host leaves no orphan. Standard library only, CPython 3.9 or newer.
"""

import gc
import json
import os
import re
import signal
import socket
import struct
import sys
import time
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 - `python -I` leaves it out

import checkers
import isolate
import launcher
import uids
from parcel import pack, read_records
from report import RefusedError
from watch import Watch, pids_here

sys.path[:] = [path for path in sys.path if path != isolate.HERE]  # no place for samples to look

PROTOCOL = 2
_LENGTHS = struct.Struct("!II")
_TRIES_TO_VANISH, _VANISH_S = 1000, 0.0002
_MAX_FRAME = 64 * 1024 * 1024
_OOM_KILLS = re.compile(rb"^oom_kill (\d+)$", re.MULTILINE)
_OOM_COUNTERS = ("/sys/fs/cgroup/memory/memory.oom_control", "/sys/fs/cgroup/memory.events")


def _read_exactly(fd: int, size: int) -> bytes:
    chunks = []
    while size:
        chunk = os.read(fd, min(size, 1 << 20))
        if not chunk:
            raise EOFError
        chunks.append(chunk)
        size -= len(chunk)
    return b"".join(chunks)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _send(fd: int, header: dict[str, Any], body: bytes = b"") -> None:
    text = json.dumps(header).encode()
    _write_all(fd, _LENGTHS.pack(len(text), len(body)) + text + body)


def _oom_counter() -> "int | None":
    """Return a descriptor of the kernel's count of OOM kills in this slot's control group."""
    for path in _OOM_COUNTERS:
        try:
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue
    return None


class Supervisor:
    """Runs steps one at a time for one host."""

    def __init__(self, source: int, sink: int, *, isolation: str) -> None:
        self._source, self._sink = source, sink
        self._isolation, self._isolated = isolation, isolation != "none"
        if self._isolated and os.getpid() != 1:
            raise SystemExit("an isolating supervisor must be PID 1 of its slot")
        is_root = self._isolated and os.getuid() == 0  # bubblewrap's, or one that makes users
        uid = uids.choose_first() if is_root else None
        ours = (source, sink)
        self._launcher = launcher.Launcher(isolation, uid and uid + 1, close=ours)
        self._checkers = checkers.Checkers(isolation, uid, close=(*ours, self._launcher.fileno()))
        self._oom_counter = _oom_counter() if self._isolated else None
        self._uids = iter(range(uid + 1, uid + uids.PER_SLOT) if uid else ())

    def serve(self) -> None:
        """Answer requests until the host closes the channel."""
        while True:
            try:
                lengths = _LENGTHS.unpack(_read_exactly(self._source, _LENGTHS.size))
                if sum(lengths) > _MAX_FRAME:
                    raise SystemExit("request frame too large")
                job = json.loads(_read_exactly(self._source, lengths[0]))
                body = _read_exactly(self._source, lengths[1])
            except EOFError:
                return
            try:
                header, output = self._run(job, body)
            except OSError as error:
                refused = isinstance(error, RefusedError)
                header, output = {"error": str(error), "refused": refused}, b""
            _send(self._sink, header, output)

    def _run(self, job: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
        if self._isolated and self._strangers():
            raise OSError("a process of an earlier step is still here")
        size = sum(length for _, length in job["files"])
        files, checker = pack(body[:size]), job.pop("checker")
        oom_kills = self._oom_kills()
        (out_r, out_w), (err_r, err_w), (report_r, report_w) = (os.pipe() for _ in range(3))
        answers_r, answers_w = os.pipe()
        collected = os.memfd_create("collected")
        mine, yours = [out_r, err_r, report_r, answers_r, collected], [files]
        yours += [out_w, err_w, report_w, answers_w]
        try:
            job["third"] = job["answers"] or checker is not None
            job["uid"] = self._next_uid()
            third = answers_w if job["answers"] else out_w  # out_w: a stand-in that is not used
            if checker is not None:
                asks, third = _socket_pair()
                yours += [asks, third]
                self._checkers.start(checker, body[size:], (asks, answers_w))
            started = time.monotonic()
            self._launcher.start(job, (files, out_w, err_w, report_w, collected, third))
            while yours:
                os.close(yours.pop())
            outputs = (out_r, err_r, answers_r)
            watch = Watch(
                job["limits"],
                outputs,
                report_r,
                host=self._source,
                isolation=self._isolation,
                has_checker=checker is not None,
            )
            watch.follow(started)
            facts = watch.facts(oom_killed=self._oom_kills() > oom_kills)
            records = read_records(collected)
            facts["collected"] = [[name, len(content)] for name, content in records]
            facts["tainted"] = watch.tainted or not self._is_clean()
            heads = [bytes(stream.head) for stream in watch.streams]
            return facts, b"".join(heads + [content for _, content in records])
        finally:
            for fd in mine + yours:
                os.close(fd)

    def _oom_kills(self) -> int:
        """Return how many processes of this slot the kernel has killed for want of memory."""
        if self._oom_counter is None:
            return 0
        found = _OOM_KILLS.search(os.pread(self._oom_counter, 4096, 0))
        return int(found[1]) if found else 0

    def _next_uid(self) -> "int | None":
        if self._isolation != "uid":
            return None
        for uid in self._uids:
            return uid
        raise OSError("this slot has given out all of its users")

    def _is_clean(self) -> bool:
        return self._isolation != "uid" or (not self._strangers() and uids.nothing_is_left())

    def _strangers(self) -> bool:
        """Whether a process is here that should not be, and does not go.

        What belongs to a step is gone with its namespace, but for the instant in which a process
        that has closed its files is still to be seen.
        """
        ours = {1, self._launcher.pid, *self._checkers.pids}
        for _ in range(_TRIES_TO_VANISH):
            if not pids_here() - ours:
                return False
            _reap()
            time.sleep(_VANISH_S)
        return True


def _socket_pair() -> tuple[int, int]:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    return one.detach(), other.detach()


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def main() -> None:
    """Serve the host on stdin and stdout; `--isolation` is namespaces, uid or none."""
    isolation = sys.argv[2] if sys.argv[1:2] == ["--isolation"] else "namespaces"
    source, sink = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    for target in (0, 1):  # the channel to the host is nobody else's
        os.dup2(null, target)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the host's to handle
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if isolation == "uid":
        isolate.hide_from_sample()  # it sees /proc here
    gc.freeze()
    supervisor = Supervisor(source, sink, isolation=isolation)
    _send(sink, {"protocol": PROTOCOL, "python": ".".join(map(str, sys.version_info[:3]))})
    supervisor.serve()


if __name__ == "__main__":
    main()
