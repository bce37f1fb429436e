"""Follows one running step: its output, its time, its memory, its end."""

import os
import select
import signal
import time
from typing import Any

from report import Report

_TICK_S = 0.05
_LAST_WORDS_S = 0.2
_ENDING_S = 10.0
_COUNTED = (b"RssAnon:", b"RssShmem:")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def pids_here() -> set[int]:
    """Return the processes that can be seen from here."""
    return {int(name) for name in os.listdir("/proc") if name.isdigit()}  # noqa: PTH208


def _family(init: int) -> dict[int, tuple[int, int]]:
    """Return `init` and all that descend from it: CPU ticks (reaped ones included), and threads."""
    parents, facts = {}, {}
    for pid in pids_here():
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            continue  # it ended meanwhile
        parents[pid], facts[pid] = int(fields[1]), (sum(map(int, fields[11:15])), int(fields[17]))
    family, grown = {init} & set(facts), True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in family} - family
        family |= more
        grown = bool(more)
    return {pid: facts[pid] for pid in family}


def _resident_bytes(pids: "set[int]") -> int:
    """Return the memory that `pids` hold, files not counted."""
    kib = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/status", "rb") as file:  # noqa: PTH123
                kib += sum(int(line.split()[1]) for line in file if line.startswith(_COUNTED))
        except OSError:
            continue
    return kib * 1024


class Stream:
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


class Watch:
    """One step under way."""

    def __init__(
        self,
        limits: dict[str, Any],
        outputs: tuple[int, int, int],
        report_fd: int,
        *,
        host: int,
        isolation: str,
        has_checker: bool,
    ) -> None:
        self.streams = tuple(Stream(fd, limits["output_bytes"]) for fd in outputs)
        """stdout, stderr, answers."""

        self.tainted = False
        """The step did not end as steps do: the slot is not to be used again."""

        self._limits, self._host, self._isolation = limits, host, isolation
        self._report = Report(report_fd)
        self._stopped_by: str | None = None
        self._killed = False
        self._cpu_s = self._wall_s = 0.0
        self._peak = 0
        self._poll = select.poll()
        for fd in (*outputs[:2], report_fd):
            self._poll.register(fd, select.POLLIN)
        # a checker says little: only its end is worth being woken for
        self._poll.register(outputs[2], 0 if has_checker else select.POLLIN)
        self._has_checker = has_checker
        self._poll.register(host, select.POLLIN)

    def follow(self, started: float) -> None:
        """Return when the step has ended or was stopped, and nothing of it is left."""
        looked, answered = started, None
        while not self._report.ended and self._stopped_by is None:
            self._take(_TICK_S)
            now = time.monotonic()
            if now - looked >= _TICK_S:
                self._look()
                looked = now
            self._check_output_and_time(now - started)
            if self._has_checker and not self.streams[2].open:  # it has said what it has to say
                answered = answered or now
                if now - answered > _LAST_WORDS_S:
                    break
        self._wall_s = time.monotonic() - started
        if not self._report.ended:
            self._look()
            self._kill()
        self._wait_for_nothing_left()

    def _take(self, timeout_s: float) -> None:
        ready = {fd for fd, _ in self._poll.poll(timeout_s * 1000)}
        if self._host in ready:
            self._kill()
            raise SystemExit("the host went away during a step")
        if self._report.fd in ready:
            self._report.read()
            if self._report.closed:
                self._poll.unregister(self._report.fd)
        for stream in self.streams:  # all: of answers that are coming poll may not tell
            if stream.open:
                stream.drain(65536)
                if not stream.open:
                    self._poll.unregister(stream.fd)

    def _kill(self) -> None:
        """Kill the step: its init, and with it everything in its namespace.

        Without namespaces, all that descends from init; where steps are users, init itself stays:
        it clears away what is left.
        """
        self._killed, init = True, self._report.init
        pids = {init} if self._isolation == "namespaces" else set(_family(init))
        for pid in pids - ({0, init} if self._isolation == "uid" else {0}):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue

    def _wait_for_nothing_left(self) -> None:
        """Read on until the last process of the step is gone, then until all is read."""
        deadline = time.monotonic() + _ENDING_S
        while not self._report.closed or (self._isolation != "none" and self._writers()):
            if time.monotonic() > deadline:
                self.tainted = True
                break
            self._take(_TICK_S)
            if not self._report.ended:
                self._kill()  # init may not have been known when the limit was passed
        for stream in self.streams:
            stream.drain()

    def _writers(self) -> bool:
        return any(stream.open for stream in self.streams)

    def _check_output_and_time(self, wall_s: float) -> None:
        if self._stopped_by is not None:
            return
        if sum(stream.size for stream in self.streams) > self._limits["output_kill_bytes"]:
            self._stopped_by = "output"
        elif wall_s > self._limits["wall_s"]:
            self._stopped_by = "wall_time"

    def _look(self) -> None:
        """Measure, and note the limit that is passed, if none was before."""
        family = _family(self._report.init)
        ours = set() if self._report.init_is_program else {self._report.init}
        memory = _resident_bytes(set(family) - ours)
        ticks = sum(ticks for ticks, _ in family.values())
        n_threads = sum(threads for _, threads in family.values())
        self._cpu_s = max(self._cpu_s, ticks / _TICKS_PER_S)
        self._peak = max(self._peak, memory)
        if self._stopped_by is not None:
            return
        if memory > self._limits["memory_bytes"]:
            self._stopped_by = "memory"
        elif self._cpu_s > self._limits["cpu_s"]:
            self._stopped_by = "cpu_time"
        elif n_threads > 2 * self._limits["n_processes"]:  # what the rlimit counts, too
            # the rlimit answers EAGAIN before this; but the kernel exempts the host's root from it
            self._stopped_by = "processes"

    def facts(self, *, oom_killed: bool) -> dict[str, Any]:
        """Return what happened; times in seconds, memory in bytes.

        A program that was still there when its checker had heard enough has neither an exit code
        nor a signal, and nothing stopped it.

        Raises:
            OSError: if the step could not be started, which is the sandbox's own failure.
        """
        exit_code = signal_number = None
        if oom_killed and self._stopped_by is None:
            self._stopped_by = "memory"
        if self._report.error is not None:
            raise self._report.error
        end = self._report.end
        if end is not None and not self._killed:
            self._cpu_s, self._wall_s = end.user_s + end.system_s, end.wall_s
            self._peak = max(self._peak, end.peak_bytes)
            if os.WIFSIGNALED(end.status):
                signal_number = os.WTERMSIG(end.status)
            else:
                exit_code = os.WEXITSTATUS(end.status)
        elif not self._killed and self._stopped_by is None and self.streams[2].size == 0:
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
            "kept": [len(stream.head) for stream in self.streams],
        }
