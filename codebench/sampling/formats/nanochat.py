"""Load a checkpoint of nanochat, of any era, into our own decoder."""

import torch

from codebench.checkpoints.checkpoint import Checkpoint
from codebench.checkpoints.formats.nanochat import nanochat_architecture
from codebench.sampling.device import choose_dtype
from codebench.sampling.formats.nanochat_model import NanochatModel
from codebench.sampling.formats.tokenizers_json import open_codec
from codebench.sampling.formats.weights import n_numbers, put_into, read_pt
from codebench.sampling.loaded_model import LoadedModel
from codebench.sampling.row_sampler import Notify


def load_nanochat(checkpoint: Checkpoint, device: torch.device, *, notify: Notify) -> LoadedModel:
    """Load model and tokenizer.

    Raises:
        UsageError: if the tokenizer is refused, or `--set` must decide.
        EnvironmentProblem: if the weights do not load.
    """
    dtype = choose_dtype(device)
    architecture = nanochat_architecture(checkpoint.path, checkpoint.settings)
    codec, eos_ids = open_codec(checkpoint.files.tokenizer)
    with torch.device("meta"):
        model = NanochatModel(architecture)
    # The scalars per layer stay exact: nanochat keeps them in float32 on every device.
    tensors = {
        name: tensor.to(dtype if tensor.dim() > 1 else torch.float32, copy=True)
        for name, tensor in read_pt(checkpoint.path).items()
    }
    put_into(model, tensors, device=device)
    model.prepare(device, dtype)
    notify(f"nanochat as its code was from {architecture.era.since} on")
    return LoadedModel(
        model=model,
        model_type="nanochat",
        n_parameters=n_numbers(model),
        codec=codec,
        device=device,
        dtype=dtype,
        n_layers=model.n_cache_layers,
        n_ids=min(codec.n_ids, architecture.vocab_size),
        eos_ids=eos_ids,
        max_positions=model.max_positions,
    )
