"""Open the sampler that fits a checkpoint; torch is imported only then."""

import os
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from codebench.checkpoints.checkpoint import Checkpoint, CheckpointFormat
from codebench.errors import UsageError
from codebench.sampling.completion import Sampler, SamplingParams

if TYPE_CHECKING:
    import torch

    from codebench.sampling.loaded_model import LoadedModel
    from codebench.sampling.row_sampler import Notify

_MAX_ROWS = 4096


class Loader(Protocol):
    """Loads a checkpoint of one format."""

    def __call__(
        self, checkpoint: Checkpoint, device: "torch.device", *, notify: "Notify"
    ) -> "LoadedModel":
        """Load `checkpoint` to `device`; `notify` takes lines for the user."""
        ...


def _load(checkpoint: Checkpoint, device: "torch.device", *, notify: "Notify") -> "LoadedModel":
    """Call the loader of the checkpoint's format; only that one is imported."""
    module, function = LOADERS[checkpoint.format]
    load: Loader = getattr(import_module(f"codebench.sampling.formats.{module}"), function)
    return load(checkpoint, device, notify=notify)


LOADERS: Mapping[CheckpointFormat, tuple[str, str]] = {
    CheckpointFormat.HUGGINGFACE: ("huggingface", "load_huggingface"),
    CheckpointFormat.PEFT: ("peft", "load_adapted"),
    CheckpointFormat.NANOGPT: ("nanogpt", "load_nanogpt"),
    CheckpointFormat.NANOCHAT: ("nanochat", "load_nanochat"),
    CheckpointFormat.NANOCHAT_TERNARY: ("ternary", "load_ternary"),
    CheckpointFormat.CUSTOM: ("custom", "load_custom"),
}
"""Module of `formats` and function that load a format."""


def open_sampler(  # noqa: PLR0913  (they are the options of one command)
    checkpoint: Checkpoint,
    params: SamplingParams,
    *,
    device: str = "auto",
    batch_size: int | None = None,
    n_threads: int | None = None,
    chat: bool = False,
    notify: Callable[[str], None] = lambda _: None,
) -> Sampler:
    """Load `checkpoint` and return a sampler over it.

    Args:
        checkpoint: A checked checkpoint.
        params: How tokens are drawn.
        device: auto, cpu, cuda or cuda:N; auto takes a GPU where there is one.
        batch_size: Rows that decode together; by default what suits the device and its memory.
        n_threads: Threads of torch on the CPU; by default half of the cores.
        chat: Ask for the program in a message, through the tokenizer's chat template.
        notify: Takes one line for the user's stderr.

    Raises:
        UsageError: if an argument is wrong, the model is of a kind that is not covered, or there is
            no chat template.
        EnvironmentProblem: if the device does not work or the weights do not load.
    """
    if batch_size is not None and not 1 <= batch_size <= _MAX_ROWS:
        raise UsageError(f"batch size {batch_size} is out of range: give 1 to {_MAX_ROWS}")
    started = time.perf_counter()
    # Read once, when torch is imported: threads that wait sleep instead of burning the cores that
    # the sandbox compiles on.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    from codebench.sampling.device import choose_device, set_threads

    where = choose_device(device)  # a wrong name fails before the slower import
    from codebench.sampling.row_sampler import RowSampler

    set_threads(n_threads)
    loaded = _load(checkpoint, where, notify=notify)
    prompts = None
    if chat:
        from codebench.sampling.prompt_ids import ChatPrompts

        prompts = ChatPrompts(checkpoint, loaded.codec)
    load_s = time.perf_counter() - started
    return RowSampler(
        loaded, params, batch_size=batch_size, load_s=load_s, notify=notify, chat=prompts
    )
