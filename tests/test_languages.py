"""What compilers say, read from captured text, and what it means.

Captured from rustc 1.95.0 (59807616e 2026-04-14) and CPython 3.11.2. Fields of rustc's JSON that
nobody reads (explanation, rendered, children, text of spans) are left out or emptied.
"""

import pytest

from codebench.languages.python import PythonRules
from codebench.languages.rust import RustRules
from codebench.languages.verdict import Diagnostic, DiagnosticLevel, Outcome, compile_outcome
from codebench.sandbox.execution import MIB, Execution, Stage, StepResult, StoppedBy

E0308 = (
    '{"$message_type":"diagnostic","message":"mismatched types","code":{"code":"E0308",'
    '"explanation":""},"level":"error","spans":[{"file_name":"program.rs","byte_start":20,'
    '"byte_end":22,"line_start":1,"line_end":1,"column_start":21,"column_end":23,'
    '"is_primary":true},{"file_name":"program.rs","byte_start":14,"byte_end":17,"line_start":1,'
    '"line_end":1,"column_start":15,"column_end":18,"is_primary":false}],"children":[]}\n'
)
UNCLOSED = (
    '{"$message_type":"diagnostic","message":"this file contains an unclosed delimiter",'
    '"code":null,"level":"error","spans":[{"line_start":1,"column_start":9,"is_primary":false},'
    '{"line_start":1,"column_start":11,"is_primary":false},'
    '{"line_start":1,"column_start":13,"is_primary":true}],"children":[]}\n'
)
UNUSED = (
    '{"$message_type":"diagnostic","message":"unused variable: `x`","code":{"code":'
    '"unused_variables","explanation":null},"level":"warning","spans":[{"line_start":1,'
    '"column_start":18,"is_primary":true}],"children":[{"message":"if this is intentional, prefix '
    'it with an underscore","code":null,"level":"help","spans":[],"children":[]}]}\n'
)
LITERAL = (
    '{"$message_type":"diagnostic","message":"literal out of range for `u8`","code":{"code":'
    '"overflowing_literals","explanation":null},"level":"error","spans":[{"line_start":1,'
    '"column_start":20,"is_primary":true}],"children":[]}\n'
)
ABORTING = (
    '{"$message_type":"diagnostic","message":"aborting due to 1 previous error","code":null,'
    '"level":"error","spans":[],"children":[]}\n'
)
ABORTING_WARNED = ABORTING.replace("1 previous error", "1 previous error; 1 warning emitted")
EMITTED = (
    '{"$message_type":"diagnostic","message":"2 warnings emitted","code":null,"level":"warning",'
    '"spans":[],"children":[]}\n'
)
EXPLAIN = (
    '{"$message_type":"diagnostic","message":"For more information about this error, try `rustc '
    '--explain E0308`.","code":null,"level":"failure-note","spans":[],"children":[]}\n'
)
COULD_NOT_READ = (
    '{"$message_type":"diagnostic","message":"couldn\'t read `/dev/zero`: out of memory","code":'
    'null,"level":"error","spans":[{"line_start":1,"column_start":23,"is_primary":true}]}\n'
)
_BUG = (
    "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n\n"
    "error: the compiler unexpectedly panicked. This is a bug\n\n"
    "note: we would appreciate a bug report: https://github.com/rust-lang/rust/issues/new"
    "?labels=C-bug%2C+I-ICE%2C+T-compiler&template=ice.md\n\n"
    "note: rustc 1.95.0 (59807616e 2026-04-14) running on x86_64-unknown-linux-gnu\n\n"
    "note: compiler flags: --crate-type lib\n\n"
    "query stack during panic:\nend of query stack\n"
)
ICE = (
    "\nthread 'rustc' (4149) panicked at /rustc-dev/59807616e1fa2540724bfbac14d7976d7e4a3860/"
    "compiler/rustc_errors/src/lib.rs:1531:17:\naborting due to `-Z treat-err-as-bug=1`\n" + _BUG
)
SIGSEGV = (
    "error: rustc interrupted by SIGSEGV, printing backtrace\n\n"
    "/opt/rust/lib/librustc_driver-6108105cd7e839cf.so(+0x3b62e1c)[0x7f9c48562e1c]\n\n"
    "### cycle encountered after 4 frames with period 5\n### recursed 50 times\n\n"
    "note: rustc unexpectedly overflowed its stack! this is a bug\n"
    "help: you can increase rustc's stack size by setting RUST_MIN_STACK=33554432\n"
)
NO_MEMORY = (
    "memory allocation of 67108864 bytes failed\nstack backtrace:\nnote: Some details are omitted,"
    " run with `RUST_BACKTRACE=full` for a verbose backtrace.\n"
)
_AGAIN = 'Os { code: 11, kind: WouldBlock, message: "Resource temporarily unavailable" }'
STARVED = {  # with the pids limit at 1, 2, 3, 4, 5 and 6
    "no ctrl-c handler": f"Unable to install ctrlc handler: System({_AGAIN})",
    "no compiler thread": f"called `Result::unwrap()` on an `Err` value: {_AGAIN}",
    "no job server": f"failed to create helper thread: {_AGAIN}",
    "no helper": f"failed to spawn helper thread: {_AGAIN}",
    "no coordinator": f"failed to spawn coordinator thread: {_AGAIN}",
    "no worker": f"failed to spawn work thread: {_AGAIN}",
}
_WHERE = "\nthread 'rustc' (8) panicked at /rustc-dev/5980/compiler/rustc_x/src/util.rs:162:14:\n"


def _execution(
    exit_code: int | None = None,
    *,
    signal: int | None = None,
    stopped_by: StoppedBy | None = None,
) -> Execution:
    return Execution(
        stage=Stage.COMPILE,
        exit_code=exit_code,
        signal=signal,
        stopped_by=stopped_by,
        cpu_s=0.1,
        wall_s=0.1,
        peak_memory_bytes=MIB,
        n_stdout_bytes=0,
        n_stderr_bytes=0,
    )


def _rust(stderr: str) -> tuple[Diagnostic, ...]:
    return RustRules().read_diagnostics(StepResult(_execution(1), b"", stderr.encode()))


def _python(stdout: str) -> tuple[Diagnostic, ...]:
    return PythonRules().read_diagnostics(StepResult(_execution(1), stdout.encode(), b""))


def _judge(execution: Execution, stderr: str = "") -> Outcome:
    return compile_outcome(execution, _rust(stderr), declares_item=True)


def test_error_with_a_code() -> None:
    """An error has its code, and the place of its primary span."""
    (error,) = _rust(E0308 + ABORTING + EXPLAIN)
    assert error == Diagnostic(
        level=DiagnosticLevel.ERROR, code="E0308", message="mismatched types", line=1, column=21
    )
    assert error.headline == "error[E0308]: mismatched types"


def test_error_without_a_code() -> None:
    """A syntax error has none; its place is that of the primary span, not of the first."""
    (error,) = _rust(UNCLOSED + ABORTING)
    assert (error.code, error.line, error.column) == (None, 1, 13)
    assert error.headline == "error: this file contains an unclosed delimiter"


def test_errors_and_warnings_come_in_order() -> None:
    """Every error and warning is read, help and notes are not."""
    found = _rust(UNUSED + E0308 + UNCLOSED + ABORTING_WARNED + EXPLAIN)
    assert [diagnostic.headline for diagnostic in found] == [
        "warning[unused_variables]: unused variable: `x`",
        "error[E0308]: mismatched types",
        "error: this file contains an unclosed delimiter",
    ]


def test_a_deny_lint_is_an_error() -> None:
    """A lint that is denied by default has its name as the code, and is an error."""
    assert _rust(LITERAL + ABORTING)[0].headline == (
        "error[overflowing_literals]: literal out of range for `u8`"
    )


@pytest.mark.parametrize("line", [ABORTING, ABORTING_WARNED, EMITTED, EXPLAIN, "", "\n", "{}\n"])
def test_summaries_are_no_diagnostics(line: str) -> None:
    """How many there were, and where to read more, is not counted."""
    assert _rust(line) == ()


def test_a_program_cannot_hide_its_error() -> None:
    """An error in the words of a summary, but with a place in the program, is an error."""
    words = "aborting due to compile_error!"
    assert [d.message for d in _rust(E0308.replace("mismatched types", words))] == [words]


@pytest.mark.parametrize(
    "line",
    [
        E0308[:200],
        E0308[:-2],
        '{"message": "x", "level": "err',
        "[1, 2]\n",
        "null\n",
        "}{\n",
        "warning: unused manifest key\n",
        "note: rustc 1.95.0 (59807616e 2026-04-14) running on x86_64-unknown-linux-gnu\n",
        "thread 'rustc' (8) panicked at compiler/rustc_errors/src/lib.rs:1531:17:\n",
        "\\xff\\0\n",
    ],
)
def test_other_lines_are_passed_over(line: str) -> None:
    """A line that is cut off, or is no JSON and no last word of rustc, says nothing."""
    assert _rust(line) == ()
    assert len(_rust(line.rstrip("\n") + "\n" + E0308)) == 1


def test_diagnostics_are_bounded() -> None:
    """Neither many nor long messages grow without end."""
    assert len(_rust(E0308 * 500)) == 100
    assert len(_rust(E0308.replace("mismatched types", "x" * 9000))[0].message) == 500


def test_last_words() -> None:
    """Where rustc dies, the line that says why is read as an error without a place."""
    assert [_rust(text)[0].headline for text in (ICE, SIGSEGV, NO_MEMORY)] == [
        "error: error: the compiler unexpectedly panicked. This is a bug",
        "error: error: rustc interrupted by SIGSEGV, printing backtrace",
        "error: memory allocation of 67108864 bytes failed",
    ]


def test_accepted() -> None:
    """Exit code 0 is the only success; warnings do not change it."""
    assert _judge(_execution(0)) is Outcome.COMPILED
    assert _judge(_execution(0), UNUSED + EMITTED) is Outcome.COMPILED


def test_vacuous() -> None:
    """A program that compiles without the item that was asked for has not compiled."""
    outcome = compile_outcome(_execution(0), (), declares_item=False)
    assert outcome is Outcome.VACUOUS
    assert outcome.judged
    assert not outcome.compiles


@pytest.mark.parametrize("stderr", [E0308 + ABORTING, LITERAL + ABORTING, UNCLOSED, "", EMITTED])
def test_rejected(stderr: str) -> None:
    """Exit code 1 is a rejection, whatever was said and whatever the program holds."""
    for declares_item in (True, False):
        outcome = compile_outcome(_execution(1), _rust(stderr), declares_item=declares_item)
        assert outcome is Outcome.COMPILE_ERROR


@pytest.mark.parametrize(
    ("execution", "stderr"),
    [
        (_execution(101), E0308 + ICE),
        (_execution(101), ""),
        (_execution(signal=11), SIGSEGV),
        (_execution(signal=11), ""),
        (_execution(signal=6), ""),
        (_execution(signal=9), ""),
        (_execution(2), E0308),
        (_execution(127), ""),
        (_execution(stopped_by=StoppedBy.PROCESSES), ""),
    ],
)
def test_crashed(execution: Execution, stderr: str) -> None:
    """A compiler that panics, dies of a signal or ends in an unknown way has crashed."""
    assert _judge(execution, stderr) is Outcome.COMPILE_CRASH


@pytest.mark.parametrize("stderr", ["", E0308, UNUSED, E0308[:300]])
def test_stopped(stderr: str) -> None:
    """A limit decides, whatever was said before it; a flood of messages is a rejection."""
    reasons = {
        StoppedBy.CPU_TIME: Outcome.COMPILE_TIMEOUT,
        StoppedBy.WALL_TIME: Outcome.COMPILE_TIMEOUT,
        StoppedBy.MEMORY: Outcome.COMPILE_OOM,
        StoppedBy.OUTPUT: Outcome.COMPILE_ERROR,
    }
    for reason, outcome in reasons.items():
        assert _judge(_execution(stopped_by=reason), stderr) is outcome


def test_out_of_memory() -> None:
    """A compiler that aborts because an allocation failed ran out of memory."""
    assert _judge(_execution(signal=6), NO_MEMORY) is Outcome.COMPILE_OOM


@pytest.mark.parametrize("text", STARVED.values(), ids=STARVED)
def test_starved(text: str) -> None:
    """A compiler that got no thread was starved by us: the sample leaves the denominator."""
    outcome = _judge(_execution(101), f"{_WHERE}{text}\n{_BUG}")
    assert outcome is Outcome.INFRA_ERROR
    assert not outcome.judged


@pytest.mark.parametrize(
    "words",
    [
        "memory allocation of 5 bytes failed",
        "failed to spawn work thread",
        *STARVED.values(),
        "error: internal compiler error",
        "error: rustc interrupted by SIGSEGV",
    ],
)
def test_a_program_cannot_choose_its_outcome(words: str) -> None:
    """`compile_error!` with rustc's last words is a rejection like any other."""
    quoted = words.replace('"', "'")
    said = E0308.replace("mismatched types", quoted).replace('"E0308"', '""')
    assert _judge(_execution(1), said + ABORTING) is Outcome.COMPILE_ERROR
    assert _judge(_execution(0), said.replace('"error"', '"warning"')) is Outcome.COMPILED
    assert _judge(_execution(101), said + ABORTING) is Outcome.COMPILE_CRASH


def test_reading_out_of_memory_is_a_rejection() -> None:
    """An included file that does not fit is rustc's own error, with exit code 1."""
    assert _judge(_execution(1), COULD_NOT_READ + ABORTING) is Outcome.COMPILE_ERROR


def test_every_outcome_has_its_place() -> None:
    """Only our own failure is not judged, and no outcome of compiling that failed `compiles`."""
    assert [outcome for outcome in Outcome if not outcome.judged] == [Outcome.INFRA_ERROR]
    failed = {outcome for outcome in Outcome if outcome.value.startswith("compile_")}
    assert not any(outcome.compiles for outcome in failed | {Outcome.VACUOUS, Outcome.INFRA_ERROR})


@pytest.mark.parametrize(
    ("line", "headline", "place"),
    [
        (
            '{"level": "error", "code": "SyntaxError", "line": 1, "column": 7, "message": "invalid '
            'syntax"}',
            "error[SyntaxError]: invalid syntax",
            (1, 7),
        ),
        (
            '{"level": "error", "code": "TabError", "line": 3, "column": 1, "message": '
            '"inconsistent use of tabs and spaces in indentation"}',
            "error[TabError]: inconsistent use of tabs and spaces in indentation",
            (3, 1),
        ),
        (
            '{"level": "error", "code": "ValueError", "line": null, "column": null, "message": '
            '"source code string cannot contain null bytes"}',
            "error[ValueError]: source code string cannot contain null bytes",
            (None, None),
        ),
        (
            '{"level": "warning", "code": "SyntaxWarning", "line": 1, "column": null, "message": '
            '"\\"is\\" with a literal. Did you mean \\"==\\"?"}',
            'warning[SyntaxWarning]: "is" with a literal. Did you mean "=="?',
            (1, None),
        ),
    ],
)
def test_python_diagnostics(line: str, headline: str, place: tuple[int | None, ...]) -> None:
    """Python's errors and warnings have the kind as their code."""
    (found,) = _python(line + "\n")
    assert (found.headline, (found.line, found.column)) == (headline, place)


@pytest.mark.parametrize("text", ["", "\n\n", '{"level": "err', "Traceback (most recent call"])
def test_python_said_nothing(text: str) -> None:
    """What is no whole line of ours is no diagnostic."""
    assert _python(text) == ()
