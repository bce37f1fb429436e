"""The same random model as a checkpoint of nanoGPT and as a Hugging Face directory, both loaded."""

import shutil
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import PreTrainedModel

from codebench.checkpoints.resolve import resolve_checkpoint
from codebench.sampling.formats.huggingface import load_huggingface
from codebench.sampling.formats.nanogpt import load_nanogpt
from codebench.sampling.loaded_model import LoadedModel

N_LAYER, N_HEAD, N_EMBD, BLOCK_SIZE = 6, 6, 192, 512
"""Between nanoGPT's settings for a CPU and its `shakespeare_char`: 3.2 million parameters."""


def nanogpt_twins(folder: Path, tokenizer: Path, device: torch.device) -> dict[str, LoadedModel]:
    """Write both into `folder` and return them loaded, as `nanogpt` and `huggingface`.

    Args:
        folder: An empty folder.
        tokenizer: A tokenizer.json, whose vocabulary decides that of the model.
        device: Where they are to compute.
    """
    n_ids = Tokenizer.from_file(str(tokenizer)).get_vocab_size()
    ckpt = folder / "out" / "ckpt.pt"
    ckpt.parent.mkdir()
    torch.save(_content(n_ids), ckpt)
    found = resolve_checkpoint(str(ckpt), tokenizer=tokenizer)
    nanogpt = load_nanogpt(found, device, notify=lambda _: None)
    model = nanogpt.model
    assert isinstance(model, PreTrainedModel)
    model.config.eos_token_id = sorted(nanogpt.eos_ids)  # nanoGPT's file names none
    converted = folder / "converted"
    model.save_pretrained(converted)
    shutil.copy(tokenizer, converted / "tokenizer.json")
    huggingface = load_huggingface(
        resolve_checkpoint(str(converted)), device, notify=lambda _: None
    )
    return {"nanogpt": nanogpt, "huggingface": huggingface}


def _content(n_ids: int) -> dict[str, object]:
    """Return what nanoGPT's train.py saves, untrained."""
    torch.manual_seed(0)
    d = N_EMBD
    shapes: dict[str, tuple[int, ...]] = {"wte": (n_ids, d), "wpe": (BLOCK_SIZE, d), "ln_f": (d,)}
    for i in range(N_LAYER):
        layer = {"attn.c_attn": (3 * d, d), "attn.c_proj": (d, d), "ln_1": (d,), "ln_2": (d,)}
        layer |= {"mlp.c_fc": (4 * d, d), "mlp.c_proj": (d, 4 * d)}
        shapes |= {f"h.{i}.{part}": shape for part, shape in layer.items()}
    weights = {
        f"_orig_mod.transformer.{part}.weight": (
            torch.ones(shape) if len(shape) == 1 else 0.05 * torch.randn(shape)
        )
        for part, shape in shapes.items()
    }
    weights["_orig_mod.lm_head.weight"] = weights["_orig_mod.transformer.wte.weight"]
    return {
        "model": weights,
        "model_args": {
            "n_layer": N_LAYER,
            "n_head": N_HEAD,
            "n_embd": d,
            "block_size": BLOCK_SIZE,
            "vocab_size": n_ids,
            "bias": False,
            "dropout": 0.0,
        },
        "iter_num": 0,
        "config": {"dataset": "none"},
    }
