"""Open a tokenizer.json, and the codec of the formats that are not Hugging Face's."""

from typing import TYPE_CHECKING, NamedTuple

from codebench.checkpoints.formats.pickled_vocabulary import BytePairVocabulary, read_vocabulary
from codebench.checkpoints.formats.tokenizer_files import read_json
from codebench.errors import EnvironmentProblem, UsageError
from codebench.sampling.codec import Codec, TokenCodec
from codebench.sampling.formats.vocabularies import BytePairCodec, CharCodec

if TYPE_CHECKING:
    from pathlib import Path

    from tokenizers import Tokenizer

_END_TOKENS = ("<|endoftext|>", "<|end_of_text|>", "</s>")
_NANOCHAT_BEGIN = "<|bos|>"
_NANOCHAT_ENDS = ("<|bos|>", "<|assistant_end|>")


class OpenedCodec(NamedTuple):
    """A vocabulary and the tokens that end a text in it."""

    codec: Codec
    eos_ids: frozenset[int]


def open_tokenizer_json(path: "Path") -> "Tokenizer":
    """Open a tokenizer.json, whatever it is called.

    Raises:
        EnvironmentProblem: if it is not one.
    """
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises bare Exception
        first_line = str(error).strip().partition("\n")[0]
        raise EnvironmentProblem(f"cannot load the tokenizer in {path}: {first_line}") from error


def open_codec(files: "tuple[Path, ...]") -> OpenedCodec:
    """Open a tokenizer.json or a pickled vocabulary, with its usual end tokens.

    Raises:
        UsageError: if it is of a kind that is not covered, or a pickle is refused.
        EnvironmentProblem: if it is damaged.
    """
    path = files[0]
    if path.suffix == ".pkl":
        vocabulary = read_vocabulary(path)
        if isinstance(vocabulary, BytePairVocabulary):
            ends = (vocabulary.special.get(name) for name in _NANOCHAT_ENDS)
            codec = BytePairCodec(vocabulary, bos=_NANOCHAT_BEGIN)
            return OpenedCodec(codec, frozenset(i for i in ends if i is not None))
        return OpenedCodec(CharCodec(vocabulary), frozenset())
    if path.suffix != ".json" or path.name == "vocab.json":
        raise UsageError(f"{path} is not a tokenizer.json: save the tokenizer as one")
    tokenizer = open_tokenizer_json(path)
    bos_id = tokenizer.token_to_id(_NANOCHAT_BEGIN)
    names = (*_END_TOKENS, *_NANOCHAT_ENDS, *_configured_ends(files))
    found = (tokenizer.token_to_id(name) for name in names)
    eos_ids = frozenset(i for i in found if i is not None)
    return OpenedCodec(TokenCodec(tokenizer, eos_ids, bos_id=bos_id), eos_ids)


def _configured_ends(files: "tuple[Path, ...]") -> list[str]:
    """Return the end token of tokenizer_config.json, if it names one."""
    contents = (read_json(path) for path in files if path.name == "tokenizer_config.json")
    tokens = (content.get("eos_token") for content in contents)
    names = (token.get("content") if isinstance(token, dict) else token for token in tokens)
    return [name for name in names if isinstance(name, str)]
