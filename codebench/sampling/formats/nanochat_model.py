"""The decoder of nanochat, every era of it (`checkpoints/nanochat_eras.py` says which is which).

RMS norms without weights, also after the embedding; rotary positions, then normed queries and keys;
squared ReLU; untied head with capped logits. Later eras add scaled residuals with the first
embedding mixed in, value embeddings on some layers, sliding windows, the previous token's embedding
mixed into each token (smear), and the middle layer's state taken off the last one (backout).

Smear needs the previous token in every step. One more layer of the cache keeps the token ids, so
that a row's previous token comes and goes with its keys and values. Tensors have nanochat's names.
"""

from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers.cache_utils import Cache, DynamicCache

from codebench.checkpoints.formats.nanochat_eras import SMEAR_CHANNELS, NanochatArchitecture
from codebench.sampling.formats.cached_attention import (
    DecoderOutput,
    Sight,
    attend,
    look,
    rotary_table,
    split_heads,
)

ROTARY_REACH = 10
"""nanochat computes rotary positions for this many times sequence_len and refuses more."""


def _norm(x: torch.Tensor) -> torch.Tensor:
    return functional.rms_norm(x, (x.shape[-1],))


class _Rotary:
    """Rotates a head by minus its position's angle, as nanochat does."""

    def __init__(self, cos: torch.Tensor, sin: torch.Tensor) -> None:
        self._cos, self._sin = cos[:, None], sin[:, None]  # (B, 1, T, head size / 2)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        first, second = x.chunk(2, dim=-1)
        turned = (
            first * self._cos + second * self._sin,
            second * self._cos - first * self._sin,
        )
        return torch.cat(turned, dim=-1).to(x.dtype)


class _Attention(nn.Module):
    def __init__(self, a: NanochatArchitecture, index: int) -> None:
        super().__init__()
        kv = a.n_kv_head * a.head_size
        self.c_q = nn.Linear(a.n_embd, a.n_embd, bias=False)
        self.c_k = nn.Linear(a.n_embd, kv, bias=False)
        self.c_v = nn.Linear(a.n_embd, kv, bias=False)
        self.c_proj = nn.Linear(a.n_embd, a.n_embd, bias=False)
        if index in a.value_layers:
            self.ve_gate = nn.Linear(a.gate_channels, a.n_kv_head, bias=False)
        self._a, self._index = a, index

    def forward(
        self,
        x: torch.Tensor,
        value_embed: torch.Tensor | None,
        rotary: _Rotary,
        mask: torch.Tensor | None,
        past: Cache,
    ) -> torch.Tensor:
        a = self._a
        q = split_heads(self.c_q(x), a.n_head)
        k = split_heads(self.c_k(x), a.n_kv_head)
        v = split_heads(self.c_v(x), a.n_kv_head)
        if value_embed is not None:
            gate = torch.sigmoid(self.ve_gate(x[..., : a.gate_channels]))  # (B, T, kv heads)
            gate = (a.era.ve_scale * gate).transpose(1, 2)[..., None]
            v = v + gate * split_heads(value_embed, a.n_kv_head)
        q, k = _norm(rotary(q)) * a.era.qk_scale, _norm(rotary(k)) * a.era.qk_scale
        k, v = past.update(k, v, self._index)
        attended: torch.Tensor = self.c_proj(attend(q, k, v, mask))
        return attended


class _Mlp(nn.Module):
    def __init__(self, n_embd: int) -> None:
        super().__init__()
        self.c_fc = nn.Linear(n_embd, 4 * n_embd, bias=False)
        self.c_proj = nn.Linear(4 * n_embd, n_embd, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.c_proj(functional.relu(self.c_fc(x)).square())
        return out


class _Block(nn.Module):
    def __init__(self, a: NanochatArchitecture, index: int) -> None:
        super().__init__()
        self.attn = _Attention(a, index)
        self.mlp = _Mlp(a.n_embd)


class NanochatModel(nn.Module):
    """Reads token ids, (B, T), and returns the logits of the ids that the tokenizer has."""

    def __init__(self, architecture: NanochatArchitecture) -> None:
        super().__init__()
        a = architecture
        kv = a.n_kv_head * a.head_size
        self.transformer = nn.ModuleDict(
            {
                "wte": nn.Embedding(a.n_rows, a.n_embd),
                "h": nn.ModuleList(_Block(a, i) for i in range(a.n_layer)),
            }
        )
        self.lm_head = nn.Linear(a.n_embd, a.n_rows, bias=False)
        self.value_embeds = nn.ModuleDict(
            {str(i): nn.Embedding(a.n_rows, kv) for i in a.value_layers}
        )
        if a.has_lambdas:
            self.resid_lambdas = nn.Parameter(torch.empty(a.n_layer))
            self.x0_lambdas = nn.Parameter(torch.empty(a.n_layer))
        if a.has_smear:
            self.smear_gate = nn.Linear(SMEAR_CHANNELS, 1, bias=False)
            self.smear_lambda = nn.Parameter(torch.empty(1))
            self.backout_lambda = nn.Parameter(torch.empty(1))
        self._a = a
        self._cos = self._sin = torch.empty(0)

    @property
    def n_cache_layers(self) -> int:
        """Layers of the cache, that of the token ids included."""
        return self._a.n_layer + self._a.has_smear

    @property
    def max_positions(self) -> int:
        """Positions that the rotary table covers."""
        return ROTARY_REACH * self._a.sequence_len

    def prepare(self, device: torch.device, dtype: torch.dtype) -> None:
        """Compute the rotary table for a model whose weights are there."""
        a = self._a
        table = rotary_table(
            n_positions=self.max_positions, head_size=a.head_size, base=a.era.rope_base
        )
        if a.era.rope_in_bfloat16:
            table = table[0].bfloat16(), table[1].bfloat16()
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
        a = self._a
        past = DynamicCache() if past_key_values is None else past_key_values
        sight = look(input_ids, attention_mask, position_ids, past)
        masks = {window: sight.mask(window) for window in set(a.windows)}
        rotary = _Rotary(self._cos[sight.positions], self._sin[sight.positions])
        x = _norm(self.transformer["wte"](input_ids))  # (B, T, C)
        if a.has_smear:
            x = self._smear(x, input_ids, sight, past)
        first, middle = x, None
        for i in range(a.n_layer):
            block: Any = self.transformer["h"][i]  # type: ignore[index]  # a ModuleList
            if a.has_lambdas:
                x = self.resid_lambdas[i] * x + self.x0_lambdas[i] * first
            value = self.value_embeds[str(i)](input_ids) if i in a.value_layers else None
            x = x + block.attn(_norm(x), value, rotary, masks[a.windows[i]], past)
            x = x + block.mlp(_norm(x))
            if i == a.n_layer // 2:
                middle = x
        if a.has_smear and middle is not None:
            x = x - self.backout_lambda.to(x.dtype) * middle
        logits = self.lm_head(_norm(x[:, -logits_to_keep:]))[..., : a.vocab_size].float()
        capped = a.era.softcap * torch.tanh(logits / a.era.softcap)
        return DecoderOutput(logits=capped, past_key_values=past)

    def _smear(
        self, x: torch.Tensor, input_ids: torch.Tensor, sight: Sight, past: Cache
    ) -> torch.Tensor:
        """Add the gated embedding of the previous token to every token that has one."""
        column = input_ids[:, None, :, None]  # (B, 1, T, 1), as keys of one head of size 1
        seen = past.update(column, column, self._a.n_layer)[0][:, 0, :, 0]  # (B, n_past + T)
        before = functional.pad(seen, (1, 0))[:, sight.n_past : -1]  # (B, T)
        previous = _norm(self.transformer["wte"](before))
        strength = torch.sigmoid(self.smear_gate(x[..., :SMEAR_CHANNELS]))  # (B, T, 1)
        strength = self.smear_lambda.to(x.dtype) * strength * (sight.positions > 0)[..., None]
        return x + strength * previous
