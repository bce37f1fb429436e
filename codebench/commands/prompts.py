"""`codebench prompts`: list, show, and prove prompt sets in the sandbox."""

from difflib import get_close_matches

import click

from codebench.analysis.client import Analyzer
from codebench.errors import UsageError
from codebench.oracle import Oracle
from codebench.prompts import Prompt, PromptSet, list_prompt_sets, load_prompt_set
from codebench.prompts.datasets.cache import data_set_folder, find_file
from codebench.prompts.datasets.catalogue import DATA_SETS, DataSet
from codebench.sandbox.choose import SandboxKind, open_sandbox
from codebench.sandbox.execution import Sandbox

_MANY = 100
"""Ids; of more than these only those like the one that was asked for are named."""


def list_sets() -> None:
    """Print one line for each built-in set, and for each data set where its file is."""
    for prompt_set in list_prompt_sets():
        _list_set(prompt_set, len(prompt_set.prompts), prompt_set.description)
    click.echo(f"data sets of others are in {data_set_folder()}; --download fetches them", err=True)
    for data_set in DATA_SETS.values():
        path = find_file(data_set)
        where = "not here" if path is None else f"here: {path.name}"
        _list_set(data_set, data_set.n_prompts, f"{data_set.description} [{where}]")


def _list_set(listed: PromptSet | DataSet, n_prompts: int | None, words: str) -> None:
    size = "" if n_prompts is None else f"{n_prompts} prompts"
    click.echo(f"{listed.name:16} {listed.language:7} {size:>12}  {words}")


def show_set(name: str, prompt_id: str | None, *, download: bool = False) -> None:
    """Print the prompts of a set, or one prompt with its reference and tests.

    Raises:
        UsageError: if there is no such set or prompt.
        EnvironmentProblem: if the file of a data set is not here.
    """
    prompt_set = load_prompt_set(name, download=download)
    for note in prompt_set.notes:
        click.echo(f"{prompt_set.name}: {note}", err=True)
    if prompt_id is None:
        for prompt in prompt_set.prompts:
            click.echo(f"{prompt.id:24} {prompt.category:20} {_opening(prompt)}")
        return
    found = {prompt.id: prompt for prompt in prompt_set.prompts}.get(prompt_id)
    if found is None:
        ids = [prompt.id for prompt in prompt_set.prompts]
        known = ", ".join(get_close_matches(prompt_id, ids, n=10) if len(ids) > _MANY else ids)
        raise UsageError(f"{name} has no prompt {prompt_id!r}: it has {known or ids[0] + ', ...'}")
    click.echo(f"{found.prefix}{found.reference or ''}")
    for check in found.tests:
        click.echo(f"test: {check}")


def _opening(prompt: Prompt) -> str:
    lines = (line for line in prompt.prompt.splitlines() if line.strip())
    words = prompt.item.split()
    return next((line for line in lines if words[0] in line and words[-1] in line), prompt.item)


def check_sets(names: tuple[str, ...], sandbox: str) -> int:
    """Prove every prompt of the sets; return 0 if all hold, else 1.

    Raises:
        CodebenchError: if a set cannot be read or there is no sandbox.
    """
    prompt_sets = [load_prompt_set(name) for name in names] if names else list_prompt_sets()
    pool = open_sandbox(SandboxKind(sandbox), notify=lambda text: click.echo(text, err=True))
    try:
        with Analyzer() as analyzer:
            return max([_check_set(each, pool, analyzer) for each in prompt_sets], default=0)
    finally:
        pool.close()


def _check_set(prompt_set: PromptSet, sandbox: Sandbox, analyzer: Analyzer) -> int:
    def tell(text: str) -> None:
        click.echo(text, err=True)

    n_bad = 0
    oracle = Oracle(sandbox, analyzer, cached=False)
    for prompt, proof in oracle.prove(prompt_set.name, prompt_set.prompts, tell):
        for fault in proof.faults:
            click.echo(f"FAIL  {prompt_set.name}/{prompt.id}: {fault}")
        n_bad += bool(proof.faults)
    n_prompts = len(prompt_set.prompts)
    click.echo(f"{prompt_set.name}: {n_prompts - n_bad} of {n_prompts} prompts hold")
    return int(n_bad > 0)
