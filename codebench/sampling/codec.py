"""Turn text into token ids and back, also piece by piece while a completion grows."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_REPLACEMENT = "\ufffd"
_LONGEST_WAIT_TOKENS = 4
"""A UTF-8 character has at most four bytes; what is incomplete after that many tokens stays so."""


class Codec(Protocol):
    """The vocabulary of a model, whatever library or file it comes from."""

    @property
    def n_ids(self) -> int:
        """Largest token id + 1."""
        ...

    def encode(self, text: str) -> list[int]:
        """Return the ids of a prompt, with the begin token that the model was trained with."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of `ids`, special tokens left out, broken UTF-8 as U+FFFD."""
        ...

    def new_text(self, prompt_ids: Sequence[int], new_ids: Sequence[int]) -> str:
        """Return what `new_ids` add to the text of `prompt_ids`."""
        ...


def added_text(codec: Codec, prompt_ids: Sequence[int], new_ids: Sequence[int]) -> str:
    """Return what `new_ids` add to the text of `prompt_ids`."""
    before, whole = codec.decode(prompt_ids), codec.decode([*prompt_ids, *new_ids])
    return whole[len(before) :] if whole.startswith(before) else codec.decode(new_ids)


class TokenCodec:
    """A tokenizer, with the special tokens that it adds by itself, or the begin token given."""

    def __init__(
        self, tokenizer: "Tokenizer", eos_ids: Collection[int], *, bos_id: int | None = None
    ) -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        self._eos_ids = frozenset(eos_ids)
        self._bos_id = bos_id

    @property
    def n_ids(self) -> int:
        """Largest token id + 1."""
        return max(self._tokenizer.get_vocab(with_added_tokens=True).values()) + 1

    def encode(self, text: str) -> list[int]:
        """Return the ids of `text`; a begin token only where the tokenizer itself adds one.

        An end token that the tokenizer appends is taken off: the model is to go on writing.
        """
        encoding = self._tokenizer.encode(text, add_special_tokens=True)
        ids, is_special = list(encoding.ids), encoding.special_tokens_mask
        while ids and is_special[len(ids) - 1] and ids[-1] in self._eos_ids and len(ids) > 1:
            ids.pop()
        if self._bos_id is not None and ids[:1] != [self._bos_id]:
            ids.insert(0, self._bos_id)
        return ids

    def encode_rendered(self, text: str) -> list[int]:
        """Return the ids of a text in which the special tokens are written out, none added."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of `ids`, special tokens left out."""
        return str(self._tokenizer.decode(ids, skip_special_tokens=True))

    def new_text(self, prompt_ids: Sequence[int], new_ids: Sequence[int]) -> str:
        """Return what `new_ids` add to the text of `prompt_ids`."""
        return added_text(self, prompt_ids, new_ids)


class TextStream:
    """Decodes a growing list of ids at a constant cost per token.

    A window of the last few ids is decoded twice, without and with the new ones; the difference is
    new text. An incomplete UTF-8 character is held back until its bytes are there.
    """

    def __init__(self, codec: Codec, prompt_ids: Sequence[int]) -> None:
        self._codec = codec
        self._window = list(prompt_ids[-_LONGEST_WAIT_TOKENS:])
        self._n_settled = len(self._window)
        self._settled_text = codec.decode(self._window)

    def feed(self, token_id: int) -> str:
        """Take the next token; return the text that is complete now, often all of it."""
        self._window.append(token_id)
        text = self._codec.decode(self._window)
        n_waiting = len(self._window) - self._n_settled
        if text.endswith(_REPLACEMENT) and n_waiting < _LONGEST_WAIT_TOKENS:
            return ""
        piece = text[len(self._settled_text) :]
        del self._window[: self._n_settled]
        self._n_settled = len(self._window)
        self._settled_text = self._codec.decode(self._window)
        return piece
