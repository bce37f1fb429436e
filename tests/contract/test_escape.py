"""What a program must not reach: the network, the kernel's back doors, the machine's files."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from codebench.sandbox.backend import Isolation
from codebench.sandbox.execution import StepResult

Run = Callable[..., StepResult]
_SYSCALL = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *args):
    result = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) for a in args])
    return result, ctypes.get_errno()
"""
_FAMILIES = {
    "inet": 2, "inet6": 10, "netlink": 16, "packet": 17, "alg": 38, "vsock": 40, "xdp": 44,
}  # fmt: skip
_X86_64 = {
    "ptrace": 101, "mount": 165, "umount2": 166, "chroot": 161, "pivot_root": 155, "unshare": 272,
    "setns": 308, "bpf": 321, "perf_event_open": 298, "userfaultfd": 323, "io_uring_setup": 425,
    "add_key": 248, "request_key": 249, "keyctl": 250, "open_by_handle_at": 304, "kexec_load": 246,
    "process_vm_readv": 310, "pidfd_getfd": 438, "init_module": 175, "reboot": 169, "syslog": 103,
    "fsopen": 430, "open_tree": 428, "move_mount": 429, "personality": 135, "seccomp": 317,
    "vmsplice": 278, "semget": 64, "msgget": 68, "mq_open": 240, "setsockopt": 54,
}  # fmt: skip
x86_64 = pytest.mark.skipif(os.uname().machine != "x86_64", reason="numbers and code of x86-64")


@pytest.mark.parametrize("family", _FAMILIES.values(), ids=_FAMILIES)
@pytest.mark.parametrize("kind", [1, 2, 3], ids=["stream", "datagram", "raw"])
def test_no_sockets_but_unix(python: Run, family: int, kind: int) -> None:
    """No socket of any family but unix can be made."""
    result = python(
        f"import socket\ntry: socket.socket({family}, {kind})\nexcept OSError as e: print(e.errno)"
    )
    assert result.stdout == b"1\n"


def test_no_names_are_resolved(python: Run) -> None:
    """There is no name service."""
    result = python(
        "import socket\ntry: print(socket.getaddrinfo('example.org', 80))\n"
        "except OSError: print('no')"
    )
    assert result.stdout == b"no\n"


def test_host_sockets_are_not_there(python: Run) -> None:
    """An abstract unix socket of the host is not reachable."""
    name = f"codebench-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"\0{name}")
        listener.listen()
        result = python(
            f"import socket\ntry: socket.socket(1).connect('\\0{name}')\n"
            "except ConnectionRefusedError: print('no')"
        )
    assert result.stdout == b"no\n"


@x86_64
@pytest.mark.parametrize("number", _X86_64.values(), ids=_X86_64)
def test_system_call_is_denied(python: Run, number: int) -> None:
    """The kernel's doors to other processes, mounts and keys answer EPERM, whatever is asked."""
    assert python(_SYSCALL + f"print(call({number}, 0, 0, 0, 0, 0))").stdout == b"(-1, 1)\n"


@x86_64
@pytest.mark.parametrize("flag", [0x20000, 0x2000000, 0x10000000, 0x20000000, 0x40000000])
def test_clone_makes_no_namespaces(python: Run, flag: int) -> None:
    """Clone for new namespaces answers EPERM; clone3, whose flags are hidden, ENOSYS."""
    result = python(_SYSCALL + f"print(call(56, {flag} | 17, 0, 0, 0, 0), call(435, 0, 0))")
    assert result.stdout == b"(-1, 1) (-1, 38)\n"


@x86_64
def test_32_bit_system_calls_kill(python: Run) -> None:
    """A call through the 32-bit door, which the filter's numbers do not cover, ends the program."""
    result = python(
        """
import ctypes, mmap
code = bytes.fromhex("b814000000cd80c3")  # mov eax, 20 (getpid); int 0x80; ret
page = mmap.mmap(-1, 4096, prot=7)
page.write(code)
function = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
print(function())
"""
    )
    assert result.execution.signal in {31, 11}  # SIGSYS; SIGSEGV where the kernel has no such door
    assert result.stdout == b""


@x86_64
def test_x32_system_calls_are_denied(python: Run) -> None:
    """The numbers of the x32 door are refused or kill."""
    result = python(_SYSCALL + "print(call(0x40000000 | 39)[0])")
    assert result.stdout == b"-1\n" or result.execution.signal == 31


def test_no_privileges(python: Run, isolation: Isolation) -> None:
    """A program has no capability, cannot get one, is not root, and is filtered.

    Where steps are users, the supervisor's four capabilities stay in the set of what a setuid
    program could have; there is none, and no_new_privs (the 1 of the output) closes that way.
    """
    result = python(
        """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
header = (ctypes.c_uint32 * 2)(0x20080522, 0)
data = (ctypes.c_uint32 * 6)()
print(libc.capget(header, data), sum(data))
print([n for n in range(64) if libc.prctl(23, n, 0, 0, 0) == 1])
print(any(libc.prctl(47, 1, n, 0, 0) == 1 for n in range(64)))
print(libc.prctl(39, 0, 0, 0, 0), libc.prctl(21, 0, 0, 0, 0))
print(0 in os.getresuid() + os.getresgid())
"""
    )
    bounding = b"[0, 5, 6, 7]" if isolation is Isolation.UID else b"[]"
    assert result.stdout == b"0 0\n" + bounding + b"\nFalse\n1 2\nFalse\n"


def test_root_cannot_be_had(python: Run) -> None:
    """Neither setuid nor setgid calls change who a program is."""
    result = python(
        """
import os
for change in (os.setuid, os.setgid, os.seteuid):
    try:
        change(0)
        print("root")
    except OSError:
        pass
"""
    )
    assert result.stdout == b""


def test_nothing_to_snoop(python: Run, isolation: Isolation) -> None:
    """Of the kernel's and the supervisor's folders only /proc/self/exe is left.

    Where steps are users, the supervisor's folder alone is closed; see test_users.py for /proc.
    """
    if isolation is Isolation.UID:
        assert python("import os; os.listdir('/sandbox')").stderr.endswith(b"'/sandbox'\n")
        return
    result = python(
        """
import os
for top in ("/proc", "/sys", "/sandbox", "/dev/mqueue"):
    for folder, folders, names in os.walk(top):
        print(*(os.path.join(folder, name) for name in folders + names))
"""
    )
    assert set(result.stdout.decode().split()) <= {"/proc/self", "/proc/self/exe"}


def test_environment_is_minimal(python: Run) -> None:
    """A program sees the fixed environment, and nothing of the host's."""
    names = set(python("import os; print(*os.environ)").stdout.decode().split())
    assert {"PATH", "HOME", "TMPDIR", "LANG"} <= names
    assert names <= {"PATH", "HOME", "TMPDIR", "LANG", "LC_CTYPE", "PYTHONHOME"}


def test_host_files_are_not_there(python: Run, tmp_path: Path) -> None:
    """Files and folders of the host cannot be read, whoever owns them."""
    secret = tmp_path / "secret"
    secret.write_text("seen")
    for what in (secret, Path(__file__), Path.home() / ".profile", Path("/etc/shadow")):
        result = python(f"try: print(open({str(what)!r}).read())\nexcept OSError: print('no')")
        assert result.stdout == b"no\n", what


def test_everything_else_is_read_only(python: Run, isolation: Isolation) -> None:
    """Only the work directory, /tmp and /dev/shm can be written to.

    Where steps are users, POSIX message queues show as files; they are removed after the step.
    """
    result = python(
        """
import os
found = set()
for folder, folders, _ in os.walk("/"):
    try:
        open(folder + "/.codebench-test", "w").close()
        os.unlink(folder + "/.codebench-test")
        found.add(folder)
    except OSError:
        pass
print(sorted(found))
"""
    )
    queues = b"'/dev/mqueue', " if isolation is Isolation.UID else b""
    assert result.stdout == b"[" + queues + b"'/dev/shm', '/tmp', '/w']\n"


def test_devices_are_few(python: Run) -> None:
    """No disk, memory or other device of the machine is there."""
    result = python(
        """
import os, stat
found = set()
for folder, _, names in os.walk("/dev"):
    for name in names:
        mode = os.lstat(folder + "/" + name).st_mode
        if stat.S_ISBLK(mode) or stat.S_ISCHR(mode):
            found.add(name)
print(found <= {"null", "zero", "full", "random", "urandom", "tty", "ptmx", "console"}, found)
"""
    )
    assert result.stdout.startswith(b"True"), result.stdout


@pytest.mark.parametrize(
    "backend", [pytest.param("docker-namespaces", marks=pytest.mark.docker)], indirect=True
)
def test_no_setuid_program_in_the_image(python: Run) -> None:
    """The image holds no program that runs with another's rights."""
    result = python(
        """
import os
for folder, _, names in os.walk("/"):
    for name in names:
        try:
            if os.lstat(folder + "/" + name).st_mode & 0o6000:
                print(folder + "/" + name)
        except OSError:
            pass
"""
    )
    assert (result.execution.exit_code, result.stdout) == (0, b"")
