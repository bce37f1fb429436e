"""Pieces of Markdown, safe for text that a model or a user wrote."""

import re
from collections.abc import Sequence

_ACTIVE = re.compile(r"([\\`*_\[\]<>#|~&@$])")


def plain(text: str) -> str:
    """Return text that stands as it is: no emphasis, link, tag, mention or cell border in it."""
    return _ACTIVE.sub(r"\\\1", _one_line(text))


def code(text: str) -> str:
    """Return text as code, on one line, fit for a cell of a table."""
    shown = _one_line(text).replace("|", "\\|")
    longest = max((len(run) for run in re.findall("`+", shown)), default=0)
    fence = "`" * (longest + 1)
    return f"{fence} {shown} {fence}" if longest else f"`{shown}`"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int]) -> str:
    """Return a table whose columns at the positions `right` are right-aligned; cells are Markdown.

    Args:
        header: Names of the columns.
        rows: Cells, row by row.
        right: Positions of the columns of numbers.
    """
    rule = ["---:" if position in right else "---" for position in range(len(header))]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *rows)) + "\n"


def percent(value: float | None) -> str:
    """Return a percentage with one digit, `-` where there is none."""
    return "-" if value is None else f"{value:.1f} %"


def span(low: float, high: float) -> str:
    """Return an interval in percent."""
    return f"{low:.1f} to {high:.1f}"


def _one_line(text: str) -> str:
    words = " ".join(text.split())
    return "".join(c if c.isprintable() else "\ufffd" for c in words)
