"""The one trusted process inside a slot: takes steps as frames, runs them isolated, reports facts.

A frame, both ways: two unsigned 32-bit lengths (network order), a JSON header, a body of bytes.
Request header: argv, env, files [[name, size], ...], limits; body: the files one after the other.
Answer header: facts of the step (see `_run`), or {"error": text} when the step could not be run;
body: the kept head of stdout, then of stderr. Nothing that a sample prints is ever parsed.

End of file on stdin ends the supervisor and everything it started: a killed host leaves no orphan.
Standard library only, CPython 3.9 or newer. As PID 1 it kills with kill(-1), which reaches all but
itself; with `--isolation none` (trusted programs only) it is an ordinary process.
"""

import gc
import json
import os
import select
import shutil
import signal
import struct
import sys
import tempfile
import time
from typing import Any, NoReturn

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 - `python -I` leaves it out

import isolate

_LENGTHS = struct.Struct("!II")
_MAX_FRAME = 64 * 1024 * 1024
_TICK_S = 0.05
_COUNTED = (b"RssAnon:", b"RssShmem:")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
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


def _oom_kills() -> int:
    """Return the kernel's count of OOM kills in this container's cgroup; 0 where there is none."""
    for path in _OOM_COUNTERS:
        try:
            with open(path) as file:  # noqa: PTH123
                for line in file:
                    if line.startswith("oom_kill "):
                        return int(line.split()[1])
        except OSError:
            continue
    return 0


def _usage(pids: list[int]) -> tuple[float, int]:
    """Return CPU seconds (reaped children included) and resident bytes (no files) of `pids`."""
    ticks = kib = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123
                fields = file.read().rpartition(b")")[2].split()
            with open(f"/proc/{pid}/status", "rb") as file:  # noqa: PTH123
                kib += sum(int(line.split()[1]) for line in file if line.startswith(_COUNTED))
        except OSError:
            continue  # it ended meanwhile
        ticks += sum(map(int, fields[11:15]))
    return ticks / _TICKS_PER_S, kib * 1024


class _Stream:
    """One output pipe: keeps the head, counts everything."""

    def __init__(self, fd: int, keep: int) -> None:
        os.set_blocking(fd, False)
        self.fd, self.keep = fd, keep
        self.head = bytearray()
        self.size = 0
        self.open = True

    def drain(self, most: int = 1 << 20) -> None:
        """Read what is there, `most` bytes at most."""
        while self.open and most > 0:
            try:
                chunk = os.read(self.fd, 65536)
            except BlockingIOError:
                return
            if not chunk:
                self.open = False
                return
            most -= len(chunk)
            self.size += len(chunk)
            if len(self.head) < self.keep:
                self.head += chunk[: self.keep - len(self.head)]


def _become_init(job: dict[str, Any], folder: str, report_w: int) -> None:
    """Go on as init of new namespaces, with nothing but fresh file systems to write to."""
    isolate.make_namespaces()
    init = os.fork()
    if init:
        os.close(report_w)
        os.waitpid(init, 0)
        os._exit(0)
    isolate.make_file_systems(job["limits"], isolate.find_executable(job, folder))
    isolate.hide_from_sample()


class Supervisor:
    """Runs steps one at a time for one host."""

    def __init__(self, source: int, sink: int, *, isolated: bool) -> None:
        self._source, self._sink, self._isolated = source, sink, isolated
        if isolated and os.getpid() != 1:
            raise SystemExit("an isolating supervisor must be PID 1 of its slot")

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
                header, output = {"error": str(error)}, b""
            _send(self._sink, header, output)

    def _files(self, job: dict[str, Any], body: bytes) -> list[tuple[str, bytes]]:
        files, at = [], 0
        for name, size in job["files"]:
            if "/" in name or name in {"", ".", ".."}:
                raise OSError(22, f"not a plain file name: {name!r}")
            files.append((name, body[at : at + size]))
            at += size
        return files

    def _run(self, job: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
        limits, files = job["limits"], self._files(job, body)
        folder = isolate.WORK if self._isolated else tempfile.mkdtemp(prefix="codebench-")
        oom_kills = _oom_kills() if self._isolated else 0
        (out_r, out_w), (err_r, err_w), (report_r, report_w) = (os.pipe() for _ in range(3))
        started = time.monotonic()
        try:
            pid = os.fork()
            if pid == 0:
                self._child(job, folder, files, (out_w, err_w, report_w))
            for fd in (out_w, err_w, report_w):
                os.close(fd)
            keep = limits["output_bytes"]
            watch = _Watch(self, pid, (_Stream(out_r, keep), _Stream(err_r, keep)), report_r)
            watch.follow(limits, started)
            facts = watch.facts(oom_killed=self._isolated and _oom_kills() > oom_kills)
            return facts, bytes(watch.streams[0].head + watch.streams[1].head)
        finally:
            for fd in (out_r, err_r, report_r):
                os.close(fd)
            if not self._isolated:
                shutil.rmtree(folder, ignore_errors=True)

    def _child(
        self,
        job: dict[str, Any],
        folder: str,
        files: list[tuple[str, bytes]],
        fds: tuple[int, int, int],
    ) -> NoReturn:
        """Build the isolation and run the step; reports wait status and usage, never returns."""
        report_w = fds[2]
        try:
            null = os.open(os.devnull, os.O_RDWR)
            for target in (0, 1):  # the channel to the host ends here
                os.dup2(null, target)
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            if self._isolated:
                _become_init(job, folder, report_w)
            isolate.write_files(folder, files)
            self._run_program(job, folder, fds)
        except OSError as error:
            isolate.report_error(report_w, error)
        finally:
            os._exit(0)

    def _run_program(self, job: dict[str, Any], folder: str, fds: tuple[int, int, int]) -> None:
        """Start the program, wait for it, reap whatever else ends meanwhile, report."""
        out_w, err_w, report_w = fds
        started = time.monotonic()
        program = os.fork()
        if program == 0:
            isolate.set_limits(job["limits"], own_user_namespace=self._isolated)
            if self._isolated:
                isolate.drop_privileges()
            isolate.start_program(job, folder, (out_w, err_w))
        for fd in (out_w, err_w):
            os.close(fd)
        pid, status, usage = os.wait4(-1, 0)
        while pid != program:
            pid, status, usage = os.wait4(-1, 0)
        wall_s = time.monotonic() - started
        report = (b"S", status, usage.ru_utime, usage.ru_stime, wall_s, usage.ru_maxrss * 1024)
        os.write(report_w, isolate.REPORT.pack(*report))

    def kill(self, pid: int) -> None:
        """Kill everything that the step started and reap it."""
        try:
            if self._isolated:
                os.kill(-1, signal.SIGKILL)
            else:
                os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        while True:
            try:
                os.waitpid(-1, 0)
            except ChildProcessError:
                return

    def pids(self, pid: int) -> list[int]:
        """Return the processes of the running step."""
        if self._isolated:
            return [int(name) for name in os.listdir("/proc") if name.isdigit() and name != "1"]  # noqa: PTH208
        found, at = [pid], 0
        while at < len(found):
            try:
                with open(f"/proc/{found[at]}/task/{found[at]}/children") as file:  # noqa: PTH123
                    found += map(int, file.read().split())
            except OSError:
                pass
            at += 1
        return found

    @property
    def source(self) -> int:
        """Where requests come from; readable during a step means that the host is gone."""
        return self._source


class _Watch:
    """Follows one running step: its output, its time, its memory, its end."""

    def __init__(
        self, supervisor: Supervisor, pid: int, streams: tuple[_Stream, _Stream], report_fd: int
    ) -> None:
        self.streams = streams
        self._supervisor, self._pid, self._report_fd = supervisor, pid, report_fd
        self._report = b""
        self._stopped_by: str | None = None
        self._cpu_s = self._wall_s = 0.0
        self._peak = 0

    def follow(self, limits: dict[str, Any], started: float) -> None:
        """Return when the step has ended or was stopped, and nothing of it is left."""
        poll = select.poll()
        for fd in (*(stream.fd for stream in self.streams), self._report_fd):
            poll.register(fd, select.POLLIN)
        poll.register(self._supervisor.source, select.POLLIN)
        looked = started
        while not self._ended(poll.poll(_TICK_S * 1000)) and self._stopped_by is None:
            now = time.monotonic()
            if now - looked >= _TICK_S:
                self._look(limits)
                looked = now
            self._check_output_and_time(limits, now - started)
            for stream in self.streams:
                if not stream.open:
                    poll.modify(stream.fd, 0)
        self._wall_s = time.monotonic() - started
        if not self._report:
            self._look(limits)
        self._supervisor.kill(self._pid)
        for stream in self.streams:  # every writer is dead: this ends
            stream.drain()

    def _check_output_and_time(self, limits: dict[str, Any], wall_s: float) -> None:
        if self._stopped_by is not None:
            return
        if sum(stream.size for stream in self.streams) > limits["output_kill_bytes"]:
            self._stopped_by = "output"
        elif wall_s > limits["wall_s"]:
            self._stopped_by = "wall_time"

    def _ended(self, events: list[tuple[int, int]]) -> bool:
        for fd, _ in events:
            if fd == self._supervisor.source:
                self._supervisor.kill(self._pid)
                raise SystemExit("the host went away during a step")
            if fd == self._report_fd:
                self._report += os.read(fd, 65536)
                return True
            for stream in self.streams:
                if fd == stream.fd:
                    stream.drain(65536)
        return False

    def _look(self, limits: dict[str, Any]) -> None:
        """Measure, and note the limit that is passed, if none was before."""
        pids = self._supervisor.pids(self._pid)
        cpu_s, memory = _usage(pids)
        self._cpu_s, self._peak = max(self._cpu_s, cpu_s), max(self._peak, memory)
        if self._stopped_by is not None:
            return
        if memory > limits["memory_bytes"]:
            self._stopped_by = "memory"
        elif cpu_s > limits["cpu_s"]:
            self._stopped_by = "cpu_time"
        elif len(pids) > 2 * limits["n_processes"]:
            # the rlimit answers EAGAIN before this; but the kernel exempts the host's root from it
            self._stopped_by = "processes"

    def facts(self, *, oom_killed: bool) -> dict[str, Any]:
        """Return what happened; times in seconds, memory in bytes.

        Raises:
            OSError: if the step could not be started, which is the sandbox's own failure.
        """
        exit_code = signal_number = None
        if oom_killed and self._stopped_by is None:
            self._stopped_by = "memory"
        if self._report[:1] == b"E":
            raise OSError(json.loads(self._report[1:]))
        if len(self._report) == isolate.REPORT.size:
            _, status, user_s, system_s, wall_s, peak = isolate.REPORT.unpack(self._report)
            self._cpu_s, self._wall_s = user_s + system_s, wall_s
            self._peak = max(self._peak, peak)
            if os.WIFSIGNALED(status):
                signal_number = os.WTERMSIG(status)
            else:
                exit_code = os.WEXITSTATUS(status)
        elif self._stopped_by is None:
            raise OSError("the step's init ended without a report")
        return {
            "exit_code": None if self._stopped_by else exit_code,
            "signal": None if self._stopped_by else signal_number,
            "stopped_by": self._stopped_by,
            "cpu_s": self._cpu_s,
            "wall_s": self._wall_s,
            "peak_memory_bytes": self._peak,
            "n_stdout_bytes": self.streams[0].size,
            "n_stderr_bytes": self.streams[1].size,
            "kept_stdout": len(self.streams[0].head),
        }


def main() -> None:
    """Serve the host on stdin and stdout; `--isolation none` runs steps without any isolation."""
    isolated = sys.argv[1:] != ["--isolation", "none"]
    source, sink = os.dup(0), os.dup(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the host's to handle
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    supervisor = Supervisor(source, sink, isolated=isolated)
    gc.freeze()
    _send(sink, {"protocol": 1, "python": ".".join(map(str, sys.version_info[:3]))})
    supervisor.serve()


if __name__ == "__main__":
    main()
