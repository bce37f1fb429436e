"""What the reader of a format gives."""

from dataclasses import dataclass

from codebench.prompts.model import Prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """The tasks of a file, as prompts of one language."""

    prompts: tuple[Prompt, ...]
    notes: tuple[str, ...] = ()
    """What was left out or changed, a line each."""
