"""The one loop that joins the rooms: while the sampler draws, the slots compile what it has drawn.

The main thread samples and puts completions into a bounded queue; one thread per slot takes them,
judges them and appends the records, each the moment it is done. Whatever ends the run (its last
sample, the timeout, Ctrl-C, kill -9), what was appended stays, and the same command goes on.
"""

import contextlib
import queue
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from codebench.analysis.client import Analyzer
from codebench.checkpoints.checkpoint import Checkpoint
from codebench.judge import Judge
from codebench.languages.verdict import Outcome
from codebench.machine import describe_environment
from codebench.plan import Plan
from codebench.progress import Progress, Snapshot
from codebench.prompts.model import PromptSet
from codebench.results.aggregate import Aggregator
from codebench.results.facts import RunFacts, RunTiming
from codebench.results.model import Results
from codebench.results.parts import RunWarning
from codebench.run_config import RunConfig
from codebench.sampling.completion import Completion, Sampler, SampleRequest, SamplerTiming
from codebench.sandbox.choose import open_sandbox
from codebench.sandbox.pool import SlotPool
from codebench.store.disk import write_atomically
from codebench.store.manifest import (
    CheckpointInfo,
    Environment,
    Manifest,
    PromptSetInfo,
    RunIdentity,
    utc_now,
)
from codebench.store.record import SampleKey, SampleRecord
from codebench.store.run_directory import RunDirectory

_INFRA_ERRORS_IN_A_ROW = 8
_DECIDES_TEXTS = ("dtype",)
"""Facts of the sampler that change what it writes."""

RESULTS_NAME = "results.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A run that came to its end, or to its timeout."""

    results: Results
    run_dir: Path
    n_infra_errors: int
    too_many_infra_errors: bool


def default_run_dir(run_id: str) -> Path:
    """Return where a run lives when nobody says otherwise."""
    return Path("runs") / run_id


def identify(
    config: RunConfig, fingerprint: str, prompt_sets: Sequence[PromptSet], sampler: Sampler
) -> RunIdentity:
    """Return what decides the texts of the samples and their judgement."""
    facts = sampler.describe()
    return RunIdentity(
        checkpoint=fingerprint,
        prompt_sets={prompt_set.name: prompt_set.sha256 for prompt_set in prompt_sets},
        sampling=config.sampling,
        seed=config.seed,
        extract=config.extract,
        options={name: facts[name] for name in _DECIDES_TEXTS if name in facts},
    )


def execute(
    config: RunConfig,
    checkpoint: Checkpoint,
    prompt_sets: Sequence[PromptSet],
    plan: Plan,
    progress: Progress,
) -> Finished:
    """Run to the end and write results.json into the run's directory.

    Raises:
        CodebenchError: if the run cannot start or go on; what was judged is kept.
        KeyboardInterrupt: after everything judged so far is on disk.
    """
    started = time.monotonic()
    with contextlib.ExitStack() as stack:
        executor = stack.enter_context(ThreadPoolExecutor(max_workers=1))
        opening = executor.submit(
            open_sandbox, config.sandbox, n_slots=config.n_slots, notify=progress.say
        )
        stack.callback(_close_when_open, opening)
        sampler = _open_sampler(config, checkpoint, progress, opening)
        sandbox = opening.result()
        environment = describe_environment(sandbox.info(), dict(sampler.describe()))
        identity = identify(config, checkpoint.fingerprint, prompt_sets, sampler)
        manifest = _manifest(identity, checkpoint, prompt_sets, environment)
        path = config.run_dir or default_run_dir(manifest.run_id)
        directory = stack.enter_context(RunDirectory.open(path, manifest))
        analyzer = stack.enter_context(Analyzer())
        tools = Tools(
            sampler=sampler,
            judge=Judge(sandbox, analyzer, extract=config.extract),
            n_workers=sandbox.info().n_slots,
            directory=directory,
            progress=progress,
        )
        aggregator = Aggregator(_asked(plan, prompt_sets))
        run = Run(config, plan, tools, aggregator=aggregator, started=started)
        return run.finish(environment)


def _close_when_open(opening: "Future[SlotPool]") -> None:
    if not opening.cancel() and opening.exception() is None:
        opening.result().close()


def _open_sampler(
    config: RunConfig, checkpoint: Checkpoint, progress: Progress, opening: "Future[SlotPool]"
) -> Sampler:
    if opening.done():
        opening.result()  # no sandbox: say so before torch is loaded
    from codebench.sampling.opening import open_sampler

    sampler = open_sampler(
        checkpoint,
        config.sampling,
        device=config.device,
        batch_size=config.batch_size,
        notify=progress.say,
    )
    facts = sampler.describe()
    progress.say(f"sampling on {facts['device']} in {facts['dtype']}, {facts['rows']} rows")
    return sampler


def _manifest(
    identity: RunIdentity,
    checkpoint: Checkpoint,
    prompt_sets: Sequence[PromptSet],
    environment: Environment,
) -> Manifest:
    return Manifest(
        run_id=identity.run_id(checkpoint.path.name),
        created=utc_now(),
        identity=identity,
        checkpoint=str(checkpoint.path),
        checkpoint_info=CheckpointInfo(
            path=str(checkpoint.path),
            format=checkpoint.format,
            fingerprint=checkpoint.fingerprint,
            step=checkpoint.step,
        ),
        prompt_sets=tuple(
            PromptSetInfo(
                name=prompt_set.name,
                version=prompt_set.version,
                language=prompt_set.language,
                n_prompts=len(prompt_set.prompts),
                sha256=prompt_set.sha256,
            )
            for prompt_set in prompt_sets
        ),
        environment=environment,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Drawn:
    """A completion on its way to a slot."""

    completion: Completion
    at: float
    """When it was finished, time.monotonic() seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What a run works with."""

    sampler: Sampler
    judge: Judge
    n_workers: int
    """Completions that are judged at the same time."""

    directory: RunDirectory
    progress: Progress


class Run:
    """The state of one run: what is done, what is under way, and what went wrong."""

    def __init__(
        self, config: RunConfig, plan: Plan, tools: Tools, *, aggregator: Aggregator, started: float
    ) -> None:
        self._config, self._plan, self._aggregator = config, plan, aggregator
        self._sampler, self._judge = tools.sampler, tools.judge
        self._directory, self._progress = tools.directory, tools.progress
        self._n_workers = tools.n_workers
        self._started = started
        self._deadline = started + config.timeout_s if config.timeout_s else None
        self._queue: queue.Queue[_Drawn | None] = queue.Queue(maxsize=8 * tools.n_workers)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._ended_by: str | None = None
        self._n_resumed = self._n_generated = 0
        self._n_infra = self._n_infra_in_a_row = 0
        self._compiling_s = self._queue_s = 0.0
        self._startup_s = 0.0

    def finish(self, environment: Environment) -> Finished:
        """Do what is left to do, then write results.json.

        Raises:
            CodebenchError: if the run directory cannot be written.
            KeyboardInterrupt: after the workers have stopped.
        """
        self._take_over()
        self._startup_s = time.monotonic() - self._started
        if self._n_resumed < self._plan.n_samples:
            self._sample_and_judge()
        self._directory.sync()
        results = self._aggregator.finish(self._directory.manifest, self._facts(environment))
        write_atomically(self._directory.path / RESULTS_NAME, results.to_json())
        return Finished(
            results=results,
            run_dir=self._directory.path,
            n_infra_errors=self._n_infra,
            too_many_infra_errors=self._n_infra > self._config.max_infra_errors,
        )

    def _take_over(self) -> None:
        """Count what an earlier invocation has judged already."""
        wanted = {(p.prompt_set, p.prompt.id): p.n_samples for p in self._plan.prompts}
        for record in self._directory.records():
            asked = record.index < wanted.get((record.prompt_set, record.prompt_id), 0)
            if asked and record.outcome.judged:
                self._aggregator.add(record)
                self._judge.remember(record)
                self._n_resumed += 1
        if self._n_resumed:
            self._progress.say(
                f"resuming: {self._n_resumed} of {self._plan.n_samples} samples are there already"
            )

    def _sample_and_judge(self) -> None:
        workers = [
            threading.Thread(target=self._work, name=f"judge-{i}") for i in range(self._n_workers)
        ]
        for worker in workers:
            worker.start()
        try:
            self._sample()
        except BaseException:
            self._stop.set()
            raise
        finally:
            for _ in workers:
                self._put(None)
            for worker in workers:
                worker.join()
        if self._failure is not None:
            raise self._failure

    def _sample(self) -> None:
        for completion in self._sampler.sample(self._to_draw()):
            self._n_generated += 1
            self._put(_Drawn(completion=completion, at=time.monotonic()))
            self._progress.show(self._snapshot)
            if self._ending():
                return

    def _to_draw(self) -> Iterator[SampleRequest]:
        for request in self._plan.requests():
            if self._ending():
                return
            key = SampleKey(request.prompt_set, request.prompt.id, request.index)
            if not self._directory.is_done(key):
                yield request

    def _ending(self) -> bool:
        if self._deadline is not None and time.monotonic() > self._deadline:
            self._ended_by = "--timeout"
        return self._ended_by is not None or self._stop.is_set()

    def _put(self, drawn: _Drawn | None) -> None:
        """Wait for room in the queue; when the run is ending for a failure nobody takes it."""
        while True:
            try:
                self._queue.put(drawn, timeout=0.2)
            except queue.Full:
                if self._stop.is_set():
                    with contextlib.suppress(queue.Empty):
                        self._queue.get_nowait()
                self._progress.show(self._snapshot)
            else:
                return

    def _work(self) -> None:
        while (drawn := self._queue.get()) is not None:
            if self._stop.is_set():
                continue
            try:
                self._judge_one(drawn)
            except BaseException as error:  # noqa: BLE001 - raised again by the main thread
                self._failure = self._failure or error
                self._stop.set()

    def _judge_one(self, drawn: _Drawn) -> None:
        waited_s = time.monotonic() - drawn.at
        record = self._judge.judge(drawn.completion, queue_ms=waited_s * 1000)
        with self._lock:
            self._directory.append(record)
            self._aggregator.add(record)
            self._compiling_s += record.times.compile_ms / 1000
            self._queue_s += waited_s
            self._note_infra(record)

    def _note_infra(self, record: SampleRecord) -> None:
        if record.outcome is not Outcome.INFRA_ERROR:
            self._n_infra_in_a_row = 0
            return
        self._n_infra += 1
        self._n_infra_in_a_row += 1
        self._progress.say(f"infra_error: {record.prompt_id} {record.index}: {record.error}")
        if self._n_infra_in_a_row >= _INFRA_ERRORS_IN_A_ROW:
            self._ended_by = f"{self._n_infra_in_a_row} infra errors in a row"
            self._stop.set()

    def _snapshot(self) -> Snapshot:
        timing = self._sampler.timing()
        busy_s = timing.prefill_s + timing.decode_s
        tally = self._aggregator.tally
        done = tally.total - self._n_resumed
        left_s = None
        if done:
            elapsed_s = time.monotonic() - self._started - self._startup_s
            left_s = elapsed_s / done * (self._plan.n_samples - tally.total)
        return Snapshot(
            n_samples=self._plan.n_samples,
            n_generated=self._n_resumed + self._n_generated,
            n_judged=tally.judged,
            n_compiled=tally.compiled,
            tokens_per_second=timing.n_generated_tokens / busy_s if busy_s else None,
            left_s=left_s,
        )

    def _facts(self, environment: Environment) -> RunFacts:
        warnings: tuple[RunWarning, ...] = ()
        if environment.isolation == "none":
            message = "programs ran without isolation (--sandbox none)"
            warnings = (RunWarning(code="unsandboxed", message=message),)
        return RunFacts(
            timestamp=utc_now(),
            n_samples=self._plan.n_samples,
            environment=environment,
            timing=self._timing(),
            stopped_by=self._ended_by,
            warnings=warnings,
        )

    def _timing(self) -> RunTiming:
        """Return where the time went: of the last invocation that drew anything."""
        earlier = None if self._n_generated else _earlier_timing(self._directory.path)
        return earlier or RunTiming(
            wall_s=time.monotonic() - self._started,
            startup_s=self._startup_s,
            compiling_s=self._compiling_s,
            queue_s=self._queue_s,
            n_resumed_samples=self._n_resumed,
            sampler=self._sampler.timing(),
        )


def _earlier_timing(run_dir: Path) -> RunTiming | None:
    try:
        timing = Results.model_validate_json((run_dir / RESULTS_NAME).read_bytes()).timing
    except (OSError, ValueError):
        return None
    return RunTiming(
        wall_s=timing.wall_s,
        startup_s=timing.startup_s,
        compiling_s=timing.compiling_s,
        queue_s=timing.queue_s,
        n_resumed_samples=timing.n_resumed_samples,
        sampler=SamplerTiming(
            load_s=0.0,
            prefill_s=timing.prefill_s,
            decode_s=timing.decode_s,
            n_prompt_tokens=timing.n_prompt_tokens,
            n_generated_tokens=timing.n_generated_tokens,
            n_wasted_tokens=timing.n_wasted_tokens,
        ),
    )


def _asked(plan: Plan, prompt_sets: Sequence[PromptSet]) -> tuple[PromptSet, ...]:
    """Return the sets, cut to the prompts that the plan asks."""
    asked = {(planned.prompt_set, planned.prompt.id) for planned in plan.prompts}

    def cut(whole: PromptSet) -> PromptSet:
        prompts = tuple(prompt for prompt in whole.prompts if (whole.name, prompt.id) in asked)
        return whole.model_copy(update={"prompts": prompts})

    return tuple(map(cut, prompt_sets))
