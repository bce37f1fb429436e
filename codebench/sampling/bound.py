"""How fast this machine could decode at best: two measured rates and the work of a step.

A step of B rows reads every weight of a matrix product once and each row's keys and values, and
does two operations per weight and row. It cannot take less time than either needs at the measured
rate, so tokens per second cannot exceed B over the longer of the two.

Left out, so that the bound stays one: the operations of attention, sampling, the writing of keys
and values, activations, and the overhead of Python and of starting kernels. For a model of a few
million weights that overhead is most of a step, and the share of the bound that is reached is
small: that is the truth about such a model, not an error of the measurement. Also left out:
weights that are no 2-D parameter (experts stacked in three dimensions, quantised buffers).

Source: the roofline model (Williams et al. 2009); bytes and operations per token as in Pope et al.
2022, arXiv:2211.05102.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn import functional

from codebench.sampling.loaded_model import LoadedModel
from codebench.sampling.rows.memory import read_kv_bytes_per_token

_BUDGET_S = 0.05
"""Time for the repetitions of one measurement; filling the matrix comes on top, once."""

_MIN_REPETITIONS = 3
_MAX_REPETITIONS = 50
_MATRIX_BYTES = {"cpu": 128 << 20, "cuda": 512 << 20}
"""Most that a repetition of the bandwidth measurement reads: larger than the caches."""

_LEAST_MATRIX_BYTES = {"cpu": 1 << 20, "cuda": 32 << 20}
"""A smaller matrix would measure the call, not the memory."""

_PRODUCT_SIDE = {"cpu": 1024, "cuda": 4096}
"""Side of the weights in the product: they fit into a cache, so that arithmetic is the limit."""

_LAUNCHES_PER_TIMING = {"cpu": 1, "cuda": 10}
"""A kernel of a GPU may be shorter than its launch; several in a row hide that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineRates:
    """What the device does per second, in the dtype of the model."""

    bytes_per_s: float
    """Memory read by a matrix-vector product."""

    flops_per_s: float
    """Operations of a matrix product with the rows of the run; a multiply-add is two."""

    def __post_init__(self) -> None:
        if not (0 < self.bytes_per_s < float("inf") and 0 < self.flops_per_s < float("inf")):
            raise ValueError(f"rates must be positive and finite, got {self}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What a step of the model has to read and compute."""

    n_weights: int
    """Weights of matrix products; a looked-up embedding is none, a tied head is."""

    weight_bytes: int
    kv_bytes_per_token: int
    """Keys and values of one token over all layers."""

    def step_bytes(self, *, n_rows: int, mean_context: float) -> float:
        """Return what a step of `n_rows` rows reads that see `mean_context` tokens each."""
        return self.weight_bytes + n_rows * mean_context * self.kv_bytes_per_token

    def __post_init__(self) -> None:
        if self.n_weights < 1 or self.weight_bytes < 1 or self.kv_bytes_per_token < 0:
            raise ValueError(f"a model has weights and no negative size, got {self}")


def decode_bound(
    facts: ModelFacts, rates: MachineRates, *, n_rows: int, mean_context: float
) -> float:
    """Return the most tokens per second that `n_rows` rows could decode.

    Args:
        facts: The model.
        rates: The machine, measured with about as many rows.
        n_rows: Rows that decode together.
        mean_context: Tokens that a new token sees on average, of prompt and completion.

    Raises:
        ValueError: if `n_rows` is below 1 or `mean_context` is negative or not finite.
    """
    if n_rows < 1 or not 0 <= mean_context < float("inf"):
        raise ValueError(f"no such step: n_rows={n_rows}, mean_context={mean_context}")
    step_bytes = facts.step_bytes(n_rows=n_rows, mean_context=mean_context)
    step_flops = 2 * facts.n_weights * n_rows
    step_s = max(step_bytes / rates.bytes_per_s, step_flops / rates.flops_per_s)
    return n_rows / step_s


def model_facts(loaded: LoadedModel) -> ModelFacts | None:
    """Return what a step of `loaded` needs, or None where its weights cannot be seen.

    A module of the user's that keeps no cache is such a case: it computes all of a text again.
    """
    if not isinstance(loaded.model, torch.nn.Module):
        return None
    weights = matmul_weights(loaded.model)
    if not weights:
        return None
    return ModelFacts(
        n_weights=sum(weight.numel() for weight in weights),
        weight_bytes=sum(weight.nbytes for weight in weights),
        kv_bytes_per_token=read_kv_bytes_per_token(loaded),
    )


def matmul_weights(module: torch.nn.Module) -> list[torch.Tensor]:
    """Return the 2-D parameters that a step multiplies with, each once.

    These are the 2-D parameters of all modules but embeddings. The embedding with the most rows
    counts too when it is the head: when the same tensor stands in another module, or when no other
    weight has a side as long as its rows (a head written as a function of the embedding).
    """
    found: dict[int, torch.Tensor] = {}
    embeddings: list[torch.Tensor] = []
    for part in module.modules():
        if isinstance(part, torch.nn.Embedding):
            embeddings.append(part.weight)
            continue
        for parameter in part.parameters(recurse=False):
            if parameter.dim() == 2:
                found[id(parameter)] = parameter
    if embeddings:
        largest = max(embeddings, key=lambda weight: weight.shape[0])
        if not any(largest.shape[0] in weight.shape for weight in found.values()):
            found[id(largest)] = largest
    return list(found.values())


@torch.inference_mode()
def measure_machine(
    device: torch.device,
    n_threads: int | None = None,
    *,
    dtype: torch.dtype = torch.float32,
    n_rows: int = 32,
    step_bytes: float = float("inf"),
) -> MachineRates:
    """Measure both rates, in about 0.2 s; medians of a few repetitions.

    On a machine that does other work at the same time the rates are those that are left.

    Args:
        device: Where the model computes.
        n_threads: Threads of torch while it is measured; by default those it has.
        dtype: That of the model's weights.
        n_rows: Rows of the product: few rows reach a lower rate than many.
        step_bytes: What a step reads. Where that fits into the caches it stays there from step to
            step and is read faster than memory is; by default it does not fit.

    Raises:
        ValueError: if `n_rows` is below 1.
    """
    if n_rows < 1:
        raise ValueError(f"n_rows must be at least 1, got {n_rows}")
    threads_before = torch.get_num_threads()
    if n_threads is not None:
        torch.set_num_threads(n_threads)
    try:
        return MachineRates(
            bytes_per_s=_bytes_per_s(device, dtype, step_bytes),
            flops_per_s=_flops_per_s(device, dtype, n_rows),
        )
    finally:
        torch.set_num_threads(threads_before)


def _bytes_per_s(device: torch.device, dtype: torch.dtype, step_bytes: float) -> float:
    n_columns = 8192
    least, most = _LEAST_MATRIX_BYTES[device.type], _MATRIX_BYTES[device.type]
    n_lines = int(min(max(step_bytes, least), most)) // (n_columns * dtype.itemsize)
    # Ones are written: untouched zeros would all be the same page, read from a cache.
    matrix = torch.ones((n_lines, n_columns), dtype=dtype, device=device)
    vector = torch.ones((1, n_columns), dtype=dtype, device=device)
    return matrix.nbytes / _median_s(lambda: functional.linear(vector, matrix), device)


def _flops_per_s(device: torch.device, dtype: torch.dtype, n_rows: int) -> float:
    side = _PRODUCT_SIDE[device.type]
    weights = torch.ones((side, side), dtype=dtype, device=device)
    rows = torch.ones((n_rows, side), dtype=dtype, device=device)
    n_flops = 2 * n_rows * weights.numel()
    return n_flops / _median_s(lambda: functional.linear(rows, weights), device)


def _median_s(product: Callable[[], torch.Tensor], device: torch.device) -> float:
    """Return the seconds of one `product`; the first, which warms up, does not count."""
    product()
    timed = _timed_on_gpu if device.type == "cuda" else _timed
    n_launches = _LAUNCHES_PER_TIMING[device.type]
    times: list[float] = []
    end = time.perf_counter() + _BUDGET_S
    while len(times) < _MIN_REPETITIONS or (
        len(times) < _MAX_REPETITIONS and time.perf_counter() < end
    ):
        times.append(timed(product, n_launches) / n_launches)
    return statistics.median(times)


def _timed(product: Callable[[], torch.Tensor], n_launches: int) -> float:
    started = time.perf_counter()
    for _ in range(n_launches):
        product()
    return time.perf_counter() - started


def _timed_on_gpu(product: Callable[[], torch.Tensor], n_launches: int) -> float:
    start = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    end = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    torch.cuda.synchronize()
    start.record()
    for _ in range(n_launches):
        product()
    end.record()
    torch.cuda.synchronize()
    return float(start.elapsed_time(end)) / 1000.0
