"""Runs the tests of a prompt against a program, in the way of its language.

Rust programs are tested after they were compiled alone, which is what the compile rate counts; the
tests build them again with their items made public. Python programs are compiled and tested in one
step. What the languages' modules need from elsewhere (the parser, the expected answers) is handed
to them here.
"""

from collections.abc import Mapping

from codebench.analysis.client import Analyzer
from codebench.errors import SandboxError
from codebench.languages.python_tests import grading_step, read_grading
from codebench.languages.rust_answers import Expected
from codebench.languages.rust_tests import RustTester
from codebench.languages.verdict import Graded, Outcome
from codebench.prompts.model import Language, Profile, Prompt
from codebench.sandbox.execution import Sandbox


class Grader:
    """Tests programs; safe for any number of threads."""

    def __init__(
        self, sandbox: Sandbox, analyzer: Analyzer, expected: Mapping[str, Expected] | None = None
    ) -> None:
        """Prepare to test.

        Args:
            sandbox: where everything runs.
            analyzer: opens Rust programs for tests in another crate.
            expected: by `Prompt.content_sha256`, what a right program says.
        """
        self._sandbox, self._analyzer = sandbox, analyzer
        self._expected = expected or {}
        self.rust = RustTester(sandbox.run)

    def grade(self, prompt: Prompt, program: str, *, expected: Expected | None = None) -> Graded:
        """Test one program; a Rust program compiles, a Python program may not.

        Args:
            prompt: its prompt.
            program: its whole text.
            expected: for Rust, instead of what was handed over at the start.

        Raises:
            SandboxError: if the instrument failed.
        """
        if prompt.language is Language.PYTHON:
            step = grading_step(prompt, program.encode())
            graded = read_grading(step, self._sandbox.run(step))
            if graded.outcome is Outcome.INFRA_ERROR:
                failure = graded.tests.failure
                raise SandboxError(f"the checker failed: {failure.message if failure else '?'}")
            return graded
        if prompt.profile is Profile.MULTIPL_E:
            return self.rust.grade_published(prompt, f"{program}\n{prompt.raw_tests or ''}")
        exposed = self._analyzer.expose(program, head="")
        text = program if exposed is None else exposed.program
        return self.rust.grade(prompt, text, expected or self._expected[prompt.content_sha256])
