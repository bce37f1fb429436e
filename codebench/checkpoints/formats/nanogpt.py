"""Recognise and check a checkpoint of nanoGPT: `ckpt.pt`, one file that is overwritten.

Keys: model (state dict), optimizer, model_args {n_layer, n_head, n_embd, block_size, bias,
vocab_size, dropout}, iter_num (the step), best_val_loss, config {dataset, ...}. Tensors:
transformer.wte/wpe, transformer.h.N.{ln_1, ln_2, attn.c_attn, attn.c_proj, mlp.c_fc, mlp.c_proj},
transformer.ln_f, lm_head (tied with wte); early versions also save the mask as attn.bias (and
attn.masked_bias), which hold nothing learned. Characters are in data/<dataset>/meta.pkl; without
one the dataset was made with GPT-2's tokens, 50257 of which are padded to 50304.

Not in the file: the activation. It is the exact GELU since June 2023 and GPT-2's tanh
approximation before: `--set activation=gelu_new`.

Source: https://github.com/karpathy/nanoGPT, train.py, model.py, sample.py.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codebench.checkpoints.checkpoint import CheckpointFiles
from codebench.checkpoints.formats.named_tensors import check_shapes, shapes_of
from codebench.checkpoints.formats.pickled_vocabulary import CHAR_FILE
from codebench.checkpoints.formats.settings import Settings, check_names, one_of
from codebench.checkpoints.formats.tokenizer_files import (
    TOKENIZER_JSON,
    check_fit,
    count_ids,
    first_tokenizer,
    given_tokenizer,
)
from codebench.checkpoints.formats.torch_file import is_torch_file, read_torch_file
from codebench.errors import CodebenchError, UsageError

CKPT = "ckpt.pt"
MASK = re.compile(r"transformer\.h\.\d+\.attn\.(masked_)?bias")
"""Names of the buffers that are dropped."""

ACTIVATIONS = ("gelu", "gelu_new")

_ARGS = ("n_layer", "n_head", "n_embd", "block_size", "vocab_size")
_DATASET = re.compile(r"[\w.-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class NanoGptArchitecture:
    """What decides the forward pass."""

    n_layer: int
    n_head: int
    n_embd: int
    block_size: int
    vocab_size: int
    bias: bool
    activation: str
    """`gelu` (exact) or `gelu_new` (tanh)."""

    has_head: bool
    """Whether the output weights are stored; else they are those of the embedding."""


def looks_like_nanogpt(path: Path) -> bool:
    """Return whether `path` is a torch file that may be nanoGPT's: a .pt that is no nanochat."""
    return path.suffix == ".pt" and path.is_file() and not path.name.startswith(("model_", "optim"))


def is_named_like_nanogpt(path: Path) -> bool:
    """Return whether a listing shows `path`: ckpt.pt, and ckpt_1000.pt as some trainers keep it."""
    return path.name.startswith("ckpt") and looks_like_nanogpt(path)


def nanogpt_step(path: Path) -> int | None:
    """Return iter_num, or None where the file does not say it."""
    try:
        content = read_torch_file(path) if is_torch_file(path) else None
    except CodebenchError:
        return None
    step = content.get("iter_num") if isinstance(content, dict) else None
    return step if isinstance(step, int) else None


def check_nanogpt(path: Path, tokenizer: Path | None, settings: Settings) -> CheckpointFiles:
    """Check the file, its tensors and its tokenizer.

    Raises:
        UsageError: if it is no checkpoint of nanoGPT, or its tokenizer is missing or does not fit.
        EnvironmentProblem: if it is cut short, damaged, or its tensors do not fit its model_args.
    """
    content = _content(path)
    architecture = _architecture(content, path, settings)
    if tokenizer is not None:
        files = given_tokenizer(tokenizer)
    else:
        files = first_tokenizer(
            _tokenizer_places(path, content.get("config")),
            owner=path,
            advice="give --tokenizer: its meta.pkl, or GPT-2's tokenizer.json if it was trained "
            "on GPT-2's tokens",
        )
    n_ids = count_ids(files)
    check_fit(files, n_ids=n_ids, n_rows=architecture.vocab_size)
    step = content.get("iter_num")
    return CheckpointFiles(
        weights=(path,),
        tokenizer=files,
        config=(),
        n_tokenizer_ids=n_ids,
        n_embedding_rows=architecture.vocab_size,
        step=step if isinstance(step, int) else None,
    )


def nanogpt_architecture(path: Path, settings: Settings) -> NanoGptArchitecture:
    """Read model_args from the file and check the tensors against it.

    Raises:
        UsageError: if model_args or a setting is not what nanoGPT writes.
        EnvironmentProblem: if the file is damaged, or the tensors do not fit.
    """
    return _architecture(_content(path), path, settings)


def _architecture(content: dict[str, Any], path: Path, settings: Settings) -> NanoGptArchitecture:
    check_names(settings, ("activation",), owner="nanoGPT")
    args = content["model_args"]
    for name in _ARGS:
        if not isinstance(args.get(name), int) or args[name] < 1:
            raise UsageError(f"{path} is no checkpoint of nanoGPT: model_args has no {name}")
    shapes = {k: s for k, s in shapes_of(content["model"], path).items() if not MASK.fullmatch(k)}
    architecture = NanoGptArchitecture(
        **{name: args[name] for name in _ARGS},
        bias=bool(args.get("bias", True)),
        activation=one_of(settings, "activation", ACTIVATIONS, "gelu"),
        has_head="lm_head.weight" in shapes,
    )
    check_shapes(shapes, _expected(architecture), path=path, source="its model_args")
    return architecture


def _content(path: Path) -> dict[str, Any]:
    content = read_torch_file(path)
    if isinstance(content, dict) and isinstance(content.get("model_args"), dict):
        return content
    raise UsageError(
        f"{path} is no checkpoint of nanoGPT: it holds no model_args; "
        "a format of your own is opened with --loader package.module:function"
    )


def _expected(a: NanoGptArchitecture) -> dict[str, tuple[int, ...]]:
    d = a.n_embd
    shapes: dict[str, tuple[int, ...]] = {
        "transformer.wte.weight": (a.vocab_size, d),
        "transformer.wpe.weight": (a.block_size, d),
        "transformer.ln_f.weight": (d,),
    }
    if a.has_head:
        shapes["lm_head.weight"] = (a.vocab_size, d)
    for i in range(a.n_layer):
        h = f"transformer.h.{i}"
        shapes[f"{h}.ln_1.weight"] = shapes[f"{h}.ln_2.weight"] = (d,)
        shapes[f"{h}.attn.c_attn.weight"] = (3 * d, d)
        shapes[f"{h}.attn.c_proj.weight"] = (d, d)
        shapes[f"{h}.mlp.c_fc.weight"] = (4 * d, d)
        shapes[f"{h}.mlp.c_proj.weight"] = (d, 4 * d)
    if a.bias:
        biases = {n.removesuffix("weight"): s for n, s in shapes.items() if ".wte" not in n}
        for name, shape in biases.items():
            if ".wpe." not in name and not name.startswith("lm_head"):
                shapes[f"{name}bias"] = shape[:1]
    return shapes


def _tokenizer_places(path: Path, config: object) -> list[Path]:
    """List where nanoGPT keeps the vocabulary: beside the file, or data/<dataset> near it."""
    folder = path.absolute().parent
    places = [folder / CHAR_FILE, folder / TOKENIZER_JSON]
    dataset = config.get("dataset") if isinstance(config, dict) else None
    if isinstance(dataset, str) and _DATASET.fullmatch(dataset) and dataset.strip("."):
        for root in (folder.parent, folder, folder.parent.parent, Path()):
            data = root / "data" / dataset
            places += [data / CHAR_FILE, data / TOKENIZER_JSON]
    return places
