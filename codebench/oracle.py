"""Proves prompts before they measure anybody: references pass their tests, wrong programs do not.

Done once for a prompt and a toolchain: what was proven is kept in the cache folder, with the
answers that a right Rust program gives. A grader that cannot tell right from wrong ends the run
here, never as a score.
"""

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orjson
from pydantic import BaseModel, ValidationError

from codebench import METRIC_VERSION, __version__
from codebench.analysis.client import Analyzer
from codebench.errors import UsageError
from codebench.grading import Grader
from codebench.languages.rules import RULES
from codebench.languages.rust_answers import Expected
from codebench.languages.rust_tests import stub_program
from codebench.languages.verdict import DiagnosticLevel, Graded, Outcome
from codebench.prompts.datasets.cache import data_set_folder
from codebench.prompts.model import Language, Profile, Prompt, PromptSet
from codebench.sandbox.execution import Sandbox
from codebench.store.disk import write_atomically


class Proof(BaseModel, frozen=True, extra="forbid"):
    """What was found out about one prompt."""

    faults: tuple[str, ...]
    """What is wrong with it, a line each; empty when it holds."""

    expected: Expected | None
    """What a right program says, for Rust."""


class Oracle:
    """Proves prompts in one sandbox."""

    def __init__(self, sandbox: Sandbox, analyzer: Analyzer, *, cached: bool = True) -> None:
        """Prepare to prove.

        Args:
            sandbox: where everything runs.
            analyzer: opens Rust programs for their tests.
            cached: whether what was proven before with this toolchain counts.
        """
        self._sandbox, self._analyzer = sandbox, analyzer
        self._grader = Grader(sandbox, analyzer)
        self._folder = data_set_folder().parent / "proofs" if cached else None
        info = sandbox.info()
        self._toolchain = (info.rustc, info.python, METRIC_VERSION, __version__)

    def require(
        self, prompt_sets: Sequence[PromptSet], notify: Callable[[str], None]
    ) -> Mapping[str, Expected]:
        """Return what right Rust programs say, by the prompts' `content_sha256`.

        Raises:
            UsageError: naming the first prompt whose tests cannot be trusted.
            SandboxError: if the instrument failed.
        """
        found: dict[str, Expected] = {}
        for prompt_set in prompt_sets:
            prompts = [prompt for prompt in prompt_set.prompts if prompt.tests]
            for prompt, proof in self.prove(prompt_set.name, prompts, notify):
                if proof.faults:
                    raise UsageError(
                        f"prompt set {prompt_set.name}: prompt {prompt.id}: {proof.faults[0]}: its "
                        "tests prove nothing; mend it, or measure without tests (--no-tests)"
                    )
                if proof.expected is not None:
                    found[prompt.content_sha256] = proof.expected
        return found

    def prove(
        self, name: str, prompts: Sequence[Prompt], notify: Callable[[str], None]
    ) -> Iterator[tuple[Prompt, Proof]]:
        """Yield each prompt with what was found out about it, in order.

        Raises:
            SandboxError: if the instrument failed.
        """
        known = {prompt.id: self._read(prompt) for prompt in prompts}
        new = [prompt for prompt in prompts if known[prompt.id] is None]
        if new:
            notify(f"{name}: proving {len(new)} prompts with this toolchain, once")
        with ThreadPoolExecutor(max_workers=self._sandbox.info().n_slots) as executor:
            proofs = executor.map(self._prove, new)
            try:
                for prompt in prompts:
                    yield prompt, known[prompt.id] or next(proofs)
            finally:
                executor.shutdown(cancel_futures=True)

    def _prove(self, prompt: Prompt) -> Proof:
        if prompt.profile is Profile.MULTIPL_E:
            return Proof(faults=(), expected=None)  # judged by its authors' rules, right or wrong
        faults: list[str] = []
        expected = self._expect(prompt, faults) if prompt.language is Language.RUST else None
        if not faults:
            faults.extend(self._faults(prompt, expected))
        proof = Proof(faults=tuple(faults), expected=expected)
        if not faults and self._folder is not None:
            with contextlib.suppress(OSError):
                self._folder.mkdir(parents=True, exist_ok=True)
                write_atomically(self._place(prompt), proof.model_dump_json().encode())
        return proof

    def _expect(self, prompt: Prompt, faults: list[str]) -> Expected | None:
        trusted = stub_program(prompt)
        if prompt.reference is not None:
            trusted = prompt.prefix + prompt.reference
        exposed = self._analyzer.expose(trusted, head=prompt.prefix)
        if exposed is None:
            faults.append("the reference cannot be parsed")
            return None
        try:
            return self._grader.rust.expect(prompt, exposed.program, exposed.names)
        except UsageError as error:
            faults.append(str(error).partition(": ")[2])
            return None

    def _faults(self, prompt: Prompt, expected: Expected | None) -> Iterator[str]:
        for name, completion in (("reference", prompt.reference), ("wrong", prompt.wrong)):
            if completion is None:
                continue
            program = prompt.prefix + completion
            compiled = self._sandbox.run(
                RULES[prompt.language].compile_step(program.encode(), edition=prompt.edition)
            )
            if compiled.execution.exit_code != 0:
                said = RULES[prompt.language].read_diagnostics(compiled)
                errors = [d.headline for d in said if d.level is DiagnosticLevel.ERROR]
                yield f"the {name} program does not compile: {(errors or ['no message'])[0]}"
                continue
            if name == "reference" and prompt.language is Language.RUST:
                continue  # `expect` has graded it
            graded = self._grader.grade(prompt, program, expected=expected)
            if name == "reference" and graded.outcome is not Outcome.PASSED:
                yield f"the reference fails its tests: {_reason(graded)}"
            if name == "wrong" and graded.outcome is Outcome.PASSED:
                yield "the wrong program passes the tests"

    def _read(self, prompt: Prompt) -> Proof | None:
        if self._folder is None:
            return None
        try:
            return Proof.model_validate_json(self._place(prompt).read_bytes())
        except (OSError, ValidationError):
            return None

    def _place(self, prompt: Prompt) -> Path:
        assert self._folder is not None
        key = hashlib.sha256(orjson.dumps([prompt.content_sha256, self._toolchain])).hexdigest()
        return self._folder / f"{key}.json"


def _reason(graded: Graded) -> str:
    failure = graded.tests.failure
    if failure is None:
        return graded.outcome
    return " ".join(filter(None, (failure.check, failure.message)))[:200]
