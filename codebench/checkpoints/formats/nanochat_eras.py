"""Which nanochat a state dict comes from: its constants are in the code of its day, not in a file.

The architecture changed in the open, and each change left tensors behind that tell it, but one:

| since | tells it | changed |
|---|---|---|
| 2025-10-13 | base tensors only | RoPE base 10000, softcap 15, full attention |
| 2026-01-11 | resid_lambdas, x0_lambdas; window_pattern in the meta file | S = sequence_len // 2 |
| 2026-01-16 | value_embeds.<i>, attn.ve_gate (.., 32) | v += 2 sigmoid(gate) value_embed |
| 2026-03-02 | nothing | softcap 20 |
| 2026-03-09 | ve_gate (.., 12) | softcap 15, RoPE base 100000, q and k times 1.15, |
|            |                  | 3 sigmoid(gate), S = sequence_len / 3 up to a multiple of 128 |
| 2026-03-14 | smear_gate, smear_lambda, backout_lambda | q and k times 1.2, S = sequence_len / 4 |

So a ve_gate of 32 channels leaves the softcap open, and the user must say it. Until the beginning
of March 2026 the RoPE tables were rounded to bfloat16 whatever the weights were; of the 32-channel
checkpoints that holds for those with softcap 15.

Source: https://github.com/karpathy/nanochat, history of nanochat/gpt.py; read up to 2026-07-03.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from codebench.checkpoints.formats.named_tensors import Shapes, check_shapes
from codebench.checkpoints.formats.settings import Settings, check_names, positive_number
from codebench.errors import UsageError

SETTINGS = ("softcap", "rope_base", "qk_scale", "ve_scale", "short_window")
"""Constants that `--set` may decide; the era decides the others."""

SMEAR_CHANNELS = 24
_CONFIG = ("sequence_len", "vocab_size", "n_layer", "n_head", "n_embd")


@dataclass(frozen=True, slots=True, kw_only=True)
class Era:
    """The constants of nanochat's code at one time."""

    since: str
    softcap: float = 15.0
    rope_base: float = 10_000.0
    rope_in_bfloat16: bool = True
    """Whether cosines and sines are rounded to bfloat16 even where the model is not."""

    qk_scale: float = 1.0
    ve_scale: float = 2.0
    window_divisor: int = 2
    window_tile: int = 1
    """A short window is sequence_len / divisor, rounded up to a multiple of a tile above 1."""

    def short_window(self, sequence_len: int) -> int:
        """Return how far back a layer S sees."""
        if self.window_tile == 1:
            return sequence_len // self.window_divisor
        return -(-sequence_len // self.window_divisor // self.window_tile) * self.window_tile


_OCTOBER = Era(since="2025-10-13")
_EARLY_JANUARY = Era(since="2026-01-11")
_JANUARY = Era(since="2026-01-16")
_EARLY_MARCH = Era(
    since="2026-03-09",
    rope_base=100_000.0,
    rope_in_bfloat16=False,
    qk_scale=1.15,
    ve_scale=3.0,
    window_divisor=3,
    window_tile=128,
)
_MARCH = replace(_EARLY_MARCH, since="2026-03-14", qk_scale=1.2, window_divisor=4)


@dataclass(frozen=True, slots=True, kw_only=True)
class NanochatArchitecture:
    """What decides the forward pass."""

    sequence_len: int
    vocab_size: int
    """Ids; the embedding may have more rows, whose logits are cut off."""

    n_rows: int
    n_layer: int
    n_head: int
    n_kv_head: int
    n_embd: int
    era: Era
    windows: tuple[int | None, ...]
    """Per layer, how far back a token sees, itself not counted; None sees everything."""

    value_layers: tuple[int, ...]
    """Layers with a value embedding."""

    gate_channels: int
    """Channels that the gate of a value embedding reads; 0 without one."""

    has_lambdas: bool
    has_smear: bool

    @property
    def head_size(self) -> int:
        """Numbers per attention head."""
        return self.n_embd // self.n_head


def read_architecture(
    shapes: Shapes, config: Mapping[str, object], settings: Settings, *, path: Path
) -> NanochatArchitecture:
    """Tell the era from the tensors and check every one of them.

    Args:
        shapes: Of the state dict, under plain names.
        config: `model_config` of the meta file.
        settings: What the user decided.
        path: What messages call the checkpoint.

    Raises:
        UsageError: if the configuration is not nanochat's, or leaves open what `--set` decides.
        EnvironmentProblem: if the tensors do not fit.
    """
    check_names(settings, SETTINGS, owner="nanochat")
    numbers = _numbers(config, path)
    gates = {shape[-1] for name, shape in shapes.items() if name.endswith("attn.ve_gate.weight")}
    has_lambdas = "resid_lambdas" in shapes or "x0_lambdas" in shapes
    has_smear = any(name.startswith(("smear_", "backout_")) for name in shapes)
    era = _era(gates, settings, path, has_lambdas=has_lambdas, has_smear=has_smear)
    era = replace(
        era,
        softcap=positive_number(settings, "softcap", era.softcap),
        rope_base=positive_number(settings, "rope_base", era.rope_base),
        qk_scale=positive_number(settings, "qk_scale", era.qk_scale),
        ve_scale=positive_number(settings, "ve_scale", era.ve_scale),
    )
    n_rows = shapes.get("transformer.wte.weight", (0,))[0]
    padded = -(-numbers["vocab_size"] // 64) * 64
    owners = (name.split(".")[1] for name in shapes if name.startswith("value_embeds."))
    architecture = NanochatArchitecture(
        **numbers,
        n_rows=n_rows if n_rows == padded else numbers["vocab_size"],
        era=era,
        windows=_windows(config, settings, era, numbers, path),
        value_layers=tuple(sorted(int(i) for i in owners if i.isdecimal())),
        gate_channels=max(gates, default=0),
        has_lambdas=has_lambdas,
        has_smear=has_smear,
    )
    check_shapes(shapes, _expected(architecture), path=path, source="its model_config")
    return architecture


def _numbers(config: Mapping[str, object], path: Path) -> dict[str, int]:
    numbers: dict[str, int] = {}
    for name in (*_CONFIG, "n_kv_head"):
        value = config.get(name, config.get("n_head") if name == "n_kv_head" else None)
        if not isinstance(value, int) or not 1 <= value <= 1 << 30:
            raise UsageError(f"{path} is no checkpoint of nanochat: model_config has no {name}")
        numbers[name] = value
    n_head = numbers["n_head"]
    if numbers["n_embd"] % (2 * n_head) or n_head % numbers["n_kv_head"]:
        raise UsageError(f"{path}: model_config does not divide n_embd and n_head evenly")
    return numbers


def _era(
    gates: set[int], settings: Settings, path: Path, *, has_lambdas: bool, has_smear: bool
) -> Era:
    """Return the era that the tensors tell."""
    if gates - {12, 32} or len(gates) > 1 or (has_smear and 32 in gates):
        raise UsageError(
            f"{path} is of no era of nanochat that codebench knows: ve_gate has "
            f"{sorted(gates)} channels; open it with --loader package.module:function"
        )
    if has_smear:
        return _MARCH
    if 12 in gates:
        return _EARLY_MARCH
    if not gates:
        return _EARLY_JANUARY if has_lambdas else _OCTOBER
    if "softcap" not in settings:
        raise UsageError(
            f"{path} is ambiguous: nanochat capped its logits at 15 until 2026-03-02 and at 20 "
            "until 2026-03-09, and no file says which; add --set softcap=15 or --set softcap=20"
        )
    return replace(_JANUARY, rope_in_bfloat16=positive_number(settings, "softcap", 15) == 15)


def _windows(
    config: Mapping[str, object],
    settings: Settings,
    era: Era,
    numbers: Mapping[str, int],
    path: Path,
) -> tuple[int | None, ...]:
    """Tile window_pattern over the layers; the last one sees the whole sequence."""
    pattern, n_layer = config.get("window_pattern"), numbers["n_layer"]
    if pattern is None:
        return (None,) * n_layer
    if not isinstance(pattern, str) or not pattern or set(pattern.upper()) - {"S", "L"}:
        raise UsageError(f"{path}: window_pattern {pattern!r} is not made of S and L")
    full = numbers["sequence_len"]
    short = int(positive_number(settings, "short_window", era.short_window(full)))
    sizes = {"S": short, "L": full}
    return (*(sizes[pattern.upper()[i % len(pattern)]] for i in range(n_layer - 1)), full)


def _expected(a: NanochatArchitecture) -> dict[str, tuple[int, ...]]:
    d, kv = a.n_embd, a.n_kv_head * a.head_size
    shapes: dict[str, tuple[int, ...]] = {
        "transformer.wte.weight": (a.n_rows, d),
        "lm_head.weight": (a.n_rows, d),
    }
    for i in range(a.n_layer):
        h = f"transformer.h.{i}"
        shapes[f"{h}.attn.c_q.weight"] = shapes[f"{h}.attn.c_proj.weight"] = (d, d)
        shapes[f"{h}.attn.c_k.weight"] = shapes[f"{h}.attn.c_v.weight"] = (kv, d)
        shapes[f"{h}.mlp.c_fc.weight"] = (4 * d, d)
        shapes[f"{h}.mlp.c_proj.weight"] = (d, 4 * d)
    for i in a.value_layers:
        shapes[f"value_embeds.{i}.weight"] = (a.n_rows, kv)
        shapes[f"transformer.h.{i}.attn.ve_gate.weight"] = (a.n_kv_head, a.gate_channels)
    if a.has_lambdas:
        shapes["resid_lambdas"] = shapes["x0_lambdas"] = (a.n_layer,)
    if a.has_smear:
        shapes["smear_gate.weight"] = (1, SMEAR_CHANNELS)
        shapes["smear_lambda"] = shapes["backout_lambda"] = (1,)
    return shapes
