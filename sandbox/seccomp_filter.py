"""The inner system-call filter: what a sample may not ask of the kernel, as a classic BPF program.

A deny list: the sample is already without capabilities, network and host files; the filter takes
away the kernel interfaces that have been ways out of namespaces, or that leave something behind.
Numbers: the kernel's arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h.
"""

import ctypes
import errno
import platform
import struct

_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
_KILL = 0x80000000
_LOAD, _JEQ, _JGE, _JSET, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NR, _ARCH, _ARG0 = 0, 4, 16
_AF_UNIX = 1
_NEW_NAMESPACES = 0x7E020080  # CLONE_NEWNS|CGROUP|UTS|IPC|USER|PID|NET, NEWTIME

_DENIED = (
    "ptrace process_vm_readv process_vm_writev kcmp pidfd_getfd unshare setns mount umount2 "
    "pivot_root chroot move_mount open_tree fsopen fsconfig fsmount fspick mount_setattr "
    "bpf perf_event_open userfaultfd io_uring_setup io_uring_enter io_uring_register "
    "add_key request_key keyctl name_to_handle_at open_by_handle_at memfd_secret "
    # memory that no process need hold: the watch would not see it
    "memfd_create shmget semget msgget mq_open vmsplice setsockopt "
    "swapon swapoff reboot kexec_load init_module finit_module delete_module quotactl acct "
    "settimeofday clock_settime adjtimex clock_adjtime sethostname setdomainname syslog "
    "personality fanotify_init lookup_dcookie mbind migrate_pages move_pages set_mempolicy "
    "sched_setaffinity seccomp"
)

_NUMBERS = {
    "x86_64": {
        "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312,
        "pidfd_getfd": 438, "unshare": 272, "setns": 308, "mount": 165, "umount2": 166,
        "pivot_root": 155, "chroot": 161, "move_mount": 429, "open_tree": 428, "fsopen": 430,
        "fsconfig": 431, "fsmount": 432, "fspick": 433, "mount_setattr": 442, "bpf": 321,
        "perf_event_open": 298, "userfaultfd": 323, "io_uring_setup": 425,
        "io_uring_enter": 426, "io_uring_register": 427, "add_key": 248, "request_key": 249,
        "keyctl": 250, "name_to_handle_at": 303, "open_by_handle_at": 304, "memfd_secret": 447,
        "memfd_create": 319, "shmget": 29, "semget": 64, "msgget": 68, "mq_open": 240,
        "vmsplice": 278, "setsockopt": 54,
        "swapon": 167, "swapoff": 168, "reboot": 169, "kexec_load": 246, "init_module": 175,
        "finit_module": 313, "delete_module": 176, "quotactl": 179, "acct": 163,
        "settimeofday": 164, "clock_settime": 227, "adjtimex": 159, "clock_adjtime": 305,
        "sethostname": 170, "setdomainname": 171, "syslog": 103, "personality": 135,
        "fanotify_init": 300, "lookup_dcookie": 212, "mbind": 237, "migrate_pages": 256,
        "move_pages": 279, "set_mempolicy": 238, "sched_setaffinity": 203, "seccomp": 317,
        "socket": 41, "socketpair": 53, "clone": 56, "clone3": 435,
    },
    "aarch64": {
        "ptrace": 117, "process_vm_readv": 270, "process_vm_writev": 271, "kcmp": 272,
        "pidfd_getfd": 438, "unshare": 97, "setns": 268, "mount": 40, "umount2": 39,
        "pivot_root": 41, "chroot": 51, "move_mount": 429, "open_tree": 428, "fsopen": 430,
        "fsconfig": 431, "fsmount": 432, "fspick": 433, "mount_setattr": 442, "bpf": 280,
        "perf_event_open": 241, "userfaultfd": 282, "io_uring_setup": 425,
        "io_uring_enter": 426, "io_uring_register": 427, "add_key": 217, "request_key": 218,
        "keyctl": 219, "name_to_handle_at": 264, "open_by_handle_at": 265, "memfd_secret": 447,
        "memfd_create": 279, "shmget": 194, "semget": 190, "msgget": 186, "mq_open": 180,
        "vmsplice": 75, "setsockopt": 208,
        "swapon": 224, "swapoff": 225, "reboot": 142, "kexec_load": 104, "init_module": 105,
        "finit_module": 273, "delete_module": 106, "quotactl": 60, "acct": 89,
        "settimeofday": 170, "clock_settime": 112, "adjtimex": 171, "clock_adjtime": 266,
        "sethostname": 161, "setdomainname": 162, "syslog": 116, "personality": 92,
        "fanotify_init": 262, "lookup_dcookie": 18, "mbind": 235, "migrate_pages": 238,
        "move_pages": 239, "set_mempolicy": 237, "sched_setaffinity": 122, "seccomp": 277,
        "socket": 198, "socketpair": 199, "clone": 220, "clone3": 435,
    },
}  # fmt: skip
_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32_BIT = 0x40000000


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def build_filter(machine: str) -> bytes:
    """Return the filter for `machine` as an array of struct sock_filter.

    Raises:
        KeyError: if the machine's system calls are not known here.
    """
    numbers = _NUMBERS[machine]
    refuse = _instruction(_RETURN, _ERRNO | errno.EPERM)
    absent = _instruction(_RETURN, _ERRNO | errno.ENOSYS)
    program = [
        _instruction(_LOAD, _ARCH),
        _instruction(_JEQ, _AUDIT_ARCH[machine], 1, 0),
        _instruction(_RETURN, _KILL),
        _instruction(_LOAD, _NR),
    ]
    if machine == "x86_64":
        program += [_instruction(_JGE, _X32_BIT, 0, 1), refuse]
    for name in _DENIED.split():
        program += [_instruction(_JEQ, numbers[name], 0, 1), refuse]
    # glibc falls back from clone3 (whose flags lie behind a pointer) to clone, which can be read
    program += [_instruction(_JEQ, numbers["clone3"], 0, 1), absent]
    program += [
        _instruction(_JEQ, numbers["clone"], 0, 4),
        _instruction(_LOAD, _ARG0),
        _instruction(_JSET, _NEW_NAMESPACES, 0, 1),
        refuse,
        _instruction(_RETURN, _ALLOW),
    ]
    for name in ("socket", "socketpair"):
        program += [
            _instruction(_JEQ, numbers[name], 0, 4),
            _instruction(_LOAD, _ARG0),
            _instruction(_JEQ, _AF_UNIX, 1, 0),
            refuse,
            _instruction(_RETURN, _ALLOW),
        ]
    program.append(_instruction(_RETURN, _ALLOW))
    return b"".join(program)


class _Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


_code = build_filter(platform.machine())
_buffer = ctypes.create_string_buffer(_code, len(_code))
PROGRAM = _Program(len(_code) // 8, ctypes.cast(_buffer, ctypes.c_void_p))
"""Ready for prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ...)."""
