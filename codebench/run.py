"""The one loop that joins the rooms: while the sampler draws, the slots compile what it has drawn.

The main thread samples and puts completions into a bounded queue; threads, a few more than slots,
take them, judge them and append the records, each the moment it is done. Whatever ends the run (its
last sample, the timeout, Ctrl-C, kill -9), what was appended stays, and the same command goes on.
"""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from codebench.judge import Judge
from codebench.languages.verdict import Outcome
from codebench.plan import Plan
from codebench.progress import Progress, Snapshot
from codebench.results.aggregate import Aggregator
from codebench.results.facts import RunFacts, RunTiming
from codebench.results.model import Results
from codebench.results.parts import RunWarning, Timing
from codebench.results.reading import RESULTS_NAME
from codebench.run_config import RunConfig
from codebench.sampling.completion import Completion, Sampler, SampleRequest
from codebench.store.disk import write_atomically
from codebench.store.manifest import Environment, utc_now
from codebench.store.record import SampleKey, SampleRecord
from codebench.store.run_directory import RunDirectory

_INFRA_ERRORS_IN_A_ROW = 8
_LOOK_S = 0.2
_GRACE_S = 30.0
"""After its timeout a run draws nothing more, and judges what is drawn already for so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A run that came to its end, or to its timeout."""

    results: Results
    run_dir: Path
    n_infra_errors: int
    too_many_infra_errors: bool


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
    """Completions that are judged at the same time, those among them that wait for a slot."""

    directory: RunDirectory
    progress: Progress
    close_sandbox: Callable[[], None] = lambda: None
    """Makes whoever waits for a slot fail at once; called when nothing more is to be judged."""


class Run:
    """The state of one run: what is done, what is under way, and what went wrong."""

    def __init__(
        self, config: RunConfig, plan: Plan, tools: Tools, *, aggregator: Aggregator, started: float
    ) -> None:
        self._config, self._plan, self._aggregator = config, plan, aggregator
        self._sampler, self._judge = tools.sampler, tools.judge
        self._directory, self._progress = tools.directory, tools.progress
        self._n_workers, self._close_sandbox = tools.n_workers, tools.close_sandbox
        self._started = started
        self._deadline = started + config.timeout_s if config.timeout_s else None
        self._queue: queue.Queue[_Drawn | None] = queue.Queue(maxsize=2 * tools.n_workers)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        """Set when nothing more is to be judged."""

        self._sandbox_is_closed = False
        self._failure: BaseException | None = None
        self._ended_by: str | None = None
        self._n_resumed = self._n_generated = 0
        self._n_infra = self._n_infra_in_a_row = 0
        self._compiling_s = self._testing_s = self._queue_s = 0.0
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
        earlier = _earlier(self._directory.path)
        facts = self._facts(environment, earlier)
        results = self._aggregator.finish(self._directory.manifest, facts)
        if earlier is not None:
            results = results.model_copy(update={"ratings": earlier.ratings})
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
        # daemons: a second Ctrl-C, which breaks the wait below, must still end the process
        workers = [
            threading.Thread(target=self._work, name=f"judge-{i}", daemon=True)
            for i in range(self._n_workers)
        ]
        try:
            for worker in workers:  # an interrupt can come here already
                worker.start()
            self._sample()
            self._wait_for(workers)
        except BaseException:
            self._stop.set()
            self._wait_for(workers)
            raise
        if self._failure is not None:
            raise self._failure

    def _wait_for(self, workers: Sequence[threading.Thread]) -> None:
        """Let the workers end: when all that is drawn is judged, or when that is given up."""
        self._gives_up()  # first, that they wait for no slot
        for _ in workers:
            self._put(None)
        while alive := [worker for worker in workers if worker.is_alive()]:
            if not self._gives_up():
                self._progress.show(self._snapshot)
            alive[0].join(_LOOK_S)

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

    def _gives_up(self) -> bool:
        """Whether nothing more is to be judged, for a failure or for time; if so, end all waits."""
        if self._deadline is not None and time.monotonic() > self._deadline + _GRACE_S:
            self._ended_by = self._ended_by or "--timeout"
            self._stop.set()
        if self._stop.is_set() and not self._sandbox_is_closed:
            self._sandbox_is_closed = True
            self._close_sandbox()
        return self._stop.is_set()

    def _put(self, drawn: _Drawn | None) -> None:
        """Wait for room in the queue; make it when nothing more is to be judged."""
        while True:
            try:
                self._queue.put(drawn, timeout=_LOOK_S)
            except queue.Full:
                if self._gives_up():
                    with contextlib.suppress(queue.Empty):
                        self._queue.get_nowait()
                else:
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
        if record.outcome is Outcome.INFRA_ERROR and self._stop.is_set():
            return  # it was not let into a slot any more: left for the next invocation
        with self._lock:
            self._directory.append(record)
            self._aggregator.add(record)
            self._compiling_s += record.times.compile_ms / 1000
            self._testing_s += record.times.test_ms / 1000
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

    def _facts(self, environment: Environment, earlier: Results | None) -> RunFacts:
        warnings: tuple[RunWarning, ...] = ()
        if environment.isolation == "none":
            message = "programs ran without isolation (--sandbox none)"
            warnings = (RunWarning(code="unsandboxed", message=message),)
        return RunFacts(
            timestamp=utc_now(),
            n_samples=self._plan.n_samples,
            environment=environment,
            timing=self._timing(earlier),
            stopped_by=self._ended_by,
            warnings=warnings,
        )

    def _timing(self, earlier: Results | None) -> Timing:
        """Return where the time went: of the last invocation that drew anything."""
        if not self._n_generated and earlier is not None:
            return earlier.timing
        drawn = self._sampler.timing()
        wall_s = time.monotonic() - self._started
        bound = None
        if drawn.n_generated_tokens and drawn.decode_s:
            mean_prompt = drawn.n_prompt_tokens / len(self._plan.prompts)  # each is read once
            mean_written = drawn.n_generated_tokens / self._n_generated
            bound = self._sampler.bound_tokens_per_second(
                mean_context=mean_prompt + mean_written / 2
            )
        return RunTiming(
            wall_s=wall_s,
            startup_s=self._startup_s,
            compiling_s=self._compiling_s,
            testing_s=self._testing_s,
            queue_s=self._queue_s,
            n_resumed_samples=self._n_resumed,
            sampler=drawn,
            bound_tokens_per_second=bound,
        ).results()


def _earlier(run_dir: Path) -> Results | None:
    try:
        return Results.model_validate_json((run_dir / RESULTS_NAME).read_bytes())
    except (OSError, ValueError):
        return None
