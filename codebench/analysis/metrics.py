"""The numbers about one program's text, as they are stored."""

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


def count_lines(text: str) -> int:
    r"""Return the number of lines, split at \n, that hold more than white space."""
    return sum(1 for line in text.split("\n") if line.strip())
