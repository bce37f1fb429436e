"""A comparison in a terminal: coloured where it is one, plain and unwrapped where it is piped."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from codebench.compare import texts
from codebench.compare.model import Comparison, ComparisonReport, Side, Verdict

_TONES = {
    Verdict.BETTER: "bold green",
    Verdict.WORSE: "bold red",
    Verdict.CHANGED: "cyan",
    Verdict.NOT_SHOWN: "dim",
    Verdict.UNTESTED: "dim",
}
_NARROW = 100
_PIPED_WIDTH = 1000
_LEFT_OUT_WHEN_NARROW = ("relative", "detectable")


def print_comparison(report: ComparisonReport) -> None:
    """Print every comparison to stdout."""
    console = Console()
    if not console.is_terminal:
        console.width = _PIPED_WIDTH
    overview = list(texts.overview(report))
    if overview:
        console.print(_overview(overview, narrow=console.width < _NARROW))
    for comparison in report.comparisons:
        if overview:
            console.print()
        _print_one(console, report, comparison)


def _print_one(console: Console, report: ComparisonReport, comparison: Comparison) -> None:
    console.print(_side("base ", report.base))
    console.print(_side("other", comparison.other))
    for setting in comparison.settings:
        said = f"{setting.name}: {texts.one_line(setting.base)} → {texts.one_line(setting.other)}"
        style = "bold red" if setting.fatal else "yellow"
        console.print(Text(f"changed {said}", style=style))
    console.print(_table(comparison, narrow=console.width < _NARROW))
    console.print(Text(texts.samples_line(comparison)))
    for line, gain in texts.flips(comparison):
        console.print(Text(line, style="green" if gain else "red"))
    for line in texts.codes(comparison):
        console.print(Text(line))
    for note in comparison.notes:
        console.print(Text(f"note: {note}", style="yellow"))
    console.print(Text(texts.legend(report, comparison), style="dim"))


def _side(role: str, side: Side) -> Text:
    step = "" if side.step is None else f", step {side.step}"
    warned = f"; warnings: {', '.join(side.warnings)}" if side.warnings else ""
    text = texts.one_line(
        f"{side.label}{step}, {side.judged} samples, {side.timestamp}, {side.path}{warned}"
    )
    return Text(f"{role}  {text}")


def _overview(rows: list[texts.OverviewRow], *, narrow: bool) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("run", overflow="ellipsis", no_wrap=True)
    table.add_column("", no_wrap=True)
    numbers = ("n", "base", "run", "change", "95 % interval", "p")
    for name in numbers[2:] if narrow else numbers:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for label, samples, row in rows:
        cells = (samples, row.base, row.other, row.change, row.interval, row.p)
        verdict = Text(row.verdict, style=_TONES[row.tone])
        table.add_row(
            Text(label), Text(row.label), *map(Text, cells[2:] if narrow else cells), verdict
        )
    return table


def _table(comparison: Comparison, *, narrow: bool) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    keep = [
        index
        for index, name in enumerate(texts.COLUMNS)
        if not (narrow and name in _LEFT_OUT_WHEN_NARROW)
    ]
    for index in keep:
        left = index in (0, len(texts.COLUMNS) - 1)
        table.add_column(texts.COLUMNS[index], justify="left" if left else "right", no_wrap=True)
    for row in texts.rows(comparison):
        style = _TONES[row.tone]
        cells = [Text(str(row[index])) for index in keep]
        cells[-1].stylize(style)
        table.add_row(*cells)
    return table
