"""Read the tensors of a checkpoint that `checkpoints/` has found whole, and put them into a module.

Files are mapped, so that what is not used (an optimizer's state) is not read. What is used is
copied: a trainer that overwrites its file while we sample would pull a mapped one from under us.
Pickles are only ever read with `weights_only=True`; `torch_file.py` has looked at their globals.
"""

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from codebench.checkpoints.formats.named_tensors import plain_name
from codebench.errors import EnvironmentProblem

Tensors = dict[str, torch.Tensor]
"""A state dict under plain names."""


def read_pt(path: Path, *, key: str | None = None) -> Tensors:
    """Return the state dict in a file of torch.save, or under `key` of the dict in it.

    Raises:
        EnvironmentProblem: if torch cannot read it.
    """
    try:
        content = torch.load(path, weights_only=True, mmap=True, map_location="cpu")
    except (OSError, RuntimeError, ValueError, pickle.UnpicklingError) as error:
        first_line = str(error).strip().partition("\n")[0]
        raise EnvironmentProblem(f"cannot load {path}: {first_line}") from error
    state: Mapping[str, torch.Tensor] = content if key is None else content[key]
    return {plain_name(name): tensor for name, tensor in state.items()}


def read_safetensors(path: Path) -> Tensors:
    """Return the tensors of a safetensors file.

    Raises:
        EnvironmentProblem: if it cannot be read.
    """
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise EnvironmentProblem(f"cannot load {path}: {error}") from error


def put_into(module: torch.nn.Module, tensors: Tensors, *, device: torch.device) -> None:
    """Make `tensors`, which are copies, the parameters of `module`, built on the meta device.

    Every parameter must be given, and every tensor used: `checkpoints/` has compared the names, so
    a difference is our bug.
    """
    on_device = {name: tensor.to(device) for name, tensor in tensors.items()}
    module.load_state_dict(on_device, strict=True, assign=True)
    module.requires_grad_(requires_grad=False)
    module.eval()


def n_numbers(module: torch.nn.Module) -> int:
    """Return the number of parameters."""
    return sum(parameter.numel() for parameter in module.parameters())
