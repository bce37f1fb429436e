"""Tests of the sampler: the row engine against plain references, on tiny random models."""

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import processors
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from codebench.checkpoints.checkpoint import Checkpoint
from codebench.checkpoints.resolve import resolve_checkpoint
from codebench.errors import EnvironmentProblem, UsageError
from codebench.sampling.codec import TextStream, TokenCodec
from codebench.sampling.completion import (
    FinishReason,
    SampleRequest,
    SamplingParams,
    sample_seed,
)
from codebench.sampling.device import choose_device
from codebench.sampling.formats.huggingface import HuggingFaceSampler, load_huggingface
from codebench.sampling.opening import open_sampler
from codebench.sampling.replay import ReplayedCompletion, ReplaySampler
from codebench.sampling.rows.loop_detector import LoopDetector
from codebench.sampling.rows.noise import draw
from tests.tiny_models import (
    CPU,
    END,
    PROMPTS,
    one_thread,  # noqa: F401  (a fixture)
    prompt,
    requests,
    sharpen,
    texts,
    train_tokenizer,
)

N_ROWS = 320  # of the embedding; more than the tokenizer's ids, as in padded models
SMALL: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
HEADS: dict[str, Any] = {"num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": N_ROWS}
FAMILIES: dict[str, Callable[[], PreTrainedModel]] = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SMALL, **HEADS)),
    "gpt2": lambda: GPT2LMHeadModel(
        GPT2Config(n_embd=32, n_layer=2, n_head=4, vocab_size=N_ROWS, n_positions=128)
    ),
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**SMALL, **HEADS, head_dim=8)),
    "mistral": lambda: MistralForCausalLM(MistralConfig(**SMALL, **HEADS, sliding_window=6)),
}


def save_checkpoint(path: Path, model: PreTrainedModel, *, eos: bool = True) -> Checkpoint:
    """Write model and tokenizer to `path` and resolve it."""
    model.save_pretrained(path)
    train_tokenizer().save(str(path / "tokenizer.json"))
    end = {"eos_token_id": 0} if eos else {}
    (path / "generation_config.json").write_text(json.dumps(end))
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps({**config, "eos_token_id": None}))
    return resolve_checkpoint(str(path))


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Checkpoint]:
    """One tiny random checkpoint per family."""
    torch.manual_seed(0)
    root = tmp_path_factory.mktemp("checkpoints")
    return {
        name: save_checkpoint(root / name, sharpen(build())) for name, build in FAMILIES.items()
    }


def sampler_of(
    checkpoint: Checkpoint, params: SamplingParams, *, rows: int = 3
) -> HuggingFaceSampler:
    """Load `checkpoint` on the CPU."""
    loaded = load_huggingface(checkpoint, CPU, notify=lambda _: None)
    return HuggingFaceSampler(loaded, params, batch_size=rows)


@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_equals_a_reference_without_cache(
    checkpoints: dict[str, Checkpoint], family: str
) -> None:
    """Rows that start and end at different times write what the model writes alone, uncached."""
    checkpoint = checkpoints[family]
    sampler = sampler_of(checkpoint, SamplingParams(temperature=0, max_tokens=30))
    loaded = load_huggingface(checkpoint, CPU, notify=lambda _: None)
    completions = list(sampler.sample(requests(2)))
    assert len(completions) == 2 * len(PROMPTS)
    for completion in completions:
        prompt_ids = loaded.codec.encode(completion.request.prompt.prefix)
        ids = list(prompt_ids)
        with torch.inference_mode():
            for _ in range(completion.n_tokens):
                logits = loaded.model(input_ids=torch.tensor([ids]), use_cache=False).logits
                ids.append(int(logits[0, -1, : loaded.n_ids].argmax()))
        new_ids = ids[len(prompt_ids) :]
        assert completion.text == loaded.codec.new_text(prompt_ids, new_ids)
        assert (0 in new_ids) == (completion.finish_reason is FinishReason.EOS)


@pytest.mark.parametrize("family", ["llama", "gpt2", "qwen3"])
def test_samples_do_not_depend_on_the_batch(
    checkpoints: dict[str, Checkpoint], family: str
) -> None:
    """One row, 8, 32, and a shuffled order give the same samples."""
    params = SamplingParams(max_tokens=40)
    alone = texts(sampler_of(checkpoints[family], params, rows=1).sample(requests(5)))
    assert len({text for text, *_ in alone.values()}) > len(alone) // 2
    assert {reason for _, reason, _ in alone.values()} > {FinishReason.LENGTH}
    for rows in (8, 32):
        assert (
            texts(sampler_of(checkpoints[family], params, rows=rows).sample(requests(5))) == alone
        )
    shuffled = requests(5)
    random.Random(3).shuffle(shuffled)
    assert texts(sampler_of(checkpoints[family], params, rows=3).sample(shuffled)) == alone


def test_many_samples_through_few_columns(checkpoints: dict[str, Checkpoint]) -> None:
    """The buffer is reused again and again, prompts longer than the write column included."""
    params = SamplingParams(temperature=0, max_tokens=9)
    long = prompt("fn long(" + "a: i32, " * 20 + ") {")
    many = [
        SampleRequest(prompt=prompt(PROMPTS[i % 4]) if i % 50 else long, index=i, seed=i)
        for i in range(1, 202)
    ]
    found = texts(sampler_of(checkpoints["llama"], params, rows=4).sample(many))
    assert len(found) == 201
    by_prompt = {(name, text) for (name, _), (text, *_) in found.items()}
    assert len(by_prompt) == 5  # greedy: every sample of a prompt is the same


def test_requests_are_pulled_lazily(checkpoints: dict[str, Checkpoint]) -> None:
    """No request is taken before a row is free for it."""
    n_pulled = 0

    def pulled() -> Iterator[SampleRequest]:
        nonlocal n_pulled
        for request in requests(10):
            n_pulled += 1
            yield request

    completions = sampler_of(checkpoints["llama"], SamplingParams(max_tokens=5)).sample(pulled())
    next(completions)
    assert n_pulled == 3


def test_timing_adds_up(checkpoints: dict[str, Checkpoint]) -> None:
    """Tokens handed out are counted, a prompt is prefilled once, and the facts are described."""
    sampler = sampler_of(checkpoints["llama"], SamplingParams(max_tokens=20))
    completions = list(sampler.sample(requests(3)))
    timing = sampler.timing()
    codec = TokenCodec(train_tokenizer(), {0})
    assert timing.n_generated_tokens == sum(c.n_tokens for c in completions)
    assert timing.n_prompt_tokens == sum(len(codec.encode(text)) for text in PROMPTS)
    assert timing.prefill_s > 0 < timing.decode_s
    assert all(c.generation_ms > 0 for c in completions)
    facts = sampler.describe()
    assert (facts["device"], facts["dtype"], facts["rows"]) == ("cpu", "float32", 3)


def test_ids_beyond_the_tokenizer_are_never_drawn(checkpoints: dict[str, Checkpoint]) -> None:
    """The padding rows of the embedding are cut off before a token is drawn."""
    loaded = load_huggingface(checkpoints["llama"], CPU, notify=lambda _: None)
    assert loaded.n_ids == loaded.codec.n_ids < N_ROWS


def test_position_limit_ends_a_sample(checkpoints: dict[str, Checkpoint]) -> None:
    """A model of 128 positions stops there, and a prompt that fills them gets an empty sample."""
    params = SamplingParams(temperature=1, max_tokens=500)
    too_long = prompt("fn f(" + "x, " * 400)
    filling = [SampleRequest(prompt=prompt("fn"), index=i, seed=i) for i in range(8)]
    filling.append(SampleRequest(prompt=too_long, index=0, seed=0))
    completions = list(sampler_of(checkpoints["gpt2"], params).sample(filling))
    assert len(completions) == 9
    assert max(c.n_tokens for c in completions) <= 127
    empty = [c for c in completions if c.request.prompt is too_long]
    assert [(c.text, c.n_tokens, c.finish_reason) for c in empty] == [("", 0, FinishReason.LENGTH)]


def test_an_empty_prompt_is_refused(checkpoints: dict[str, Checkpoint]) -> None:
    """A prompt without tokens cannot be continued, and is named."""
    sampler = sampler_of(checkpoints["llama"], SamplingParams())
    request = SampleRequest(prompt=prompt("").model_copy(update={"id": "p7"}), index=0, seed=0)
    with pytest.raises(UsageError, match=r"prompt 'p7' has no tokens"):
        list(sampler.sample([request]))


def scripted_sampler(
    checkpoint: Checkpoint, text: str, monkeypatch: pytest.MonkeyPatch, *, end: bool = False
) -> HuggingFaceSampler:
    """Return a sampler that draws the tokens of `text`, then for ever its last token."""
    sampler = sampler_of(checkpoint, SamplingParams(max_tokens=100), rows=1)
    codec = TokenCodec(train_tokenizer(), {0})
    script = codec.encode(text) + ([0] if end else [])

    def write(
        logits: torch.Tensor, seeds: torch.Tensor, positions: torch.Tensor, params: SamplingParams
    ) -> torch.Tensor:
        return torch.tensor([script[min(int(position), len(script) - 1)] for position in positions])

    monkeypatch.setattr("codebench.sampling.rows.row_steps.draw", write)
    return sampler


@pytest.mark.parametrize(
    ("text", "end", "reason"),
    [
        (" a + b }\n\nfn next() {}", False, FinishReason.BALANCED),
        (" a + ", True, FinishReason.EOS),
        (" ((((", False, FinishReason.REPETITION),
        (' let é = "日本"; ' * 9, False, FinishReason.LENGTH),
    ],
)
def test_finish_reasons(
    checkpoints: dict[str, Checkpoint],
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    *,
    end: bool,
    reason: FinishReason,
) -> None:
    """A row ends at the item's end, the end token, a loop or the limit; the text is kept raw."""
    sampler = scripted_sampler(checkpoints["llama"], text, monkeypatch, end=end)
    request = SampleRequest(prompt=prompt(PROMPTS[0]), index=0, seed=0)
    (completion,) = sampler.sample([request])
    assert completion.finish_reason is reason
    assert END not in completion.text
    if reason is FinishReason.BALANCED:
        assert completion.text.rstrip() == " a + b }"
    elif reason is FinishReason.EOS:
        assert completion.text == text
    elif reason is FinishReason.LENGTH:
        assert text.startswith(completion.text.rstrip("\ufffd"))


def test_drawing_follows_the_softmax() -> None:
    """The draws of 100,000 seeds, and of as many positions, fit softmax (chi-square, 99.9 %)."""
    torch.manual_seed(1)
    n, k = 100_000, 32
    logits = torch.randn(k) * 1.5
    expected = torch.softmax(logits.double() / 0.8, 0) * n
    params = SamplingParams(temperature=0.8, top_k=0)
    counter, zeros = torch.arange(n), torch.zeros(n, dtype=torch.long)
    hashed = torch.tensor([sample_seed(run_seed=0, prompt=prompt("a"), index=i) for i in range(n)])
    for seeds, positions in ((counter, zeros + 7), (zeros + 123456789, counter), (hashed, zeros)):
        drawn = draw(logits.expand(n, k), seeds, positions, params)
        counts = torch.bincount(drawn, minlength=k).double()
        chi_square = float(((counts - expected) ** 2 / expected).sum())
        assert chi_square < 61.1  # 31 degrees of freedom
        repeats = float((drawn[1:] == drawn[:-1]).double().mean())
        chance = float(((expected / n) ** 2).sum())
        assert abs(repeats - chance) < 5 * (chance / n) ** 0.5


def test_top_k_and_top_p_keep_the_likeliest() -> None:
    """Only the survivors are drawn, each of them sometimes; top-p is taken after top-k."""
    n = 4000
    logits = torch.log(torch.tensor([0.05, 0.4, 0.3, 0.25])).expand(n, 4)
    seeds, positions = torch.arange(n), torch.zeros(n, dtype=torch.long)

    def survivors(params: SamplingParams) -> set[int]:
        return set(draw(logits, seeds, positions, params).tolist())

    assert survivors(SamplingParams(temperature=1, top_k=0)) == {0, 1, 2, 3}
    assert survivors(SamplingParams(temperature=1, top_k=2)) == {1, 2}
    assert survivors(SamplingParams(temperature=1, top_k=0, top_p=0.7)) == {1, 2, 3} - {3}
    assert survivors(SamplingParams(temperature=1, top_k=0, top_p=0.71)) == {1, 2, 3}
    assert survivors(SamplingParams(temperature=1, top_k=2, top_p=0.5)) == {1}
    assert survivors(SamplingParams(temperature=0)) == {1}


def test_all_ids_and_the_likeliest_draw_alike() -> None:
    """The noise belongs to the token: top-k draws what the full draw does when that survives."""
    logits = torch.randn(500, 300, generator=torch.Generator().manual_seed(0)) * 4
    seeds, positions = torch.arange(500), torch.arange(500)
    full = draw(logits, seeds, positions, SamplingParams(top_k=0))
    top = draw(logits, seeds, positions, SamplingParams(top_k=50))
    survives = (torch.topk(logits, 50).indices == full[:, None]).any(-1)
    assert survives.sum() > 400
    assert torch.equal(full[survives], top[survives])


@pytest.mark.parametrize(
    ("ids", "is_loop"),
    [
        ([7] * 65, True),
        ([1, 2, 3] * 22, True),
        ([1, 2, 3, 4, 5, 6, 7, 8] * 9, True),
        ([9, 9, 5, *[4, 5] * 33], True),
        ([5, 6] * 32, False),  # 0, 0, 0, ... 32 times
        ([7] * 64, False),
        ([1, 2, 3, 4, 5, 6, 7, 8, 9] * 20, False),
        ([*[5, 6] * 30, 1, *[5, 6] * 30], False),
        (list(range(300)), False),
    ],
)
def test_loops(ids: list[int], *, is_loop: bool) -> None:
    """More than 64 tokens with a period of at most 8 are a loop; honest repetition is not."""
    detector = LoopDetector()
    assert any(detector.feed(token_id) for token_id in ids) is is_loop


def test_streamed_text_is_the_text() -> None:
    """The pieces add up to the whole text, and none ends in half a character."""
    codec = TokenCodec(train_tokenizer(), {0})
    text = 'let naïve = "日本 🦀🦀"; // 🏳️‍🌈 ok\n'
    prompt_ids = codec.encode("fn f() { // 日")
    stream = TextStream(codec, prompt_ids)
    pieces = [stream.feed(token_id) for token_id in codec.encode(text)]
    assert "".join(pieces) == text
    assert not any("\ufffd" in piece for piece in pieces)
    assert codec.new_text(prompt_ids, codec.encode(text)) == text


def test_bytes_that_are_no_text_do_not_stop_the_stream() -> None:
    """After bytes that never become a character, text goes on."""
    codec = TokenCodec(train_tokenizer(), {0})
    crab = codec.encode("🦀")
    stream = TextStream(codec, codec.encode("fn"))
    streamed = "".join(stream.feed(i) for i in [*[crab[0]] * 9, *codec.encode(" ok }\n")])
    assert streamed.endswith(" ok }\n")


def test_only_the_tokenizers_own_special_tokens() -> None:
    """A begin token is added where the tokenizer adds one; an end token it adds is taken off."""
    plain = train_tokenizer()
    assert TokenCodec(plain, {0}).encode("fn")[0] != 0
    plain.post_processor = processors.TemplateProcessing(
        single=f"{END} $A {END}", special_tokens=[(END, 0)]
    )
    ids = TokenCodec(plain, {0}).encode("fn")
    assert ids[0] == 0 != ids[-1]


def test_devices() -> None:
    """A wrong device and an absent GPU are named, with what to do."""
    assert choose_device("cpu") == CPU
    with pytest.raises(UsageError, match=r"device 'gpu' is unknown: give auto, cpu, cuda"):
        choose_device("gpu")
    if torch.cuda.is_available():
        with pytest.raises(UsageError, match=r"device 'cuda:99' is not there: .* has cuda:0"):
            choose_device("cuda:99")
    else:
        assert choose_device("auto") == CPU
        with pytest.raises(EnvironmentProblem, match=r"no CUDA GPU works here; use --device cpu"):
            choose_device("cuda:0")


def test_open_sampler(
    checkpoints: dict[str, Checkpoint], capfd: pytest.CaptureFixture[str]
) -> None:
    """A checkpoint is opened by its format, in silence; a batch size of 0 is refused."""
    n_threads = torch.get_num_threads()
    sampler = open_sampler(
        checkpoints["llama"], SamplingParams(max_tokens=3), device="cpu", n_threads=n_threads
    )
    assert len(list(sampler.sample(requests(1)))) == len(PROMPTS)
    assert sampler.timing().load_s > 0
    with pytest.raises(UsageError, match=r"batch size 0 is out of range"):
        open_sampler(checkpoints["llama"], SamplingParams(), batch_size=0)
    assert capfd.readouterr() == ("", "")


def test_no_end_token_is_said(tmp_path: Path) -> None:
    """A checkpoint without an end token loads, and the user is told."""
    checkpoint = save_checkpoint(tmp_path / "a", FAMILIES["llama"](), eos=False)
    told: list[str] = []
    loaded = load_huggingface(checkpoint, CPU, notify=told.append)
    assert loaded.eos_ids == frozenset()
    assert "names no end token" in told[0]


def test_end_tokens_from_the_tokenizer(tmp_path: Path) -> None:
    """The tokenizer's own end token counts."""
    path = save_checkpoint(tmp_path / "a", FAMILIES["llama"](), eos=False).path
    (path / "tokenizer_config.json").write_text(json.dumps({"eos_token": {"content": END}}))
    checkpoint = resolve_checkpoint(str(path))
    loaded = load_huggingface(checkpoint, CPU, notify=pytest.fail)
    assert loaded.eos_ids == {0}


def edit_config(checkpoint: Checkpoint, **changes: object) -> Checkpoint:
    """Change the configuration of `checkpoint` and resolve it again."""
    path = checkpoint.path / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return resolve_checkpoint(str(checkpoint.path))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"num_hidden_layers": 3}, EnvironmentProblem, r"do not fit its config\.json: 9 missing"),
        ({"model_type": "none-such"}, EnvironmentProblem, r"cannot load .*none-such"),
        (
            {"model_type": "own", "auto_map": {"AutoConfig": "a.B"}},
            UsageError,
            r"brings its own Python code \(auto_map\), which codebench never runs",
        ),
    ],
)
def test_models_that_do_not_load(
    tmp_path: Path, changes: dict[str, object], error: type[Exception], message: str
) -> None:
    """Weights that do not fit, unknown models and foreign code are named in one line."""
    checkpoint = edit_config(save_checkpoint(tmp_path / "a", FAMILIES["llama"]()), **changes)
    with pytest.raises(error, match=message) as caught:
        load_huggingface(checkpoint, CPU, notify=lambda _: None)
    assert "\n" not in str(caught.value)


def test_a_broken_tokenizer(tmp_path: Path) -> None:
    """A tokenizer that its library cannot read is named with the way out."""
    path = save_checkpoint(tmp_path / "a", FAMILIES["llama"]()).path
    (path / "tokenizer.json").write_text(json.dumps({"model": {"type": "??", "vocab": {"a": 1}}}))
    checkpoint = resolve_checkpoint(str(path))
    with pytest.raises(EnvironmentProblem, match=r"cannot load the tokenizer in .*tokenizer\.json"):
        load_huggingface(checkpoint, CPU, notify=lambda _: None)


def test_replay_from_a_file(tmp_path: Path) -> None:
    """Completions come back by prompt and index, other fields are not read, order is free."""
    path = tmp_path / "samples.jsonl"
    lines = [
        {
            "prompt_id": "p",
            "index": i,
            "completion": f"text {i}",
            "finish_reason": "balanced",
            "n_tokens": 3,
            "outcome": "passed",
        }
        for i in range(3)
    ]
    path.write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    wanted = [
        SampleRequest(prompt=prompt("fn").model_copy(update={"id": "p"}), index=i, seed=0)
        for i in (2, 0)
    ]
    sampler = ReplaySampler(path)
    completions = list(sampler.sample(wanted))
    assert [c.text for c in completions] == ["text 2", "text 0"]
    assert Counter(c.finish_reason for c in completions) == {FinishReason.BALANCED: 2}
    assert sampler.timing().n_generated_tokens == 6
    assert sampler.describe()["source"] == str(path)


def test_replay_errors(tmp_path: Path) -> None:
    """A sample that is not there, a line that is none and a missing file are named."""
    request = SampleRequest(prompt=prompt("fn"), index=1, seed=0)
    given = ReplayedCompletion(prompt_id="fn", index=0, completion=" f() {}")
    with pytest.raises(UsageError, match=r"memory has no sample 1 of prompt 'fn'"):
        list(ReplaySampler([given]).sample([request]))
    path = tmp_path / "samples.jsonl"
    with pytest.raises(EnvironmentProblem, match="cannot read"):
        list(ReplaySampler(path).sample([request]))
    path.write_text('{"prompt_id": "fn"}\n')
    with pytest.raises(UsageError, match=r"line 1 of .* is not a sample"):
        list(ReplaySampler(path).sample([request]))
