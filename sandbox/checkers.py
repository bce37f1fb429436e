"""Runs checkers: the trusted code that asks a program and judges its answers.

They share one isolation that is made when the first is asked for: their own namespaces, file
systems, system-call filter and limits. No sample is ever in it, so one after the other is enough. A
task that could leave something behind (`self_contained.py`) is run in a forked process of its own.
"""

import contextlib
import json
import os
import resource
import signal
import socket
import sys
import traceback
from types import ModuleType
from typing import Any, NoReturn

import isolate
import parcel
import uids

_TASK_CPU_S = 60
_LIMITS = {
    "cpu_s": 1_000_000,
    "memory_bytes": 512 << 20,
    "n_processes": 16,
    "disk_bytes": 1 << 20,
    "n_files": 16,
}


class Checkers:
    """The supervisor's end: a forked process that forks checkers."""

    def __init__(self, isolation: str, uid: "int | None", *, close: tuple[int, ...]) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pid = os.fork()
        if pid == 0:
            self._socket.close()
            for fd in close:
                os.close(fd)
            _wait_for_first(theirs, isolation, uid)
        theirs.close()
        self.pids = {pid}
        self._started = False

    def start(self, checker: dict[str, Any], body: bytes, fds: tuple[int, int]) -> None:
        """Start one checker with `fds`, its channel to the program and its pipe for answers.

        Raises:
            OSError: if the process is gone.
        """
        files = parcel.pack(body)
        try:
            socket.send_fds(self._socket, [json.dumps(checker).encode()], [files, *fds])
        finally:
            os.close(files)
        if not self._started:  # the first: it makes the isolation and says who its init is
            init = int(self._socket.recv(16) or b"0")
            if not init:
                raise OSError(1, "the checkers' isolation could not be made")
            self.pids.add(init)
            self._started = True


def _wait_for_first(control: socket.socket, isolation: str, uid: "int | None") -> NoReturn:
    first = parcel.receive(control, 3)
    if not first[0]:
        os._exit(0)
    isolate.load(json.loads(first[0])["module"])  # this folder is covered soon
    if isolation == "namespaces":
        try:
            if uid is not None:
                isolate.leave_root(uid)
            init = isolate.fork_into_namespaces(reaped=True)
        except OSError:
            os._exit(1)
        if init:
            control.send(str(init).encode())
            control.close()
            for fd in first[1]:
                os.close(fd)
            os.waitpid(init, 0)
            os._exit(0)
        isolate.become_inner_user()
        mounts = isolate.plan_file_systems(_LIMITS["disk_bytes"], _LIMITS["n_files"])
        isolate.make_file_systems(mounts, sys.executable)
        isolate.drop_privileges()
    else:
        if uid is not None:
            uids.become(uid)
            isolate.drop_privileges()
        control.send(str(os.getpid()).encode())
    isolate.set_limits(_LIMITS, count_processes=False)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps
    _serve(control, first[0], first[1])


def _check(module: ModuleType, files: dict[str, bytes], channel: int, answers: int) -> None:
    try:
        module.main(files, channel, answers)
    except BaseException:  # noqa: BLE001 - its last words; no verdict follows
        traceback.print_exc()


def _limit_cpu() -> None:
    """Give the next task so much time of its own; one process may do the tasks of a whole slot."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    most = int(used.ru_utime + used.ru_stime) + _TASK_CPU_S
    resource.setrlimit(resource.RLIMIT_CPU, (most, hard))


def _serve(control: socket.socket, header: bytes, fds: list[int]) -> NoReturn:
    while header:
        job = json.loads(header)
        module = isolate.load(job["module"])
        packed, channel, answers = fds
        files = parcel.unpack(packed, job["files"])
        stays = False
        _limit_cpu()
        with contextlib.suppress(Exception):  # `main` meets it again, and says so
            stays = module.prepare(files)
        if stays:
            _check(module, files, channel, answers)
        elif os.fork() == 0:
            control.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _check(module, files, channel, answers)
            os._exit(0)
        for fd in fds:
            os.close(fd)
        header, fds = parcel.receive(control, 3)
    os._exit(0)
