"""Run the model over all rows a few times in a row, looking at the tokens only afterwards.

On a GPU a look at a token makes the host wait until everything before it is done. So a burst of
steps stays on the device: each step's token is the next step's input there, and the host gets all
tokens at once. What a row wrote past its stop is thrown away by whoever looks.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import torch

from codebench.sampling.completion import SamplingParams
from codebench.sampling.loaded_model import CausalOutput, LoadedModel
from codebench.sampling.rows.noise import draw
from codebench.sampling.rows.row import Row

Layers = tuple[tuple[torch.Tensor, torch.Tensor], ...]
"""Keys and values of one sequence for every layer, each (1, heads, columns, head size)."""


class RowSteps(Protocol):
    """Keys and values of rows that decode together, and the steps that write them."""

    def make_room(self, rows: Sequence[Row | None], hole: int, n_columns: int) -> list[int]:
        """Move rows so that one of `n_columns` columns comes to lie among its like.

        Return the rows that were moved: the first into `hole`, each other one to where the one
        before it was. The last of them is free then.
        """
        ...

    def place(self, row: int, prefix: Layers, n_columns: int, *, n_new: int) -> None:
        """Start `row` with the first `n_columns` columns of `prefix`; `n_new` tokens may follow."""
        ...

    def free(self, row: int) -> None:
        """Let `row` go; it is computed along until it is placed again."""
        ...

    def shrink(self, rows: Sequence[Row | None]) -> list[int]:
        """Drop free rows where that saves more than it costs; return the kept ones in their order.

        The kept ones are numbered anew, from 0.
        """
        ...

    def run(
        self, rows: Sequence[Row | None], *, n_steps: int, done: Callable[[], None]
    ) -> list[list[int]]:
        """Run the model `n_steps` times and return the tokens that the rows drew in each step.

        Args:
            rows: The samples, None where a row is free: it is computed along.
            n_steps: Steps until the next look.
            done: Called after each step.
        """
        ...


def n_steps_ahead(rows: Sequence[Row | None], loaded: LoadedModel, *, look_every: int) -> int:
    """Return how many steps can be done without a look: none past a model's last position.

    Raises:
        ValueError: if no row holds a sample.
    """
    alive = [row for row in rows if row is not None]
    n_steps = min(look_every, max(row.max_new - len(row.new_ids) for row in alive))
    if loaded.max_positions is not None:
        left = loaded.max_positions - max(row.position for row in alive)
        n_steps = min(n_steps, left)
    return max(1, n_steps)


def state_of(rows: Sequence[Row | None]) -> list[tuple[int, int, int, int]]:
    """Return what a step reads of each row: last token, tokens drawn, position, seed."""
    return [
        (row.last_id, len(row.new_ids), row.position, row.request.seed) if row else (0, 0, 0, 0)
        for row in rows
    ]


def draw_next(
    output: CausalOutput,
    seeds: torch.Tensor,
    drawn: torch.Tensor,
    *,
    loaded: LoadedModel,
    params: SamplingParams,
) -> torch.Tensor:
    """Return the token that each row draws after a step, (B,) int64; `seeds`, `drawn`: (B,)."""
    return draw(output.logits[:, -1, : loaded.n_ids], seeds, drawn, params)
