"""Tests of the bound on decoding: the arithmetic by hand, and which weights count."""

import math

import pytest
import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from codebench.checkpoints.formats.pickled_vocabulary import CharVocabulary
from codebench.sampling.bound import (
    MachineRates,
    ModelFacts,
    decode_bound,
    matmul_weights,
    measure_machine,
    model_facts,
)
from codebench.sampling.formats.vocabularies import CharCodec
from codebench.sampling.loaded_model import CausalModel, LoadedModel

FACTS = ModelFacts(n_weights=1000, weight_bytes=4000, kv_bytes_per_token=8)
CPU = torch.device("cpu")
HIDDEN, HEAD, WIDE, N_IDS = 16, 4, 24, 40


def loaded(model: CausalModel) -> LoadedModel:
    """Return `model` as a loader hands it over."""
    return LoadedModel(
        model=model,
        model_type="test",
        n_parameters=1,
        codec=CharCodec(CharVocabulary(ids={"a": 0})),
        device=CPU,
        dtype=torch.float32,
        n_layers=2,
        n_ids=N_IDS,
        eos_ids=frozenset(),
        max_positions=None,
    )


def llama(*, tied: bool) -> LlamaForCausalLM:
    """Return a Llama of two layers: 4 heads, 2 of keys and values, 4 numbers each."""
    config = LlamaConfig(
        hidden_size=HIDDEN,
        intermediate_size=WIDE,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=N_IDS,
        tie_word_embeddings=tied,
    )
    return LlamaForCausalLM(config)


def test_slow_memory_decides() -> None:
    """4 rows at 50 tokens read 4000 + 1600 bytes, 0.1 s at 56 kB/s: 40 tokens per second."""
    rates = MachineRates(bytes_per_s=56e3, flops_per_s=1e6)
    assert decode_bound(FACTS, rates, n_rows=4, mean_context=50.0) == pytest.approx(40.0)


def test_slow_arithmetic_decides() -> None:
    """4 rows need 2 * 1000 * 4 operations, 0.4 s at 20,000 per second: 10 tokens per second."""
    rates = MachineRates(bytes_per_s=56e3, flops_per_s=2e4)
    assert decode_bound(FACTS, rates, n_rows=4, mean_context=50.0) == pytest.approx(10.0)


def test_a_token_without_context_reads_the_weights_alone() -> None:
    """One row at no context reads 4000 bytes: one token per second at 4 kB/s."""
    rates = MachineRates(bytes_per_s=4e3, flops_per_s=1e9)
    assert decode_bound(FACTS, rates, n_rows=1, mean_context=0.0) == pytest.approx(1.0)


def test_the_bound_moves_the_right_way_and_stays_finite() -> None:
    """More rows never lower it, more context and slower rates never raise it; it is a number."""
    for bandwidth in (1e-3, 1e10, 1e300):
        for flops in (1e-3, 1e11, 1e300):
            rates = MachineRates(bytes_per_s=bandwidth, flops_per_s=flops)
            slower = MachineRates(bytes_per_s=bandwidth / 2, flops_per_s=flops / 2)
            before = 0.0
            for n_rows in (1, 2, 7, 64, 4096):
                bound = decode_bound(FACTS, rates, n_rows=n_rows, mean_context=100.0)
                assert math.isfinite(bound)
                assert bound > 0
                assert bound >= before * (1 - 1e-9)
                assert decode_bound(FACTS, rates, n_rows=n_rows, mean_context=1e6) <= bound
                assert decode_bound(FACTS, slower, n_rows=n_rows, mean_context=100.0) <= bound
                before = bound


@pytest.mark.parametrize("rate", [0.0, -1.0, math.inf, math.nan])
def test_rates_that_are_none_are_refused(rate: float) -> None:
    """A rate of zero, below it, infinite or undefined would make the bound so: it is an error."""
    with pytest.raises(ValueError, match="positive and finite"):
        MachineRates(bytes_per_s=rate, flops_per_s=1.0)
    with pytest.raises(ValueError, match="positive and finite"):
        MachineRates(bytes_per_s=1.0, flops_per_s=rate)


@pytest.mark.parametrize(("n_rows", "mean_context"), [(0, 1.0), (1, -1.0), (1, math.nan)])
def test_a_step_that_cannot_be_is_refused(n_rows: int, mean_context: float) -> None:
    """No rows, a negative context and an undefined one are errors, not NaN."""
    rates = MachineRates(bytes_per_s=1.0, flops_per_s=1.0)
    with pytest.raises(ValueError, match="no such step"):
        decode_bound(FACTS, rates, n_rows=n_rows, mean_context=mean_context)


def test_a_model_without_weights_is_refused() -> None:
    """Facts of nothing are our bug."""
    with pytest.raises(ValueError, match="has weights"):
        ModelFacts(n_weights=0, weight_bytes=0, kv_bytes_per_token=0)


@pytest.mark.parametrize("tied", [True, False])
def test_a_llama_counts_its_products_and_its_head_once(*, tied: bool) -> None:
    """Per layer 768 of attention and 1152 behind it; the head once; no looked-up embedding."""
    attention = HIDDEN * (4 + 2 + 2 + 4) * HEAD
    facts = model_facts(loaded(llama(tied=tied)))
    assert facts is not None
    assert facts.n_weights == 2 * (attention + 3 * HIDDEN * WIDE) + N_IDS * HIDDEN
    assert facts.weight_bytes == 4 * facts.n_weights
    assert facts.kv_bytes_per_token == 2 * 2 * 2 * HEAD * 4  # layers, both, heads, size, bytes


def test_a_gpt2_counts_its_transposed_products() -> None:
    """Its products are no Linear; 12 * width^2 a layer and the tied head, positions left out."""
    config = GPT2Config(n_embd=HIDDEN, n_layer=2, n_head=4, vocab_size=N_IDS, n_positions=64)
    model = GPT2LMHeadModel(config)
    n_weights = sum(weight.numel() for weight in matmul_weights(model))
    assert n_weights == 2 * 12 * HIDDEN**2 + N_IDS * HIDDEN


def test_a_head_that_is_only_a_function_of_the_embedding_counts() -> None:
    """Without another weight as wide as the vocabulary the embedding must be the head."""
    body = nn.Linear(HIDDEN, HIDDEN)
    tied = nn.Sequential(nn.Embedding(N_IDS, HIDDEN), nn.Embedding(8, HIDDEN), body)
    assert sum(w.numel() for w in matmul_weights(tied)) == HIDDEN**2 + N_IDS * HIDDEN
    own_head = nn.Sequential(nn.Embedding(N_IDS, HIDDEN), body, nn.Linear(HIDDEN, N_IDS))
    assert sum(w.numel() for w in matmul_weights(own_head)) == HIDDEN**2 + N_IDS * HIDDEN


def test_a_weight_of_half_precision_is_half_as_long() -> None:
    """Bytes follow the dtype that the weights have."""
    weights = matmul_weights(nn.Linear(HIDDEN, WIDE).to(torch.bfloat16))
    assert sum(weight.nbytes for weight in weights) == 2 * HIDDEN * WIDE


def test_a_model_that_shows_no_weights_has_no_bound() -> None:
    """What is no module, or one without products, gives None instead of a guess."""

    class Opaque:
        def __call__(self, **kwargs: object) -> object:
            raise AssertionError

    assert model_facts(loaded(Opaque())) is None  # type: ignore[arg-type]
    assert model_facts(loaded(nn.Identity())) is None


def test_measuring_gives_rates_and_leaves_the_threads_alone() -> None:
    """Both rates are numbers above zero, and torch has as many threads as before."""
    n_threads = torch.get_num_threads()
    rates = measure_machine(CPU, 1, n_rows=2, step_bytes=1 << 20)
    assert rates.bytes_per_s > 0
    assert rates.flops_per_s > 0
    assert torch.get_num_threads() == n_threads


def test_measuring_no_rows_is_refused() -> None:
    """A product without rows has no rate."""
    with pytest.raises(ValueError, match="at least 1"):
        measure_machine(CPU, n_rows=0)
