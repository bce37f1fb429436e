"""What a loader hands to the row engine, whatever the format of the checkpoint was."""

from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from codebench.sampling.codec import TokenCodec


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A model ready to decode."""

    model: PreTrainedModel
    codec: TokenCodec
    device: torch.device
    dtype: torch.dtype
    n_layers: int
    """Layers of the key/value cache."""

    n_ids: int
    """Ids that the tokenizer knows; the logits beyond them are padding and never drawn."""

    eos_ids: frozenset[int]
    max_positions: int | None
    """Tokens of prompt and completion together; None where the model sets no bound."""
