"""The key/value cache of rows whose tokens stand in the column of their position.

A row's tokens lie in columns 0, 1, 2, ..., whatever the other rows do: nothing is ever moved, and
where a step writes and what it sees follow from the positions alone, which stay on the device. For
models that take their mask as it is given (`LoadedModel.takes_whole_mask`); others want the newest
token in the last column (`row_cache.py`).
"""

from dataclasses import dataclass, field

import torch
from transformers.cache_utils import Cache, DynamicLayer

from codebench.sampling.rows.row_steps import Layers

_BLOCK = 64
"""Columns are reserved in multiples of this."""


@dataclass(slots=True)
class _View:
    """What the model sees of the buffers in a step; shared by all layers."""

    rows: torch.Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.long))
    """(B,), numbers of the rows."""

    columns: torch.Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.long))
    """(B,), column that each row writes."""

    window: int = 0
    """Columns that are seen, from 0 on."""


class _PositionLayer(DynamicLayer):  # type: ignore[no-untyped-call]  # its metaclass hook
    """One layer: buffers (rows, heads, columns, head size), of which `update` hands out a view."""

    def __init__(self, view: _View) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.view = view
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
        view = self.view
        n_rows, window = len(view.rows), view.window
        self.keys[view.rows, :, view.columns] = key_states[:, :, 0]
        self.values[view.rows, :, view.columns] = value_states[:, :, 0]
        return self.keys[:n_rows, :, :window], self.values[:n_rows, :, :window]

    def get_seq_length(self) -> int:
        return self.view.window - 1


class PositionCache:
    """Keys and values of `n_rows` rows."""

    def __init__(self, *, n_layers: int, n_rows: int) -> None:
        self._n_rows = n_rows
        self._view = _View()
        self._layers = [_PositionLayer(self._view) for _ in range(n_layers)]
        self.cache = Cache(layers=list(self._layers))
        self.n_columns = 0
        """Columns that the buffers hold."""

    def place(self, row: int, prefix: Layers, n_columns: int) -> None:
        """Put the first `n_columns` columns of `prefix` into `row`."""
        self.reserve(n_columns + 1, like=prefix)
        for layer, (keys, values) in zip(self._layers, prefix, strict=True):
            layer.keys[row, :, :n_columns] = keys[0, :, :n_columns]
            layer.values[row, :, :n_columns] = values[0, :, :n_columns]

    def move(self, source: int, target: int) -> None:
        """Put what is in row `source` into row `target`."""
        for layer in self._layers:
            layer.keys[target] = layer.keys[source]
            layer.values[target] = layer.values[source]

    def keep(self, n_rows: int) -> None:
        """Forget all but the first `n_rows` rows, for good."""
        self._n_rows = n_rows

    def begin_step(self, rows: torch.Tensor, columns: torch.Tensor, *, window: int) -> None:
        """Let the next step write `columns` (B,) of `rows` (B,), which are the first B, in order.

        Args:
            rows: Numbers of the rows.
            columns: Where each writes.
            window: Columns that the model sees.
        """
        view = self._view
        view.rows, view.columns, view.window = rows, columns, window

    def reserve(self, n_columns: int, *, like: Layers | None = None) -> None:
        """Make room for `n_columns` columns; what is there stays.

        Columns that nobody has written hold zeros: a mask hides numbers, but not NaN.

        Args:
            n_columns: Columns that are needed.
            like: Keys and values of the model, needed the first time.
        """
        if n_columns <= self.n_columns:
            return
        # Half as much again, so that a long text is not copied for every block that it grows by.
        n_columns = -(-max(n_columns, self.n_columns * 3 // 2) // _BLOCK) * _BLOCK
        for i, layer in enumerate(self._layers):
            for name in ("keys", "values"):
                old = getattr(layer, name)
                model = old if like is None else like[i][name == "values"]
                shape = (self._n_rows, model.shape[1], n_columns, model.shape[3])
                buffer = model.new_empty(shape)
                buffer[:, :, self.n_columns :] = 0
                if self.n_columns:
                    buffer[:, :, : self.n_columns] = old[: self._n_rows]
                setattr(layer, name, buffer)
        self.n_columns = n_columns
