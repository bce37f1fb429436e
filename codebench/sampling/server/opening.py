"""Open a sampler over a server: find out how it wants to be asked, and whether it honours seeds."""

import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from codebench.sampling.completion import SamplingParams
from codebench.sampling.server import ollama, openai
from codebench.sampling.server.address import KEY_VARIABLES, parse_address, read_key
from codebench.sampling.server.http import Patience, Reply, ServerClient
from codebench.sampling.server.ollama import ollama_wires
from codebench.sampling.server.openai import openai_wires
from codebench.sampling.server.sampler import (
    ServerKind,
    ServerOptions,
    ServerSampler,
    ask_server,
    refused,
)
from codebench.sampling.server.seed import ADVICE, SeedCheck, check_seed
from codebench.sampling.server.wire import Ask, Wire

_CHECK_TEXT = "fn "
"""What the seed check has continued: a place where a model of code has many ways to go on."""

_CHECK_TOKENS = 32
_NOT_UNDERSTOOD = frozenset({400, 422})
"""Statuses that may mean: a field of the request is not known here."""


def open_server_sampler(
    options: ServerOptions,
    params: SamplingParams,
    *,
    notify: Callable[[str], None] = lambda _: None,
    environ: Mapping[str, str] | None = None,
    patience: Patience | None = None,
) -> ServerSampler:
    """Find out how the server wants to be asked and whether it honours seeds.

    Args:
        options: The server and its model.
        params: How tokens are drawn.
        notify: Takes one line for the user's stderr.
        environ: Where CODEBENCH_API_KEY is looked up, and for OpenAI-compatible servers
            OPENAI_API_KEY after it; by default the process's environment.
        patience: Time limits and tries; by default ten minutes for an answer, six tries.

    Raises:
        UsageError: if the address is none or the server refuses the request.
        EnvironmentProblem: if nothing answers there, or it wants a key.
    """
    started = time.perf_counter()
    environ = os.environ if environ is None else environ
    client = _client(options, environ, patience or Patience())
    wires: Sequence[Wire]
    if options.kind is ServerKind.OLLAMA:
        wires = ollama_wires(is_chat=options.is_chat, num_ctx=options.num_ctx)
    else:
        wires = openai_wires(params, is_chat=options.is_chat)
    wire = _first_understood(client, wires, options.model, params)
    if wire.ignored:
        names = " and ".join(wire.ignored)
        notify(f"{client.address.base} takes no {names}: its samples are drawn without")
    seed_check = _check_seed(client, wire, options, params)
    if seed_check in ADVICE:
        notify(f"{client.address.base}: {seed_check}; {ADVICE[seed_check]}")
    return ServerSampler(
        client,
        wire,
        options,
        params,
        load_s=time.perf_counter() - started,
        seed_check=seed_check,
    )


def _client(options: ServerOptions, environ: Mapping[str, str], patience: Patience) -> ServerClient:
    is_ollama = options.kind is ServerKind.OLLAMA
    address = parse_address(
        options.url,
        root="/api" if is_ollama else "/v1",
        endpoints=ollama.ENDPOINTS if is_ollama else openai.ENDPOINTS,
        api_key=read_key(environ, KEY_VARIABLES[:1] if is_ollama else KEY_VARIABLES),
    )
    return ServerClient(address, n_connections=options.concurrency, patience=patience)


def _first_understood(
    client: ServerClient, wires: Iterable[Wire], model: str, params: SamplingParams
) -> Wire:
    one_token = params.model_copy(update={"max_tokens": 1})
    ask = Ask(model=model, text=_CHECK_TEXT, seed=0, params=one_token)
    refusal = None
    for wire in wires:
        outcome = client.post(wire.path, wire.body(ask), wire.read, threading.Event())
        if isinstance(outcome, Reply):
            return wire
        refusal = outcome
        if refusal.status not in _NOT_UNDERSTOOD:
            break
    assert refusal is not None, "there is at least one wire"
    raise refused(client, refusal)


def _check_seed(
    client: ServerClient, wire: Wire, options: ServerOptions, params: SamplingParams
) -> SeedCheck:
    if params.temperature == 0:
        return SeedCheck.GREEDY
    few = params.model_copy(update={"max_tokens": _CHECK_TOKENS})

    def ask(seed: int) -> str:
        wanted = Ask(model=options.model, text=_CHECK_TEXT, seed=seed, params=few)
        return ask_server(client, wire, wanted, threading.Event()).value.text

    return check_seed(ask, concurrency=options.concurrency)
