"""Tests of sampling over HTTP: every fault on a loopback server, and a real one (slow)."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from codebench.checkpoints.resolve import resolve_checkpoint
from codebench.errors import CodebenchError, EnvironmentProblem, UsageError
from codebench.extract import ExtractMode, extract_program
from codebench.prompts.model import Language, Prompt
from codebench.sampling.completion import (
    Completion,
    FinishReason,
    SampleRequest,
    SamplingParams,
    sample_seed,
)
from codebench.sampling.server.address import KEY_VARIABLES, parse_address, read_key
from codebench.sampling.server.http import Patience, Refusal, Reply, ServerClient
from codebench.sampling.server.openai import Dialect, OpenAIWire
from codebench.sampling.server.opening import open_server_sampler
from codebench.sampling.server.sampler import ServerKind, ServerOptions, ServerSampler
from codebench.sampling.server.seed import SeedCheck, check_seed
from tests.local_server import free_port, wait_until_up

ROOT = Path(__file__).parents[1]
KEY = "sk-very-secret-0123456789"
QUICK = Patience(timeout_s=30, connect_timeout_s=5, n_tries=3, first_pause_s=0.01)
HASTY = Patience(timeout_s=0.2, connect_timeout_s=5, n_tries=2, first_pause_s=0.01)
PARAMS = SamplingParams(temperature=0.7, top_k=40, top_p=0.9, max_tokens=100)
RUST = Prompt(
    id="add",
    language=Language.RUST,
    category="x",
    item="fn add",
    prompt="fn add(a: i32, b: i32) -> i32 {\n",
    reference="",
    wrong="",
    tests=(),
)
PYTHON = RUST.model_copy(
    update={"id": "inc", "language": Language.PYTHON, "prompt": "def inc(x):\n", "item": "def inc"}
)


def request(index: int = 0, prompt: Prompt = RUST) -> SampleRequest:
    """Return the request of one sample."""
    seed = sample_seed(run_seed=0, prompt=prompt, index=index)
    return SampleRequest(prompt=prompt, index=index, seed=seed)


def said(text: str = "    a + b\n}", *, reason: str | None = "stop") -> bytes:
    """Return the body of a good answer of `/v1/completions`."""
    usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    choices = [{"index": 0, "text": text, "logprobs": None, "finish_reason": reason}]
    return json.dumps({"id": "x", "choices": choices, "usage": usage}).encode()


@dataclass(kw_only=True)
class Response:
    """What the loopback server does with one request."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes = field(default_factory=said)
    missing_bytes: int = 0
    """Announced and never sent; the connection is closed instead."""

    n_pieces: int = 2
    between: Callable[[], object] = lambda: None
    """Called after each piece of the body."""


@dataclass(kw_only=True)
class Seen:
    """One request that reached the loopback server."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]


Respond = Callable[[Seen], Response]


class Loopback:
    """A server on a free port of the loopback device, which does as it is told."""

    def __init__(self, respond: Respond) -> None:
        self.seen: list[Seen] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["Content-Length"]))
                seen = Seen(path=self.path, headers=dict(self.headers), body=json.loads(content))
                outer.seen.append(seen)
                self.answer(respond(seen))

            def answer(self, response: Response) -> None:
                n_bytes = len(response.content) + response.missing_bytes
                self.send_response(response.status)
                for name, value in response.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(n_bytes))
                self.end_headers()
                size = len(response.content) // response.n_pieces + 1
                try:
                    for start in range(0, len(response.content), size):
                        self.wfile.write(response.content[start : start + size])
                        response.between()
                except OSError:  # the client has left
                    self.close_connection = True
                if response.missing_bytes:
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                """Say nothing on stderr."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def serving(*responses: Response, then: Respond = lambda _: Response()) -> Iterator[Loopback]:
    """Run a server that gives `responses` in this order, and `then` to whatever comes after."""
    queue = list(responses)
    lock = threading.Lock()

    def respond(seen: Seen) -> Response:
        with lock:
            if queue:
                return queue.pop(0)
        return then(seen)

    server = Loopback(respond)
    try:
        yield server
    finally:
        server.close()


class Pauses(threading.Event):
    """Records the pauses that are asked for and takes none of them."""

    def __init__(self) -> None:
        super().__init__()
        self.taken_s: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        """Return at once."""
        self.taken_s.append(timeout or 0.0)
        return False


def client_of(url: str, *, key: str | None = KEY, patience: Patience = QUICK) -> ServerClient:
    """Return a client with a key."""
    address = parse_address(url, root="/v1", endpoints=(), api_key=key)
    return ServerClient(address, n_connections=4, patience=patience)


def sampler_of(
    server: Loopback,
    *,
    concurrency: int = 2,
    patience: Patience = QUICK,
    is_chat: bool = False,
    params: SamplingParams = PARAMS,
) -> ServerSampler:
    """Return a sampler whose server was not asked anything yet."""
    options = ServerOptions(url=server.url, model="m", concurrency=concurrency, is_chat=is_chat)
    wire = OpenAIWire(Dialect.EXTENDED, params, is_chat=is_chat)
    return ServerSampler(client_of(server.url, patience=patience), wire, options, params)


def post(client: ServerClient, pauses: Pauses) -> Reply[bytes] | Refusal:
    """Send something, and take any answer."""
    return client.post("/completions", {"prompt": "x"}, bytes, pauses)


def one_line(error: BaseException) -> str:
    """Return the message of an error, which is one line and holds no key."""
    text = str(error)
    assert "\n" not in text
    assert KEY not in text
    assert KEY not in repr(error)
    return text


# Faults


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 529])
def test_passing_faults_are_tried_again(status: int) -> None:
    """Too many requests, timeouts and the server's own errors cost a pause, not the sample."""
    with serving(Response(status=status, content=b"busy")) as server:
        pauses = Pauses()
        assert isinstance(post(client_of(server.url), pauses), Reply)
        assert len(server.seen) == 2
        assert len(pauses.taken_s) == 1


def test_pauses_grow() -> None:
    """Each further try waits longer than the one before it, however the jitter falls."""
    with serving(then=lambda _: Response(status=503)) as server:
        pauses = Pauses()
        patience = Patience(n_tries=5, first_pause_s=0.5)
        with pytest.raises(EnvironmentProblem, match="503 Service Unavailable"):
            post(client_of(server.url, patience=patience), pauses)
        assert len(pauses.taken_s) == 4
        assert pauses.taken_s == sorted(pauses.taken_s)


@pytest.mark.parametrize("way", ["seconds", "date"])
def test_retry_after_is_honoured(way: str) -> None:
    """The server says when to come back, in seconds or as a date: not before."""
    after = formatdate(time.time() + 60, usegmt=True) if way == "date" else "60"
    with serving(Response(status=429, headers={"Retry-After": after})) as server:
        pauses = Pauses()
        post(client_of(server.url), pauses)
        assert pauses.taken_s[0] > 50


def test_retry_after_tomorrow_is_not_waited_for() -> None:
    """A quota that is used up ends the run with what the server said, at once."""
    response = Response(status=429, headers={"Retry-After": "86400"}, content=b"quota used up")
    with serving(then=lambda _: response) as server:
        with pytest.raises(EnvironmentProblem) as caught:
            post(client_of(server.url), Pauses())
        assert len(server.seen) == 1
    assert "quota used up; the server asks to come back in 86400 s" in one_line(caught.value)


def test_a_wrong_retry_after_is_no_obstacle() -> None:
    """A header that means nothing is as good as none."""
    with serving(Response(status=429, headers={"Retry-After": "soon"})) as server:
        assert isinstance(post(client_of(server.url), Pauses()), Reply)


@pytest.mark.parametrize(
    "broken",
    [
        Response(content=b"<html>gateway</html>"),
        Response(content=b""),
        Response(content=b"[" * 100_000),
        Response(content=b"{}"),
        Response(content=b'{"choices": []}'),
        Response(content=b'{"error": {"message": "overloaded"}}'),
        Response(content=b'{"choices": [{"text": null, "finish_reason": "stop"}]}'),
        Response(content=said(reason="abort")),
        Response(missing_bytes=100),
        Response(content=b"", missing_bytes=100),
    ],
    ids=[
        "html",
        "empty",
        "nested",
        "no_fields",
        "none",
        "error",
        "null",
        "abort",
        "cut",
        "headers",
    ],
)
def test_a_broken_answer_is_tried_again(broken: Response) -> None:
    """Whatever is not a completion costs a try; a cut answer never becomes a short sample."""
    with serving(broken) as server:
        (completion,) = sampler_of(server).sample([request()])
        assert completion.text == "    a + b\n}"
        assert len(server.seen) == 2


def test_a_server_that_never_makes_sense_is_named() -> None:
    """After the last try the error says which sample, which URL and what came back."""
    with serving(then=lambda _: Response(content=b"<html>")) as server:
        with pytest.raises(EnvironmentProblem) as caught:
            list(sampler_of(server).sample([request(3)]))
        line = one_line(caught.value)
    assert line.startswith(f"sample 3 of prompt 'add': POST {server.url}/v1/completions: ")
    assert "an answer that is not JSON, tried 3 times" in line
    assert line.endswith("the same command goes on")


@pytest.mark.parametrize("way", ["silent", "stuck", "trickling"])
def test_an_overdue_answer_is_given_up(way: str) -> None:
    """A server that says nothing, stops in the middle or trickles is tried again and named."""
    release = threading.Event()

    def stall(_: Seen) -> Response:
        if way == "silent":
            release.wait(20)
        if way == "stuck":
            return Response(between=lambda: release.wait(20))
        return Response(n_pieces=len(said()), between=lambda: release.wait(0.01))

    with serving(then=stall) as server:
        with pytest.raises(EnvironmentProblem, match=r"no answer within 0\.2 s, tried 2 times"):
            list(sampler_of(server, patience=HASTY).sample([request()]))
        assert len(server.seen) == 2
        release.set()


def test_an_answer_without_end_is_refused() -> None:
    """What is too large for any completion is not read to its end, nor asked for again."""
    with serving(Response(content=b" " * (33 << 20))) as server:
        with pytest.raises(EnvironmentProblem, match="larger than 32 MiB"):
            post(client_of(server.url), Pauses())
        assert len(server.seen) == 1


def test_nobody_listens() -> None:
    """An address without a server ends the run at once, exit 3, with the address and the fix."""
    with serving() as server:
        pass
    with pytest.raises(EnvironmentProblem) as caught:
        open_server_sampler(ServerOptions(url=server.url, model="m"), PARAMS, environ={})
    assert caught.value.exit_code == 3
    line = one_line(caught.value)
    assert server.url in line
    assert "Connection refused" in line
    assert "start it, or fix --server" in line


def test_a_server_that_restarts_is_waited_for() -> None:
    """Once the server has answered, a refused connection is a fault like others."""
    with serving(Response(headers={"Connection": "close"})) as server:
        client = client_of(server.url)
        post(client, Pauses())
    pauses = Pauses()
    with pytest.raises(EnvironmentProblem, match="tried 3 times"):
        post(client, pauses)
    assert len(pauses.taken_s) == 2


# Refusals


@pytest.mark.parametrize(
    ("status", "content", "expected"),
    [
        (400, b'{"error": {"message": "max_tokens is\\ntoo large", "code": 1}}', "max_tokens is t"),
        (400, b'{"error": "unknown option"}', "400 Bad Request: unknown option; check --model"),
        (404, b'{"detail": "Not Found"}', "Not Found; check --server, --server-kind and --model"),
        (404, b'{"object": "error", "message": "no model m"}', "no model m; check --server"),
        (405, b"<html>\n<h1>no</h1>", "<html> <h1>no</h1>; check --server"),
        (422, b'{"detail": [{"loc": ["body"], "msg": "bad"}]}', '"msg": "bad"'),
        (418, b"", "418 I'm a Teapot; check"),
        (302, b"", "302 Found; it has moved: give its new address as --server"),
    ],
)
def test_a_refusal_is_told_in_one_line(status: int, content: bytes, expected: str) -> None:
    """A 4xx is not tried again; the user reads the server's words, the URL and what to do."""
    response = Response(status=status, content=content, headers={"Location": "http://x.invalid/"})
    with serving(then=lambda _: response) as server:
        with pytest.raises(UsageError) as caught:
            list(sampler_of(server).sample([request()]))
        assert len(server.seen) == 1
    line = one_line(caught.value)
    assert expected in line
    assert f"POST {server.url}/v1/completions: {status}" in line


def test_a_long_error_page_is_shortened() -> None:
    """A stack trace of the server does not fill the terminal."""
    response = Response(status=400, content=b"at line 1\n" * 5000)
    with serving(response) as server:
        outcome = post(client_of(server.url), Pauses())
        assert isinstance(outcome, Refusal)
        assert len(outcome.message) < 500


@pytest.mark.parametrize("status", [401, 403])
def test_a_missing_key_is_asked_for(status: int) -> None:
    """The error names the variable to set, exit 3, and says whether one was sent."""
    with serving(then=lambda _: Response(status=status, content=b"{}")) as server:
        options = ServerOptions(url=server.url, model="m")
        with pytest.raises(EnvironmentProblem, match=r"\(none is set\): set CODEBENCH_API_KEY"):
            open_server_sampler(options, PARAMS, environ={})
        with pytest.raises(EnvironmentProblem, match="the one in use"):
            open_server_sampler(options, PARAMS, environ={"OPENAI_API_KEY": KEY})


def test_redirects_are_not_followed() -> None:
    """The key goes to the host that the user named and to no other."""
    with serving() as other:
        response = Response(status=307, headers={"Location": f"{other.url}/v1/completions"})
        with serving(response) as server, pytest.raises(UsageError, match="has moved"):
            list(sampler_of(server).sample([request()]))
        assert other.seen == []


# Secrets


def test_the_key_is_sent_and_never_shown() -> None:
    """It stands in the header alone: a server that echoes it does not get it into an error."""
    echo = {"error": {"message": f"Incorrect API key provided: {KEY}. Bearer {KEY}"}}
    response = Response(status=401, content=json.dumps(echo).encode())
    lines: list[str] = []
    with serving(then=lambda s: Response(content=said(str(s.body["seed"])))) as server:
        options = ServerOptions(url=server.url, model="m")
        sampler = open_server_sampler(
            options, PARAMS, notify=lines.append, environ={"CODEBENCH_API_KEY": f" {KEY}\n"}
        )
        assert {seen.headers["Authorization"] for seen in server.seen} == {f"Bearer {KEY}"}
        shown = [repr(options), repr(sampler), json.dumps(sampler.describe()), *lines]
        assert KEY not in repr(client_of(server.url).address)
    with serving(response) as server, pytest.raises(EnvironmentProblem) as caught:
        list(sampler_of(server).sample([request()]))
    assert "Incorrect API key provided: ***. Bearer ***" in one_line(caught.value)
    assert not [text for text in shown if KEY in text]


def test_a_password_in_the_address_is_sent_and_never_shown() -> None:
    """`http://user:password@host` becomes a header; facts and errors name the host alone."""
    with serving(Response(status=400, content=b"dXNlcjpwQHNz and p@ss and p%40ss")) as server:
        url = server.url.replace("http://", "http://user:p%40ss@")
        options = ServerOptions(url=url, model="m")
        outcome = post(client_of(url, key=None), Pauses())
        assert server.seen[0].headers["Authorization"] == "Basic dXNlcjpwQHNz"
    assert isinstance(outcome, Refusal)
    assert outcome.message.endswith("*** and *** and ***")
    assert f"POST {server.url}/v1/completions" in outcome.message
    assert "p%40ss" not in repr(options)


def test_which_key_is_taken() -> None:
    """Ours goes before OpenAI's; an empty one is none."""
    both = {"CODEBENCH_API_KEY": "ours", "OPENAI_API_KEY": "theirs"}
    assert read_key(both) == "ours"
    assert read_key({**both, "CODEBENCH_API_KEY": " "}) == "theirs"
    assert read_key({}) is None
    assert read_key({"OPENAI_API_KEY": "theirs"}, KEY_VARIABLES[:1]) is None


@pytest.mark.parametrize("bad", [f"{KEY}\nX-Evil: 1", f"{KEY}é", f"{KEY}\x00"])
def test_a_key_that_is_none_is_not_quoted(bad: str) -> None:
    """A pasted line break is found before it reaches a library that would print it."""
    with pytest.raises(EnvironmentProblem, match="CODEBENCH_API_KEY holds") as caught:
        read_key({"CODEBENCH_API_KEY": bad})
    one_line(caught.value)


# Addresses


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("http://localhost:8000", "http://localhost:8000/v1"),
        ("localhost:8000/", "http://localhost:8000/v1"),
        ("http://localhost:8000/v1/", "http://localhost:8000/v1"),
        ("http://localhost:8000/v1/completions", "http://localhost:8000/v1"),
        ("https://host/proxy/v1/chat/completions", "https://host/proxy/v1"),
        ("https://host/v1beta/openai", "https://host/v1beta/openai"),
        ("http://[::1]:8080", "http://[::1]:8080/v1"),
    ],
)
def test_addresses_as_people_type_them(url: str, base: str) -> None:
    """With and without scheme, root and endpoint, the same server is meant."""
    endpoints = ("/chat/completions", "/completions")
    assert parse_address(url, root="/v1", endpoints=endpoints, api_key=None).base == base


@pytest.mark.parametrize(
    "url",
    ["ftp://h", "http://", "http://h:99999", "a b", "http://u:hush@", "http://h/v1?api-key=hush"],
)
def test_wrong_addresses_are_not_quoted(url: str) -> None:
    """The error names the option and an example; what was typed may hold a secret."""
    with pytest.raises(UsageError, match="--server: give an address like http://") as caught:
        parse_address(url, root="/v1", endpoints=(), api_key=None)
    assert "hush" not in one_line(caught.value)


# What is asked, and how


def test_every_sample_has_a_request_of_its_own() -> None:
    """One request per sample, with its seed cut to 31 bits and nothing left to defaults."""
    with serving() as server:
        list(sampler_of(server).sample(request(i) for i in range(5)))
        bodies = sorted((seen.body for seen in server.seen), key=lambda body: str(body["seed"]))
    assert {body["seed"] for body in bodies} == {request(i).seed % 2**31 for i in range(5)}
    assert len({body["seed"] for body in bodies}) == 5
    assert {**bodies[0], "seed": 0} == {
        "model": "m",
        "prompt": RUST.prefix,
        "n": 1,
        "stream": False,
        "seed": 0,
        "max_tokens": 100,
        "temperature": 0.7,
        "top_p": 0.9,
        "top_k": 40,
        "min_p": 0,
        "typical_p": 1,
        "presence_penalty": 0,
        "frequency_penalty": 0,
        "repetition_penalty": 1,
        "repeat_penalty": 1,
        "cache_prompt": False,
    }


def strict(*known: str, check: Callable[[dict[str, Any]], bool] = lambda _: True) -> Respond:
    """Return a server that refuses fields beyond OpenAI's and `known`, as some do."""
    fields = {"model", "prompt", "n", "stream", "seed", "max_tokens", "temperature", "top_p"}
    fields |= {"presence_penalty", "frequency_penalty", *known}

    def respond(seen: Seen) -> Response:
        if set(seen.body) - fields or not check(seen.body):
            return Response(status=422, content=b'{"detail": "Unexpected fields"}')
        return Response(content=said(str(seen.body["seed"])))

    return respond


EXTENDED = ("top_k", "min_p", "typical_p", "repetition_penalty", "repeat_penalty", "cache_prompt")


@pytest.mark.parametrize(
    ("respond", "top_k", "dialect", "ignored"),
    [
        (strict(*EXTENDED), 40, "extended", ""),
        (strict(*EXTENDED), 0, "extended", ""),
        (strict(*EXTENDED, check=lambda b: b["top_k"] != 0), 0, "extended_minus_one", ""),
        (strict("generation_config"), 40, "generation_config", ""),
        (strict(), 40, "standard", "top_k"),
        (strict(), 0, "standard", ""),
    ],
)
def test_a_server_is_asked_in_words_that_it_knows(
    respond: Respond, top_k: int, dialect: str, ignored: str
) -> None:
    """The most exact way that is not refused is kept; what cannot be said is said to the user."""
    lines: list[str] = []
    params = PARAMS.model_copy(update={"top_k": top_k})
    with serving(then=respond) as server:
        options = ServerOptions(url=server.url, model="m")
        sampler = open_server_sampler(options, params, notify=lines.append, environ={})
        list(sampler.sample([request()]))
    facts = sampler.describe()
    assert (facts["dialect"], facts["parameters_ignored"]) == (dialect, ignored)
    assert facts["server"] == f"{server.url}/v1"
    assert facts["determinism"] == SeedCheck.HONOURED
    assert [line for line in lines if "takes no top_k" in line] == (lines if ignored else [])
    assert bool(lines) == bool(ignored)


def test_a_refusal_in_every_dialect_is_the_plainest_one() -> None:
    """Where no wording helps, the error is what the server says to the plain request."""
    with serving(then=lambda s: Response(status=400, content=str(len(s.body)).encode())) as server:
        options = ServerOptions(url=server.url, model="m")
        with pytest.raises(UsageError, match="400 Bad Request: 10; check --model"):
            open_server_sampler(options, PARAMS, environ={})


def test_generation_config_says_that_it_samples() -> None:
    """Without do_sample that dialect's server would decode greedily and say nothing."""
    wire = OpenAIWire(Dialect.GENERATION_CONFIG, PARAMS, is_chat=False)
    with serving() as server:
        sampler = ServerSampler(
            client_of(server.url), wire, ServerOptions(url=server.url, model="m"), PARAMS
        )
        list(sampler.sample([request()]))
        config = json.loads(server.seen[0].body["generation_config"])
    assert config == {
        "do_sample": True,
        "temperature": 0.7,
        "top_k": 40,
        "top_p": 0.9,
        "max_new_tokens": 100,
        "repetition_penalty": 1.0,
    }


def test_ollama() -> None:
    """Raw text in, every option said, counts and reason read; no key of another service is sent."""
    answer = {"response": "    a\n}\n\nfn x", "done": True, "done_reason": "length"}
    content = json.dumps({**answer, "eval_count": 9, "prompt_eval_count": 4}).encode()
    with serving(then=lambda _: Response(content=content)) as server:
        options = ServerOptions(url=server.url, model="q", kind=ServerKind.OLLAMA, num_ctx=4096)
        greedy = PARAMS.model_copy(update={"temperature": 0.0})
        sampler = open_server_sampler(options, greedy, environ={"OPENAI_API_KEY": KEY})
        (completion,) = sampler.sample([request()])
    last = server.seen[-1]
    assert last.path == "/api/generate"
    assert "Authorization" not in last.headers
    assert last.body == {
        "model": "q",
        "prompt": RUST.prefix,
        "raw": True,
        "stream": False,
        "truncate": False,
        "shift": False,
        "options": {
            "seed": request().seed % 2**31,
            "num_predict": 100,
            "num_ctx": 4096,
            "temperature": 0.0,
            "top_k": 40,
            "top_p": 0.9,
            "min_p": 0,
            "typical_p": 1,
            "repeat_penalty": 1,
            "presence_penalty": 0,
            "frequency_penalty": 0,
            "stop": [],
        },
    }
    assert (completion.text, completion.finish_reason) == ("    a\n}", FinishReason.BALANCED)
    assert completion.n_tokens == 9
    assert sampler.timing().n_prompt_tokens == 4
    assert sampler.describe()["determinism"] == SeedCheck.GREEDY
    assert sampler.describe()["num_ctx"] == 4096


def test_ollama_that_only_loaded_the_model_is_asked_again() -> None:
    """An answer that is not finished is no completion of no text."""
    loading = Response(content=b'{"response": "", "done": true, "done_reason": "load"}')
    done = Response(content=b'{"response": "x", "done": true, "done_reason": "stop"}')
    with serving(loading, then=lambda _: done) as server:
        options = ServerOptions(url=server.url, model="q", kind=ServerKind.OLLAMA)
        greedy = PARAMS.model_copy(update={"temperature": 0.0})
        (completion,) = open_server_sampler(options, greedy, environ={}, patience=QUICK).sample(
            [request()]
        )
    assert (completion.text, completion.n_tokens) == ("x", 0)
    assert completion.finish_reason is FinishReason.EOS


@pytest.mark.parametrize("prompt", [RUST, PYTHON], ids=["rust", "python"])
def test_chat(prompt: Prompt) -> None:
    """A chat model is asked for one code block; its answer is kept whole and holds the program."""
    code = prompt.prompt + ("    a + b\n}\n" if prompt is RUST else "    return x + 1\n")
    text = f"Sure!\n\n```{prompt.language}\n{code}```\nDone."
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    content = json.dumps({"choices": [choice]}).encode()
    with serving(then=lambda _: Response(content=content)) as server:
        sampler = sampler_of(server, is_chat=True)
        (completion,) = sampler.sample([request(prompt=prompt)])
    (message,) = server.seen[0].body["messages"]
    assert server.seen[0].path == "/v1/chat/completions"
    assert message["role"] == "user"
    assert f"```{prompt.language}\n{prompt.prefix}```" in message["content"]
    assert (completion.text, completion.finish_reason) == (text, FinishReason.EOS)
    assert extract_program(completion, ExtractMode.CHAT).text == code
    assert "Answer with one" in str(sampler.describe()["chat_instruction"])


def test_a_chat_model_that_only_thought_has_an_empty_answer() -> None:
    """No content is a sample without text, not a fault of the server."""
    choice = {"message": {"role": "assistant", "content": None}, "finish_reason": "length"}
    content = json.dumps({"choices": [choice]}).encode()
    with serving(then=lambda _: Response(content=content)) as server:
        (completion,) = sampler_of(server, is_chat=True).sample([request()])
    assert (completion.text, completion.finish_reason) == ("", FinishReason.LENGTH)


# What comes out


@pytest.mark.parametrize(
    ("prompt", "text", "reason", "kept", "expected"),
    [
        (RUST, "    a + b\n}\n\nfn x() {", "length", "    a + b\n}", FinishReason.BALANCED),
        (RUST, "    a + b\n}", "stop", "    a + b\n}", FinishReason.BALANCED),
        (RUST, "    a + b", "stop", "    a + b", FinishReason.EOS),
        (RUST, '    "}', "length", '    "}', FinishReason.LENGTH),
        (RUST, "    a", "repetition", "    a", FinishReason.REPETITION),
        (RUST, "    a", "content_filter", "    a", FinishReason.STOP),
        (RUST, "    a", None, "    a", FinishReason.EOS),
        (RUST, "// \ud83d\n}", "stop", "// \ud83d\n}", FinishReason.BALANCED),
        (PYTHON, "    return 1\nprint(2)", "stop", "    return 1\n", FinishReason.BALANCED),
        (PYTHON, "    return 1\n", "stop", "    return 1\n", FinishReason.EOS),
    ],
)
def test_completions_end_where_the_item_ends(
    prompt: Prompt, text: str, reason: str | None, kept: str, expected: FinishReason
) -> None:
    """Text past the item is dropped; else the server's reason is taken over in our words."""
    with serving(Response(content=said(text, reason=reason))) as server:
        (completion,) = sampler_of(server).sample([request(prompt=prompt)])
    assert (completion.text, completion.finish_reason) == (kept, expected)
    assert completion.n_tokens == 7


@pytest.mark.parametrize(
    ("text", "kept", "expected"),
    [
        ("    a + STOP b\n}", "    a + STOP", FinishReason.STOP),
        ("    a\n}\nSTOP", "    a\n}", FinishReason.BALANCED),
        ("    a +", "    a +", FinishReason.EOS),
    ],
)
def test_a_stop_ends_the_text_and_is_kept(text: str, kept: str, expected: FinishReason) -> None:
    """A completion ends behind its first stop, unless its item ends before that."""
    params = PARAMS.model_copy(update={"stop": ("never", "STOP")})
    with serving(Response(content=said(text))) as server:
        (completion,) = sampler_of(server, params=params).sample([request()])
    assert (completion.text, completion.finish_reason) == (kept, expected)


def test_counts() -> None:
    """Tokens are what the server says; the busy time begins with the first request."""
    with serving() as server:
        sampler = sampler_of(server)
        assert sampler.timing().decode_s == 0
        list(sampler.sample(request(i) for i in range(3)))
    timing = sampler.timing()
    assert (timing.n_prompt_tokens, timing.n_generated_tokens) == (33, 21)
    assert timing.decode_s > 0


def test_a_server_that_does_not_count() -> None:
    """Missing usage is 0 tokens, not an error."""
    content = b'{"choices": [{"text": "x", "finish_reason": "stop"}], "usage": null}'
    with serving(Response(content=content)) as server:
        (completion,) = sampler_of(server).sample([request()])
    assert completion.n_tokens == 0


def test_requests_are_bounded_and_pulled_lazily() -> None:
    """Never more than `concurrency` under way, and none is pulled before it can be sent."""
    lock = threading.Lock()
    three = threading.Barrier(3)
    n_under_way = n_most = n_pulled = 0

    def respond(_: Seen) -> Response:
        nonlocal n_under_way, n_most
        with lock:
            n_under_way += 1
            n_most = max(n_most, n_under_way)
        three.wait(20)  # broken unless three come at once
        with lock:
            n_under_way -= 1
        return Response()

    def pull() -> Iterator[SampleRequest]:
        nonlocal n_pulled
        for index in range(9):
            n_pulled += 1
            yield request(index)

    with serving(then=respond) as server:
        completions = sampler_of(server, concurrency=3).sample(pull())
        next(completions)
        assert n_pulled == 3
        indices = [completion.request.index for completion in completions]
    assert n_most == 3
    assert len(indices) == 8


def test_what_is_done_is_handed_out_before_the_error() -> None:
    """A run whose server dies keeps every completion that came back before."""
    with serving(Response(), then=lambda _: Response(status=500)) as server:
        completions = sampler_of(server, concurrency=1).sample(request(i) for i in range(2))
        assert next(completions).request.index == 0
        with pytest.raises(EnvironmentProblem, match="sample 1 of prompt 'add'"):
            next(completions)


def test_leaving_does_not_wait_for_the_server() -> None:
    """Whoever stops taking completions is free at once, though a request is never answered."""
    release = threading.Event()
    ended: list[Seen] = []

    def stall(seen: Seen) -> Response:
        release.wait(20)
        ended.append(seen)
        return Response()

    with serving(Response(), then=stall) as server:
        completions = sampler_of(server).sample(request(i) for i in range(9))
        next(completions)
        del completions
        assert ended == []
        release.set()


# Seeds


def test_an_honoured_seed() -> None:
    """The same text again, alone and beside others, and other texts for other seeds."""
    assert check_seed(str, concurrency=8) is SeedCheck.HONOURED
    assert check_seed(str, concurrency=1) is SeedCheck.HONOURED


def test_an_ignored_seed() -> None:
    """Two texts for one seed."""
    texts = iter(range(99))
    assert check_seed(lambda _: str(next(texts)), concurrency=8) is SeedCheck.IGNORED


def test_a_seed_that_holds_only_alone() -> None:
    """The third text differs, the one that was asked for beside others."""
    calls: list[int] = []

    def ask(seed: int) -> str:
        calls.append(seed)
        return "same" if len(calls) < 3 else f"{seed} {len(calls)}"

    assert check_seed(ask, concurrency=8) is SeedCheck.ALONE_ONLY


def test_a_server_that_does_not_sample() -> None:
    """One text for every seed is greedy decoding, whatever was asked for."""
    assert check_seed(lambda _: "same", concurrency=8) is SeedCheck.CONSTANT


def test_a_seed_that_does_not_hold_is_said() -> None:
    """The user reads it before the run, with the advice; results.json has it too."""
    lines: list[str] = []
    with serving(then=lambda _: Response()) as server:
        options = ServerOptions(url=server.url, model="m")
        sampler = open_server_sampler(options, PARAMS, notify=lines.append, environ={})
    assert [line for line in lines if "the same text for every seed" in line] == lines
    assert len(lines) == 1
    assert sampler.describe()["determinism"] == SeedCheck.CONSTANT


# A server that nobody here wrote

_NEEDED = ("uvicorn", "fastapi", "openai", "accelerate")
_TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
_PROMPTS = (RUST, PYTHON)


@dataclass(kw_only=True)
class Served:
    """A running `transformers serve`."""

    url: str
    model: Path


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve the demonstration model's newest step, with a chat template added to it."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"{' '.join(missing)} not installed: pip install 'transformers[serving]'")
    steps = (ROOT / "checkpoints").glob("step_*")
    newest = max(steps, key=lambda path: int(path.name.removeprefix("step_")), default=None)
    if newest is None:
        pytest.skip("checkpoints/ has no step")
    folder = tmp_path_factory.mktemp("served")
    model = folder / newest.name
    shutil.copytree(newest, model)
    (model / "chat_template.jinja").write_text(_TEMPLATE)
    port = free_port()
    log = folder / "log"
    words = ["serve", str(model), "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    words += ["--dtype", "float32"]  # as our engine on such a machine: in bf16 tokens tie
    start = f"import sys; sys.argv[1:] = {words!r}; from transformers.cli.transformers import main"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", f"{start}; main()"],
            env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until_up(process, port, log)
        yield Served(url=f"http://127.0.0.1:{port}", model=model)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def draw(
    served: Served,
    params: SamplingParams,
    requests: list[SampleRequest],
    *,
    is_chat: bool = False,
    concurrency: int = 1,
) -> dict[tuple[str, int], Completion]:
    """Return the completions of the real server by prompt and index."""
    options = ServerOptions(
        url=served.url, model=str(served.model), is_chat=is_chat, concurrency=concurrency
    )
    sampler = open_server_sampler(options, params, environ={})
    return {(c.request.prompt.id, c.request.index): c for c in sampler.sample(requests)}


def texts(completions: Mapping[tuple[str, int], Completion]) -> dict[tuple[str, int], str]:
    """Return the text of each completion."""
    return {key: completion.text for key, completion in completions.items()}


@pytest.mark.slow
def test_real_server_greedy_is_what_the_engine_writes(served: Served) -> None:
    """Text sent, cut and counted over HTTP is what our own engine gives for the same model."""
    from codebench.sampling.opening import open_sampler

    params = SamplingParams(temperature=0, max_tokens=60)
    requests = [request(0, prompt) for prompt in _PROMPTS]
    remote = draw(served, params, requests)
    engine = open_sampler(resolve_checkpoint(str(served.model)), params, device="cpu", n_threads=1)
    for local in engine.sample(requests):
        other = remote[local.request.prompt.id, 0]
        assert local.text.startswith(other.text)
        assert len(local.text) - len(other.text) <= 2  # the last token may reach past the end
        assert other.finish_reason is local.finish_reason


@pytest.mark.slow
def test_real_server_gives_the_same_samples_again(served: Served) -> None:
    """One at a time, a seed is a text: in another order too, and different ones differ."""
    params = SamplingParams(temperature=1.0, top_k=0, max_tokens=40)
    requests = [request(index, prompt) for prompt in _PROMPTS for index in range(3)]
    once = texts(draw(served, params, requests))
    assert texts(draw(served, params, requests[::-1])) == once
    assert len(set(once.values())) > 3


@pytest.mark.slow
def test_real_server_takes_top_k(served: Served) -> None:
    """Sampling among one token is greedy decoding: the parameters arrive."""
    requests = [request(0, prompt) for prompt in _PROMPTS]
    greedy = draw(served, SamplingParams(temperature=0, max_tokens=30), requests)
    one = draw(served, SamplingParams(temperature=1.0, top_k=1, max_tokens=30), requests)
    assert texts(one) == texts(greedy)


@pytest.mark.slow
def test_real_server_seeds_hold_only_alone(served: Served) -> None:
    """This server has one random state for all requests; the check finds that out."""
    found = []
    for concurrency in (8, 1):
        options = ServerOptions(url=served.url, model=str(served.model), concurrency=concurrency)
        params = SamplingParams(temperature=1.0, top_k=0)
        facts = open_server_sampler(options, params, environ={}).describe()
        assert facts["dialect"] == "generation_config"
        found.append(facts["determinism"])
    assert found == [SeedCheck.ALONE_ONLY, SeedCheck.HONOURED]


@pytest.mark.slow
def test_real_server_under_load(served: Served) -> None:
    """Forty requests, eight under way: each sample comes back once, within its token limit."""
    requests = [request(index, prompt) for prompt in _PROMPTS for index in range(20)]
    completions = draw(served, SamplingParams(max_tokens=20), requests, concurrency=8)
    assert len(completions) == 40
    for completion in completions.values():
        assert 1 <= completion.n_tokens <= 20
        if completion.finish_reason is FinishReason.LENGTH:
            assert completion.n_tokens == 20


@pytest.mark.slow
def test_real_server_chat(served: Served) -> None:
    """The chat endpoint takes our message and answers; greedy answers are the same again."""
    params = SamplingParams(temperature=0, max_tokens=20)
    once = draw(served, params, [request()], is_chat=True)
    assert once["add", 0].text
    assert texts(draw(served, params, [request()], is_chat=True)) == texts(once)


@pytest.mark.slow
def test_real_server_refuses_another_model(served: Served) -> None:
    """Its own words reach the user in one line, with what to check."""
    options = ServerOptions(url=served.url, model="no-such-model")
    with pytest.raises(CodebenchError) as caught:
        open_server_sampler(options, PARAMS, environ={})
    line = one_line(caught.value)
    assert "400 Bad Request: Server is pinned to" in line
    assert line.endswith("check --model and the sampling options")


@pytest.mark.slow
@pytest.mark.bubblewrap
def test_the_command_line_samples_from_a_server(served: Served, tmp_path: Path) -> None:
    """`codebench run --server` judges what a real server wrote, and its results name the server."""
    words = [sys.executable, "-m", "codebench", "run", "--server", served.url]
    words += ["--model", str(served.model), "--concurrency", "1", "--n-samples", "8"]
    words += ["--sandbox", "bubblewrap", "--run-dir", str(tmp_path / "run"), "--output", "-"]
    done = subprocess.run(words, check=True, capture_output=True)
    results = json.loads(done.stdout)
    assert results["total_samples"] == results["judged"] == 8
    assert results["checkpoint_info"]["format"] == "server"
    assert results["environment"]["sampler"]["server"].startswith(served.url)
