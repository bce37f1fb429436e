"""Programs that attack while they are compiled: what they get is a verdict, and nothing else."""

from collections.abc import Callable
from pathlib import Path

import pytest

from codebench.languages.rust import RustRules
from codebench.languages.verdict import Diagnostic, Outcome, compile_outcome
from codebench.sandbox.execution import MIB, StepResult, StoppedBy

Run = Callable[..., StepResult]
_RULES = RustRules()
_BODY = "pub fn f() -> u32 { 1 }\n"


def _judge(result: StepResult) -> tuple[Outcome, tuple[Diagnostic, ...]]:
    said = _RULES.read_diagnostics(result)
    return compile_outcome(result.execution, said, declares_item=True), said


def _codes(result: StepResult) -> list[str | None]:
    outcome, said = _judge(result)
    assert outcome is Outcome.COMPILE_ERROR
    return [diagnostic.code for diagnostic in said]


def test_a_harmless_program_compiles(rust: Run) -> None:
    """The ordinary case."""
    assert _judge(rust(_BODY)) == (Outcome.COMPILED, ())


@pytest.mark.parametrize(
    "source",
    [
        'pub const X: &str = include_str!("{path}");',
        'pub const X: &[u8] = include_bytes!("{path}");',
        'include!("{path}");',
        '#[path = "{path}"] pub mod x;',
        'core::arch::global_asm!(".incbin \\"{path}\\"");',
    ],
    ids=["include_str", "include_bytes", "include", "path", "incbin"],
)
def test_host_files_cannot_be_included(rust: Run, tmp_path: Path, source: str) -> None:
    """A file of the host is not there for the compiler either, and its text shows nowhere."""
    secret = tmp_path / "secret.rs"
    secret.write_text("pub const SECRET_WORD: u32 = 1;")
    result = rust(source.replace("{path}", str(secret)))
    assert _judge(result)[0] is Outcome.COMPILE_ERROR
    assert b"SECRET_WORD" not in result.stdout + result.stderr


@pytest.mark.parametrize(
    "backend", [pytest.param("bubblewrap", marks=pytest.mark.bubblewrap)], indirect=True
)
def test_no_etc(rust: Run) -> None:
    """Without an image there is no /etc at all."""
    assert _judge(rust('pub const X: &str = include_str!("/etc/passwd");'))[0] is (
        Outcome.COMPILE_ERROR
    )


def test_environment_is_fixed(rust: Run) -> None:
    """`env!` sees the fixed environment; the host's is not there."""
    result = rust(
        'pub const HOME: &str = env!("HOME");\n'
        "const _: () = assert!(HOME.len() == 2);\n"
        'const _: () = assert!(option_env!("CODEBENCH_CANARY").is_none());\n'
        'const _: () = assert!(option_env!("RUSTC_BOOTSTRAP").is_none());\n'
    )
    assert _judge(result) == (Outcome.COMPILED, ())


def test_unstable_features_are_refused(rust: Run) -> None:
    """RUSTC_BOOTSTRAP of the host does not make this compiler a nightly one."""
    assert _codes(rust("#![feature(box_patterns)]\n" + _BODY)) == ["E0554"]


def test_endless_constant(rust: Run, rustc_version: tuple[int, ...]) -> None:
    """A constant that is never finished runs into the time limit, twice."""
    if rustc_version < (1, 72):
        pytest.skip("rustc before 1.72 ends an endless constant by itself, after so many steps")
    source = "#![allow(long_running_const_eval)]\npub const X: () = { loop {} };"
    result = rust(source, cpu_s=0.5)
    assert result.execution.stopped_by is StoppedBy.CPU_TIME
    assert result.execution.retried_alone
    assert _judge(result)[0] is Outcome.COMPILE_TIMEOUT


def test_doubling_macro(rust: Run) -> None:
    """A macro that doubles itself is stopped by time or memory."""
    source = "macro_rules! m { ($($t:tt)*) => { m!{$($t)* $($t)*} } }\nm!{x x}"
    result = rust('#![recursion_limit = "4096"]\n' + source, cpu_s=1, memory_bytes=256 * MIB)
    assert _judge(result)[0] in {Outcome.COMPILE_TIMEOUT, Outcome.COMPILE_OOM}


def test_flood_of_messages(rust: Run) -> None:
    """A small program with megabytes of messages is stopped, rejected, and its messages bounded."""
    result = rust("pub fn f() { " + 'let _: u32 = "";' * 400 + "}")
    outcome, said = _judge(result)
    assert result.execution.stopped_by in {StoppedBy.OUTPUT, None}
    assert outcome is Outcome.COMPILE_ERROR
    assert result.execution.n_stderr_bytes > MIB
    assert len(result.stderr) == MIB
    assert said[0].code == "E0308"
    assert len(said) <= 100


def test_deep_nesting_is_a_crash(rust: Run) -> None:
    """A compiler that overflows its stack has crashed: it has not rejected the program."""
    result = rust("pub fn f() -> u32 { " + "(" * 100_000 + "1" + ")" * 100_000 + "}")
    assert (result.execution.signal, result.execution.exit_code) in {(11, None), (6, None)}
    assert _judge(result)[0] is Outcome.COMPILE_CRASH


def test_endless_include(rust: Run) -> None:
    """Including a device that never ends meets the memory limit, ours or rustc's allocation."""
    result = rust('pub const X: &[u8] = include_bytes!("/dev/zero");', memory_bytes=128 * MIB)
    assert _judge(result)[0] in {Outcome.COMPILE_OOM, Outcome.COMPILE_ERROR}


@pytest.mark.parametrize(
    "source",
    [
        "pub static X: [u8; 1 << 40] = [1; 1 << 40];",
        "pub const X: &[u8] = &[1u8; 1 << 33];",
        "pub fn f() -> [u64; usize::MAX] { [0; usize::MAX] }",
    ],
)
def test_giant_array(rust: Run, source: str) -> None:
    """An array larger than memory is rejected or runs out of memory."""
    outcome, _ = _judge(rust(source, memory_bytes=256 * MIB))
    assert outcome in {Outcome.COMPILE_ERROR, Outcome.COMPILE_OOM}


def test_endless_instantiation(rust: Run) -> None:
    """Types that grow with every instantiation are rejected, at code generation."""
    source = "fn g<T>(n: u32, t: Option<T>) { if n > 0 { g(n - 1, Some(t)) } }\n"
    result = rust(source + "pub fn f() { g(1, Some(1u8)) }")
    assert _judge(result)[0] is Outcome.COMPILE_ERROR
    assert "recursion limit" in _judge(result)[1][0].message


@pytest.mark.parametrize(
    "source",
    [b"pub fn f() {} \0", b"pub fn \xff() {}", b"", b"\xef\xbb\xbfpub fn f() {}\r\n"],
    ids=["null byte", "invalid utf-8", "empty", "byte order mark"],
)
def test_odd_bytes(rust: Run, source: bytes) -> None:
    """Odd bytes reach the compiler as they are: it decides, and it does not crash."""
    ok = source in {b"", b"\xef\xbb\xbfpub fn f() {}\r\n"}
    assert _judge(rust(source))[0] is (Outcome.COMPILED if ok else Outcome.COMPILE_ERROR)


@pytest.mark.parametrize(
    "attribute",
    ['#![crate_name = "foo"]', '#![crate_type = "bin"]', '#![crate_type = "proc-macro"]'],
)
def test_crate_attributes_change_nothing(rust: Run, attribute: str) -> None:
    """What kind of crate is built, and where to, is not the program's to say."""
    assert _judge(rust(attribute + "\n" + _BODY))[0] is Outcome.COMPILED


def test_crate_name_is_no_path(rust: Run) -> None:
    """A crate name that is a path is rejected."""
    assert _judge(rust('#![crate_name = "../../x"]\n' + _BODY))[0] is Outcome.COMPILE_ERROR


def test_the_program_may_include_itself(rust: Run) -> None:
    """The program's own file is there under its own name, and nothing beside it."""
    assert _judge(rust('pub const X: &str = include_str!("program.rs");'))[0] is Outcome.COMPILED
