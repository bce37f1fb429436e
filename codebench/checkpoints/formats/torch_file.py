"""Look into a file of `torch.save` without torch: its values, and the shapes of its tensors.

Covers: the zip format (torch 1.6 and later), whose central directory is written last, so that a
file still being written is told from a whole one. No tensor is read. Does not cover: the older
format, and tensors of subclasses, which are refused by the name of their global.

Source: torch/csrc/jit/serialization and torch/serialization.py: `<name>/data.pkl` is the pickle,
`<name>/data/<key>` the bytes of each storage, named by persistent ids
("storage", type, key, location, number of elements).
"""

import io
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from codebench.checkpoints.formats.restricted_pickle import Allowed, load_restricted
from codebench.errors import EnvironmentProblem, UsageError

_LARGEST_PICKLE_BYTES = 1 << 28
_ZIP_MAGIC = b"PK\x03\x04"
_STORAGE_BYTES = {
    **dict.fromkeys(("DoubleStorage", "LongStorage", "ComplexFloatStorage"), 8),
    **dict.fromkeys(("FloatStorage", "IntStorage"), 4),
    **dict.fromkeys(("HalfStorage", "BFloat16Storage", "ShortStorage"), 2),
    **dict.fromkeys(("ByteStorage", "CharStorage", "BoolStorage"), 1),
}
"""Bytes of one element of each typed storage."""


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor in the file, without its numbers."""

    shape: tuple[int, ...]


def _rebuild_tensor(_storage: object, _offset: int, size: tuple[int, ...], *_: object) -> object:
    return StoredTensor(tuple(int(n) for n in size))


def _rebuild_parameter(tensor: object, *_: object) -> object:
    return tensor


def _constant(value: object) -> Callable[..., object]:
    return lambda *_: value


_ALLOWED: Allowed = {
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    ("torch", "Size"): tuple,
    ("torch", "device"): _constant(None),
    ("collections", "OrderedDict"): OrderedDict,
    **{("torch", name): _constant(name) for name in _STORAGE_BYTES},
    ("torch.storage", "UntypedStorage"): _constant("ByteStorage"),
}


def is_torch_file(path: Path) -> bool:
    """Return whether `path` begins like a zip file."""
    try:
        with path.open("rb") as file:
            return file.read(4) == _ZIP_MAGIC
    except OSError:
        return False


def read_torch_file(path: Path) -> object:
    """Return what was saved, each tensor as a `StoredTensor`.

    Raises:
        UsageError: if it is of another format, or its pickle names a global that no data needs.
        EnvironmentProblem: if it is cut short, damaged, or cannot be read.
    """
    size_bytes = 0
    try:
        size_bytes = path.stat().st_size
        if size_bytes and not is_torch_file(path):
            raise UsageError(
                f"{path} is no file of torch.save (torch 1.6 or later): save it again with "
                "torch.save, or give its format with --loader"
            )
        with zipfile.ZipFile(path) as archive:
            return _read(archive, path)
    except OSError as error:
        raise EnvironmentProblem(f"cannot read {path}: {error.strerror}") from error
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise EnvironmentProblem(_damaged(path, f"has {size_bytes} bytes and no index")) from error


def _read(archive: zipfile.ZipFile, path: Path) -> object:
    sizes = {info.filename: info.file_size for info in archive.infolist()}
    name = next((name for name in sizes if name.endswith("/data.pkl")), None)
    if name is None or sizes[name] > _LARGEST_PICKLE_BYTES:
        raise EnvironmentProblem(_damaged(path, "holds no data.pkl"))
    folder = name.removesuffix("data.pkl")

    def storage(pid: object) -> None:
        if not isinstance(pid, tuple) or len(pid) != 5:
            raise EnvironmentProblem(_damaged(path, "names a tensor in an unknown way"))
        dtype, key, n_elements = pid[1], str(pid[2]), int(pid[4])
        kind = dtype() if callable(dtype) else ""
        expected = n_elements * _STORAGE_BYTES.get(kind, 1)
        if sizes.get(f"{folder}data/{key}", -1) < expected:
            raise EnvironmentProblem(_damaged(path, f"lacks the {expected} bytes of tensor {key}"))

    pickled = archive.read(name)
    return load_restricted(io.BytesIO(pickled), path, _ALLOWED, persistent=storage)


def _damaged(path: Path, found: str) -> str:
    return f"damaged weights: {path} {found}; still being written? wait, or copy it again"
