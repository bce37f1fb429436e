"""Ollama's own endpoint, `/api/generate`: raw text, or the model's template for chat models.

Ollama's defaults are none of ours (repeat_penalty 1.1, top_k 40, top_p 0.9, 128 tokens, a context
of 2048 or 4096 that cuts long prompts without a word), so everything is said. Its prompt cache
cannot be turned off, and a seed gives the same text only where the cache is in the same state.

Sources: ollama `api/types.go` and `docs/api.md`; issues 4990 and 5321 on the cache.
"""

from pydantic import BaseModel, ConfigDict, Field

from codebench.sampling.completion import FinishReason, SamplingParams
from codebench.sampling.server.wire import Answer, Ask, Wire, read_json

ENDPOINTS = ("/generate",)

_REASONS = {"stop": FinishReason.EOS, "length": FinishReason.LENGTH}


class _Reply(BaseModel):
    model_config = ConfigDict(extra="ignore")

    response: str
    done: bool
    done_reason: str | None = None
    eval_count: int | None = Field(default=None, ge=0)
    prompt_eval_count: int | None = Field(default=None, ge=0)
    """Missing where the whole prompt was in the server's cache."""


class OllamaWire:
    """A `Wire` for `/api/generate`."""

    path = "/generate"
    dialect = "ollama"
    ignored: tuple[str, ...] = ()

    def __init__(self, *, is_chat: bool, num_ctx: int) -> None:
        self._is_chat = is_chat
        self._num_ctx = num_ctx

    def body(self, ask: Ask) -> dict[str, object]:
        """Return the JSON of the request."""
        return {
            "model": ask.model,
            "prompt": ask.text,
            "raw": not self._is_chat,
            "stream": False,
            "truncate": False,  # a prompt that does not fit is an error, not a shorter prompt
            "shift": False,
            "options": self._options(ask.params) | {"seed": ask.wire_seed},
        }

    def read(self, content: bytes) -> Answer:
        """Return the completion.

        Raises:
            ValueError: if there is none, or the server did not get to its end.
        """
        reply = read_json(_Reply, content)
        if not reply.done or reply.done_reason in {"load", "unload"}:
            raise ValueError("an answer that is not finished")
        return Answer(
            text=reply.response,
            finish_reason=_REASONS.get(reply.done_reason or "stop", FinishReason.STOP),
            n_tokens=reply.eval_count or 0,
            n_prompt_tokens=reply.prompt_eval_count or 0,
        )

    def _options(self, params: SamplingParams) -> dict[str, object]:
        return {
            "num_predict": params.max_tokens,
            "num_ctx": self._num_ctx,
            "temperature": params.temperature,
            "top_k": params.top_k,
            "top_p": params.top_p,
            "min_p": 0,
            "typical_p": 1,
            "repeat_penalty": 1,
            "presence_penalty": 0,
            "frequency_penalty": 0,
            "stop": [],
        }


def ollama_wires(*, is_chat: bool, num_ctx: int) -> tuple[Wire, ...]:
    """Return the one way to ask."""
    return (OllamaWire(is_chat=is_chat, num_ctx=num_ctx),)
