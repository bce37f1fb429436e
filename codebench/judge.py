"""One completion in, one record out: cut the program, compile it in the sandbox, measure, judge.

Identical programs are executed once: what identifies an execution is its content (program, command,
environment, limits, toolchain), so nothing stale is ever served.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from threading import Lock

import orjson

from codebench.analysis.client import Analyzer
from codebench.analysis.metrics import CodeMetrics
from codebench.errors import SandboxError
from codebench.extract import ExtractMode, Program, extract_program
from codebench.languages.rules import RULES
from codebench.languages.verdict import Diagnostic, DiagnosticLevel, Outcome, compile_outcome
from codebench.sampling.completion import Completion, FinishReason
from codebench.sandbox.execution import MAX_SOURCE_BYTES, Execution, Sandbox, Step
from codebench.store.record import SampleRecord, SampleTimes, valid_text

_KEPT_DIAGNOSTICS = 20
_REMEMBERED_EXECUTIONS = 2048


@dataclass(frozen=True, slots=True)
class Compiled:
    """What one compilation gave."""

    execution: Execution
    diagnostics: tuple[Diagnostic, ...]
    """The kept ones, errors first."""

    n_warnings: int


class _Remembered:
    """Executions by key: the latest few thousand, and those that are running now."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Compiled] = OrderedDict()
        self._running: dict[str, Future[Compiled]] = {}
        self._lock = Lock()

    def get(self, key: str, make: Callable[[], Compiled]) -> tuple[Compiled, bool]:
        """Return the execution of `key` and whether it was there; else `make` it, once at a time.

        Raises:
            SandboxError: if `make` does, here and for everybody who waits for it.
        """
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key], True
            running = self._running.get(key)
            mine: Future[Compiled] = Future()
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

    def put(self, key: str, compiled: Compiled) -> None:
        """Remember one execution, and forget the one that was not asked for the longest."""
        with self._lock:
            self._known[key] = compiled
            if len(self._known) > _REMEMBERED_EXECUTIONS:
                self._known.popitem(last=False)


class Judge:
    """Judges completions; safe for as many threads as the sandbox has slots."""

    def __init__(self, sandbox: Sandbox, analyzer: Analyzer, *, extract: ExtractMode) -> None:
        self._sandbox, self._analyzer, self._extract = sandbox, analyzer, extract
        info = sandbox.info()
        self._toolchain = (info.kind, info.isolation, info.image, info.rustc, info.python)
        self._remembered = _Remembered()

    def remember(self, record: SampleRecord) -> None:
        """Take over the execution of a stored sample, so that its program is not run again."""
        if record.execution_key is not None and record.executions and record.outcome.judged:
            compiled = Compiled(record.executions[0], record.diagnostics, record.n_warnings)
            self._remembered.put(record.execution_key, compiled)

    def judge(self, completion: Completion, *, queue_ms: float) -> SampleRecord:
        """Return the record of one completion; a failure of ours becomes an infra_error record."""
        request = completion.request
        program = extract_program(_clean(completion), self._extract)
        metrics = self._analyzer.measure(program.text, program.language)
        source = program.text.encode()
        started = time.perf_counter()
        key, compiled, reused, error = None, None, False, None
        if len(source) > MAX_SOURCE_BYTES:
            outcome = Outcome.INVALID_SOURCE
        else:
            step = RULES[program.language].compile_step(source)
            key = self._execution_key(step)
            try:
                compiled, reused = self._remembered.get(key, lambda: self._compile(step, program))
            except SandboxError as failure:
                outcome, error = Outcome.INFRA_ERROR, str(failure)
            else:
                outcome = compile_outcome(
                    compiled.execution,
                    compiled.diagnostics,
                    declares_item=_declares(metrics, request.prompt.item),
                )
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
            outcome=outcome,
            flags=_flags(completion, compiled),
            executions=(compiled.execution,) if compiled else (),
            diagnostics=compiled.diagnostics if compiled else (),
            n_warnings=compiled.n_warnings if compiled else 0,
            metrics=metrics,
            times=SampleTimes(
                generation_ms=completion.generation_ms,
                compile_ms=0.0 if reused else (time.perf_counter() - started) * 1000,
                queue_ms=queue_ms,
            ),
            execution_key=key,
            reused=reused,
            error=error,
        )

    def _compile(self, step: Step, program: Program) -> Compiled:
        result = self._sandbox.run(step)
        said = RULES[program.language].read_diagnostics(result)
        errors_first = sorted(said, key=lambda d: d.level is not DiagnosticLevel.ERROR)
        n_warnings = sum(d.level is DiagnosticLevel.WARNING for d in said)
        return Compiled(result.execution, tuple(errors_first[:_KEPT_DIAGNOSTICS]), n_warnings)

    def _execution_key(self, step: Step) -> str:
        digest = hashlib.sha256()
        command = (step.argv, dict(step.env), step.limits.model_dump(), self._toolchain)
        digest.update(orjson.dumps(command, option=orjson.OPT_SORT_KEYS))
        for name, content in sorted(step.files.items()):
            digest.update(f"\0{name}\0{len(content)}\0".encode() + content)
        return digest.hexdigest()


def _clean(completion: Completion) -> Completion:
    text = valid_text(completion.text)
    if text == completion.text:
        return completion
    return replace(completion, text=text)


def _declares(metrics: CodeMetrics, item: str) -> bool:
    """Whether the program holds the item; in doubt (the parser gave up) it does."""
    return metrics.items is None or not metrics.parses or item in metrics.items


def _flags(completion: Completion, compiled: Compiled | None) -> tuple[str, ...]:
    flags = []
    if completion.finish_reason is FinishReason.LENGTH:
        flags.append("truncated")
    if completion.finish_reason is FinishReason.REPETITION:
        flags.append("repetition")
    if not completion.text.strip():
        flags.append("empty")
    if compiled is not None and compiled.execution.retried_alone:
        flags.append("timeout_retried")
    return tuple(flags)
