"""`codebench history`: every result below a folder, one line each."""

from collections.abc import Iterator
from pathlib import Path, PurePath

import click
import orjson

from codebench.results.reading import Loaded, load_folder

_NUMBERS = ("step", "compiles", "95 % interval", "pass@1", "n")
_HEADINGS = ("step", "checkpoint", *_NUMBERS[1:], "ended", "warnings", "file")
_NARROW = 120
_PIPED_WIDTH = 1000


def history_command(folder: Path, *, as_json: bool) -> None:
    """Print the results below `folder`, lowest step first; name on stderr what cannot be read.

    Raises:
        UsageError: if there is no such folder.
    """
    found = load_folder(folder)
    for line in found.broken:
        click.echo(f"skipped: {line}", err=True)
    if as_json:
        entries = [_entry(one) for one in found.loaded]
        click.echo(orjson.dumps(entries, option=orjson.OPT_INDENT_2).decode())
    elif found.loaded:
        _print(found.loaded)
    else:
        click.echo(f"there are no results below {folder}", err=True)


def _entry(one: Loaded) -> dict[str, object]:
    results = one.results
    wilson = results.intervals.compile_success_rate.wilson
    return {
        "step": results.step,
        "checkpoint": results.checkpoint,
        "compile_success_rate": results.compile_success_rate,
        "compile_success_rate_interval": [wilson.low, wilson.high] if wilson else None,
        "pass_at_1": results.pass_at_k.get("1"),
        "judged": results.judged,
        "total_samples": results.total_samples,
        "timestamp": results.timestamp,
        "warnings": [warning.code for warning in results.warnings],
        "run_id": results.run_id,
        "path": str(one.path),
    }


def _print(loaded: tuple[Loaded, ...]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not console.is_terminal:
        console.width = _PIPED_WIDTH
    narrow = console.width < _NARROW
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in _HEADINGS if not narrow else _HEADINGS[:-1]:
        table.add_column(
            heading,
            justify="right" if heading in _NUMBERS else "left",
            no_wrap=True,
            overflow="ellipsis",
        )
    for one in loaded:
        cells = _cells(one, narrow=narrow)
        table.add_row(*(Text(cell, style=style) for cell, style in cells))
    console.print(table)


def _cells(one: Loaded, *, narrow: bool) -> Iterator[tuple[str, str]]:
    """Yield each cell and its style."""
    from codebench.compare.texts import one_line

    results = one.results
    rate, pass_1 = results.compile_success_rate, results.pass_at_k.get("1")
    wilson = results.intervals.compile_success_rate.wilson
    yield "-" if results.step is None else str(results.step), ""
    name = one_line(results.checkpoint)
    yield PurePath(name).name if narrow else name, ""
    yield "-" if rate is None else f"{rate:.1f} %", ""
    yield f"{wilson.low:.1f} to {wilson.high:.1f}" if wilson else "-", ""
    yield "-" if pass_1 is None else f"{pass_1:.3f}", ""
    yield str(results.judged), ""
    yield results.timestamp[:10] if narrow else results.timestamp, ""
    yield one_line(", ".join(warning.code for warning in results.warnings)) or "-", "yellow"
    if not narrow:
        yield one_line(str(one.path)), ""
