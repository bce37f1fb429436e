"""Every built-in prompt, proven in the sandbox: references pass, wrong programs do not."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from codebench.analysis.client import Analyzer
from codebench.errors import UsageError
from codebench.oracle import Oracle
from codebench.prompts import PromptSet, list_prompt_sets, load_prompt_set
from codebench.prompts.model import Isolation
from codebench.sandbox.choose import SandboxKind, open_sandbox
from codebench.sandbox.pool import SlotPool

pytestmark = [pytest.mark.bubblewrap, pytest.mark.slow]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SlotPool]:
    """Open one real sandbox for all sets."""
    pool = open_sandbox(SandboxKind.BUBBLEWRAP, notify=lambda _: None)
    yield pool
    pool.close()


@pytest.fixture(scope="module")
def analyzer() -> Iterator[Analyzer]:
    """Open one parser for all sets."""
    with Analyzer() as opened:
        yield opened


@pytest.mark.parametrize("name", [prompt_set.name for prompt_set in list_prompt_sets()])
def test_references_pass_and_wrong_programs_fail(
    name: str, sandbox: SlotPool, analyzer: Analyzer
) -> None:
    """The tests of each prompt accept its reference, refuse its wrong program, share no process."""
    prompts = load_prompt_set(name).prompts
    oracle = Oracle(sandbox, analyzer, cached=False)
    proofs = list(oracle.prove(name, prompts, lambda _: None))
    assert not {prompt.id: proof.faults for prompt, proof in proofs if proof.faults}
    expected = [proof.expected for _, proof in proofs if proof.expected is not None]
    assert all(one.isolation is Isolation.SEPARATE for one in expected)


def _basics(**changes: str) -> PromptSet:
    prompt_set = load_prompt_set("rust-basics")
    prompt = prompt_set.prompts[0].model_copy(update=changes)
    return prompt_set.model_copy(update={"prompts": (prompt,)})


def test_a_wrong_program_that_passes_is_told(sandbox: SlotPool, analyzer: Analyzer) -> None:
    """Tests that a wrong program passes prove nothing: the set is refused, the prompt is named."""
    reference = load_prompt_set("rust-basics").prompts[0].reference
    assert reference is not None
    with pytest.raises(UsageError, match=r"prompt factorial: the wrong program passes the tests"):
        Oracle(sandbox, analyzer, cached=False).require([_basics(wrong=reference)], lambda _: None)


def test_a_reference_that_fails_is_told(sandbox: SlotPool, analyzer: Analyzer) -> None:
    """A reference that fails its own tests is named with the check that it fails."""
    wrong = load_prompt_set("rust-basics").prompts[0].wrong
    assert wrong is not None
    with pytest.raises(UsageError, match=r"factorial: .* fails `assert_eq!\(factorial\(5\), 120"):
        Oracle(sandbox, analyzer, cached=False).require([_basics(reference=wrong)], lambda _: None)


def test_what_was_proven_is_remembered(
    sandbox: SlotPool, analyzer: Analyzer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second time nothing is proven again, and the same answers are expected."""
    monkeypatch.setenv("CODEBENCH_CACHE", str(tmp_path))
    said: list[str] = []
    first = Oracle(sandbox, analyzer).require([_basics()], said.append)
    again = Oracle(sandbox, analyzer).require([_basics()], said.append)
    assert first == again
    assert said == ["rust-basics: proving 1 prompts with this toolchain, once"]
