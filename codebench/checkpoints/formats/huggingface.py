"""Recognise and check a Hugging Face directory: config.json, safetensors weights, a tokenizer.

Covers: one weights file or shards with an index, the directories of the HF Trainer (whose tokenizer
may lie one level up), vocabularies that do not fit the embedding. Does not cover: pickled weights
(`pytorch_model.bin`, `adapter_model.bin`), which are named in the error.
"""

from pathlib import Path
from typing import Any

from codebench.checkpoints.checkpoint import CheckpointFiles
from codebench.checkpoints.formats.safetensors_header import read_safetensors_header
from codebench.checkpoints.formats.settings import Settings, check_names
from codebench.checkpoints.formats.tokenizer_files import (
    check_fit,
    count_ids,
    given_tokenizer,
    in_folder,
    read_json,
)
from codebench.errors import EnvironmentProblem, UsageError

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"

_CONFIG_FILES = (CONFIG, "generation_config.json")
_EMBEDDING_ENDS = ("embed_tokens.weight", "wte.weight", "embed_in.weight", "word_embeddings.weight")


def looks_like_huggingface(path: Path) -> bool:
    """Return whether `path` holds a configuration and safetensors weights."""
    return (path / CONFIG).is_file() and any((path / name).is_file() for name in (WEIGHTS, INDEX))


def explain_what_is_missing(path: Path) -> str:
    """Return why `path` is no Hugging Face directory, in half a sentence."""
    if (path / "adapter_config.json").is_file():
        return "it is a LoRA adapter: merge it into its base model first (merge_and_unload)"
    if any(path.glob("pytorch_model*.bin")):
        return f"it holds pickled weights only: save them as {WEIGHTS} (safe_serialization=True)"
    missing = [] if (path / CONFIG).is_file() else [CONFIG]
    if not any((path / name).is_file() for name in (WEIGHTS, INDEX)):
        missing.append(f"{WEIGHTS} (or {INDEX})")
    return f"looked for {', '.join(missing)}"


def check_huggingface(
    path: Path, tokenizer: Path | None = None, settings: Settings | None = None
) -> CheckpointFiles:
    """Check every file of the directory `path`.

    Raises:
        UsageError: if the tokenizer is missing or does not fit the weights.
        EnvironmentProblem: if a file is missing from the shards, cut short, or not readable.
    """
    check_names(settings or {}, (), owner="a Hugging Face directory")
    config = read_json(path / CONFIG)
    weights = _weight_files(path)
    shapes: dict[str, tuple[int, ...]] = {}
    for file in weights:
        shapes.update(read_safetensors_header(file).shapes)
    files = _tokenizer_files(path) if tokenizer is None else given_tokenizer(tokenizer)
    n_ids = count_ids(files)
    n_rows = _count_embedding_rows(shapes, config)
    check_fit(files, n_ids=n_ids, n_rows=n_rows)
    return CheckpointFiles(
        weights=weights,
        tokenizer=files,
        config=tuple(path / name for name in _CONFIG_FILES if (path / name).is_file()),
        n_tokenizer_ids=n_ids,
        n_embedding_rows=n_rows,
    )


def _weight_files(path: Path) -> tuple[Path, ...]:
    if (path / WEIGHTS).is_file():
        return (path / WEIGHTS,)
    weight_map = read_json(path / INDEX).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise EnvironmentProblem(f"{path / INDEX} has no weight_map; still being written?")
    shards = sorted({str(name) for name in weight_map.values()})
    missing = [name for name in shards if not (path / name).is_file()]
    if missing:
        raise EnvironmentProblem(
            f"{path} lacks {len(missing)} of {len(shards)} shards: {', '.join(missing[:4])}"
            f"{' ...' if len(missing) > 4 else ''}; still being written? wait, or copy it again"
        )
    return tuple(path / name for name in shards)


def _tokenizer_files(path: Path) -> tuple[Path, ...]:
    for folder in (path, path.parent):
        found = in_folder(folder)
        if found:
            return found
    raise UsageError(
        f"{path} has no tokenizer: looked for tokenizer.json, vocab.json and tokenizer.model there "
        "and one level up; save it beside the weights (tokenizer.save_pretrained)"
    )


def _count_embedding_rows(shapes: dict[str, tuple[int, ...]], config: dict[str, Any]) -> int | None:
    for name, shape in shapes.items():
        if name.endswith(_EMBEDDING_ENDS) and len(shape) == 2:
            return shape[0]
    vocab_size = config.get("vocab_size")
    return vocab_size if isinstance(vocab_size, int) else None
