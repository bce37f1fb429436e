"""What a kind of server is asked and how its answer is read; one file per kind implements it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from codebench.prompts.model import Language, Prompt
from codebench.sampling.completion import FinishReason, SamplingParams

_SEED_MASK = (1 << 31) - 1
"""Servers take seeds of 32 or 64 bits, with or without a sign; 31 bits suit them all."""

CHAT_INSTRUCTION = (
    "Complete the {language} code below. Answer with one {language} code block that holds the "
    "whole code, the given part included, and nothing else.\n\n```{label}\n{code}```\n"
)
"""The user message of a chat request; it decides the samples, so a change is another run."""

_LANGUAGES: Mapping[Language, str] = {Language.RUST: "Rust", Language.PYTHON: "Python"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One completion that a server is asked for."""

    model: str
    text: str
    """What the model continues; in a chat, the user's message."""

    seed: int
    params: SamplingParams

    @property
    def wire_seed(self) -> int:
        """The low 31 bits of the seed."""
        return self.seed & _SEED_MASK


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a server wrote."""

    text: str
    finish_reason: FinishReason
    n_tokens: int
    """0 where the server does not say."""

    n_prompt_tokens: int
    """0 where the server does not say."""


class Wire(Protocol):
    """One way to ask one kind of server."""

    @property
    def path(self) -> str:
        """The endpoint below the server's address, as "/completions"."""
        ...

    @property
    def dialect(self) -> str:
        """How the parameters are said; another dialect may draw other samples."""
        ...

    @property
    def ignored(self) -> tuple[str, ...]:
        """Sampling parameters that have an effect here and cannot be said to the server."""
        ...

    def body(self, ask: Ask) -> dict[str, object]:
        """Return the JSON of the request, every parameter explicit."""
        ...

    def read(self, content: bytes) -> Answer:
        """Return the completion; raises ValueError where `content` is none."""
        ...


def chat_message(prompt: Prompt) -> str:
    """Return the user message that asks a chat model for the program of `prompt`."""
    code = prompt.prefix if prompt.prefix.endswith("\n") else prompt.prefix + "\n"
    return CHAT_INSTRUCTION.format(
        language=_LANGUAGES[prompt.language], label=prompt.language.value, code=code
    )


_Model = TypeVar("_Model", bound=BaseModel)


def read_json(model: type[_Model], content: bytes) -> _Model:
    """Return the JSON `content` as a `model`.

    Raises:
        ValueError: if it is not JSON of that shape; the message is short and quotes nothing.
    """
    try:
        return model.model_validate(json.loads(content))  # lone surrogates pass, unlike in Rust
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the answer"
        raise ValueError(f"JSON that is no completion ({where}: {first['msg']})") from None
    except (ValueError, RecursionError):
        raise ValueError("an answer that is not JSON") from None
