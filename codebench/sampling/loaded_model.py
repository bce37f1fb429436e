"""What a loader hands to the row engine, whatever the format of the checkpoint was."""

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from transformers.cache_utils import Cache

from codebench.sampling.codec import Codec


class CausalOutput(Protocol):
    """What a step of a model returns."""

    @property
    def logits(self) -> torch.Tensor:
        """Scores of the next token, (B, T', V); T' may be 1."""
        ...

    @property
    def past_key_values(self) -> Any:  # noqa: ANN401  (transformers types it loosely)
        """The cache that was given, with the new columns in it."""
        ...


class CausalModel(Protocol):
    """A model as the engine calls it: the way of transformers' causal models.

    Rows may start at different columns of the cache; a row's own columns have no gap and end at the
    newest. `attention_mask` (B, columns) says which are the row's, `position_ids` (B, T) where in
    its text the new tokens stand. Without both, the rows are whole texts from position 0. Models
    that take a whole mask get that one instead (`LoadedModel.takes_whole_mask`).
    """

    def __call__(
        self,
        *,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = ...,
        position_ids: torch.Tensor | None = ...,
        past_key_values: Cache | None = ...,
        use_cache: bool = ...,
        logits_to_keep: int = ...,
    ) -> CausalOutput:
        """Read `input_ids`, (B, T)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A model ready to decode."""

    model: CausalModel
    model_type: str
    """The architecture's name, as results.json shows it."""

    n_parameters: int
    codec: Codec
    device: torch.device
    dtype: torch.dtype
    n_layers: int
    """Layers of the cache: those of keys and values, and any other that a model keeps in it."""

    n_ids: int
    """Ids that the tokenizer knows; the logits beyond them are padding and never drawn."""

    eos_ids: frozenset[int]
    max_positions: int | None
    """Tokens of prompt and completion together; None where the model sets no bound."""

    keeps_columns: bool = True
    """Whether the memory is keys and values alone, so that a row can start while others go on."""

    takes_whole_mask: bool = False
    """Whether a mask (B, 1, 1, columns) that is added to the scores is used as it is, whichever
    columns it leaves: a row's columns are its positions then (`rows/position_steps.py`). From one
    of (B, columns), transformers makes its own after a look at it, for which the host waits."""
