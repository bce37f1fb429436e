"""Tests of batch-at-a-time sampling: models that keep recurrent states."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    Lfm2Config,
    Lfm2ForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    PreTrainedModel,
    RwkvConfig,
    RwkvForCausalLM,
)

from codebench.checkpoints.resolve import resolve_checkpoint
from codebench.errors import EnvironmentProblem
from codebench.sampling.completion import (
    FinishReason,
    SamplingParams,
)
from codebench.sampling.formats.huggingface import load_huggingface
from codebench.sampling.loaded_model import LoadedModel
from codebench.sampling.opening import open_sampler
from codebench.sampling.rows.batch_engine import BatchEngine
from codebench.sampling.rows.engine import RowEngine
from tests.tiny_models import (
    CPU,
    N_IDS,
    PROMPTS,
    one_thread,  # noqa: F401  (a fixture)
    requests,
    sharpen,
    texts,
    train_tokenizer,
)

KINDS: Mapping[str, Callable[[], PreTrainedModel]] = {
    "mamba": lambda: MambaForCausalLM(
        MambaConfig(hidden_size=32, num_hidden_layers=2, vocab_size=N_IDS, state_size=8)
    ),
    "lfm2": lambda: Lfm2ForCausalLM(
        Lfm2Config(
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=3,
            num_attention_heads=4,
            num_key_value_heads=2,
            vocab_size=N_IDS,
            layer_types=["conv", "full_attention", "conv"],
        )
    ),
}


def save(path: Path, model: PreTrainedModel) -> None:
    """Write `model` and a byte-level BPE with an end token to `path`."""
    model.save_pretrained(path)
    train_tokenizer().save(str(path / "tokenizer.json"))
    (path / "generation_config.json").write_text(json.dumps({"eos_token_id": 0}))
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps({**config, "eos_token_id": None}))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One tiny random checkpoint of each kind, its weights large enough to disagree."""
    root = tmp_path_factory.mktemp("recurrent")
    for name, build in KINDS.items():
        torch.manual_seed(0)
        save(root / name, sharpen(build(), 6))
    return {name: root / name for name in KINDS}


def load(folder: Path) -> LoadedModel:
    """Load the checkpoint in `folder` on the CPU."""
    return load_huggingface(resolve_checkpoint(str(folder)), CPU, notify=lambda _: None)


@pytest.mark.parametrize("kind", KINDS)
def test_greedy_equals_a_reference_without_cache(folders: dict[str, Path], kind: str) -> None:
    """Padded rows with a state of their own write what the model writes alone, uncached."""
    loaded = load(folders[kind])
    assert not loaded.keeps_columns
    engine = BatchEngine(loaded, SamplingParams(temperature=0, max_tokens=20), n_rows=3)
    completions = list(engine.run(requests(2, by_turns=True)))
    assert len(completions) == 2 * len(PROMPTS)
    for completion in completions:
        prompt_ids = loaded.codec.encode(completion.request.prompt.prefix)
        ids = list(prompt_ids)
        with torch.inference_mode():
            for _ in range(completion.n_tokens):
                logits = loaded.model(input_ids=torch.tensor([ids]), use_cache=False).logits
                ids.append(int(logits[0, -1, : loaded.n_ids].argmax()))
        new_ids = ids[len(prompt_ids) :]
        if completion.finish_reason is FinishReason.EOS:
            assert new_ids.pop() == 0
        assert completion.text == loaded.codec.new_text(prompt_ids, new_ids)


@pytest.mark.parametrize("kind", KINDS)
def test_samples_do_not_depend_on_the_batch(folders: dict[str, Path], kind: str) -> None:
    """One row, 3 and 16 give the same samples, and every computed token is accounted for."""
    loaded = load(folders[kind])
    params = SamplingParams(max_tokens=25, stop=("b",))
    alone = texts(BatchEngine(loaded, params, n_rows=1).run(requests(5, by_turns=True)))
    assert len({text for text, *_ in alone.values()}) > len(alone) // 2
    for n_rows in (3, 16):
        engine = BatchEngine(loaded, params, n_rows=n_rows)
        completions = list(engine.run(requests(5, by_turns=True)))
        assert texts(completions) == alone
        timing = engine.timing()
        assert timing.n_generated_tokens == sum(c.n_tokens for c in completions)
        assert timing.n_wasted_tokens > 0
        assert 0 < timing.n_occupied_row_steps <= timing.n_row_steps
        assert timing.prefill_s > 0 < timing.decode_s


class Padded:
    """A model that reads what it is told not to."""

    def __init__(self, model: Any) -> None:  # noqa: ANN401
        self._model = model
        self.sizes: list[int] = []

    def forward(
        self,
        *,
        input_ids: torch.Tensor,
        cache_params: object,
        attention_mask: torch.Tensor | None,
        **given: object,
    ) -> object:
        """Leave the mask out."""
        self.sizes.append(input_ids.shape[0])
        return self._model(input_ids=input_ids, cache_params=cache_params, **given)

    __call__ = forward


def test_a_model_that_cannot_be_padded(folders: dict[str, Path]) -> None:
    """Only prompts of one length share a batch then; the samples are the same, and it is said."""
    loaded = load(folders["mamba"])
    params = SamplingParams(max_tokens=15)
    alone = texts(BatchEngine(loaded, params, n_rows=1).run(requests(4, by_turns=True)))
    model: Any = Padded(loaded.model)
    told: list[str] = []
    engine = BatchEngine(replace(loaded, model=model), params, n_rows=8, notify=told.append)
    assert texts(engine.run(requests(4, by_turns=True))) == alone
    assert told == [
        "mamba does not read padded prompts as it reads others: only prompts of one length are "
        "sampled together"
    ]
    assert max(model.sizes) > 1


class Crowded:
    """A model on a device whose memory holds `n_rows` rows."""

    def __init__(self, model: Any, n_rows: int) -> None:  # noqa: ANN401
        self._model = model
        self._n_rows = n_rows

    def forward(self, *, input_ids: torch.Tensor, cache_params: object, **given: object) -> object:
        """Read as the model does, or fail once there are states."""
        if input_ids.shape[0] > self._n_rows and cache_params is not None:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self._model(input_ids=input_ids, cache_params=cache_params, **given)

    __call__ = forward


def test_out_of_memory_halves_the_rows(folders: dict[str, Path]) -> None:
    """Half of the rows go on and no sample is lost or changed; at one row it is an error."""
    loaded = load(folders["mamba"])
    params = SamplingParams(max_tokens=15)
    alone = texts(BatchEngine(loaded, params, n_rows=1).run(requests(4, by_turns=True)))
    model: Any = Crowded(loaded.model, 3)
    told: list[str] = []
    engine = BatchEngine(replace(loaded, model=model), params, n_rows=8, notify=told.append)
    completions = list(engine.run(requests(4, by_turns=True)))
    assert len(completions) == len(alone)
    assert texts(completions) == alone
    assert engine.n_rows == 2
    assert len(told) == 1
    model = Crowded(loaded.model, 0)
    with pytest.raises(EnvironmentProblem, match="too little memory left for one sample"):
        list(
            BatchEngine(replace(loaded, model=model), params, n_rows=2).run(
                requests(1, by_turns=True)
            )
        )


def test_opening_says_so(folders: dict[str, Path]) -> None:
    """A state-space checkpoint is opened like any other; that it is slower is said once."""
    told: list[str] = []
    sampler = open_sampler(
        resolve_checkpoint(str(folders["mamba"])),
        SamplingParams(max_tokens=3),
        device="cpu",
        n_threads=1,
        notify=told.append,
    )
    assert len(list(sampler.sample(requests(1, by_turns=True)))) == len(PROMPTS)
    assert sampler.describe()["engine"] == "batches"
    (line,) = [line for line in told if "batch by batch" in line]
    assert "models of type 'mamba' keep more than a key/value cache" in line


def test_a_state_that_cannot_be_had(tmp_path: Path) -> None:
    """A model that hands no cache out is run over the whole text again, and that is said."""
    torch.manual_seed(0)
    config = RwkvConfig(
        vocab_size=N_IDS,
        hidden_size=32,
        attention_hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        context_length=64,
    )
    model = RwkvForCausalLM(config)
    save(tmp_path / "rwkv", model)
    told: list[str] = []
    checkpoint = resolve_checkpoint(str(tmp_path / "rwkv"))
    loaded = load_huggingface(checkpoint, CPU, notify=told.append)
    assert "every token reads its whole text again" in told[0]
    params = SamplingParams(max_tokens=12)
    alone = texts(RowEngine(loaded, params, n_rows=1).run(requests(2, by_turns=True)))
    assert texts(RowEngine(loaded, params, n_rows=8).run(requests(2, by_turns=True))) == alone
    greedy = RowEngine(loaded, SamplingParams(temperature=0, max_tokens=1), n_rows=3)
    for completion in greedy.run(requests(1, by_turns=True)):
        ids = loaded.codec.encode(completion.request.prompt.prefix)
        with torch.inference_mode():
            logits = model.eval()(input_ids=torch.tensor([ids]), use_cache=False).logits  # type: ignore[no-untyped-call]
        assert completion.text == loaded.codec.new_text(ids, [int(logits[0, -1].argmax())])
