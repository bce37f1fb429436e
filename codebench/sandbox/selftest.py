"""Prove through the production path that the sandbox holds, before the first sample is run.

A limit that is configured but not effective is worse than none: whatever does not hold ends the
run here. The whole test takes well under two seconds.
"""

from collections.abc import Callable

from codebench.errors import SandboxError
from codebench.sandbox.backend import Isolation
from codebench.sandbox.execution import (
    COMPILE_LIMITS,
    MIB,
    RUN_LIMITS,
    Stage,
    Step,
    StepResult,
    StoppedBy,
)
from codebench.sandbox.pool import SlotPool

_PROBE = """
import ctypes, os, socket, sys, time
bad = []
for path in ("/x", "/etc/x", "/usr/x", "/opt/x", "/dev/x", "/sandbox/x", "/proc/x", "/sys/x"):
    try:
        open(path, "w")
        bad.append("root file system is writable at " + path)
    except OSError:
        pass
for family in (socket.AF_INET, socket.AF_INET6):
    try:
        socket.socket(family)
        bad.append("network sockets can be made")
    except OSError:
        pass
libc = ctypes.CDLL(None)
if libc.unshare(0x10000000) == 0:
    bad.append("namespaces can be made")
if os.getuid() == 0:
    bad.append("the program runs as root")
if libc.prctl(39, 0, 0, 0, 0) != 1:
    bad.append("no_new_privs is not set")
if set(os.environ) - {"PATH", "HOME", "TMPDIR", "LANG", "LC_CTYPE", "PYTHONHOME"}:
    bad.append("the environment is not minimal: " + " ".join(os.environ))
"""
_NOTHING_TO_SEE = """
for path in ("/sys", "/sandbox"):
    if os.path.isdir(path) and os.listdir(path):
        bad.append(path + " is visible")
if os.listdir("/proc") != ["self"] or os.listdir("/proc/self") != ["exe"]:
    bad.append("/proc is visible")
"""
_NOBODY_TO_REACH = """
try:
    bad.append("/sandbox is visible: " + " ".join(os.listdir("/sandbox")))
except OSError:
    pass
for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
    for look in (lambda: os.listdir(f"/proc/{pid}/fd"), lambda: open(f"/proc/{pid}/mem"),
                 lambda: os.kill(pid, 0)):
        try:
            pid != os.getpid() and bad.append(f"process {pid} is in reach: {look()}")
        except OSError:
            pass
"""
_LEAVE = """
for folder in (".", "/tmp", "/dev/shm"):
    open(folder + "/left_behind", "w").write("x")
libc.msgget(4660, 0o1666)
listener = socket.socket(socket.AF_UNIX)
listener.bind("\\0left_behind")
listener.listen()
if os.fork() == 0:
    os.setsid()
    time.sleep(60)
print("; ".join(bad) or "holds " + sys.version.split()[0])
"""
_PROBES = {
    Isolation.NAMESPACES: _PROBE + _NOTHING_TO_SEE + _LEAVE,
    Isolation.UID: _PROBE + _NOBODY_TO_REACH + _LEAVE,
}
_LOOK_AGAIN = """
import ctypes, os, socket
found = [os.listdir(folder) for folder in (".", "/tmp", "/dev/shm")]
if ctypes.CDLL(None).msgget(4660, 0o666) >= 0:
    found.append("a message queue")
if socket.socket(socket.AF_UNIX).connect_ex("\\0left_behind") == 0:
    found.append("a process")
print(*found)
"""
_CLEAN = "['program.py'] [] []"


def _python(source: str, **limits: float) -> Step:
    return Step(
        stage=Stage.RUN,
        argv=("python3", "-I", "-S", "-B", "program.py"),
        files={"program.py": source.encode()},
        limits=RUN_LIMITS.model_copy(update=limits),
    )


def _stopped(reason: StoppedBy) -> Callable[[StepResult], bool]:
    return lambda result: result.execution.stopped_by is reason


_TRIALS: tuple[
    tuple[str, Step, Callable[[StepResult], bool]], ...
] = (  # without its limit, each of the programs ends by itself
    (
        "memory limit",
        _python("import time; x = bytearray(96 << 20); time.sleep(1)", memory_bytes=32 * MIB),
        _stopped(StoppedBy.MEMORY),
    ),
    (
        "CPU time limit",
        _python("import time\nwhile time.process_time() < 2: pass", cpu_s=0.1),
        _stopped(StoppedBy.CPU_TIME),
    ),
    (
        "wall time limit",
        _python("import time; time.sleep(2)", wall_s=0.1),
        _stopped(StoppedBy.WALL_TIME),
    ),
    (
        "output limit",
        _python("for _ in range(2000): print('x' * 2048)", output_kill_bytes=MIB),
        _stopped(StoppedBy.OUTPUT),
    ),
    (
        "process limit",
        _python(
            "import os, time\nfor _ in range(40): os.fork() or time.sleep(9)\ntime.sleep(1)",
            n_processes=8,
        ),
        lambda result: (
            result.execution.stopped_by is StoppedBy.PROCESSES or result.execution.exit_code == 1
        ),
    ),
    (
        "file size limit",
        _python("open('f', 'wb').write(b'x' * (1 << 20))", disk_bytes=1 << 18),
        lambda result: result.execution.exit_code != 0,
    ),
)


def prove(pool: SlotPool) -> None:
    """Run the self-test and note the versions inside.

    Raises:
        SandboxError: naming the promise that does not hold, or that rustc is missing.
    """
    kind, isolation = pool.info().kind, Isolation(pool.info().isolation)
    pool.facts["rustc"] = _rustc_version(pool, kind)
    if isolation is Isolation.NONE:  # the probe tries to write everywhere: not on the bare machine
        pool.facts["python"] = _said(pool.run(_python("import sys; print(sys.version.split()[0])")))
        return
    answer = _said(pool.run(_python(_PROBES[isolation])))
    if not answer.startswith("holds "):
        raise SandboxError(f"{kind}: the sandbox does not hold: {answer}")
    pool.facts["python"] = answer.removeprefix("holds ")
    left = _said(pool.run(_python(_LOOK_AGAIN)))
    if left != _CLEAN:
        raise SandboxError(f"{kind}: what one program leaves is found by the next: {left}")
    for promise, step, holds in _TRIALS:
        result = pool.run(step)
        if not holds(result):
            raise SandboxError(
                f"{kind}: the {promise} does not hold on this machine: {result.execution}"
            )


def _rustc_version(pool: SlotPool, kind: str) -> str:
    step = Step(
        stage=Stage.COMPILE,
        argv=("rustc", "-vV"),
        limits=COMPILE_LIMITS,
        env={"LD_LIBRARY_PATH": "/opt/rust/lib"},
    )
    result = pool.run(step)
    if result.execution.exit_code != 0:
        raise SandboxError(f"{kind}: no working rustc in the sandbox: {_complaint(result)}")
    for source, exit_code in ((b"pub fn f() -> u8 { 1 }", 0), (b'pub fn f() -> u8 { "" }', 1)):
        built = pool.run(_build(source))
        if built.execution.exit_code != exit_code:
            raise SandboxError(
                f"{kind}: rustc does not judge {source.decode()} rightly: {built.execution}, "
                f"{_complaint(built)}"
            )
    return _said(result)


def _build(source: bytes) -> Step:
    return Step(
        stage=Stage.COMPILE,
        argv=("rustc", "--edition=2021", "--crate-type=lib", "-o", "out.rlib", "program.rs"),
        files={"program.rs": source},
        limits=COMPILE_LIMITS,
        env={"LD_LIBRARY_PATH": "/opt/rust/lib"},
    )


def _complaint(result: StepResult) -> str:
    lines = (result.stdout + result.stderr).decode(errors="backslashreplace").strip().split("\n")
    return lines[0][:200]


def _said(result: StepResult) -> str:
    return result.stdout.decode(errors="backslashreplace").strip()
