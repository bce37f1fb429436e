"""Programs that attack while they are compiled: what they get is a verdict, and nothing else."""

import dataclasses
import signal

from codebench.conformance.case import (
    Bench,
    Case,
    Group,
    NotTestableHereError,
    first,
    promise,
    rust_outcome,
    told,
    unless,
)
from codebench.conformance.surroundings import host_secret
from codebench.languages.rust import RustRules
from codebench.languages.verdict import Outcome
from codebench.sandbox.execution import COMPILE_LIMITS, MIB, StepResult, StoppedBy

CASES: list[Case] = []
_promise = promise(Group.COMPILING, CASES)
_RULES = RustRules()
_OVERFLOWS = {signal.SIGSEGV, signal.SIGABRT}
_BODY = "pub fn f() -> u32 { 1 }\n"


def _judged(result: StepResult, *outcomes: Outcome) -> str | None:
    outcome = rust_outcome(result)
    return unless(outcome in outcomes, f"{outcome}: {told(result)}")


def _rejected(result: StepResult, *codes: str | None) -> str | None:
    """Say what is seen unless rustc rejected the program with just these error codes."""
    found = tuple(diagnostic.code for diagnostic in _RULES.read_diagnostics(result))
    return first(_judged(result, Outcome.COMPILE_ERROR), unless(found == codes, f"said {found}"))


def _accepted(result: StepResult) -> str | None:
    return _judged(result, Outcome.COMPILED)


def _hidden(bench: Bench, *sources: str) -> str | None:
    """Say what is seen unless {path}, a file of the machine, is not there for the compiler."""
    with host_secret() as (path, word):
        for source in sources:
            result = bench.rust(source.replace("{path}", path))
            shown = word.encode() in result.stdout + result.stderr
            if seen := first(
                _judged(result, Outcome.COMPILE_ERROR), unless(not shown, "its text was shown")
            ):
                return seen
    return None


@_promise
def test_include_host_file(bench: Bench) -> str | None:
    """A file of the machine cannot be compiled into a program."""
    return _hidden(
        bench,
        'pub const X: &str = include_str!("{path}");',
        'pub const X: &[u8] = include_bytes!("{path}");',
        'include!("{path}");',
    )


@_promise
def test_path_mod_no_leak(bench: Bench) -> str | None:
    """A module whose path is a file of the machine does not show its text in messages."""
    return _hidden(bench, '#[path = "{path}"] pub mod x;')


@_promise
def test_incbin(bench: Bench) -> str | None:
    """The assembler finds no file of the machine either."""
    return _hidden(bench, 'core::arch::global_asm!(".incbin \\"{path}\\"");')


@_promise
def test_env_macro(bench: Bench) -> str | None:
    """`env!` sees the fixed environment, and nothing of the machine's."""
    known = 'const _: () = assert!(env!("HOME").len() == 2);\n'
    for name in ("CODEBENCH_CANARY", "RUSTC_BOOTSTRAP"):
        known += f'const _: () = assert!(option_env!("{name}").is_none());\n'
    wrong = 'const _: () = assert!(env!("HOME").len() == 3);\n'
    return first(_accepted(bench.rust(known)), _rejected(bench.rust(wrong), "E0080"))


@_promise
def test_bootstrap_feature_rejected(bench: Bench) -> str | None:
    """RUSTC_BOOTSTRAP of the machine does not open unstable features to programs."""
    return _rejected(bench.rust("#![feature(box_patterns)]\n" + _BODY), "E0554")


@_promise
def test_const_eval_loop(bench: Bench) -> str | None:
    """A constant that is never finished runs into the time limit, twice."""
    if bench.rustc_version < (1, 72):
        raise NotTestableHereError("rustc before 1.72 ends an endless constant by itself")
    source = "#![allow(long_running_const_eval)]\npub const X: () = { loop {} };"
    result = bench.rust(source, cpu_s=0.5)
    retried = result.execution.retried_alone
    return first(_judged(result, Outcome.COMPILE_TIMEOUT), unless(retried, "was not tried again"))


@_promise
def test_macro_doubling(bench: Bench) -> str | None:
    """A macro that doubles itself is stopped by time or memory."""
    source = "macro_rules! m { ($($t:tt)*) => { m!{$($t)* $($t)*} } }\nm!{x x}"
    result = bench.rust('#![recursion_limit = "4096"]\n' + source, cpu_s=1, memory_bytes=256 * MIB)
    return _judged(result, Outcome.COMPILE_TIMEOUT, Outcome.COMPILE_OOM)


@_promise
def test_recursion_limit_raise(bench: Bench) -> str | None:
    """A macro without end and with a raised recursion limit is stopped, or overflows rustc."""
    source = "macro_rules! m { ($($t:tt)*) => { m!($($t)* x) } }\nm!();"
    result = bench.rust(
        '#![recursion_limit = "100000000"]\n' + source, cpu_s=1, memory_bytes=256 * MIB
    )
    limits = {StoppedBy.CPU_TIME, StoppedBy.MEMORY, StoppedBy.OUTPUT}
    overflowed = result.execution.signal in _OVERFLOWS
    return unless(result.execution.stopped_by in limits or overflowed, result)


@_promise
def test_mono_bomb_mode_documented(bench: Bench) -> str | None:
    """Types that grow with every instantiation are rejected: a build includes code generation."""
    source = "fn g<T>(n: u32, t: Option<T>) { if n > 0 { g(n - 1, Some(t)) } }\n"
    result = bench.rust(source + "pub fn f() { g(1, Some(1u8)) }")
    told_why = any("recursion limit" in said.message for said in _RULES.read_diagnostics(result))
    return first(_judged(result, Outcome.COMPILE_ERROR), unless(told_why, result))


@_promise
def test_huge_array(bench: Bench) -> str | None:
    """An array larger than memory is rejected, or ends the compiler by its memory."""
    for source in (
        "pub static X: [u8; 1 << 40] = [1; 1 << 40];",
        "pub const X: &[u8] = &[1u8; 1 << 33];",
        "pub fn f() -> [u64; usize::MAX] { [0; usize::MAX] }",
    ):
        result = bench.rust(source, memory_bytes=256 * MIB)
        if seen := _judged(result, Outcome.COMPILE_ERROR, Outcome.COMPILE_OOM):
            return seen
    return None


@_promise
def test_include_dev_zero(bench: Bench) -> str | None:
    """Including a device that never ends is ended by the memory limit, or not possible."""
    for source in (
        'pub const X: &[u8] = include_bytes!("/dev/zero");',
        'include!("/dev/urandom");',
    ):
        result = bench.rust(source, memory_bytes=128 * MIB)
        if seen := _judged(result, Outcome.COMPILE_OOM, Outcome.COMPILE_ERROR):
            return seen
    return None


@_promise
def test_paren_nesting_segv_is_compile_crash(bench: Bench) -> str | None:
    """A compiler that overflows its stack has crashed: it has not rejected the program."""
    nested = "(" * 100_000 + "1" + ")" * 100_000
    result = bench.rust(f"pub fn f() -> u32 {{ {nested} }}")
    overflowed = result.execution.signal in _OVERFLOWS
    return first(_judged(result, Outcome.COMPILE_CRASH), unless(overflowed, result))


@_promise
def test_ice_nonjson(bench: Bench) -> str | None:
    """A compiler that panics, with words that are no JSON, has crashed."""
    step = _RULES.compile_step(b'pub fn f() -> u32 { "" }')
    step = dataclasses.replace(  # a nightly option that makes an error a panic, on any rustc
        step, argv=(*step.argv, "-Ztreat-err-as-bug=1"), env={**step.env, "RUSTC_BOOTSTRAP": "1"}
    )
    result = bench.run(step)
    no_json = any(line and not line.startswith(b"{") for line in result.stderr.split(b"\n"))
    return first(_judged(result, Outcome.COMPILE_CRASH), unless(no_json, result))


@_promise
def test_json_amplification_capped(bench: Bench) -> str | None:
    """A small program with megabytes of messages is rejected; messages and memory are bounded."""
    result = bench.rust("pub fn f() { " + 'let _: u32 = "";' * 400 + "}")
    messages = _RULES.read_diagnostics(result)
    n_chars = max((len(message.message) for message in messages), default=0)
    return first(
        _judged(result, Outcome.COMPILE_ERROR),
        unless(result.execution.n_stderr_bytes > MIB == len(result.stderr), result),
        unless(0 < len(messages) <= 100 and n_chars <= 500, f"{len(messages)} messages"),
    )


@_promise
def test_nul_bom_invalid_utf8_source(bench: Bench) -> str | None:
    """Odd bytes reach the compiler as they are: it decides, and nothing crashes."""
    for source, outcome in (
        (b"pub fn f() {} \0", Outcome.COMPILE_ERROR),
        (b"pub fn \xff() {}", Outcome.COMPILE_ERROR),
        (b"pub fn f() { /* \xe2\x80\xae */ }", Outcome.COMPILE_ERROR),
        (b"\xef\xbb\xbfpub fn f() {}\r\n", Outcome.COMPILED),
        (b"", Outcome.COMPILED),
    ):
        if seen := _judged(bench.rust(source), outcome):
            return f"{source!r}: {seen}"
    return None


@_promise
def test_edition_2021(bench: Bench) -> str | None:
    """Programs are compiled by the rules of edition 2021."""
    return first(
        _accepted(bench.rust("pub fn f(x: u64) -> Option<u8> { u8::try_from(x).ok() }")),
        _rejected(bench.rust("pub fn f() { let async = 1; }"), None),
    )


@_promise
def test_crate_name_attr_ok_and_contained(bench: Bench) -> str | None:
    """A program may name its crate and its kind; where and what is built is not its to say."""
    for attribute in (
        '#![crate_name = "foo"]',
        '#![crate_type = "bin"]',
        '#![crate_type = "proc-macro"]',
    ):
        if seen := _accepted(bench.rust(f"{attribute}\n{_BODY}")):
            return f"{attribute}: {seen}"
    return _judged(bench.rust('#![crate_name = "../../x"]\n' + _BODY), Outcome.COMPILE_ERROR)


@_promise
def test_unconditional_panic_rejected_like_build(bench: Bench) -> str | None:
    """What a build rejects for a certain panic is rejected."""
    return first(
        _rejected(bench.rust("pub fn f() -> i32 { [1, 2, 3][5] }"), "unconditional_panic"),
        _rejected(bench.rust("pub fn f() -> i32 { 1 / 0 }"), "unconditional_panic"),
    )


@_promise
def test_deny_lint_not_capped(bench: Bench) -> str | None:
    """Lints that deny by default do, and so do those that the program denies itself."""
    return first(
        _rejected(bench.rust("pub fn f() -> u8 { 300u8 }"), "overflowing_literals"),
        _rejected(bench.rust("#![deny(warnings)]\npub fn f() { let x = 1; }"), "unused_variables"),
        _accepted(bench.rust("#![allow(overflowing_literals)]\npub fn f() -> u8 { 300u8 }")),
    )


@_promise
def test_fn_main_in_lib_ok(bench: Bench) -> str | None:
    """A program with a `main` compiles as a library."""
    return first(
        _accepted(bench.rust('fn main() { println!("{}", 1); }\nfn unused() {}')),
        _rejected(bench.rust("fn main() { undeclared }"), "E0425"),
    )


@_promise
def test_rustc_pids_floor_is_infra(bench: Bench) -> str | None:
    """A compiler that is refused its threads is our failure; our own limit leaves it enough."""
    starved = bench.rust(_BODY, n_processes=2)
    if starved.execution.exit_code == 0 or starved.execution.stopped_by is StoppedBy.PROCESSES:
        raise NotTestableHereError("the kernel does not count the processes of this user (root)")
    enough = COMPILE_LIMITS.n_processes >= 64
    return first(
        _judged(starved, Outcome.INFRA_ERROR),
        unless(enough, f"{COMPILE_LIMITS.n_processes} processes"),
        _accepted(bench.rust(_BODY)),
    )
