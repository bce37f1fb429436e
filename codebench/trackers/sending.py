"""Send the numbers of some runs to trackers; what fails there is told and costs nothing else."""

import contextlib
import importlib.util
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module

from codebench.errors import EnvironmentProblem
from codebench.results.model import Results
from codebench.trackers import TRACKER_NAMES
from codebench.trackers.point import Point, point_of

Log = Callable[[str, Sequence[Point], str | None], str]


def check_trackers(names: Sequence[str]) -> None:
    """Fail now rather than after a run, if the library of a tracker is not installed.

    Raises:
        EnvironmentProblem: with the command that installs it.
    """
    assert set(names) <= set(TRACKER_NAMES)
    for name in names:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:  # a folder of that name (`./wandb`) has no origin
            raise EnvironmentProblem(
                f"{name} is not installed: pip install 'codebench[{name}]' (or pip install {name})"
            )


def send(runs: Sequence[Results], names: Sequence[str], *, project: str | None) -> dict[str, str]:
    """Send runs to each tracker, lowest step first.

    Args:
        runs: The results.
        names: The trackers.
        project: Name of the project or experiment; None for the tracker's own setting.

    Returns:
        By tracker that failed, one line that says why; the others have everything.
    """
    points = sorted(map(point_of, runs), key=lambda point: (point.step, point.time_s))
    lines = {point.run: [other for other in points if other.run == point.run] for point in points}
    failures = {}
    for name in dict.fromkeys(names):
        try:
            with _quiet():
                places = _log_all(name, lines, project)
        except Exception as error:  # noqa: BLE001 - a tracker may fail in any way; the results stay
            reason = " ".join(str(error).split()) or type(error).__name__
            failures[name] = f"{name} did not take the numbers: {reason}"
        else:
            steps = f"{len(points)} step{'s' if len(points) > 1 else ''}"
            sys.stderr.write(f"{name} has {steps}: {'; '.join(places)}\n")
    return failures


def _log_all(name: str, lines: Mapping[str, list[Point]], project: str | None) -> list[str]:
    log: Log = import_module(f"codebench.trackers.{name}").log
    return [log(run, points, project) for run, points in lines.items()]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep stdout for our numbers: what a library prints goes to stderr, its warnings nowhere."""
    with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
