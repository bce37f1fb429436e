"""Sampling from llama-cpp-python's server, with the demonstration model as a GGUF file; by hand.

The server builds from source for minutes and is no dependency of ours. To run these tests:

    python -m venv llama
    llama/bin/pip install "llama-cpp-python[server]" gguf
    CODEBENCH_LLAMA_CPP=llama/bin/python pytest tests/test_llama_cpp.py
"""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from codebench.checkpoints.resolve import resolve_checkpoint
from codebench.prompts.loading import load_prompt_set
from codebench.prompts.model import Prompt
from codebench.sampling.completion import (
    Completion,
    SampleRequest,
    SamplingParams,
    sample_seed,
)
from codebench.sampling.server.opening import open_server_sampler
from codebench.sampling.server.sampler import ServerOptions
from codebench.sampling.server.seed import SeedCheck
from tests.local_server import free_port, wait_until_up

ROOT = Path(__file__).parents[1]
VARIABLE = "CODEBENCH_LLAMA_CPP"
PROMPTS = load_prompt_set("rust-basics").prompts

pytestmark = pytest.mark.slow

_READ_BACK = """
import gguf, json, sys
reader = gguf.GGUFReader(sys.argv[1])
sums = {t.name: [list(map(int, t.data.shape)), float(abs(t.data).sum(dtype="f8"))]
        for t in reader.tensors}
fields = {name: field.contents() for name, field in reader.fields.items()}
print(json.dumps([sums, fields]))
"""


@dataclass(kw_only=True)
class Served:
    """A running llama-cpp-python server."""

    url: str
    model: str
    """The server's name of the model: the path of its file, as it was given."""


@pytest.fixture(scope="module")
def python() -> str:
    """Return the Python that has llama_cpp and gguf."""
    path = os.environ.get(VARIABLE)
    if not path:
        pytest.skip(f"{VARIABLE} is not set: give a Python with llama_cpp and gguf, as said above")
    return path


@pytest.fixture(scope="module")
def checkpoint() -> Path:
    """Return the demonstration model's newest step."""
    steps = (ROOT / "checkpoints").glob("step_*")
    newest = max(steps, key=lambda path: int(path.name.removeprefix("step_")), default=None)
    if newest is None:
        pytest.skip("checkpoints/ has no step")
    return newest


@pytest.fixture(scope="module")
def gguf_file(python: str, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the newest step as a GGUF file."""
    output = tmp_path_factory.mktemp("gguf") / "demo.gguf"
    script = ROOT / "tests" / "gguf_from_demo.py"
    subprocess.run([python, str(script), str(checkpoint), str(output)], check=True)
    return output


@pytest.fixture(scope="module")
def served(python: str, gguf_file: Path) -> Iterator[Served]:
    """Serve the GGUF file."""
    port = free_port()
    log = gguf_file.with_suffix(".log")
    words = [python, "-m", "llama_cpp.server", "--model", str(gguf_file), "--n_ctx", "2048"]
    words += ["--host", "127.0.0.1", "--port", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(words, stdout=output, stderr=subprocess.STDOUT)
    try:
        wait_until_up(process, port, log)
        yield Served(url=f"http://127.0.0.1:{port}", model=str(gguf_file))
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def requests_of(prompts: Sequence[Prompt], n_samples: int) -> list[SampleRequest]:
    """Return `n_samples` requests of each prompt."""
    return [
        SampleRequest(
            prompt=prompt, index=index, seed=sample_seed(run_seed=0, prompt=prompt, index=index)
        )
        for prompt in prompts
        for index in range(n_samples)
    ]


def draw(
    served: Served,
    params: SamplingParams,
    requests: list[SampleRequest],
    *,
    concurrency: int = 1,
) -> dict[tuple[str, int], Completion]:
    """Return the server's completions by prompt and index."""
    options = ServerOptions(url=served.url, model=served.model, concurrency=concurrency)
    sampler = open_server_sampler(options, params, environ={})
    return {(c.request.prompt.id, c.request.index): c for c in sampler.sample(requests)}


def ids_of_server(served: Served, text: str) -> list[int]:
    """Return the token ids that the server gives to a text."""
    body = json.dumps({"input": text}).encode()
    asked = urllib.request.Request(
        f"{served.url}/extras/tokenize", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(asked, timeout=30) as answer:
        ids: list[int] = json.load(answer)["tokens"]
        return ids


def same_ids(served: Served, checkpoint: Path) -> list[Prompt]:
    """Return the prompts that are the same tokens to the server and to us."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
    return [p for p in PROMPTS if tokenizer.encode(p.prefix).ids == ids_of_server(served, p.prefix)]


def test_the_file_holds_the_weights(python: str, checkpoint: Path, gguf_file: Path) -> None:
    """Read back by gguf's own reader, each tensor is there with its shape and sum, and the ids."""
    from safetensors.torch import load_file

    done = subprocess.run(
        [python, "-c", _READ_BACK, str(gguf_file)], check=True, capture_output=True
    )
    tensors, fields = json.loads(done.stdout)
    weights = load_file(checkpoint / "model.safetensors")
    expected = sorted(
        (list(weight.shape), weight.double().abs().sum().item()) for weight in weights.values()
    )
    found = sorted((shape, total) for shape, total in tensors.values())
    assert [shape for shape, _ in found] == [shape for shape, _ in expected]
    assert [total for _, total in found] == pytest.approx([total for _, total in expected])
    vocabulary = json.loads((checkpoint / "tokenizer.json").read_text())["model"]["vocab"]
    assert {token: i for i, token in enumerate(fields["tokenizer.ggml.tokens"])} == vocabulary
    assert fields["tokenizer.ggml.eos_token_id"] == vocabulary["<|endoftext|>"]


def test_prompts_are_the_same_tokens(served: Served, checkpoint: Path) -> None:
    """All 16 prompts, though GGUF cannot hold the regular expression of our tokenizer."""
    assert same_ids(served, checkpoint) == list(PROMPTS)


def test_greedy_is_what_the_engine_writes(served: Served, checkpoint: Path) -> None:
    """From the same tokens llama.cpp writes what our engine does in fp32, but for near ties.

    Seen with llama-cpp-python 0.3.36: 16 of 16 equal, at 20 tokens and at 200. Its cache is f16, so
    that another processor may turn a tie.
    """
    from codebench.sampling.opening import open_sampler

    params = SamplingParams(temperature=0, max_tokens=20)
    requests = requests_of(same_ids(served, checkpoint), 1)
    assert len(requests) > 8
    remote = draw(served, params, requests)
    engine = open_sampler(resolve_checkpoint(str(checkpoint)), params, device="cpu", n_threads=1)
    unlike = [
        (local.text, remote[local.request.prompt.id, 0].text)
        for local in engine.sample(requests)
        if local.text != remote[local.request.prompt.id, 0].text
    ]
    assert len(unlike) <= 2, unlike


def test_samples_come_back_and_again(served: Served) -> None:
    """Two samples of four prompts; one at a time, a seed is a text, in another order too."""
    params = SamplingParams(temperature=1.0, top_k=0, max_tokens=40)
    requests = requests_of(PROMPTS[:4], 2)
    once = draw(served, params, requests)
    again = draw(served, params, requests[::-1])
    assert len(once) == 8
    assert all(1 <= completion.n_tokens <= 40 for completion in once.values())
    texts = {key: completion.text for key, completion in once.items()}
    assert {key: completion.text for key, completion in again.items()} == texts
    assert len(set(texts.values())) > 4


def test_samples_of_many_requests_at_once(served: Served) -> None:
    """Eight requests under way are the samples of one at a time: this server takes them in turn."""
    params = SamplingParams(temperature=1.0, top_k=0, max_tokens=40)
    requests = requests_of(PROMPTS[:4], 4)
    alone = draw(served, params, requests)
    together = draw(served, params, requests, concurrency=8)
    assert {k: c.text for k, c in together.items()} == {k: c.text for k, c in alone.items()}


def test_top_k_arrives(served: Served) -> None:
    """Sampling among one token is greedy decoding."""
    requests = requests_of(PROMPTS[:4], 1)
    greedy = draw(served, SamplingParams(temperature=0, max_tokens=30), requests)
    one = draw(served, SamplingParams(temperature=1.0, top_k=1, max_tokens=30), requests)
    assert {k: c.text for k, c in one.items()} == {k: c.text for k, c in greedy.items()}


def test_what_is_found_out_about_the_server(served: Served) -> None:
    """It takes the parameters as fields of their own, and its seeds hold."""
    found = []
    for concurrency in (1, 8):
        options = ServerOptions(url=served.url, model=served.model, concurrency=concurrency)
        params = SamplingParams(temperature=1.0, top_k=0)
        facts = open_server_sampler(options, params, environ={}).describe()
        found.append((facts["dialect"], facts["parameters_ignored"], facts["determinism"]))
    assert found == [("extended", "", SeedCheck.HONOURED)] * 2


@pytest.mark.bubblewrap
def test_the_command_line_samples_from_it(served: Served, tmp_path: Path) -> None:
    """`codebench run --server` ends with a compile rate, and its results name the server."""
    words = [sys.executable, "-m", "codebench", "run", "--server", served.url]
    words += ["--model", served.model, "--concurrency", "1", "--n-samples", "8"]
    words += ["--sandbox", "bubblewrap", "--run-dir", str(tmp_path / "run"), "--output", "-"]
    done = subprocess.run(words, check=True, capture_output=True)
    results = json.loads(done.stdout)
    assert results["total_samples"] == results["judged"] == 8
    assert 0 <= results["compile_success_rate"] <= 100
    assert results["environment"]["sampler"]["server"].startswith(served.url)
