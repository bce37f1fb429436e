"""`codebench checkpoints`: what there is to evaluate."""

from pathlib import Path

import click

from codebench.checkpoints.resolve import DEFAULT_ROOT, list_checkpoints


def list_them(root: Path | None) -> None:
    """Print one line for each checkpoint below `root`, lowest step first.

    Raises:
        EnvironmentProblem: if `root` cannot be read.
    """
    found = list_checkpoints(root)
    for entry in found:
        step = "-" if entry.step is None else str(entry.step)
        click.echo(f"{step:>10}  {entry.format:20} {entry.path}")
    if not found:
        click.echo(f"no checkpoints in {DEFAULT_ROOT if root is None else root}", err=True)
