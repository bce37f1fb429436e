"""Rust programs and their tests: what is asked, what is expected, what a run is judged to be."""

from collections.abc import Iterator, Sequence
from types import MappingProxyType

import pytest

from codebench.analysis.client import Analyzer
from codebench.errors import SandboxError, UsageError
from codebench.languages.rust_answers import Expected, Kind, Line
from codebench.languages.rust_driver import Driver, Questions, write_driver
from codebench.languages.rust_tests import RustTester, stub_program
from codebench.languages.rust_verdict import judge_run
from codebench.languages.siphash import siphash
from codebench.languages.verdict import CheckFailure, Graded, Outcome
from codebench.prompts.loading import load_prompt_set
from codebench.prompts.model import Isolation, Language, Prompt
from codebench.sandbox.bubblewrap import BubblewrapBackend
from codebench.sandbox.execution import Execution, Stage, Step, StepResult, StoppedBy
from codebench.sandbox.pool import SlotPool

KEY = (3, 5)


def make_prompt(
    text: str,
    *tests: str,
    item: str = "fn f",
    reference: str | None = None,
    isolation: Isolation = Isolation.SEPARATE,
    edition: str = "2021",
) -> Prompt:
    """Return a prompt that opens one item."""
    return Prompt(
        id="p",
        language=Language.RUST,
        category="",
        item=item,
        prompt=text,
        reference=reference,
        tests=tests,
        isolation=isolation,
        edition=edition,
    )


class Grader:
    """Tests programs as a run does: items public, expectations first."""

    def __init__(self, tester: RustTester, analyzer: Analyzer) -> None:
        self.tester, self.analyzer = tester, analyzer

    def expect(self, prompt: Prompt) -> Expected:
        """Return what a right program says."""
        reference = prompt.reference
        text = stub_program(prompt) if reference is None else prompt.prefix + reference
        exposed = self.analyzer.expose(text, head=prompt.prefix)
        assert exposed is not None
        return self.tester.expect(prompt, exposed.program, exposed.names)

    def grade(self, prompt: Prompt, program: str) -> Graded:
        """Return what became of a program."""
        exposed = self.analyzer.expose(program, head=prompt.prefix)
        assert exposed is not None
        return self.tester.grade(prompt, exposed.program, self.expect(prompt))


@pytest.fixture(scope="module")
def grader() -> Iterator[Grader]:
    """One slot and one parser for all tests."""
    pool = SlotPool(BubblewrapBackend(), n_slots=1)
    try:
        with Analyzer(deadline_s=30) as analyzer:
            yield Grader(RustTester(pool.run), analyzer)
    finally:
        pool.close()


DOUBLE = make_prompt(
    "fn f(n: i32) -> i32 {",
    "assert_eq!(f(2), 4);\nassert_eq!(\n    f(-3),\n    -6,\n);",
    "assert_ne!(f(1), 1);",
    reference=" n * 2 }",
)


@pytest.mark.bubblewrap
def test_a_right_program_passes(grader: Grader) -> None:
    """Every check is planned, asked and held, in two steps."""
    graded = grader.grade(DOUBLE, "fn f(n: i32) -> i32 { n + n }")
    assert graded.outcome is Outcome.PASSED
    assert (graded.tests.planned, graded.tests.passed) == (3, 3)
    assert graded.tests.failure is None
    assert [each.stage for each in graded.executions] == [Stage.COMPILE, Stage.RUN]
    assert graded.flags == ()


@pytest.mark.bubblewrap
def test_a_wrong_answer_is_shown_with_what_was_expected(grader: Grader) -> None:
    """The first check that fails is told by its source, the answer and the expected one."""
    graded = grader.grade(DOUBLE, "fn f(n: i32) -> i32 { if n > 0 { n * 2 } else { 7 } }")
    assert graded.outcome is Outcome.FAILED_TESTS
    assert graded.tests.passed == 1
    source = "assert_eq!(\n    f(-3),\n    -6,\n)"
    assert graded.tests.failure == CheckFailure(check=source, expected="-6", got="7")


@pytest.mark.bubblewrap
def test_assert_ne_fails_on_the_equal_answer(grader: Grader) -> None:
    """What must differ and does not is shown as such."""
    graded = grader.grade(DOUBLE, "fn f(n: i32) -> i32 { if n == 1 { 1 } else { n * 2 } }")
    failure = CheckFailure(check="assert_ne!(f(1), 1)", expected="not 1", got="1")
    assert graded.tests.failure == failure


@pytest.mark.bubblewrap
def test_a_panic_is_told_with_its_line(grader: Grader) -> None:
    """A panic ends its test alone and names the line of the program."""
    program = "fn f(n: i32) -> i32 {\n    let v = [0, 2];\n    v[n as usize] * 2\n}"
    graded = grader.grade(DOUBLE, program)
    assert graded.outcome is Outcome.FAILED_TESTS
    failure = graded.tests.failure
    assert failure is not None
    assert (failure.check, failure.line) == ("assert_eq!(f(2), 4)", 3)
    assert failure.message == "panicked: index out of bounds: the len is 2 but the index is 2"


@pytest.mark.bubblewrap
def test_overflow_panics(grader: Grader) -> None:
    """Debug assertions and overflow checks are on, as in a debug build."""
    prompt = make_prompt(
        "fn f(n: i32) -> i32 {", "assert_eq!(f(i32::MAX), -2);", reference=" n.wrapping_mul(2) }"
    )
    failure = grader.grade(prompt, "fn f(n: i32) -> i32 { n * 2 }").tests.failure
    assert failure is not None
    assert failure.message == "panicked: attempt to multiply with overflow"


@pytest.mark.bubblewrap
def test_a_program_that_tests_cannot_use_has_failed_them(grader: Grader) -> None:
    """It compiles, but not with its tests; the line of the test and rustc's words are kept."""
    graded = grader.grade(DOUBLE, "fn f(n: &str) -> i32 { 0 }")
    assert graded.outcome is Outcome.FAILED_TESTS
    assert not graded.tests.built
    assert graded.diagnostics[0].code == "E0308"
    assert graded.diagnostics[0].line is None
    assert graded.tests.failure is not None
    assert graded.tests.failure.check == "assert_eq!(f(2), 4);"
    assert graded.tests.failure.message == "error[E0308]: mismatched types"


@pytest.mark.bubblewrap
def test_a_program_that_does_not_build_for_tests_is_told_by_its_own_lines(grader: Grader) -> None:
    """What rustc says of the program itself is no check's fault and keeps its place."""
    graded = grader.grade(DOUBLE, "fn f(n: i32) -> i32 {\n    n * true\n}")
    assert (graded.outcome, graded.tests.built) == (Outcome.FAILED_TESTS, False)
    assert (graded.diagnostics[0].code, graded.diagnostics[0].line) == ("E0277", 2)
    assert graded.tests.failure is not None
    assert graded.tests.failure.check == "the build of the tests"
    assert [each.exit_code for each in graded.executions] == [1]


@pytest.mark.bubblewrap
def test_lints_of_the_program_do_not_decide(grader: Grader) -> None:
    """What compiles with private items is not refused for public ones."""
    program = "#![deny(warnings, missing_docs)]\n//! d\nfn f(n: i32) -> i32 { n * 2 }"
    assert grader.grade(DOUBLE, program).outcome is Outcome.PASSED


@pytest.mark.bubblewrap
def test_a_program_may_name_its_crate(grader: Grader) -> None:
    """The attribute stands in nobody's way."""
    program = '#![crate_name = "driver"]\nfn f(n: i32) -> i32 { n * 2 }'
    assert grader.grade(DOUBLE, program).outcome is Outcome.PASSED


VALUES = {
    "1u8": "1",
    "i128::MIN": "-170141183460469231731687303715884105728",
    "-0.0f32": "0.0",
    "0.1f32": "0.10000000149011612",
    "1e300": "1e300",
    "f64::INFINITY": "inf",
    "()": "()",
    "(1,)": "(1,)",
    "(1, true, 'x')": "(1, true, 'x')",
    '"a\\"\\n\\t\\u{7}é"': '"a\\"\\n\\t\\u{7}é"',
    'String::from("x")': '"x"',
    "[Some(1), None]": "[Some(1), None]",
    "vec![vec![1], vec![]]": "[[1], []]",
    "&[1, 2][..]": "[1, 2]",
    "Box::new(5)": "5",
    "std::rc::Rc::new(5)": "5",
    'std::borrow::Cow::Borrowed("x")': '"x"',
    "Ok::<i32, String>(3)": "Ok(3)",
    '"x".parse::<i32>()': "Err(ParseIntError { kind: InvalidDigit })",
    "std::cmp::Ordering::Less": "Less",
    "std::cmp::Reverse(2)": "Reverse(2)",
    "std::time::Duration::from_millis(1500)": "Duration(1, 500000000)",
    "1..3": "1..3",
    "std::collections::HashSet::from([3, 1, 2])": "{1, 2, 3}",
    'std::collections::HashMap::from([("b", 1), ("a", 2)])': '{"a": 2, "b": 1}',
    "std::collections::BTreeMap::from([(2, 'b'), (1, 'a')])": "{1: 'a', 2: 'b'}",
    "std::collections::VecDeque::from([1, 2])": "[1, 2]",
}


@pytest.mark.bubblewrap
def test_answers_are_written_alike_where_they_are_equal(grader: Grader) -> None:
    """Every type of the standard library that tests compare has one text for each value."""
    tests = "\n".join(f"assert_eq!({{ f(); {value} }}, {value});" for value in VALUES)
    lines = grader.expect(make_prompt("fn f() {", tests, reference=" }")).lines
    assert lines is not None
    assert [line.texts[0] for line in lines if line.kind is Kind.VALUE] == list(VALUES.values())


@pytest.mark.bubblewrap
def test_long_answers_are_cut_and_hashed(grader: Grader) -> None:
    """Two long answers that differ at their end differ, in few bytes."""
    prompt = make_prompt(
        "fn f() -> Vec<u32> {",
        "assert_eq!(f(), vec![7; 100_000]);",
        reference=" vec![7; 100_000] }",
    )
    expected = grader.expect(prompt).lines
    assert expected is not None
    assert len(expected[0].texts[0]) < 300
    program = "fn f() -> Vec<u32> { let mut v = vec![7; 100_000]; v[99_999] = 8; v }"
    assert grader.grade(prompt, program).outcome is Outcome.FAILED_TESTS


@pytest.mark.bubblewrap
def test_nan_equals_nothing(grader: Grader) -> None:
    """A NaN is no right answer, alone or inside another, and no reference can expect one."""
    tests = "assert_eq!(f(1.0), Some(1.0));"
    prompt = make_prompt("fn f(x: f64) -> Option<f64> {", tests, reference=" Some(x) }")
    graded = grader.grade(prompt, "fn f(x: f64) -> Option<f64> { Some(f64::NAN) }")
    assert graded.tests.failure == CheckFailure(
        check="assert_eq!(f(1.0), Some(1.0))", expected="Some(1.0)", got="Some(NaN)"
    )
    nan = prompt.model_copy(update={"tests": ("assert_eq!(f(f64::NAN), Some(f64::NAN));",)})
    with pytest.raises(UsageError, match=r"'p'.*fails `assert_eq!"):
        grader.expect(nan)


OWN = make_prompt(
    "#[derive(PartialEq)]\nenum C { A, B(i32) }\nfn f(n: i32) -> Option<C> {",
    "assert_eq!(f(1), Some(C::B(1))); assert!(f(0).is_none()); assert_ne!(f(2), Some(C::A));",
    reference=" if n > 0 { Some(C::B(n)) } else { None } }",
)


@pytest.mark.bubblewrap
def test_values_of_own_types_are_compared_by_the_program(grader: Grader) -> None:
    """Whether they are equal is sent, together with the type that was compared."""
    lines = grader.expect(OWN).lines
    assert lines is not None
    assert lines[0].texts == ("true", "core::option::Option<candidate::C>")
    assert grader.grade(OWN, f"{OWN.prompt}{OWN.reference}").outcome is Outcome.PASSED
    graded = grader.grade(OWN, OWN.prompt + " Some(C::A) }")
    check, message = "assert_eq!(f(1), Some(C::B(1)))", "the two sides are not equal"
    assert graded.tests.failure == CheckFailure(check=check, message=message)
    shown = OWN.model_copy(update={"prompt": "#[derive(Debug)]\n" + OWN.prompt})
    graded = grader.grade(shown, shown.prompt + " Some(C::A) }")
    assert graded.tests.failure == CheckFailure(
        check=check, message=message, expected="Some(B(1))", got="Some(A)"
    )


@pytest.mark.bubblewrap
def test_both_sides_are_sent_where_both_may_be_the_programs(grader: Grader) -> None:
    """A property holds or not for the program's own answers, not for those of the reference."""
    prompt = make_prompt(
        "fn f(n: i32) -> i32 {", "let n = 3; assert_eq!(f(n), f(-n));", reference=" n * n }"
    )
    assert grader.grade(prompt, "fn f(n: i32) -> i32 { n.abs() }").outcome is Outcome.PASSED
    failure = grader.grade(prompt, "fn f(n: i32) -> i32 { n }").tests.failure
    assert failure == CheckFailure(check="assert_eq!(f(n), f(-n))", expected="-3", got="3")


STUB = make_prompt(
    "fn f(n: isize) -> Vec<String> {\n",
    'let candidate = f;\nassert_eq!(candidate(2), vec![String::from("x"), String::from("x")]);\n'
    "assert_eq!(candidate(0), Vec::<String>::new());\nassert!(candidate(1).len() == 1);",
)


@pytest.mark.bubblewrap
def test_without_a_reference_the_tests_tell_what_is_expected(grader: Grader) -> None:
    """The right sides are evaluated with a program that has no body."""
    expected = grader.expect(STUB)
    assert expected.isolation is Isolation.SEPARATE
    assert expected.lines is not None
    texts = [line.texts for line in expected.lines]
    assert texts == [('["x", "x"]',), ("[]",), ("true",), ("done",), ()]
    right = STUB.prompt + 'vec![String::from("x"); n as usize] }'
    assert grader.grade(STUB, right).outcome is Outcome.PASSED
    graded = grader.grade(STUB, STUB.prompt + "vec![String::new(); n as usize] }")
    assert (graded.outcome, graded.flags) == (Outcome.FAILED_TESTS, ())


@pytest.mark.bubblewrap
def test_tests_that_need_the_answers_first_are_shared(grader: Grader) -> None:
    """Without a reference nobody knows them: both sides are sent, and the result says so."""
    prompt = make_prompt("fn f(n: i32) -> i32 {", "let x = f(2); assert_eq!(x, 4);")
    assert grader.expect(prompt).isolation is Isolation.SHARED
    right = grader.grade(prompt, "fn f(n: i32) -> i32 { n * 2 }")
    assert (right.outcome, right.flags) == (Outcome.PASSED, ("shared",))
    wrong = grader.grade(prompt, "fn f(n: i32) -> i32 { n }")
    assert (wrong.outcome, wrong.flags) == (Outcome.FAILED_TESTS, ("shared",))
    ended = grader.grade(prompt, "fn f(n: i32) -> i32 { std::process::exit(0) }")
    assert (ended.outcome, ended.flags) == (Outcome.NO_RESULT, ("shared",))


@pytest.mark.bubblewrap
def test_a_prompt_may_ask_for_shared_tests(grader: Grader) -> None:
    """What the prompt says is carried into the result."""
    prompt = DOUBLE.model_copy(update={"isolation": Isolation.SHARED})
    graded = grader.grade(prompt, "fn f(n: i32) -> i32 { n * 2 }")
    assert (graded.outcome, graded.flags) == (Outcome.PASSED, ("shared",))


@pytest.mark.bubblewrap
def test_a_reference_that_fails_is_refused(grader: Grader) -> None:
    """Tests that their own reference fails, or does not build with, judge nobody."""
    wrong = DOUBLE.model_copy(update={"reference": " n }"})
    with pytest.raises(UsageError, match=r"'p'.*fails `assert_eq!\(f\(2\), 4\)`"):
        grader.expect(wrong)
    foreign = DOUBLE.model_copy(update={"tests": ("g();",)})
    with pytest.raises(UsageError, match=r"'p'.*does not build with them: error\[E0425\]"):
        grader.expect(foreign)
    moody = make_prompt(
        "fn f() -> u32 {",
        "for _ in 0..f() { assert!(true); }",
        reference=" std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)"
        ".map_or(0, |d| 2 + d.subsec_nanos() % 1000) }",
    )
    with pytest.raises(UsageError, match=r"'p'.*does not answer them twice alike"):
        grader.expect(moody)


@pytest.mark.bubblewrap
def test_expectations_travel_as_json(grader: Grader) -> None:
    """What was found once can be kept in a file."""
    expected = grader.expect(OWN)
    assert Expected.model_validate_json(expected.model_dump_json()) == expected


PUBLISHED = "}\n\nfn main() {\n    let candidate = f;\n    assert_eq!(candidate(2), 4);\n}\n"


@pytest.mark.bubblewrap
@pytest.mark.parametrize(
    ("completion", "outcome", "built"),
    [
        ("    n * 2", Outcome.PASSED, True),
        ("    let async = n; async * 2", Outcome.PASSED, True),  # a name in the edition of 2015
        ("    n", Outcome.FAILED_TESTS, True),
        ("    n +", Outcome.COMPILE_ERROR, False),
        ("    std::process::exit(0)", Outcome.PASSED, True),
        ("    std::process::abort()", Outcome.RUN_CRASH, True),
    ],
)
def test_published_numbers_can_be_reproduced(
    grader: Grader, completion: str, outcome: Outcome, *, built: bool
) -> None:
    """In the ways of MultiPL-E exit status 0 passes, whatever led to it; the result is flagged."""
    prompt = make_prompt("fn f(n: isize) -> isize {\n", edition="2015")
    program = prompt.prompt + completion + "\n" + PUBLISHED
    graded = grader.tester.grade_published(prompt, program)
    assert (graded.outcome, graded.tests.built) == (outcome, built)
    assert graded.flags == ("shared",)


SETS = ("rust-basics", "rust-extended")
PROMPTS = [prompt for name in SETS for prompt in load_prompt_set(name).prompts]


def driver_of(*tests: str, questions: Questions = Questions.ANSWERS, item: str = "fn f") -> Driver:
    """Return the driver of tests that see `f`, `C` and `n`."""
    prompt = make_prompt("enum C { A }\nconst n: u8 = 1;\nfn f() {", *tests, item=item)
    return write_driver(prompt, ["f", "C", "n"], questions, crate="z", key=KEY)


@pytest.mark.parametrize(
    ("test", "rewritten"),
    [
        ("assert!(f());", "::z::truth!(0, f());"),
        ('assert ! [f(), "no {}", 1];', '::z::truth ! [0, f(), "no {}", 1];'),
        ("debug_assert_eq!(f(), 1);", "::z::value!(0, ==, f(), 1);"),
        ("assert_ne!(f(), 1);", "::z::value!(0, !=, f(), 1);"),
        ("assert_eq!(f(), n);", "::z::pair!(0, ==, f(), n);"),
        ("assert_eq!(g::<A, B>(), 1);", "::z::value!(0, ==, g::<A, B>(), 1);"),
        ('g("assert_eq!(1, 2)"); // assert!(x)', 'g("assert_eq!(1, 2)"); // assert!(x)'),
        ('g(r#""assert!(x)"#, \'"\'); assert!(y)', 'g(r#""assert!(x)"#, \'"\'); ::z::truth!(0, y)'),
        (
            "std::assert!(x); my_assert!(x); assert(x);",
            "std::assert!(x); my_assert!(x); assert(x);",
        ),
        ("let v = vec![1]; matches!(v, x)", "let v = ::std::vec![1]; ::std::matches!(v, x)"),
    ],
)
def test_assertions_become_questions(test: str, rewritten: str) -> None:
    """They are replaced where they are code, and std's macros are named by their paths."""
    assert rewritten in driver_of(test).text.split("\n")


@pytest.mark.parametrize(
    ("right", "own"),
    [
        ("-1.5e3", True),
        ("[1, 2].len()", True),
        ('vec![String::from("f"), "n".to_string()]', True),
        ("Some(('a', i32::MAX - 1))", True),
        ("std::collections::HashMap::<u8, u8>::new()", True),
        ('"x".parse::<i64>().unwrap_err()', True),
        ("n", False),
        ("f(1)", False),
        ("Some(C::A)", False),
        ("x", False),
        ("[1].map(|x| x)", False),
        ('"x".f()', False),
        ("self::n", False),
        ("crate::n", False),
        ("Vec::f()", False),
        ('format!("{}", 1)', True),
        ('format!("{x}")', False),
        ("std::future::ready(1).await", False),
        ('"1".parse::<u8>()?', False),
    ],
)
def test_an_expected_side_is_the_tests_own_or_not(right: str, *, own: bool) -> None:
    """Only what cannot depend on the program is kept away from it; in doubt both sides are sent."""
    assert driver_of(f"assert_eq!(f(), {right})").checks[0].own is own


def test_only_tests_of_a_macro_see_all_of_the_program() -> None:
    """Else the names of the prompt are imported one by one."""
    assert "candidate::*" not in driver_of("f();").text
    text = driver_of("f();", item="macro_rules m").text
    assert "use ::candidate::*;" in text
    assert " Vec, " in text


def signed(*lines: tuple[object, ...], key: tuple[int, int] = KEY) -> bytes:
    """Return lines as a driver writes them."""
    written = b""
    for order, fields in enumerate(lines):
        text = "\t".join(map(str, (order, *fields))).encode()
        written += text + f"\t{siphash(key, text):016x}\n".encode()
    return written


ANSWERS = ((0, "v", "4"), (0, "t", "done"), (1, "v", "true"), (1, "t", "done"), (0, "e"))
TESTS = ("assert_eq!(f(), 4);", "assert!(f() > 1);")
EXPECTED = Expected(
    isolation=Isolation.SEPARATE,
    names=("f",),
    lines=tuple(
        Line(number=number, kind=Kind(kind), texts=tuple(texts)) for number, kind, *texts in ANSWERS
    ),
)


def ended(
    answers: bytes,
    *,
    exit_code: int | None = 0,
    signal: int | None = None,
    stopped_by: StoppedBy | None = None,
    stderr: str = "",
) -> StepResult:
    """Return a run that ended in some way."""
    execution = Execution(
        stage=Stage.RUN,
        exit_code=exit_code,
        signal=signal,
        stopped_by=stopped_by,
        cpu_s=0,
        wall_s=0,
        peak_memory_bytes=0,
        n_stdout_bytes=0,
        n_stderr_bytes=len(stderr),
    )
    return StepResult(execution, b"", stderr.encode(), answers)


def judged(result: StepResult) -> Graded:
    """Return the verdict on a run of the driver of TESTS."""
    return judge_run(result, driver_of(*TESTS), EXPECTED, build=ended(b"").execution)


def test_all_answers_in_order_pass_however_the_process_ends() -> None:
    """After the last line nothing counts."""
    assert judged(ended(signed(*ANSWERS))).outcome is Outcome.PASSED
    assert judged(ended(signed(*ANSWERS) + b"more\n", exit_code=3)).outcome is Outcome.PASSED


def replaced(index: int, *fields: object) -> tuple[tuple[object, ...], ...]:
    """Return ANSWERS with another line at an index."""
    return (*ANSWERS[:index], fields, *ANSWERS[index + 1 :])


@pytest.mark.parametrize(
    ("answers", "outcome", "passed"),
    [
        (signed(*replaced(0, 0, "v", "5")), Outcome.FAILED_TESTS, 0),
        (signed(*replaced(2, 1, "v", "false")), Outcome.FAILED_TESTS, 1),
        (signed(ANSWERS[0], (0, "t", "panicked"), *ANSWERS[2:]), Outcome.FAILED_TESTS, 1),
        (signed((0, "t", "panicked"), *ANSWERS[2:]), Outcome.FAILED_TESTS, 0),
        (signed(ANSWERS[0], *ANSWERS), Outcome.FAILED_TESTS, 1),
        (signed(ANSWERS[2], *ANSWERS[1:]), Outcome.FAILED_TESTS, 0),
        (signed((0, "p", "4", "4"), *ANSWERS[1:]), Outcome.FAILED_TESTS, 0),
        (signed((0, "e")), Outcome.FAILED_TESTS, 0),
        (b"", Outcome.NO_RESULT, 0),
        (signed(*ANSWERS[:-1]), Outcome.NO_RESULT, 2),
        (signed(*ANSWERS)[:-1], Outcome.NO_RESULT, 2),
        (signed(*ANSWERS, key=(5, 3)), Outcome.NO_RESULT, 0),
        (signed(*ANSWERS[:2]) + signed(*ANSWERS), Outcome.NO_RESULT, 1),
        (b"\n" + signed(*ANSWERS), Outcome.NO_RESULT, 0),
        (signed(("x", "v", "4"), *ANSWERS[1:]), Outcome.NO_RESULT, 0),
        (signed((0, "y", "4"), *ANSWERS[1:]), Outcome.NO_RESULT, 0),
        (signed((0, "v"), *ANSWERS[1:]), Outcome.NO_RESULT, 0),
        (signed((0, "v", "4", "4"), *ANSWERS[1:]), Outcome.NO_RESULT, 0),
        (signed((0,), *ANSWERS[1:]), Outcome.NO_RESULT, 0),
        (signed((0, "v", "4" * 40_000), *ANSWERS[1:]), Outcome.NO_RESULT, 0),
        (b"\xff\t\t\t\n" + signed(*ANSWERS), Outcome.NO_RESULT, 0),
    ],
)
def test_other_answers_do_not_pass(answers: bytes, outcome: Outcome, passed: int) -> None:
    """One answer that differs, is missing, too many, unsigned or out of order is enough."""
    graded = judged(ended(answers))
    assert (graded.outcome, graded.tests.passed) == (outcome, passed)
    assert graded.tests.planned == 2
    assert graded.tests.failure is not None


@pytest.mark.parametrize(
    ("result", "outcome", "message"),
    [
        (ended(b"", exit_code=3), Outcome.NO_RESULT, "ended with exit status 3"),
        (ended(b"", exit_code=None, signal=11), Outcome.RUN_CRASH, "ended by signal 11"),
        (
            ended(b"", exit_code=None, signal=6, stderr="memory allocation of 9 bytes failed\n"),
            Outcome.RUN_OOM,
            "ended by signal 6",
        ),
        (
            ended(b"", exit_code=None, signal=6, stderr="x: memory allocation of 9 bytes failed"),
            Outcome.RUN_CRASH,
            "ended by signal 6",
        ),
        (
            ended(b"", exit_code=None, stopped_by=StoppedBy.CPU_TIME),
            Outcome.RUN_TIMEOUT,
            "stopped by cpu_time",
        ),
        (
            ended(b"", exit_code=None, stopped_by=StoppedBy.WALL_TIME),
            Outcome.RUN_TIMEOUT,
            "stopped by wall_time",
        ),
        (
            ended(b"", exit_code=None, stopped_by=StoppedBy.MEMORY),
            Outcome.RUN_OOM,
            "stopped by memory",
        ),
        (
            ended(b"", exit_code=None, stopped_by=StoppedBy.OUTPUT),
            Outcome.OUTPUT_LIMIT,
            "stopped by output",
        ),
        (
            ended(b"", exit_code=None, stopped_by=StoppedBy.PROCESSES),
            Outcome.RUN_CRASH,
            "stopped by processes",
        ),
    ],
)
def test_a_run_without_its_last_answer_is_judged_by_its_end(
    result: StepResult, outcome: Outcome, message: str
) -> None:
    """Limits and signals are told apart from a program that just ended."""
    graded = judged(result)
    assert graded.outcome is outcome
    assert graded.tests.failure is not None
    assert graded.tests.failure.message == message


PANICS = {
    "rustc 1.95": (
        "\nthread 'main' (7) panicked at program.rs:3:5:\nindex out of bounds\nnote: run with",
        "panicked: index out of bounds",
        3,
    ),
    "rustc 1.73": (
        "thread '<unnamed>' panicked at program.rs:12:5:\nattempt to add with overflow\n",
        "panicked: attempt to add with overflow",
        12,
    ),
    "rustc 1.63": (
        "thread 'main' panicked at 'index out of bounds', program.rs:3:5\nnote: run with",
        "panicked: index out of bounds",
        3,
    ),
    "rustc 1.63, quotes": (
        "thread 'main' panicked at 'it's `Err`: \"x\"', program.rs:4:5\n",
        'panicked: it\'s `Err`: "x"',
        4,
    ),
    "in the standard library": (
        "thread 'main' panicked at /rustc/5980/library/core/src/option.rs:1:2:\nno\n",
        "panicked: no",
        None,
    ),
    "in the tests": ("thread 'main' panicked at <anon>:9:2:\nno\n", "panicked: no", None),
    "in another program.rs": (
        "thread 'main' panicked at src/program.rs:9:2:\nno\n",
        "panicked: no",
        None,
    ),
    "not at a line's start": (
        "it says: thread 'main' panicked at program.rs:3:5:\nno\n",
        "panicked",
        None,
    ),
    "nothing": ("", "panicked", None),
}


@pytest.mark.parametrize("case", PANICS.values(), ids=PANICS)
def test_panics_are_read_from_what_was_said(case: tuple[str, str, int | None]) -> None:
    """Message and line, in the words of old and new toolchains; only the program's lines count."""
    stderr, message, line = case
    answers = signed((0, "t", "panicked"), *ANSWERS[2:])
    failure = judged(ended(answers, stderr=stderr)).tests.failure
    assert failure == CheckFailure(check="assert_eq!(f(), 4)", message=message, line=line)


def test_texts_are_bounded() -> None:
    """A long answer is cut where people read it."""
    answers = signed((0, "v", "x" * 4000), *ANSWERS[1:])
    failure = judged(ended(answers)).tests.failure
    assert failure is not None
    assert failure.got == "x" * 197 + "..."


def with_results(results: Sequence[StepResult]) -> RustTester:
    """Return a tester whose sandbox gives these results, one after the other."""
    left = list(results)

    def run(_: Step) -> StepResult:
        return left.pop(0)

    return RustTester(run)


BUILT = ended(b"")._replace(collected=MappingProxyType({"lib.rlib": b"x"}))
NO_LINKER = (
    '{"message":"linker `gcc` not found","code":null,"level":"error","spans":[],"children":[]}\n'
)
NO_ROOM = 'failed to spawn thread: Os { code: 11, kind: WouldBlock, message: "" }\n'


@pytest.mark.parametrize(
    ("results", "words"),
    [
        ([ended(b"", exit_code=1)._replace(stderr=b"no crate")], "crate of the Rust tests"),
        ([BUILT, ended(b"")], "did not come back"),
        ([BUILT, ended(b"", exit_code=1, stderr=NO_LINKER)], "install gcc"),
        ([BUILT, ended(b"", exit_code=70)], "install gcc"),
        ([BUILT, ended(b"", exit_code=101, stderr=NO_ROOM)], "no room for its threads"),
    ],
)
def test_what_we_lack_is_not_the_programs_fault(results: list[StepResult], words: str) -> None:
    """No linker, no room, a file that does not come back: the instrument failed."""
    with pytest.raises(SandboxError, match=words):
        with_results(results).grade(DOUBLE, "", EXPECTED)


def test_siphash_by_the_paper() -> None:
    """The vector of appendix A, and lengths around a word."""
    key = (0x0706050403020100, 0x0F0E0D0C0B0A0908)
    assert siphash(key, bytes(range(15))) == 0xA129CA6149BE45E5
    assert siphash(key, b"") == 0x726FDB47DD0E0E31
    assert siphash(key, bytes(range(8))) == 0x93F5F5799A932462
