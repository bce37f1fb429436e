"""What the parser says about one program: the numbers, as they are stored, and its opened text."""

from pydantic import BaseModel


class CodeMetrics(BaseModel, frozen=True, extra="forbid"):
    """What was counted in one program; None where the parser gave no answer in time.

    The definitions are those of `codebench.analysis.syntax`.
    """

    lines: int
    """Lines that hold more than white space."""

    functions: int | None
    """Functions in modules, impls, traits and classes."""

    complexity: int | None
    """1 + decision points of the whole program."""

    items: tuple[str, ...] | None
    """Items declared at the top level in plain sight, in the notation of `Prompt.item`."""

    parses: bool | None
    """Whether the grammar accepts all of the text; where it does not, `items` may miss some."""

    shape: str | None = None
    """Kinds of the syntax nodes that the model wrote, one character a node (`analysis.shape`);
    None also in records of earlier versions."""


class Exposed(BaseModel, frozen=True, extra="forbid"):
    """A Rust program whose items another crate can use; see `codebench.analysis.exposure`."""

    program: str
    names: tuple[str, ...]
    """What the prompt's part of it declares or imports at the top level; `*` for a glob import."""


def count_lines(text: str) -> int:
    r"""Return the number of lines, split at \n, that hold more than white space."""
    return sum(1 for line in text.split("\n") if line.strip())
