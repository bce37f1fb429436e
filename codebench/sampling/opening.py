"""Open the sampler that fits a checkpoint; torch is imported only then."""

import os
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from codebench.checkpoints.checkpoint import Checkpoint, CheckpointFormat
from codebench.errors import UsageError
from codebench.sampling.completion import Sampler, SamplingParams

_MAX_ROWS = 4096


class Loader(Protocol):
    """Opens a sampler over a checkpoint of one format."""

    def __call__(
        self,
        checkpoint: Checkpoint,
        params: SamplingParams,
        *,
        device: str,
        batch_size: int | None,
        n_threads: int | None,
        notify: Callable[[str], None],
    ) -> Sampler:
        """Load `checkpoint`; the arguments are those of `open_sampler`."""
        ...


def _open_huggingface(
    checkpoint: Checkpoint,
    params: SamplingParams,
    *,
    device: str,
    batch_size: int | None,
    n_threads: int | None,
    notify: Callable[[str], None],
) -> Sampler:
    started = time.perf_counter()
    # Read once, when torch is imported: threads that wait sleep instead of burning the cores that
    # the sandbox compiles on.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    from codebench.sampling.device import choose_device, set_threads

    where = choose_device(device)  # a wrong name fails before the slower import
    from codebench.sampling.huggingface import HuggingFaceSampler, load_huggingface

    set_threads(n_threads)
    loaded = load_huggingface(checkpoint, where, notify=notify)
    load_s = time.perf_counter() - started
    return HuggingFaceSampler(loaded, params, batch_size=batch_size, load_s=load_s)


LOADERS: Mapping[CheckpointFormat, Loader] = {
    CheckpointFormat.HUGGINGFACE: _open_huggingface,
}


def open_sampler(
    checkpoint: Checkpoint,
    params: SamplingParams,
    *,
    device: str = "auto",
    batch_size: int | None = None,
    n_threads: int | None = None,
    notify: Callable[[str], None] = lambda _: None,
) -> Sampler:
    """Load `checkpoint` and return a sampler over it.

    Args:
        checkpoint: A checked checkpoint.
        params: How tokens are drawn.
        device: auto, cpu, cuda or cuda:N; auto takes a GPU where there is one.
        batch_size: Rows that decode together; by default what suits the device.
        n_threads: Threads of torch on the CPU; by default half of the cores.
        notify: Takes one line for the user's stderr.

    Raises:
        UsageError: if an argument is wrong or the model is of a kind that is not covered.
        EnvironmentProblem: if the device does not work or the weights do not load.
    """
    if batch_size is not None and not 1 <= batch_size <= _MAX_ROWS:
        raise UsageError(f"batch size {batch_size} is out of range: give 1 to {_MAX_ROWS}")
    return LOADERS[checkpoint.format](
        checkpoint,
        params,
        device=device,
        batch_size=batch_size,
        n_threads=n_threads,
        notify=notify,
    )
