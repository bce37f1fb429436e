"""`codebench export`: results as a file for another tool."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from codebench.commands.perform import STDOUT, check_output
from codebench.errors import UsageError
from codebench.export.formats import FORMATS
from codebench.export.github import annotations
from codebench.export.readme import update_readme
from codebench.results.reading import RESULTS_NAME, Loaded, load_folder, load_results
from codebench.store.disk import disk_errors, write_atomically
from codebench.store.run_directory import MANIFEST_NAME


def export_command(paths: Sequence[Path], name: str, output: str, *, dark: bool) -> None:
    """Write some results in one format.

    A README gets its section in place; GitHub's own summary file is added to, as other steps do.

    Args:
        paths: Results files, run directories, and folders of them.
        name: The format.
        output: The file, or `-` for stdout.
        dark: Whether pictures are drawn light on dark.

    Raises:
        CodebenchError: if something cannot be read, written, or is not there.
    """
    if name in ("png", "svg"):
        _write(_picture(paths, name, output, dark=dark), output)
        return
    if dark:
        raise UsageError(f"--dark is for pictures (png, svg), not for {name}")
    if output != STDOUT:
        check_output(Path(output), "--output")
    loaded = _load(paths)
    if name == "readme" and output != STDOUT:
        update_readme(Path(output), [one.results for one in loaded])
        return
    content = FORMATS[name].write(loaded)
    if name == "github":
        _write_summary(content, output, loaded)
        return
    _write(content, output)


def _picture(paths: Sequence[Path], name: str, output: str, *, dark: bool) -> bytes:
    if output == STDOUT and not FORMATS[name].is_text and sys.stdout.isatty():
        raise UsageError(f"a terminal cannot show {name}: give --output FILE")
    if output != STDOUT:
        check_output(Path(output), "--output")
    from codebench.export import plot

    return {"png": plot.png, "svg": plot.svg}[name](_load(paths), dark=dark)


def _load(paths: Sequence[Path]) -> list[Loaded]:
    loaded: list[Loaded] = []
    for path in paths:
        is_run = (path / RESULTS_NAME).is_file() or (path / MANIFEST_NAME).is_file()
        if not path.is_dir() or is_run:
            loaded.append(load_results(path))
            continue
        found = load_folder(path)
        loaded += found.loaded
        for line in found.broken:
            sys.stderr.write(f"left out: {line}\n")
    if not loaded:
        raise UsageError(f"no results below {', '.join(map(str, paths))}")
    return loaded


def _write_summary(content: bytes, output: str, loaded: Sequence[Loaded]) -> None:
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if output == STDOUT or summary is None or Path(output) != Path(summary):
        _write(content, output)
        return
    with disk_errors("write the summary", Path(output)), Path(output).open("ab") as file:
        file.write(content)
    for line in annotations(loaded):  # GitHub reads them from what the step prints
        sys.stdout.write(f"{line}\n")


def _write(content: bytes, output: str) -> None:
    if output == STDOUT:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    else:
        write_atomically(Path(output), content)
