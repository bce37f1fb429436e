"""Files on their way from one process to another, in memory that only the two can reach.

A memfd is sent over a socket as a descriptor, so that whoever passes it on never reads it.
"""

import os
import socket
import stat
import struct

_MAX_MESSAGE = 1 << 18
_RECORD = struct.Struct("!II")


def pack(content: bytes) -> int:
    """Return a descriptor from which `content` can be read."""
    fd = os.memfd_create("files")
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]
    return fd


def unpack(fd: int, files: list[tuple[str, int]]) -> dict[str, bytes]:
    """Return the files behind a descriptor of `pack`, given their names and sizes in order.

    Raises:
        OSError: if a name is no plain file name.
    """
    found, at = {}, 0
    for name, size in files:
        if "/" in name or name in {"", ".", ".."}:
            raise OSError(22, f"not a plain file name: {name!r}")
        found[name] = _read_at(fd, size, at)
        at += size
    return found


def receive(control: socket.socket, n_fds: int) -> tuple[bytes, list[int]]:
    """Return the next message and its descriptors, which no started program inherits.

    (`socket.recv_fds` does not pass its flags on in CPython 3.9 to 3.11.)
    """
    message, fds, _, _ = socket.recv_fds(control, _MAX_MESSAGE, n_fds)
    for fd in fds:
        os.set_inheritable(fd, False)  # noqa: FBT003 - the name is in the call
    return message, fds


def collect(fd: int, folder: str, names: list[str], max_bytes: int) -> None:
    """Copy regular files of `folder` into the memfd `fd`, `max_bytes` together at most.

    What is no file, or too large, is left out.

    A name that leads elsewhere (a link, a pipe, a device) is not followed and cannot block.
    """
    for name in names:
        try:
            source = os.open(f"{folder}/{name}", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            continue
        try:
            facts = os.fstat(source)
            if stat.S_ISREG(facts.st_mode) and facts.st_size <= max_bytes:
                max_bytes -= facts.st_size
                content = _read_at(source, facts.st_size, 0)
                os.write(fd, _RECORD.pack(len(name.encode()), len(content)) + name.encode())
                while content:
                    content = content[os.write(fd, content) :]
        finally:
            os.close(source)


def read_records(fd: int) -> list[tuple[str, bytes]]:
    """Return what `collect` has written into `fd`: names and contents."""
    size, at, found = os.fstat(fd).st_size, 0, []
    while at < size:
        n_name, n_content = _RECORD.unpack(_read_at(fd, _RECORD.size, at))
        at += _RECORD.size
        name = _read_at(fd, n_name, at).decode()
        found.append((name, _read_at(fd, n_content, at + n_name)))
        at += n_name + n_content
    return found


def _read_at(fd: int, size: int, at: int) -> bytes:
    chunks = []
    while size:
        chunk = os.pread(fd, size, at)
        if not chunk:
            break
        chunks.append(chunk)
        size, at = size - len(chunk), at + len(chunk)
    return b"".join(chunks)
