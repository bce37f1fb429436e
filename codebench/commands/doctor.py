"""`codebench doctor`: what a run needs on this machine, each thing with its fix."""

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from codebench.errors import CodebenchError
from codebench.prompts import list_prompt_sets
from codebench.sandbox.choose import SandboxKind, open_sandbox

_LOW_DISK_BYTES = 1024**3
_ISOLATION = {
    "namespaces": "namespaces (the strongest)",
    "uid": "uid (a user for each program; weaker than namespaces)",
    "none": "none",
}


def print_image() -> None:
    """Print the name of the image that this version wants."""
    from codebench.sandbox.docker import image_name

    click.echo(image_name())


def build_image(network: str | None) -> None:
    """Build that image; the builder's lines go to stderr.

    Raises:
        SandboxError: if Docker does not answer or the build fails.
    """
    from codebench.sandbox.docker import build_image as build
    from codebench.sandbox.docker import image_name

    for line in build(network=network):
        click.echo(line, err=True)
    click.echo(image_name())


def attack(sandbox: str) -> int:
    """Try every attack on the sandboxes, print what became of them; return 1 if one got through.

    Raises:
        UsageError, EnvironmentProblem, SandboxError: as `run_suite`.
    """
    from codebench.conformance.suite import State, run_suite
    from codebench.conformance.table import print_table

    results = run_suite(SandboxKind(sandbox), notify=lambda line: click.echo(line, err=True))
    print_table(results)
    through = any(found.state is State.FAILS for _, findings in results for found in findings)
    return int(through)


def examine(sandbox: str) -> int:
    """Print a line for each thing; return 0 if a run can be done, else 3."""
    kinds = (
        [SandboxKind.DOCKER, SandboxKind.BUBBLEWRAP]
        if sandbox == SandboxKind.AUTO
        else [SandboxKind(sandbox)]
    )
    held = [_report(kind.value, lambda kind=kind: _sandbox(kind)) for kind in kinds]  # type: ignore[misc]
    needed = [_report("prompt sets", _prompt_sets), _report("disk", _disk)]
    _report("device", _device)
    if any(held) and all(needed):
        return 0
    if not any(held):
        click.echo("no sandbox: a run would end with exit 3")
    return 3


def _report(name: str, ask: Callable[[], Iterator[str]]) -> bool:
    try:
        for line in ask():
            click.echo(f"ok    {name}: {line}")
    except CodebenchError as error:
        click.echo(f"FAIL  {name}: {error}")
        return False
    return True


def _sandbox(kind: SandboxKind) -> Iterator[str]:
    started = time.monotonic()
    pool = open_sandbox(kind, notify=lambda text: click.echo(text, err=True))
    took_s = time.monotonic() - started
    info = pool.info()
    pool.close()
    rustc = (info.rustc or "").split("\n")[0]
    yield f"every limit holds (proven in {took_s:.1f} s), isolation {_ISOLATION[info.isolation]}"
    yield f"{rustc}, Python {info.python}"
    if pool.shortfall is not None:
        yield f"but {pool.shortfall}"


def _prompt_sets() -> Iterator[str]:
    for prompt_set in list_prompt_sets():
        yield f"{prompt_set.name} ({len(prompt_set.prompts)} prompts, {prompt_set.language})"


def _disk() -> Iterator[str]:
    folder = Path.cwd()
    free = shutil.disk_usage(folder).free
    if free < _LOW_DISK_BYTES:
        raise CodebenchError(f"only {free >> 20} MiB are free in {folder}: runs are kept in runs/")
    if not os.access(folder, os.W_OK):
        raise CodebenchError(f"{folder} is not writable: use --run-dir and --output elsewhere")
    yield f"{free >> 30} GiB free for runs/"


def _device() -> Iterator[str]:
    from codebench.sampling.device import describe_devices

    sys.stdout.flush()
    yield from describe_devices()
