"""Facts about the machine and the packages that decide the numbers, for results.json."""

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

from codebench.sandbox.execution import SandboxInfo
from codebench.store.manifest import Environment, Scalar

_PACKAGES = (
    "codebench",
    "torch",
    "transformers",
    "tokenizers",
    "safetensors",
    "tree-sitter",
    "tree-sitter-rust",
    "tree-sitter-python",
    "numpy",
)


def describe_environment(sandbox: SandboxInfo, sampler: dict[str, Scalar]) -> Environment:
    """Return what this run runs on and with."""
    return Environment(
        rustc=sandbox.rustc,
        python=sandbox.python,
        image=sandbox.image,
        sandbox=sandbox.kind,
        isolation=sandbox.isolation,
        n_slots=sandbox.n_slots,
        packages=_package_versions(),
        host=_host(),
        git=_git(),
        sampler=sampler,
    )


def _package_versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _host() -> dict[str, Scalar]:
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "system": platform.system(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "processor": _processor(),
        "n_cores": len(os.sched_getaffinity(0)),
        "memory_bytes": pages,
    }


def _processor() -> str | None:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if "model name" in line), None)


def _git() -> dict[str, Scalar] | None:
    """Return the commit of the directory that the run was started in, or None outside of git."""
    try:
        commit = _ask_git("rev-parse", "HEAD")
        changed = _ask_git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": commit, "dirty": bool(changed)}


def _ask_git(*words: str) -> str:
    answer = subprocess.run(
        ["git", *words],  # noqa: S607 - whichever git the user has
        capture_output=True,
        text=True,
        timeout=5,
        check=True,
    )
    return answer.stdout.strip()
