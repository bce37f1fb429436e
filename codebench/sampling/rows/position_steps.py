"""Steps of rows whose columns are positions: the device knows all that a step needs.

Tokens, positions and seeds lie in one tensor, which a step reads and rewrites in place. On a GPU
nothing of it changes its place or shape within a burst, so a step can be replayed as a CUDA graph
(`captured_step.py`): rows are dropped by halves then and the window grows by blocks, that there be
few shapes. On a CPU each step sees just the columns, and computes just the rows, that there are.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

from codebench.sampling.completion import SamplingParams
from codebench.sampling.loaded_model import LoadedModel
from codebench.sampling.rows.captured_step import CAPTURES, CapturedSteps, Step
from codebench.sampling.rows.position_cache import PositionCache
from codebench.sampling.rows.row import Row
from codebench.sampling.rows.row_attention import RowWindows
from codebench.sampling.rows.row_steps import Layers, draw_next, state_of

_WINDOW_BLOCK = 128
"""Of a recorded step; in columns."""

_GROUP = 16
"""Rows whose attention sees the same columns, on a CPU."""


class PositionSteps:
    """`RowSteps` over a `PositionCache`."""

    def __init__(
        self,
        loaded: LoadedModel,
        params: SamplingParams,
        *,
        n_rows: int,
        notify: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._loaded = loaded
        self._params = params
        self._cache = PositionCache(n_layers=loaded.n_layers, n_rows=n_rows)
        device = loaded.device
        with torch.inference_mode():
            self._numbers = torch.arange(n_rows, device=device)
            self._state = torch.zeros((5, n_rows), dtype=torch.long, device=device)
        """Last token, tokens drawn, position, seed, and 1 or 0 for a row with or without sample."""

        capture = CAPTURES.get(device.type)
        self._captured = CapturedSteps(capture, device, notify) if capture else None

    @torch.inference_mode()
    def make_room(self, rows: Sequence[Row | None], hole: int, n_columns: int) -> list[int]:
        """Keep the groups in order of length: the longest rows in the first group.

        A row of another group whose place the new one ought to have moves to the free row, and so
        on. Return the rows that moved.
        """
        moved: list[int] = []
        if self._captured is not None:
            return moved
        for side in (1, -1):  # towards shorter rows, else towards longer ones
            while (source := _misplaced(rows, hole // _GROUP + side, n_columns, side=side)) >= 0:
                self._cache.move(source, hole)
                moved.append(source)
                hole = source
            if moved:
                break
        return moved

    @torch.inference_mode()
    def place(self, row: int, prefix: Layers, n_columns: int, *, n_new: int) -> None:
        """Start `row` with the first `n_columns` columns of `prefix`; `n_new` tokens may follow."""
        if self._captured is not None:  # at once: what moves has to be recorded again
            self._reserve(_up_to_block(n_columns + n_new), like=prefix)
        self._cache.place(row, prefix, n_columns)

    def free(self, row: int) -> None:
        """Let `row` go: it reads its column 0 until it is placed again."""

    @torch.inference_mode()
    def shrink(self, rows: Sequence[Row | None]) -> list[int]:
        """Drop free rows; living ones from the end take their places. Return the kept ones."""
        alive = [i for i, row in enumerate(rows) if row is not None]
        n_kept = len(alive)
        if self._captured is not None:
            n_kept = min(len(rows), 1 << (n_kept - 1).bit_length())
        order = list(range(n_kept))
        holes = [i for i in order if rows[i] is None]
        for hole, source in zip(holes, (i for i in alive if i >= n_kept), strict=False):
            self._cache.move(source, hole)
            order[hole] = source
        self._cache.keep(n_kept)
        return order

    @torch.inference_mode()
    def run(
        self, rows: Sequence[Row | None], *, n_steps: int, done: Callable[[], None]
    ) -> list[list[int]]:
        """Run the model `n_steps` times and return the tokens that the rows drew in each step."""
        n_rows = len(rows)
        state = [
            (*row_state, int(row is not None))
            for row, row_state in zip(rows, state_of(rows), strict=True)
        ]
        positions = [position for _, _, position, _, _ in state]
        window = max(positions) + n_steps
        if self._captured is not None:
            window = _up_to_block(window)
        self._reserve(window)
        step: Step = partial(self._step, n_rows, window, self._groups(positions, n_steps))
        now = torch.tensor(state, device=self._loaded.device).t()
        self._state[:, :n_rows] = now
        if self._captured is not None:  # its warm-up is a step: from where the rows are, and back
            step = self._captured.ready(step, (n_rows, window))
            self._state[:, :n_rows] = now
        written: list[torch.Tensor] = []
        for _ in range(n_steps):
            step()
            written.append(self._state[0, :n_rows].clone())
            done()
        tokens: list[list[int]] = torch.stack(written).tolist()  # the only wait for the device
        return tokens

    def _groups(self, positions: Sequence[int], n_steps: int) -> RowWindows:
        """Return where each group of rows ends and what it sees; none for a recorded step."""
        if self._captured is not None:
            return ()
        ends = range(_GROUP, len(positions) + _GROUP, _GROUP)
        groups = ((min(end, len(positions)), positions[end - _GROUP : end]) for end in ends)
        return tuple((end, max(group) + n_steps) for end, group in groups)

    def _step(self, n_rows: int, window: int, groups: RowWindows) -> None:
        """Read the rows' last tokens and put those drawn after them in their place."""
        loaded = self._loaded
        model: Any = loaded.model  # transformers hands more arguments on to the attention
        last, drawn, positions, seeds, is_alive = self._state[:, :n_rows].unbind(0)
        columns = torch.arange(window, device=loaded.device)
        mask = torch.zeros((n_rows, window), dtype=loaded.dtype, device=loaded.device)
        mask.masked_fill_(columns > positions[:, None], -torch.inf)
        self._cache.begin_step(self._numbers[:n_rows], positions, window=window)
        output = model(
            input_ids=last[:, None],
            attention_mask=mask[:, None, None],
            position_ids=positions[:, None],
            past_key_values=self._cache.cache,
            use_cache=True,
            row_windows=groups,
        )
        last.copy_(draw_next(output, seeds, drawn, loaded=loaded, params=self._params))
        drawn += 1
        positions += is_alive

    def _reserve(self, n_columns: int, *, like: Layers | None = None) -> None:
        n_before = self._cache.n_columns
        self._cache.reserve(n_columns, like=like)
        if self._captured is not None and self._cache.n_columns != n_before:
            self._captured.clear()


def _up_to_block(n_columns: int) -> int:
    return -(-n_columns // _WINDOW_BLOCK) * _WINDOW_BLOCK


def _misplaced(rows: Sequence[Row | None], group: int, n_columns: int, *, side: int) -> int:
    """Return the row of `group` that has to give way to one of `n_columns` columns, or -1.

    Of a group on the shorter `side` (1) it is the longest, if longer; of the other one (-1) the
    shortest, if shorter.
    """
    numbers = range(max(0, group * _GROUP), max(0, min((group + 1) * _GROUP, len(rows))))
    members = [(side * row.position, i) for i in numbers if (row := rows[i]) is not None]
    length, i = max(members, default=(0, -1))
    return i if i >= 0 and length > side * n_columns else -1
