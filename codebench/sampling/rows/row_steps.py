"""Run the model over all rows a few times in a row, looking at the tokens only afterwards.

On a GPU a look at a token makes the host wait until everything before it is done. So a burst of
steps stays on the device: each step's token is the next step's input there, and the host gets all
tokens at once. What a row wrote past its stop is thrown away by whoever looks.
"""

from collections.abc import Callable, Sequence

import torch

from codebench.sampling.completion import SamplingParams
from codebench.sampling.loaded_model import LoadedModel
from codebench.sampling.rows.noise import draw
from codebench.sampling.rows.row import Row
from codebench.sampling.rows.row_cache import RowCache


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


@torch.inference_mode()
def run_steps(
    loaded: LoadedModel,
    params: SamplingParams,
    cache: RowCache,
    rows: Sequence[Row | None],
    *,
    n_steps: int,
    done: Callable[[], None],
) -> list[list[int]]:
    """Run the model `n_steps` times and return the tokens that the rows drew in each step.

    Args:
        loaded: The model.
        params: How tokens are drawn.
        cache: The rows' keys and values; `n_steps` columns are written.
        rows: The samples, None where a row is free: it is computed along.
        n_steps: Steps until the next look.
        done: Called after each step.
    """
    device = loaded.device
    state = [
        (row.last_id, len(row.new_ids), row.position, row.request.seed) if row else (0, 0, 0, 0)
        for row in rows
    ]
    last, drawn, positions, seeds = torch.tensor(state, device=device).unbind(1)  # (B,) each
    written: list[torch.Tensor] = []
    for step in range(n_steps):
        mask = cache.begin_step(device)  # (B, columns)
        if loaded.takes_whole_mask:
            mask = mask.bool()[:, None, None]
        output = loaded.model(
            input_ids=last[:, None],
            attention_mask=mask,
            position_ids=(positions + step)[:, None],
            past_key_values=cache.cache,
            use_cache=True,
        )
        cache.end_step()
        last = draw(output.logits[:, -1, : loaded.n_ids], seeds, drawn + step, params)
        written.append(last)
        done()
    tokens: list[list[int]] = torch.stack(written).tolist()  # the only wait for the device
    return tokens
