"""How many rows fit into the memory that is free, and what running out of it looks like.

An estimate, on the safe side: the engine halves its rows when it was wrong.
"""

from collections.abc import Callable
from pathlib import Path

import torch
from transformers import PreTrainedModel
from transformers.cache_utils import DynamicCache

from codebench.errors import EnvironmentProblem
from codebench.sampling.completion import SamplingParams
from codebench.sampling.loaded_model import LoadedModel

ROWS_ON_CPU = 32  # measured: 1260, 1630, 1230 tokens/s with 16, 32, 64 rows (6 layers of 256)
POSITION_ROWS_ON_CPU = 64
"""Where columns are positions; measured: 920, 1210, 1570, 1520 tokens/s with 16 to 128 rows."""

ROWS_ON_GPU = 256

_PROMPT_TOKENS = 512
"""A prompt is taken to be no longer than this."""

_SHARE = 0.8
"""Of the free memory; the rest is for prefilled prompts and what a step computes with."""

_PREFIX_BYTES = 1 << 30
_CPU_REFUSALS = ("DefaultCPUAllocator", "can't allocate memory")


def free_bytes(device: torch.device) -> int | None:
    """Return the bytes that can still be allocated on `device`; None where that is not known."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        found = [int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")]
    except (OSError, ValueError, IndexError):
        return None
    left = left_in_group(Path("/sys/fs/cgroup"))
    if left is not None:
        found.append(left)
    return min(found, default=None)


def left_in_group(group: Path) -> int | None:
    """Return what the control group of a container leaves; None where it sets no limit.

    Pages of files count as used there, those of a mapped checkpoint too, though the kernel takes
    them back when it needs them.
    """
    try:
        limit = (group / "memory.max").read_text().strip()
        used = int((group / "memory.current").read_text())
        facts = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        used -= int(facts.get("inactive_file", 0))
        return max(0, int(limit) - used) if limit != "max" else None
    except (OSError, ValueError):
        return None


def plan_rows(
    loaded: LoadedModel, params: SamplingParams, *, n_prompt_tokens: int, n_free_bytes: int | None
) -> int:
    """Return how many rows fit: at least 1, at most what the device gains from.

    Args:
        loaded: The model, already in memory.
        params: How tokens are drawn.
        n_prompt_tokens: Tokens of the longest prompt, about.
        n_free_bytes: What can still be allocated; None where that is not known.
    """
    on_cpu = POSITION_ROWS_ON_CPU if loaded.takes_whole_mask else ROWS_ON_CPU
    most = on_cpu if loaded.device.type == "cpu" else ROWS_ON_GPU
    if n_free_bytes is None or not loaded.keeps_columns:
        return min(most, ROWS_ON_CPU)
    n_tokens = n_prompt_tokens + params.max_tokens + 1
    if loaded.max_positions is not None:
        n_tokens = min(n_tokens, loaded.max_positions)
    n_columns = 2 * n_tokens + 64  # as `RowCache` reserves them; `PositionCache` needs fewer
    draws_bytes = loaded.dtype.itemsize + (4 if params.top_k else 40)  # noise is float64, int64
    n_ids = min(loaded.n_ids, 1 << 20)
    row_bytes = kv_bytes_per_token(loaded) * n_columns + n_ids * draws_bytes
    room = _SHARE * n_free_bytes - min(_PREFIX_BYTES, n_free_bytes // 8)
    return max(1, min(most, int(room // max(1, row_bytes))))


def usual_prompt_tokens(loaded: LoadedModel) -> int:
    """Return how long a prompt is taken to be, in tokens, before any was seen."""
    limit = loaded.max_positions
    return _PROMPT_TOKENS if limit is None else min(_PROMPT_TOKENS, limit)


def kv_bytes_per_token(loaded: LoadedModel) -> int:
    """Return the size of one token's keys and values over all layers, in bytes.

    It is read from the configuration; where that does not say, one token is read by the model.
    """
    model = loaded.model
    text_config = model.config.get_text_config() if isinstance(model, PreTrainedModel) else None
    n_all = getattr(text_config, "num_attention_heads", None)
    n_heads = getattr(text_config, "num_key_value_heads", None) or n_all
    width = getattr(text_config, "hidden_size", None)
    head_size = getattr(text_config, "head_dim", None) or (width // n_all if width and n_all else 0)
    if isinstance(n_heads, int) and isinstance(head_size, int) and head_size:
        return 2 * loaded.n_layers * n_heads * head_size * loaded.dtype.itemsize
    return read_kv_bytes_per_token(loaded)


@torch.inference_mode()
def read_kv_bytes_per_token(loaded: LoadedModel) -> int:
    """Read one token and return the size of what the cache holds then, in bytes."""
    output = loaded.model(
        input_ids=torch.zeros((1, 1), dtype=torch.long, device=loaded.device),
        past_key_values=DynamicCache(),
        use_cache=True,
        logits_to_keep=1,
    )
    layers = output.past_key_values.layers
    return sum(layer.keys.nbytes + layer.values.nbytes for layer in layers)


def is_out_of_memory(error: RuntimeError) -> bool:
    """Return whether `error` says that the device had no memory left (torch 2.13's texts)."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return any(refusal in str(error) for refusal in _CPU_REFUSALS)


class Halving:
    """What an engine does when the memory does not hold its rows: half of them go on."""

    def __init__(self, device: torch.device, notify: Callable[[str], None]) -> None:
        self._device = device
        self._notify = notify
        self._has_halved = False

    def check(self, error: RuntimeError, *, n_rows: int) -> None:
        """Return where fewer than `n_rows` rows may fit.

        Raises:
            RuntimeError: `error`, if it does not say that memory ran out.
            EnvironmentProblem: if there is but one row.
        """
        if not is_out_of_memory(error):
            raise error
        if n_rows == 1:
            raise EnvironmentProblem(
                f"{self._device} has too little memory left for one sample: use --device cpu, "
                "shorter prompts or a smaller --max-tokens"
            ) from error

    def go_on(self, n_rows: int, *, n_before: int) -> None:
        """Give back what torch holds without using it, now that the rows are dropped; say it once.

        Args:
            n_rows: Rows from now on.
            n_before: Rows that did not fit.
        """
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        if not self._has_halved:
            self._notify(
                f"{self._device} ran out of memory with {n_before} rows: going on with {n_rows} "
                f"(nothing is lost; --batch-size {n_rows} starts so)"
            )
        self._has_halved = True
