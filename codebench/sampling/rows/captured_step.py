"""Replay a step as a CUDA graph: one launch in place of the hundreds that Python makes.

A step of a small model is bound by the time that the host takes to launch its kernels. A step whose
tensors keep their place and shape can be recorded once and replayed. What differs from step to
step, the tokens, positions and seeds, is read from tensors that the step itself rewrites.

Each shape (rows, window) has a recording of its own. It is made when the shape comes for the second
time: a recording costs about three steps. A model that cannot be recorded (one that looks at a
value on the device) runs as before, which is said once.
"""

from collections.abc import Callable
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
        with torch.cuda.device(self._device):
            # On a side stream, as torch asks for: libraries set themselves up outside the graph.
            side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                step()
            torch.cuda.current_stream().wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=self._pool):
                step()
        return graph.replay


CAPTURES: dict[str, Callable[[torch.device], Capture]] = {"cuda": GraphCapture}
"""What records the steps on a device, by its type."""


class CapturedSteps:
    """The recordings of one cache."""

    def __init__(
        self, capture: Capture, device: torch.device, notify: Callable[[str], None]
    ) -> None:
        self._capture: Capture | None = capture  # None when it has failed
        self._device = device
        self._notify = notify
        self._replays: dict[tuple[int, int], Step | None] = {}
        """By shape; None for one that came once."""

    def ready(self, step: Step, shape: tuple[int, int]) -> Step:
        """Return what runs `step`, whose tensors have `shape`; `step` itself the first time.

        It may run the step to warm up: what the step reads is to be written afterwards.
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
        """Forget the recordings: the tensors have moved."""
        self._replays.clear()

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
