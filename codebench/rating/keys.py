"""Keys, one at a time: from a terminal without Enter, or the characters of lines otherwise."""

import codecs
import contextlib
import os
import select
import sys
import termios
import tty
from collections.abc import Iterator

_NAMES = {"\x1b[A": "b", "\x1b[5~": "b", "\x1b[B": " ", "\x1b[6~": " "}
"""Arrows and page keys, by what a terminal sends for them, as the letters that do the same."""

_REST_S = 0.05
_END = "\x04"
"""Control-D."""


@contextlib.contextmanager
def open_keys() -> Iterator[Iterator[str]]:
    """Give each key that is pressed until the input ends; Control-C raises KeyboardInterrupt.

    The terminal hands over single keys from here on, and is as it was at the end.
    """
    if not sys.stdin.isatty():
        yield _from_lines()
        return
    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd)
    try:
        tty.setcbreak(fd, termios.TCSADRAIN)  # what was typed already counts
        yield _from_terminal(fd)
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


def _from_lines() -> Iterator[str]:
    for line in sys.stdin:
        yield from "".join(line.split())


def _from_terminal(fd: int) -> Iterator[str]:
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    while content := os.read(fd, 64):
        if content.startswith(b"\x1b"):  # the rest of a key's sequence may come later
            while select.select([fd], [], [], _REST_S)[0]:
                content += os.read(fd, 64)
        text = decode(content)
        for key in [_NAMES.get(text, "")] if text.startswith("\x1b") else text:
            if key == _END:
                return
            if key:
                yield key
