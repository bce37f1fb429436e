"""`codebench report`: one HTML file from results and their samples."""

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from codebench.errors import UsageError
from codebench.store.disk import write_atomically
from codebench.store.manifest import utc_now


def report_command(
    paths: Sequence[Path], *, output: Path, target: float | None, readme: Path | None = None
) -> None:
    """Write the report and say so on stderr.

    Args:
        paths: results files, run directories, or folders of them.
        output: the file; `-` is stdout.
        target: compile rate that is aimed at, percent; None draws no line.
        readme: README of a model whose section of results is brought up to date.

    Raises:
        UsageError: if there is nothing to report, or a file cannot be read.
        EnvironmentProblem: if the file cannot be written.
    """
    if output.is_dir():
        raise UsageError(f"--output {output} is a folder; name a file in it: {output}/report.html")
    from codebench.report.page import render
    from codebench.report.runs import gather

    gathered = gather(paths)
    for line in gathered.broken:
        click.echo(f"left out: {line}", err=True)
    page = render(gathered, target=target, made=utc_now())
    if readme is not None:
        from codebench.export.readme import update_readme

        update_readme(readme, [run.results for run in gathered.runs])
    samples = page.samples
    if samples.n_shown < samples.n_samples:
        click.echo(
            f"{samples.n_shown} of {samples.n_samples} samples are shown, the first of each prompt:"
            " more would make the file too large",
            err=True,
        )
    if str(output) == "-":
        sys.stdout.buffer.write(page.content)
        sys.stdout.buffer.flush()
        return
    write_atomically(output, page.content)
    n_runs = len(gathered.runs)
    click.echo(
        f"{output}: {n_runs} run{'s' * (n_runs > 1)}, {samples.n_shown} samples,"
        f" {len(page.content) / 1000:.0f} kB; open it in a browser",
        err=True,
    )
