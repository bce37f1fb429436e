"""What a language must offer, and the languages that there are."""

from collections.abc import Mapping
from typing import Protocol

from codebench.languages.python import PythonRules
from codebench.languages.rust import RustRules
from codebench.languages.verdict import Diagnostic
from codebench.prompts.model import Language
from codebench.sandbox.execution import Step, StepResult


class Rules(Protocol):
    """How one language is compiled."""

    def compile_step(self, program: bytes, *, edition: str = "2021") -> Step:
        """Return the step whose exit status 0 means that `program` compiles.

        Args:
            program: its bytes.
            edition: of Rust; other languages have none.
        """
        ...

    def read_diagnostics(self, result: StepResult) -> tuple[Diagnostic, ...]:
        """Return what the compiler said: every error and warning, bounded in number and length."""
        ...


RULES: Mapping[Language, Rules] = {Language.RUST: RustRules(), Language.PYTHON: PythonRules()}
