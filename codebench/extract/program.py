"""How completions are read, and what comes out."""

from dataclasses import dataclass
from enum import StrEnum

from codebench.prompts.model import Language


class ExtractMode(StrEnum):
    """How completions are read; `--extract`."""

    AUTO = "auto"
    """Continuations, cut at the end of the item."""

    RAW = "raw"
    """Continuations as they came, nothing cut."""

    CHAT = "chat"
    """Answers in Markdown."""


class Extraction(StrEnum):
    """The way a program was cut out of its completion."""

    CONTINUATION_BALANCED = "continuation_balanced"
    """The item's end was seen, and the text was cut there."""

    CONTINUATION_WHOLE = "continuation_whole"
    """The item's end was not seen, and everything was kept."""

    STOPPED = "stopped"
    """Cut before the first stop of its data set, whose own tests close the item (`--profile`)."""

    RAW = "raw"
    """Prefix and completion as they came."""

    REPEATED_SIGNATURE = "repeated_signature"
    """The text has the item's signature again, first or below imports and helpers of its own, so it
    replaces the prompt's."""

    FENCED_LABELLED = "fenced_labelled"
    """A fence labelled with the prompt's language."""

    FENCED_UNLABELLED = "fenced_unlabelled"
    """A fence without a label."""

    FENCED_BODY = "fenced_body"
    """A fence with nothing but the body of a Python function, at the margin: it was indented."""

    UNFENCED_ANSWER = "unfenced_answer"
    """A chat answer without a fence that holds the whole item; kept as it came, but where it begins
    with prose: then from its first line of code to the item's end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """The text that is compiled."""

    text: str
    """May hold lone surrogates; encode it with "surrogatepass"."""

    extraction: Extraction
    language: Language
