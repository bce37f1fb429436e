"""Recognise and check a checkpoint of nanochat-rs-ternary: model.safetensors and meta.json.

`meta.json` has version (absent in old ones), config (the whole TrainConfig), step and loss.
Tensors: tok_embed; blocks.N.{norm_attn, norm_ffn}; blocks.N.attn.{wq, wk, wv, wo};
blocks.N.ffn.{w_gate, w_up, w_down}; blocks.N.{mhc_attn, mhc_ffn}.{alpha_logit, pre_logits,
pre_bias, post_logits, post_bias}; norm_final; lm_head unless tied. The width of the feed-forward
layer is dim * ffn_mult in 32-bit arithmetic, cut to a whole number and rounded up to a multiple of
group_size. The tokenizer is GPT-2's (models/gpt2-tokenizer.json of the repository) or the
dataset's own.

Covers: the standard architecture with two streams. Does not cover, and refuses by the name of the
config key: loops (loop_config), wave field layers, engrams, simulated FP4.

Two things the files leave open. The trainer repeats key/value heads as a block (0 1 0 1), other
code of the project head by head (0 0 1 1): with fewer key/value heads than heads, `--set
gqa=tile|interleave` decides. The residual is added before the streams are mixed; early versions
mixed first: `--set mhc=mix-first`.

Source: https://github.com/architehc/nanochat-rs-ternary, crates/nanochat-train/src/{checkpoint,
config, model, block, mhc, attention, ffn, layers, quantize}.rs and crates/mhc-lite/src/n2.rs.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codebench.checkpoints.checkpoint import CheckpointFiles
from codebench.checkpoints.formats.named_tensors import check_shapes
from codebench.checkpoints.formats.safetensors_header import read_safetensors_header
from codebench.checkpoints.formats.settings import Settings, check_names, one_of
from codebench.checkpoints.formats.tokenizer_files import (
    TOKENIZER_JSON,
    check_fit,
    count_ids,
    first_tokenizer,
    given_tokenizer,
    read_json,
)
from codebench.errors import EnvironmentProblem, UsageError

META = "meta.json"
WEIGHTS = "model.safetensors"

_TRAINING_ONLY = {"use_8bit_optim", "use_galore", "use_mtp", "use_collider", "use_async_loader"}
"""Switches that change the training and not the model."""

_SIZES = ("dim", "n_layers", "n_heads", "n_kv_heads", "vocab_size", "max_seq_len", "group_size")
_MHC = {"alpha_logit": 1, "pre_logits": 2, "pre_bias": 2, "post_logits": 2, "post_bias": 2}
_GPT2_N_IDS = 50257
_N_FOLDERS_ABOVE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class TernaryArchitecture:
    """What decides the forward pass."""

    dim: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    vocab_size: int
    max_seq_len: int
    group_size: int
    """Weights that share one scale, counted over the flat matrix."""

    ffn_dim: int
    rope_theta: float
    is_tied: bool
    mixes_first: bool
    repeats_as_block: bool
    """Whether head h reads key/value head h modulo n_kv_heads."""


def looks_like_ternary(path: Path) -> bool:
    """Return whether `path` holds both files and no Hugging Face configuration."""
    names = (META, WEIGHTS)
    return all((path / n).is_file() for n in names) and not (path / "config.json").is_file()


def ternary_step(path: Path) -> int | None:
    """Return the step of meta.json, or None where it does not say it."""
    try:
        step = read_json(path / META).get("step")
    except EnvironmentProblem:
        return None
    return step if isinstance(step, int) else None


def check_ternary(path: Path, tokenizer: Path | None, settings: Settings) -> CheckpointFiles:
    """Check both files and the tokenizer of the directory `path`.

    Raises:
        UsageError: if the architecture is not covered, or the tokenizer is missing or does not fit.
        EnvironmentProblem: if a file is cut short, damaged, or does not fit.
    """
    architecture = ternary_architecture(path, settings)
    if tokenizer is not None:
        files = given_tokenizer(tokenizer)
    else:
        folders = (path.absolute(), *path.absolute().parents[:_N_FOLDERS_ABOVE])
        places = [folder / TOKENIZER_JSON for folder in folders[:3]]
        if architecture.vocab_size == _GPT2_N_IDS:
            places += [folder / "models" / "gpt2-tokenizer.json" for folder in folders[1:]]
        files = first_tokenizer(
            places, owner=path, advice="give its tokenizer.json with --tokenizer"
        )
    n_ids = count_ids(files)
    check_fit(files, n_ids=n_ids, n_rows=architecture.vocab_size)
    return CheckpointFiles(
        weights=(path / WEIGHTS,),
        tokenizer=files,
        config=(path / META,),
        n_tokenizer_ids=n_ids,
        n_embedding_rows=architecture.vocab_size,
        step=ternary_step(path),
    )


def ternary_architecture(path: Path, settings: Settings) -> TernaryArchitecture:
    """Read the architecture from meta.json and check every tensor against it.

    Raises:
        UsageError: if it is one that is not covered, or `--set` must decide.
        EnvironmentProblem: if a file is cut short, damaged, or does not fit.
    """
    check_names(settings, ("gqa", "mhc"), owner="nanochat-rs-ternary")
    meta = path / META
    config = read_json(meta).get("config")
    if not isinstance(config, dict):
        raise UsageError(f"{meta} has no config: is this a checkpoint of nanochat-rs-ternary?")
    _refuse_variants(config, meta)
    sizes = _sizes(config, meta)
    repeats = "tile"
    if sizes["n_kv_heads"] != sizes["n_heads"]:
        if "gqa" not in settings:
            raise UsageError(
                f"{meta} is ambiguous: the trainer of nanochat-rs-ternary repeats its n_kv_heads "
                "as a block, other code of it head by head; add --set gqa=tile or "
                "--set gqa=interleave"
            )
        repeats = one_of(settings, "gqa", ("tile", "interleave"), "tile")
    architecture = TernaryArchitecture(
        **sizes,
        ffn_dim=_ffn_dim(sizes, _number(config, "ffn_mult", meta)),
        rope_theta=_number(config, "rope_theta", meta),
        is_tied=config.get("weight_tied") is True,
        mixes_first=one_of(settings, "mhc", ("add-first", "mix-first"), "add-first") == "mix-first",
        repeats_as_block=repeats == "tile",
    )
    shapes = read_safetensors_header(path / WEIGHTS).shapes
    check_shapes(shapes, _expected(architecture), path=path / WEIGHTS, source=META)
    return architecture


def _refuse_variants(config: dict[str, Any], meta: Path) -> None:
    found = [name for name in ("loop_config",) if config.get(name) is not None]
    found += [
        name
        for name, value in config.items()
        if name.startswith("use_") and value and name not in _TRAINING_ONLY
    ]
    if config.get("mhc_n_streams") != 2:
        found.append("mhc_n_streams")
    if found:
        raise UsageError(
            f"{meta}: config key {found[0]} = {config.get(found[0])!r} is a variant of "
            "nanochat-rs-ternary that codebench does not load, only standard layers with two "
            "streams; open it with --loader package.module:function"
        )


def _sizes(config: dict[str, Any], meta: Path) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for name in _SIZES:
        value = config.get(name)
        if not isinstance(value, int) or not 1 <= value <= 1 << 30:
            raise UsageError(f"{meta}: config has no usable {name} ({value!r})")
        sizes[name] = value
    if sizes["dim"] % (2 * sizes["n_heads"]) or sizes["n_heads"] % sizes["n_kv_heads"]:
        raise UsageError(f"{meta}: config does not divide dim and n_heads evenly into heads")
    if sizes["dim"] % sizes["group_size"]:
        raise UsageError(f"{meta}: config does not divide dim evenly into groups of group_size")
    return sizes


def _number(config: dict[str, Any], name: str, meta: Path) -> float:
    value = config.get(name)
    if not isinstance(value, int | float) or not 0 < value < 1e9:
        raise UsageError(f"{meta}: config has no usable {name} ({value!r})")
    return float(value)


def _float32(value: float) -> float:
    rounded: tuple[float] = struct.unpack("f", struct.pack("f", value))
    return rounded[0]


def _ffn_dim(sizes: dict[str, int], ffn_mult: float) -> int:
    group = sizes["group_size"]
    return -(-int(_float32(sizes["dim"] * _float32(ffn_mult))) // group) * group


def _expected(a: TernaryArchitecture) -> dict[str, tuple[int, ...]]:
    kv = a.dim // a.n_heads * a.n_kv_heads
    shapes: dict[str, tuple[int, ...]] = {
        "tok_embed.weight": (a.vocab_size, a.dim),
        "norm_final.weight": (a.dim,),
    }
    if not a.is_tied:
        shapes["lm_head.weight"] = (a.vocab_size, a.dim)
    for i in range(a.n_layers):
        block = f"blocks.{i}"
        shapes[f"{block}.norm_attn.weight"] = shapes[f"{block}.norm_ffn.weight"] = (a.dim,)
        shapes[f"{block}.attn.wq.weight"] = shapes[f"{block}.attn.wo.weight"] = (a.dim, a.dim)
        shapes[f"{block}.attn.wk.weight"] = shapes[f"{block}.attn.wv.weight"] = (kv, a.dim)
        shapes[f"{block}.ffn.w_gate.weight"] = (a.ffn_dim, a.dim)
        shapes[f"{block}.ffn.w_up.weight"] = (a.ffn_dim, a.dim)
        shapes[f"{block}.ffn.w_down.weight"] = (a.dim, a.ffn_dim)
        for name, size in _MHC.items():
            shapes[f"{block}.mhc_attn.{name}"] = shapes[f"{block}.mhc_ffn.{name}"] = (size,)
    return shapes
