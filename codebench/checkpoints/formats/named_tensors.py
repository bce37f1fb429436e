"""Compare the tensors that a checkpoint holds with those that its architecture needs."""

from collections.abc import Mapping
from pathlib import Path

from codebench.checkpoints.formats.torch_file import StoredTensor
from codebench.errors import EnvironmentProblem, UsageError

Shapes = Mapping[str, tuple[int, ...]]
"""Shape of every tensor, by name."""

_WRAPPERS = ("_orig_mod.", "module.")
"""What torch.compile and DistributedDataParallel put before every name, in any order."""


def plain_name(name: str) -> str:
    """Return `name` without the prefixes of wrappers."""
    while name.startswith(_WRAPPERS):
        name = name.partition(".")[2]
    return name


def shapes_of(state: object, path: Path) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a state dict read by `read_torch_file`, under their plain names.

    Raises:
        UsageError: if it is no dict of tensors.
    """
    if not isinstance(state, dict) or not state:
        raise UsageError(f"{path} holds no state dict: its model is not a dict of tensors")
    for name, tensor in state.items():
        if not isinstance(name, str) or not isinstance(tensor, StoredTensor):
            raise UsageError(f"{path} holds no state dict: {name!r} is not a tensor")
    return {plain_name(name): tensor.shape for name, tensor in state.items()}


def check_shapes(found: Shapes, expected: Shapes, *, path: Path, source: str) -> None:
    """Check that both have the same names and shapes.

    Raises:
        EnvironmentProblem: if a tensor is missing, left over, or of another shape.
    """
    missing = sorted(expected.keys() - found.keys())
    unused = sorted(found.keys() - expected.keys())
    wrong = sorted(n for n in found.keys() & expected.keys() if found[n] != expected[n])
    for kind, names in (("lacks", missing), ("holds unknown", unused)):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise EnvironmentProblem(f"{path} does not fit {source}: it {kind} {names[0]}{more}")
    if wrong:
        name = wrong[0]
        raise EnvironmentProblem(
            f"{path} does not fit {source}: {name} has shape {found[name]}, not {expected[name]}"
        )
