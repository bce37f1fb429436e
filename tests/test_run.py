"""The run loop, with recorded completions and a scripted sandbox; nothing is compiled here."""

import itertools
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from codebench.analysis.client import Analyzer
from codebench.errors import EnvironmentProblem, SandboxError
from codebench.extract import ExtractMode
from codebench.judge import Judge
from codebench.languages.verdict import Outcome
from codebench.machine import describe_environment
from codebench.plan import Plan, make_plan, share_evenly
from codebench.progress import PlainProgress
from codebench.prompts import load_prompt_set
from codebench.results.aggregate import Aggregator
from codebench.results.reading import RESULTS_NAME
from codebench.run import Finished, Run, Tools
from codebench.run_config import RunConfig
from codebench.sampling.completion import Completion, FinishReason, SampleRequest, SamplerTiming
from codebench.sampling.replay import ReplayedCompletion, ReplaySampler
from codebench.sandbox.execution import Step, StepResult
from codebench.sandbox.scripted import ScriptedSandbox, scripted_result
from codebench.store.manifest import CheckpointInfo, Manifest, RunIdentity, utc_now
from codebench.store.record import SampleRecord
from codebench.store.run_directory import RunDirectory

BASICS = load_prompt_set("rust-basics")
REJECTED = b'{"$message_type":"diagnostic","message":"mismatched types","code":{"code":"E0308"},'
REJECTED += b'"level":"error","spans":[{"is_primary":true,"line_start":1,"column_start":2}]}\n'


def plan_of(n_samples: int, *, limit: int = 4) -> Plan:
    """Plan over the first prompts of rust-basics."""
    return make_plan([BASICS], n_samples=n_samples, samples_per_prompt=None, limit=limit, seed=0)


def completions(plan: Plan) -> list[ReplayedCompletion]:
    """Give sample 0 of every prompt its reference, and the others a text of their own."""
    return [
        ReplayedCompletion(
            prompt_id=request.prompt.id,
            index=request.index,
            completion=request.prompt.reference if not request.index else f" {request.index} }}",
            n_tokens=7,
        )
        for request in plan.requests()
    ]


def accepts_references(step: Step) -> StepResult:
    """Compile what ends as a reference does, reject everything else with E0308."""
    program = step.files["program.rs"].decode()
    references = [prompt.reference or "" for prompt in BASICS.prompts]
    good = any(program.rstrip().endswith(reference.rstrip()) for reference in references)
    return scripted_result(step, exit_code=0 if good else 1, stderr=b"" if good else REJECTED)


def go(
    run_dir: Path,
    plan: Plan,
    answer: Callable[[Step], StepResult] = accepts_references,
    *,
    sampler: ReplaySampler | None = None,
    config: RunConfig | None = None,
    close_sandbox: Callable[[], None] = lambda: None,
) -> tuple[Finished, ScriptedSandbox]:
    """Run a plan to its end with recorded completions."""
    sandbox = ScriptedSandbox(answer)
    sampler = sampler or ReplaySampler(completions(plan))
    identity = RunIdentity(
        checkpoint="0" * 64,
        prompt_sets={BASICS.name: BASICS.sha256},
        sampling=RunConfig().sampling,
        seed=0,
        extract="auto",
    )
    environment = describe_environment(sandbox.info(), dict(sampler.describe()))
    manifest = Manifest(
        run_id="test",
        created=utc_now(),
        identity=identity,
        checkpoint="x",
        checkpoint_info=CheckpointInfo(path=None, format="replay", fingerprint="0", step=None),
        prompt_sets=(),
        environment=environment,
    )
    prompts = {planned.prompt.id for planned in plan.prompts}
    asked = tuple(prompt for prompt in BASICS.prompts if prompt.id in prompts)
    with RunDirectory.open(run_dir, manifest) as directory, Analyzer() as analyzer:
        tools = Tools(
            sampler=sampler,
            judge=Judge(sandbox, analyzer, extract=ExtractMode.AUTO),
            n_workers=2,
            directory=directory,
            progress=PlainProgress(silent=True),
            close_sandbox=close_sandbox,
        )
        run = Run(
            config or RunConfig(),
            plan,
            tools,
            aggregator=Aggregator([BASICS.model_copy(update={"prompts": asked})]),
            started=0.0,
        )
        return run.finish(environment), sandbox


def stored(run_dir: Path) -> list[SampleRecord]:
    """Read the samples of a run back."""
    lines = (run_dir / "samples.jsonl").read_bytes().splitlines()
    return [SampleRecord.model_validate_json(line) for line in lines]


@pytest.mark.parametrize(
    ("n_samples", "n_prompts", "shares"),
    [(100, 16, (7,) * 4 + (6,) * 12), (3, 4, (1, 1, 1, 0)), (8, 4, (2, 2, 2, 2))],
)
def test_samples_are_shared_evenly(n_samples: int, n_prompts: int, shares: tuple[int, ...]) -> None:
    """The first prompts get the odd samples, and the shares add up."""
    assert share_evenly(n_samples, n_prompts) == shares
    assert sum(shares) == n_samples


def test_every_sample_is_judged_and_counted(tmp_path: Path) -> None:
    """Ten samples over four prompts: the four references compile, the six others do not."""
    finished, _ = go(tmp_path, plan_of(10))
    results = finished.results
    assert (results.total_samples, results.compiled, results.compile_success_rate) == (10, 4, 40.0)
    assert [prompt.n_samples for prompt in results.samples_by_prompt] == [3, 3, 2, 2]
    assert results.compile_errors == ("error[E0308]: mismatched types",)
    assert results.error_codes == {"E0308": 6}
    assert len(stored(tmp_path)) == 10
    assert not finished.too_many_infra_errors


def test_identical_programs_are_executed_once(tmp_path: Path) -> None:
    """Samples with one text cost one execution; the others are marked as reused."""
    plan = plan_of(6, limit=1)
    same = [
        ReplayedCompletion(prompt_id=r.prompt.id, index=r.index, completion=" 1 }")
        for r in plan.requests()
    ]
    finished, sandbox = go(tmp_path, plan, sampler=ReplaySampler(same))
    assert len(sandbox.steps) == 1
    assert finished.results.total_samples == 6
    assert sum(record.reused for record in stored(tmp_path)) == 5


def test_a_larger_number_of_samples_only_adds(tmp_path: Path) -> None:
    """The second command draws what the first did not, and executes nothing again."""
    go(tmp_path, plan_of(4))
    before = (tmp_path / "samples.jsonl").read_bytes()
    finished, sandbox = go(tmp_path, plan_of(10))
    assert (tmp_path / "samples.jsonl").read_bytes().startswith(before)
    assert finished.results.total_samples == 10
    assert len(sandbox.steps) == 6
    keys = [(record.prompt_id, record.index) for record in stored(tmp_path)]
    assert len(set(keys)) == len(keys)


def test_a_smaller_number_of_samples_counts_only_those(tmp_path: Path) -> None:
    """Samples beyond what is asked for stay on disk and out of the results."""
    go(tmp_path, plan_of(10))
    finished, sandbox = go(tmp_path, plan_of(4))
    assert finished.results.total_samples == 4
    assert not sandbox.steps
    assert len(stored(tmp_path)) == 10


def test_a_finished_run_keeps_its_times(tmp_path: Path) -> None:
    """Running a finished command again does not overwrite where the time went."""
    first, _ = go(tmp_path, plan_of(4))
    again, _ = go(tmp_path, plan_of(4))
    assert again.results.timing == first.results.timing


def test_our_failure_is_not_the_models(tmp_path: Path) -> None:
    """A sample that we could not judge leaves the denominator, and the next run tries it again."""
    failing = BASICS.prompts[1].prompt.encode()

    def answer(step: Step) -> StepResult:
        if failing in step.files["program.rs"]:
            raise SandboxError("the daemon went away")
        return accepts_references(step)

    finished, _ = go(tmp_path, plan_of(4), answer)
    assert finished.too_many_infra_errors
    assert finished.results.outcomes == {"compiled": 3, "infra_error": 1}
    assert finished.results.compile_success_rate == 100.0
    assert "infra_errors" in {warning.code for warning in finished.results.warnings}
    errored = [r for r in stored(tmp_path) if r.outcome is Outcome.INFRA_ERROR]
    assert [record.error for record in errored] == ["the daemon went away"]

    mended, sandbox = go(tmp_path, plan_of(4))
    assert len(sandbox.steps) == 1
    assert mended.results.outcomes == {"compiled": 4}
    assert not mended.too_many_infra_errors


def test_failing_again_and_again_ends_the_run(tmp_path: Path) -> None:
    """When nothing can be judged the run stops early, with what it has."""

    def answer(step: Step) -> StepResult:
        raise SandboxError("no daemon")

    plan = make_plan([BASICS], n_samples=400, samples_per_prompt=None, limit=None, seed=0)
    finished, _ = go(tmp_path, plan, answer)
    assert finished.results.compile_success_rate is None
    assert finished.results.total_samples < 400
    assert {"partial", "infra_errors"} <= {warning.code for warning in finished.results.warnings}
    assert (tmp_path / RESULTS_NAME).exists()


class _SlowSampler(ReplaySampler):
    """Hands out two completions, then waits until the deadline has passed."""

    def sample(self, requests: Iterable[SampleRequest]) -> Iterator[Completion]:
        for number, completion in enumerate(super().sample(requests)):
            if number == 2:
                threading.Event().wait(0.3)
            yield completion


def test_the_timeout_ends_with_valid_partial_results(tmp_path: Path) -> None:
    """What was judged in time is kept, said to be partial, and gone on with later."""
    plan = plan_of(10)
    config = RunConfig(timeout_s=1e-9)
    finished, _ = go(tmp_path, plan, config=config)
    assert finished.results.total_samples == 0
    assert finished.results.compile_success_rate is None
    assert "--timeout" in finished.results.warnings[-1].message
    later, _ = go(tmp_path, plan, sampler=_SlowSampler(completions(plan)))
    assert later.results.total_samples == 10


def test_a_full_disk_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that cannot be written ends the run with the disk's message."""

    def full(directory: RunDirectory, record: SampleRecord) -> None:
        raise EnvironmentProblem("cannot write a sample: no space left on device")

    monkeypatch.setattr(RunDirectory, "append", full)
    with pytest.raises(EnvironmentProblem, match="no space"):
        go(tmp_path, plan_of(10))


def test_ctrl_c_keeps_what_was_judged(tmp_path: Path) -> None:
    """An interrupt stops the workers and leaves a directory that can be gone on with."""

    class Interrupted(ReplaySampler):
        def sample(self, requests: Iterable[SampleRequest]) -> Iterator[Completion]:
            for number, completion in enumerate(super().sample(requests)):
                if number == 6:
                    raise KeyboardInterrupt
                yield completion

    plan = plan_of(10)
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path, plan, sampler=Interrupted(completions(plan)))
    assert len(stored(tmp_path)) <= 6
    finished, _ = go(tmp_path, plan)
    assert finished.results.total_samples == 10


class _Queue:
    """A sandbox in which everything but the references waits for a slot until it is closed."""

    def __init__(self) -> None:
        self.closed = threading.Event()
        self.waits = threading.Event()

    def answer(self, step: Step) -> StepResult:
        result = accepts_references(step)
        if result.execution.exit_code == 0:
            return result
        self.waits.set()
        assert self.closed.wait(timeout=60)
        raise SandboxError("the sandbox is closed")


def test_the_timeout_does_not_wait_for_slots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Programs that still wait long after the timeout are left to the next run; none failed."""
    monkeypatch.setattr("codebench.run._GRACE_S", 0.0)
    line, plan = _Queue(), plan_of(10)
    config = RunConfig(timeout_s=time.monotonic() + 1)  # the run began at 0
    finished, _ = go(tmp_path, plan, line.answer, config=config, close_sandbox=line.closed.set)
    assert line.waits.is_set()
    assert finished.n_infra_errors == 0
    assert finished.results.outcomes == {"compiled": finished.results.total_samples}
    assert finished.results.total_samples < 10
    assert "--timeout" in finished.results.warnings[-1].message
    later, _ = go(tmp_path, plan)
    assert later.results.total_samples == 10


@pytest.mark.parametrize("n_samples", [8, 400])
def test_ctrl_c_does_not_wait_for_slots(tmp_path: Path, n_samples: int) -> None:
    """Ctrl-C while programs wait for a slot ends their wait, all samples drawn (8) or not (400)."""
    line, plan, numbers = _Queue(), plan_of(n_samples), itertools.count()

    def answer(step: Step) -> StepResult:
        if next(numbers) == 0:
            threading.Timer(0.3, signal.raise_signal, [signal.SIGINT]).start()
        return line.answer(step)

    with pytest.raises(KeyboardInterrupt):
        go(tmp_path, plan, answer, close_sandbox=line.closed.set)
    assert line.closed.is_set()
    assert {record.outcome for record in stored(tmp_path)} <= {Outcome.COMPILED}


def test_flags_say_what_the_outcome_does_not(tmp_path: Path) -> None:
    """Truncated, repeating and empty completions are flagged beside their outcome."""
    plan = plan_of(3, limit=3)
    reasons = [FinishReason.LENGTH, FinishReason.REPETITION, FinishReason.EOS]
    texts = [" 1", "{ { {", " \n"]
    made = [
        ReplayedCompletion(prompt_id=r.prompt.id, index=0, completion=text, finish_reason=reason)
        for r, reason, text in zip(plan.requests(), reasons, texts, strict=True)
    ]
    finished, _ = go(tmp_path, plan, sampler=ReplaySampler(made))
    flags = {record.prompt_id: record.flags for record in stored(tmp_path)}
    expected = [("truncated",), ("repetition",), ("empty",)]
    assert [flags[line.prompt_id] for line in made] == expected
    degeneration = finished.results.degeneration
    assert (degeneration.n_truncated, degeneration.n_repetition, degeneration.n_empty) == (1, 1, 1)


def test_replayed_time_is_not_sampling_time() -> None:
    """A replayed completion costs no decoding, so tokens per second stays undefined."""
    timing: SamplerTiming = ReplaySampler([]).timing()
    assert timing.decode_s == 0.0
