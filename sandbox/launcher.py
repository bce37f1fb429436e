"""Forks the steps of a slot, from a process that no sample has ever touched.

It sees their commands, never the content of a file: those travel past it as descriptors, so that
whatever is forked from it holds nothing of any sample before.

Between the launcher and a program stand two processes: the first makes the namespaces and waits,
the second is init of the new PID namespace, makes the file systems, waits for the program and
reports. When init ends, the kernel kills whatever the program left behind; when the report's last
writer is gone, nothing of the step is left. Where steps are users (`uids.py`), init is the only one
and clears away by itself what the program left.
"""

import contextlib
import json
import os
import signal
import socket
import sys
import time
import traceback
from types import ModuleType
from typing import Any, NamedTuple, NoReturn

import isolate
import parcel
import report
import uids

WARM = "warm:"
_NAMES_BYTES = 4096
"""Room beside the content of collected files, which init writes under its program's limit."""

_NULL = os.open(os.devnull, os.O_RDWR)


class Descriptors(NamedTuple):
    """What a step is given."""

    files: int
    out: int
    err: int
    report: int
    collected: int
    third: int
    """Becomes descriptor 3 of the program; the same as `report` when it has none."""


class Launcher:
    """The supervisor's end: a forked process that forks steps."""

    def __init__(self, isolation: str, uid: "int | None", *, close: tuple[int, ...]) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.pid = os.fork()
        if self.pid == 0:
            self._socket.close()
            for fd in close:
                os.close(fd)
            if uid is not None and isolation == "namespaces":
                isolate.leave_root(uid)
            _serve(theirs, isolation)
        theirs.close()

    def start(self, job: dict[str, Any], fds: tuple[int, ...]) -> None:
        """Start one step.

        Raises:
            OSError: if the launcher is gone.
        """
        socket.send_fds(self._socket, [json.dumps(job).encode()], fds)

    def fileno(self) -> int:
        """Return the descriptor of the socket to the launcher."""
        return self._socket.fileno()


def _serve(control: socket.socket, isolation: str) -> NoReturn:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps
    while True:
        header, fds = parcel.receive(control, len(Descriptors._fields))
        if not header:
            os._exit(0)
        given = Descriptors(*fds)
        try:
            _start(json.loads(header), given, isolation, control)
        except OSError as error:
            report.tell_error(given.report, error)
        for fd in fds:
            os.close(fd)


def _start(job: dict[str, Any], fds: Descriptors, isolation: str, control: socket.socket) -> None:
    """Start one step, and say who its init is.

    Raises:
        OSError: if the host refuses.
    """
    warm = _warm_module(job["argv"][0])
    alone = warm is not None and isolation == "namespaces"
    if isolation == "namespaces":
        limits = job["limits"]
        job["mounts"] = isolate.plan_file_systems(limits["disk_bytes"], limits["n_files"])
    if alone:
        isolate.take_environment(isolate.environment(job, isolate.WORK))
    started = time.monotonic()
    if (init := _fork(isolation, reaped=not alone)) == 0:
        control.close()
        if alone:
            _run_as_init(job, fds, warm)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _run_step(job, fds, isolation, warm)
    report.tell_init(fds.report, init, is_program=alone)
    if alone:
        _wait_for_init(init, fds, started)


def _run_as_init(job: dict[str, Any], fds: Descriptors, warm: "ModuleType | None") -> NoReturn:
    """Run a warm step in the one process that is init of its namespaces itself.

    It starts no other program, so it gives up its rights for good before it looks at the sample. As
    with every init, signals that come from inside and that it has not asked for are lost.
    """
    assert warm is not None
    try:
        with report.refusals():
            _become_init(job, warm)
        isolate.set_limits(job["limits"], count_processes=True)
        isolate.limit_files(job["limits"]["disk_bytes"])
        isolate.drop_privileges()
        files = parcel.unpack(fds.files, job["files"])
        isolate.write_files(isolate.WORK, files)
        third = fds.third if job["third"] else None
        isolate.take_streams(isolate.WORK, fds.out, fds.err, third)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is not the program's
        report.tell_error(fds.report, error)
        os._exit(0)
    _run_warm(warm, files, isolate.environment(job, isolate.WORK))


def _wait_for_init(init: int, fds: Descriptors, started: float) -> None:
    """Wait for a step that is its own init, and report; the launcher has nothing else to do."""
    for fd in {*fds} - {fds.report}:
        os.dup2(_NULL, fd)  # its own ends of the pipes would keep them open
    _, status, usage = os.wait4(init, isolate.WAIT_ALL)
    report.tell_end(fds.report, status, usage, time.monotonic() - started)


def _fork(isolation: str, *, reaped: bool) -> int:
    """Fork the process that all of a step descends from.

    Raises:
        OSError: if the host refuses.
    """
    if isolation != "namespaces":
        return os.fork()
    with report.refusals():
        return isolate.fork_into_namespaces(reaped=reaped)


def _warm_module(name: str) -> "ModuleType | None":
    """Import what a warm step runs here, where no sample has ever been, once."""
    if not name.startswith(WARM):
        return None
    return isolate.load(name[len(WARM) :])


def _run_step(
    job: dict[str, Any], fds: Descriptors, isolation: str, warm: "ModuleType | None"
) -> NoReturn:
    """Build the isolation and run the step; reports its init, its end and usage, never returns."""
    isolated, folder = isolation != "none", ""
    try:
        folder = isolate.WORK if isolated else _make_folder()
        if isolation == "namespaces":
            with report.refusals():
                _become_init(job, warm)
            isolate.set_limits(job["limits"], count_processes=True)
            isolate.write_files(folder, parcel.unpack(fds.files, job["files"]))
            isolate.drop_privileges()
        if job["uid"] is not None:
            uids.hand_over(job["uid"])
        status = _run_program(job, fds, folder, isolation, warm)
        _end_all(job, fds, folder, isolated, status)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is not the program's
        report.tell_error(fds.report, error)
    finally:
        if not isolated:
            _remove_folder(folder)
        os._exit(0)


def _make_folder() -> str:
    import tempfile  # here: what isolating launchers do without is not copied at each fork

    return tempfile.mkdtemp(prefix="codebench-")


def _remove_folder(folder: str) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


def _become_init(job: dict[str, Any], warm: "ModuleType | None") -> None:
    """Take the new namespaces into use: nothing but fresh file systems to write to."""
    isolate.become_inner_user()
    executable = sys.executable if warm else isolate.find_executable(job, isolate.WORK)
    isolate.make_file_systems(job["mounts"], executable)
    isolate.hide_from_sample()


def _run_program(
    job: dict[str, Any],
    fds: Descriptors,
    folder: str,
    isolation: str,
    warm: "ModuleType | None",
) -> int:
    """Start the program, wait for it, reap what else ends, report; return its wait status."""
    started = time.monotonic()
    third = fds.third if job["third"] else None
    if isolation == "namespaces":  # it has its rights, limits and files from its init
        isolate.limit_files(job["limits"]["disk_bytes"] + _NAMES_BYTES)
        program = isolate.spawn_program(job, folder, (fds.out, fds.err), third)
    elif (program := os.fork()) == 0:
        isolate.limit_files(job["limits"]["disk_bytes"])
        files = _take_rights(job, fds, folder, isolation)
        isolate.take_streams(folder, fds.out, fds.err, third)
        if warm is not None:
            _run_warm(warm, files, isolate.environment(job, folder))
        isolate.start_program(job, folder)
    for fd in {fds.out, fds.err, fds.third} - {fds.report}:
        os.close(fd)
    pid, status, usage = os.wait4(-1, 0)
    while pid != program:
        pid, status, usage = os.wait4(-1, 0)
    report.tell_end(fds.report, status, usage, time.monotonic() - started)
    return status


def _take_rights(
    job: dict[str, Any], fds: Descriptors, folder: str, isolation: str
) -> dict[str, bytes]:
    """Become who the program is to be, in its folder, with its limits; return its files."""
    isolate.set_limits(job["limits"], count_processes=isolation == "uid")
    if job["uid"] is not None:
        isolate.go_first_under_pressure()
        uids.become(job["uid"])
    files = parcel.unpack(fds.files, job["files"])
    isolate.write_files(folder, files)
    if isolation == "uid":
        isolate.drop_privileges()
    return files


def _end_all(
    job: dict[str, Any],
    fds: Descriptors,
    folder: str,
    isolated: bool,  # noqa: FBT001 - there is no better word for it
    status: int,
) -> None:
    """Kill what the program left running, collect what is asked for, clear away the rest."""
    if job["uid"] is not None:
        uids.end_all(job["uid"])
    elif isolated:
        isolate.kill_all_but_me()
    if job["collect"] and status == 0:
        parcel.collect(fds.collected, folder, job["collect"], job["limits"]["disk_bytes"])
    if job["uid"] is not None:
        with contextlib.suppress(OSError):  # what is left the supervisor finds
            uids.wipe()


def _run_warm(module: ModuleType, files: dict[str, bytes], env: dict[str, str]) -> NoReturn:
    """Run `main` of a module of this folder in this very process."""
    status = 1
    try:
        isolate.keep_only_streams()
        isolate.register_hooks()
        isolate.take_environment(env)
        status = module.main(files, isolate.THIRD)
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:  # noqa: BLE001 - as the interpreter does
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError, AttributeError):  # closed, or replaced by the program
                continue
        os._exit(status & 0xFF)
