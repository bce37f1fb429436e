"""Programs that want out: to the network, through the kernel's back doors, to more privileges."""

import platform
import secrets
import socket

from codebench.conformance.case import (
    Bench,
    Case,
    Group,
    NotTestableHereError,
    first,
    promise,
    said,
    unless,
)
from codebench.sandbox.backend import Isolation

CASES: list[Case] = []
_promise = promise(Group.ESCAPE, CASES)
_SIGSYS, _SIGSEGV = 31, 11
_SYSCALL = """
import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    result = libc.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments))
    return errno.errorcode[ctypes.get_errno()] if result < 0 else result
"""
_NUMBERS = {  # by name: on x86-64, on aarch64
    "ptrace": (101, 117), "mount": (165, 40), "umount2": (166, 39), "chroot": (161, 51),
    "pivot_root": (155, 41), "unshare": (272, 97), "setns": (308, 268), "bpf": (321, 280),
    "perf_event_open": (298, 241), "userfaultfd": (323, 282), "io_uring_setup": (425, 425),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "pidfd_getfd": (438, 438),
    "open_by_handle_at": (304, 265), "fsopen": (430, 430), "open_tree": (428, 428),
    "move_mount": (429, 429), "kexec_load": (246, 104), "init_module": (175, 105),
    "syslog": (103, 116), "personality": (135, 92), "seccomp": (317, 277),
    "clock_settime": (227, 112), "vmsplice": (278, 75), "semget": (64, 190), "msgget": (68, 186),
    "mq_open": (240, 180), "setsockopt": (54, 208),
}  # fmt: skip


def _refused(bench: Bench, names: tuple[str, ...]) -> str | None:
    column = {"x86_64": 0, "aarch64": 1}[platform.machine()]
    calls = "".join(
        f"print({name!r}, call({_NUMBERS[name][column]}, 0, 0, 0, 0, 0))\n" for name in names
    )
    return said(bench.python(_SYSCALL + calls), "".join(f"{name} EPERM\n" for name in names))


def _no_sockets(bench: Bench, families: tuple[int, ...], kinds: tuple[int, ...]) -> str | None:
    result = bench.python(
        f"import socket\nfor family in {families}:\n for kind in {kinds}:\n"
        "  try: print(socket.socket(family, kind))\n  except OSError as e: print(e.errno)"
    )
    return said(result, "1\n" * len(families) * len(kinds))


@_promise
def test_network_denied_tcp(bench: Bench) -> str | None:
    """No TCP socket can be made, so none connects."""
    return _no_sockets(bench, (2, 10), (1,))


@_promise
def test_network_denied_udp(bench: Bench) -> str | None:
    """No UDP, raw or packet socket can be made."""
    return first(_no_sockets(bench, (2, 10), (2, 3)), _no_sockets(bench, (16, 17), (2, 3)))


@_promise
def test_network_denied_dns(bench: Bench) -> str | None:
    """No name is resolved, and none could be asked for."""
    result = bench.python(
        "import socket\ntry: print(socket.getaddrinfo('example.org', 80))\n"
        "except OSError: print('no')\n"
        "try: socket.socket(2, 2).sendto(b'x', ('127.0.0.53', 53))\n"
        "except OSError as e: print(e.errno)"
    )
    return said(result, "no\n1\n")


@_promise
def test_network_denied_unix_abstract(bench: Bench) -> str | None:
    """A listening abstract socket of the machine cannot be reached."""
    name = f"codebench-{secrets.token_hex(8)}"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"\0{name}")
        listener.listen()
        result = bench.python(
            f"import socket\ntry: print(socket.socket(1).connect('\\0{name}'))\n"
            "except ConnectionRefusedError: print('no')"
        )
    return said(result, "no\n")


@_promise
def test_af_alg_vsock_iouring_denied(bench: Bench) -> str | None:
    """The kernel's crypto, virtual machine and XDP sockets, and io_uring, are refused."""
    return first(_no_sockets(bench, (38, 40, 44), (1, 2, 5)), _refused(bench, ("io_uring_setup",)))


@_promise
def test_unshare_mount_ptrace_denied(bench: Bench) -> str | None:
    """The doors to other processes, mounts, clocks and the kernel answer EPERM, whatever is asked.

    So does clone for new namespaces, and clone3, whose flags a filter cannot see, is not there.
    """
    number = {"x86_64": 56, "aarch64": 220}[platform.machine()]
    flags = (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000)
    clone = f"print([call({number}, flag | 17, 0, 0, 0, 0) for flag in {flags}], call(435, 0, 0))"
    return first(
        _refused(bench, tuple(_NUMBERS)),
        said(bench.python(_SYSCALL + clone), f"{['EPERM'] * len(flags)} ENOSYS\n"),
    )


@_promise
def test_32bit_syscalls_denied(bench: Bench) -> str | None:
    """The 32-bit and x32 doors, whose numbers a filter could mistake, are closed or kill."""
    if platform.machine() != "x86_64":
        raise NotTestableHereError("there is no such door on this processor")
    old = bench.python(
        """
import ctypes, mmap
code = bytes.fromhex("b814000000cd80c3")  # mov eax, 20 (getpid); int 0x80; ret
page = mmap.mmap(-1, 4096, prot=7)
page.write(code)
function = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
print(function())
"""
    )
    x32 = bench.python(_SYSCALL + "print(call(0x40000000 | 39))")
    killed = old.execution.signal in {_SIGSYS, _SIGSEGV} and not old.stdout
    refused = x32.stdout in {b"EPERM\n", b"ENOSYS\n"} or x32.execution.signal == _SIGSYS
    return first(unless(killed, old), unless(refused, x32))


@_promise
def test_caps_and_nnp_zero(bench: Bench) -> str | None:
    """A program is not root and cannot be, has no capability, gets none, and is filtered.

    Where steps are users, the supervisor's four capabilities stay in the set of what a setuid
    program could have; there is none, and no_new_privs (the first 1) closes that way.
    """
    result = bench.python(
        """
import contextlib, ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
header = (ctypes.c_uint32 * 2)(0x20080522, 0)
data = (ctypes.c_uint32 * 6)()
for change in (os.setuid, os.setgid, os.seteuid):
    with contextlib.suppress(OSError):
        change(0)
print(0 in os.getresuid() + os.getresgid(), libc.capget(header, data), sum(data))
print([n for n in range(64) if libc.prctl(23, n, 0, 0, 0) == 1])
print(any(libc.prctl(47, 1, n, 0, 0) == 1 for n in range(64)))
print(libc.prctl(39, 0, 0, 0, 0), libc.prctl(21, 0, 0, 0, 0))
"""
    )
    bounding = "[0, 5, 6, 7]" if bench.isolation is Isolation.UID else "[]"
    return said(result, f"False 0 0\n{bounding}\nFalse\n1 2\n")
