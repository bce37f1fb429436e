"""Read the vocabularies that nanoGPT and nanochat pickle, without running the pickle.

`meta.pkl` (nanoGPT, character level): a dict {"vocab_size", "stoi": {char: id}, "itos"}; it needs
no global at all. `tokenizer.pkl` (nanochat): a `tiktoken.Encoding`, whose state is a dict {"name",
"pat_str", "mergeable_ranks": {bytes: rank}, "special_tokens": {text: id}}; its one global becomes a
stand-in, so tiktoken need not be installed.

Sources: nanoGPT data/shakespeare_char/prepare.py; nanochat/tokenizer.py; tiktoken/core.py
`__getstate__`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codebench.checkpoints.formats.restricted_pickle import load_restricted
from codebench.errors import EnvironmentProblem, UsageError

CHAR_FILE = "meta.pkl"
TIKTOKEN_FILE = "tokenizer.pkl"


@dataclass(frozen=True, slots=True, kw_only=True)
class CharVocabulary:
    """One id per character."""

    ids: Mapping[str, int]

    @property
    def n_ids(self) -> int:
        """Largest id + 1."""
        return max(self.ids.values()) + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class BytePairVocabulary:
    """Byte pairs in the order of their merging, as tiktoken defines them."""

    pattern: str
    """Regular expression that cuts a text into the pieces that are merged alone."""

    ranks: Mapping[bytes, int]
    """Token bytes -> id; the lowest rank is merged first."""

    special: Mapping[str, int]

    @property
    def n_ids(self) -> int:
        """Largest id + 1."""
        return max((*self.ranks.values(), *self.special.values())) + 1


class _Encoding:
    """Takes the state of a pickled `tiktoken.core.Encoding`."""

    state: object = None

    def __setstate__(self, state: object) -> None:
        self.state = state


def read_vocabulary(path: Path) -> CharVocabulary | BytePairVocabulary:
    """Read a meta.pkl or a tokenizer.pkl; the content decides which it is.

    Raises:
        UsageError: if the pickle names another global, or holds something else.
        EnvironmentProblem: if it is cut short or cannot be read.
    """
    try:
        with path.open("rb") as file:
            content = load_restricted(file, path, {("tiktoken.core", "Encoding"): _Encoding})
    except OSError as error:
        raise EnvironmentProblem(f"cannot read {path}: {error.strerror}") from error
    if isinstance(content, _Encoding):
        return _byte_pairs(content.state, path)
    if isinstance(content, dict) and _maps(content.get("stoi"), str, int):
        ids: dict[str, int] = content["stoi"]
        if all(len(char) == 1 for char in ids):
            return CharVocabulary(ids=ids)
    raise UsageError(
        f"{path} is no vocabulary that codebench knows: it needs nanoGPT's stoi of single "
        "characters, or a tiktoken.Encoding"
    )


def _byte_pairs(state: object, path: Path) -> BytePairVocabulary:
    if isinstance(state, str):
        raise UsageError(
            f"{path} only names tiktoken's {state!r}, it does not hold it: "
            "give its tokenizer.json with --tokenizer"
        )
    if not isinstance(state, dict):
        raise UsageError(f"{path} holds a tiktoken.Encoding without its state")
    pattern: Any = state.get("pat_str")
    ranks: Any = state.get("mergeable_ranks")
    special: Any = state.get("special_tokens")
    is_whole = isinstance(pattern, str) and _maps(ranks, bytes, int) and _maps(special, str, int)
    if not is_whole or any(bytes([value]) not in ranks for value in range(256)):
        raise UsageError(f"{path} holds a tiktoken.Encoding without pattern, ranks or single bytes")
    return BytePairVocabulary(pattern=pattern, ranks=ranks, special=special)


def _maps(value: object, key_type: type, value_type: type) -> bool:
    return isinstance(value, dict) and all(
        isinstance(k, key_type) and isinstance(v, value_type) for k, v in value.items()
    )
