"""The `Sampler` over one loaded model, whatever the format of its checkpoint."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import torch
import transformers

from codebench.errors import EnvironmentProblem
from codebench.sampling.completion import (
    Completion,
    SampleRequest,
    SamplerTiming,
    SamplingParams,
)
from codebench.sampling.engine import RowEngine
from codebench.sampling.loaded_model import LoadedModel

Notify = Callable[[str], None]
"""Takes one line for the user's stderr."""

_ROWS_ON_CPU = 32  # measured: 1260, 1630, 1230 tokens/s with 16, 32, 64 rows (6 layers of 256)
_ROWS_ON_GPU = 64


class RowSampler:
    """A `Sampler` over one loaded checkpoint."""

    def __init__(
        self,
        loaded: LoadedModel,
        params: SamplingParams,
        *,
        batch_size: int | None = None,
        load_s: float = 0.0,
    ) -> None:
        is_cpu = loaded.device.type == "cpu"
        self._n_rows = batch_size or (_ROWS_ON_CPU if is_cpu else _ROWS_ON_GPU)
        self._load_s = load_s
        self._loaded = loaded
        self._engine = RowEngine(loaded, params, n_rows=self._n_rows)

    def sample(self, requests: Iterable[SampleRequest]) -> Iterator[Completion]:
        """Yield one completion per request, as they finish; pulls requests lazily.

        Raises:
            EnvironmentProblem: if the GPU has too little memory for the rows.
        """
        try:
            yield from self._engine.run(requests)
        except torch.OutOfMemoryError as error:
            raise EnvironmentProblem(
                f"{self._loaded.device} ran out of memory with {self._n_rows} rows: "
                f"use --batch-size {max(1, self._n_rows // 2)} or --device cpu"
            ) from error

    def timing(self) -> SamplerTiming:
        """Return where the time went so far."""
        return replace(self._engine.timing(), load_s=self._load_s)

    def describe(self) -> dict[str, str | int | float]:
        """Return facts for results.json."""
        return {
            "engine": "rows",
            "model_type": self._loaded.model_type,
            "n_parameters": self._loaded.n_parameters,
            "device": _device_name(self._loaded.device),
            "dtype": str(self._loaded.dtype).removeprefix("torch."),
            "rows": self._n_rows,
            "n_threads": torch.get_num_threads(),
            "determinism": "token-level: independent of batch, order and shard up to rounding",
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        }


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return str(device)
