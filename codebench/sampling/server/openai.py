"""OpenAI-compatible servers: `/v1/completions` and, for chat models, `/v1/chat/completions`.

Servers agree on temperature, top_p, max_tokens, seed and the two penalties, and differ in how the
rest is said. A dialect is one way to say it; the first that a server does not refuse is used:

- extended: top_k, min_p and the rest as fields of their own (vLLM, SGLang, llama.cpp). Without
  them llama.cpp would sample with its own min_p, and vLLM with the model's generation config.
  "Keep all" is top_k 0 in llama-cpp-python and in today's vLLM, -1 in SGLang.
- generation_config: `transformers serve` refuses fields it does not know and takes the rest as the
  JSON of a `GenerationConfig`; without do_sample in it, it would decode greedily.
- standard: nothing beyond what all agree on; top_k cannot be said.

Sources: the servers' own code, vLLM 0.26 to 0.33, SGLang, llama-cpp-python, transformers 5.23.
"""

import json
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from codebench.sampling.completion import FinishReason, SamplingParams
from codebench.sampling.server.wire import Answer, Ask, Wire, read_json

ENDPOINTS = ("/chat/completions", "/completions")

_REASONS = {
    "stop": FinishReason.EOS,
    "length": FinishReason.LENGTH,
    "repetition": FinishReason.REPETITION,
}
_ABORTED = frozenset({"abort", "error"})


class Dialect(StrEnum):
    """How the parameters that are not OpenAI's are said."""

    EXTENDED = "extended"
    EXTENDED_MINUS_ONE = "extended_minus_one"
    GENERATION_CONFIG = "generation_config"
    STANDARD = "standard"


class _Message(BaseModel):
    model_config = ConfigDict(extra="ignore")

    content: str | None = None
    """None where a model only thought, or called a tool."""


class _Choice(BaseModel):
    model_config = ConfigDict(extra="ignore")

    text: str | None = None
    message: _Message | None = None
    finish_reason: str | None = None


class _Usage(BaseModel):
    model_config = ConfigDict(extra="ignore")

    prompt_tokens: int | None = Field(default=None, ge=0)
    completion_tokens: int | None = Field(default=None, ge=0)


class _Reply(BaseModel):
    model_config = ConfigDict(extra="ignore")

    choices: tuple[_Choice, ...] = Field(min_length=1)
    usage: _Usage | None = None


class OpenAIWire:
    """A `Wire` for one endpoint in one dialect."""

    def __init__(self, dialect: Dialect, params: SamplingParams, *, is_chat: bool) -> None:
        self.dialect = dialect
        self._is_chat = is_chat
        loses = dialect is Dialect.STANDARD and params.top_k and params.temperature
        self.path = "/chat/completions" if is_chat else "/completions"
        self.ignored: tuple[str, ...] = ("top_k",) if loses else ()

    def body(self, ask: Ask) -> dict[str, object]:
        """Return the JSON of the request."""
        text: dict[str, object] = {"prompt": ask.text}
        if self._is_chat:
            text = {"messages": [{"role": "user", "content": ask.text}]}
        return {
            "model": ask.model,
            **text,
            "n": 1,
            "stream": False,
            "seed": ask.wire_seed,
            "max_tokens": ask.params.max_tokens,
            "temperature": ask.params.temperature,
            "top_p": ask.params.top_p,
            "presence_penalty": 0,
            "frequency_penalty": 0,
            **self._extra(ask.params),
        }

    def read(self, content: bytes) -> Answer:
        """Return the first choice.

        Raises:
            ValueError: if there is none, or the server says that it gave up on it.
        """
        reply = read_json(_Reply, content)
        choice = reply.choices[0]
        text = choice.text
        if self._is_chat:
            text = (choice.message.content or "") if choice.message else None
        if text is None:
            raise ValueError(f"JSON that is no answer of {self.path}")
        if choice.finish_reason in _ABORTED:
            raise ValueError(f"finish_reason {choice.finish_reason!r}")
        usage = reply.usage or _Usage()
        return Answer(
            text=text,
            finish_reason=_REASONS.get(choice.finish_reason or "stop", FinishReason.STOP),
            n_tokens=usage.completion_tokens or 0,
            n_prompt_tokens=usage.prompt_tokens or 0,
        )

    def _extra(self, params: SamplingParams) -> dict[str, object]:
        match self.dialect:
            case Dialect.EXTENDED:
                return _extended(params.top_k)
            case Dialect.EXTENDED_MINUS_ONE:
                return _extended(params.top_k or -1)
            case Dialect.GENERATION_CONFIG:
                return {"generation_config": json.dumps(_generation_config(params))}
            case Dialect.STANDARD:
                return {}


def openai_wires(params: SamplingParams, *, is_chat: bool) -> tuple[Wire, ...]:
    """Return the ways to ask, the most exact first."""
    dialects = [d for d in Dialect if params.top_k == 0 or d is not Dialect.EXTENDED_MINUS_ONE]
    return tuple(OpenAIWire(dialect, params, is_chat=is_chat) for dialect in dialects)


def _extended(top_k: int) -> dict[str, object]:
    return {
        "top_k": top_k,
        "min_p": 0,
        "typical_p": 1,
        "repetition_penalty": 1,
        "repeat_penalty": 1,
        "cache_prompt": False,  # llama.cpp: a cached prompt rounds differently
    }


def _generation_config(params: SamplingParams) -> dict[str, object]:
    common: dict[str, object] = {"max_new_tokens": params.max_tokens, "repetition_penalty": 1.0}
    if params.temperature == 0:
        return {**common, "do_sample": False}
    return {
        **common,
        "do_sample": True,
        "temperature": params.temperature,
        "top_k": params.top_k,
        "top_p": params.top_p,
    }
