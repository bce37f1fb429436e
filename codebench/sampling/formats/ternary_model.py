"""The decoder of nanochat-rs-ternary: ternary weights, 8-bit activations, two residual streams.

Each sub-layer reads a weighted sum of both streams and adds its output, weighted, to each; then the
streams are mixed (hyper-connections with two streams). Attention has rotary positions, the
feed-forward layer is SwiGLU. Weights are rounded to -1, 0 or 1 times a scale per group once, when
they are loaded; activations are rounded at every layer, per token, as the trainer does. Rust rounds
halves away from zero, torch to even: `_round` does as Rust.

A difference of one bit before a rounding becomes a step of 1/127 after it, so what a batch changes
in the last bit would change samples. Therefore products are exact here: levels times -1, 0 or 1 are
whole numbers that float32 adds without error, group by group; only then come the scales. Attention
is computed in float64. Against another implementation such steps remain: most logits agree to 1e-5,
a few to 1e-2.

Source: see checkpoints/ternary.py. Tensors have the names of the trainer.
"""

import torch
from torch import nn
from torch.nn import functional
from transformers.cache_utils import Cache, DynamicCache

from codebench.checkpoints.formats.ternary import TernaryArchitecture
from codebench.sampling.formats.cached_attention import (
    DecoderOutput,
    attend,
    look,
    rotary_table,
    split_heads,
)

_SMALLEST = 1e-8
_LEVELS = 127.0


def _round(x: torch.Tensor) -> torch.Tensor:
    return x.sign() * (x.abs() + 0.5).floor()


def ternary_groups(weight: torch.Tensor, group_size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Round `weight`, (out, in), to -1, 0 or 1 times the mean magnitude of its group.

    Returns:
        The signs, (groups of a row, group_size, out), and the scales, (groups of a row, 1, out).
    """
    groups = weight.float().view(len(weight), -1, group_size)  # (out, G, group_size)
    scales = groups.abs().mean(-1, keepdim=True).clamp(min=_SMALLEST)
    signs = _round(groups / scales).clamp(-1.0, 1.0)
    return signs.permute(1, 2, 0).contiguous(), scales.permute(1, 2, 0).contiguous()


class _TernaryLinear(nn.Module):
    """A linear layer of ternary weights on activations rounded to 8 bits."""

    def __init__(self, n_in: int, n_out: int, group_size: int) -> None:
        super().__init__()
        n_groups = n_in // group_size
        self.signs = nn.Parameter(torch.empty(n_groups, group_size, n_out))
        self.scales = nn.Parameter(torch.empty(n_groups, 1, n_out))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        largest = x.abs().amax(-1, keepdim=True).clamp(min=_SMALLEST)
        levels = _round(x * (_LEVELS / largest)).clamp(-_LEVELS, _LEVELS)
        n_groups, group_size, n_out = self.signs.shape
        grouped = levels.reshape(-1, n_groups, group_size).transpose(0, 1)  # (G, B * T, group_size)
        product = (torch.bmm(grouped, self.signs) * self.scales).sum(0)  # (B * T, out)
        return product.view(*x.shape[:-1], n_out) * (largest / _LEVELS)


class _Norm(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(dim))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.rms_norm(x, (x.shape[-1],), self.weight, eps=1e-6)


class _Attention(nn.Module):
    def __init__(self, a: TernaryArchitecture, index: int) -> None:
        super().__init__()
        kv = a.dim // a.n_heads * a.n_kv_heads
        self.wq = _TernaryLinear(a.dim, a.dim, a.group_size)
        self.wk = _TernaryLinear(a.dim, kv, a.group_size)
        self.wv = _TernaryLinear(a.dim, kv, a.group_size)
        self.wo = _TernaryLinear(a.dim, a.dim, a.group_size)
        self._a, self._index = a, index

    def forward(
        self,
        x: torch.Tensor,
        rotary: tuple[torch.Tensor, torch.Tensor],
        mask: torch.Tensor | None,
        past: Cache,
    ) -> torch.Tensor:
        a = self._a
        q = _rotate(split_heads(self.wq(x), a.n_heads), rotary)
        k = _rotate(split_heads(self.wk(x), a.n_kv_heads), rotary)
        v = split_heads(self.wv(x), a.n_kv_heads)
        k, v = past.update(k.double(), v.double(), self._index)  # kept so: converting costs more
        if a.repeats_as_block and a.n_kv_heads != a.n_heads:
            times = a.n_heads // a.n_kv_heads
            k, v = k.repeat(1, times, 1, 1), v.repeat(1, times, 1, 1)
        mixed = attend(q.double(), k, v, mask).to(x.dtype)
        attended: torch.Tensor = self.wo(mixed)
        return attended


def _rotate(x: torch.Tensor, rotary: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    cos, sin = rotary  # (B, 1, T, head size / 2)
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, first * sin + second * cos), dim=-1)


class _FeedForward(nn.Module):
    def __init__(self, a: TernaryArchitecture) -> None:
        super().__init__()
        self.w_gate = _TernaryLinear(a.dim, a.ffn_dim, a.group_size)
        self.w_up = _TernaryLinear(a.dim, a.ffn_dim, a.group_size)
        self.w_down = _TernaryLinear(a.ffn_dim, a.dim, a.group_size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.w_down(functional.silu(self.w_gate(x)) * self.w_up(x))
        return out


class _Streams(nn.Module):
    """How a sub-layer reads and writes the two streams, (2, B, T, dim)."""

    def __init__(self, *, mixes_first: bool) -> None:
        super().__init__()
        self.alpha_logit = nn.Parameter(torch.empty(1))
        self.pre_logits = nn.Parameter(torch.empty(2))
        self.pre_bias = nn.Parameter(torch.empty(2))
        self.post_logits = nn.Parameter(torch.empty(2))
        self.post_bias = nn.Parameter(torch.empty(2))
        self._mixes_first = mixes_first

    def read(self, streams: torch.Tensor) -> torch.Tensor:
        shares = torch.sigmoid(self.pre_logits + self.pre_bias).to(streams.dtype)
        return shares[0] * streams[0] + shares[1] * streams[1]

    def write(self, streams: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        shares = (2.0 * torch.sigmoid(self.post_logits + self.post_bias)).to(out.dtype)
        added = shares[:, None, None, None] * out
        return self._mix(streams) + added if self._mixes_first else self._mix(streams + added)

    def _mix(self, streams: torch.Tensor) -> torch.Tensor:
        own = torch.sigmoid(self.alpha_logit).to(streams.dtype)
        return own * streams + (1.0 - own) * streams.flip(0)


class _Block(nn.Module):
    def __init__(self, a: TernaryArchitecture, index: int) -> None:
        super().__init__()
        self.mhc_attn = _Streams(mixes_first=a.mixes_first)
        self.mhc_ffn = _Streams(mixes_first=a.mixes_first)
        self.norm_attn = _Norm(a.dim)
        self.norm_ffn = _Norm(a.dim)
        self.attn = _Attention(a, index)
        self.ffn = _FeedForward(a)

    def forward(
        self,
        streams: torch.Tensor,
        rotary: tuple[torch.Tensor, torch.Tensor],
        mask: torch.Tensor | None,
        past: Cache,
    ) -> torch.Tensor:
        attended = self.attn(self.norm_attn(self.mhc_attn.read(streams)), rotary, mask, past)
        streams = self.mhc_attn.write(streams, attended)
        out = self.ffn(self.norm_ffn(self.mhc_ffn.read(streams)))
        return self.mhc_ffn.write(streams, out)


class TernaryModel(nn.Module):
    """Reads token ids, (B, T), and returns the logits of all ids."""

    def __init__(self, architecture: TernaryArchitecture) -> None:
        super().__init__()
        a = architecture
        self.tok_embed = nn.Embedding(a.vocab_size, a.dim)
        self.blocks = nn.ModuleList(_Block(a, i) for i in range(a.n_layers))
        self.norm_final = _Norm(a.dim)
        if not a.is_tied:
            self.lm_head = nn.Linear(a.dim, a.vocab_size, bias=False)
        self._a = a
        self._cos = self._sin = torch.empty(0)

    def prepare(self, device: torch.device, dtype: torch.dtype) -> None:
        """Compute the rotary table for a model whose weights are there."""
        a = self._a
        table = rotary_table(
            n_positions=a.max_seq_len, head_size=a.dim // a.n_heads, base=a.rope_theta
        )
        self._cos, self._sin = (half.to(device, dtype) for half in table)

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        past_key_values: Cache | None = None,
        use_cache: bool = True,  # noqa: ARG002, FBT001, FBT002  (as in transformers)
        logits_to_keep: int = 0,
    ) -> DecoderOutput:
        """Run the model as `CausalModel` says; `logits_to_keep` 0 keeps all."""
        past = DynamicCache() if past_key_values is None else past_key_values
        sight = look(input_ids, attention_mask, position_ids, past)
        mask = sight.mask(None)
        rotary = self._cos[sight.positions][:, None], self._sin[sight.positions][:, None]
        streams = self.tok_embed(input_ids).expand(2, -1, -1, -1)  # (2, B, T, dim)
        for block in self.blocks:
            streams = block(streams, rotary, mask, past)
        x = self.norm_final((streams[0] + streams[1])[:, -logits_to_keep:] / 2.0)
        head = self.tok_embed if self._a.is_tied else self.lm_head
        return DecoderOutput(logits=functional.linear(x, head.weight).float(), past_key_values=past)
