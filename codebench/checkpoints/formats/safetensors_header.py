"""Read and check the header of a safetensors file: 8 bytes of length, JSON, then the tensors.

Covers: a file that is cut short, still being written, or damaged in its header; names and shapes of
the tensors. Does not cover: damage inside the tensor bytes, which has no checksum in this format.

Source: https://github.com/huggingface/safetensors, "Format".
"""

import json
from dataclasses import dataclass
from math import prod
from pathlib import Path

from codebench.errors import EnvironmentProblem

_LARGEST_HEADER_BYTES = 100_000_000  # the limit of the safetensors library itself
_BITS_OF_DTYPE = {
    **dict.fromkeys(("F64", "I64", "U64", "C64"), 64),
    **dict.fromkeys(("F32", "I32", "U32"), 32),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 16),
    **dict.fromkeys(("F8_E4M3", "F8_E5M2", "F8_E8M0", "I8", "U8", "BOOL"), 8),
}
"""Types that a checkpoint commonly holds; the size of a tensor of another type is not checked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SafetensorsHeader:
    """What the header says."""

    shapes: dict[str, tuple[int, ...]]
    """Shape of every tensor, by name."""

    size_bytes: int
    """Size of the header with its 8 length bytes."""


def read_safetensors_header(path: Path) -> SafetensorsHeader:
    """Read the header of `path` and check that the file is as long as the header says.

    Raises:
        EnvironmentProblem: if the file cannot be read, is cut short, or contradicts itself.
    """
    try:
        file_bytes = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if file_bytes < 8 or length > min(file_bytes - 8, _LARGEST_HEADER_BYTES):
                raise EnvironmentProblem(_damaged(path, f"has {file_bytes} bytes and no header"))
            raw = file.read(length)
    except OSError as error:
        raise EnvironmentProblem(f"cannot read {path}: {error.strerror}") from error
    try:
        entries = json.loads(raw)
        entries.pop("__metadata__", None)
        shapes = {name: tuple(map(int, entry["shape"])) for name, entry in entries.items()}
        ranges = {name: _byte_range(entry) for name, entry in entries.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EnvironmentProblem(_damaged(path, "has a header that is not valid")) from error
    for name, entry in entries.items():
        begin, end = ranges[name]
        bits = _BITS_OF_DTYPE.get(entry.get("dtype"))
        if bits is not None and (end - begin) * 8 != prod(shapes[name]) * bits:
            raise EnvironmentProblem(_damaged(path, f"gives {name} the wrong number of bytes"))
    _check_layout(path, list(ranges.values()), n_data_bytes=file_bytes - 8 - length)
    return SafetensorsHeader(shapes=shapes, size_bytes=8 + length)


def _byte_range(entry: dict[str, list[int]]) -> tuple[int, int]:
    begin, end = entry["data_offsets"]
    return int(begin), int(end)


def _check_layout(path: Path, ranges: list[tuple[int, int]], *, n_data_bytes: int) -> None:
    """Check that the tensors lie one after another, without a gap, to the end of the file."""
    expected = 0
    for begin, end in sorted(ranges):
        if begin != expected or end < begin:
            raise EnvironmentProblem(_damaged(path, f"has overlapping tensors or a gap at {begin}"))
        expected = end
    if expected != n_data_bytes:
        found = f"holds {n_data_bytes} bytes of tensors, its header promises {expected}"
        raise EnvironmentProblem(_damaged(path, found))


def _damaged(path: Path, found: str) -> str:
    return f"damaged weights: {path} {found}; still being written? wait, or copy it again"
