"""Load a LoRA adapter: its base model, with the adapter merged into the weights.

peft itself is not needed: plain LoRA is W + scale * B A, computed in float32. What is more than
that has been refused before (`checkpoints/peft.py`).
"""

from dataclasses import replace

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from codebench.checkpoints.checkpoint import Checkpoint
from codebench.checkpoints.formats.peft import Adapter, read_adapter
from codebench.errors import EnvironmentProblem, UsageError
from codebench.sampling.formats.huggingface import load_huggingface
from codebench.sampling.formats.weights import Tensors, read_safetensors
from codebench.sampling.loaded_model import LoadedModel
from codebench.sampling.row_sampler import Notify


def load_adapted(checkpoint: Checkpoint, device: torch.device, *, notify: Notify) -> LoadedModel:
    """Load the base model and merge the adapter into it.

    Raises:
        UsageError: if the base model is of a kind that is not covered, or lacks an adapted layer.
        EnvironmentProblem: if the weights do not load or do not fit.
    """
    adapter = read_adapter(checkpoint.path, checkpoint.settings)
    loaded = load_huggingface(replace(checkpoint, path=adapter.base), device, notify=notify)
    tensors = read_safetensors(checkpoint.files.weights[0])
    assert isinstance(loaded.model, nn.Module)
    for layer in adapter.layers:
        _merge(loaded.model, layer, adapter, tensors, checkpoint)
    notify(f"merged LoRA into {len(adapter.layers)} layers of {adapter.base}")
    return replace(loaded, model_type=f"{loaded.model_type} + LoRA")


@torch.no_grad()
def _merge(
    model: nn.Module, layer: str, adapter: Adapter, tensors: Tensors, checkpoint: Checkpoint
) -> None:
    try:
        module = model.get_submodule(layer)
    except AttributeError:
        module = None
    if not isinstance(module, nn.Linear | Conv1D):
        raise UsageError(
            f"{checkpoint.path} adapts {layer}, which is no linear layer of {adapter.base}: "
            "is it the adapter of another model? give its base with --set base=DIRECTORY"
        )
    if module.weight is _embedding(model):
        raise UsageError(
            f"{checkpoint.path} adapts {layer}, whose weight is also the embedding: untie them and "
            "merge the adapter first (merge_and_unload)"
        )
    name_a, name_b = adapter.tensors[layer]
    a, b = tensors[name_a].float(), tensors[name_b].float()  # (r, in), (out, r)
    weight = module.weight
    out_in = weight.shape if isinstance(module, nn.Linear) else weight.shape[::-1]
    if a.shape[0] != b.shape[1] or (b.shape[0], a.shape[1]) != tuple(out_in):
        raise EnvironmentProblem(
            f"{checkpoint.path} does not fit {adapter.base}: {layer} is {tuple(out_in)}, its "
            f"adapter {tuple(b.shape)} times {tuple(a.shape)}"
        )
    delta = adapter.scale(a.shape[0]) * (b @ a)
    if isinstance(module, Conv1D):
        delta = delta.t()
    merged = weight.float() + delta.to(weight.device)
    weight.copy_(merged.to(weight.dtype))


def _embedding(model: nn.Module) -> torch.Tensor | None:
    assert isinstance(model, PreTrainedModel)
    weight = getattr(model.get_input_embeddings(), "weight", None)
    return weight if isinstance(weight, torch.Tensor) else None
