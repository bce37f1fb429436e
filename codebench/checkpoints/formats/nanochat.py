"""Recognise and check a checkpoint of nanochat: model_%06d.pt and meta_%06d.json in one folder.

`model_*.pt` is a state dict; `meta_*.json` has step, model_config and what the trainer wrote. The
folder (base_checkpoints/d20, chatsft_checkpoints/d20, ...) keeps many steps; the tokenizer of all
of them is tokenizer/tokenizer.pkl in a folder above. Which code the tensors belong to is told by
`nanochat_eras.py`.

Source: https://github.com/karpathy/nanochat, nanochat/checkpoint_manager.py, nanochat/common.py.
"""

import re
from pathlib import Path

from codebench.checkpoints.checkpoint import CheckpointFiles
from codebench.checkpoints.formats.named_tensors import shapes_of
from codebench.checkpoints.formats.nanochat_eras import NanochatArchitecture, read_architecture
from codebench.checkpoints.formats.pickled_vocabulary import TIKTOKEN_FILE
from codebench.checkpoints.formats.settings import Settings
from codebench.checkpoints.formats.tokenizer_files import (
    count_ids,
    first_tokenizer,
    given_tokenizer,
    read_json,
)
from codebench.checkpoints.formats.torch_file import read_torch_file
from codebench.errors import EnvironmentProblem, UsageError

_MODEL = re.compile(r"model_(\d{1,18})\.pt")
_N_FOLDERS_ABOVE = 4


def looks_like_nanochat(path: Path) -> bool:
    """Return whether `path` is named like a model file of nanochat."""
    return nanochat_step(path) is not None and path.is_file()


def nanochat_step(path: Path) -> int | None:
    """Return the step that a model file's name says."""
    match = _MODEL.fullmatch(path.name)
    return int(match[1]) if match else None


def meta_file(path: Path) -> Path:
    """Return where the configuration of the model file `path` is."""
    return path.with_name(path.name.replace("model_", "meta_", 1)).with_suffix(".json")


def check_nanochat(path: Path, tokenizer: Path | None, settings: Settings) -> CheckpointFiles:
    """Check the model file, its meta file and its tokenizer.

    Raises:
        UsageError: if the tokenizer is missing or another model's, or `--set` must decide.
        EnvironmentProblem: if a file is missing, cut short, damaged, or does not fit.
    """
    architecture = nanochat_architecture(path, settings)
    if tokenizer is not None:
        files = given_tokenizer(tokenizer)
    else:
        above = path.absolute().parents[:_N_FOLDERS_ABOVE]
        files = first_tokenizer(
            [folder / "tokenizer" / TIKTOKEN_FILE for folder in above],
            owner=path,
            advice=f"give nanochat's {TIKTOKEN_FILE} with --tokenizer",
        )
    n_ids = count_ids(files)
    if n_ids != architecture.vocab_size:
        raise UsageError(
            f"the tokenizer does not fit the weights: {files[0]} has {n_ids} ids, {path} has "
            f"{architecture.vocab_size}; is it the tokenizer of another model?"
        )
    return CheckpointFiles(
        weights=(path,),
        tokenizer=files,
        config=(meta_file(path),),
        n_tokenizer_ids=n_ids,
        n_embedding_rows=architecture.n_rows,
        step=nanochat_step(path),
    )


def nanochat_architecture(path: Path, settings: Settings) -> NanochatArchitecture:
    """Read the architecture from both files, without the tensors.

    Raises:
        UsageError: if they are not nanochat's, or `--set` must decide.
        EnvironmentProblem: if a file is missing, cut short, damaged, or does not fit.
    """
    meta = meta_file(path)
    shapes = shapes_of(read_torch_file(path), path)
    if not meta.is_file():
        raise EnvironmentProblem(
            f"{path} lacks {meta.name} beside it; still being written? wait, or copy both files"
        )
    config = read_json(meta).get("model_config")
    if not isinstance(config, dict):
        raise UsageError(f"{meta} has no model_config: is {path.name} a checkpoint of nanochat?")
    return read_architecture(shapes, config, settings, path=path)
