"""`codebench rate`: ask a person for scores, or show what was answered so far."""

import getpass
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import click
import orjson

from codebench.errors import UsageError
from codebench.rating.book import read_ratings
from codebench.rating.choosing import Shown, chosen, order_for
from codebench.rating.summary import RatingSummary, note_in_results, rating_summary
from codebench.results.parts import MeanScore
from codebench.results.reading import Loaded, load_folder, load_results
from codebench.store.run_directory import MANIFEST_NAME

if TYPE_CHECKING:
    from codebench.rating.screen import Screen

_NARROW = 120
_PIPED_WIDTH = 1000


def rate_command(options: Mapping[str, Any]) -> None:
    """Rate programs as the command line says, or print the summary.

    Raises:
        CodebenchError: if runs cannot be read, hold no programs, or an answer cannot be written.
    """
    runs = _runs(options["runs"])
    if options["summary"] or options["as_json"]:
        _summarise([run.run_dir for run in runs if run.run_dir], as_json=options["as_json"])
        return
    rater = _rater(options["rater"])
    programs = chosen(runs, n=options["n"], seed=options["seed"])
    if not programs:
        raise UsageError("there are no judged programs in these runs")
    todo = _not_answered(programs, rater)
    n_before = len(programs) - len(todo)
    try:
        n_answered = _rate(order_for(rater, todo, seed=options["seed"]), rater, n_before)
    finally:
        for run in runs:
            if run.run_dir:
                note_in_results(run.run_dir)
    more = "" if n_answered == len(programs) else "; the same command goes on"
    click.echo(f"{rater}: {n_answered} of {len(programs)} answered{more}", err=True)


def _rate(programs: Sequence[Shown], rater: str, n_before: int) -> int:
    from codebench.rating.keys import open_keys
    from codebench.rating.session import rate_all

    with open_keys() as keys, _screen() as screen:
        return rate_all(programs, rater=rater, n_before=n_before, screen=screen, keys=keys)


def _screen() -> "Screen":
    from rich.console import Console

    from codebench.rating.screen import FullScreen, LineScreen

    console = Console(stderr=True, highlight=False)
    whole = sys.stdin.isatty() and console.is_terminal and not console.is_dumb_terminal
    return FullScreen(console) if whole else LineScreen(console)


def _runs(paths: Sequence[Path]) -> list[Loaded]:
    runs: dict[Path, Loaded] = {}
    for path in paths:
        is_folder = path.is_dir() and not (path / MANIFEST_NAME).is_file()
        below = load_folder(path).loaded if is_folder else (load_results(path),)
        found = [run for run in below if run.run_dir]
        if not found:
            what = "holds no run directory" if is_folder else "stands alone, without its samples"
            raise UsageError(f"{path} {what}: give run directories, as runs/<run_id>")
        runs |= {run.path.resolve(): run for run in found}
    return list(runs.values())


def _rater(name: str | None) -> str:
    try:
        rater = (getpass.getuser() if name is None else name).strip()
    except (KeyError, OSError) as error:
        raise UsageError("this user has no name: say who rates with --rater NAME") from error
    if not rater or not rater.isprintable():
        raise UsageError(f"--rater {rater!r} is no name: give letters that can be printed")
    return rater


def _not_answered(programs: Sequence[Shown], rater: str) -> list[Shown]:
    answers = {run_dir: read_ratings(run_dir) for run_dir in {one.run_dir for one in programs}}
    return [one for one in programs if (rater, one.key) not in answers[one.run_dir]]


def _summarise(run_dirs: Sequence[Path], *, as_json: bool) -> None:
    summary = rating_summary(run_dirs)
    if as_json:
        content = None if summary is None else summary.model_dump(mode="json")
        click.echo(orjson.dumps(content, option=orjson.OPT_INDENT_2).decode())
    elif summary is None:
        click.echo("nothing is rated yet: `codebench rate` without --summary asks", err=True)
    else:
        _print(summary)


def _print(summary: RatingSummary) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from codebench.visible import visible

    console = Console()
    if not console.is_terminal:
        console.width = _PIPED_WIDTH
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("step", justify="right")
    table.add_column("checkpoint", overflow="fold")
    for heading in ("programs", "ratings", "style", "idiom"):
        table.add_column(heading, justify="right", no_wrap=True)
    for run in summary.runs:
        step = "-" if run.step is None else str(run.step)
        counts = (str(run.n_programs), str(run.n_ratings))
        scores = (_score(run.style), _score(run.idiom))
        name = PurePath(run.checkpoint).name if console.width < _NARROW else run.checkpoint
        table.add_row(step, Text(visible(name)), *counts, *scores)
    console.print(table)
    click.echo("scores 1 poor to 5 excellent; 95 % intervals for prompts in general")
    raters = ", ".join(f"{visible(name)} {n}" for name, n in summary.raters.items())
    click.echo(f"raters: {raters}")
    click.echo(_agreement(summary))


def _score(score: MeanScore) -> str:
    ends = "" if score.low is None else f" ({score.low:.2f} to {score.high:.2f})"
    return f"{score.mean:.2f}{ends}"


def _agreement(summary: RatingSummary) -> str:
    agreement = summary.agreement
    if agreement.n_programs == 0:
        return "agreement: no program has two raters yet"
    told = [
        f"{name} {'undefined (all alike)' if alpha is None else f'{alpha:.2f}'}"
        for name, alpha in (("style", agreement.style), ("idiom", agreement.idiom))
    ]
    n = agreement.n_programs
    return f"agreement (Krippendorff's alpha): {', '.join(told)}, over {n} programs"
