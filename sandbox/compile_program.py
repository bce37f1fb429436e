"""Compiles `program.py` in the warm interpreter: a JSON line on stdout for each message."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

from candidate import compile_source

_STDOUT = 1


def main(files: Mapping[str, bytes], channel: int) -> int:  # noqa: ARG001 - the shape of a warm command
    """Return 0 if the program compiles to byte code, else 1; nothing of it is run."""
    code, rows = compile_source(files["program.py"])
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    while text:
        text = text[os.write(_STDOUT, text) :]
    return 0 if code else 1
