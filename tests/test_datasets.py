"""Data sets of others: each format on own tasks in its real shape, and each way to be broken."""

import copy
import gzip
import hashlib
import json
import shutil
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from codebench.cli import main
from codebench.errors import EnvironmentProblem, UsageError
from codebench.languages.python_tests import grading_step, read_grading
from codebench.languages.verdict import Outcome
from codebench.prompts import Language, Profile, Prompt, PromptSet, load_prompt_set
from codebench.prompts.datasets.catalogue import DATA_SETS
from codebench.prompts.datasets.evalplus_oracle import Oracle
from codebench.prompts.datasets.python_source import source_of
from codebench.prompts.datasets.rust_text import body, function_name, items, split_open
from codebench.prompts.model import Isolation
from codebench.sandbox.toolchain import find_rust_sysroot
from tests.warm_pair import WarmPair

Task = dict[str, Any]
PUBLISHED = Path(__file__).parents[2] / "shared" / "data" / "humaneval" / "HumanEval.jsonl.gz"

HUMANEVAL: Task = {
    "task_id": "HumanEval/0",
    "prompt": "import math\n\n\ndef unit(x):\n    return x\n\n\ndef twice(x: int) -> int:\n"
    '    """ Return x times two.\n    >>> twice(2)\n    4\n    """\n',
    "entry_point": "twice",
    "canonical_solution": "    return x * 2\n",
    "test": "\n\nMETADATA = {\n    'author': 'us'\n}\n\n\ndef check(candidate):\n"
    "    assert candidate(2) == 4\n    assert candidate(unit(3)) == 6\n",
}
HUMANEVAL_PLUS: Task = {
    "task_id": "HumanEval/0",
    "prompt": 'def halve(x):\n    """ Return half of each number. """\n',
    "entry_point": "halve",
    "canonical_solution": "    return [y / 2 for y in x]\n",
    "contract": "\n    assert isinstance(x, list)\n",
    "base_input": [[[1, 2]], [[]]],
    "plus_input": [[[10**20, -3.5]]],
    "atol": 0,
}
MBPP_PLUS: Task = {
    "task_id": "Mbpp/2",
    "prompt": '"""\nWrite a function to find the shared elements of two tuples.\n"""\n',
    "entry_point": "similar_elements",
    "canonical_solution": "def similar_elements(a, b):\n    return tuple(set(a) & set(b))\n",
    "contract": "",
    "base_input": [[[3, 4], [4, 5]]],
    "plus_input": [[[], [1]]],
    "atol": 0,
    "assertion": "",
}
MBPP: Task = {
    "task_id": 11,
    "text": "Write a function to double a number.",
    "code": "import math\r\ndef helper(x):\r\n  return x\r\n"
    "def double (x):\r\n\treturn helper(x) * 2",
    "test_list": ["assert double(1) == 2", "assert set([double(2)]) == set([4])"],
    "test_setup_code": "",
    "challenge_test_list": ["assert double(9) == 18"],
}
SANITIZED: Task = {
    "source_file": "Ours.csv",
    "task_id": 12,
    "prompt": "Write a function to find the root.",
    "code": "import math\ndef root(x):\n    return math.sqrt(x)",
    "test_imports": ["import math"],
    "test_list": ["assert math.isclose(root(4), 2.0)"],
}
MULTIPL_E: Task = {
    "name": "HumanEval_0_twice",
    "language": "rs",
    "prompt": '/// Return x times two, not "{".\n/// >>> twice(2)\n/// 4\n'
    "fn twice(x: isize) -> isize {\n",
    "doctests": "transform",
    "original": "ours.py",
    "prompt_terminology": "reworded",
    "tests": "}\n\nfn main() {\n    let candidate = twice;\n    assert_eq!(candidate(2), 4);\n"
    '    assert_eq!(format!("{{"), "{");\n}\n',
    "stop_tokens": ["\n}"],
}
HUMANEVAL_X: Task = {
    "task_id": "Rust/0",
    "prompt": "\n/*\n Return x times two; it's { easy.\n*/\nfn twice(x:i32) -> i32{\n",
    "declaration": "\nuse std::{slice::Iter, cmp::{max, self}, collections::{HashSet, HashMap}};\n"
    "use rand::Rng;\nuse regex::Regex;\nuse md5;\nuse std::any::{Any, TypeId};\n\n"
    "fn unit(x: i32) -> i32 {\n    x\n}\n",
    "canonical_solution": "    unit(x) * 2\n}\n",
    "test": "\n#[cfg(test)]\nmod tests {\n    use super::*;\n\n    fn three() -> i32 { 3 }\n\n"
    "    #[test]\n    fn test_twice() {\n        assert_eq!(twice(2), 4);\n    }\n\n"
    '    #[test]\n    fn test_more() {\n        assert!(twice(three()) == 6, "}}");\n    }\n}\n',
    "example_test": "None",
}
PACK: Task = {
    "import": "",
    "test_setup": "",
    "entry_point": "twice",
    "buggy_solution": "",
    "bug_type": "value misuse",
    "failure_symptoms": "incorrect output",
    "signature": "twice(x)",
    "docstring": "",
    "instruction": "",
}
PACK_RUST: Task = {**HUMANEVAL_X, **PACK}
PACK_PYTHON: Task = {
    **PACK,
    "task_id": "Python/0",
    "prompt": HUMANEVAL["prompt"],
    "declaration": "def twice(x: int) -> int:\n",
    "canonical_solution": "    return x * 2\n",
    "test": "\n\n\ndef check(twice):\n    assert twice(2) == 4\n\ncheck(twice)",
    "example_test": "def check(twice):\n    assert twice(2) == 4\ncheck(twice)\n",
}
OWN: Task = {
    "id": "double",
    "language": "python",
    "category": "math",
    "item": "def double",
    "prompt": "def double(x):\n",
    "tests": ["assert double(2) == 4"],
}
ALL: Mapping[str, Task] = {
    "humaneval": HUMANEVAL,
    "humaneval+": HUMANEVAL_PLUS,
    "mbpp": MBPP,
    "mbpp+": MBPP_PLUS,
    "mbpp-sanitized": SANITIZED,
    "humaneval-rs": MULTIPL_E,
    "mbpp-rs": {**MULTIPL_E, "name": "mbpp_3_twice"},
    "humaneval-x-rs": HUMANEVAL_X,
    "humanevalpack-rs": PACK_RUST,
    "humanevalpack-py": PACK_PYTHON,
}


def write(path: Path, *tasks: Mapping[str, Any] | str) -> Path:
    """Write tasks as JSON lines; a string is written as it is."""
    lines = (task if isinstance(task, str) else json.dumps(task) for task in tasks)
    content = "".join(line + "\n" for line in lines).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def loaded(folder: Path, *tasks: Mapping[str, Any] | str) -> PromptSet:
    """Load tasks by the path of their file."""
    return load_prompt_set(str(write(folder / "mine.jsonl", *tasks)))


def refusal(path: Path) -> str:
    """Return the one line that refuses a file."""
    with pytest.raises(UsageError) as caught:
        load_prompt_set(str(path))
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(str(path), "FILE")


Grade = Callable[[Prompt, str], Outcome]


@pytest.fixture(scope="module")
def grade() -> Iterator[Grade]:
    """Grade a completion with the real checker, in processes without isolation."""
    pair = WarmPair()

    def graded(prompt: Prompt, completion: str) -> Outcome:
        step = grading_step(prompt, (prompt.prefix + completion).encode())
        return read_grading(step, pair.run(step)).outcome

    yield graded
    pair.close()


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz", ".json"])
@pytest.mark.parametrize("name", ALL)
def test_every_format_is_recognised(name: str, ending: str, tmp_path: Path) -> None:
    """A file is known by its keys, as lines or as one list, packed or not; the set is its stem."""
    path = tmp_path / f"mine{ending}"
    task = json.dumps(ALL[name], indent=1) if ending == ".json" else ALL[name]
    write(path, f"[\n{task}\n]" if ending == ".json" else task)
    found = load_prompt_set(str(path))
    assert (found.name, len(found.prompts)) == ("mine", 1)
    assert found.language is DATA_SETS[name].language is found.prompts[0].language
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found.version == f"sha256:{found.sha256[:12]}"


PYTHON_SETS = [name for name in ALL if DATA_SETS[name].language is Language.PYTHON]


@pytest.mark.parametrize("name", PYTHON_SETS)
def test_references_pass_and_wrong_completions_fail(
    name: str, grade: Grade, tmp_path: Path
) -> None:
    """The checker accepts the reference of each format and refuses the wrong completion."""
    prompt = loaded(tmp_path, ALL[name]).prompts[0]
    assert prompt.reference is not None
    assert prompt.wrong is not None
    assert grade(prompt, prompt.reference) is Outcome.PASSED
    assert grade(prompt, prompt.wrong) is Outcome.FAILED_TESTS


RUST_SETS = [name for name in ALL if DATA_SETS[name].language is Language.RUST]


@pytest.mark.rustc
@pytest.mark.parametrize("name", RUST_SETS)
def test_rust_programs_build_with_their_tests(name: str, tmp_path: Path) -> None:
    """Context, prompt and tests fit together: a right completion passes, the wrong one panics."""
    prompt = loaded(tmp_path, ALL[name]).prompts[0]
    right = prompt.reference or "    x * 2\n}\n"
    for completion, passes in ((right, True), (prompt.wrong or "", False)):
        blocks = "".join(f"    {{\n{test}\n    }}\n" for test in prompt.tests)
        source = tmp_path / "program.rs"
        source.write_text(f"{prompt.prefix}{completion}\nfn main() {{\n{blocks}}}\n")
        rustc = str(find_rust_sysroot() / "bin" / "rustc")
        options = ["--edition=2021", "--cap-lints=allow", "-o", str(tmp_path / "program")]
        subprocess.run([rustc, *options, str(source)], check=True)
        ended = subprocess.run([str(tmp_path / "program")], check=False, stderr=subprocess.DEVNULL)
        assert (ended.returncode == 0) is passes


def test_humaneval(tmp_path: Path) -> None:
    """The prompt is as published, the test ends by checking the entry point."""
    prompt = loaded(tmp_path, HUMANEVAL).prompts[0]
    assert (prompt.id, prompt.item) == ("HumanEval/0", "def twice")
    assert prompt.prefix == HUMANEVAL["prompt"]
    assert prompt.tests == (HUMANEVAL["test"].rstrip() + "\n\n\ncheck(twice)\n",)
    assert prompt.isolation is Isolation.SEPARATE


def test_humaneval_as_published() -> None:
    """All 164 tasks of the authors' file are read; those with helpers ask for the last function."""
    if not PUBLISHED.is_file():
        pytest.skip("HumanEval is not beside this checkout")
    found = load_prompt_set(str(PUBLISHED))
    assert len(found.prompts) == 164
    assert found.sha256 == DATA_SETS["humaneval"].sha256
    by_id = {prompt.id: prompt for prompt in found.prompts}
    assert by_id["HumanEval/32"].item == "def find_zero"
    assert by_id["HumanEval/163"].tests[0].endswith("check(generate_integers)\n")


def test_evalplus_tests_are_one_for_each_input(grade: Grade, tmp_path: Path) -> None:
    """Base inputs come first; arguments are what MBPP+ makes of JSON, and floats may be close."""
    plus = loaded(tmp_path, HUMANEVAL_PLUS).prompts[0]
    assert [test.partition("\n")[0] for test in plus.tests] == [
        "arguments = [[1, 2]]",
        "arguments = [[]]",
        f"arguments = [[{10**20}, -3.5]]",
    ]
    assert grade(plus, "    return [y / 2 + 1e-9 for y in x]\n") is Outcome.PASSED
    assert grade(plus, "    return [y / 2 + 1e-3 for y in x]\n") is Outcome.FAILED_TESTS
    mbpp = loaded(tmp_path, MBPP_PLUS).prompts[0]
    assert mbpp.tests[0].startswith("arguments = [(3, 4,), (4, 5,)]\n")
    assert (
        grade(mbpp, "def similar_elements(a, b):\n    return [x for x in a if x in b]\n")
        is Outcome.PASSED
    )


def test_arguments_that_are_changed_change_no_answer(grade: Grade, tmp_path: Path) -> None:
    """The expected answer is computed from arguments that the program has not seen."""
    prompt = loaded(tmp_path, HUMANEVAL_PLUS).prompts[0]
    assert (
        grade(prompt, "    y = [z / 2 for z in x]\n    x.clear()\n    return y\n") is Outcome.PASSED
    )


@pytest.mark.parametrize(
    ("number", "given", "made"),
    [
        (63, [[[1, 2]]], [[(1, 2)]]),
        (75, [[[1]], 2], [[(1,)], 2]),
        (106, [[1], [2]], [[1], (2,)]),
        (307, [[1], 2, 3], [(1,), 2, 3]),
        (259, [[[1], [2]]], [((1,), (2,))]),
        (278, [[1, [2]]], [(1, (2,))]),
        (580, [[1, [2, [3]]]], [(1, (2, (3,)))]),
        (115, [[[1, 2], []]], [[{1, 2}, {}]]),
        (124, ["1.5", "2j"], [1.5, 2j]),
        (252, ["1+2j"], [1 + 2j]),
        (722, [{"a": [1]}, 2], [{"a": (1,)}, 2]),
        (3, [[1]], [[1]]),
    ],
)
def test_mbpp_plus_makes_tuples_where_evalplus_does(
    number: int, given: list[Any], made: list[Any], tmp_path: Path
) -> None:
    """Each kind of argument that JSON cannot hold is made from what it holds instead."""
    task = {**MBPP_PLUS, "task_id": f"Mbpp/{number}", "base_input": [given], "plus_input": []}
    test = loaded(tmp_path, task).prompts[0].tests[0].partition("\n")[0]
    space: dict[str, Any] = {}
    exec(test, space)
    assert space["arguments"] == made
    assert str(space["arguments"]) == str(made)


@pytest.mark.parametrize(
    "value",
    [1.5, -0.0, 10**5000, -(10**5000), True, None, "a\n'\"", (), (1,), {"a": (1, [2.5])}, {1, 2}],
    ids=lambda value: str(type(value)),
)
def test_source_gives_the_value_back(value: object) -> None:
    """What is written into a test is read as the same value, numbers of any length too."""
    again = eval(source_of(value))
    assert again == value
    assert type(again) is type(value)


def test_source_knows_what_repr_does_not() -> None:
    """Infinities and complex numbers with them are written as calls."""
    assert eval(source_of([float("inf"), float("-inf")])) == [float("inf"), float("-inf")]
    assert repr(eval(source_of(complex(1, float("nan"))))) == repr(complex(1, float("nan")))


def test_long_numbers_are_read(tmp_path: Path) -> None:
    """Whole numbers beyond the 4,300 digits of Python's own conversion come through."""
    digits = "7" * 9_000
    line = json.dumps({**HUMANEVAL_PLUS, "base_input": [[["N"]]]}).replace('"N"', f"-{digits}")
    test = loaded(tmp_path, line).prompts[0].tests[0].partition("\n")[0]
    space: dict[str, Any] = {}
    exec(test, space)
    assert -space["arguments"][0][0] % 10**9 == 777777777


@pytest.mark.parametrize(
    ("name", "solution", "atol", "cases"),
    [
        ("find_zero", "import math\ndef poly(xs, x):\n    return sum(c * x**i for i, c in "
         "enumerate(xs))\ndef find_zero(xs):\n    return -xs[0] / xs[1]\n", 1e-4,
         [([[2, 1]], -2.0, True), ([[2, 1]], -2.00001, True), ([[2, 1]], -9.0, False)]),
        ("check_str", "import re\ndef check_str(s):\n    return re.match('a', s)\n", 0,
         [(["ab"], True, True), (["ab"], object(), True), (["b"], None, True),
          (["b"], True, False)]),
        ("surface_Area", "def surface_Area(b, h):\n    return 0\n", 0,
         [([3, 4], 0, True), ([3, 4], 35, True), ([3, 4], 34, False)]),
        ("digit_distance_nums", "def digit_distance_nums(a, b):\n    return -1\n", 0,
         [([1, 23], 4, True), ([1, 23], 5, False)]),
        ("sum_div", "def sum_div(n):\n    return 7\n", 0,
         [([8], 0, True), ([8], 7, True), ([8], 8, False)]),
        ("are_equivalent", "def are_equivalent(a, b):\n    return True\n", 0,
         [([1, 2], False, True)]),
        ("plain", "def plain(x):\n    return x\n", 0,
         [([1], 1.0, True), ([1.0], 1.0 + 1e-7, True), ([1.0], 1.1, False),
          ([[1.0]], (1.0,), False), ([1], 2, False), ([[1.0, 2.0]], [1.0], False)]),
    ],
)  # fmt: skip
def test_the_oracle_agrees_as_evalplus_does(
    name: str, solution: str, atol: float, cases: Sequence[tuple[list[Any], object, bool]]
) -> None:
    """Single tasks have their own idea of the same answer; all others compare floats closely."""
    oracle = Oracle("humaneval" if name == "find_zero" else "mbpp", solution, name, atol)
    for arguments, got, right in cases:
        expected = oracle.expected(copy.deepcopy(arguments))
        assert oracle.agrees(got, expected, arguments) is right, (arguments, got)
        assert oracle.wanted(got, arguments) == (got if right else expected)


def test_mbpp(tmp_path: Path) -> None:
    """The prompt is a docstring with the first test; the item is what the tests call."""
    prompt = loaded(tmp_path, MBPP).prompts[0]
    assert (prompt.id, prompt.item) == ("11", "def double")
    assert prompt.prompt == f'"""\n{MBPP["text"]}\n{MBPP["test_list"][0]}\n"""\n'
    assert prompt.tests == tuple(MBPP["test_list"])
    assert prompt.reference is not None
    assert "\r" not in prompt.reference
    assert prompt.isolation is Isolation.SEPARATE
    assert loaded(tmp_path, SANITIZED).prompts[0].setup == "import math"


def test_tests_that_use_a_class_of_the_program_share_its_process(
    grade: Grade, tmp_path: Path
) -> None:
    """A test that makes a node of the program's own class cannot be asked by calls alone."""
    task = {
        **MBPP,
        "code": "class Node:\n    pass\ndef depth(n):\n    return 1",
        "test_setup_code": "root = Node()",
        "test_list": ["assert depth(root) == 1"],
    }
    prompt = loaded(tmp_path, task).prompts[0]
    assert (prompt.item, prompt.setup) == ("def depth", "root = Node()")
    assert prompt.isolation is Isolation.SHARED
    assert grade(prompt, task["code"]) is Outcome.PASSED


@pytest.mark.parametrize(("n_tasks", "n_kept"), [(974, 500), (427, 417), (973, 973)])
def test_of_the_published_files_the_test_split_is_measured(
    n_tasks: int, n_kept: int, tmp_path: Path
) -> None:
    """Tasks 11 to 510 of the two published files; everything of any other file."""
    tasks = [{**MBPP, "task_id": number} for number in range(1, n_tasks + 1)]
    found = loaded(tmp_path, *tasks)
    assert len(found.prompts) == n_kept
    assert len(found.notes) == (n_kept < n_tasks)


def test_multipl_e(tmp_path: Path) -> None:
    """The body of main is the test; the profile brings stop, edition and the tests' own text."""
    path = write(tmp_path / "rs.jsonl", MULTIPL_E)
    ours = load_prompt_set(str(path)).prompts[0]
    assert (ours.id, ours.item) == ("HumanEval_0_twice", "fn twice")
    assert ours.tests[0].splitlines() == [
        "    let candidate = twice;",
        "    assert_eq!(candidate(2), 4);",
        '    assert_eq!(format!("{{"), "{");',
    ]
    assert (ours.edition, ours.stop, ours.reference) == ("2021", (), None)
    theirs = load_prompt_set(str(path), profile=Profile.MULTIPL_E).prompts[0]
    assert (theirs.edition, theirs.stop, theirs.profile) == ("2015", ("\n}",), "multipl-e")
    assert theirs.raw_tests == MULTIPL_E["tests"]


def test_humaneval_x(tmp_path: Path) -> None:
    """The imports of crates go, helpers stay, and each #[test] is a test with what it needs."""
    found = loaded(tmp_path, HUMANEVAL_X)
    prompt = found.prompts[0]
    assert prompt.item == "fn twice"
    assert prompt.prompt == HUMANEVAL_X["prompt"]
    assert "use std::{slice" in prompt.context
    assert "fn unit" in prompt.context
    assert not any(crate in prompt.context for crate in ("rand", "regex", "md5"))
    assert ["".join(test.split()) for test in prompt.tests] == [
        "fnthree()->i32{3}assert_eq!(twice(2),4);",
        'fnthree()->i32{3}assert!(twice(three())==6,"}}");',
    ]
    assert found.notes == (
        "imports of the crates md5, rand, regex were dropped from 1 of 1 tasks: a completion cannot"
        " use them",
    )


def test_tasks_that_use_a_crate_are_left_out_and_named(tmp_path: Path) -> None:
    """By the crate's name or that of what is imported; comments and longer words do not count."""
    solutions = {
        "Rust/1": '    md5::compute(b""); x\n}\n',
        "Rust/2": '    Regex::new(""); x\n}\n',
        "Rust/3": '    // md5 and Regex\n    string_to_md5("rand")\n}\n',
    }
    tasks = [{**HUMANEVAL_X, "task_id": i, "canonical_solution": s} for i, s in solutions.items()]
    found = loaded(tmp_path, *tasks)
    assert [prompt.id for prompt in found.prompts] == ["Rust/3"]
    assert found.notes[1] == (
        "2 of 3 tasks use a crate that is not there and are left out: Rust/1 (md5), Rust/2 (regex)"
    )


@pytest.mark.parametrize("doubled", [False, True])
def test_a_head_in_the_declaration_is_the_prompts(doubled: bool, tmp_path: Path) -> None:  # noqa: FBT001
    """Where the declaration ends with the function's head, the program has it once."""
    comment = "\n/*\n Return x times two.\n*/\n"
    head = "fn twice(x:i32) -> i32{\n"
    task = {
        **HUMANEVAL_X,
        "declaration": HUMANEVAL_X["declaration"] + head,
        "prompt": comment + head * doubled,
    }
    prompt = loaded(tmp_path, task).prompts[0]
    assert prompt.prefix.count("fn twice") == 1
    assert prompt.prompt.endswith(head)
    assert prompt.prompt.startswith(comment)


def test_humanevalpack_python_checks_once(tmp_path: Path) -> None:
    """A test that calls `check` itself is left as it is."""
    prompt = loaded(tmp_path, PACK_PYTHON).prompts[0]
    assert prompt.tests == (PACK_PYTHON["test"],)


def test_own_lines(tmp_path: Path) -> None:
    """Our own lines have the keys of a TOML table; ids may be anything without spaces."""
    found = loaded(tmp_path, OWN, {**OWN, "id": "a/2", "reference": "    return x * 2\n"})
    assert [prompt.id for prompt in found.prompts] == ["double", "a/2"]
    assert found.prompts[1].reference == "    return x * 2\n"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", [""]),
        ("use a::{b, c};\nfn f() {}\n", ["use a::{b, c};", "\nfn f() {}", "\n"]),
        ("fn f(a: [u8; 3]) { '}'; }", ["fn f(a: [u8; 3]) { '}'; }", ""]),
        ('fn f<\'a>() { "{"; r#"}"#; // }\n}x', ['fn f<\'a>() { "{"; r#"}"#; // }\n}', "x"]),
        ("struct A;struct B", ["struct A;", "struct B"]),
    ],
)
def test_rust_items(text: str, parts: list[str]) -> None:
    """Items end at their brace or semicolon; strings, characters and comments have none."""
    assert items(text) == parts


def test_rust_heads() -> None:
    """The open item is found below whole ones, and a body between its own braces."""
    split = split_open("fn a() {}\n/* fn b() { */ fn c() {")
    assert split == ("fn a() {}", "\n/* fn b() { */ fn c() {")
    assert function_name(split.open) == "c"
    assert split_open("fn a() {}\n// {") == ("fn a() {}\n// {", "")
    assert body("fn main() { if x { y } }", r"fn main\(\)") == " if x { y } "
    assert body("fn main() {", r"fn main\(\)") is None


def without(task: Task, key: str) -> Task:
    """Return the task less one key."""
    return {name: value for name, value in task.items() if name != key}


LINE = "FILE: line 1: task"


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ([], "FILE: the set is empty: it holds no task"),
        (["{"], "FILE: line 1: not JSON: Expecting property name enclosed in double quotes"),
        ([OWN, "7"], "FILE: line 2: is a number, not a JSON object"),
        (["[1]"], "FILE: entry 1: is a number, not a JSON object"),
        (["[" * 100_000], "FILE: not JSON that can be read: nested too deep"),
        ([{"a": 1}], "FILE: line 1: its keys are those of no data set: found a; known: HumanEval"),
        ([without(HUMANEVAL, "test")], f"{LINE} 'HumanEval/0': its keys are those of no data set"),
        ([{**OWN, **HUMANEVAL}], f"{LINE} 'HumanEval/0': its keys are those of HumanEval and "),
        (
            [HUMANEVAL, without(HUMANEVAL, "test")],
            "FILE: line 2: task 'HumanEval/0': key 'test': missing",
        ),
        (
            [{**HUMANEVAL, "test": 1}],
            f"{LINE} 'HumanEval/0': key 'test': is a number, not a string",
        ),
        (
            [{**HUMANEVAL, "entry_point": "f"}],
            f"{LINE} 'HumanEval/0': key 'entry_point': the prompt",
        ),
        ([{**HUMANEVAL, "prompt": "\ud800"}], f"{LINE} 'HumanEval/0': key 'prompt': holds half a"),
        ([HUMANEVAL, HUMANEVAL], "FILE: prompt 'HumanEval/0': key 'task id': used twice"),
        ([{**HUMANEVAL_PLUS, "base_input": {}}], f"{LINE} 'HumanEval/0': key 'base_input': is an"),
        ([{**HUMANEVAL_PLUS, "plus_input": [1]}], f"{LINE} 'HumanEval/0': key 'plus_input[0]': is"),
        ([{**HUMANEVAL_PLUS, "atol": "0"}], f"{LINE} 'HumanEval/0': key 'atol': is a string"),
        (
            [{**MBPP_PLUS, "task_id": "Mbpp/252"}],
            f"{LINE} 'Mbpp/252': key 'plus_input': has not the shape that MBPP+ has",
        ),
        ([{**MBPP, "task_id": "11"}], f"{LINE} '11': key 'task_id': must be a whole number"),
        ([{**MBPP, "test_list": []}], f"{LINE} '11': key 'test_list': is empty"),
        ([{**MBPP, "test_list": [1]}], f"{LINE} '11': key 'test_list[0]': is a number, not a str"),
        ([{**MBPP, "test_list": ["assert g()"]}], f"{LINE} '11': key 'test_list': calls nothing"),
        ([{**MBPP, "test_list": ["assert ("]}], f"{LINE} '11': key 'test_list': is not Python: "),
        ([{**MBPP, "prompt": ""}], f"{LINE} '11': its keys are those of MBPP and MBPP sanitized: "),
        ([{**MULTIPL_E, "language": "py"}], f"{LINE} 'HumanEval_0_twice': key 'language': is 'py'"),
        ([{**MULTIPL_E, "prompt": "// f"}], f"{LINE} 'HumanEval_0_twice': key 'prompt': opens no"),
        (
            [{**MULTIPL_E, "tests": "}"}],
            f"{LINE} 'HumanEval_0_twice': key 'tests': has no 'fn main",
        ),
        ([{**HUMANEVAL_X, "task_id": "CPP/0"}], f"{LINE} 'CPP/0': key 'task_id': is no task in Ru"),
        ([{**HUMANEVAL_X, "test": "mod t {}"}], f"{LINE} 'Rust/0': key 'test': has no #[test]"),
        (
            [{**HUMANEVAL_X, "prompt": "fn f();"}],
            f"{LINE} 'Rust/0': key 'prompt': opens no function",
        ),
        (
            [{**HUMANEVAL_X, "canonical_solution": "md5::x() }"}],
            f"{LINE} 'Rust/0': key 'declaration': every task needs a crate that is not there",
        ),
        (
            [{**PACK_RUST, "task_id": "Go/0"}],
            f"{LINE} 'Go/0': key 'task_id': is no task in Rust ('",
        ),
        ([PACK_PYTHON, PACK_RUST], "FILE: line 2: task 'Rust/0': key 'task_id': the file began"),
        (
            [{**OWN, "contxt": ""}],
            f"{LINE} 'double': unknown key 'contxt': did you mean 'context'?",
        ),
        ([without(OWN, "language")], f"{LINE} 'double': key 'language': missing"),
        ([{**OWN, "item": "fn f"}], f"{LINE} 'double': key 'item': 'fn f' must be def NAME or"),
        ([{**OWN, "id": "a b"}], f"{LINE} 'a b': key 'id': must be a word without spaces"),
        ([{**OWN, "tests": "x"}], f"{LINE} 'double': key 'tests': must be a list of strings"),
        (
            [OWN, {**OWN, "id": "r", "language": "rust", "item": "fn f"}],
            "FILE: line 2: task 'r': key 'language': is 'rust', and the file began with 'python'",
        ),
    ],
)
def test_a_broken_file_is_refused_in_one_line(
    tasks: list[Mapping[str, Any] | str], message: str, tmp_path: Path
) -> None:
    """The line names the file, its line, the task and the key."""
    assert refusal(write(tmp_path / "mine.jsonl", *tasks)).startswith(message)


def test_bytes_that_are_no_data_set_are_named(tmp_path: Path) -> None:
    """Broken gzip, bytes that are no text, a folder and a missing file each say what they are."""
    path = tmp_path / "mine.jsonl.gz"
    path.write_bytes(gzip.compress(b"{}")[:-9])
    assert refusal(path).startswith("FILE: a broken gzip file")
    path.write_bytes(b"\x80\x02")
    assert refusal(path) == "FILE: line 1: not UTF-8 text (byte 0)"
    assert refusal(tmp_path) == "FILE: a folder, not a data set: give its file"
    gone = tmp_path / "gone.jsonl"
    assert refusal(gone) == "FILE: cannot read the prompt set: No such file or directory"
    gone.symlink_to(gone)
    with pytest.raises(EnvironmentProblem, match=r"cannot read .*gone\.jsonl: Too many levels"):
        load_prompt_set(str(gone))


def test_a_profile_is_refused_for_other_formats(tmp_path: Path) -> None:
    """MultiPL-E's rules are not applied to HumanEval."""
    path = write(tmp_path / "mine.jsonl", HUMANEVAL)
    with pytest.raises(UsageError, match=r"--profile multipl-e: .* is HumanEval"):
        load_prompt_set(str(path), profile=Profile.MULTIPL_E)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of data sets, empty."""
    monkeypatch.setenv("CODEBENCH_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "cache" / "datasets"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize("name", ALL)
def test_a_name_is_found_in_the_cache(name: str, cache: Path) -> None:
    """Under its published name or the set's own; what differs from the published set is noted."""
    assert set(ALL) == set(DATA_SETS)
    data_set = DATA_SETS[name]
    for file in (data_set.file, f"{name}.jsonl.gz"):
        path = write(cache / file, ALL[name])
        found = load_prompt_set(name)
        assert (found.name, found.description) == (name, data_set.description)
        assert f"{path} was put there by hand" in found.notes[0]
        expected = [f"1 prompts, and the published set has {data_set.n_prompts}"]
        assert [n for n in found.notes if "published" in n] == expected * bool(data_set.n_prompts)
        path.unlink()


@pytest.mark.parametrize("variable", ["XDG_CACHE_HOME", "HOME"])
def test_the_cache_is_where_others_have_theirs(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a folder of our own it is the user's cache folder."""
    monkeypatch.delenv("CODEBENCH_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv(variable, str(tmp_path))
    inner = "codebench/datasets" if variable == "XDG_CACHE_HOME" else ".cache/codebench/datasets"
    (tmp_path / inner).mkdir(parents=True)
    write(tmp_path / inner / "HumanEval.jsonl.gz", HUMANEVAL)
    assert load_prompt_set("humaneval").prompts[0].id == "HumanEval/0"


def test_a_missing_data_set_says_what_to_put_where(cache: Path) -> None:
    """One line: the file, the folder, where it is published, and the option that fetches it."""
    with pytest.raises(EnvironmentProblem) as caught:
        load_prompt_set("mbpp+")
    message = str(caught.value)
    assert message == (
        f"data set 'mbpp+' is not on this machine: put MbppPlus.jsonl.gz into {cache} (it is "
        f"{DATA_SETS['mbpp+'].url}), or let --download fetch it"
    )


def test_the_list_says_which_data_sets_are_here(cache: Path) -> None:
    """Every data set has a line with the state of its file; the folder is named beside."""
    write(cache / "mbpp.jsonl", MBPP)
    listed = CliRunner().invoke(main, ["prompts", "list"])
    lines = {line.split()[0]: line for line in listed.stdout.splitlines()}
    assert set(DATA_SETS) <= set(lines)
    assert lines["mbpp"].endswith("[here: mbpp.jsonl]")
    assert lines["mbpp-rs"].endswith("[not here]")
    assert str(cache) in listed.stderr


def test_a_task_is_shown_as_it_is_asked(cache: Path) -> None:
    """Program and tests go to stdout, notes about the file to stderr; without the file exit 3."""
    write(cache / "humaneval.jsonl", HUMANEVAL)
    shown = CliRunner().invoke(main, ["prompts", "show", "humaneval", "HumanEval/0"])
    assert shown.exit_code == 0
    assert shown.stdout.startswith(HUMANEVAL["prompt"] + HUMANEVAL["canonical_solution"])
    assert "was put there by hand" in shown.stderr
    absent = CliRunner().invoke(main, ["prompts", "show", "mbpp"])
    assert absent.exit_code == 3
    assert "put mbpp.jsonl into" in absent.stderr


def test_every_data_set_is_published_at_a_fixed_revision() -> None:
    """No address goes to a branch, which moves."""
    for data_set in DATA_SETS.values():
        assert data_set.url.startswith("https://")
        assert not {"main", "master", "HEAD"} & set(data_set.url.split("/"))
        assert data_set.version.removeprefix("v") in data_set.url or data_set.name == "humaneval"


def test_own_and_foreign_names_are_told_when_a_name_is_unknown() -> None:
    """A mistyped name is answered with every name there is."""
    with pytest.raises(UsageError) as caught:
        load_prompt_set("human-eval")
    assert all(name in str(caught.value) for name in ("rust-basics", *DATA_SETS))


def test_the_recorded_hash_of_a_download_must_stay(cache: Path) -> None:
    """A file whose first download recorded its hash is refused once it has another one."""
    path = write(cache / "mbpp.jsonl", MBPP)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    (cache / "mbpp.jsonl.sha256").write_text(f"{sha256}  mbpp.jsonl\n")
    found = load_prompt_set("mbpp")
    assert found.version == DATA_SETS["mbpp"].version
    assert "is that of the first download: none was pinned" in found.notes[0]
    write(path, {**MBPP, "text": "Other."})
    with pytest.raises(EnvironmentProblem, match="is not the file that was downloaded"):
        load_prompt_set("mbpp")


class Publisher(BaseHTTPRequestHandler):
    """Publishes one task of HumanEval, and leads away from https."""

    plain_port = 0

    def do_GET(self) -> None:
        """Answer one request."""
        if self.path == "/away":
            self.send_response(302)
            self.send_header("Location", f"http://localhost:{self.plain_port}/file")
            self.end_headers()
            return
        self.send_response(200 if self.path == "/file" else 404)
        self.end_headers()
        self.wfile.write(json.dumps(HUMANEVAL).encode())

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a key and its certificate for localhost, in one file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed: no certificate for a server of our own")
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    make = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", str(path), "-out", f"{path}.crt"]
    subprocess.run([openssl, *make, *names, *files], check=True, capture_output=True)
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


@pytest.fixture
def publisher(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Publish over https; yield the address."""
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with (
        ThreadingHTTPServer(("localhost", 0), Publisher) as server,
        ThreadingHTTPServer(("localhost", 0), Publisher) as plain,
    ):
        monkeypatch.setattr(Publisher, "plain_port", plain.server_port)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threads = [
            threading.Thread(target=each.serve_forever, kwargs={"poll_interval": 0.05})
            for each in (server, plain)
        ]
        for thread in threads:
            thread.start()
        yield f"https://localhost:{server.server_port}"
        for each in (server, plain):
            each.shutdown()
        for thread in threads:
            thread.join()


SHA256 = hashlib.sha256(json.dumps(HUMANEVAL).encode()).hexdigest()


def publish(monkeypatch: pytest.MonkeyPatch, url: str, sha256: str | None) -> None:
    """Let the data set `humaneval` be published at `url`."""
    changed = replace(DATA_SETS["humaneval"], url=url, sha256=sha256, n_prompts=1)
    monkeypatch.setitem(DATA_SETS, "humaneval", changed)


def test_a_pinned_download_is_checked_and_kept(
    publisher: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file that has the pinned hash gets its name, and is not fetched again."""
    publish(monkeypatch, f"{publisher}/file", SHA256)
    fetched = load_prompt_set("humaneval", download=True)
    assert (fetched.version, fetched.notes, fetched.sha256) == ("1", (), SHA256)
    assert [path.name for path in cache.iterdir()] == ["HumanEval.jsonl.gz"]
    publish(monkeypatch, f"{publisher}/gone", SHA256)
    assert load_prompt_set("humaneval", download=True) == fetched


def test_a_download_without_a_pin_is_trusted_once_and_that_is_said(
    publisher: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hash of what came is written beside the file and stands in the set's notes."""
    publish(monkeypatch, f"{publisher}/file", None)
    fetched = load_prompt_set("humaneval", download=True)
    assert SHA256 in fetched.notes[0]
    record = cache / "HumanEval.jsonl.gz.sha256"
    assert record.read_text() == f"{SHA256}  HumanEval.jsonl.gz\n"


@pytest.mark.parametrize(
    ("path", "sha256", "message"),
    [
        ("/file", "0" * 64, f"has SHA-256 {SHA256}, and not the pinned {'0' * 64}: it was not"),
        ("/gone", None, "the server answers 404; put the file into"),
        ("/away", None, "it was led away from https; put the file into"),
    ],
)
def test_a_download_that_fails_leaves_nothing(
    path: str,
    sha256: str | None,
    message: str,
    publisher: str,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another file than the pinned one, an answer that is none and a way out of https."""
    publish(monkeypatch, publisher + path, sha256)
    with pytest.raises(EnvironmentProblem) as caught:
        load_prompt_set("humaneval", download=True)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(cache.iterdir()) == []


def test_no_network_is_one_line(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody listens, the address and what to do instead are named."""
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    publish(monkeypatch, "https://localhost:1/file", None)
    with pytest.raises(EnvironmentProblem, match=r"cannot fetch https://localhost:1/file: .*put"):
        load_prompt_set("humaneval", download=True)
    assert list(cache.iterdir()) == []
