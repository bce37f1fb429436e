"""Tests of the row engine: stops, memory, looking ahead, what is counted, and chat."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedModel

from codebench.checkpoints.resolve import resolve_checkpoint
from codebench.errors import EnvironmentProblem, UsageError
from codebench.sampling.codec import TokenCodec
from codebench.sampling.completion import (
    Completion,
    FinishReason,
    SampleRequest,
    SamplingParams,
)
from codebench.sampling.formats.huggingface import takes_whole_mask
from codebench.sampling.loaded_model import CausalOutput, LoadedModel
from codebench.sampling.opening import open_sampler
from codebench.sampling.row_sampler import RowSampler
from codebench.sampling.rows.engine import RowEngine
from codebench.sampling.rows.memory import (
    free_bytes,
    is_out_of_memory,
    kv_bytes_per_token,
    left_in_group,
    plan_rows,
)
from tests.tiny_models import (
    CPU,
    END,
    N_IDS,
    PROMPTS,
    one_thread,  # noqa: F401  (a fixture)
    prompt,
    requests,
    sharpen,
    texts,
    train_tokenizer,
)

TURN = "<|user|>"
TEMPLATE = "{% for m in messages %}<|user|>{{ m.content }}<|end|>{% endfor %}{{ date_string }}>"


def build(kind: str = "llama") -> PreTrainedModel:
    """Return a tiny random model whose weights are large enough to disagree with each other."""
    torch.manual_seed(0)
    model: PreTrainedModel
    if kind == "gpt2":
        model = GPT2LMHeadModel(
            GPT2Config(n_embd=32, n_layer=2, n_head=4, vocab_size=N_IDS, n_positions=64)
        )
    else:
        model = LlamaForCausalLM(
            LlamaConfig(
                hidden_size=32,
                intermediate_size=64,
                num_hidden_layers=2,
                num_attention_heads=4,
                num_key_value_heads=2,
                vocab_size=N_IDS,
            )
        )
    return sharpen(model).eval()  # type: ignore[no-untyped-call,no-any-return]


def loaded_model(kind: str = "llama") -> LoadedModel:
    """Return a tiny model as a loader hands it out."""
    codec = TokenCodec(train_tokenizer(TURN), {0})
    return LoadedModel(
        model=build(kind),
        model_type=kind,
        n_parameters=0,
        codec=codec,
        device=CPU,
        dtype=torch.float32,
        n_layers=2,
        n_ids=codec.n_ids,
        eos_ids=frozenset({0}),
        max_positions=64 if kind == "gpt2" else None,
    )


@pytest.fixture(scope="module")
def loaded() -> LoadedModel:
    """A tiny Llama."""
    return loaded_model()


@pytest.fixture
def script(loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Completion]:
    """Return a function that samples a model which writes the given text, then its last token."""

    def sample(text: str, params: SamplingParams, **options: Any) -> Completion:  # noqa: ANN401
        ids = loaded.codec.encode(text)

        def write(
            logits: torch.Tensor,
            seeds: torch.Tensor,
            positions: torch.Tensor,
            params: SamplingParams,
        ) -> torch.Tensor:
            return torch.tensor([ids[min(int(p), len(ids) - 1)] for p in positions])

        monkeypatch.setattr("codebench.sampling.rows.row_steps.draw", write)
        engine = RowEngine(loaded, params, n_rows=1, **options)
        (completion,) = engine.run([SampleRequest(prompt=prompt(PROMPTS[0]), index=0, seed=0)])
        return completion

    return sample


@pytest.mark.parametrize(
    ("stops", "written", "kept"),
    [
        (("return",), " let x = 1; return x; }", " let x = 1; return"),
        (("b) {",), " add(a, b) { c", " add(a, b) {"),
        (("x; }", "= 1"), " let x = 1; return x; }", " let x = 1"),
        (("日本",), ' let é = "日本"; }', ' let é = "日本'),
    ],
)
@pytest.mark.parametrize("look_every", [1, 8])
def test_stop_strings(
    script: Callable[..., Completion],
    stops: tuple[str, ...],
    written: str,
    kept: str,
    look_every: int,
) -> None:
    """A stop ends a sample across tokens; the text is kept up to and including the first one."""
    params = SamplingParams(stop=stops)
    completion = script(written, params, look_every=look_every)
    assert (completion.text, completion.finish_reason) == (kept, FinishReason.STOP)


@pytest.mark.parametrize("stop", ["i32) -> i32 {", "{ a", "xyz", "}\n"])
def test_what_is_no_stop(script: Callable[..., Completion], stop: str) -> None:
    """The prompt's text, text half in the prompt, and text never written stop nothing."""
    completion = script(" a + b }", SamplingParams(stop=(stop,)))
    assert completion.finish_reason is FinishReason.BALANCED
    assert completion.text.startswith(" a + b }")


def test_no_stop_is_the_default() -> None:
    """Without stops the parameters are those of before; an empty stop is refused."""
    assert SamplingParams().stop == ()
    assert SamplingParams.model_validate_json('{"stop": ["a"]}').stop == ("a",)
    with pytest.raises(ValidationError, match="stop"):
        SamplingParams(stop=("",))


def test_the_loop_is_named(script: Callable[..., Completion]) -> None:
    """What a collapsed model repeats is named, at most 40 characters; else nothing is."""
    params = SamplingParams(max_tokens=100)
    assert script(" a + b }", params).loop is None
    one = script(" ((((", params)
    assert one.finish_reason is FinishReason.REPETITION
    assert one.loop
    assert set(one.loop) == {"("}
    several = script(" " + "a + b " * 60, params)
    assert several.loop in (" a + b", "a + b ", " + b a", "+ b a ", " b a +", "b a + ")
    words = script(' let x = "' + "def add(a, b):\n    return a " * 12, params).loop
    assert words is None or len(words) <= 40


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_looking_ahead_changes_nothing(kind: str) -> None:
    """Stops looked at every 8 steps give the samples of stops looked at after each."""
    loaded = loaded_model(kind)
    params = SamplingParams(max_tokens=45, stop=("a",))
    plain = RowEngine(loaded, params, n_rows=4, look_every=1)
    ahead = RowEngine(loaded, params, n_rows=4, look_every=8)
    expected = texts(plain.run(requests(6)))
    assert texts(ahead.run(requests(6))) == expected
    assert len({reason for _, reason, _ in expected.values()}) >= 2
    assert ahead.timing().n_generated_tokens == plain.timing().n_generated_tokens
    assert ahead.timing().n_wasted_tokens > plain.timing().n_wasted_tokens


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_a_whole_mask_changes_nothing(kind: str) -> None:
    """The mask that a GPU needs no look at gives the samples of the other one."""
    loaded = loaded_model(kind)
    assert isinstance(loaded.model, PreTrainedModel)
    assert takes_whole_mask(loaded.model)
    params = SamplingParams(max_tokens=30)
    whole = RowEngine(replace(loaded, takes_whole_mask=True), params, n_rows=3)
    plain = RowEngine(loaded, params, n_rows=3)
    assert texts(whole.run(requests(4))) == texts(plain.run(requests(4)))


class Looks(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the times that the host looks at a value on the device."""

    n_looks = 0

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401
        types: object,
        args: tuple[object, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> object:
        """Do what was asked; a number taken out of a tensor is a look."""
        self.n_looks += str(func).split(".")[1] in {
            "_local_scalar_dense",
            "item",
            "is_nonzero",
            "nonzero",
            "equal",
        }
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_the_host_does_not_look_at_every_token(kind: str) -> None:
    """Between two looks at the tokens, neither engine nor model waits for a value of a step."""
    loaded = replace(loaded_model(kind), takes_whole_mask=True)
    params = SamplingParams(max_tokens=40, top_p=0.9)
    engine = RowEngine(loaded, params, n_rows=4, look_every=8)
    with Looks() as looks:  # type: ignore[no-untyped-call]
        list(engine.run(requests(4)))
    assert engine.timing().n_steps > 40
    assert looks.n_looks == 0
    with_narrow_mask = replace(loaded, takes_whole_mask=False)
    with Looks() as looks:  # type: ignore[no-untyped-call]
        list(RowEngine(with_narrow_mask, params, n_rows=4, look_every=8).run(requests(4)))
    assert looks.n_looks > 40  # what transformers does with the other mask, and why there are two


def test_what_is_counted(loaded: LoadedModel) -> None:
    """Every computed token was handed out or wasted; while work was left, every row had some."""
    engine = RowEngine(loaded, SamplingParams(max_tokens=20), n_rows=3)
    completions = list(engine.run(requests(5)))
    timing = engine.timing()
    assert timing.n_generated_tokens == sum(c.n_tokens for c in completions)
    assert timing.n_row_steps <= timing.n_generated_tokens + timing.n_wasted_tokens
    assert timing.n_steps >= timing.n_row_steps // 3 > 0
    assert timing.n_occupied_row_steps == timing.n_row_steps
    ahead = RowEngine(loaded, SamplingParams(max_tokens=20), n_rows=3, look_every=8)
    list(ahead.run(requests(5)))
    assert 0 < ahead.timing().n_occupied_row_steps < ahead.timing().n_row_steps


class Crowded:
    """A model on a device whose memory holds `n_rows` rows."""

    def __init__(self, loaded: LoadedModel, n_rows: int, error: type[RuntimeError]) -> None:
        self._model = loaded.model
        self._n_rows = n_rows
        self._error = error
        self.n_calls = 0
        self.n_failures = 0

    def __call__(self, *, input_ids: torch.Tensor, **given: Any) -> CausalOutput:  # noqa: ANN401
        """Read as the model does, or fail, some steps after the start."""
        self.n_calls += 1
        if input_ids.shape[0] > self._n_rows and self.n_calls > 12:
            self.n_failures += 1
            raise self._error("[enforce fail at alloc] DefaultCPUAllocator: can't allocate memory")
        return self._model(input_ids=input_ids, **given)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError])
@pytest.mark.parametrize("look_every", [1, 8])
def test_out_of_memory_halves_the_rows(
    loaded: LoadedModel, error: type[RuntimeError], look_every: int
) -> None:
    """Half of the rows go on, every sample is the undisturbed one, and it is said once."""
    params = SamplingParams(max_tokens=25)
    expected = texts(RowEngine(loaded, params, n_rows=16).run(requests(8)))
    model = Crowded(loaded, 5, error)
    told: list[str] = []
    engine = RowEngine(
        replace(loaded, model=model), params, n_rows=16, notify=told.append, look_every=look_every
    )
    completions = list(engine.run(requests(8)))
    assert len(completions) == len(expected)
    assert texts(iter(completions)) == expected
    assert model.n_failures == 2
    assert engine.n_rows == 4
    (line,) = told
    assert line.startswith("cpu ran out of memory with 16 rows: going on with 8")
    timing = engine.timing()
    assert timing.n_generated_tokens == sum(c.n_tokens for c in completions)
    assert timing.n_wasted_tokens > 0


def test_no_memory_for_one_row(loaded: LoadedModel) -> None:
    """When not even one row fits, one line says what to do."""
    model = Crowded(loaded, 0, torch.OutOfMemoryError)
    engine = RowEngine(replace(loaded, model=model), SamplingParams(), n_rows=2)
    with pytest.raises(EnvironmentProblem, match="too little memory left for one sample: use"):
        list(engine.run(requests(20)))


def test_other_failures_are_not_memory(loaded: LoadedModel) -> None:
    """An error that is not about memory goes up as it is."""
    assert not is_out_of_memory(RuntimeError("shape mismatch: memory of the cache"))

    class Broken(Crowded):
        def __call__(self, *, input_ids: torch.Tensor, **given: Any) -> CausalOutput:  # noqa: ANN401
            raise RuntimeError("shape mismatch")

    model = Broken(loaded, 0, RuntimeError)
    engine = RowEngine(replace(loaded, model=model), SamplingParams(), n_rows=2)
    with pytest.raises(RuntimeError, match="shape mismatch"):
        list(engine.run(requests(1)))


def test_rows_from_the_free_memory(loaded: LoadedModel) -> None:
    """Rows by hand: what a row holds, how many fit, never below 1 nor above what helps."""
    assert kv_bytes_per_token(loaded) == 2 * 2 * 2 * 8 * 4
    assert kv_bytes_per_token(loaded_model("gpt2")) == 2 * 2 * 32 * 4

    class Unknown(Crowded):
        """A model without a configuration: it is asked."""

    unknown = replace(loaded, model=Unknown(loaded, 1, RuntimeError))
    assert kv_bytes_per_token(unknown) == 256
    params = SamplingParams(max_tokens=99)
    row_bytes = 256 * (2 * (100 + 99 + 1) + 64) + loaded.n_ids * 8

    def planned(n_free_bytes: int | None) -> int:
        return plan_rows(loaded, params, n_prompt_tokens=100, n_free_bytes=n_free_bytes)

    assert planned(int(row_bytes * 10.5 / (0.8 - 0.125))) == 10
    assert planned(0) == 1
    assert planned(1 << 40) == 32
    positions = replace(loaded, takes_whole_mask=True)
    assert plan_rows(positions, params, n_prompt_tokens=100, n_free_bytes=1 << 40) == 64
    assert planned(None) == 32
    on_gpu = replace(loaded, device=torch.device("cuda"))
    assert plan_rows(on_gpu, params, n_prompt_tokens=100, n_free_bytes=80 << 30) == 256
    free = free_bytes(CPU)
    assert free is None or free > 0


@pytest.fixture(scope="module")
def chat_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint whose tokenizer has a chat template."""
    path = tmp_path_factory.mktemp("chat") / "model"
    build().save_pretrained(path)
    train_tokenizer(TURN).save(str(path / "tokenizer.json"))
    facts = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": END,
        "chat_template": TEMPLATE,
    }
    (path / "tokenizer_config.json").write_text(json.dumps(facts))
    return path


def test_chat(chat_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A prompt goes through the template, its special tokens once; an item's end stops nothing."""
    sampler = open_sampler(
        resolve_checkpoint(str(chat_folder)),
        SamplingParams(max_tokens=30),
        device="cpu",
        n_threads=1,
        chat=True,
    )
    assert isinstance(sampler, RowSampler)
    codec = TokenCodec(train_tokenizer(TURN), {0})
    written = codec.encode("```rust\nfn f() {}\n```\n")

    def write(
        logits: torch.Tensor, seeds: torch.Tensor, positions: torch.Tensor, params: SamplingParams
    ) -> torch.Tensor:
        return torch.tensor([[*written, 0][int(p)] for p in positions])

    monkeypatch.setattr("codebench.sampling.rows.row_steps.draw", write)
    read: list[list[int]] = []

    def note(_module: object, _args: object, given: dict[str, Any]) -> None:
        read.append(given["input_ids"][0].tolist())

    engine = sampler._engine
    assert isinstance(engine, RowEngine)
    assert isinstance(engine._loaded.model, torch.nn.Module)
    engine._loaded.model.register_forward_pre_hook(note, with_kwargs=True)
    (completion,) = sampler.sample([SampleRequest(prompt=prompt("fn f() {"), index=0, seed=0)])
    assert (completion.text, completion.finish_reason) == (
        "```rust\nfn f() {}\n```\n",
        FinishReason.EOS,
    )
    assert read[0][0] == 1
    assert read[0].count(0) == 1
    shown = train_tokenizer(TURN).decode(read[0], skip_special_tokens=False)
    assert shown.startswith(f"{TURN}Complete the Rust code below.")
    assert shown.endswith(f"```rust\nfn f() {{\n```\n{END}26 Jul 2024>")
    facts = sampler.describe()
    assert facts["chat"] is True
    assert len(str(facts["chat_template"])) == 64


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (None, r"--chat: the tokenizer in .* has no chat template"),
        ("{{ raise_exception('no users here') }}", r"failed on prompt 'fn': no users here"),
    ],
)
def test_chat_that_cannot_be(
    chat_folder: Path, tmp_path: Path, template: str | None, message: str
) -> None:
    """A tokenizer without a template, and a template that refuses, are named in one line."""
    path = tmp_path / "model"
    path.mkdir()
    for file in chat_folder.iterdir():
        (path / file.name).write_bytes(file.read_bytes())
    facts = json.loads((path / "tokenizer_config.json").read_text())
    facts["chat_template"] = template
    (path / "tokenizer_config.json").write_text(json.dumps(facts))
    with pytest.raises(UsageError, match=message) as caught:
        list(
            open_sampler(
                resolve_checkpoint(str(path)),
                SamplingParams(),
                device="cpu",
                n_threads=1,
                chat=True,
            ).sample([SampleRequest(prompt=prompt("fn"), index=0, seed=0)])
        )
    assert "\n" not in str(caught.value)


def test_mapped_files_leave_memory_free(tmp_path: Path) -> None:
    """In a container, pages of files that the kernel can take back do not count as used."""
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("900\n")
    (tmp_path / "memory.stat").write_text("anon 300\ninactive_file 500\nactive_file 100\n")
    assert left_in_group(tmp_path) == 600
    (tmp_path / "memory.max").write_text("max\n")
    assert left_in_group(tmp_path) is None
    assert left_in_group(tmp_path / "gone") is None
