"""Read a pickle that may hold plain values and a few named things, and nothing else.

A pickle is a program: it may call any global it names. This reader hands out only the globals of an
allow list, each replaced by a stand-in of ours, and names the first one that it refuses. Nothing is
ever imported on the pickle's behalf.
"""

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

from codebench.errors import EnvironmentProblem, UsageError

Allowed = Mapping[tuple[str, str], Callable[..., object]]
"""What each (module, name) of a pickle becomes."""

_BROKEN = (
    pickle.UnpicklingError,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    TypeError,
    ValueError,
)
"""What the standard library raises on bytes that are no pickle, or one that is cut."""


def load_restricted(
    file: BinaryIO,
    path: Path,
    allowed: Allowed,
    *,
    persistent: Callable[[object], object] | None = None,
) -> object:
    """Return the object in `file`, which is a part of `path`.

    Args:
        file: The open pickle.
        path: What messages call it.
        allowed: The globals that it may name.
        persistent: Turns the persistent ids of torch's pickles into stand-ins.

    Raises:
        UsageError: if it names a global that is not allowed.
        EnvironmentProblem: if it is not a whole pickle, or cannot be read.
    """
    try:
        return _Unpickler(file, path, allowed, persistent).load()
    except OSError as error:
        raise EnvironmentProblem(f"cannot read {path}: {error.strerror}") from error
    except _BROKEN as error:
        raise EnvironmentProblem(
            f"{path} holds no valid pickle; still being written? wait, or copy it again"
        ) from error


class _Unpickler(pickle.Unpickler):
    def __init__(
        self,
        file: BinaryIO,
        path: Path,
        allowed: Allowed,
        persistent: Callable[[object], object] | None,
    ) -> None:
        super().__init__(file)
        self._path = path
        self._allowed = allowed
        self._persistent = persistent

    def find_class(self, module: str, name: str) -> Callable[..., object]:
        found = self._allowed.get((module, name))
        if found is None:
            raise UsageError(
                f"{self._path} is refused: its pickle asks for {module}.{name}, which codebench "
                "never runs; save it again with plain values and tensors only"
            )
        return found

    def persistent_load(self, pid: object) -> object:
        if self._persistent is None:
            raise pickle.UnpicklingError("a persistent id where none belongs")
        return self._persistent(pid)
