"""Attention of many rows with one new token each, for models of transformers on a CPU.

torch's own kernel for that works through every head of every row by itself. Two batched products do
the same (softmax(Q K' / sqrt(d) + mask) V) in a fraction of the time where keys and values lie in
the processor's cache. Everything else, prompts above all, is left to torch.
"""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

_NAME = "codebench_rows"


RowWindows = Sequence[tuple[int, int]]
"""Groups of rows: where each ends, and how many columns its rows see; none: all see all."""


def attend_rows(  # noqa: PLR0913  (the signature is that of transformers)
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    row_windows: RowWindows = (),
    **kwargs: Any,  # noqa: ANN401  (whatever a model hands to its attention)
) -> tuple[torch.Tensor, None]:
    """Return attention as (B, T, heads, head size), as transformers' attention functions do.

    Args:
        module: The model's attention layer.
        query: (B, heads, T, head size).
        key: (B, key/value heads, columns, head size).
        value: Likewise.
        attention_mask: (B, 1, T, columns), added to the scores.
        scaling: Of the scores; by default 1 / sqrt(head size).
        row_windows: Which rows see how many of the columns.
        kwargs: For torch's attention.
    """
    n_rows, n_heads, n_new, head_size = query.shape
    if n_new != 1 or attention_mask is None or not attention_mask.is_floating_point():
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **kwargs
        )
    query = query[:, :, 0] * (head_size**-0.5 if scaling is None else scaling)
    mask = attention_mask[:, 0]  # (B, 1, columns)
    mixed = []
    first = 0
    for end, window in row_windows or [(n_rows, key.shape[2])]:
        rows = slice(first, end)
        mixed.append(
            _attend(
                query[rows], key[rows, :, :window], value[rows, :, :window], mask[rows, :, :window]
            )
        )
        first = end
    return torch.cat(mixed).view(n_rows, 1, n_heads, value.shape[-1]), None


def _attend(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """Return the attention of scaled queries (B, heads, head size) as (B * kv heads, ., size)."""
    n_rows, n_heads, head_size = query.shape
    n_kv_heads, n_columns = key.shape[1:3]
    # The heads that share keys are rows of one product: nothing is copied for them.
    grouped = query.reshape(n_rows * n_kv_heads, n_heads // n_kv_heads, head_size)
    scores = torch.bmm(grouped, key.flatten(0, 1).transpose(1, 2))  # (B * kv heads, ., columns)
    scores.view(n_rows, n_heads, n_columns).add_(mask)
    return torch.bmm(scores.softmax(-1), value.flatten(0, 1))


def use_row_attention(model: PreTrainedModel) -> None:
    """Let `model`, which computes with torch's attention, use `attend_rows`."""
    AttentionInterface.register(_NAME, attend_rows)
    AttentionMaskInterface.register(_NAME, sdpa_mask)
    model.set_attn_implementation(_NAME)
