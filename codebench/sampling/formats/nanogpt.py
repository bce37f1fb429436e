"""Load a checkpoint of nanoGPT as the GPT-2 model of transformers that computes the same.

GPT-2's projections are transposed (Conv1D), and it always has biases: they are zero where nanoGPT
has none. The activation is the exact GELU unless the settings say otherwise.
"""

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from codebench.checkpoints.checkpoint import Checkpoint
from codebench.checkpoints.formats.nanogpt import (
    MASK,
    NanoGptArchitecture,
    nanogpt_architecture,
    nanogpt_step,
)
from codebench.errors import EnvironmentProblem
from codebench.sampling.device import choose_dtype
from codebench.sampling.formats.tokenizers_json import open_codec
from codebench.sampling.formats.weights import Tensors, n_numbers, put_into, read_pt
from codebench.sampling.loaded_model import LoadedModel
from codebench.sampling.row_sampler import Notify
from codebench.sampling.rows.row_attention import use_row_attention

_TRANSPOSED = ("attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")


def load_nanogpt(checkpoint: Checkpoint, device: torch.device, *, notify: Notify) -> LoadedModel:
    """Load model and tokenizer.

    Raises:
        UsageError: if the tokenizer is refused.
        EnvironmentProblem: if the weights do not load, or the trainer has just overwritten them.
    """
    dtype = choose_dtype(device)
    architecture = nanogpt_architecture(checkpoint.path, checkpoint.settings)
    codec, eos_ids = open_codec(checkpoint.files.tokenizer)
    if not eos_ids:
        notify(f"{checkpoint.path} names no end token: samples end at their item's end or limit")
    tensors = _as_gpt2(read_pt(checkpoint.path, key="model"), architecture, dtype)
    if nanogpt_step(checkpoint.path) != checkpoint.step:
        raise EnvironmentProblem(f"{checkpoint.path} was overwritten meanwhile: run it again")
    is_tied = torch.equal(tensors["lm_head.weight"], tensors["transformer.wte.weight"])
    with torch.device("meta"):
        model = GPT2LMHeadModel(_config(architecture, is_tied=is_tied))
    if is_tied:
        tensors["lm_head.weight"] = tensors["transformer.wte.weight"]
    put_into(model, tensors, device=device)
    if device.type == "cpu":
        use_row_attention(model)
    return LoadedModel(
        model=model,
        model_type="nanogpt",
        n_parameters=n_numbers(model),
        codec=codec,
        device=device,
        dtype=dtype,
        n_layers=architecture.n_layer,
        n_ids=min(codec.n_ids, architecture.vocab_size),
        eos_ids=eos_ids,
        max_positions=architecture.block_size,
        takes_whole_mask=True,
    )


def _config(a: NanoGptArchitecture, *, is_tied: bool) -> GPT2Config:
    return GPT2Config(
        vocab_size=a.vocab_size,
        n_positions=a.block_size,
        n_embd=a.n_embd,
        n_layer=a.n_layer,
        n_head=a.n_head,
        activation_function=a.activation,
        layer_norm_epsilon=1e-5,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        tie_word_embeddings=is_tied,
        bos_token_id=None,
        eos_token_id=None,
    )


def _as_gpt2(tensors: Tensors, a: NanoGptArchitecture, dtype: torch.dtype) -> Tensors:
    """Return nanoGPT's tensors in the shapes of GPT-2, biases and the head included."""
    found = {k: t.to(dtype, copy=True) for k, t in tensors.items() if not MASK.fullmatch(k)}
    found.setdefault("lm_head.weight", found["transformer.wte.weight"])
    for name in list(found):
        if name.endswith(_TRANSPOSED):
            found[name] = found[name].t().contiguous()
        if a.bias or name.endswith((".wte.weight", ".wpe.weight", "lm_head.weight")):
            continue
        found[name.removesuffix("weight") + "bias"] = torch.zeros(
            found[name].shape[-1:], dtype=dtype
        )
    return found
