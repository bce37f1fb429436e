"""One completion in, one record out: cut the program, compile and test it, measure, judge.

Identical programs of a prompt are executed once: what identifies an execution is its content
(program, edition, tests, limits, toolchain), so nothing stale is ever served.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from threading import Lock

import orjson

from codebench.analysis.client import Analyzer
from codebench.analysis.metrics import CodeMetrics
from codebench.errors import SandboxError
from codebench.extract import ExtractMode, Program, extract_program
from codebench.grading import Grader
from codebench.languages.clippy import clippy_step, read_lints
from codebench.languages.rules import RULES
from codebench.languages.verdict import (
    Diagnostic,
    DiagnosticLevel,
    Outcome,
    TestReport,
    compile_outcome,
)
from codebench.prompts.model import Language, Prompt
from codebench.sampling.completion import Completion, FinishReason
from codebench.sandbox.execution import (
    COMPILE_LIMITS,
    MAX_SOURCE_BYTES,
    RUN_LIMITS,
    Execution,
    Sandbox,
)
from codebench.store.record import SampleRecord, SampleTimes, valid_text

_KEPT_DIAGNOSTICS = 20
_REMEMBERED_EXECUTIONS = 2048
_FLAGS_OF_EXECUTION = {"timeout_retried", "shared"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What compiling and testing one program gave, whichever samples hold it."""

    outcome: Outcome
    executions: tuple[Execution, ...]
    diagnostics: tuple[Diagnostic, ...]
    """The kept ones, errors first."""

    n_warnings: int
    tests: TestReport | None = None
    flags: tuple[str, ...] = ()
    lints: Mapping[str, int] | None = None
    compile_ms: float = 0.0
    test_ms: float = 0.0


class _Remembered:
    """Executions by key: the latest few thousand, and those that are running now."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Judged] = OrderedDict()
        self._running: dict[str, Future[Judged]] = {}
        self._lock = Lock()

    def get(self, key: str, make: Callable[[], Judged]) -> tuple[Judged, bool]:
        """Return the execution of `key` and whether it was there; else `make` it, once at a time.

        Raises:
            SandboxError: if `make` does, here and for everybody who waits for it.
        """
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key], True
            running = self._running.get(key)
            mine: Future[Judged] = Future()
            if running is None:
                self._running[key] = mine
        if running is not None:
            return running.result(), True
        try:
            made = make()
        except BaseException as error:
            mine.set_exception(error)
            raise
        else:
            mine.set_result(made)
            self.put(key, made)
            return made, False
        finally:
            with self._lock:
                del self._running[key]

    def put(self, key: str, judged: Judged) -> None:
        """Remember one execution, and forget the one that was not asked for the longest."""
        with self._lock:
            self._known[key] = judged
            if len(self._known) > _REMEMBERED_EXECUTIONS:
                self._known.popitem(last=False)


class Judge:
    """Judges completions; safe for any number of threads."""

    def __init__(
        self,
        sandbox: Sandbox,
        analyzer: Analyzer,
        *,
        extract: ExtractMode,
        grader: Grader | None = None,
        clippy: bool = False,
    ) -> None:
        """Prepare to judge.

        Args:
            sandbox: where everything runs.
            analyzer: measures the texts of programs.
            extract: how programs are cut out of completions.
            grader: runs the tests; without, none are run.
            clippy: whether Rust programs that compile are linted.
        """
        self._sandbox, self._analyzer, self._extract = sandbox, analyzer, extract
        self._grader, self._clippy = grader, clippy
        info = sandbox.info()
        self._circumstances = (
            (info.kind, info.isolation, info.image, info.rustc, info.python),
            (COMPILE_LIMITS.model_dump(), RUN_LIMITS.model_dump()),
            clippy,
        )
        self._remembered = _Remembered()

    def remember(self, record: SampleRecord) -> None:
        """Take over the judgement of a stored sample, so that its program is not run again."""
        if record.execution_key is not None and record.executions and record.outcome.judged:
            judged = Judged(
                outcome=record.outcome,
                executions=record.executions,
                diagnostics=record.diagnostics,
                n_warnings=record.n_warnings,
                tests=record.tests,
                flags=tuple(set(record.flags) & _FLAGS_OF_EXECUTION),
                lints=record.lints,
            )
            self._remembered.put(record.execution_key, judged)

    def judge(self, completion: Completion, *, queue_ms: float) -> SampleRecord:
        """Return the record of one completion; a failure of ours becomes an infra_error record."""
        request = completion.request
        program = extract_program(_clean(completion), self._extract)
        prefix = request.prompt.prefix
        metrics = self._analyzer.measure(
            program.text,
            program.language,
            written_from=len(prefix.encode()) if program.text.startswith(prefix) else 0,
        )
        source = program.text.encode()
        key, reused, error = None, False, None
        judged = _not_run(Outcome.INVALID_SOURCE)
        if len(source) <= MAX_SOURCE_BYTES:
            key = self._execution_key(request.prompt, source)
            try:
                judged, reused = self._remembered.get(
                    key, lambda: self._run(request.prompt, program, metrics)
                )
            except SandboxError as failure:
                judged, error = replace(judged, outcome=Outcome.INFRA_ERROR), str(failure)
        return SampleRecord(
            prompt_set=request.prompt_set,
            prompt_id=request.prompt.id,
            language=program.language,
            index=request.index,
            seed=request.seed,
            prompt=request.prompt.prefix,
            completion=completion.text,
            finish_reason=completion.finish_reason,
            n_tokens=completion.n_tokens,
            loop=completion.loop,
            extraction=program.extraction,
            program=program.text,
            outcome=judged.outcome,
            flags=(*_flags(completion), *sorted(judged.flags)),
            executions=judged.executions,
            diagnostics=judged.diagnostics,
            n_warnings=judged.n_warnings,
            tests=judged.tests,
            lints=judged.lints,
            metrics=metrics,
            times=SampleTimes(
                generation_ms=completion.generation_ms,
                compile_ms=0.0 if reused else judged.compile_ms,
                test_ms=0.0 if reused else judged.test_ms,
                queue_ms=queue_ms,
            ),
            execution_key=key,
            reused=reused,
            error=error,
        )

    def _run(self, prompt: Prompt, program: Program, metrics: CodeMetrics) -> Judged:
        """Compile a program, and test it where that is asked and it compiles.

        Raises:
            SandboxError: if the instrument failed.
        """
        tested = self._grader is not None and bool(prompt.tests)
        declares_item = _declares(metrics, prompt.item)
        if tested and (prompt.language is Language.PYTHON or not prompt.ends_at_item):
            # one step does both; MultiPL-E's programs are none without their tests
            judged = self._test(_not_run(Outcome.COMPILED), prompt, program)
            passed = judged.outcome is Outcome.PASSED  # then it is there, whatever it looks like
            if judged.outcome.compiles and not passed and not declares_item:
                judged = replace(judged, outcome=Outcome.VACUOUS)
        else:
            judged = self._compile(prompt, program, declares_item=declares_item)
            if tested and judged.outcome is Outcome.COMPILED:
                judged = self._test(judged, prompt, program)
        if self._clippy and judged.outcome.compiles and prompt.language is Language.RUST:
            step = clippy_step(program.text.encode(), edition=prompt.edition)
            judged = replace(judged, lints=read_lints(self._sandbox.run(step)))
        return judged

    def _compile(self, prompt: Prompt, program: Program, *, declares_item: bool) -> Judged:
        rules = RULES[program.language]
        step = rules.compile_step(program.text.encode(), edition=prompt.edition)
        result = self._sandbox.run(step)
        said = rules.read_diagnostics(result)
        outcome = compile_outcome(result.execution, said, declares_item=declares_item)
        if outcome is Outcome.INFRA_ERROR:
            raise SandboxError("rustc found no room for its threads: the machine is out of them")
        compile_ms = result.execution.wall_s * 1000
        return _judged(outcome, (result.execution,), said, compile_ms=compile_ms)

    def _test(self, compiled: Judged, prompt: Prompt, program: Program) -> Judged:
        assert self._grader is not None
        graded = self._grader.grade(prompt, program.text)
        judged = _judged(
            graded.outcome,
            (*compiled.executions, *graded.executions),
            (*compiled.diagnostics, *graded.diagnostics),
            compile_ms=compiled.compile_ms,
        )
        return replace(
            judged,
            n_warnings=compiled.n_warnings or _n_warnings(graded.diagnostics),
            tests=graded.tests,
            flags=(*judged.flags, *graded.flags),
            test_ms=sum(execution.wall_s for execution in graded.executions) * 1000,
        )

    def _execution_key(self, prompt: Prompt, source: bytes) -> str:
        tests = prompt.content_sha256 if self._grader is not None and prompt.tests else None
        command = (prompt.language, prompt.edition, prompt.item, tests)
        digest = hashlib.sha256(
            orjson.dumps((command, self._circumstances), option=orjson.OPT_SORT_KEYS)
        )
        digest.update(source)
        return digest.hexdigest()


def _not_run(outcome: Outcome) -> Judged:
    return Judged(outcome=outcome, executions=(), diagnostics=(), n_warnings=0)


def _judged(
    outcome: Outcome,
    executions: tuple[Execution, ...],
    said: Sequence[Diagnostic],
    *,
    compile_ms: float,
) -> Judged:
    errors_first = sorted(said, key=lambda d: d.level is not DiagnosticLevel.ERROR)
    retried = any(execution.retried_alone for execution in executions)
    return Judged(
        outcome=outcome,
        executions=executions,
        diagnostics=tuple(errors_first[:_KEPT_DIAGNOSTICS]),
        n_warnings=_n_warnings(said),
        flags=("timeout_retried",) if retried else (),
        compile_ms=compile_ms,
    )


def _n_warnings(said: Sequence[Diagnostic]) -> int:
    return sum(diagnostic.level is DiagnosticLevel.WARNING for diagnostic in said)


def _clean(completion: Completion) -> Completion:
    text = valid_text(completion.text)
    if text == completion.text:
        return completion
    return replace(completion, text=text)


def _declares(metrics: CodeMetrics, item: str) -> bool:
    """Whether the program holds the item; in doubt (the parser gave up) it does."""
    return metrics.items is None or not metrics.parses or item in metrics.items


def _flags(completion: Completion) -> tuple[str, ...]:
    flags = []
    if completion.finish_reason is FinishReason.LENGTH:
        flags.append("truncated")
    if completion.finish_reason is FinishReason.REPETITION:
        flags.append("repetition")
    if not completion.text.strip():
        flags.append("empty")
    return tuple(flags)
