"""Encode and decode with the vocabularies that nanoGPT and nanochat pickle; no tiktoken needed.

Byte pairs are merged as tiktoken does it: the text is cut by the pattern, a piece that is a token
stays whole, else the pair whose bytes have the lowest rank is merged, leftmost first. Checked
against tiktoken (tests/test_loaders_files.py).
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

from tokenizers import Regex
from tokenizers.pre_tokenizers import Split

from codebench.checkpoints.formats.pickled_vocabulary import BytePairVocabulary, CharVocabulary
from codebench.errors import UsageError
from codebench.sampling.codec import added_text

_CACHED_PIECES = 1 << 14


class CharCodec:
    """One token per character; nothing begins or ends a text."""

    def __init__(self, vocabulary: CharVocabulary) -> None:
        self._n_ids = vocabulary.n_ids
        self._ids = vocabulary.ids
        self._chars = {token_id: char for char, token_id in vocabulary.ids.items()}

    @property
    def n_ids(self) -> int:
        """Largest token id + 1."""
        return self._n_ids

    def encode(self, text: str) -> list[int]:
        """Return the ids of `text`.

        Raises:
            UsageError: if the model has no token for one of its characters.
        """
        unknown = next((char for char in text if char not in self._ids), None)
        if unknown is not None:
            raise UsageError(
                f"the model has no token for {unknown!r} (U+{ord(unknown):04X}), which is in a "
                f"prompt: its vocabulary has {len(self._ids)} characters; leave that prompt out"
            )
        return [self._ids[char] for char in text]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of `ids`."""
        return "".join(self._chars.get(token_id, "") for token_id in ids)

    def new_text(self, prompt_ids: Sequence[int], new_ids: Sequence[int]) -> str:
        """Return what `new_ids` add to the text of `prompt_ids`."""
        return added_text(self, prompt_ids, new_ids)


class BytePairCodec:
    """Byte pairs; a prompt begins with `bos`, as nanochat trains every document."""

    def __init__(self, vocabulary: BytePairVocabulary, *, bos: str) -> None:
        if bos not in vocabulary.special:
            raise UsageError(f"the tokenizer has no token {bos}, with which nanochat begins a text")
        self._n_ids = vocabulary.n_ids
        self._bos_id = vocabulary.special[bos]
        self._ranks = vocabulary.ranks
        self._bytes = {token_id: piece for piece, token_id in vocabulary.ranks.items()}
        self._split = Split(Regex(vocabulary.pattern), behavior="isolated")
        self._merge = lru_cache(_CACHED_PIECES)(self._merge_piece)

    @property
    def n_ids(self) -> int:
        """Largest token id + 1."""
        return self._n_ids

    def encode(self, text: str) -> list[int]:
        """Return the begin token and the ids of `text`, in which no special token is looked for."""
        pieces = self._split.pre_tokenize_str(text)
        return [self._bos_id, *(i for piece, _ in pieces for i in self._merge(piece.encode()))]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of `ids`, special tokens left out."""
        return b"".join(self._bytes.get(i, b"") for i in ids).decode(errors="replace")

    def new_text(self, prompt_ids: Sequence[int], new_ids: Sequence[int]) -> str:
        """Return what `new_ids` add to the text of `prompt_ids`."""
        return added_text(self, prompt_ids, new_ids)

    def _merge_piece(self, piece: bytes) -> tuple[int, ...]:
        ranks = self._ranks
        if piece in ranks:
            return (ranks[piece],)
        parts = [piece[i : i + 1] for i in range(len(piece))]
        while len(parts) > 1:
            merged = [ranks.get(a + b) for a, b in pairwise(parts)]
            known = [(rank, i) for i, rank in enumerate(merged) if rank is not None]
            if not known:
                break
            _, i = min(known)
            parts[i : i + 2] = [parts[i] + parts[i + 1]]
        return tuple(ranks[part] for part in parts)
