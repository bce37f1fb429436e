"""What a prompt is: the text that a model continues, and how its continuation is checked.

Covers: the shape of one prompt and of one set. Does not cover: reading files (`loading.py`),
cutting a completion at the end of its item, or what "compiles" means.
"""

import hashlib
from enum import StrEnum
from functools import cached_property

from pydantic import BaseModel


class Language(StrEnum):
    """A language that codebench can compile and test."""

    RUST = "rust"
    PYTHON = "python"


class Prompt(BaseModel, frozen=True, extra="forbid"):
    """One item that the model is asked to write.

    A program is `prefix` + completion. A completion starts where the prompt ends and goes to the
    end of the item that the prompt opened, the closing brace included.
    """

    id: str
    """Name of the prompt, unique in its set."""

    language: Language
    """Language of the program; taken from the set."""

    category: str
    """Group that the prompt is reported in, as "iterators"."""

    item: str
    """The item that the prompt opens, without generics: "fn factorial", "impl Add for Vec2"."""

    context: str = ""
    """Declared items that stand before the prompt in the program; empty when there are none."""

    prompt: str
    """The text that opens the item."""

    reference: str
    """A completion whose program compiles and passes every test."""

    wrong: str
    """A completion whose program compiles and fails at least one test."""

    tests: tuple[str, ...]
    """Independent checks: statement blocks that see the items of the program."""

    crates: tuple[str, ...] = ()
    """Crates beyond the standard library that the program may use."""

    @property
    def prefix(self) -> str:
        """The program's text before the completion: context, a newline, prompt."""
        return f"{self.context}\n{self.prompt}" if self.context else self.prompt

    @cached_property
    def text_sha256(self) -> str:
        """SHA-256 (hex) of `prefix` in UTF-8: what identifies the prompt to the model."""
        return hashlib.sha256(self.prefix.encode()).hexdigest()


class PromptSet(BaseModel, frozen=True, extra="forbid"):
    """Prompts of one language that are measured together, in the order of their file."""

    name: str
    """Name of the set; the stem of its file."""

    version: str
    """Version of the set: raised when a prompt or a test changes."""

    language: Language
    """Language of every prompt in the set."""

    description: str
    """What the set measures, in one sentence."""

    prompts: tuple[Prompt, ...]
    """At least one prompt; ids are unique."""

    sha256: str
    """SHA-256 (hex) of the bytes of the file."""
