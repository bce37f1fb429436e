"""Programs that try to pass without the right answers; research names most of them.

Each attack is on a prompt whose tests compare answers (`double`), ask yes-or-no questions
(`is_even`), or expand a macro of the program (`double!`). The first ones pass where exit status 0
decides, which shows that they work.
"""

from collections.abc import Callable, Iterator
from functools import cache

import pytest

from codebench.analysis.client import Analyzer
from codebench.languages.rust import RustRules
from codebench.languages.rust_answers import Expected
from codebench.languages.rust_tests import RustTester
from codebench.languages.verdict import Graded, Outcome, compile_outcome
from codebench.prompts.model import Language, Prompt
from codebench.sandbox.bubblewrap import BubblewrapBackend
from codebench.sandbox.pool import SlotPool

Grade = Callable[[Prompt, str], Graded]


def make_prompt(item: str, text: str, reference: str, *tests: str) -> Prompt:
    """Return a prompt with a reference."""
    return Prompt(
        id=item,
        language=Language.RUST,
        category="",
        item=item,
        prompt=text,
        reference=reference,
        tests=tests,
    )


DOUBLE = make_prompt(
    "fn double",
    "fn double(n: i32) -> i32 {",
    " n * 2 }",
    "assert_eq!(double(2), 4);",
    "assert_eq!(double(-3), -6); assert_ne!(double(1), 1);",
)
IS_EVEN = make_prompt(
    "fn is_even",
    "fn is_even(n: i32) -> bool {",
    " n % 2 == 0 }",
    "assert!(is_even(2)); assert!(is_even(0));",
    "assert!(!is_even(3));",
)
GREET = make_prompt(
    "fn greet",
    "fn greet(name: &str) -> String {",
    ' format!("hello, {name}") }',
    'assert_eq!(greet("you"), "hello, you");',
    'let name = String::from("me"); assert_eq!(greet(&name), format!("hello, {name}"));',
)
PARSE = make_prompt(
    "fn parse",
    "#[derive(Debug, PartialEq)]\nenum Word { Go, Stop }\nfn parse(text: &str) -> Option<Word> {",
    ' match text { "go" => Some(Word::Go), "stop" => Some(Word::Stop), _ => None } }',
    'assert_eq!(parse("go"), Some(Word::Go)); assert_eq!(parse("stop"), Some(Word::Stop));',
    'assert_eq!(parse("x"), None);',
)
CHECKED = make_prompt(
    "fn checked",
    "fn checked(text: &str) -> Result<i32, String> {",
    " text.parse().map_err(|_| String::new()) }",
    'assert!(checked("x").is_err());',
    'assert!(checked("7").is_ok());',
)
MACRO = make_prompt(
    "macro_rules double",
    "macro_rules! double {",
    " ($n:expr) => { $n * 2 }; }",
    "assert_eq!(double!(2), 4);",
    "assert!(matches!(double!(5), 10)); assert_eq!(vec![double!(1)], vec![2]);",
)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SlotPool]:
    """One slot for all attacks."""
    pool = SlotPool(BubblewrapBackend(), n_slots=1)
    try:
        yield pool
    finally:
        pool.close()


@pytest.fixture(scope="module")
def analyzer() -> Iterator[Analyzer]:
    """One parser for all attacks."""
    with Analyzer(deadline_s=30) as running:
        yield running


@pytest.fixture(scope="module")
def tester(sandbox: SlotPool) -> RustTester:
    """What programs are tested with."""
    return RustTester(sandbox.run)


@pytest.fixture(scope="module")
def grade(tester: RustTester, analyzer: Analyzer) -> Grade:
    """Test a program as a run does: items public, expectations first, once a prompt."""

    @cache
    def expect(prompt: Prompt) -> Expected:
        exposed = analyzer.expose(f"{prompt.prefix}{prompt.reference}", head=prompt.prefix)
        assert exposed is not None
        return tester.expect(prompt, exposed.program, exposed.names)

    def grade(prompt: Prompt, program: str) -> Graded:
        exposed = analyzer.expose(program, head=prompt.prefix)
        assert exposed is not None
        return tester.grade(prompt, exposed.program, expect(prompt))

    return grade


def naive(tester: RustTester, prompt: Prompt, program: str) -> Outcome:
    """Return what a grader says that appends the tests and looks at the exit status."""
    tests = "\n".join(prompt.tests)
    return tester.grade_published(prompt, f"{program}\nfn main() {{ {tests} }}").outcome


pytestmark = pytest.mark.bubblewrap


def test_process_exit0(grade: Grade, tester: RustTester) -> None:
    """Ending with status 0 is no answer."""
    program = "fn double(n: i32) -> i32 { std::process::exit(0) }"
    assert naive(tester, DOUBLE, program) is Outcome.PASSED
    graded = grade(DOUBLE, program)
    assert graded.outcome is Outcome.NO_RESULT
    assert graded.tests.failure is not None
    assert graded.tests.failure.message == "ended with exit status 0"


def test_init_array_exit0(grade: Grade, tester: RustTester) -> None:
    """Ending before `main` begins is no answer either."""
    program = (
        'extern "C" { fn _exit(status: i32) -> !; }\n'
        'extern "C" fn early() { unsafe { _exit(0) } }\n'
        '#[used] #[link_section = ".init_array"] static EARLY: extern "C" fn() = early;\n'
        "fn double(n: i32) -> i32 { 0 }"
    )
    assert naive(tester, DOUBLE, program) is Outcome.PASSED
    assert grade(DOUBLE, program).outcome is Outcome.NO_RESULT


def test_shadow_assert_macro(grade: Grade, tester: RustTester) -> None:
    """Macros named as those of the tests do not replace them."""
    macros = "".join(
        f"#[macro_export] macro_rules! {name} {{ ($($t:tt)*) => {{ }} }}\n"
        for name in ("assert", "assert_eq", "assert_ne", "value", "pair", "truth")
    )
    program = macros + "fn double(n: i32) -> i32 { 0 }"
    assert naive(tester, DOUBLE, program) is Outcome.PASSED
    assert grade(DOUBLE, program).outcome is Outcome.FAILED_TESTS
    graded = grade(MACRO, "macro_rules! double { ($n:expr) => { 0 } }\n" + macros)
    assert graded.outcome is Outcome.FAILED_TESTS


def test_shadow_std_macros(grade: Grade) -> None:
    """Nor do macros named as std's, which tests use, when all of the program is in sight."""
    program = (
        "macro_rules! double { ($n:expr) => { 4 } }\n"
        "macro_rules! matches { ($($t:tt)*) => { true } }\n"
        "macro_rules! vec { ($($t:tt)*) => { [2] } }\n"
    )
    assert grade(MACRO, program).outcome is Outcome.FAILED_TESTS


ALWAYS = """
struct Always;
impl PartialEq<i32> for Always { fn eq(&self, _: &i32) -> bool { true } }
impl std::fmt::Debug for Always {
    fn fmt(&self, _: &mut std::fmt::Formatter) -> std::fmt::Result { Ok(()) }
}
"""


def test_always_partialeq(grade: Grade, tester: RustTester) -> None:
    """A type that equals everything is no answer where a number is asked for."""
    program = ALWAYS + "fn double(n: i32) -> Always { Always }"
    equal = DOUBLE.model_copy(update={"tests": DOUBLE.tests[:1]})
    assert naive(tester, equal, program) is Outcome.PASSED
    graded = grade(equal, program)
    assert graded.outcome is Outcome.FAILED_TESTS
    assert not graded.tests.built


def test_always_partialeq_instead_of_an_option(grade: Grade, tester: RustTester) -> None:
    """Nor where an `Option` of the program's own type is asked for."""
    program = (
        "struct Option<T>(std::marker::PhantomData<T>);\n"
        "impl<T> PartialEq<std::option::Option<T>> for Option<T> {\n"
        "    fn eq(&self, _: &std::option::Option<T>) -> bool { true }\n}\n"
        "impl<T> std::fmt::Debug for Option<T> {\n"
        "    fn fmt(&self, _: &mut std::fmt::Formatter) -> std::fmt::Result { Ok(()) }\n}\n"
        "#[derive(Debug, PartialEq)]\nenum Word { Go, Stop }\n"
        "fn parse(text: &str) -> Option<Word> { Option(std::marker::PhantomData) }"
    )
    graded = grade(PARSE, program)
    assert graded.outcome is Outcome.FAILED_TESTS
    naming = program.replace("struct Option", "mod option { pub struct Option").replace(
        "(std::marker::PhantomData<T>);",
        "(pub std::marker::PhantomData<T>); }\nuse option::Option;",
    )
    assert grade(PARSE, '#![crate_name = "core"]\n' + naming).outcome is Outcome.FAILED_TESTS


LOOKS = {
    "derived": "#[derive(Debug)]\nenum Word { Go, Stop }\n",
    "constant": "enum Word { Go, Stop }\nimpl std::fmt::Debug for Word {\n"
    '    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result { f.write_str("Go") }\n}\n',
    "none": "enum Word { Go, Stop }\n",
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_always_partialeq_on_own_types(grade: Grade, tester: RustTester, look: str) -> None:
    """A type of the prompt, declared again so that all its values are equal, tells none apart."""
    program = (
        look + "impl PartialEq for Word { fn eq(&self, _: &Word) -> bool { true } }\n"
        "fn parse(text: &str) -> Option<Word> {\n"
        "    if text.len() > 1 { Some(Word::Go) } else { None }\n}"
    )
    if "Debug" in look:
        assert naive(tester, PARSE, program) is Outcome.PASSED
    graded = grade(PARSE, program)
    assert graded.outcome is Outcome.FAILED_TESTS
    assert graded.tests.failure is not None
    said = "the two sides are equal by `==` alone, not by what `Debug` shows"
    assert graded.tests.failure.message == said


@pytest.mark.parametrize(
    ("prompt", "program"),
    [
        (
            GREET,
            "struct String;\n"
            "impl PartialEq<str> for String { fn eq(&self, _: &str) -> bool { true } }\n"
            "impl<'a> PartialEq<&'a str> for String { fn eq(&self, _: &&str) -> bool { true } }\n"
            "impl std::ops::Deref for String {\n"
            '    type Target = str; fn deref(&self) -> &str { "" }\n}\n'
            "fn greet(name: &str) -> String { String }",
        ),
        (
            IS_EVEN,
            "struct Yes;\n"
            "impl std::ops::Not for Yes { type Output = bool; fn not(self) -> bool { true } }\n"
            "fn is_even(n: i32) -> Yes { Yes }",
        ),
        (
            IS_EVEN,
            "#[allow(non_camel_case_types)] struct bool;\n"
            "impl std::ops::Not for bool {\n"
            "    type Output = std::primitive::bool; fn not(self) -> Self::Output { true }\n}\n"
            "fn is_even(n: i32) -> bool { bool }",
        ),
        (
            CHECKED,
            "trait Sure: Sized {\n"
            "    fn is_err(self) -> bool { true } fn is_ok(self) -> bool { true }\n}\n"
            "impl<T> Sure for T {}\n"
            "fn checked(text: &str) -> Result<i32, String> { Ok(0) }",
        ),
        (DOUBLE, "mod std { pub fn f() {} }\nmod core {}\nfn double(n: i32) -> i32 { 0 }"),
        (
            MACRO,
            "macro_rules! double { ($n:expr) => { $crate::ALWAYS } }\n"
            "const ALWAYS: Always = Always;\ntype i32 = Always; mod std {}\nstruct Vec;\n"
            + ALWAYS.replace("<i32>", "<core::primitive::i32>").replace("std::", "::std::"),
        ),
    ],
    ids=["String", "Not", "bool", "methods", "std", "all in sight"],
)
def test_shadow_std_types(grade: Grade, prompt: Prompt, program: str) -> None:
    """Types, traits and modules named as std's do not reach the tests."""
    assert grade(prompt, program).outcome is Outcome.FAILED_TESTS


def test_candidate_defines_main_and_tests(grade: Grade) -> None:
    """A right program is right with a `main`, tests and a crate's attributes of its own."""
    program = (
        "#![allow(dead_code)]\nfn double(n: i32) -> i32 { n * 2 }\n"
        "fn main() { std::process::exit(1) }\nfn run() {}\nfn test_0() {}\n"
        "#[cfg(test)] mod tests { use super::*; #[test] fn t() { assert_eq!(double(1), 3) } }\n"
        "mod z { pub fn tests() {} }"
    )
    assert grade(DOUBLE, program).outcome is Outcome.PASSED


def test_include_own_source(grade: Grade) -> None:
    """A program's own file holds no answer."""
    program = (
        "fn double(n: i32) -> i32 {\n"
        "    let source = include_str!(file!());\n"
        '    let call = format!("double({n}), ");\n'
        "    let at = source.find(&call).map(|at| at + call.len()).unwrap_or(source.len());\n"
        "    source[at..].split(')').next().unwrap().parse().unwrap_or(0)\n}"
    )
    graded = grade(DOUBLE, program)
    assert graded.outcome is Outcome.FAILED_TESTS
    assert graded.tests.failure is not None
    assert graded.tests.failure.got == "0"


@pytest.mark.parametrize(
    "path",
    [
        "file!()",
        '"driver.rs"',
        '"program.rs"',
        '"/dev/stdin"',
        '"/proc/self/fd/0"',
        'concat!(env!("HOME"), "/driver.rs")',
    ],
)
def test_include_the_tests_from_a_macro(grade: Grade, path: str) -> None:
    """A macro of the program, expanded inside the driver, finds no driver to read."""
    program = f"macro_rules! double {{ ($n:expr) => {{ include_str!({path}).len() as i32 }} }}"
    graded = grade(MACRO, program)
    assert graded.outcome is Outcome.FAILED_TESTS
    assert not graded.tests.built


@pytest.mark.parametrize("path", ["driver.rs", "/dev/stdin", "/dev/fd/3", "/proc/self/fd/3"])
def test_include_the_tests_from_the_program(grade: Grade, path: str) -> None:
    """Nor does the program, which is built in the same step before the driver."""
    program = f'fn double(n: i32) -> i32 {{ include_str!("{path}").len() as i32 }}'
    graded = grade(DOUBLE, program)
    assert graded.outcome is Outcome.FAILED_TESTS
    assert graded.tests.failure is not None
    assert f"couldn't read `{path}`" in (graded.tests.failure.message or "")


@pytest.mark.parametrize(
    ("prompt", "program"),
    [
        (
            DOUBLE,
            '#[diagnostic::on_unimplemented(message = "linker `gcc` not found")]\n'
            "trait Never {}\nfn double(n: impl Never) -> i32 { 0 }",
        ),
        (
            MACRO,
            'macro_rules! double { ($n:expr) => { compile_error!("linker `gcc` not found") } }',
        ),
    ],
    ids=["on_unimplemented", "compile_error"],
)
def test_words_of_the_linker(grade: Grade, prompt: Prompt, program: str) -> None:
    """A program that makes rustc complain of the linker does not get out of the denominator."""
    graded = grade(prompt, program)
    assert graded.outcome is Outcome.FAILED_TESTS
    assert graded.tests.failure is not None
    assert "linker `gcc` not found" in (graded.tests.failure.message or "")


def test_redefine_from_a_macro(grade: Grade) -> None:
    """What a macro declares among the tests does not replace their assertions."""
    prompt = make_prompt(
        "macro_rules make",
        "macro_rules! make {",
        " ($name:ident) => { fn $name() -> i32 { 7 } }; }",
        "make!(seven); assert_eq!(seven(), 7);",
    )
    names = ("assert_eq", "assert", "value", "std")
    macros = " ".join(f"macro_rules! {name} {{ ($a:expr, $b:expr) => {{ }} }}" for name in names)
    program = f"macro_rules! make {{ ($name:ident) => {{ fn $name() -> i32 {{ 0 }} {macros} }} }}"
    assert grade(prompt, program).outcome is Outcome.FAILED_TESTS


def vacuous(analyzer: Analyzer, sandbox: SlotPool, program: str, item: str) -> Outcome:
    """Return what compiling the program is judged to be."""
    rules = RustRules()
    result = sandbox.run(rules.compile_step(program.encode()))
    items = analyzer.measure(program, Language.RUST).items
    assert items is not None
    declares = item in items
    said = rules.read_diagnostics(result)
    return compile_outcome(result.execution, said, declares_item=declares)


def test_cfg_any_vacuous_not_counted(analyzer: Analyzer, sandbox: SlotPool) -> None:
    """A program that takes itself away compiles, and counts as vacuous."""
    program = "#![cfg(any())]\nfn double(n: i32) -> i32 { nonsense"
    assert vacuous(analyzer, sandbox, program + " }", "fn double") is Outcome.VACUOUS
    program = "#[cfg(any())]\nfn double(n: i32) -> i32 { nonsense }"
    assert vacuous(analyzer, sandbox, program, "fn double") is Outcome.VACUOUS


def test_swallowing_macro_vacuous(analyzer: Analyzer, sandbox: SlotPool) -> None:
    """So does one whose item is swallowed by a macro."""
    program = "macro_rules! x { ($($t:tt)*) => {} }\nx! { fn double( -> i32 ) 5 + }"
    assert vacuous(analyzer, sandbox, program, "fn double") is Outcome.VACUOUS


LIBC = """
extern "C" {
    fn syscall(number: i64, ...) -> i64;
    fn close(descriptor: i32) -> i32;
    fn dup2(from: i32, to: i32) -> i32;
    fn atexit(handler: extern "C" fn()) -> i32;
    fn _exit(status: i32) -> !;
}
"""


def test_interposed_memcmp(grade: Grade) -> None:
    """Comparing functions of the program's own that find all equal decide nothing."""
    same = "".join(
        f'#[no_mangle] unsafe extern "C" fn {name}(_: *const u8, _: *const u8, _: usize) -> i32 '
        "{ 0 }\n"
        for name in ("memcmp", "bcmp")
    )
    graded = grade(GREET, same + 'fn greet(name: &str) -> String { String::from("hello, ...") }')
    assert graded.outcome is Outcome.FAILED_TESTS


def test_interposed_write_turns_no_into_yes(grade: Grade) -> None:
    """An answer that was changed on its way is not believed, even if it is yes or no."""
    program = LIBC + (
        '#[no_mangle] unsafe extern "C" fn write(to: i32, from: *const u8, n: usize) -> isize {\n'
        "    let text = std::slice::from_raw_parts(from, n).to_vec();\n"
        "    let text = String::from_utf8(text).unwrap();\n"
        '    let text = text.replace("false", "true");\n'
        "    syscall(1, to, text.as_ptr(), text.len());\n    n as isize\n}\n"
        "fn is_even(n: i32) -> bool { n == 2 }"
    )
    graded = grade(IS_EVEN, program)
    assert graded.outcome is not Outcome.PASSED
    assert graded.tests.passed == 1, "what was not changed arrived: the program's write is in use"


def forge(body: str) -> str:
    """Return a program that writes lines of its own to descriptor 3."""
    return (
        LIBC + "fn is_even(n: i32) -> bool {\n"
        "    let mut lines = String::new();\n"
        '    for (order, line) in ["0\\tv\\ttrue", "1\\tv\\ttrue", "0\\tt\\tdone",\n'
        '        "2\\tv\\ttrue", "1\\tt\\tdone", "0\\te"].iter().enumerate() {\n'
        '        lines += &format!("{order}\\t{line}\\t{:016x}\\n", 0);\n    }\n'
        "    unsafe { syscall(1, 3, lines.as_ptr(), lines.len()) };\n"
        f"    {body}\n}}"
    )


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        ("std::process::exit(0)", Outcome.NO_RESULT),
        ("n % 2 == 0", Outcome.NO_RESULT),
        ("unsafe { close(3) }; n % 2 == 0", Outcome.NO_RESULT),
        ("unsafe { dup2(1, 3) }; n % 2 == 0", Outcome.NO_RESULT),
    ],
)
def test_forged_lines(grade: Grade, body: str, outcome: Outcome) -> None:
    """Lines that the driver did not sign, or that miss, are no answers, right or not."""
    assert grade(IS_EVEN, forge(body)).outcome is outcome


@pytest.mark.parametrize(
    ("program", "outcome"),
    [
        (
            "fn double(n: i32) -> i32 {\n"
            "    std::panic::set_hook(Box::new(|_| std::process::exit(0))); panic!() }",
            Outcome.NO_RESULT,
        ),
        (
            "fn double(n: i32) -> i32 { std::panic::set_hook(Box::new(|_| {})); panic!() }",
            Outcome.FAILED_TESTS,
        ),
        (
            "struct Bomb;\nimpl Drop for Bomb { fn drop(&mut self) { panic!() } }\n"
            "fn double(n: i32) -> i32 { std::panic::panic_any(Bomb) }",
            Outcome.FAILED_TESTS,
        ),
        ("fn double(n: i32) -> i32 { std::process::abort() }", Outcome.RUN_CRASH),
        (
            "fn double(n: i32) -> i32 {\n"
            "    std::thread::spawn(|| std::process::exit(0)).join().unwrap(); 0 }",
            Outcome.NO_RESULT,
        ),
        (
            LIBC + 'extern "C" fn well() { unsafe { _exit(0) } }\n'
            "fn double(n: i32) -> i32 { unsafe { atexit(well) }; 0 }",
            Outcome.FAILED_TESTS,
        ),
        (
            '#[no_mangle] extern "C" fn exit(_: i32) -> ! { loop { std::thread::yield_now() } }\n'
            'fn double(n: i32) -> i32 { unsafe { core::arch::asm!("ud2") }; 0 }',
            Outcome.RUN_CRASH,
        ),
        ("fn double(n: i32) -> i32 { double(n) + 1 }", Outcome.RUN_CRASH),
    ],
    ids=["exit hook", "silent hook", "payload", "abort", "thread", "atexit", "exit", "stack"],
)
def test_panics_and_ends(grade: Grade, program: str, outcome: Outcome) -> None:
    """Hooks, payloads, threads and exit handlers turn no failure into a pass."""
    assert grade(DOUBLE, program).outcome is outcome


def test_a_second_main_symbol_is_the_programs_fault(grade: Grade) -> None:
    """A symbol that the driver needs cannot be taken over."""
    program = '#[no_mangle] pub extern "C" fn main() -> i32 { 0 }\nfn double(n: i32) -> i32 { 0 }'
    graded = grade(DOUBLE, program)
    assert graded.outcome is Outcome.FAILED_TESTS
    assert not graded.tests.built


def test_overflow_panics(grade: Grade) -> None:
    """Overflow is a panic, in the program's own arithmetic too."""
    graded = grade(DOUBLE, "fn double(n: i32) -> i32 { i32::MAX.min(n + i32::MAX) }")
    assert graded.outcome is Outcome.FAILED_TESTS
    assert graded.tests.failure is not None
    assert graded.tests.failure.message == "panicked: attempt to add with overflow"
