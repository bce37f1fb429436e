"""What a prompt is: the text that a model continues, and how its continuation is checked.

Covers: the shape of one prompt and of one set. Does not cover: reading files (`loading.py`),
cutting a completion at the end of its item, or what "compiles" means.
"""

import hashlib
from enum import StrEnum
from functools import cached_property
from typing import Literal

from pydantic import BaseModel


class Language(StrEnum):
    """A language that codebench can compile and test."""

    RUST = "rust"
    PYTHON = "python"


class Isolation(StrEnum):
    """How far the tests stay from the program."""

    SEPARATE = "separate"
    """Expected answers and verdict live in another process than the program."""

    SHARED = "shared"
    """Tests run inside the program's process: for tests that need more than answers of calls."""


class Profile(StrEnum):
    """Whose rules decide how a completion is cut, built and judged; `--profile`."""

    CODEBENCH = "codebench"
    """Ours, for every set."""

    MULTIPL_E = "multipl-e"
    """MultiPL-E's own, for its sets only: so that published numbers can be reproduced."""


Edition = Literal["2015", "2018", "2021", "2024"]
"""An edition of Rust, as rustc names it."""


class Prompt(BaseModel, frozen=True, extra="forbid"):
    """One item that the model is asked to write.

    A program is `prefix` + completion. A completion starts where the prompt ends and goes to the
    end of the item that the prompt opened, the closing brace included.
    """

    id: str
    """Name of the prompt, unique in its set; in a data set the name that it has there."""

    language: Language
    """Language of the program; taken from the set."""

    category: str
    """Group that the prompt is reported in, as "iterators"."""

    item: str
    """The item that is asked for, without generics: "fn factorial", "impl Add for Vec2".

    The prompt opens it; a prompt that holds no item at all (MBPP's) asks for all of it.
    """

    context: str = ""
    """Declared items that stand before the prompt in the program; empty when there are none."""

    prompt: str
    """The text that opens the item."""

    reference: str | None = None
    """A completion whose program compiles and passes every test; None where a set has none."""

    wrong: str | None = None
    """A completion whose program compiles and fails at least one test; None where a set has none.
    """

    tests: tuple[str, ...]
    """Independent checks: statement blocks that see the items of the program, and of `setup`."""

    setup: str = ""
    """Trusted statements that run before the checks, of Python; they see what the checks see.

    They run where the expected answers are, never in the program's process; only with
    `isolation = "shared"` they run there, after the program.
    """

    crates: tuple[str, ...] = ()
    """Crates beyond the standard library that the program may use."""

    isolation: Isolation = Isolation.SEPARATE
    """How far the tests stay from the program; `shared` is carried into every result."""

    stop: tuple[str, ...] = ()
    """Strings that end a completion, as a data set publishes them; empty: the item's end does."""

    edition: Edition = "2021"
    """Edition of Rust that the program is compiled with; nothing to Python."""

    profile: Profile = Profile.CODEBENCH
    """Whose rules judge the program; `multipl-e` judges it with `raw_tests`."""

    raw_tests: str | None = None
    """The tests as their data set publishes them; None where `tests` are that."""

    @property
    def prefix(self) -> str:
        """The program's text before the completion: context, a newline, prompt."""
        return f"{self.context}\n{self.prompt}" if self.context else self.prompt

    @property
    def ends_at_item(self) -> bool:
        """Whether a completion ends where its item does; MultiPL-E's end at its stop strings."""
        return self.profile is not Profile.MULTIPL_E

    @cached_property
    def text_sha256(self) -> str:
        """SHA-256 (hex) of `prefix` in UTF-8: what identifies the prompt to the model."""
        return hashlib.sha256(self.prefix.encode()).hexdigest()

    @cached_property
    def content_sha256(self) -> str:
        """SHA-256 (hex) of everything that this prompt is, its tests included."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


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

    notes: tuple[str, ...] = ()
    """What a reader of the results should know: prompts left out, imports dropped; a line each."""
