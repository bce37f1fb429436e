"""What `run` and `score` share: is the output writable, run, show the table, write, exit code."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codebench.errors import EnvironmentProblem, UsageError
from codebench.plan import Plan
from codebench.progress import open_progress
from codebench.prompts import PromptSet, load_prompt_set
from codebench.prompts.model import Profile
from codebench.run_config import RunConfig
from codebench.sandbox.choose import SandboxKind
from codebench.source import Source
from codebench.store.disk import disk_errors, write_atomically

if TYPE_CHECKING:
    from codebench.run import Finished

STDOUT = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is done with the results beyond writing them."""

    files: tuple[tuple[str, Path], ...] = ()
    """Further files: the name of the format (`codebench.export.formats`) and where it goes."""

    trackers: tuple[str, ...] = ()
    """Trackers that get the numbers, after everything is written."""

    log_project: str | None = None
    """Project in the trackers; None is their own setting."""

    fail_on_collapse: bool = False
    """Exit code 1 when the model writes no code, after everything is written."""


def asked_of(options: Mapping[str, Any]) -> Asked:
    """Return what the options from `--summary-csv` to `--fail-on-collapse` ask for.

    Raises:
        EnvironmentProblem: if a file cannot be written, or a tracker is not installed.
    """
    named = (("csv", "summary_csv"), ("junit", "junit"))
    files = tuple((name, options[key]) for name, key in named if options[key] is not None)
    for name, path in files:
        check_output(path, f"--{'summary-csv' if name == 'csv' else name}")
    if options["log_to"]:
        from codebench.trackers.sending import check_trackers

        check_trackers(options["log_to"])
    return Asked(
        files=files,
        trackers=options["log_to"],
        log_project=options["log_project"],
        fail_on_collapse=options["fail_on_collapse"],
    )


def base_config(options: Mapping[str, Any]) -> RunConfig:
    """Return what every run is told: what is asked, how it is judged, where it lives."""
    return RunConfig(
        prompts=options["prompts"],
        tests=options["tests"],
        profile=Profile(options["profile"]),
        clippy=options["clippy"],
        k=options["k"],
        sandbox=SandboxKind(options["sandbox"]),
        n_slots=options["slots"],
        timeout_s=options["timeout"],
        run_dir=options["run_dir"],
        max_infra_errors=options["max_infra_errors"],
    )


def load_prompt_sets(config: RunConfig, *, download: bool) -> tuple[PromptSet, ...]:
    """Load what a run asks.

    Raises:
        UsageError: if a set is not there or broken.
        EnvironmentProblem: if the file of a data set is not here.
    """
    return tuple(
        load_prompt_set(name, download=download, profile=config.profile) for name in config.prompts
    )


def check_places(output: str, run_dir: Path | None) -> None:
    """Fail now rather than after the run.

    Raises:
        UsageError: if the run directory is a file.
        EnvironmentProblem: if the output cannot be written.
    """
    if output != STDOUT:
        check_output(Path(output), "--output")
    if run_dir is not None and run_dir.exists() and not run_dir.is_dir():
        raise UsageError(f"--run-dir {run_dir} is a file: name a folder")


def check_output(path: Path, option: str) -> None:
    """Fail if a file cannot be written here.

    Raises:
        EnvironmentProblem: naming the option, the path and what to do.
    """
    folder = path.parent
    if path.is_dir():
        raise EnvironmentProblem(f"{option} {path} is a folder: name a file in it")
    if not folder.is_dir():
        raise EnvironmentProblem(f"{option} {path}: there is no folder {folder}: make it first")
    if not os.access(folder, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
        raise EnvironmentProblem(f"{option} {path} cannot be written: name another place")
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
    *,
    asked: Asked,
) -> int:
    """Run, show the table, write the results and what else was asked; return the exit code.

    Raises:
        CodebenchError: if the run cannot start or go on.
    """
    from codebench.start import execute
    from codebench.table import print_results

    if config.profile is Profile.MULTIPL_E and not config.tests:
        raise UsageError("--profile multipl-e: its programs are none without tests: no --no-tests")
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
    _write_files(finished, asked)
    _log(finished, asked)
    if finished.too_many_infra_errors:
        sys.stderr.write(
            f"codebench: {finished.n_infra_errors} samples could not be judged (infra_error); "
            "the same command tries them again\n"
        )
        return 4
    if asked.fail_on_collapse and finished.results.degeneration.collapse:
        sys.stderr.write("codebench: the model writes no code (--fail-on-collapse); see above\n")
        return 1
    return 0


def _write_files(finished: "Finished", asked: Asked) -> None:
    if not asked.files:
        return
    from codebench.export.formats import FORMATS
    from codebench.results.reading import RESULTS_NAME, Loaded

    place = finished.run_dir / RESULTS_NAME
    run = Loaded(results=finished.results, path=place, run_dir=finished.run_dir)
    for name, path in asked.files:
        write_atomically(path, FORMATS[name].write([run]))


def _log(finished: "Finished", asked: Asked) -> None:
    """Send the numbers to the trackers; what they refuse is told, and the run counts anyway."""
    if not asked.trackers:
        return
    from codebench.trackers.sending import send

    failures = send([finished.results], asked.trackers, project=asked.log_project)
    for name, line in failures.items():
        again = f"`codebench log {finished.run_dir} --to {name}`"
        sys.stderr.write(f"codebench: {line}; the results are written, {again} tries again\n")
