"""`codebench compare`: is this checkpoint better than that one?"""

from collections.abc import Sequence
from pathlib import Path

import click

from codebench.compare.comparing import compare
from codebench.compare.gate import regressions
from codebench.compare.model import ComparisonReport
from codebench.errors import UsageError
from codebench.results.reading import RESULTS_NAME, Loaded, load_folder, load_results


def compare_command(
    paths: Sequence[Path],
    *,
    form: str | None,
    force: bool,
    fail_on: Sequence[str],
    by: str,
) -> int:
    """Compare, print, and return the exit code: 1 if a gate that was asked for failed.

    Raises:
        UsageError: if the results cannot be read or compared, or a gate cannot be judged.
    """
    report = compare(_runs(paths), force=force)
    failed = regressions(report, metrics=fail_on, by=by) if fail_on else []
    _print(report, form)
    for line in failed:
        click.echo(f"regression: {line}", err=True)
    return 1 if failed else 0


def _runs(paths: Sequence[Path]) -> list[Loaded]:
    """Return the runs that the words of the command mean; a folder stands for all below it."""
    runs: list[Loaded] = []
    for path in paths:
        if path.is_dir() and not (path / RESULTS_NAME).is_file():
            found = load_folder(path)
            for line in found.broken:
                click.echo(f"skipped: {line}", err=True)
            if not found.loaded:
                raise UsageError(f"there are no results below {path}")
            runs.extend(found.loaded)
        else:
            runs.append(load_results(path))
    return runs


def _print(report: ComparisonReport, form: str | None) -> None:
    if form == "json":
        click.echo(report.model_dump_json(indent=2))
    elif form == "markdown":
        from codebench.compare.markdown import markdown

        click.echo(markdown(report), nl=False)
    else:
        from codebench.compare.terminal import print_comparison

        print_comparison(report)
