"""What compiles and what does not: the definition, asked of the real compilers."""

from collections.abc import Callable

import pytest

from codebench.languages.python import PythonRules
from codebench.languages.rules import RULES
from codebench.languages.rust import RustRules
from codebench.languages.verdict import Outcome, compile_outcome
from codebench.prompts.model import Language
from codebench.sandbox.pool import SlotPool

Compiled = Callable[[Language, str], tuple[Outcome, list[str]]]


@pytest.fixture
def compiled(pool: SlotPool) -> Compiled:
    """Compile a program in the sandbox; return its outcome and the headlines."""

    def compiled(language: Language, program: str) -> tuple[Outcome, list[str]]:
        rules = RULES[language]
        result = pool.run(rules.compile_step(program.encode()))
        said = rules.read_diagnostics(result)
        outcome = compile_outcome(result.execution, said, declares_item=True)
        return outcome, [diagnostic.headline for diagnostic in said]

    return compiled


@pytest.mark.parametrize(
    "program",
    [
        "fn main() {}",
        'fn main() { println!("{}", 1); }\nfn unused() {}',
        '#![crate_name = "foo"]\npub fn f() {}',
        "pub async fn f() -> u8 { 1 }",
        "#![cfg(any())] fn f() { undefined() }",
        "pub fn f(x: [i32; 3], i: usize) -> i32 { x[i] }",
        "#![deny(warnings)]\npub fn f() -> u8 { 1 }",
        "#![allow(overflowing_literals)]\npub fn f() -> u8 { 300u8 }",
        "",
    ],
)
def test_rust_that_compiles(compiled: Compiled, program: str) -> None:
    """What a build accepts is accepted."""
    assert compiled(Language.RUST, program)[0] is Outcome.COMPILED


@pytest.mark.parametrize(
    ("program", "headline"),
    [
        ('pub fn f() -> u32 { "" }', "error[E0308]: mismatched types"),
        (
            "pub fn f() -> i32 { [1, 2, 3][5] }",
            "error[unconditional_panic]: this operation will panic at runtime",
        ),
        (
            "pub fn f() -> i32 { 1 / 0 }",
            "error[unconditional_panic]: this operation will panic at runtime",
        ),
        (
            "pub fn f() -> u8 { 300u8 }",
            "error[overflowing_literals]: literal out of range for `u8`",
        ),
        (
            "#![deny(warnings)]\npub fn f() { let x = 1; }",
            "error[unused_variables]: unused variable: `x`",
        ),
        ("pub fn f( {", "error: this file contains an unclosed delimiter"),
        ('compile_error!("failed to spawn work thread");', "error: failed to spawn work thread"),
        ("use serde::Serialize;", "error[E0432]: unresolved import `serde`"),
        (
            "pub fn f() { let async = 1; }",
            "error: expected identifier, found keyword `async`",
        ),
    ],
)
def test_rust_that_does_not_compile(compiled: Compiled, program: str, headline: str) -> None:
    """What a build refuses is refused, code generation and denied lints included."""
    outcome, said = compiled(Language.RUST, program)
    assert outcome is Outcome.COMPILE_ERROR
    assert headline in said


def test_private_items_are_built_too(compiled: Compiled, rustc_version: tuple[int, ...]) -> None:
    """A certain panic is refused in an unused private function as in a public one."""
    if rustc_version < (1, 70):
        pytest.skip("old rustc (1.63 seen) looks at unused private functions less closely")
    outcome, said = compiled(Language.RUST, "fn f() -> i32 { [1, 2, 3][5] }")
    assert outcome is Outcome.COMPILE_ERROR
    assert "error[unconditional_panic]: this operation will panic at runtime" in said


def test_vacuous_rust_compiles_without_its_item(pool: SlotPool) -> None:
    """`#![cfg(any())]` removes everything: exit code 0, and still no success."""
    result = pool.run(RustRules().compile_step(b"#![cfg(any())]\npub fn f() -> u8 { wrong }"))
    assert result.execution.exit_code == 0
    assert compile_outcome(result.execution, (), declares_item=False) is Outcome.VACUOUS


@pytest.mark.parametrize(
    "program",
    ["", "def f():\n    return 1\n", "while True: pass", "import no_such_module", "1 / 0"],
)
def test_python_that_compiles(compiled: Compiled, program: str) -> None:
    """Nothing is run: what has a syntax has compiled."""
    assert compiled(Language.PYTHON, program) == (Outcome.COMPILED, [])


@pytest.mark.parametrize(
    ("program", "kind"),
    [
        ("def f(:\n  pass", "SyntaxError"),
        ("x = 1\n  y = 2", "IndentationError"),
        ("def f():\n\tif 1:\n        x", "TabError"),
        ("return 1", "SyntaxError"),
        ("x = 1\0", ""),
        ("(" * 300 + ")" * 300, "SyntaxError"),
        ("x = " + "-" * 100_000 + "1", ""),
        ("x = " + "+".join("1" * 20_000), ""),
        ("# coding: nonsense\n", "SyntaxError"),
    ],
    ids=["syntax", "indent", "tab", "return", "null", "parens", "minus", "plus", "coding"],
)
def test_python_that_does_not_compile(compiled: Compiled, program: str, kind: str) -> None:
    """Syntax errors, null bytes and nesting that is too deep are rejected, with a reason."""
    outcome, said = compiled(Language.PYTHON, program)
    assert outcome is Outcome.COMPILE_ERROR
    assert len(said) == 1
    assert said[0].startswith(f"error[{kind}")


def test_python_place(pool: SlotPool) -> None:
    """Lines and columns count from 1."""
    rules = PythonRules()
    result = pool.run(rules.compile_step(b"x = 1\ny = (2,\nz = 3 +\n"))
    (error,) = rules.read_diagnostics(result)
    assert (error.line, error.column) == (2, 5)
    result = pool.run(rules.compile_step(b"# coding: nonsense\n"))
    (error,) = rules.read_diagnostics(result)
    assert (error.line, error.column) == (None, None)


def test_python_warnings(compiled: Compiled) -> None:
    """A warning of the compiler is told, and is no rejection."""
    outcome, said = compiled(Language.PYTHON, "assert (1, 2)")
    assert outcome is Outcome.COMPILED
    assert said[0].startswith("warning[SyntaxWarning]: assertion is always true")
