"""A section of a model's README, between two comments; all else of the file stays as it is.

    <!-- codebench:start -->
    ...
    <!-- codebench:end -->

Where the file has no such comments the section is put at its end, and found there the next time.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from codebench.errors import UsageError
from codebench.export.markdown import plain
from codebench.export.markdown_table import how_measured, runs_table
from codebench.export.order import by_step, label_of
from codebench.results.model import Results
from codebench.results.reading import Loaded
from codebench.store.disk import disk_errors, write_atomically

START, END = "<!-- codebench:start -->", "<!-- codebench:end -->"


def readme_section(loaded: Sequence[Loaded]) -> bytes:
    """Return the section, its two comments included, in Markdown."""
    return _section([one.results for one in by_step(loaded)]).encode("utf-8", "replace")


def update_readme(path: Path, results: Sequence[Results]) -> None:
    """Put the section into a README: in place of an earlier one, else at the end.

    A README that is not there yet is made. Line ends stay those of the file.

    Args:
        path: The README.
        results: At least one; they are shown lowest step first.

    Raises:
        UsageError: if the comments are not a pair, or the file is no UTF-8 text.
        EnvironmentProblem: if the file cannot be read or written.
    """
    ordered = sorted(
        results, key=lambda r: (float("inf") if r.step is None else r.step, r.timestamp)
    )
    with disk_errors("read the README", path):
        before = path.read_bytes() if path.exists() else b""
    try:
        text = before.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is no text in UTF-8 ({error.reason})") from error
    newline = "\r\n" if "\r\n" in text else "\n"
    section = _section(ordered).rstrip("\n").replace("\n", newline)
    write_atomically(path, _placed(text, section, newline, path).encode("utf-8", "replace"))


def _placed(text: str, section: str, newline: str, path: Path) -> str:
    starts, ends = text.count(START), text.count(END)
    if (starts, ends) == (0, 0):
        gap = "" if not text else newline if text.endswith("\n") else 2 * newline
        return f"{text}{gap}{section}{newline}"
    if (starts, ends) != (1, 1) or text.index(START) > text.index(END):
        raise UsageError(
            f"{path} must hold `{START}` once and `{END}` once after it, or neither;"
            f" it has {starts} and {ends}"
        )
    before, _, rest = text.partition(START)
    return before + section + rest.partition(END)[2]


def _section(runs: Sequence[Results]) -> str:
    last = runs[-1]
    lines = [START, "## Code benchmark", "", runs_table(runs).rstrip("\n"), ""]
    for results in runs:
        for warning in results.warnings:
            message = f"{label_of(results)}: {warning.message}"
            lines += [f"> **Warning:** {_inert(plain(message))}", ""]
    lines += [f"{plain(how_measured(last))}. Measured by codebench on {last.timestamp[:10]}.", END]
    return "\n".join(lines) + "\n"


def _inert(text: str) -> str:
    """Return text that holds none of our comments: it would end the section."""
    return re.sub("codebench:(start|end)", r"codebench \1", text)
