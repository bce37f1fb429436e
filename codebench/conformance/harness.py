"""Programs that attack our own side: the judge, the parsers, and who is to blame."""

from codebench.analysis.client import Analyzer
from codebench.conformance.case import Bench, Case, Group, first, promise, told, unless
from codebench.extract import ExtractMode
from codebench.judge import Judge
from codebench.languages.python import PythonRules
from codebench.languages.verdict import Outcome, compile_outcome
from codebench.prompts.model import Language, Prompt
from codebench.sampling.completion import Completion, FinishReason, SampleRequest
from codebench.sandbox.execution import MAX_SOURCE_BYTES, MIB, StoppedBy
from codebench.store.record import SampleRecord

CASES: list[Case] = []
_compiling = promise(Group.COMPILING, CASES)
_parsers = promise(Group.PARSERS, CASES)
_faults = promise(Group.FAULTS, CASES)
_PROMPT = Prompt(
    id="f", language=Language.RUST, category="", item="fn f", prompt="pub fn f() {", tests=()
)
_PYTHON = PythonRules()
_HANG = "x = " + "lambda: " * 100_000 + "a"
"""As Rust: seconds of error recovery, in which tree-sitter calls nobody back (tree-sitter 0.26)."""


def _judge(bench: Bench, *completions: str) -> list[SampleRecord]:
    """Judge completions of `pub fn f() {` as a run does."""
    with Analyzer() as analyzer:
        judge = Judge(bench.sandbox, analyzer, extract=ExtractMode.RAW)
        return [
            judge.judge(
                Completion(
                    request=SampleRequest(prompt=_PROMPT, index=0, seed=0),
                    text=text,
                    finish_reason=FinishReason.EOS,
                    n_tokens=1,
                    generation_ms=0.0,
                ),
                queue_ms=0.0,
            )
            for text in completions
        ]


@_compiling
def test_lone_surrogate_sample(bench: Bench) -> str | None:
    """Half a surrogate pair, which no file can hold, is judged as a character that is none."""
    in_name, in_comment = _judge(bench, " let \ud800 = 1; }", " /* \udfff */ }")
    outcomes = (in_name.outcome, in_comment.outcome)
    replaced = "\ufffd" in in_comment.program and in_comment.to_line().isascii() is False
    return first(
        unless(outcomes == (Outcome.COMPILE_ERROR, Outcome.COMPILED), outcomes),
        unless(replaced, in_comment.program),
    )


@_compiling
def test_giant_source_rejected(bench: Bench) -> str | None:
    """A program above the limit is invalid and never run; one just below it is compiled."""
    head = len(_PROMPT.prompt.encode())
    room = MAX_SOURCE_BYTES - head - len("}")
    judged = _judge(bench, "\n" * (room + 1) + "}", "\n" * room + "}", "\n" * (room - 1) + "1}")
    seen = [(record.outcome, len(record.executions)) for record in judged]
    expected = [
        (Outcome.INVALID_SOURCE, 0),
        (Outcome.COMPILED, 1),
        (Outcome.COMPILE_ERROR, 1),
    ]
    return unless(seen == expected, seen)


@_parsers
def test_deep_nesting_python_ast_subprocess(bench: Bench) -> str | None:
    """Nesting that is too deep for Python's own parser is rejected, or ends a child, not us."""
    for program in (
        "(" * 300 + ")" * 300,
        "x = " + "-" * 200_000 + "1",
        "x = " + "+".join("1" * 100_000),
        "[" * 100_000,
        "x = " + "lambda: " * 50_000 + "1",
        "".join(" " * n + "if 1:\n" for n in range(200)) + " " * 200 + "pass",
    ):
        result = bench.run(_PYTHON.compile_step(program.encode()))
        messages = _PYTHON.read_diagnostics(result)
        outcome = compile_outcome(result.execution, messages, declares_item=True)
        crashed = outcome is Outcome.COMPILE_CRASH and result.execution.signal
        if outcome is not Outcome.COMPILE_ERROR and not crashed:
            return f"{program[:20]!r}: {outcome}: {told(result)}"
    return None


def _is_right(analyzer: Analyzer) -> str | None:
    """Say what is seen unless a harmless program is measured rightly."""
    metrics = analyzer.measure("fn f() {}", Language.RUST)
    return unless(metrics.functions == 1, f"the next program has {metrics.functions} functions")


@_parsers
def test_deep_nesting_tree_sitter_subprocess(bench: Bench) -> str | None:  # noqa: ARG001 - no sandbox
    """Deep nesting, closed or not, neither crashes nor hangs us; the next program is right."""
    with Analyzer(deadline_s=1) as analyzer:
        for language in Language:
            for text in ("(" * 100_000, "(" * 100_000 + ")" * 100_000, "fn f(){ " * 5_000):
                lines = analyzer.measure(text, language).lines
                if lines != 1:
                    return f"{lines} lines"
        return _is_right(analyzer)


@_parsers
def test_treesitter_hang_killed(bench: Bench) -> str | None:  # noqa: ARG001 - no sandbox
    """A parser that is busy past its deadline is killed; its program has lines only."""
    with Analyzer(deadline_s=0.2) as analyzer:
        hung = analyzer.measure(_HANG, Language.RUST)
        killed = analyzer.pid is None
        return first(
            unless((hung.lines, hung.functions) == (1, None), hung),
            unless(killed, "the parser is still there"),
            _is_right(analyzer),
        )


@_faults
def test_oom_vs_external_kill_distinguished(bench: Bench) -> str | None:
    """SIGKILL is a signal; what the memory limit ends says memory; a child's end is neither."""
    killed = bench.python("import os; os.kill(os.getpid(), 9)").execution
    eaten = bench.python(
        "import time; kept = bytearray(b'x') * (200 << 20); time.sleep(3)", memory_bytes=64 * MIB
    ).execution
    child = bench.python(
        "import os\npid = os.fork()\nif pid == 0: os.kill(os.getpid(), 9)\nos.waitpid(pid, 0)"
    ).execution
    ends = [(it.exit_code, it.signal, it.stopped_by) for it in (killed, eaten, child)]
    expected = [(None, 9, None), (None, None, StoppedBy.MEMORY), (0, None, None)]
    return unless(ends == expected, ends)
