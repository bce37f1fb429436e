"""What `run` and `score` share: is the output writable, run, show the table, write, exit code."""

import os
import sys
from pathlib import Path

from codebench.errors import EnvironmentProblem, UsageError
from codebench.plan import Plan
from codebench.progress import open_progress
from codebench.prompts import PromptSet
from codebench.run_config import RunConfig
from codebench.source import Source
from codebench.store.disk import disk_errors, write_atomically

STDOUT = "-"


def check_places(output: str, run_dir: Path | None) -> None:
    """Fail now rather than after the run.

    Raises:
        UsageError: if the run directory is a file.
        EnvironmentProblem: if the output cannot be written.
    """
    if output != STDOUT:
        _check_writable(Path(output))
    if run_dir is not None and run_dir.exists() and not run_dir.is_dir():
        raise UsageError(f"--run-dir {run_dir} is a file: name a folder")


def _check_writable(path: Path) -> None:
    folder = path.parent
    if path.is_dir():
        raise EnvironmentProblem(f"--output {path} is a folder: name a file in it")
    if not folder.is_dir():
        raise EnvironmentProblem(f"--output {path}: there is no folder {folder}: make it first")
    if not os.access(folder, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
        raise EnvironmentProblem(f"--output {path} cannot be written: name another place")
    probe = folder / f".{path.name}.{os.getpid()}.probe"
    with disk_errors("write the output", path):  # root passes access(2) on read-only file systems
        probe.touch()
        probe.unlink()


def perform(
    config: RunConfig,
    source: Source,
    prompt_sets: tuple[PromptSet, ...],
    plan: Plan,
    output: str,
) -> int:
    """Run, show the table, write the results; return the exit code.

    Raises:
        CodebenchError: if the run cannot start or go on.
    """
    from codebench.start import execute
    from codebench.table import print_results

    if plan.n_samples < len(plan.prompts):
        sys.stderr.write(
            f"{plan.n_samples} samples over {len(plan.prompts)} prompts: some prompts have none\n"
        )
    with open_progress() as progress:
        finished = execute(config, source, prompt_sets, plan, progress)
    print_results(finished.results, finished.run_dir)
    content = finished.results.to_json()
    if output == STDOUT:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    else:
        write_atomically(Path(output), content)
    if finished.too_many_infra_errors:
        sys.stderr.write(
            f"codebench: {finished.n_infra_errors} samples could not be judged (infra_error); "
            "the same command tries them again\n"
        )
        return 4
    return 0
