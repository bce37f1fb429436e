"""Runs on disk, written by the real rooms, and the page that the command makes of them."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from codebench.analysis.metrics import CodeMetrics
from codebench.extract import Extraction
from codebench.languages.verdict import Diagnostic, DiagnosticLevel, Outcome
from codebench.prompts.model import Language, Prompt, PromptSet
from codebench.results import Aggregator, RunFacts, RunTiming, RunWarning
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

WriteRun = Callable[..., Path]
"""(step, samples, changes) -> run directory; see `write_run`."""

MakeSample = Callable[..., SampleRecord]
"""(place, changes) -> the sample at this place; see `sample_at`."""

MakePage = Callable[..., Path]
"""(paths) -> page; see `make_page`."""

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
TIMING = RunTiming(
    wall_s=10,
    startup_s=3,
    compiling_s=4,
    queue_s=0.25,
    n_resumed_samples=0,
    sampler=SamplerTiming(
        load_s=1,
        prefill_s=0.5,
        decode_s=1.5,
        n_prompt_tokens=30,
        n_generated_tokens=4000,
        n_wasted_tokens=7,
    ),
).results()
PROMPTS = tuple(
    Prompt(
        id=name,
        language=Language.RUST,
        category="basics",
        prompt=f"fn {name}() -> u32 {{",
        item=f"fn {name}",
        tests=("assert!(true);", "assert!(true);"),
    )
    for name in ("one", "two", "three")
)
PROMPT_SET = PromptSet(
    name="small", version="1", language=Language.RUST, description="d", prompts=PROMPTS, sha256="aa"
)


def sample(prompt: Prompt, index: int, **changes: Any) -> SampleRecord:  # noqa: ANN401 - any field
    """Return a sample that compiles, or that shows E0308 at line 2 for every third index."""
    wrong = index % 3 == 2
    body = f"\n    {f'x{index}' if wrong else index}\n}}\n"
    error = Diagnostic(
        level=DiagnosticLevel.ERROR, code="E0308", message="mismatched types", line=2, column=5
    )
    fields: dict[str, Any] = {
        "prompt_set": PROMPT_SET.name,
        "prompt_id": prompt.id,
        "language": Language.RUST,
        "index": index,
        "seed": 2**62 + index,
        "prompt": prompt.prompt,
        "completion": body,
        "finish_reason": FinishReason.BALANCED,
        "n_tokens": 9,
        "extraction": Extraction.CONTINUATION_BALANCED,
        "program": prompt.prompt + body,
        "outcome": Outcome.COMPILE_ERROR if wrong else Outcome.COMPILED,
        "diagnostics": (error,) if wrong else (),
        "metrics": CodeMetrics(lines=3, functions=1, complexity=1, items=None, parses=True),
        "times": SampleTimes(generation_ms=10, compile_ms=50, queue_ms=0),
    }
    return SampleRecord.model_validate({**fields, **changes})


def sample_at(place: int, **changes: Any) -> SampleRecord:  # noqa: ANN401 - any field
    """Return a sample; places are shared evenly over the prompts."""
    return sample(PROMPTS[place % 3], place // 3, **changes)


@pytest.fixture(scope="session")
def make_sample() -> MakeSample:
    """Return the function that makes samples."""
    return sample_at


def samples(n: int = 12) -> list[SampleRecord]:
    """Return `n` samples, shared evenly over the prompts."""
    return [sample_at(place) for place in range(n)]


@pytest.fixture(scope="session")
def write_run(tmp_path_factory: pytest.TempPathFactory) -> WriteRun:
    """Return a function that writes a run directory, its numbers counted by the real room."""

    def write(
        step: int,
        records: Sequence[SampleRecord],
        *,
        sha256: str = "aa",
        warnings: tuple[RunWarning, ...] = (),
        changes: Mapping[str, object] = {},
    ) -> Path:
        folder = tmp_path_factory.mktemp("runs") / f"step_{step}"
        folder.mkdir()
        manifest = _manifest(step, sha256)
        aggregator = Aggregator([PROMPT_SET])
        lines = []
        for record in records:
            assert aggregator.add(record)
            lines.append(record.to_line())
        facts = RunFacts(
            timestamp=f"2026-11-21T08:{step % 60:02}:00Z",
            n_samples=len(records),
            environment=ENVIRONMENT,
            timing=TIMING,
            warnings=warnings,
        )
        results = aggregator.finish(manifest, facts).model_copy(update=changes)
        results = Results.model_validate(results.model_dump())
        (folder / "results.json").write_bytes(results.to_json())
        (folder / "manifest.json").write_text(manifest.model_dump_json())
        (folder / "samples.jsonl").write_bytes(b"".join(lines))
        return folder

    return write


def _manifest(step: int, sha256: str) -> Manifest:
    identity = RunIdentity(
        checkpoint=f"f00d{step}",
        prompt_sets={PROMPT_SET.name: sha256},
        sampling=SamplingParams(),
        seed=0,
        extract="auto",
    )
    name = f"out/private/step_{step}"
    info = CheckpointInfo(
        path=f"/somebody/{name}", format="huggingface", fingerprint=f"f00d{step}", step=step
    )
    sets = PromptSetInfo(
        name=PROMPT_SET.name, version="1", language=Language.RUST, n_prompts=3, sha256=sha256
    )
    return Manifest(
        run_id=f"step_{step}-0123456789",
        created="2026-11-21T08:00:00Z",
        identity=identity,
        checkpoint=name,
        checkpoint_info=info,
        prompt_sets=(sets,),
        environment=ENVIRONMENT,
    )


HOSTILE = (
    "</script><script>window.ran = 1</script>",
    "<img src=x onerror='window.ran = 1'><svg onload='window.ran = 1'>",
    "</code></div><iframe src='https://example.org/'></iframe><!-- ]]>",
    "{{ 7 * 7 }}{% for x in y %}&lt;b&gt;",
    "\x00\x1b[31mred\x1b]8;;https://example.org/\x07\x08\x9b",
    "\u202e\u2066\u200b\u2028\u2029\ufeff reversed",
    "\U0001f600 emoji, é, 漢字, \U000e0041 tag",
    "javascript:window.ran=1",
)
"""Texts that try to act in a page, a template, a terminal or an editor."""


def hostile_samples() -> list[SampleRecord]:
    """Return samples whose every text is hostile, and one whose program is a line of 1 MB."""
    found = []
    for place, text in enumerate(HOSTILE):
        message = Diagnostic(
            level=DiagnosticLevel.ERROR, code=text[:40], message=text, line=2, column=1
        )
        found.append(
            sample(
                PROMPTS[0],
                place,
                program=f"fn one() -> u32 {{\n    // {text}\n}}",
                completion=text,
                outcome=Outcome.COMPILE_ERROR,
                diagnostics=(message,),
                flags=(text[:30],),
                loop=text,
            )
        )
    found.append(sample(PROMPTS[1], 0, program="x" * 1_000_000 + HOSTILE[0]))
    return found


@pytest.fixture(scope="session")
def make_page(tmp_path_factory: pytest.TempPathFactory) -> MakePage:
    """Return a function that writes the page of runs by the command's own function."""

    def make(*paths: Path) -> Path:
        from codebench.commands.report import report_command

        page = tmp_path_factory.mktemp("page") / "report.html"
        report_command(paths, output=page, target=80)
        return page

    return make


@pytest.fixture(scope="session")
def three_steps(write_run: WriteRun) -> tuple[Path, ...]:
    """Return the directories of three runs: all wrong, some right, most right."""
    first = [
        record.model_copy(
            update={"outcome": Outcome.COMPILE_ERROR, "program": f"{record.program}}}\n"}
        )
        for record in samples()
    ]
    last = samples()
    last[6] = sample(PROMPTS[0], 2, program="fn one() -> u32 {\n    2\n}\n").model_copy(
        update={"outcome": Outcome.COMPILED, "diagnostics": ()}
    )
    return write_run(100, first), write_run(500, samples()), write_run(1000, last)


@pytest.fixture(scope="session")
def page(three_steps: tuple[Path, ...], make_page: MakePage) -> Path:
    """Return the page of three runs."""
    return make_page(*three_steps)


@pytest.fixture(scope="session")
def hostile_page(write_run: WriteRun, make_page: MakePage) -> Path:
    """Return a page whose every foreign text is hostile."""
    warning = RunWarning(code="collapse", message="".join(HOSTILE))
    changes = {
        "checkpoint": f"out/step{HOSTILE[0]}",
        "compile_errors": HOSTILE,
        "error_codes": dict.fromkeys(HOSTILE, 1),
        "warnings": (warning,),
    }
    return make_page(write_run(1, hostile_samples(), changes=changes), write_run(2, samples()))
