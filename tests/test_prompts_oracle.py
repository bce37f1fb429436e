"""Every built-in prompt, proven in the sandbox: references pass, wrong programs do not."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from codebench.commands.prompts import faults_of
from codebench.prompts import list_prompt_sets, load_prompt_set
from codebench.sandbox.choose import SandboxKind, open_sandbox
from codebench.sandbox.pool import SlotPool

pytestmark = [pytest.mark.bubblewrap, pytest.mark.slow]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SlotPool]:
    """Open one real sandbox for all sets."""
    pool = open_sandbox(SandboxKind.BUBBLEWRAP, notify=lambda _: None)
    yield pool
    pool.close()


@pytest.mark.parametrize("name", [prompt_set.name for prompt_set in list_prompt_sets()])
def test_references_pass_and_wrong_programs_fail(name: str, sandbox: SlotPool) -> None:
    """The tests of each prompt accept its reference and refuse its wrong program."""
    prompts = load_prompt_set(name).prompts
    with ThreadPoolExecutor(max_workers=sandbox.info().n_slots) as executor:
        faults = list(executor.map(lambda prompt: list(faults_of(prompt, sandbox)), prompts))
    found = {prompt.id: found for prompt, found in zip(prompts, faults, strict=True) if found}
    assert not found


def test_a_prompt_that_does_not_hold_is_told(sandbox: SlotPool) -> None:
    """A wrong program for reference, and the reference for wrong program, are both named."""
    prompt = load_prompt_set("rust-basics").prompts[0]
    swapped = prompt.model_copy(update={"reference": prompt.wrong, "wrong": prompt.reference})
    faults = list(faults_of(swapped, sandbox))
    assert len(faults) == 2
    assert faults[0].startswith("the reference fails its tests")
    assert faults[1] == "the wrong program passes the tests"
