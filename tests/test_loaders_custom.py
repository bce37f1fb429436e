"""LoRA adapters merged at load, and models that a function of the user's opens."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from codebench.checkpoints.checkpoint import CheckpointFormat
from codebench.checkpoints.resolve import resolve_checkpoint
from codebench.errors import EnvironmentProblem, UsageError
from codebench.sampling.completion import SamplingParams
from codebench.sampling.formats.huggingface import load_huggingface
from codebench.sampling.opening import open_sampler
from tests.tiny_models import (
    END,
    byte_tokenizer,
    one_thread,  # noqa: F401  (a fixture)
    requests,
    sharpen,
)

SIZES: dict[str, Any] = {"num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 257}


def write_tokenizer(folder: Path) -> None:
    """Write a tokenizer of single bytes and an end token."""
    byte_tokenizer(END).save(str(folder / "tokenizer.json"))


def write_base(folder: Path, kind: str = "llama") -> Path:
    """Write a tiny model, its weights scaled up so that what was read decides what follows."""
    torch.manual_seed(0)
    model: LlamaForCausalLM | GPT2LMHeadModel
    if kind == "llama":
        model = LlamaForCausalLM(LlamaConfig(hidden_size=32, intermediate_size=64, **SIZES))
    else:
        model = GPT2LMHeadModel(GPT2Config(n_embd=32, n_layer=2, n_head=4, vocab_size=257))
    sharpen(model).save_pretrained(folder)
    write_tokenizer(folder)
    return folder


def texts(checkpoint: Any, rows: int) -> dict[tuple[str, int], str]:  # noqa: ANN401
    """Return the samples of all prompts, four each."""
    sampler = open_sampler(
        checkpoint, SamplingParams(max_tokens=16), device="cpu", batch_size=rows, n_threads=1
    )
    return {(c.request.prompt.id, c.request.index): c.text for c in sampler.sample(requests(4))}


def test_half_precision_is_computed_in_full_on_a_cpu(tmp_path: Path) -> None:
    """Weights in bfloat16 become float32 on a CPU, and that is said."""
    model = LlamaForCausalLM(LlamaConfig(hidden_size=32, intermediate_size=64, **SIZES))
    model.bfloat16().save_pretrained(tmp_path)
    write_tokenizer(tmp_path)
    told: list[str] = []
    loaded = load_huggingface(
        resolve_checkpoint(str(tmp_path)), torch.device("cpu"), notify=told.append
    )
    assert loaded.dtype is torch.float32
    assert [line for line in told if "stored in bfloat16 and computed in float32 on cpu" in line]


# --- LoRA -----------------------------------------------------------------------------------


def write_adapter(
    folder: Path, layers: dict[str, tuple[int, int]], base: str, **config: object
) -> dict[str, torch.Tensor]:
    """Write an adapter of rank 4 for layers of (out, in)."""
    folder.mkdir(exist_ok=True)
    g = torch.Generator().manual_seed(5)
    tensors = {}
    for layer, (n_out, n_in) in layers.items():
        tensors[f"base_model.model.{layer}.lora_A.weight"] = torch.randn(4, n_in, generator=g)
        tensors[f"base_model.model.{layer}.lora_B.weight"] = torch.randn(n_out, 4, generator=g)
    save_file(tensors, folder / "adapter_model.safetensors")
    whole = {"peft_type": "LORA", "r": 4, "lora_alpha": 2, "base_model_name_or_path": base}
    whole |= {"bias": "none", "target_modules": ["q_proj"], "use_dora": False}
    (folder / "adapter_config.json").write_text(json.dumps({**whole, **config}))
    return tensors


@pytest.mark.parametrize(
    ("kind", "layer", "shape", "extra", "scale"),
    [
        ("llama", "model.layers.1.self_attn.q_proj", (32, 32), {}, 0.5),
        ("llama", "model.layers.0.mlp.down_proj", (32, 64), {"use_rslora": True}, 1.0),
        ("gpt2", "transformer.h.1.attn.c_attn", (96, 32), {"fan_in_fan_out": True}, 0.5),
    ],
)
def test_an_adapter_is_merged(
    tmp_path: Path,
    kind: str,
    layer: str,
    shape: tuple[int, int],
    extra: dict[str, object],
    scale: float,
) -> None:
    """The sampled weights are W + scale * B A, and nothing else has changed."""
    base = write_base(tmp_path / "base", kind)
    tensors = write_adapter(tmp_path / "checkpoint-70", {layer: shape}, "../base", **extra)
    checkpoint = resolve_checkpoint(str(tmp_path / "checkpoint-70"))
    assert (checkpoint.format, checkpoint.step) == (CheckpointFormat.PEFT, 70)
    from codebench.sampling.formats.peft import load_adapted

    merged = load_adapted(checkpoint, torch.device("cpu"), notify=lambda _: None).model
    plain = load_huggingface(
        resolve_checkpoint(str(base)), torch.device("cpu"), notify=lambda _: None
    ).model
    assert isinstance(merged, torch.nn.Module)
    assert isinstance(plain, torch.nn.Module)
    a, b = (tensors[f"base_model.model.{layer}.lora_{side}.weight"] for side in "AB")
    delta = scale * (b @ a)
    for name, weight in plain.state_dict().items():
        expected = weight
        if name == f"{layer}.weight":
            expected = weight + (delta.T if kind == "gpt2" else delta)
        assert torch.allclose(merged.state_dict()[name], expected, atol=1e-6), name
    assert texts(checkpoint, 8) == texts(checkpoint, 1)


def test_both_parts_identify_an_adapter(tmp_path: Path) -> None:
    """Another adapter or another base model is another fingerprint."""
    layer = {"model.layers.1.self_attn.q_proj": (32, 32)}
    write_base(tmp_path / "base")
    write_adapter(tmp_path / "a", layer, "../base")
    first = resolve_checkpoint(str(tmp_path / "a")).fingerprint
    other = write_base(tmp_path / "other")
    weights = load_file(other / "model.safetensors")
    save_file({k: v + 1 for k, v in weights.items()}, other / "model.safetensors")
    settings = {"base": str(other)}
    assert resolve_checkpoint(str(tmp_path / "a"), settings=settings).fingerprint != first
    write_adapter(tmp_path / "a", layer, "../base", lora_alpha=3)
    assert resolve_checkpoint(str(tmp_path / "a")).fingerprint != first


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ({"peft_type": "IA3"}, "peft_type = 'IA3' is more than plain LoRA"),
        ({"use_dora": True}, "use_dora = True is more than plain LoRA: merge the adapter"),
        ({"bias": "all"}, "bias = 'all'"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"alpha_pattern": {"q_proj": 8}}, "alpha_pattern"),
        ({"lora_alpha": None}, "has no lora_alpha"),
        ({"base_model_name_or_path": "org/nowhere"}, r"'org/nowhere' .* --set base=DIRECTORY"),
    ],
)
def test_adapters_that_are_refused(tmp_path: Path, config: dict[str, object], found: str) -> None:
    """More than plain LoRA, or a base model that is not here, is named."""
    write_base(tmp_path / "base")
    layers = {"model.layers.1.self_attn.q_proj": (32, 32)}
    write_adapter(tmp_path / "a", layers, "../base", **config)
    with pytest.raises(UsageError, match=found):
        resolve_checkpoint(str(tmp_path / "a"))


@pytest.mark.parametrize(
    ("layer", "shape", "found"),
    [
        ("model.layers.9.self_attn.q_proj", (32, 32), "is no linear layer of .*--set base="),
        ("model.norm", (32, 32), "is no linear layer of"),
        ("model.layers.1.self_attn.q_proj", (16, 32), r"is \(32, 32\), its adapter \(16, 4\)"),
    ],
)
def test_adapters_of_another_model(
    tmp_path: Path, layer: str, shape: tuple[int, int], found: str
) -> None:
    """An adapter whose layers are not those of its base model is named."""
    write_base(tmp_path / "base")
    write_adapter(tmp_path / "a", {layer: shape}, "../base")
    with pytest.raises((UsageError, EnvironmentProblem), match=found):
        open_sampler(resolve_checkpoint(str(tmp_path / "a")), SamplingParams(), n_threads=1)


# --- functions of the user's ----------------------------------------------------------------

LOADER = """
from types import SimpleNamespace
import torch
from transformers import LlamaForCausalLM

class Bytes:
    def encode(self, text):
        return list(text.encode())
    def decode(self, ids):
        return bytes(i for i in ids if i < 256).decode(errors="replace")

def parts(path, device):
    model = LlamaForCausalLM.from_pretrained(path).to(device).eval()
    return model, Bytes()

def whole(path, device):
    model, tokenizer = parts(path, device)
    return SimpleNamespace(module=model, tokenizer=tokenizer, eos_ids=[256], n_ids=256)

def bare(path, device):
    model, tokenizer = parts(path, device)
    module = lambda ids: model(input_ids=ids, use_cache=False).logits
    return SimpleNamespace(module=module, tokenizer=tokenizer, eos_ids=[256], n_ids=256)

def last_only(path, device):
    return SimpleNamespace(module=lambda ids: torch.zeros(len(ids), 1, 9), tokenizer=Bytes())

def no_module(path, device):
    return SimpleNamespace(tokenizer=Bytes())

def no_tokenizer(path, device):
    return SimpleNamespace(module=lambda ids: torch.zeros(*ids.shape, 257))

def fails(path, device):
    raise ValueError("bad weights")

def missing_file(path, device):
    open(path / "nothing")
"""


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model, and the user's module `own_format` in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    name = f"own_format_{abs(hash(str(tmp_path)))}"
    (tmp_path / f"{name}.py").write_text(LOADER)
    write_base(tmp_path / "step_9")
    (tmp_path / "step_9" / "tokenizer.json").rename(tmp_path / "tokenizer.json")
    (tmp_path / "name").write_text(name)
    return tmp_path / "step_9"


def custom(model: Path, function: str, **choices: Any) -> Any:  # noqa: ANN401
    """Resolve `model` with a function of the user's module."""
    name = (model.parent / "name").read_text()
    return resolve_checkpoint(str(model), loader=f"{name}:{function}", **choices)


def test_a_module_without_a_cache(model: Path) -> None:
    """Recomputing every text gives the samples that the cached model gives, in any batch."""
    checkpoint = custom(model, "bare")
    assert (checkpoint.format, checkpoint.step) == (CheckpointFormat.CUSTOM, 9)
    alone = texts(checkpoint, 1)
    assert len(set(alone.values())) > 8
    assert texts(checkpoint, 8) == alone
    assert texts(custom(model, "whole"), 8) == alone


def test_recomputing_is_said_once(model: Path) -> None:
    """A module without a cache is slow, and the user is told so at the start."""
    told: list[str] = []
    checkpoint = custom(model, "bare")
    sampler = open_sampler(checkpoint, SamplingParams(), n_threads=1, notify=told.append)
    assert len(told) == 1
    assert "a module without a cache" in told[0]
    assert sampler.describe()["model_type"] == checkpoint.loader


def test_the_loader_identifies_the_model(model: Path) -> None:
    """Another function, another source or another tokenizer is another fingerprint."""
    prints = {custom(model, name).fingerprint for name in ("whole", "bare", "whole")}
    assert len(prints) == 2
    with_tokenizer = custom(model, "no_tokenizer", tokenizer=model.parent / "tokenizer.json")
    prints.add(with_tokenizer.fingerprint)
    assert open_sampler(with_tokenizer, SamplingParams(), n_threads=1)
    source = model.parent / f"{(model.parent / 'name').read_text()}.py"
    source.write_text(LOADER + "# changed\n")
    prints.add(custom(model, "whole").fingerprint)
    assert len(prints) == 4


@pytest.mark.parametrize(
    ("function", "found"),
    [
        ("nothing", "has no function nothing"),
        ("no_module", "has no callable .module"),
        ("no_tokenizer", r"has no \.tokenizer with encode and decode; or give one with --tok"),
        ("fails", r"it failed on .*step_9: ValueError\('bad weights'\)"),
        ("missing_file", "cannot read .*step_9"),
        ("last_only", r"logits \(B, T, V\) at every position: for ids \(1, \d+\) it returned"),
    ],
)
def test_loaders_that_do_not_work(model: Path, function: str, found: str) -> None:
    """What is wrong with the user's function is one line that names it."""
    with pytest.raises((UsageError, EnvironmentProblem), match=found) as caught:
        texts(custom(model, function), 2)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("loader", "found"),
    [
        ("just_a_name", "write it as package.module:function"),
        ("a.b:c:d", "write it as package.module:function"),
        ("no_such_module_here:f", "no module no_such_module_here here or on PYTHONPATH"),
        ("no_such_package.module:f", "cannot import its package"),
    ],
)
def test_names_of_loaders(tmp_path: Path, loader: str, found: str) -> None:
    """A loader that is not there is said before anything is loaded."""
    (tmp_path / "weights.bin").touch()
    with pytest.raises(UsageError, match=found):
        resolve_checkpoint(str(tmp_path / "weights.bin"), loader=loader)
    with pytest.raises(UsageError, match="no checkpoint 'nowhere'"):
        resolve_checkpoint("nowhere", root=tmp_path, loader=loader)
