"""Find the files of a tokenizer and count their ids, without a tokenizer library."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from codebench.checkpoints.formats.pickled_vocabulary import (
    CHAR_FILE,
    TIKTOKEN_FILE,
    read_vocabulary,
)
from codebench.errors import EnvironmentProblem, UsageError

TOKENIZER_JSON = "tokenizer.json"
VOCABULARY_FILES = (TOKENIZER_JSON, "vocab.json", "merges.txt", "tokenizer.model")
"""Files that hold a vocabulary; any of them except merges.txt is enough."""

_EXTRAS = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")


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


def in_folder(folder: Path) -> tuple[Path, ...]:
    """Return the tokenizer files of a Hugging Face layout directly in `folder`, or nothing."""
    vocabularies = [folder / name for name in VOCABULARY_FILES if (folder / name).is_file()]
    if not any(file.name != "merges.txt" for file in vocabularies):
        return ()
    extras = (folder / name for name in _EXTRAS)
    return (*vocabularies, *(file for file in extras if file.is_file()))


def given_tokenizer(path: Path) -> tuple[Path, ...]:
    """Return the files that the user's `--tokenizer` means: a file, or a folder that holds one.

    Raises:
        UsageError: if there is none.
    """
    path = path.expanduser()
    if path.is_dir():
        found = in_folder(path)
        pickled = [path / name for name in (TIKTOKEN_FILE, CHAR_FILE) if (path / name).is_file()]
        if found or pickled:
            return found or (pickled[0],)
    elif path.is_file() and path.name not in VOCABULARY_FILES[1:]:
        beside = [path.parent / name for name in _EXTRAS] if path.name == TOKENIZER_JSON else []
        return (path, *(file for file in beside if file.is_file()))
    raise UsageError(
        f"no tokenizer at {path}: give a tokenizer.json, {TIKTOKEN_FILE} or {CHAR_FILE}, or the "
        "folder of one"
    )


def first_tokenizer(places: Iterable[Path], *, owner: Path, advice: str) -> tuple[Path, ...]:
    """Return the first of `places` that is there, with its companions.

    Raises:
        UsageError: if none is there; the message names them.
    """
    looked: list[str] = []
    for place in places:
        if place.is_file():
            return given_tokenizer(place)
        looked.append(str(place))
    shown = ", ".join(looked[:4]) + (" ..." if len(looked) > 4 else "")
    raise UsageError(f"{owner} has no tokenizer: looked for {shown}; {advice}")


def count_ids(files: tuple[Path, ...]) -> int | None:
    """Return the largest id + 1, or None for a vocabulary that only its own library can read.

    Raises:
        UsageError: if a pickled vocabulary is refused or is something else.
        EnvironmentProblem: if a file is damaged, or not the file of a tokenizer.
    """
    if files[0].suffix == ".pkl":
        return read_vocabulary(files[0]).n_ids
    by_name = {file.name: file for file in files}
    whole = next((file for file in files if file.suffix == ".json"), files[0])
    ids: list[int] = []
    try:
        if TOKENIZER_JSON in by_name or whole.name not in (*VOCABULARY_FILES, *_EXTRAS):
            content = read_json(by_name.get(TOKENIZER_JSON, whole))
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


def check_fit(tokenizer: tuple[Path, ...], *, n_ids: int | None, n_rows: int | None) -> None:
    """Check that the embedding has a row for every id.

    Raises:
        UsageError: if it has not.
    """
    if n_ids is not None and n_rows is not None and n_ids > n_rows:
        raise UsageError(
            f"the tokenizer does not fit the weights: {tokenizer[0]} has ids up to {n_ids - 1}, "
            f"the embedding has {n_rows} rows; is it the tokenizer of another model?"
        )
