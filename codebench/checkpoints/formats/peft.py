"""Recognise and check a LoRA adapter of PEFT: adapter_config.json and adapter_model.safetensors.

The adapter holds, for each adapted layer, `base_model.model.<layer>.lora_A.weight` (r, in) and
`.lora_B.weight` (out, r); the layer becomes W + scale * B A with scale = lora_alpha / r, or
lora_alpha / sqrt(r) with use_rslora. The base model is what `base_model_name_or_path` names: a
directory, as given or beside the adapter, or a model in the local Hugging Face cache;
`--set base=DIRECTORY` says another.

Covers: LoRA on linear layers. Does not cover, and refuses by the key of adapter_config.json: other
methods, DoRA, biases, saved modules, alpha patterns, embeddings, replicated layers.

Source: https://github.com/huggingface/peft, src/peft/tuners/lora/{config,layer}.py,
src/peft/utils/save_and_load.py; huggingface_hub's cache layout.
"""

import math
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codebench.checkpoints.checkpoint import CheckpointFiles
from codebench.checkpoints.formats.huggingface import check_huggingface, looks_like_huggingface
from codebench.checkpoints.formats.safetensors_header import read_safetensors_header
from codebench.checkpoints.formats.settings import Settings, check_names
from codebench.checkpoints.formats.tokenizer_files import in_folder, read_json
from codebench.errors import UsageError

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"

_HARMLESS: dict[str, tuple[object, ...]] = {
    "use_dora": (None, False),
    "use_qalora": (None, False),
    "bias": (None, "none"),
    "lora_bias": (None, False),
    "modules_to_save": (None, []),
    "alpha_pattern": (None, {}),
    "layer_replication": (None, []),
    "trainable_token_indices": (None, [], {}),
    "target_parameters": (None, []),
    "megatron_config": (None,),
    "alora_invocation_tokens": (None, []),
    "arrow_config": (None,),
}
"""Keys that mean more than plain LoRA, and the values with which they do not."""

_NAME = re.compile(r"base_model\.model\.(?P<layer>.+)\.lora_(?P<side>[AB])\.(?:\w+\.)?weight")


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """What is added to the base model."""

    base: Path
    layers: tuple[str, ...]
    """Adapted layers by their names in the base model."""

    tensors: dict[str, tuple[str, str]]
    """Names of A and B, by layer."""

    alpha: float
    is_rank_stabilised: bool

    def scale(self, rank: int) -> float:
        """Return what B A is multiplied with."""
        return self.alpha / (math.sqrt(rank) if self.is_rank_stabilised else rank)


def looks_like_adapter(path: Path) -> bool:
    """Return whether `path` holds the two files of an adapter, and no whole model."""
    both = (path / CONFIG).is_file() and (path / WEIGHTS).is_file()
    return both and not looks_like_huggingface(path)


def check_adapter(path: Path, tokenizer: Path | None, settings: Settings) -> CheckpointFiles:
    """Check the adapter and its base model; the tokenizer is the adapter's own or the base's.

    Raises:
        UsageError: if it is more than plain LoRA, or its base model is not found.
        EnvironmentProblem: if a file of either is missing, cut short, or damaged.
    """
    adapter = read_adapter(path, settings)
    own = path if tokenizer is None and in_folder(path) else tokenizer
    base = check_huggingface(adapter.base, own, {})
    return CheckpointFiles(
        weights=(path / WEIGHTS, *base.weights),
        tokenizer=base.tokenizer,
        config=(path / CONFIG, *base.config),
        n_tokenizer_ids=base.n_tokenizer_ids,
        n_embedding_rows=base.n_embedding_rows,
    )


def read_adapter(path: Path, settings: Settings) -> Adapter:
    """Read the adapter's configuration and the names of its tensors.

    Raises:
        UsageError: if it is more than plain LoRA, or its base model is not found.
        EnvironmentProblem: if a file is cut short or damaged.
    """
    check_names(settings, ("base",), owner="a LoRA adapter")
    config = read_json(path / CONFIG)
    _refuse_variants(config, path)
    alpha = config.get("lora_alpha")
    if not isinstance(alpha, int | float):
        raise UsageError(f"{path / CONFIG} has no lora_alpha")
    pairs: dict[str, dict[str, str]] = {}
    for name in read_safetensors_header(path / WEIGHTS).shapes:
        match = _NAME.fullmatch(name)
        if match is None:
            raise UsageError(
                f"{path / WEIGHTS} holds {name}, which is not LoRA on a linear layer: merge the "
                "adapter into its base model first (merge_and_unload)"
            )
        pairs.setdefault(match["layer"], {})[match["side"]] = name
    incomplete = [layer for layer, sides in pairs.items() if len(sides) != 2]
    if incomplete or not pairs:
        which = incomplete[0] if incomplete else "any layer"
        raise UsageError(f"{path / WEIGHTS} lacks lora_A or lora_B of {which}")
    return Adapter(
        base=_base(config, path, settings),
        layers=tuple(sorted(pairs)),
        tensors={layer: (sides["A"], sides["B"]) for layer, sides in pairs.items()},
        alpha=float(alpha),
        is_rank_stabilised=config.get("use_rslora") is True,
    )


def _refuse_variants(config: dict[str, Any], path: Path) -> None:
    method = config.get("peft_type")
    found = "peft_type" if method != "LORA" else None
    for key, harmless in _HARMLESS.items():
        if found is None and config.get(key) not in harmless:
            found = key
    if found is not None:
        raise UsageError(
            f"{path / CONFIG}: {found} = {config.get(found)!r} is more than plain LoRA: merge the "
            "adapter into its base model first (merge_and_unload)"
        )


def _base(config: dict[str, Any], path: Path, settings: Settings) -> Path:
    name = settings.get("base", config.get("base_model_name_or_path"))
    if not isinstance(name, str) or not name:
        raise UsageError(f"{path / CONFIG} names no base model; add --set base=DIRECTORY")
    places = [Path(name).expanduser()]
    if "base" not in settings and not places[0].is_absolute():
        places += [path / name, path.parent / name, *_cached(name)]
    elif "base" not in settings:
        places += [path.parent / places[0].name, path.parent.parent / places[0].name]
    for place in places:
        if looks_like_huggingface(place):
            return place
    raise UsageError(
        f"the base model {name!r} of {path} is not found here: add --set base=DIRECTORY "
        "(a Hugging Face directory)"
    )


def _cached(name: str) -> list[Path]:
    """List the snapshots of a hub model in the local cache; nothing is downloaded."""
    default = Path.home() / ".cache" / "huggingface"
    hub = Path(os.environ.get("HF_HUB_CACHE") or Path(os.environ.get("HF_HOME", default)) / "hub")
    model = hub / f"models--{name.replace('/', '--')}"
    try:
        revision = (model / "refs" / "main").read_text().strip()
    except OSError:
        return []
    return [model / "snapshots" / revision]
