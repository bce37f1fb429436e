"""Steps of rows that share their write column: for any model with keys and values (`row_cache`)."""

from collections.abc import Callable, Sequence

import torch

from codebench.sampling.completion import SamplingParams
from codebench.sampling.loaded_model import LoadedModel
from codebench.sampling.rows.row import Row
from codebench.sampling.rows.row_cache import RowCache
from codebench.sampling.rows.row_steps import Layers, draw_next, state_of


class ColumnSteps:
    """`RowSteps` over a `RowCache`."""

    def __init__(self, loaded: LoadedModel, params: SamplingParams, *, n_rows: int) -> None:
        self._loaded = loaded
        self._params = params
        self._cache = RowCache(n_layers=loaded.n_layers, n_rows=n_rows)

    def make_room(self, rows: Sequence[Row | None], hole: int, n_columns: int) -> list[int]:  # noqa: ARG002
        """Move nothing: the rows share their window."""
        return []

    @torch.inference_mode()
    def place(self, row: int, prefix: Layers, n_columns: int, *, n_new: int) -> None:
        """Start `row` with the first `n_columns` columns of `prefix`; `n_new` tokens may follow."""
        self._cache.place(row, prefix, n_columns, n_new=n_new)

    def free(self, row: int) -> None:
        """Let `row` go; it is computed along until it is placed again, seeing only itself."""
        self._cache.free(row)

    @torch.inference_mode()
    def shrink(self, rows: Sequence[Row | None]) -> list[int]:
        """Drop the free rows once they are a quarter: a copy of the cache now, cheaper steps then.

        Return the kept ones in their order.
        """
        alive = [i for i, row in enumerate(rows) if row is not None]
        if 4 * len(alive) > 3 * len(rows):
            return list(range(len(rows)))
        self._cache.keep_rows(alive)
        return alive

    @torch.inference_mode()
    def run(
        self, rows: Sequence[Row | None], *, n_steps: int, done: Callable[[], None]
    ) -> list[list[int]]:
        """Run the model `n_steps` times and return the tokens that the rows drew in each step."""
        device = self._loaded.device
        state = torch.tensor(state_of(rows), device=device)
        last, drawn, positions, seeds = state.unbind(1)  # (B,) each
        written: list[torch.Tensor] = []
        for step in range(n_steps):
            output = self._loaded.model(
                input_ids=last[:, None],
                attention_mask=self._cache.begin_step(device),  # (B, columns)
                position_ids=(positions + step)[:, None],
                past_key_values=self._cache.cache,
                use_cache=True,
            )
            self._cache.end_step()
            last = draw_next(output, seeds, drawn + step, loaded=self._loaded, params=self._params)
            written.append(last)
            done()
        tokens: list[list[int]] = torch.stack(written).tolist()  # the only wait for the device
        return tokens
