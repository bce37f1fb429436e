"""Load a checkpoint of nanochat-rs-ternary into our own decoder, its weights made ternary once."""

import re

import torch

from codebench.checkpoints.checkpoint import Checkpoint
from codebench.checkpoints.formats.ternary import ternary_architecture
from codebench.sampling.formats.ternary_model import TernaryModel, ternary_groups
from codebench.sampling.formats.tokenizers_json import open_codec
from codebench.sampling.formats.weights import Tensors, put_into, read_safetensors
from codebench.sampling.loaded_model import LoadedModel
from codebench.sampling.row_sampler import Notify

_TERNARY = re.compile(r"blocks\.\d+\.(attn|ffn)\.\w+\.weight")


def load_ternary(checkpoint: Checkpoint, device: torch.device, *, notify: Notify) -> LoadedModel:
    """Load model and tokenizer.

    Raises:
        UsageError: if the architecture or the tokenizer is not covered.
        EnvironmentProblem: if the weights do not load.
    """
    dtype = torch.float32  # as the trainer, on every device; see the model
    architecture = ternary_architecture(checkpoint.path, checkpoint.settings)
    codec, eos_ids = open_codec(checkpoint.files.tokenizer)
    if not eos_ids:
        notify(f"{checkpoint.path} names no end token: samples end at their item's end or limit")
    with torch.device("meta"):
        model = TernaryModel(architecture)
    tensors: Tensors = {}
    stored = read_safetensors(checkpoint.files.weights[0])
    for name, tensor in stored.items():
        if _TERNARY.fullmatch(name):
            layer = name.removesuffix("weight")
            signs, scales = ternary_groups(tensor, architecture.group_size)
            tensors |= {f"{layer}signs": signs, f"{layer}scales": scales}
        else:
            tensors[name] = tensor.to(dtype, copy=True)
    put_into(model, tensors, device=device)
    model.prepare(device, dtype)
    return LoadedModel(
        model=model,
        model_type="nanochat-rs-ternary",
        n_parameters=sum(tensor.numel() for tensor in stored.values()),
        codec=codec,
        device=device,
        dtype=dtype,
        n_layers=architecture.n_layers,
        n_ids=min(codec.n_ids, architecture.vocab_size),
        eos_ids=eos_ids,
        max_positions=architecture.max_seq_len,
    )
