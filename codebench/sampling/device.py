"""Choose where and how precisely a model computes."""

import os

import torch

from codebench.errors import EnvironmentProblem, UsageError

MAX_THREADS = 32
"""More threads than this slow small products down."""


def choose_device(name: str) -> torch.device:
    """Return the device that `name` means: auto, cpu, cuda or cuda:N.

    Raises:
        UsageError: if the name is none of these, or that GPU is not there.
        EnvironmentProblem: if CUDA was asked for by name and does not work here.
    """
    n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "cpu" or (name == "auto" and not n_gpus):
        return torch.device("cpu")
    kind, colon, number = name.partition(":")
    if name not in ("auto", "cuda") and not (kind == "cuda" and colon and number.isdecimal()):
        raise UsageError(f"device {name!r} is unknown: give auto, cpu, cuda or cuda:N")
    if not n_gpus:
        raise EnvironmentProblem(f"device {name!r}: no CUDA GPU works here; use --device cpu")
    index = int(number) if number else 0
    if index >= n_gpus:
        there = ", ".join(f"cuda:{i}" for i in range(n_gpus))
        raise UsageError(f"device {name!r} is not there: this machine has {there}")
    return torch.device("cuda", index)


def choose_dtype(device: torch.device) -> torch.dtype:
    """Return float32 on a CPU, whatever the weights are stored as; bfloat16 on a GPU with it."""
    if device.type == "cuda":
        with torch.cuda.device(device):
            if torch.cuda.is_bf16_supported(including_emulation=False):
                return torch.bfloat16
    return torch.float32


def set_threads(n_threads: int | None) -> int:
    """Give torch `n_threads` and return how many it has now.

    The default is half of the cores that this process may use: the sandbox compiles on the others.
    A step waits for its slowest thread, so one thread per core on cores that also compile is not a
    little slower but many times (measured on two busy cores: 30-150 tokens/s instead of 1600).
    """
    if n_threads is None:
        n_threads = min(max(1, len(os.sched_getaffinity(0)) // 2), MAX_THREADS)
    torch.set_num_threads(n_threads)
    return n_threads


def describe_devices() -> list[str]:
    """Return one line for each device that torch can use here."""
    lines = [f"cpu, {len(os.sched_getaffinity(0))} cores, torch {torch.__version__}"]
    n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    for index in range(n_gpus):
        free, total = torch.cuda.mem_get_info(index)
        name = torch.cuda.get_device_name(index)
        lines.append(f"cuda:{index} {name}, {free >> 30} of {total >> 30} GiB free")
    return lines
