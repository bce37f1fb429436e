"""Train the demonstration model of codebench from text that it generates itself.

One run writes Hugging Face directories `step_<n>` under `--output`, each with the weights in
bfloat16 safetensors, the configuration and the tokenizer. Nothing is downloaded, and the same
seed gives the same text, the same tokenizer and the same order of batches. Weights of two runs
agree bit for bit only on the same processor with the same number of threads.
"""

import argparse
import math
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import torch
from program_generator.corpus import documents
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

END = "<|endoftext|>"
VOCABULARY = 1024
LENGTH = 256
"""Tokens in one row of a batch."""
ROWS = 16
PEAK_RATE = 3e-3
WARM_UP = 100
THREADS = 2
STEPS = 2000
SAVED = (0.01, 0.04, 0.1, 0.25, 0.5, 1.0)
"""When a checkpoint is saved, as shares of all steps."""
PIECES = r"\n|(?:    )+| ?[A-Za-z_]+|[0-9]| ?[^\sA-Za-z0-9_]+|\s"
"""A line end is always a token of its own, so a prompt that ends with `{` breaks no token."""


def build_tokenizer(*, seed: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer learnt from the first documents of the corpus."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(islice(documents(seed=seed), 20_000), trainer)
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=END,
        clean_up_tokenization_spaces=False,
        model_max_length=1024,
    )


def build_model() -> LlamaForCausalLM:
    """A Llama of about 1.4 million parameters with tied embeddings."""
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=160,
            intermediate_size=448,
            num_hidden_layers=4,
            num_attention_heads=5,
            num_key_value_heads=5,
            max_position_embeddings=1024,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=0,
            pad_token_id=0,
        )
    )


def rows(tokenizer: PreTrainedTokenizerFast, *, seed: int) -> Iterator[list[int]]:
    """Endless rows of LENGTH + 1 tokens; each begins with the first token of a document."""
    texts = documents(seed=seed)
    row: list[int] = []
    while True:
        batch = list(islice(texts, 512))
        for tokens in tokenizer(batch, add_special_tokens=False)["input_ids"]:
            row += [*tokens, 0]
            if len(row) > LENGTH:
                yield row[: LENGTH + 1]
                row = []


def rate_at(step: int, steps: int) -> float:
    """The learning rate: linear warm-up, then a cosine down to a twentieth of the peak."""
    if step < WARM_UP:
        return PEAK_RATE * (step + 1) / WARM_UP
    done = (step - WARM_UP) / max(1, steps - WARM_UP)
    return PEAK_RATE * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, *, directory: Path) -> None:
    """Write the weights in bfloat16, and leave the model in training as it was."""
    stored = build_model()
    stored.load_state_dict(model.state_dict())
    stored.bfloat16()
    stored.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    (directory / "model.safetensors").chmod(0o644)


def train(*, steps: int, output: Path, seed: int) -> None:
    """Train for `steps` batches and save the checkpoints under `output`."""
    torch.set_num_threads(THREADS)
    torch.manual_seed(seed)
    tokenizer = build_tokenizer(seed=seed)
    model = build_model()
    model.train()
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=PEAK_RATE, betas=(0.9, 0.95), weight_decay=0.05
    )
    saved = {max(1, round(steps * share)) for share in SAVED}
    source, started = rows(tokenizer, seed=seed), time.monotonic()
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters, {steps} steps", flush=True)
    for step in range(1, steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = rate_at(step - 1, steps)
        batch = torch.tensor(list(islice(source, ROWS)))  # (B, T + 1)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(input_ids=batch[:, :-1], use_cache=False).logits  # (B, T, V)
        loss = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1).float(), batch[:, 1:].flatten()
        )
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step % 50 == 0 or step == 1:
            seconds = time.monotonic() - started
            print(f"step {step} loss {loss.item():.3f} {seconds:.0f} s", flush=True)
        if step in saved:
            save(model, tokenizer, directory=output / f"step_{step}")


def main() -> None:
    """Read the options and train."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--steps", type=int, default=STEPS, help="batches to train for")
    parser.add_argument(
        "--output", type=Path, default=Path(__file__).parent, help="where step_<n> go"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the text and of the weights")
    options = parser.parse_args()
    train(steps=options.steps, output=options.output, seed=options.seed)


if __name__ == "__main__":
    main()
