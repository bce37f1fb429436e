"""Runs on disk with outcomes as a test wants them, counted and written by the real rooms."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from codebench.analysis.metrics import CodeMetrics
from codebench.extract import Extraction
from codebench.languages.verdict import Diagnostic, DiagnosticLevel, Outcome
from codebench.prompts.model import Language, Prompt, PromptSet
from codebench.results import Aggregator, RunFacts, RunTiming
from codebench.results.model import Results
from codebench.sampling.completion import FinishReason, SamplerTiming, SamplingParams
from codebench.store import (
    CheckpointInfo,
    Environment,
    Manifest,
    PromptSetInfo,
    RunIdentity,
    SampleRecord,
    SampleTimes,
)

MakeRun = Callable[..., Path]
"""(name, outcomes a prompt, changes) -> run directory; see `make_run`."""

OUTCOMES = {"c": Outcome.COMPILED, "e": Outcome.COMPILE_ERROR, "i": Outcome.INFRA_ERROR}
ENVIRONMENT = Environment(
    rustc="rustc 1.95.0 (59807616e 2026-04-14)\nbinary: rustc",
    python="3.11.2",
    image=None,
    sandbox="bubblewrap",
    isolation="namespaces",
    n_slots=2,
    packages={"codebench": "0.1.0"},
    host={"processor": "x", "n_cores": 2},
    git=None,
    sampler={"device": "cpu"},
)
TIMING = SamplerTiming(
    load_s=1,
    prefill_s=0.5,
    decode_s=1.5,
    n_prompt_tokens=30,
    n_generated_tokens=100,
    n_wasted_tokens=7,
)


def _record(prompt: str, index: int, letter: str, code: str) -> SampleRecord:
    outcome = OUTCOMES[letter]
    error = Diagnostic(level=DiagnosticLevel.ERROR, code=code, message="m", line=1, column=1)
    return SampleRecord(
        prompt_set="r",
        prompt_id=prompt,
        language=Language.RUST,
        index=index,
        seed=index + 7,
        prompt="fn f() {",
        completion="}",
        finish_reason=FinishReason.BALANCED,
        n_tokens=1,
        extraction=Extraction.CONTINUATION_BALANCED,
        program="fn f() {}",
        outcome=outcome,
        diagnostics=() if outcome.compiles else (error,),
        metrics=CodeMetrics(lines=1 + index, functions=1, complexity=1, items=(), parses=True),
        times=SampleTimes(generation_ms=1, compile_ms=1, queue_ms=0),
        error="disk" if letter == "i" else None,
    )


def _results(
    name: str, records: list[SampleRecord], step: int | None, temperature: float
) -> Results:
    ids = dict.fromkeys(record.prompt_id for record in records)
    prompt_set = PromptSet(
        name="r",
        version="1",
        language=Language.RUST,
        description="d",
        sha256="aa",
        prompts=tuple(
            Prompt(
                id=i, category="x", language=Language.RUST, item="fn f", prompt="fn f() {", tests=()
            )
            for i in ids
        ),
    )
    manifest = Manifest(
        run_id=f"{name}-0123456789",
        created="2026-11-21T08:00:00Z",
        identity=RunIdentity(
            checkpoint=name,
            prompt_sets={"r": "aa"},
            sampling=SamplingParams(temperature=temperature),
            seed=0,
            extract="auto",
        ),
        checkpoint=f"out/{name}",
        checkpoint_info=CheckpointInfo(path=None, format="hf", fingerprint=name, step=step),
        prompt_sets=(
            PromptSetInfo(
                name="r", version="1", language=Language.RUST, n_prompts=len(ids), sha256="aa"
            ),
        ),
        environment=ENVIRONMENT,
    )
    aggregator = Aggregator([prompt_set])
    for record in records:
        aggregator.add(record)
    timing = RunTiming(
        wall_s=3, startup_s=1, sampler=TIMING, compiling_s=1, queue_s=0, n_resumed_samples=0
    ).results()
    facts = RunFacts(
        timestamp="2026-11-21T08:00:09Z",
        n_samples=len(records),
        environment=ENVIRONMENT,
        timing=timing,
    )
    return aggregator.finish(manifest, facts)


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Return a function that writes a run directory below `tmp_path` and returns it."""

    def make(
        name: str,
        outcomes: Mapping[str, str],
        *,
        step: int | None = None,
        temperature: float = 0.8,
        code: str = "E0308",
        update: Mapping[str, Any] | None = None,
    ) -> Path:
        records = [
            _record(prompt, index, letter, code)
            for prompt, letters in outcomes.items()
            for index, letter in enumerate(letters)
        ]
        results = _results(name, records, step, temperature).model_copy(update=update or {})
        folder = tmp_path / name
        folder.mkdir()
        (folder / "samples.jsonl").write_bytes(b"".join(r.to_line() for r in records))
        (folder / "results.json").write_bytes(results.to_json())
        return folder

    return make
