"""The key/value cache of rows that start and end at different times.

All rows write the same column in a step; a row's own columns end there and have no gap. A row is
(re)filled by copying the keys and values of its prompt in front of the write column. Positions and
visibility do not come from the column number but from `position_ids` and `attention_mask`.
The model sees only the columns from the earliest start of a living row on; when the write column
meets the end of the buffer, the living columns move to its front, so memory stays bounded.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers.cache_utils import Cache, DynamicLayer

from codebench.sampling.rows.row_steps import Layers

_NOWHERE = 1 << 62
"""Start of the columns of a row that has none."""


@dataclass(slots=True)
class _Window:
    """The columns that the model sees; shared by all layers."""

    low: int = 0
    column: int = 0
    """Next column to be written."""


class _RowLayer(DynamicLayer):  # type: ignore[no-untyped-call]  # its metaclass hook
    """One layer: buffers of a fixed size, of which `update` hands out the window."""

    def __init__(self, window: _Window) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.window = window
        self.keys: torch.Tensor = torch.empty(0)
        self.values: torch.Tensor = torch.empty(0)
        self.is_initialized = True

    def update(
        self,
        key_states: torch.Tensor,
        value_states: torch.Tensor,
        *args: object,  # noqa: ARG002  (the signature is that of transformers)
        **kwargs: object,  # noqa: ARG002
    ) -> tuple[torch.Tensor, torch.Tensor]:
        low, column = self.window.low, self.window.column
        self.keys[:, :, column : column + 1] = key_states
        self.values[:, :, column : column + 1] = value_states
        return self.keys[:, :, low : column + 1], self.values[:, :, low : column + 1]

    def get_seq_length(self) -> int:
        return self.window.column - self.window.low


class RowCache:
    """Keys and values of `n_rows` rows."""

    def __init__(self, *, n_layers: int, n_rows: int) -> None:
        self._window = _Window()
        self._layers = [_RowLayer(self._window) for _ in range(n_layers)]
        self.cache = Cache(layers=list(self._layers))
        self._capacity = 0
        self._starts = [0] * n_rows
        self._is_alive = [False] * n_rows
        self._own_from: torch.Tensor | None = None
        """(B, 1), where each row's columns start, on the device; None when that has changed."""

    def place(self, row: int, prefix: Layers, n_columns: int, *, n_new: int) -> None:
        """Start `row` with the first `n_columns` columns of `prefix`; `n_new` tokens may follow."""
        self._reserve(prefix, n_columns=n_columns, n_total=n_columns + n_new)
        column = self._window.column
        start = column - n_columns
        for layer, (keys, values) in zip(self._layers, prefix, strict=True):
            layer.keys[row, :, start:column] = keys[0, :, :n_columns]
            layer.values[row, :, start:column] = values[0, :, :n_columns]
        self._starts[row] = start
        self._is_alive[row] = True
        self._own_from = None

    def free(self, row: int) -> None:
        """Let `row` go; it is computed along until it is placed again, seeing only itself."""
        self._is_alive[row] = False
        self._own_from = None

    def begin_step(self, device: torch.device) -> torch.Tensor:
        """Make room for one column and return the attention mask, (B, window) int64."""
        if self._window.column == self._capacity:
            self._move(self._n_kept, self._capacity)
        column = self._window.column
        alive = [s for s, a in zip(self._starts, self._is_alive, strict=True) if a]
        self._window.low = min(alive, default=column)
        if self._own_from is None:  # the only transfer to the device, and not in every step
            rows = zip(self._starts, self._is_alive, strict=True)
            starts = [start if is_alive else _NOWHERE for start, is_alive in rows]
            self._own_from = torch.tensor(starts, device=device)[:, None]
        columns = torch.arange(self._window.low, column + 1, device=device)
        return ((columns >= self._own_from) | (columns == column)).long()

    def end_step(self) -> None:
        """Go on to the next column."""
        self._window.column += 1

    def keep_rows(self, rows: Sequence[int]) -> None:
        """Drop every row that is not in `rows`; the kept ones are numbered in that order."""
        for layer in self._layers:
            layer.keys, layer.values = layer.keys[list(rows)], layer.values[list(rows)]
        self._starts = [self._starts[row] for row in rows]
        self._is_alive = [self._is_alive[row] for row in rows]
        self._own_from = None

    @property
    def _n_kept(self) -> int:
        """Columns before the write column that a living row still needs."""
        alive = [s for s, a in zip(self._starts, self._is_alive, strict=True) if a]
        return self._window.column - min(alive) if alive else 0

    def _reserve(self, prefix: Layers, *, n_columns: int, n_total: int) -> None:
        capacity = self._capacity
        if capacity < 2 * n_total:  # half of the buffer lies between two moves
            capacity = 2 * n_total + 64
        column = max(self._window.column, n_columns)
        if column != self._window.column or capacity != self._capacity:
            self._move(column, capacity, like=prefix)

    def _move(self, column: int, capacity: int, *, like: Layers | None = None) -> None:
        """Put the write column at `column` and the living columns in front of it."""
        n_kept, old = self._n_kept, self._window.column
        grows = capacity != self._capacity
        for i, layer in enumerate(self._layers):
            for name in ("keys", "values"):
                buffer = getattr(layer, name)
                kept = buffer[:, :, old - n_kept : old].clone() if n_kept else None
                if grows:
                    model = buffer if like is None else like[i][name == "values"]
                    shape = (len(self._starts), model.shape[1], capacity, model.shape[3])
                    buffer = model.new_zeros(shape)
                    setattr(layer, name, buffer)
                if kept is not None:
                    buffer[:, :, column - n_kept : column] = kept
        self._starts = [start + column - old for start in self._starts]
        self._window.column = column
        self._capacity = capacity
        self._own_from = None
