"""The suite's findings as a table: coloured in a terminal, Markdown anywhere else."""

import datetime
import platform
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from codebench.conformance.elsewhere import ELSEWHERE
from codebench.conformance.suite import Finding, State
from codebench.sandbox.execution import SandboxInfo

Results = Sequence[tuple[SandboxInfo, Sequence[Finding]]]
"""Of each sandbox what became of every case; the cases are in the same order everywhere."""

_STYLES = {State.HOLDS: "green", State.FAILS: "bold red", State.NOT_HERE: "yellow"}
_VERSIONS = {
    "docker": ("docker", "version", "--format", "Docker {{.Server.Version}}"),
    "bubblewrap": ("bwrap", "--version"),
}


def print_table(results: Results) -> None:
    """Print the results to stdout."""
    console = Console()
    if not console.is_terminal:
        console.file.write(markdown(results))
        return
    table = Table("group", "case", *_heads(results))
    for row in _rows(results):
        cells = [Text(str(finding), style=_STYLES[finding.state]) for finding in row]
        table.add_row(row[0].case.group, _name(row[0].case.name), *cells)
    console.print(table)
    for line in (*_facts(results), _beside()):
        console.print(Text(line), soft_wrap=True)


def markdown(results: Results) -> str:
    """Return the results as a document, with the tests that stand beside the cases."""
    lines = ["# Attacks, and what became of them", ""]
    lines += ["Written by `codebench doctor --sandbox-suite`.", ""]
    lines += [f"- {line}" for line in _facts(results)]
    lines += ["", f"| group | case | shows | {' | '.join(_heads(results))} |"]
    lines.append("|---" * (3 + len(results)) + "|")
    for row in _rows(results):
        case, cells = row[0].case, " | ".join(_cell(str(finding)) for finding in row)
        lines.append(f"| {case.group} | {_name(case.name)} | {_cell(case.shows)} | {cells} |")
    lines += ["", _beside(), "", "| group | case | proven by |", "|---|---|---|"]
    for group, name, tests in ELSEWHERE:
        proofs = ", ".join(f"`{test}`" for test in tests)
        lines.append(f"| {group} | {_name(name)} | {proofs} |")
    return "\n".join(lines) + "\n"


def _heads(results: Results) -> list[str]:
    return [f"{info.kind}, {info.isolation}" for info, _ in results]


def _rows(results: Results) -> Iterator[tuple[Finding, ...]]:
    return zip(*(findings for _, findings in results), strict=True)


def _name(name: str) -> str:
    return name.removeprefix("test_")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _facts(results: Results) -> list[str]:
    """Return what was tried on what, the counts, and what this machine cannot show."""
    today = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}"
    version = 2 if Path("/sys/fs/cgroup/cgroup.controllers").exists() else 1
    lines = [f"{today}, Linux {platform.release()} {platform.machine()}, cgroup v{version}"]
    for info, findings in results:
        counts = ((sum(f.state is state for f in findings), state) for state in State)
        said = ", ".join(f"{n} {state}" for n, state in counts if n)
        rustc = " ".join((info.rustc or "").split()[:2])
        tools = ", ".join(filter(None, (_version(info.kind), rustc, f"Python {info.python}")))
        lines.append(f"{info.kind}, {info.isolation}: {said} ({tools})")
    lines.append(f"not testable here: limits by cgroup v{3 - version} (this machine has the other)")
    apparmor = Path("/sys/module/apparmor/parameters/enabled")
    if not apparmor.exists() or apparmor.read_text().strip() != "Y":
        lines.append("not testable here: the AppArmor profile (this kernel enforces none)")
    return lines


def _beside() -> str:
    groups = ", ".join(dict.fromkeys(str(row.group) for row in ELSEWHERE))
    return f"In the test suite alone (`make test`), {len(ELSEWHERE)} cases: {groups}."


def _version(kind: str) -> str:
    argv = _VERSIONS[kind]
    if shutil.which(argv[0]) is None:
        return ""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()
