"""What may import what: rooms in the data's way, the heavy libraries, and what `--help` pays."""

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = (
    "errors",
    "visible",
    "package_data",
    "prompts",
    "checkpoints",
    "item_end",
    "sampling",
    "extract",
    "sandbox",
    "languages",
    "analysis",
    "grading",
    "stats",
    "store",
    "quality",
    "results",
    "progress",
    "machine",
    "run_config",
    "plan",
    "source",
    "oracle",
    "judge",
    "conformance",
    "table",
    "run",
    "start",
    "export",
    "compare",
    "report",
    "trackers",
    "rating",
    "commands",
    "options",
    "cli",
    "__main__",
)
"""The data's way (DESIGN section 1), first to last: a room imports only from those before it."""

HOMES: Mapping[str, str] = {
    "torch": "codebench/sampling/",
    "transformers": "codebench/sampling/",
    "tokenizers": "codebench/sampling/",
    "docker": "codebench/sandbox/docker.py",
    "jinja2": "codebench/report/",
    "pygments": "codebench/report/",
    "matplotlib": "codebench/export/plot.py",
    "rapidfuzz": "codebench/quality/likeness.py",
    "scipy": "codebench/stats/",
    "statsmodels": "codebench/stats/",
    "tree_sitter": "codebench/analysis/",
    "tree_sitter_rust": "codebench/analysis/",
    "tree_sitter_python": "codebench/analysis/",
}
"""Where each heavy library may be imported, and nowhere else."""

HEAVY = (
    "torch",
    "transformers",
    "tokenizers",
    "docker",
    "tree_sitter",
    "pydantic",
    "numpy",
    "rich",
    "requests",
    "scipy",
    "statsmodels",
    "jinja2",
    "pygments",
    "matplotlib",
    "rapidfuzz",
    "yaml",
)


def modules(folder: str) -> list[Path]:
    """Return the Python files below a folder of the repository."""
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files, folder
    return files


def imported(path: Path) -> Iterator[str]:
    """Yield the full name of everything a file imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms_imported(path: Path) -> set[str]:
    """Return the rooms that a file imports from; constants of the package itself are in none."""
    names = (name.split(".") for name in imported(path) if name.startswith("codebench."))
    return {parts[1] for parts in names if len(parts) > 2 or parts[1] in ROOMS}


def room_of(path: Path) -> str:
    """Return the room that a file of the package belongs to."""
    return path.relative_to(ROOT / "codebench").parts[0].removesuffix(".py")


def test_every_module_stands_in_the_order() -> None:
    """A new room gets its place in the data's way, and no room is listed that is gone."""
    assert {room_of(path) for path in modules("codebench")} - {"__init__", "_data"} == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_from_those_before_it(room: str) -> None:
    """The way of the data is the way of the imports, those inside functions included."""
    allowed = {*ROOMS[: ROOMS.index(room)], room}
    for path in modules("codebench"):
        if room_of(path) == room:
            backwards = rooms_imported(path) - allowed
            assert not backwards, f"{path.relative_to(ROOT)} imports {sorted(backwards)}"


@pytest.mark.parametrize("library", HOMES)
def test_a_heavy_library_has_one_home(library: str) -> None:
    """Only one room knows torch, only one module knows docker."""
    for path in modules("codebench"):
        if library in {name.partition(".")[0] for name in imported(path)}:
            assert str(path.relative_to(ROOT)).startswith(HOMES[library])


def test_the_host_never_imports_what_runs_inside() -> None:
    """No module of the package imports the top-level folder `sandbox/` or a file of it."""
    inside = {"sandbox", *(path.stem for path in modules("sandbox"))}
    for path in modules("codebench"):
        found = inside & {name.partition(".")[0] for name in imported(path)}
        assert not found, f"{path.relative_to(ROOT)} imports {sorted(found)}"


def test_what_runs_inside_needs_nothing_installed() -> None:
    """`sandbox/` imports only the standard library and its own files."""
    allowed = {*sys.stdlib_module_names, *(path.stem for path in modules("sandbox"))}
    for path in modules("sandbox"):
        foreign = {name.partition(".")[0] for name in imported(path)} - allowed
        assert not foreign, f"{path.relative_to(ROOT)} imports {sorted(foreign)}"


def test_help_pays_for_no_heavy_library() -> None:
    """The help of every command imports no model, container, parser or table library."""
    code = f"""
import contextlib, io, sys
from codebench.cli import main
commands = [[], ["prompts", "check"], *([name] for name in main.commands)]
for words in commands:
    with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.suppress(SystemExit):
        main([*words, "--help"])
    assert "Usage:" in said.getvalue(), words
print(*sorted(set({HEAVY!r}) & set(sys.modules)))
"""
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert answer.stdout.split() == []
