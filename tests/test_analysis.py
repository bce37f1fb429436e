"""Lines, functions, complexity and items, worked by hand; and a parser that may hang or crash."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from codebench.analysis.client import MAX_PROGRAM_BYTES, Analyzer
from codebench.analysis.metrics import CodeMetrics
from codebench.prompts.loading import list_prompt_sets
from codebench.prompts.model import Language, PromptSet

HANG = "x = " + "lambda: " * 100_000 + "a"
"""As Rust: seconds of error recovery, in which tree-sitter calls nobody back (tree-sitter 0.26)."""


@pytest.fixture(scope="module")
def analyzer() -> Iterator[Analyzer]:
    """One child for all tests that do not hurt it."""
    with Analyzer(deadline_s=30) as running:
        yield running


RUST_COUNTS = {
    "empty": ("", 0, 1),
    "factorial": ("fn f(n: u64) -> u64 {\n    if n == 0 { 1 } else { n * f(n - 1) }\n}\n", 1, 2),
    "else if": ("fn f() { if a {} else if b {} else {} }", 1, 3),
    "if let": ("fn f() { if let Some(x) = a {} while let Some(y) = b {} }", 1, 3),
    "let chain": ("fn f() { if let Some(x) = a && x > 0 && b {} }", 1, 4),
    "let else": ("fn f() { let Some(x) = a else { return }; }", 1, 1),
    "loops": ("fn f() { for i in 0..9 { while a { loop { break } } } }", 1, 3),
    "match": ("fn f() { match x { 1 => 2, 3 | 4 => 5, _ => 6 } }", 1, 2),
    "match guard": ("fn f() { match x { y if y > 0 && a => 1, _ => 2 } }", 1, 4),
    "operators": ("fn f() -> bool { a && b || c & d | e ^ g && !h }", 1, 4),
    "try": ("fn f() -> R { Ok(a()?.b()? + c.await?) }", 1, 4),
    "closures": ("fn f() { let g = || 1; let h = move |a| a || b; x.map(|_| || 2); }", 1, 2),
    "references": ("fn f() { g(&&x, & &y); let z: &&str = w; }", 1, 1),
    "impl for": ("impl Display for P { fn fmt(&self) {} }", 1, 1),
    "higher-ranked for": ("fn f<F>(g: F) where F: for<'a> Fn(&'a u8), G: for<'b> A<'b> {}", 1, 1),
    "question mark in bounds": ("fn f<T: ?Sized>() {}", 1, 1),
    "comments": ("// if a && b\n/* for x in y? */\n/// match || while\nfn f() {}", 1, 1),
    "strings": ('fn f() { g("if a && b", r#"for "x" in y?"#, b"while", \'?\'); }', 1, 1),
    "macro arguments": ('fn f() { println!("{}", if a { b? } else { c && d }); }', 1, 1),
    "macro definition": ("macro_rules! m { ($($x:expr),* $(,)?) => { if $x && y {} } }", 0, 1),
    "methods": ("impl P { fn a(&self) {} pub const fn b() {} }\nmod m { fn c() {} }", 3, 1),
    "trait": ("trait T { fn a(&self); fn b(&self) { if x {} } }", 2, 2),
    "nested functions": ("fn f() { fn g() { if a {} } impl P { fn h() {} } }", 1, 2),
    "function types": ("fn f(g: fn(u8) -> u8) -> Box<dyn Fn()> { h }", 1, 1),
    "extern block": ('extern "C" { fn a(); }\nextern "C" fn b() {}', 1, 1),
    "async and unsafe": (
        "async fn a() {} unsafe fn b() {} pub(crate) async unsafe fn c() {}",
        3,
        1,
    ),
    "cut off": ("fn f(n: u64) -> u64 { if n == 0 && n > 1 || x? { for i in 0..n { match", 1, 7),
    "cut off impl": ("impl Foo for Bar { fn a(&self) { while x { for y in z { ", 1, 3),
    "cut off closure": ("fn f() { let g = || { if a { ", 1, 2),
    "wrong bracket": ("fn f() { if a { g(]; } }\nfn h() { while b {} }", 2, 3),
    "prose": ("Here is what you asked for: if you match it", 0, None),
    "surrogate": ("fn f() { '\ud800'; if a {} }", 1, 2),
    "NUL": ("fn f() { if a {} }\0", 1, 2),
}

PYTHON_COUNTS = {
    "empty": ("", 0, 1),
    "branches": ("def f(x):\n  if x: pass\n  elif y: pass\n  else: pass\n", 1, 3),
    "loops": ("def f():\n  for x in y: pass\n  else: pass\n  while z: pass\n", 1, 3),
    "async for": ("async def f():\n    async for x in y:\n        pass\n", 1, 2),
    "operators": ("def f():\n    return a and b or not c and d\n", 1, 4),
    "conditional expression": ("def f():\n    return a if b else c\n", 1, 2),
    "comprehension": ("def f():\n    return [x for y in z for x in y if x if y > 1]\n", 1, 3),
    "match": ("match x:\n  case 1: pass\n  case y if y: pass\n  case _: pass\n", 0, 5),
    "except": ("try: pass\nexcept A: pass\nexcept (B, C) as e: pass\nfinally: pass\n", 0, 3),
    "except group": ("try:\n    pass\nexcept* A:\n    pass\n", 0, 2),
    "strings": ("def f():\n    '''if a and b'''\n    # for x in y\n    return 'while'\n", 1, 1),
    "f-string": ("def f():\n    return f'{a if b else c} if'\n", 1, 2),
    "names": ("case = 1\nmatch = case\niffy = android\n", 0, 1),
    "methods": ("class C:\n    def a(self): pass\n    @d\n    async def b(self): pass\n", 2, 1),
    "nested functions": ("def f():\n  def g():\n    if a: pass\n  return lambda: g\n", 1, 2),
    "function below an if": ("if a:\n    def f(): pass\n", 1, 2),
    "cut off": ("def f(x):\n    for i in x:\n        if a and b or (", 1, 5),
    "cut off comprehension": ("def f(x):\n    return [y for y in (", 1, 1),
    "carriage returns": ("def f():\r\n    if a:\r\n        pass\r\n", 1, 2),
}


@pytest.mark.parametrize(
    ("language", "text", "functions", "complexity"),
    [
        pytest.param(language, *case, id=f"{language}-{name}")
        for language, cases in ((Language.RUST, RUST_COUNTS), (Language.PYTHON, PYTHON_COUNTS))
        for name, case in cases.items()
    ],
)
def test_counts_by_hand(
    analyzer: Analyzer, language: Language, text: str, functions: int, complexity: int | None
) -> None:
    """Functions and decision points are those that a reader counts, in broken code too."""
    metrics = analyzer.measure(text, language)
    assert metrics.functions == functions
    if complexity is not None:
        assert metrics.complexity == complexity


RUST_ITEMS = {
    "functions": ("pub async fn a() {}\nconst fn b() {}", ("fn a", "fn b")),
    "types": ("struct A; enum B {} type C = u8;", ("struct A", "enum B", "type C")),
    "union": ("union A { a: u8 }", ("union A",)),
    "values": ("const A: u8 = 1; static B: u8 = 2;", ("const A", "static B")),
    "impl": ("impl Point {}", ("impl Point",)),
    "generic impl": ("impl<T: Clone> Stack<T> where T: Copy {}", ("impl Stack",)),
    "trait impl": ("impl ToString for Point {}", ("impl ToString for Point",)),
    "paths": ("unsafe impl<T> std::fmt::Display<T> for a::P<T> {}", ("impl Display for P",)),
    "impl for a reference": ("impl Tr for & P {}", ("impl Tr for & P",)),
    "trait": ("pub trait Parser<T>: Sized { fn a(&self); }", ("trait Parser",)),
    "macro": ("macro_rules! vec_of_strings { () => {} }", ("macro_rules vec_of_strings",)),
    "module": ("mod m { fn a() {} }", ("mod m",)),
    "nested": ("fn f() { fn g() {} struct S; }", ("fn f",)),
    "derive": ("/// Doc.\n#[derive(Debug)]\n#[inline]\n// c\nstruct A;", ("struct A",)),
    "cfg": ("#[cfg(any())]\n// c\n#[derive(Debug)]\nstruct A;\nstruct B;", ("struct B",)),
    "cfg after another": ("#[derive(Debug)] #[cfg(test)] struct A;", ()),
    "cfg_attr": ("#[cfg_attr(all(), cfg(any()))] fn f() {}", ()),
    "raw cfg": ("#[r#cfg(any())] fn f() {}", ()),
    "test": ("#[test] fn f() {}\n#[core::prelude::v1::test] fn g() {}", ()),
    "cfg in its body": ("fn f() {\n#![cfg(any())]\n nonsense }\nfn g() {}", ("fn g",)),
    "inner cfg": ("#![cfg(any())]\nfn f() {}", ()),
    "other inner attribute": ("#![allow(dead_code)]\nfn f() {}", ("fn f",)),
    "swallowed by a macro": ("m! { fn f() {} }\nm!(struct A;);", ()),
    "in a comment": ("/* fn f() {} */ // fn g() {}", ()),
    "in a string": ('const A: &str = "fn f() {}";', ("const A",)),
    "in a constant": ("const _: () = { fn f() {} };", ("const _",)),
}

PYTHON_ITEMS = {
    "plain": ("def f(): pass\nclass C:\n    def m(self): pass\n", ("def f", "class C")),
    "async and decorated": ("@d\nasync def f(): pass\n@d\nclass C: pass\n", ("def f", "class C")),
    "nested": ("def f():\n    def g(): pass\n", ("def f",)),
    "below an if": ("if a:\n    def f(): pass\n", ()),
    "in a string": ("'''\ndef f(): pass\n'''\n# def g(): pass\n", ()),
}


@pytest.mark.parametrize(
    ("language", "text", "items"),
    [
        pytest.param(language, *case, id=f"{language}-{name}")
        for language, cases in ((Language.RUST, RUST_ITEMS), (Language.PYTHON, PYTHON_ITEMS))
        for name, case in cases.items()
    ],
)
def test_items_in_plain_sight(
    analyzer: Analyzer, language: Language, text: str, items: tuple[str, ...]
) -> None:
    """Top-level items count under the names of Prompt.item; what could be taken away does not."""
    assert analyzer.measure(text, language).items == items


@pytest.mark.parametrize("prompt_set", list_prompt_sets(), ids=lambda prompt_set: prompt_set.name)
def test_references_of_the_prompt_sets_declare_their_item(
    analyzer: Analyzer, prompt_set: PromptSet
) -> None:
    """No program that does what was asked is taken for a vacuous one."""
    for prompt in prompt_set.prompts:
        metrics = analyzer.measure(f"{prompt.prefix}{prompt.reference}", prompt.language)
        assert metrics.parses, prompt.id
        assert prompt.item in (metrics.items or ()), prompt.id


EXPOSED = {
    "functions": (
        'fn a() { fn b() {} }\nasync fn c() {}\nconst unsafe extern "C" fn d() {}',
        'pub fn a() { fn b() {} }\npub async fn c() {}\npub const unsafe extern "C" fn d() {}',
    ),
    "values and types": (
        "const A: u8 = 1; static B: u8 = 2; type C = u8; trait D { fn a(); } const _: () = ();",
        "pub const A: u8 = 1; pub static B: u8 = 2; pub type C = u8; pub trait D { fn a(); } "
        "const _: () = ();",
    ),
    "visibilities": (
        "pub fn a() {} pub(crate) fn b() {} pub(in crate::m) struct C; pub(super) mod d {}",
        "pub fn a() {} pub fn b() {} pub struct C; pub mod d {}",
    ),
    "fields": (
        "struct A { x: u8, #[a] pub y: u8, pub(crate) z: u8 } union B { x: u8 } struct C;",
        "pub struct A { pub x: u8, #[a] pub y: u8, pub z: u8 } pub union B { pub x: u8 } "
        "pub struct C;",
    ),
    "positions": (
        "struct A(u8, pub u8, #[a] /* c */ (u8, u8), pub(crate) Vec<u8>);",
        "pub struct A(pub u8, pub u8, #[a] /* c */ pub (u8, u8), pub Vec<u8>);",
    ),
    "variants": ("enum A { B { x: u8 }, C(u8) }", "pub enum A { B { x: u8 }, C(u8) }"),
    "methods": (
        "impl A { fn a(&self) {} const B: u8 = 1; pub(crate) fn c() {} }",
        "impl A { pub fn a(&self) {} pub const B: u8 = 1; pub fn c() {} }",
    ),
    "trait methods": ("impl T for A { fn a(&self) {} }", "impl T for A { fn a(&self) {} }"),
    "modules": (
        "mod m { struct A { x: u8 } mod n { fn a() {} } impl A { fn b() {} } }",
        "pub mod m { pub struct A { pub x: u8 } pub mod n { pub fn a() {} } "
        "impl A { pub fn b() {} } }",
    ),
    "attributes": ("#[a]\n/// d\nfn f() {}", "#[a]\n/// d\npub fn f() {}"),
    "macros": (
        "macro_rules! a { () => {} }\n#[macro_export]\nmacro_rules! b { () => {} }",
        "#[macro_export] macro_rules! a { () => {} }\n#[macro_export]\nmacro_rules! b { () => {} }",
    ),
    "macros of one name": (
        "macro_rules! a { () => {} }\nmacro_rules! a { (x) => {} }",
        "macro_rules! a { () => {} }\n#[macro_export] macro_rules! a { (x) => {} }",
    ),
    "inside macros": ("m! { fn a() {} }", "m! { fn a() {} }"),
    "foreign items": ('extern "C" { fn a(); }', 'extern "C" { fn a(); }'),
    "crate name": ('#![crate_name = "x"]\n#![allow(a)]', "\n#![allow(a)]"),
    "imports": (
        "use a::b; pub use c::d; mod m { use super::*; }",
        "pub use a::b; pub use c::d; pub mod m { use super::*; }",
    ),
    "strings and comments": (
        'const A: &str = "fn a() {}"; // fn b() {}',
        'pub const A: &str = "fn a() {}"; // fn b() {}',
    ),
    "not ASCII": ("/* é */ fn f() { 'é'; } fn g() {}", "/* é */ pub fn f() { 'é'; } pub fn g() {}"),
}


@pytest.mark.parametrize(("text", "opened"), EXPOSED.values(), ids=EXPOSED)
def test_private_items_become_public(analyzer: Analyzer, text: str, opened: str) -> None:
    """What another crate could not see gets `pub`, where Rust allows it, and nothing else does."""
    exposed = analyzer.expose(text, head="")
    assert exposed is not None
    assert exposed.program == opened
    assert exposed.names == ()


@pytest.mark.parametrize(
    ("head", "names"),
    [
        ("fn f() {} struct S; enum E {} trait T {} mod m { fn g() {} }", {"f", "S", "E", "T", "m"}),
        ("const A: u8 = 1; static B: u8 = 1; type C = u8; const _: () = ();", {"A", "B", "C"}),
        ("macro_rules! m { () => {} }", {"m"}),
        ("impl S { fn f() {} } impl T for S {}", set()),
        ("use a::b; use c; use d::e as f; use g as _;", {"b", "c", "f"}),
        ("use a::{self, b::{self, c}, d as e, f as _, g::*};", {"a", "b", "c", "e", "*"}),
        ("use a::*;", {"*"}),
        ("fn é() {}", {"é"}),
    ],
)
def test_names_of_the_prompt(analyzer: Analyzer, head: str, names: set[str]) -> None:
    """They are those that its declarations and imports bring into scope at the top level."""
    exposed = analyzer.expose(head + " fn completion() {}", head=head)
    assert exposed is not None
    assert set(exposed.names) == names


def test_a_program_that_hangs_the_parser_is_not_opened() -> None:
    """The child is killed; a program that is too large is not sent."""
    with Analyzer(deadline_s=0.2) as own:
        assert own.expose(HANG, head="") is None
        assert own.expose("x\n" * MAX_PROGRAM_BYTES, head="") is None
    with Analyzer(deadline_s=30) as own:
        assert own.expose("fn f( {", head="") is not None


@pytest.mark.parametrize(
    ("text", "parses"), [("fn f() {}", True), ("fn f() {", False), ("fn f( {}", False), ("", True)]
)
def test_parses(analyzer: Analyzer, text: str, *, parses: bool) -> None:
    """An error, or something missing, is no parse."""
    assert analyzer.measure(text, Language.RUST).parses is parses


def test_lines_are_the_non_empty_ones(analyzer: Analyzer) -> None:
    """White space makes no line, a comment does."""
    text = "\nfn f() {\r\n\t \n    // c\n\u2028}\n\n"
    assert analyzer.measure(text, Language.RUST).lines == 3


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize(
    ("pattern", "depth"),
    [("(", 100_000), ("[{", 5_000), ("fn f(){ ", 5_000), ("if a:\n ", 5_000)],
)
def test_deep_nesting_tree_sitter_subprocess(language: Language, pattern: str, depth: int) -> None:
    """Deep nesting, closed or not, neither crashes nor hangs the harness; the next one is right."""
    closing = {"(": ")", "[": "]", "{": "}"}
    closers = "".join(closing[char] for char in reversed(pattern) if char in closing)
    with Analyzer(deadline_s=1) as own:
        for text in (pattern * depth, pattern * depth + closers * depth):
            assert own.measure(text, language).lines >= 1
        assert own.measure("x", language).complexity == 1


def lines_only(lines: int) -> CodeMetrics:
    """Return what is known of a program that was not parsed."""
    return CodeMetrics(lines=lines, functions=None, complexity=None, items=None, parses=None)


def test_treesitter_hang_killed() -> None:
    """A parser that is busy past the deadline is killed; its program has lines only."""
    with Analyzer(deadline_s=0.2) as own:
        hung = own.pid
        assert own.measure(HANG, Language.RUST) == lines_only(1)
        assert own.pid is None
        with pytest.raises(ProcessLookupError):
            os.kill(hung or 0, 0)
        assert own.measure("fn f() {}", Language.RUST).functions == 1


@pytest.mark.parametrize("size", [1, MAX_PROGRAM_BYTES])
def test_stopped_child_is_killed(size: int) -> None:
    """A child that does not even read is killed, be the program larger than a pipe or not."""
    with Analyzer(deadline_s=0.2) as own:
        os.kill(own.pid or 0, signal.SIGSTOP)
        assert own.measure("x" * size, Language.RUST) == lines_only(1)
        assert own.measure("fn f() {}", Language.RUST).functions == 1


def test_killed_child_is_started_again() -> None:
    """A child that somebody else killed costs no program its metrics."""
    with Analyzer() as own:
        for _ in range(3):
            killed = own.pid or 0
            os.kill(killed, signal.SIGKILL)
            assert own.measure("fn f() {}", Language.RUST).functions == 1
            assert own.pid != killed


def test_too_large_program_has_lines_only(analyzer: Analyzer) -> None:
    """Programs above the limit are not sent to the parser."""
    child = analyzer.pid
    assert analyzer.measure("x\n" * MAX_PROGRAM_BYTES, Language.RUST) == lines_only(
        MAX_PROGRAM_BYTES
    )
    assert analyzer.pid == child


def test_threads_share_one_child(analyzer: Analyzer) -> None:
    """Each thread gets the answer to its own program."""

    def functions(n: int) -> int | None:
        return analyzer.measure("fn f() {}\n" * n, Language.RUST).functions

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(functions, range(100))) == list(range(100))


def test_worker_ends_with_its_stdin() -> None:
    """A harness that dies leaves no worker behind."""
    worker = [sys.executable, "-m", "codebench.analysis.worker"]
    ended = subprocess.run(worker, input=b"", capture_output=True, check=True, timeout=60)
    assert ended.stdout == b"\0\0\0\5ready"


def test_worker_imports_no_heavy_library() -> None:
    """The worker is started again after each crash, so it must start fast."""
    heavy = "{'torch', 'transformers', 'pydantic', 'numpy'}"
    modules = "codebench.analysis.syntax, codebench.analysis.worker"
    code = f"import sys, {modules}; sys.exit(bool({heavy} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_client_does_not_parse() -> None:
    """The harness never loads the parser."""
    code = "import sys, codebench.analysis.client; sys.exit('tree_sitter' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
