"""What our own decoders share: where tokens stand, what they see, and attention over the cache.

The engine calls a decoder like a causal model of transformers (`loaded_model.CausalModel`). A row's
columns in the cache have no gap, so how far back a column lies is how far back its token lies, and
a sliding window is counted in columns.
"""

from typing import Any, NamedTuple

import torch
from torch.nn import functional
from transformers.cache_utils import Cache


class DecoderOutput(NamedTuple):
    """Logits and the cache, as the engine expects them."""

    logits: torch.Tensor
    past_key_values: Any


class Sight(NamedTuple):
    """Where the new tokens of a step stand and which columns their row has."""

    positions: torch.Tensor
    """(B, T), of the new tokens in their texts."""

    n_past: int
    """Columns in the cache before this step."""

    own: torch.Tensor | None
    """(B, n_past + T), which columns are the row's own; None means all."""

    def mask(self, window: int | None) -> torch.Tensor | None:
        """Return what each new token sees, (B or 1, 1, T, n_past + T) bool; None is everything.

        Args:
            window: How many columns back a token sees beside itself; None means all.
        """
        n_new = self.positions.shape[1]
        n_columns = self.n_past + n_new
        own = None if self.own is None else self.own[:, None, None, :].bool()
        if n_new == 1 and (window is None or window + 1 >= n_columns):
            return own
        device = self.positions.device
        here = torch.arange(self.n_past, n_columns, device=device)[:, None]
        back = here - torch.arange(n_columns, device=device)  # (T, n_past + T)
        seen = back >= 0
        if window is not None:
            seen &= back <= window
        seen = seen[None, None]
        return seen if own is None else seen & own


def look(
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor | None,
    position_ids: torch.Tensor | None,
    past: Cache,
) -> Sight:
    """Return where `input_ids` (B, T) stand; without `position_ids` they continue column by column.

    The cache's first layer tells how many columns there are.
    """
    n_past = int(past.get_seq_length())
    if position_ids is None:
        columns = torch.arange(n_past, n_past + input_ids.shape[1], device=input_ids.device)
        position_ids = columns[None].expand_as(input_ids)
        if attention_mask is not None:
            position_ids = (attention_mask.cumsum(-1) - 1)[:, n_past:].clamp(min=0)
    return Sight(positions=position_ids, n_past=n_past, own=attention_mask)


def rotary_table(
    *, n_positions: int, head_size: int, base: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return cosines and sines, each (n_positions, head_size / 2)."""
    channels = torch.arange(0, head_size, 2, dtype=torch.float32)
    frequencies = 1.0 / (base ** (channels / head_size))
    angles = torch.outer(torch.arange(n_positions, dtype=torch.float32), frequencies)
    return angles.cos(), angles.sin()


def attend(
    queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor | None
) -> torch.Tensor:
    """Return attention as (B, T, heads * head size); key/value heads are shared in order.

    Args:
        queries: (B, heads, T, head size).
        keys: (B, key/value heads, columns, head size).
        values: Likewise.
        mask: What is seen, or None for everything.
    """
    mixed = functional.scaled_dot_product_attention(
        queries, keys, values, attn_mask=mask, enable_gqa=queries.shape[1] != keys.shape[1]
    )
    return mixed.transpose(1, 2).flatten(2)  # (B, T, heads * head size)


def split_heads(x: torch.Tensor, n_heads: int) -> torch.Tensor:
    """Turn (B, T, heads * head size) into (B, heads, T, head size)."""
    return x.view(*x.shape[:-1], n_heads, -1).transpose(1, 2)
