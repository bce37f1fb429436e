"""`codebench prompts`: list, show, and prove prompt sets in the sandbox."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import click

from codebench.errors import UsageError
from codebench.languages.rules import RULES
from codebench.languages.verdict import DiagnosticLevel
from codebench.prompts import Prompt, PromptSet, list_prompt_sets, load_prompt_set
from codebench.sandbox.choose import SandboxKind, open_sandbox
from codebench.sandbox.execution import Sandbox, StepResult


def list_sets() -> None:
    """Print one line for each built-in set."""
    for prompt_set in list_prompt_sets():
        click.echo(
            f"{prompt_set.name:16} {prompt_set.language:7} {len(prompt_set.prompts):4} prompts  "
            f"{prompt_set.description}"
        )


def show_set(name: str, prompt_id: str | None) -> None:
    """Print the prompts of a set, or one prompt with its reference and tests.

    Raises:
        UsageError: if there is no such set or prompt.
    """
    prompt_set = load_prompt_set(name)
    if prompt_id is None:
        for prompt in prompt_set.prompts:
            click.echo(f"{prompt.id:24} {prompt.category:20} {_opening(prompt)}")
        return
    found = {prompt.id: prompt for prompt in prompt_set.prompts}.get(prompt_id)
    if found is None:
        known = ", ".join(prompt.id for prompt in prompt_set.prompts)
        raise UsageError(f"{name} has no prompt {prompt_id!r}: it has {known}")
    click.echo(f"{found.prefix}{found.reference}")
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
        return max([_check_set(prompt_set, pool) for prompt_set in prompt_sets], default=0)
    finally:
        pool.close()


def _check_set(prompt_set: PromptSet, sandbox: Sandbox) -> int:
    n_slots = sandbox.info().n_slots
    with ThreadPoolExecutor(max_workers=n_slots) as executor:
        faults = list(executor.map(lambda p: list(faults_of(p, sandbox)), prompt_set.prompts))
    for prompt, found in zip(prompt_set.prompts, faults, strict=True):
        for fault in found:
            click.echo(f"FAIL  {prompt_set.name}/{prompt.id}: {fault}")
    n_bad = sum(map(bool, faults))
    click.echo(f"{prompt_set.name}: {len(faults) - n_bad} of {len(faults)} prompts hold")
    return int(n_bad > 0)


def faults_of(prompt: Prompt, sandbox: Sandbox) -> Iterator[str]:
    """Yield what is wrong with a prompt: its reference must pass, its wrong program must not.

    Raises:
        SandboxError: if the sandbox failed.
    """
    rules = RULES[prompt.language]
    for name, completion in (("reference", prompt.reference), ("wrong", prompt.wrong)):
        program = prompt.prefix + completion
        compiled = sandbox.run(rules.compile_step(program.encode()))
        if compiled.execution.exit_code != 0:
            said = rules.read_diagnostics(compiled)
            errors = [d.headline for d in said if d.level is DiagnosticLevel.ERROR]
            yield f"the {name} program does not compile: {(errors or ['no message'])[0]}"
            continue
        tested = sandbox.run(rules.oracle_step(program, prompt.tests))
        passes = tested.execution.exit_code == 0
        if name == "reference" and not passes:
            yield f"the reference fails its tests: {_reason(tested)}"
        if name == "wrong" and passes:
            yield "the wrong program passes the tests"


def _reason(result: StepResult) -> str:
    """Return the line of a failed oracle that says most: its first error or panic."""
    lines = result.stderr.decode(errors="backslashreplace").split("\n")
    telling = (line for line in lines if "error" in line or "panicked" in line or "check" in line)
    return next(telling, f"{result.execution.stopped_by or 'no message'}")
