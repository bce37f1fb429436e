"""The documents do not go stale: every file is in the map, every document says what is there."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
MAPPED = ("codebench/", "sandbox/", "scripts/", "prompts/", "benchmarks/", ".ci/", "Dockerfile")
BY_FOLDER = (
    "benchmarks/results/",
    "codebench/report/assets/",
    "codebench/report/templates/",
    "codebench/report/vendor/",
)


def tracked() -> list[str]:
    """List the files that git tracks or would track."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout: the files of the project cannot be told from others")
    return [name for name in listed.stdout.splitlines() if (ROOT / name).exists()]


def test_every_file_has_a_line_in_the_map() -> None:
    """A new file without a line in README's map fails here."""
    missing = [
        name
        for name in tracked()
        if name.startswith(MAPPED)
        and not name.startswith(BY_FOLDER)
        and not name.endswith(("__init__.py", "py.typed"))
        and f"| `{name}` |" not in README
    ]
    assert not missing


def test_every_line_of_the_map_names_a_file() -> None:
    """A file that is gone leaves no line behind."""
    named = re.findall(r"^\| `([^`]+)` \|", README, re.MULTILINE)
    assert named
    assert not [name for name in named if not (ROOT / name).exists()]


def test_no_machine_paths_are_tracked() -> None:
    """No text file of the project holds a path of somebody's machine."""
    personal = re.compile(r"(?<![\w./-])/(?:home|root|work)/\w")
    suspects = [
        name
        for name in tracked()
        if name.endswith((".py", ".md", ".toml", ".json", ".sh", "run", "setup", "demo"))
        and "step_" not in name
        and name != "tests/test_docs.py"
        and personal.search((ROOT / name).read_text())
    ]
    assert not suspects


def test_every_test_of_the_threat_model_exists() -> None:
    """Each test that sandbox/README.md names as proof is there."""
    text = (ROOT / "sandbox" / "README.md").read_text()
    sources = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    for name in re.findall(r"`(test_\w+)(\*?)`", text):
        assert f"def {name[0]}" in sources, name


def test_commands_of_the_readme_are_there() -> None:
    """Every `codebench WORD` of the README is a command."""
    from codebench.cli import main

    words = set(re.findall(r"^    codebench (\w+)", README, re.MULTILINE))
    assert words
    assert words <= set(main.commands)
