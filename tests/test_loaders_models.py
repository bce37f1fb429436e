"""Our decoders against references: logits of foreign code, and plain forwards without a cache."""

import json
import math
import pickle
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional
from transformers.cache_utils import DynamicCache

from codebench.checkpoints.resolve import resolve_checkpoint
from codebench.errors import EnvironmentProblem, UsageError
from codebench.sampling.completion import SamplingParams
from codebench.sampling.formats.nanochat import load_nanochat
from codebench.sampling.formats.nanogpt import load_nanogpt
from codebench.sampling.formats.ternary import load_ternary
from codebench.sampling.loaded_model import LoadedModel
from codebench.sampling.opening import open_sampler
from codebench.sampling.row_sampler import RowSampler
from tests.tiny_models import (
    CPU,
    PROMPTS,
    byte_tokenizer,
    one_thread,  # noqa: F401  (a fixture)
    requests,
)

Tensors = dict[str, torch.Tensor]
DATA = Path(__file__).parents[2] / "shared" / "data" / "checkpoints"
N_BYTES = 256
BASE = {"n_layer": 4, "n_head": 4, "n_kv_head": 2, "n_embd": 48, "sequence_len": 300}


def data(*parts: str) -> Path:
    """Return a checkpoint made by foreign code, or skip where it is not there."""
    path = DATA.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"no checkpoints of nanochat and nanoGPT at {DATA}")
    return path


def load(
    path: Path,
    loader: Callable[..., LoadedModel],
    **choices: Any,  # noqa: ANN401
) -> LoadedModel:
    """Resolve and load a checkpoint to the CPU."""
    return loader(resolve_checkpoint(str(path), **choices), CPU, notify=lambda _: None)


def rand(generator: torch.Generator, *shape: int, scale: float = 0.3) -> torch.Tensor:
    """Return random numbers around 0."""
    return torch.randn(*shape, generator=generator) * scale


@torch.inference_mode()
def logits_of(loaded: LoadedModel, ids: torch.Tensor) -> torch.Tensor:
    """Return all logits of a text, in one step."""
    return loaded.model(input_ids=ids).logits


@torch.inference_mode()
def stepwise(loaded: LoadedModel, ids: torch.Tensor, n_first: int) -> torch.Tensor:
    """Return all logits: the first tokens together, then one at a time over the cache."""
    past = DynamicCache()
    parts = [loaded.model(input_ids=ids[:, :n_first], past_key_values=past).logits]
    for i in range(n_first, ids.shape[1]):
        step = loaded.model(
            input_ids=ids[:, i : i + 1],
            attention_mask=torch.ones(len(ids), i + 1, dtype=torch.long),
            position_ids=torch.full((len(ids), 1), i),
            past_key_values=past,
        )
        parts.append(step.logits)
    return torch.cat(parts, 1)


def texts(loaded: LoadedModel, n_rows: int) -> dict[tuple[str, int], str]:
    """Return the samples of all prompts, five each, drawn with `n_rows` rows."""
    sampler = RowSampler(loaded, SamplingParams(max_tokens=24), batch_size=n_rows)
    return {
        (c.request.prompt.id, c.request.index): c.text
        for c in sampler.sample(requests(5, by_turns=True))
    }


# --- what foreign code computed -------------------------------------------------------------


@pytest.mark.parametrize(
    ("parts", "loader", "step"),
    [
        (("nanogpt-char",), load_nanogpt, 750),
        (("nanochat", "base_checkpoints", "d4"), load_nanochat, 500),
    ],
)
def test_logits_of_the_original_code(
    parts: tuple[str, ...], loader: Callable[..., LoadedModel], step: int
) -> None:
    """NanoGPT's and nanochat's own logits are met within 1e-4, in one step and over the cache."""
    path = data(*parts)
    reference = torch.load(path / "reference.pt", weights_only=True)
    loaded = load(path, loader)
    assert resolve_checkpoint(str(path)).step == step
    whole = logits_of(loaded, reference["input_ids"])
    assert (whole - reference["logits"]).abs().max() <= 1e-4
    cached = stepwise(loaded, reference["input_ids"], 20)
    assert (cached - reference["logits"]).abs().max() <= 1e-4


@pytest.mark.parametrize(
    ("parts", "loader"),
    [
        (("nanogpt-char",), load_nanogpt),
        (("nanochat", "base_checkpoints", "d4"), load_nanochat),
    ],
)
def test_samples_do_not_depend_on_the_batch(
    parts: tuple[str, ...], loader: Callable[..., LoadedModel]
) -> None:
    """One row, eight rows and three rows draw the same samples."""
    loaded = load(data(*parts), loader)
    alone = texts(loaded, 1)
    assert len(set(alone.values())) > 10
    assert texts(loaded, 8) == alone
    assert texts(loaded, 3) == alone


@pytest.mark.parametrize(
    ("parts", "loader"),
    [
        (("nanogpt-char",), load_nanogpt),
        (("nanochat", "base_checkpoints", "d4"), load_nanochat),
    ],
)
def test_logits_in_bfloat16(
    parts: tuple[str, ...], loader: Callable[..., LoadedModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a GPU would compute them, logits stay within 0.05 of the original code's float32.

    The choice of the type is patched, because a CPU is never given bfloat16.
    """
    path = data(*parts)
    monkeypatch.setattr(f"{loader.__module__}.choose_dtype", lambda _: torch.bfloat16)
    reference = torch.load(path / "reference.pt", weights_only=True)
    found = logits_of(load(path, loader), reference["input_ids"]).float()
    assert (found - reference["logits"]).abs().max() <= 0.05


def test_open_sampler_opens_each_format() -> None:
    """The format of the checkpoint decides the loader, and results.json says which it was."""
    for parts, kind in ((("nanogpt-char",), "nanogpt"), (("nanochat", "base_checkpoints"), "?")):
        path = data(*parts)
        if kind == "?":
            path, kind = path / "d4" / "model_000500.pt", "nanochat"
        sampler = open_sampler(resolve_checkpoint(str(path)), SamplingParams(), n_threads=1)
        assert sampler.describe()["model_type"] == kind
        assert sampler.describe()["dtype"] == "float32"


# --- nanoGPT --------------------------------------------------------------------------------


def nanogpt_tensors(*, bias: bool, n_rows: int, d: int = 16, n_layer: int = 2) -> Tensors:
    """Return a random state dict as nanoGPT saves it."""
    g = torch.Generator().manual_seed(1)
    tensors = {
        "transformer.wte.weight": rand(g, n_rows, d),
        "transformer.wpe.weight": rand(g, 32, d),
        "transformer.ln_f.weight": 1 + rand(g, d),
    }
    shapes: dict[str, tuple[int, ...]] = {"attn.c_attn": (3 * d, d), "attn.c_proj": (d, d)}
    shapes |= {"mlp.c_fc": (4 * d, d), "mlp.c_proj": (d, 4 * d), "ln_1": (d,), "ln_2": (d,)}
    for i in range(n_layer):
        for name, shape in shapes.items():
            tensors[f"transformer.h.{i}.{name}.weight"] = rand(g, *shape) + (len(shape) == 1)
            if bias:
                tensors[f"transformer.h.{i}.{name}.bias"] = rand(g, shape[0])
    if bias:
        tensors["transformer.ln_f.bias"] = rand(g, d)
    tensors["lm_head.weight"] = tensors["transformer.wte.weight"]
    return tensors


def nanogpt_logits(t: Tensors, ids: torch.Tensor, *, approximate: str) -> torch.Tensor:
    """Compute GPT-2 as nanoGPT writes it, for two heads and no batch."""

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        return functional.layer_norm(
            x, (x.shape[-1],), t[f"{name}.weight"], t.get(f"{name}.bias"), 1e-5
        )

    def linear(x: torch.Tensor, name: str) -> torch.Tensor:
        return functional.linear(x, t[f"{name}.weight"], t.get(f"{name}.bias"))

    n = len(ids)
    x = t["transformer.wte.weight"][ids] + t["transformer.wpe.weight"][:n]
    for i in range(2):
        h = f"transformer.h.{i}"
        q, k, v = linear(norm(x, f"{h}.ln_1"), f"{h}.attn.c_attn").chunk(3, dim=-1)
        heads = []
        for part in range(2):
            cut = slice(8 * part, 8 * part + 8)
            scores = q[:, cut] @ k[:, cut].T / math.sqrt(8)
            scores = scores.masked_fill(torch.ones(n, n).triu(1).bool(), -math.inf)
            heads.append(scores.softmax(-1) @ v[:, cut])
        x = x + linear(torch.cat(heads, -1), f"{h}.attn.c_proj")
        hidden = functional.gelu(
            linear(norm(x, f"{h}.ln_2"), f"{h}.mlp.c_fc"), approximate=approximate
        )
        x = x + linear(hidden, f"{h}.mlp.c_proj")
    return norm(x, "transformer.ln_f") @ t["lm_head.weight"].T


def save_nanogpt(folder: Path, tensors: Tensors, *, bias: bool, n_rows: int) -> Path:
    """Write ckpt.pt and a meta.pkl of 60 characters."""
    folder.mkdir()
    args = {"n_layer": 2, "n_head": 2, "n_embd": 16, "block_size": 32, "vocab_size": n_rows}
    content = {
        "model": tensors,
        "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}},
        "model_args": {**args, "bias": bias, "dropout": 0.1},
        "iter_num": 70,
        "best_val_loss": torch.tensor(1.0),
        "config": {"dataset": "chars"},
    }
    torch.save(content, folder / "ckpt.pt")
    chars = sorted(set("".join(PROMPTS)) | set("+-*/=;"))
    stoi = {char: i for i, char in enumerate(chars)}
    meta = {"vocab_size": len(chars), "stoi": stoi, "itos": {i: c for c, i in stoi.items()}}
    (folder / "meta.pkl").write_bytes(pickle.dumps(meta))
    return folder


@pytest.mark.parametrize("bias", [True, False])
def test_nanogpt_with_every_leftover(tmp_path: Path, *, bias: bool) -> None:
    """Biases or none, wrapper prefixes, saved masks and a padded embedding: the logits agree."""
    tensors = nanogpt_tensors(bias=bias, n_rows=64)
    mask = {"transformer.h.0.attn.bias": torch.ones(1, 1, 32, 32).tril()}
    saved = {f"_orig_mod.module.{k}": v for k, v in (tensors | mask).items()}
    folder = save_nanogpt(tmp_path / "out", saved, bias=bias, n_rows=64)
    ids = torch.arange(25)
    loaded = load(folder, load_nanogpt)
    for activation, approximate in (("gelu_new", "tanh"), ("gelu", "none")):
        loaded = load(folder, load_nanogpt, settings={"activation": activation})
        expected = nanogpt_logits(tensors, ids, approximate=approximate)
        assert torch.allclose(logits_of(loaded, ids[None])[0], expected, atol=1e-4)
    assert loaded.n_ids < 64
    assert loaded.max_positions == 32
    assert texts(loaded, 8) == texts(loaded, 1)


def test_nanogpt_with_a_head_of_its_own(tmp_path: Path) -> None:
    """A head that was untied is used, not overwritten by the embedding."""
    tensors = nanogpt_tensors(bias=False, n_rows=64)
    tensors["lm_head.weight"] = tensors["lm_head.weight"].flip(0).clone()
    folder = save_nanogpt(tmp_path / "out", tensors, bias=False, n_rows=64)
    ids = torch.arange(20)
    expected = nanogpt_logits(tensors, ids, approximate="none")
    found = logits_of(load(folder, load_nanogpt), ids[None])[0]
    assert torch.allclose(found, expected, atol=1e-4)


def test_nanogpt_on_tokens_of_gpt2(tmp_path: Path) -> None:
    """With a tokenizer.json the end token stops, and padded rows of the embedding are never drawn.

    The head is raised for the padding, so that it would win if it were not left out.
    """
    tensors = nanogpt_tensors(bias=False, n_rows=320)
    tensors["lm_head.weight"] = tensors["lm_head.weight"].clone()
    tensors["lm_head.weight"][257:] *= 50
    folder = save_nanogpt(tmp_path / "out", tensors, bias=False, n_rows=320)
    byte_tokenizer("<|endoftext|>").save(str(tmp_path / "gpt2.json"))
    loaded = load(folder, load_nanogpt, tokenizer=tmp_path / "gpt2.json")
    assert loaded.n_ids == 257
    assert loaded.eos_ids == frozenset({256})
    assert any(texts(loaded, 8).values())


def test_nanogpt_that_is_overwritten_meanwhile(tmp_path: Path) -> None:
    """Weights that are not those of the fingerprint are not sampled."""
    tensors = nanogpt_tensors(bias=False, n_rows=64)
    folder = save_nanogpt(tmp_path / "out", tensors, bias=False, n_rows=64)
    checkpoint = resolve_checkpoint(str(folder))
    content = torch.load(folder / "ckpt.pt", weights_only=True)
    torch.save({**content, "iter_num": 71}, folder / "ckpt.pt")
    with pytest.raises(EnvironmentProblem, match="was overwritten meanwhile"):
        load_nanogpt(checkpoint, CPU, notify=lambda _: None)


def test_nanogpt_outlives_its_file(tmp_path: Path) -> None:
    """A trainer that overwrites ckpt.pt while we sample does not pull the weights from under us."""
    tensors = nanogpt_tensors(bias=False, n_rows=64)
    folder = save_nanogpt(tmp_path / "out", tensors, bias=False, n_rows=64)
    loaded = load(folder, load_nanogpt)
    before = logits_of(loaded, torch.arange(9)[None])
    (folder / "ckpt.pt").write_bytes(b"")
    assert torch.equal(logits_of(loaded, torch.arange(9)[None]), before)


def test_an_unknown_character_is_named(tmp_path: Path) -> None:
    """A prompt with a character that the model has no token for is an error, not other text."""
    folder = save_nanogpt(
        tmp_path / "out", nanogpt_tensors(bias=False, n_rows=64), bias=False, n_rows=64
    )
    with pytest.raises(UsageError, match=r"no token for 'é' \(U\+00E9\)"):
        load(folder, load_nanogpt).codec.encode("fn é")


# --- nanochat, every era --------------------------------------------------------------------

FIRST_GATE = {"lambdas": True, "gate": 32, "short": 150}
MARCH = {"lambdas": True, "gate": 12, "gate_scale": 3, "base": 1e5, "short": 128, "exact": True}
ERAS: dict[str, dict[str, Any]] = {
    "2025-10": {"short": None},
    "2026-01-11": {"lambdas": True, "short": 150},
    "2026-01-16": {**FIRST_GATE, "set": {"softcap": "15"}},
    "2026-03-02": {**FIRST_GATE, "set": {"softcap": "20"}, "softcap": 20, "exact": True},
    "2026-03-09": {**MARCH, "qk": 1.15},
    "2026-03-14": {**MARCH, "qk": 1.2, "smear": True},
}
"""What each era changed; without `exact` the rotary tables are rounded to bfloat16."""


def nanochat_tensors(era: dict[str, Any]) -> Tensors:
    """Return a random state dict of an era, the embedding padded to 320 rows."""
    g = torch.Generator().manual_seed(2)
    d, kv, n_layer, rows = 48, 24, 4, 320
    tensors = {"transformer.wte.weight": rand(g, rows, d), "lm_head.weight": rand(g, rows, d)}
    for i in range(n_layer):
        shapes = {"attn.c_q": (d, d), "attn.c_k": (kv, d), "attn.c_v": (kv, d)}
        shapes |= {"attn.c_proj": (d, d), "mlp.c_fc": (4 * d, d), "mlp.c_proj": (d, 4 * d)}
        if era.get("gate") and i % 2 == 1:
            shapes["attn.ve_gate"] = (2, era["gate"])
            tensors[f"value_embeds.{i}.weight"] = rand(g, rows, kv)
        for name, shape in shapes.items():
            tensors[f"transformer.h.{i}.{name}.weight"] = rand(g, *shape)
    if era.get("lambdas"):
        tensors["resid_lambdas"] = 1 + rand(g, n_layer)
        tensors["x0_lambdas"] = rand(g, n_layer)
    if era.get("smear"):
        tensors |= {"smear_gate.weight": rand(g, 1, 24), "smear_lambda": rand(g, 1) + 0.5}
        tensors["backout_lambda"] = rand(g, 1) + 0.2
    return tensors


def nanochat_logits(  # noqa: C901  (one formula, read from top to bottom)
    t: Tensors, ids: torch.Tensor, era: dict[str, Any]
) -> torch.Tensor:
    """Compute nanochat for one text, token by token and head by head, without a cache."""

    def norm(x: torch.Tensor) -> torch.Tensor:
        return x / (x.pow(2).mean(-1, keepdim=True) + torch.finfo(torch.float32).eps).sqrt()

    n, head, qk, cap = len(ids), 12, float(era.get("qk", 1)), float(era.get("softcap", 15))
    angles = torch.arange(n)[:, None] / era.get("base", 1e4) ** (torch.arange(0, head, 2) / head)
    cos, sin = angles.cos(), angles.sin()
    if not era.get("exact"):
        cos, sin = cos.bfloat16().float(), sin.bfloat16().float()

    def turn(x: torch.Tensor) -> torch.Tensor:
        a, b = x[:, :6], x[:, 6:]
        return norm(torch.cat([a * cos + b * sin, b * cos - a * sin], -1)) * qk

    x = norm(t["transformer.wte.weight"][ids])
    if era.get("smear"):
        gate = t["smear_lambda"] * torch.sigmoid(x[1:, :24] @ t["smear_gate.weight"].T)
        x = torch.cat([x[:1], x[1:] + gate * x[:-1]])
    first = middle = x
    for i in range(4):
        w = {k.split(f"h.{i}.")[1]: v for k, v in t.items() if f"transformer.h.{i}." in k}
        if era.get("lambdas"):
            x = t["resid_lambdas"][i] * x + t["x0_lambdas"][i] * first
        h = norm(x)
        q, k, v = (h @ w[f"attn.c_{name}.weight"].T for name in "qkv")
        if era.get("gate") and i % 2 == 1:
            gates = torch.sigmoid(h[:, : era["gate"]] @ w["attn.ve_gate.weight"].T)
            gates = gates.repeat_interleave(head, 1) * era.get("gate_scale", 2)
            v = v + gates * t[f"value_embeds.{i}.weight"][ids]
        back = torch.arange(n)[:, None] - torch.arange(n)
        hidden = back < 0
        if era["short"] is not None and i < 3:  # SSSL
            hidden |= back > era["short"]
        heads = []
        for j in range(4):
            own, shared = (
                slice(j * head, j * head + head),
                slice(j // 2 * head, j // 2 * head + head),
            )
            scores = turn(q[:, own]) @ turn(k[:, shared]).T / math.sqrt(head)
            heads.append(scores.masked_fill(hidden, -math.inf).softmax(-1) @ v[:, shared])
        x = x + torch.cat(heads, -1) @ w["attn.c_proj.weight"].T
        x = x + (norm(x) @ w["mlp.c_fc.weight"].T).relu().pow(2) @ w["mlp.c_proj.weight"].T
        middle = x if i == 2 else middle
    if era.get("smear"):
        x = x - t["backout_lambda"] * middle
    return cap * torch.tanh((norm(x) @ t["lm_head.weight"].T)[:, : N_BYTES + 2] / cap)


def write_tiktoken(path: Path, ranks: dict[bytes, int], special: dict[str, int]) -> None:
    """Pickle a `tiktoken.core.Encoding`, whether tiktoken is installed or not."""
    module = types.ModuleType("tiktoken.core")
    kind = type("Encoding", (), {"__module__": "tiktoken.core"})
    module.Encoding = kind  # type: ignore[attr-defined]
    encoding = kind()
    vars(encoding).update(
        name="rustbpe",
        pat_str=r" ?[^\s]+|\s+",
        mergeable_ranks=ranks,
        special_tokens=special,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = {name: sys.modules.get(name) for name in ("tiktoken", "tiktoken.core")}
    sys.modules |= {"tiktoken": types.ModuleType("tiktoken"), "tiktoken.core": module}
    try:
        path.write_bytes(pickle.dumps(encoding))
    finally:
        for name, value in kept.items():
            del sys.modules[name]
            if value is not None:
                sys.modules[name] = value


def save_nanochat(root: Path, tensors: Tensors, **changed: object) -> Path:
    """Write model, meta and tokenizer as nanochat lays them out; return the folder of the steps."""
    folder = root / "base_checkpoints" / "d4"
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(tensors, folder / "model_000010.pt")
    config = {**BASE, "vocab_size": N_BYTES + 2, **changed}
    meta = {"step": 10, "model_config": config, "user_config": {"run": "dummy"}}
    (folder / "meta_000010.json").write_text(json.dumps(meta))
    ranks = {bytes([i]): i for i in range(N_BYTES)}
    write_tiktoken(
        root / "tokenizer" / "tokenizer.pkl",
        ranks,
        {"<|bos|>": N_BYTES, "<|assistant_end|>": N_BYTES + 1},
    )
    return folder


@pytest.mark.parametrize("name", ERAS)
def test_every_era_of_nanochat(tmp_path: Path, name: str) -> None:
    """Keys and shapes tell the era; a plain forward with its constants gives the same logits."""
    era = ERAS[name]
    tensors = nanochat_tensors(era)
    pattern = {} if era["short"] is None else {"window_pattern": "SSSL"}
    folder = save_nanochat(tmp_path, {f"_orig_mod.{k}": v for k, v in tensors.items()}, **pattern)
    loaded = load(folder, load_nanochat, settings=era.get("set", {}))
    ids = torch.randint(0, N_BYTES + 2, (180,), generator=torch.Generator().manual_seed(3))
    expected = nanochat_logits(tensors, ids, era)
    whole = logits_of(loaded, ids[None])[0]
    assert whole.shape == expected.shape
    assert torch.allclose(whole, expected, atol=2e-4)
    assert torch.allclose(stepwise(loaded, ids[None], 7)[0], expected, atol=2e-4)
    assert expected.abs().max() > 5  # the cap is felt


@pytest.mark.parametrize("name", ["2025-10", "2026-03-14"])
def test_nanochat_rows_keep_their_own_state(tmp_path: Path, name: str) -> None:
    """Refilled rows, with one-token prompts among them, draw what a single row draws."""
    pattern = {} if ERAS[name]["short"] is None else {"window_pattern": "SSSL"}
    folder = save_nanochat(tmp_path, nanochat_tensors(ERAS[name]), sequence_len=16, **pattern)
    loaded = load(folder, load_nanochat)
    alone = texts(loaded, 1)
    assert len(set(alone.values())) > 10
    assert texts(loaded, 8) == alone


def test_the_ambiguous_era_is_refused(tmp_path: Path) -> None:
    """Where no file tells the softcap, the options that decide are named."""
    folder = save_nanochat(tmp_path, nanochat_tensors(ERAS["2026-01-16"]), window_pattern="SSSL")
    with pytest.raises(UsageError, match=r"ambiguous: .*--set softcap=15 or --set softcap=20"):
        resolve_checkpoint(str(folder))
    first, second = (
        resolve_checkpoint(str(folder), settings={"softcap": cap}) for cap in ("15", "20")
    )
    assert first.fingerprint != second.fingerprint
    with pytest.raises(UsageError, match="--set softcap=nan: give a positive number"):
        resolve_checkpoint(str(folder), settings={"softcap": "nan"})
    with pytest.raises(UsageError, match=r"--set sofcap: nanochat has no such setting; it knows"):
        resolve_checkpoint(str(folder), settings={"sofcap": "15"})


def test_an_unknown_era_is_refused(tmp_path: Path) -> None:
    """A gate of a width that nanochat never had is not guessed at."""
    folder = save_nanochat(tmp_path, nanochat_tensors({"lambdas": True, "gate": 16, "short": 1}))
    with pytest.raises(UsageError, match=r"of no era of nanochat .*\[16\] channels; .*--loader"):
        resolve_checkpoint(str(folder))


# --- nanochat-rs-ternary --------------------------------------------------------------------

TERNARY = {
    "dim": 32,
    "n_layers": 2,
    "n_heads": 4,
    "n_kv_heads": 4,
    "ffn_mult": 2.6875,
    "vocab_size": 257,
    "max_seq_len": 64,
    "group_size": 16,
    "mhc_n_streams": 2,
    "weight_tied": True,
    "rope_theta": 10000.0,
    "loop_config": None,
    "use_mtp": True,
}


def ternary_tensors(config: dict[str, Any]) -> Tensors:
    """Return random weights with the names of the trainer's VarMap."""
    g = torch.Generator().manual_seed(4)
    d, ffn = 32, 96  # int(32 * 2.6875) = 86, rounded up to a multiple of 16
    kv = d // 4 * config["n_kv_heads"]
    tensors = {"tok_embed.weight": rand(g, 257, d), "norm_final.weight": 1 + rand(g, d)}
    for i in range(2):
        shapes = {"attn.wq": (d, d), "attn.wk": (kv, d), "attn.wv": (kv, d), "attn.wo": (d, d)}
        shapes |= {"ffn.w_gate": (ffn, d), "ffn.w_up": (ffn, d), "ffn.w_down": (d, ffn)}
        for name, shape in shapes.items():
            tensors[f"blocks.{i}.{name}.weight"] = rand(g, *shape)
        for part in ("attn", "ffn"):
            tensors[f"blocks.{i}.norm_{part}.weight"] = 1 + rand(g, d)
            mhc = f"blocks.{i}.mhc_{part}"
            tensors[f"{mhc}.alpha_logit"] = 1 + rand(g, 1)
            for name in ("pre_logits", "pre_bias", "post_logits", "post_bias"):
                tensors[f"{mhc}.{name}"] = rand(g, 2)
    if not config["weight_tied"]:
        tensors["lm_head.weight"] = rand(g, 257, d)
    return tensors


def ternary_logits(  # noqa: C901  (likewise)
    t: Tensors, ids: torch.Tensor, config: dict[str, Any], *, tile: bool = True, mix_first: bool
) -> torch.Tensor:
    """Compute the standard forward of nanochat-rs-ternary for one text, without a cache."""

    def away(x: torch.Tensor) -> torch.Tensor:  # round as Rust does
        return torch.where(x < 0, -(0.5 - x).floor(), (x + 0.5).floor())

    def linear(x: torch.Tensor, name: str) -> torch.Tensor:
        w = t[name].reshape(-1, 16)
        scale = w.abs().mean(1, keepdim=True)
        w = (away(w / scale).clamp(-1, 1) * scale).reshape(t[name].shape)
        top = x.abs().max(-1, keepdim=True).values
        return away(x * (127 / top)).clamp(-127, 127) * (top / 127) @ w.T

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        return x / (x.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt() * t[name]

    n, head, n_kv = len(ids), 8, config["n_kv_heads"]
    angles = torch.arange(n)[:, None] / 10000.0 ** (torch.arange(0, head, 2) / head)
    cos, sin = angles.cos(), angles.sin()

    def turn(x: torch.Tensor) -> torch.Tensor:
        a, b = x[:, :4], x[:, 4:]
        return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)

    def attention(x: torch.Tensor, block: str) -> torch.Tensor:
        q, k, v = (linear(x, f"{block}.attn.w{name}.weight") for name in "qkv")
        heads = []
        for j in range(4):
            own = slice(j * head, j * head + head)
            pair = j % n_kv if tile else j * n_kv // 4
            shared = slice(pair * head, pair * head + head)
            scores = turn(q[:, own]) @ turn(k[:, shared]).T / math.sqrt(head)
            scores = scores.masked_fill(torch.ones(n, n).triu(1).bool(), -math.inf)
            heads.append(scores.softmax(-1) @ v[:, shared])
        return linear(torch.cat(heads, -1), f"{block}.attn.wo.weight")

    def feed_forward(x: torch.Tensor, block: str) -> torch.Tensor:
        gate = functional.silu(linear(x, f"{block}.ffn.w_gate.weight"))
        return linear(gate * linear(x, f"{block}.ffn.w_up.weight"), f"{block}.ffn.w_down.weight")

    s0 = s1 = t["tok_embed.weight"][ids]
    for i in range(2):
        for part, layer in (("attn", attention), ("ffn", feed_forward)):
            block, mhc = f"blocks.{i}", f"blocks.{i}.mhc_{part}"
            pre = torch.sigmoid(t[f"{mhc}.pre_logits"] + t[f"{mhc}.pre_bias"])
            post = 2 * torch.sigmoid(t[f"{mhc}.post_logits"] + t[f"{mhc}.post_bias"])
            a = torch.sigmoid(t[f"{mhc}.alpha_logit"])
            out = layer(norm(pre[0] * s0 + pre[1] * s1, f"{block}.norm_{part}.weight"), block)
            if mix_first:
                s0, s1 = a * s0 + (1 - a) * s1, (1 - a) * s0 + a * s1
            s0, s1 = s0 + post[0] * out, s1 + post[1] * out
            if not mix_first:
                s0, s1 = a * s0 + (1 - a) * s1, (1 - a) * s0 + a * s1
    x = norm((s0 + s1) / 2, "norm_final.weight")
    return x @ t["tok_embed.weight" if config["weight_tied"] else "lm_head.weight"].T


def save_ternary(folder: Path, config: dict[str, Any], *, step: int = 10_000) -> Tensors:
    """Write model.safetensors, meta.json and a tokenizer one level up."""
    folder.mkdir(parents=True)
    tensors = ternary_tensors({**TERNARY, **config})
    save_file(tensors, folder / "model.safetensors")
    meta = {"version": 1, "config": {**TERNARY, **config}, "step": step, "loss": 2.5}
    (folder / "meta.json").write_text(json.dumps(meta))
    byte_tokenizer("<|endoftext|>").save(str(folder.parent / "tokenizer.json"))
    return tensors


@pytest.mark.parametrize(
    ("config", "settings", "reference"),
    [
        ({}, {}, {"mix_first": False}),
        ({"weight_tied": False}, {"mhc": "mix-first"}, {"mix_first": True}),
        ({"n_kv_heads": 2}, {"gqa": "tile"}, {"mix_first": False, "tile": True}),
        ({"n_kv_heads": 2}, {"gqa": "interleave"}, {"mix_first": False, "tile": False}),
    ],
)
def test_ternary(
    tmp_path: Path, config: dict[str, Any], settings: dict[str, str], reference: dict[str, bool]
) -> None:
    """A plain forward with the trainer's rounding gives the same logits, cached or not."""
    path = tmp_path / "final"
    tensors = save_ternary(path, config)
    assert resolve_checkpoint(str(path), settings=settings).step == 10_000
    loaded = load(path, load_ternary, settings=settings)
    ids = torch.randint(0, 257, (40,), generator=torch.Generator().manual_seed(5))
    expected = ternary_logits(tensors, ids, {**TERNARY, **config}, **reference)
    for found in (logits_of(loaded, ids[None]), stepwise(loaded, ids[None], 5)):
        differences = (found[0] - expected).abs()  # a rounding that goes the other way is a step
        assert differences.median() < 1e-4
        assert differences.max() < 0.1
    assert texts(loaded, 8) == texts(loaded, 1)


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ({"loop_config": {"loop_count": 4}}, "loop_config"),
        ({"use_wave_field": True}, "use_wave_field = True"),
        ({"use_engram": True}, "use_engram"),
        ({"use_fp4": True}, "use_fp4"),
        ({"use_something_new": True}, "use_something_new"),
        ({"mhc_n_streams": 4}, "mhc_n_streams = 4"),
        ({"dim": "32"}, r"config has no usable dim \('32'\)"),
        ({"n_kv_heads": 2}, "ambiguous: .*--set gqa=tile or --set gqa=interleave"),
    ],
)
def test_ternary_variants_are_named(tmp_path: Path, config: dict[str, Any], found: str) -> None:
    """A variant is refused by the key of its configuration."""
    save_ternary(tmp_path / "step_1", {})
    meta = {"config": {**TERNARY, **config}, "step": 1}
    (tmp_path / "step_1" / "meta.json").write_text(json.dumps(meta))
    with pytest.raises(UsageError, match=found):
        resolve_checkpoint(str(tmp_path / "step_1"))
