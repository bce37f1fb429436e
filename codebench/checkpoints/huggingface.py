"""Recognise and check a Hugging Face directory: config.json, safetensors weights, a tokenizer.

Covers: one weights file or shards with an index, the directories of the HF Trainer (whose tokenizer
may lie one level up), vocabularies that do not fit the embedding. Does not cover: pickled weights
(`pytorch_model.bin`) and LoRA adapters, which are named in the error.
"""

import json
from pathlib import Path
from typing import Any

from codebench.checkpoints.checkpoint import CheckpointFiles
from codebench.checkpoints.safetensors_header import read_safetensors_header
from codebench.errors import EnvironmentProblem, UsageError

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
TOKENIZER_FILES = ("tokenizer.json", "vocab.json", "merges.txt", "tokenizer.model")
"""Files that hold a vocabulary; any of them except merges.txt is enough."""

_TOKENIZER_EXTRAS = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
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


def check_huggingface(path: Path) -> CheckpointFiles:
    """Check every file of the directory `path`.

    Raises:
        UsageError: if the tokenizer is missing or does not fit the weights.
        EnvironmentProblem: if a file is missing from the shards, cut short, or not readable.
    """
    config = read_json(path / CONFIG)
    weights = _weight_files(path)
    shapes: dict[str, tuple[int, ...]] = {}
    for file in weights:
        shapes.update(read_safetensors_header(file).shapes)
    tokenizer = _tokenizer_files(path)
    n_ids = _count_tokenizer_ids(tokenizer)
    n_rows = _count_embedding_rows(shapes, config)
    if n_ids is not None and n_rows is not None and n_ids > n_rows:
        raise UsageError(
            f"the tokenizer does not fit the weights: {tokenizer[0]} has ids up to {n_ids - 1}, "
            f"the embedding has {n_rows} rows; is it the tokenizer of another model?"
        )
    return CheckpointFiles(
        weights=weights,
        tokenizer=tokenizer,
        config=tuple(path / name for name in _CONFIG_FILES if (path / name).is_file()),
        n_tokenizer_ids=n_ids,
        n_embedding_rows=n_rows,
    )


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        EnvironmentProblem: if the file cannot be read or is not a JSON object.
    """
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise EnvironmentProblem(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise EnvironmentProblem(f"{path} is not valid JSON; still being written?") from error
    if not isinstance(content, dict):
        raise EnvironmentProblem(f"{path} is not a JSON object")
    return content


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
        vocabularies = [folder / name for name in TOKENIZER_FILES if (folder / name).is_file()]
        if any(file.name != "merges.txt" for file in vocabularies):
            extras = (folder / name for name in _TOKENIZER_EXTRAS)
            return (*vocabularies, *(file for file in extras if file.is_file()))
    raise UsageError(
        f"{path} has no tokenizer: looked for tokenizer.json, vocab.json and tokenizer.model there "
        "and one level up; save it beside the weights (tokenizer.save_pretrained)"
    )


def _count_tokenizer_ids(files: tuple[Path, ...]) -> int | None:
    """Return the largest id + 1, or None for a vocabulary that is not JSON."""
    by_name = {file.name: file for file in files}
    ids: list[int] = []
    try:
        if "tokenizer.json" in by_name:
            content = read_json(by_name["tokenizer.json"])
            vocab = content["model"]["vocab"]
            ids += vocab.values() if isinstance(vocab, dict) else range(len(vocab))
            ids += (token["id"] for token in content.get("added_tokens") or ())
        elif "vocab.json" in by_name:
            ids += read_json(by_name["vocab.json"]).values()
        if ids and "added_tokens.json" in by_name:
            ids += read_json(by_name["added_tokens.json"]).values()
        return max(ids) + 1 if ids else None
    except (KeyError, TypeError) as error:
        raise EnvironmentProblem(f"{files[0]} is not the file of a tokenizer") from error


def _count_embedding_rows(shapes: dict[str, tuple[int, ...]], config: dict[str, Any]) -> int | None:
    for name, shape in shapes.items():
        if name.endswith(_EMBEDDING_ENDS) and len(shape) == 2:
            return shape[0]
    vocab_size = config.get("vocab_size")
    return vocab_size if isinstance(vocab_size, int) else None
