"""`codebench log`: send results that are there already to trackers."""

import sys
from collections.abc import Sequence
from pathlib import Path

from codebench.errors import EnvironmentProblem, UsageError
from codebench.results.model import Results
from codebench.results.reading import load_folder, load_results
from codebench.trackers.sending import check_trackers, send


def log_command(paths: Sequence[Path], names: Sequence[str], project: str | None) -> None:
    """Send every result of some files, run directories and folders.

    Raises:
        CodebenchError: if something cannot be read, or a tracker did not take it.
    """
    check_trackers(names)
    failures = send(_results(paths), names, project=project)
    if failures:
        raise EnvironmentProblem("; ".join(failures.values()))


def _results(paths: Sequence[Path]) -> list[Results]:
    results = []
    for path in paths:
        if not path.is_dir():
            results.append(load_results(path).results)
            continue
        found = load_folder(path)
        results += [one.results for one in found.loaded]
        for line in found.broken:
            sys.stderr.write(f"left out: {line}\n")
    if not results:
        raise UsageError(f"no results below {', '.join(map(str, paths))}")
    return results
