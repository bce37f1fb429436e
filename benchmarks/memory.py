"""Does the harness's memory stay flat? Replays 10,000 samples through the real loop and sandbox.

Every sample is a distinct Python program that is compiled in the sandbox, stored and counted, as in
a run; only the sampler is replaced by a generator of texts. Prints JSON: resident memory of the
harness (VmRSS, MiB) after so many samples.

    python benchmarks/memory.py --n-samples 10000 --sandbox bubblewrap
"""

import argparse
import json
import re
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from codebench.analysis.client import Analyzer
from codebench.extract import ExtractMode
from codebench.judge import Judge
from codebench.machine import describe_environment
from codebench.plan import make_plan
from codebench.progress import PlainProgress
from codebench.prompts import load_prompt_set
from codebench.results.aggregate import Aggregator
from codebench.run import Run, Tools
from codebench.run_config import RunConfig
from codebench.sampling.completion import Completion, FinishReason, SampleRequest, SamplerTiming
from codebench.sandbox.choose import SandboxKind, open_sandbox
from codebench.sandbox.turns import MOST_PUT_OFF
from codebench.store.manifest import CheckpointInfo, Manifest, RunIdentity, utc_now
from codebench.store.run_directory import RunDirectory


def resident_mib() -> float:
    """Return the resident memory of this process, MiB."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


class GeneratedSampler:
    """A `Sampler` that writes a different small function for every request, and notes memory."""

    def __init__(self, marks: Iterable[int]) -> None:
        self._marks = set(marks)
        self.resident: dict[int, float] = {}

    def sample(self, requests: Iterable[SampleRequest]) -> Iterator[Completion]:
        """Yield a text of some 400 characters for each request."""
        for number, request in enumerate(requests):
            if number in self._marks:
                self.resident[number] = round(resident_mib(), 1)
            lines = "".join(f"    x{i} = {number} + {i}\n" for i in range(20))
            yield Completion(
                request=request,
                text=f"{lines}    return x0\n",
                finish_reason=FinishReason.EOS,
                n_tokens=200,
                generation_ms=0.0,
            )

    def timing(self) -> SamplerTiming:
        """Return no time: nothing is decoded."""
        return SamplerTiming(
            load_s=0.0,
            prefill_s=0.0,
            decode_s=0.0,
            n_prompt_tokens=0,
            n_generated_tokens=0,
            n_wasted_tokens=0,
        )

    def bound_tokens_per_second(self, *, mean_context: float) -> float | None:  # noqa: ARG002
        """Return None: nothing is decoded."""
        return None

    def describe(self) -> dict[str, str | int | float]:
        """Return what this is."""
        return {"engine": "generated"}


def main() -> None:
    """Run and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n-samples", type=int, default=10_000)
    parser.add_argument("--sandbox", type=SandboxKind, default=SandboxKind.AUTO)
    options = parser.parse_args()
    prompt_set = load_prompt_set("python-basics")
    plan = make_plan(
        [prompt_set], n_samples=options.n_samples, samples_per_prompt=None, limit=None, seed=0
    )
    sampler = GeneratedSampler([100, 1000, *range(2000, options.n_samples, 2000)])
    progress = PlainProgress()
    sandbox = open_sandbox(options.sandbox, notify=progress.say)
    environment = describe_environment(sandbox.info(), dict(sampler.describe()))
    config = RunConfig(n_samples=options.n_samples)
    manifest = Manifest(
        run_id="memory",
        created=utc_now(),
        identity=RunIdentity(
            checkpoint="generated",
            prompt_sets={prompt_set.name: prompt_set.sha256},
            sampling=config.sampling,
            seed=0,
            extract="auto",
        ),
        checkpoint="generated",
        checkpoint_info=CheckpointInfo(path=None, format="generated", fingerprint="", step=None),
        prompt_sets=(),
        environment=environment,
    )
    started = time.monotonic()
    with (
        tempfile.TemporaryDirectory() as folder,
        RunDirectory.open(Path(folder), manifest) as directory,
        Analyzer() as analyzer,
    ):
        tools = Tools(
            sampler=sampler,
            judge=Judge(sandbox, analyzer, extract=ExtractMode.AUTO),
            n_workers=sandbox.info().n_slots + MOST_PUT_OFF,
            directory=directory,
            progress=progress,
        )
        run = Run(config, plan, tools, aggregator=Aggregator([prompt_set]), started=started)
        results = run.finish(environment).results
    sandbox.close()
    seconds = time.monotonic() - started
    figures = {
        "n_samples": results.total_samples,
        "compile_success_rate": results.compile_success_rate,
        "infra_errors": results.total_samples - results.judged,
        "resident_mib_after_n_samples": sampler.resident,
        "resident_mib_at_end": round(resident_mib(), 1),
        "samples_per_second": round(results.total_samples / seconds, 1),
        "sandbox": environment.sandbox,
        "host": environment.host,
    }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
