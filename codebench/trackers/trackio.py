"""Trackio: a run for each line in a local database, or wherever its own variables say.

Settings: Trackio's own variables (TRACKIO_DIR, TRACKIO_SPACE_ID, TRACKIO_SERVER_URL).
"""

from collections.abc import Sequence

from codebench.trackers import DEFAULT_PROJECT
from codebench.trackers.point import Point


def log(run: str, points: Sequence[Point], project: str | None) -> str:
    """Add some steps to a run; return where they are.

    Raises:
        Exception: whatever Trackio raises.
    """
    import trackio

    name = project or DEFAULT_PROJECT
    opened = trackio.init(
        project=name,
        name=run,
        resume="allow",
        embed=False,
        auto_log_gpu=False,
        auto_log_cpu=False,
    )
    try:
        for point in points:
            opened.log(dict(point.metrics), step=point.step)
    finally:
        trackio.finish()  # type: ignore[no-untyped-call]  # trackio has no types
    return f"project {name}, run {run}"
