"""Replay a step as a CUDA graph: one launch in place of the hundreds that Python makes.

A step of a small model is bound by the time that the host takes to launch its kernels. A step whose
tensors keep their place and shape can be recorded once and replayed. What differs from step to
step, the tokens, positions and seeds, is read from tensors that the step itself rewrites.

Each shape (rows, window) has a recording of its own. It is made when the shape comes for the second
time: a recording costs about three steps. A model that cannot be recorded (one that looks at a
value on the device) runs as before, which is said once.
"""

import contextlib
import functools
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch

from codebench.sampling.rows.memory import is_out_of_memory

Step = Callable[[], None]
Capture = Callable[[Step], Step]
"""Records a step and returns what replays it; runs the step at least once, as a warm-up."""


class GraphCapture:
    """Records steps as CUDA graphs that share their memory.

    They may: a step leaves nothing in that memory, its results are tensors of its own.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pool: Any = torch.cuda.graph_pool_handle()

    def __call__(self, step: Step) -> Step:
        """Record `step` and return its replay.

        Raises:
            RuntimeError: if the step cannot be recorded.
        """
        graph = torch.cuda.CUDAGraph()
        side = _side_stream(self._device)
        with torch.cuda.device(self._device):
            main = torch.cuda.current_stream()
            side.wait_stream(main)
            # This context is left in any case; that of a recording that fails torch never leaves.
            with torch.cuda.stream(side):
                try:  # outside the graph, where libraries set themselves up
                    with _waits_refused():
                        step()
                finally:
                    main.wait_stream(side)
                with torch.cuda.graph(graph, pool=self._pool, stream=side):
                    step()
        return graph.replay


@functools.cache
def _side_stream(device: torch.device) -> Any:  # noqa: ANN401  (untyped in torch)
    """Return the one stream that steps are recorded on: cuBLAS keeps a workspace for each."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def _waits_refused() -> Iterator[None]:
    """Raise a RuntimeError where the host would wait for the device.

    At such a place a recording breaks, and leaves torch's allocator believing that it goes on.
    """
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings(action="ignore"):  # to torch this is a prototype
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)


CAPTURES: dict[str, Callable[[torch.device], Capture]] = {"cuda": GraphCapture}
"""What records the steps on a device, by its type."""


class CapturedSteps:
    """The recordings of one cache."""

    def __init__(
        self,
        open_capture: Callable[[torch.device], Capture],
        device: torch.device,
        notify: Callable[[str], None],
    ) -> None:
        self._open_capture = open_capture
        self._capture: Capture | None = open_capture(device)  # None when it has failed
        self._device = device
        self._notify = notify
        self._replays: dict[tuple[int, int], Step | None] = {}
        """By shape; None for one that came once."""

    def ready(self, step: Step, shape: tuple[int, int]) -> Step:
        """Return what runs `step`, whose tensors have `shape`; `step` itself the first time.

        It may run the step to warm up: what a step reads and rewrites is to be written before (the
        warm-up leaves keys and values where it stood) and again afterwards.
        """
        if self._capture is None:
            return step
        if shape not in self._replays:
            self._replays[shape] = None
            return step
        replay = self._replays[shape]
        if replay is None:
            replay = self._replays[shape] = self._recorded(step, self._capture)
        return replay

    def clear(self) -> None:
        """Forget the recordings, and the memory that they shared: the tensors have moved."""
        self._replays.clear()
        if self._capture is not None:  # torch refuses a pool whose last graph is gone
            self._capture = self._open_capture(self._device)

    def _recorded(self, step: Step, capture: Capture) -> Step:
        try:
            return capture(step)
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            first_line = str(error).strip().partition("\n")[0]
        self._capture = None
        self.clear()
        self._notify(f"{self._device}: no CUDA graph of this model, going on without: {first_line}")
        return step
