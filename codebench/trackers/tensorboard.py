"""TensorBoard: a folder for each line, below the folder of the project; needs no server.

Written with tensorboard's own writer: `torch.utils.tensorboard` is the same, and torch with it.
Settings: TENSORBOARD_LOGGING_DIR, as transformers names it; without it, `./tensorboard`.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from codebench.trackers import DEFAULT_PROJECT
from codebench.trackers.point import Point


def log(run: str, points: Sequence[Point], project: str | None) -> str:
    """Add some steps to a folder, as one more file of events; return the folder.

    Raises:
        Exception: whatever the disk raises.
    """
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    root = os.environ.get("TENSORBOARD_LOGGING_DIR") or "tensorboard"
    folder = Path(root) / (project or DEFAULT_PROJECT) / run
    writer = EventFileWriter(str(folder))
    for point in points:
        values = [Summary.Value(tag=k, simple_value=v) for k, v in point.metrics.items()]
        summary = Summary(value=values)
        writer.add_event(Event(wall_time=point.time_s, step=point.step, summary=summary))
    writer.close()
    return str(folder)
