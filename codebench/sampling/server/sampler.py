"""Sample from a model that a server serves: OpenAI-compatible (vLLM, llama.cpp ...) or Ollama.

One request per sample, each with its own seed and every parameter explicit, `concurrency` of them
under way. The server writes to its own end or to the token limit; the end of the item is looked
for here, so tokens past it are paid for, and counted as generated, since only the server could
tell them apart. Repetition is not looked for: that needs token ids.

Not covered: models behind the same name that differ; a server does not say what its weights are.
"""

import functools
import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from enum import StrEnum

from pydantic import BaseModel, Field

from codebench.errors import CodebenchError, EnvironmentProblem, UsageError
from codebench.item_end import ItemScanner
from codebench.sampling.completion import (
    Completion,
    FinishReason,
    SampleRequest,
    SamplerTiming,
    SamplingParams,
)
from codebench.sampling.server.address import KEY_VARIABLES
from codebench.sampling.server.http import Refusal, Reply, ServerClient
from codebench.sampling.server.seed import SeedCheck
from codebench.sampling.server.threads import as_finished
from codebench.sampling.server.wire import CHAT_INSTRUCTION, Answer, Ask, Wire, chat_message


class ServerKind(StrEnum):
    """What language a server speaks."""

    OPENAI = "openai"
    OLLAMA = "ollama"


class ServerOptions(BaseModel, frozen=True, extra="forbid"):
    """Which server, which of its models, and how it is asked."""

    url: str = Field(min_length=1, repr=False)
    """As typed; may hold a password, so it is written nowhere (`describe()` says it without)."""

    model: str = Field(min_length=1)
    """The server's name of the model."""

    kind: ServerKind = ServerKind.OPENAI
    is_chat: bool = False
    """Ask as a user of a chat does; the text is then an answer, not a continuation."""

    concurrency: int = Field(default=8, ge=1, le=1024)
    """Requests under way at the same time."""

    num_ctx: int = Field(default=8192, ge=256)
    """Positions of an Ollama model; a change makes Ollama load it again."""


class ServerSampler:
    """A `Sampler` over one model of one server."""

    def __init__(
        self,
        client: ServerClient,
        wire: Wire,
        options: ServerOptions,
        params: SamplingParams,
        *,
        load_s: float = 0.0,
        seed_check: SeedCheck = SeedCheck.NOT_CHECKED,
    ) -> None:
        self._client = client
        self._wire = wire
        self._options = options
        self._params = params
        self._load_s = load_s
        self._seed_check = seed_check
        self._opening_s = client.busy.total_s
        self._n_prompt_tokens = 0
        self._n_generated_tokens = 0

    def sample(self, requests: Iterable[SampleRequest]) -> Iterator[Completion]:
        """Yield the completions as the server finishes them; pull a request when one is free.

        A sample that fails after all tries ends the run, since there is no completion that says
        "the server failed": what was handed out is kept in the run's directory, and the same
        command goes on from there.

        Raises:
            EnvironmentProblem: if the server fails, or wants a key.
            UsageError: if it refuses a request.
        """
        stop = threading.Event()
        draw = functools.partial(self._draw, stop=stop)
        try:
            for completion, answer in as_finished(
                draw, requests, n_at_once=self._options.concurrency
            ):
                self._n_prompt_tokens += answer.n_prompt_tokens
                self._n_generated_tokens += answer.n_tokens
                yield completion
        finally:
            stop.set()

    def timing(self) -> SamplerTiming:
        """Return where the time went: opening, and while a request was under way (`decode_s`)."""
        return SamplerTiming(
            load_s=self._load_s,
            prefill_s=0.0,
            decode_s=self._client.busy.total_s - self._opening_s,
            n_prompt_tokens=self._n_prompt_tokens,
            n_generated_tokens=self._n_generated_tokens,
            n_wasted_tokens=0,
        )

    def bound_tokens_per_second(self, *, mean_context: float) -> float | None:  # noqa: ARG002
        """Return None: nobody here knows the server's machine."""
        return None

    def describe(self) -> dict[str, str | int | float]:
        """Return facts for results.json; no key, no password."""
        facts: dict[str, str | int | float] = {
            "engine": "server",
            "server": self._client.address.base,
            "server_kind": self._options.kind.value,
            "endpoint": self._wire.path,
            "model": self._options.model,
            "concurrency": self._options.concurrency,
            "dialect": self._wire.dialect,
            "parameters_ignored": " ".join(self._wire.ignored),
            "determinism": self._seed_check.value,
        }
        if self._options.kind is ServerKind.OLLAMA:
            facts["num_ctx"] = self._options.num_ctx
        if self._options.is_chat:
            facts["chat_instruction"] = CHAT_INSTRUCTION
        return facts

    def _ask(self, text: str, *, seed: int) -> Ask:
        return Ask(model=self._options.model, text=text, seed=seed, params=self._params)

    def _draw(self, request: SampleRequest, *, stop: threading.Event) -> tuple[Completion, Answer]:
        prompt = request.prompt
        text = chat_message(prompt) if self._options.is_chat else prompt.prefix
        ask = self._ask(text, seed=request.seed)
        try:
            reply = ask_server(self._client, self._wire, ask, stop)
        except CodebenchError as error:
            kept = "what is done is kept, the same command goes on"
            where = f"sample {request.index} of prompt {prompt.id!r}"
            raise type(error)(f"{where}: {error}; {kept}") from error
        answer = reply.value
        completion = Completion(
            request=request,
            text=answer.text,
            finish_reason=answer.finish_reason,
            n_tokens=answer.n_tokens,
            generation_ms=reply.duration_ms,
        )
        stops = self._params.stop
        return _cut(completion, stops=stops, at_item_end=not self._options.is_chat), answer


def ask_server(client: ServerClient, wire: Wire, ask: Ask, stop: threading.Event) -> Reply[Answer]:
    """Return the server's answer.

    Raises:
        UsageError: if the server refuses the request.
        EnvironmentProblem: if it fails, or wants a key.
    """
    outcome = client.post(wire.path, wire.body(ask), wire.read, stop)
    if isinstance(outcome, Refusal):
        raise refused(client, outcome)
    return outcome


def refused(client: ServerClient, refusal: Refusal) -> CodebenchError:
    """Return the error of a refused request, with what the user can do about it."""
    if refusal.status in {401, 403}:
        key = "the one in use" if client.address.authorization else "none is set"
        variables = " or ".join(KEY_VARIABLES)
        return EnvironmentProblem(f"{refusal.message}; it wants a key ({key}): set {variables}")
    if 300 <= refusal.status < 400:
        return UsageError(f"{refusal.message}; it has moved: give its new address as --server")
    if refusal.status in {404, 405}:
        return UsageError(f"{refusal.message}; check --server, --server-kind and --model")
    return UsageError(f"{refusal.message}; check --model and the sampling options")


def _cut(completion: Completion, *, stops: tuple[str, ...], at_item_end: bool) -> Completion:
    """Return the completion up to its item's end or its first stop, whichever comes first.

    Stops are looked for here and not by the server, which would leave them out of the text.
    """
    prompt, text = completion.request.prompt, completion.text
    stops = (*stops, *prompt.stop)
    ends = [(text.index(stop) + len(stop), FinishReason.STOP) for stop in stops if stop in text]
    at_item_end = at_item_end and prompt.ends_at_item
    item_end = ItemScanner.of(prompt).feed(text) if at_item_end else None
    if item_end is not None:
        ends.append((item_end, FinishReason.BALANCED))
    if not ends:
        return completion
    end, reason = min(ends, key=lambda found: found[0])
    return replace(completion, text=text[:end], finish_reason=reason)
