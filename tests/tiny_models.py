"""What tests of sampling share: tokenizers and weights of tiny models, prompts, samples."""

from collections.abc import Iterable, Iterator, Mapping

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedModel

from codebench.prompts.model import Language, Prompt
from codebench.sampling.completion import Completion, FinishReason, SampleRequest, sample_seed

END = "<|end|>"
N_IDS = 300
"""Ids of `train_tokenizer`; 0 is END."""

PROMPTS = ("fn add(a: i32) -> i32 {", "fn f() {\n", "pub fn g<T>(x: T, y: T) -> T {\n    ", "fn")
CPU = torch.device("cpu")
Texts = Mapping[tuple[str, int], tuple[str, FinishReason, int]]

_TEXT = "fn add(a: i32, b: i32) -> i32 {\n    a + b\n}\ndef add(a, b):\n    return a + b\n" * 4


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny products on one thread: several would only wait for each other."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


def train_tokenizer(*special: str) -> Tokenizer:
    """Return a byte-level BPE with END and other special tokens."""
    tokenizer = Tokenizer(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=N_IDS,
        special_tokens=[END, *special],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    _read_bytes(tokenizer).train_from_iterator([_TEXT], trainer)
    return tokenizer


def byte_tokenizer(*special: str) -> Tokenizer:
    """Return a tokenizer of the 256 bytes and special tokens after them."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    _read_bytes(tokenizer).add_special_tokens(list(special))
    return tokenizer


def _read_bytes(tokenizer: Tokenizer) -> Tokenizer:
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


@torch.no_grad()
def sharpen(model: PreTrainedModel, factor: float = 8) -> PreTrainedModel:
    """Scale random weights up, so that what was read before decides what comes next."""
    for weight in model.parameters():
        if weight.dim() == 2:
            weight.mul_(factor)
    return model


def prompt(text: str, language: Language = Language.RUST) -> Prompt:
    """Return a prompt whose other fields do not matter."""
    return Prompt(
        id=text,
        language=language,
        category="any",
        item="fn any",
        prompt=text,
        reference="",
        wrong="",
        tests=(),
    )


def requests(
    n_per_prompt: int, prompts: Iterable[str] = PROMPTS, *, by_turns: bool = False
) -> list[SampleRequest]:
    """Return `n_per_prompt` requests for each prompt, one prompt after the other or by turns."""
    asked = [prompt(text) for text in prompts]
    return [
        SampleRequest(prompt=p, index=i, seed=sample_seed(run_seed=1, prompt=p, index=i))
        for p, i in (
            [(p, i) for i in range(n_per_prompt) for p in asked]
            if by_turns
            else [(p, i) for p in asked for i in range(n_per_prompt)]
        )
    ]


def texts(completions: Iterable[Completion]) -> Texts:
    """Return what was written for each request, why it ended, and its number of tokens."""
    return {
        (c.request.prompt.id, c.request.index): (c.text, c.finish_reason, c.n_tokens)
        for c in completions
    }
